"""Flawed tables as files: each is read, repaired as documented, or refused with an error that names the place."""

import contextlib
import io
import math
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.flawed_tables import CASES, GOOD, Case, document, read_case, to_shown, to_words, wide, write_file
from swt_time import Forecaster
from swt_time.cli import run
from swt_time.data.forecasts import forecast_frame
from swt_time.data.reading import read_table
from swt_time.data.series import to_series
from swt_time.data.writing import write_table
from swt_time.errors import SWTTimeWarning, TableError

pytestmark = pytest.mark.usefixtures("claims_on_record")

CLAIMS = {
    "test_flawed_table": ("flawed tables", "flawed tables are read, repaired or refused as documented"),
    "test_a_flawed_table_through_train_and_forecast": (
        "flawed tables",
        "training and forecasting on a flawed table gives a finite forecast or a one-line error",
    ),
    "test_a_flawed_table_given_to_another_model": (
        "flawed tables",
        "a model trained on another table gives a finite forecast for a flawed table or refuses it",
    ),
}

DOCUMENT = Path(__file__).parents[2] / "docs" / "tables.md"
TINY = "embedding.d_model=4 embedding.patch_len=2 embedding.stride=1 embedding.wavelet=haar embedding.level=1"
TINY += " training.keep_branch=true"  # too short to judge it
SETTINGS = [word for setting in TINY.split() for word in ("--set", setting)]
ROWS_NEEDED = 4
"""Rows needed for training with the context and horizon of `train`."""


@pytest.fixture(autouse=True)
def _packages(request: pytest.FixtureRequest):
    case = request.node.callspec.params.get("case") if hasattr(request.node, "callspec") else None
    if case is not None:
        _skip_without(case.suffix)


def _skip_without(suffix: str) -> None:
    """Skip where the package that reads a format is not installed."""
    if ".parquet" in suffix:
        pytest.importorskip("pyarrow")
    if ".xlsx" in suffix:
        pytest.importorskip("openpyxl")
    if ".zst" in suffix and sys.version_info < (3, 14):
        pytest.importorskip("backports.zstd")


def test_number_of_cases_and_unique_names():
    assert len(CASES) >= 180
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.skipif(pd.__version__.startswith("2."), reason="the page is written with pandas 3")
def test_documentation_is_up_to_date():
    for suffix in (".parquet", ".xlsx", ".zst"):
        _skip_without(suffix)
    assert DOCUMENT.read_text(encoding="utf-8") == document(), (
        "run: python tests/support/flawed_tables.py docs/tables.md"
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.filterwarnings("error")
def test_flawed_table(case: Case, tmp_path: Path):
    if case.error:
        with pytest.raises(TableError) as caught:
            read_case(case, tmp_path)
        message = str(caught.value)
        assert re.search(case.error, to_shown(message)), message
        assert not re.search(r"(?<!\w)--\w", message), "the library names keys, not flags"
        assert "\n" not in message
        return
    table = read_case(case, tmp_path)
    assert case.values is not None
    assert dict(zip(table.ids, (v.tolist() for v in table.values), strict=True)) == case.values
    assert table.frequency == case.frequency
    assert len(table.notes) == len(case.notes), table.notes
    for expected, note in zip(case.notes, table.notes, strict=True):
        assert re.search(re.escape(expected), note), table.notes
    assert all(math.isfinite(v) for values in table.values for v in values)
    assert [len(times) for times in table.times] == [len(values) for values in table.values]


@pytest.mark.parametrize("case", [case for case in CASES if not case.error], ids=lambda case: case.name)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_forecast_is_read_with_the_options_of_its_table(case: Case, suffix: str, tmp_path: Path):
    """Its columns have the names of the table, so that what names them for the table names them here."""
    _skip_without(f".{suffix}")
    options = dict(case.options)
    frame = read_table(write_file(case, tmp_path), encoding=options.pop("encoding", None))
    table = to_series(frame, **options)
    yhat = np.arange(4.0 * len(table.ids)).reshape(-1, 4)
    write_table(forecast_frame(table, yhat, frame), tmp_path / f"forecast.{suffix}")
    for key in ("target", "columns", "date_format"):  # of the values, and of times as they were written
        options.pop(key, None)
    if table.id_columns:
        options.setdefault("id_column", table.id_columns)
    written = read_table(tmp_path / f"forecast.{suffix}", id_column=options.get("id_column"))
    again = to_series(written, **options, target="yhat")
    assert again.ids == table.ids
    assert [one.tolist() for one in again.values] == yhat.tolist()


def command(*words: object) -> tuple[int, list[str]]:
    """Run a command; return its exit code and the lines on standard error. Uncaught exceptions fail the test."""
    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", SWTTimeWarning)
        code = run([str(word) for word in words])
    return code, stderr.getvalue().splitlines()


def train(table: Path, out: Path, *more: object) -> tuple[int, list[str]]:
    return command(
        *("train", "--data", table, "--out", out, "--horizon", 1, "--context", 3, "--split", "none"),
        *("--backbone", "none", "--max-steps", 2, *SETTINGS, *more),
    )


def forecast(model: Path, table: Path, out: Path, *more: object) -> tuple[int, list[str]]:
    return command("forecast", "--model", model, "--data", table, "--out", out, *more)


def assert_refused(outcome: tuple[int, list[str]], text: str, out: Path) -> None:
    """Assert exit code 2, an error of one line, and no output."""
    code, lines = outcome
    assert code == 2
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1, lines
    assert re.search(text, errors[0]), errors
    assert not out.exists()


def assert_finite(outcome: tuple[int, list[str]], out: Path, series: int, rows: int) -> None:
    code, lines = outcome
    assert code == 0, lines
    written = pd.read_csv(out, keep_default_na=False)
    assert len(written) == series * rows
    assert np.isfinite(written["yhat"].astype(float)).all()
    assert (written[written.columns[-2]] != "").all()  # the times


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_flawed_table_through_train_and_forecast(case: Case, tmp_path: Path):
    table, model, out = write_file(case, tmp_path), tmp_path / "model", tmp_path / "forecast.csv"
    trained = train(table, model, *to_words(case))
    if case.error:
        assert_refused(trained, case.error, model)
        return
    assert case.values is not None
    if max(map(len, case.values.values())) < ROWS_NEEDED:
        assert_refused(trained, "too few rows", model)
        return
    assert trained[0] == 0, trained
    predicted = forecast(model, table, out)
    assert_forecast(predicted, case, out)


def assert_forecast(outcome: tuple[int, list[str]], case: Case, out: Path) -> None:
    """Assert a finite forecast of every series that is long enough, and that the others are named."""
    short = [name for name, values in case.values.items() if len(values) < ROWS_NEEDED - 1]
    if len(short) == len(case.values):
        assert_refused(outcome, f"series {short[0]!r} has .* rows, the model needs at least 3", out)
        return
    assert_finite(outcome, out, len(case.values) - len(short), 1)
    # Notes are silenced in this process; the written series tell which ones were left out.
    written = pd.read_csv(out, keep_default_na=False, dtype=str)
    ids = written[written.columns[:-2]]  # before the times and the forecasts
    assert set(ids.agg("/".join, axis="columns")).isdisjoint(short)


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained on another, long table; it can forecast tables with any columns."""
    folder = tmp_path_factory.mktemp("other_model")
    rows = "".join(f"s,{day},{i % 3}\n" for i, day in enumerate(pd.date_range("2020-01-01", periods=30).date))
    (folder / "table.csv").write_text("unique_id,ds,y\n" + rows)
    assert train(folder / "table.csv", folder / "model")[0] == 0
    return folder / "model"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_flawed_table_given_to_another_model(case: Case, other_model: Path, tmp_path: Path):
    table, out = write_file(case, tmp_path), tmp_path / "forecast.csv"
    predicted = forecast(other_model, table, out, *to_words(case))
    if case.error:
        assert_refused(predicted, case.error, out)
        return
    assert case.values is not None
    assert_forecast(predicted, case, out)


def test_assert_finite_detects_missing_values(tmp_path: Path):
    """Control: `assert_finite` fails on a forecast that is not finite."""
    for cell in ("nan", "inf", ""):
        (tmp_path / "f.csv").write_text(f"unique_id,ds,yhat\na,2024-01-01,{cell}\n")
        with pytest.raises((AssertionError, ValueError)):
            assert_finite((0, []), tmp_path / "f.csv", 1, 1)


FAR = wide([0, 1] * 10 + [1e17], pd.date_range("2024-01-01", periods=21).strftime("%Y-%m-%d").tolist())


def test_values_far_from_the_training_mean_are_refused(tmp_path: Path):
    """Their squares overflow float32 and would give infinite losses and NaN forecasts."""
    far, near = tmp_path / "far.csv", tmp_path / "near.csv"
    far.write_text(FAR)
    near.write_text(FAR.replace("1e+17", "4e+14"))
    where = r"series 'y' at 2024-01-21 00:00:00: the value 1e\+17 lies 2e\+17 standard deviations"
    assert_refused(train(far, tmp_path / "a", "--split", "0.6/0.2/0.2"), where, tmp_path / "a")
    assert train(near, tmp_path / "b", "--split", "0.6/0.2/0.2")[0] == 0
    assert_refused(forecast(tmp_path / "b", far, tmp_path / "far-out.csv"), where, tmp_path / "far-out.csv")
    assert_finite(forecast(tmp_path / "b", near, tmp_path / "near-out.csv"), tmp_path / "near-out.csv", 1, 1)


def test_non_finite_forecasts_are_refused(other_model: Path, tmp_path: Path):
    table, out = tmp_path / "table.csv", tmp_path / "f.csv"
    table.write_text(wide(GOOD))
    forecaster = Forecaster.load(other_model)
    forecaster.model.head.linear.weight.data.fill_(1e38)
    weights = forecaster.trained.checkpoint.weights
    weights["head.linear.weight"] = np.full_like(weights["head.linear.weight"], 1e38)
    forecaster.save(tmp_path / "wild")
    code, lines = forecast(tmp_path / "wild", table, out)
    assert code == 1
    assert "the forecast of series 'y' is not finite" in lines[-1]
    assert not out.exists()


def test_missing_file_suggests_a_similar_name(tmp_path):
    (tmp_path / "sales.csv").write_text(wide(GOOD))
    with pytest.raises(TableError, match=r"no such file: .*salse\.csv; did you mean '.*sales\.csv'"):
        read_table(tmp_path / "salse.csv")
    with pytest.raises(TableError, match="no such file"):
        read_table(tmp_path / "no" / "folder" / "x.csv")
    with pytest.raises(TableError, match="cannot read"):
        read_table(tmp_path)
