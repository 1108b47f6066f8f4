"""The closed form fitted to a folder is that of the table in memory, and its memory does not grow with the table."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from support.parts import CONTEXT, HORIZON, daily, write_parts
from swt_time import Forecaster
from swt_time.checkpoints import read_checkpoint
from swt_time.data.parquet_folder import divide, open_parquet_folder
from swt_time.data.parts import split_table
from swt_time.data.series import read_series
from swt_time.data.windows import evenly
from swt_time.errors import CheckpointError, ConfigError, TableError
from swt_time.model.alone import prior_of
from swt_time.model.closed_form import solve
from swt_time.model.closed_form.moments import moments
from swt_time.model.closed_form.solving import MOST_WINDOWS
from swt_time.scaling import fit_folder, windows
from swt_time.scaling.fitting import _check_size


def config(**options):
    return Forecaster(HORIZON, CONTEXT, preset="fast", level=2, split="0.6/0.2/0.2", **options).config


def gaps(table):
    """Every eleventh row is missing, and is filled."""
    return table[np.arange(len(table)) % 11 != 5]


CASES = {
    "gapless": (daily(), {}),
    "series of different lengths": (daily()[lambda t: t.index % 60 < 30 + t.index // 60], {}),
    "filled": (gaps(daily()), {"fill": "linear"}),
    "padded": (daily()[lambda t: t.index % 60 < np.where(t.index < 300, 9, 60)], {"short": "pad"}),
    "no validation part": (daily(), {"split": "none"}),
    "few-shot": (daily(), {"train_fraction": 0.5}),
}


@pytest.mark.parametrize("case", CASES)
def test_maps_are_equal_to_rounding(case, tmp_path):
    table, options = CASES[case]
    asked = Forecaster.from_config(config().replace({f"data.{key}": value for key, value in options.items()})).config
    data, pad = asked.data, asked.short == "pad"
    parts = split_table(
        read_series(table, data), data.split, CONTEXT, HORIZON, train_fraction=data.train_fraction, pad=pad
    )
    expected = solve(parts.train, parts.validation, CONTEXT, prior_of(asked.embedding), asked.model.closed_form)
    folder = open_parquet_folder(write_parts(table, tmp_path / "parts", row_group_size=100))
    series = windows.survey(divide(folder, ("unique_id",), 250), asked)
    assert len(series.buckets) > 3
    train, validation = series.windows("train"), series.windows("validation")
    found = solve(train, validation, CONTEXT, prior_of(asked.embedding), asked.model.closed_form)
    assert found.weight == pytest.approx(expected.weight, rel=0, abs=1e-10)
    assert np.abs(expected.weight).max() > 0.1
    assert rounded(found.record()) == rounded(expected.record())
    weighted = [moments(one, evenly(len(one), MOST_WINDOWS), 1) for one in (train, parts.train)]
    assert weighted[0].inputs == pytest.approx(weighted[1].inputs, rel=1e-10)
    assert weighted[0].products == pytest.approx(weighted[1].products, rel=1e-10)


def rounded(record):
    return json.loads(json.dumps(record), parse_float=lambda number: f"{float(number):.6f}")


def test_checkpoints_are_alike(table, parts, tmp_path):
    asked = config()
    result = fit_folder(parts, tmp_path / "folder", asked, bucket_rows=250)
    Forecaster.from_config(asked).fit(table).save(tmp_path / "memory")
    found, expected = read_checkpoint(tmp_path / "folder"), read_checkpoint(tmp_path / "memory")
    assert found.config == expected.config
    assert found.trained_on == expected.trained_on
    assert found.weights.keys() == expected.weights.keys()
    for name, one in found.weights.items():
        assert one == pytest.approx(expected.weights[name], rel=1e-6, abs=1e-7), name
    assert found.provenance["intervals"] == expected.provenance["intervals"]
    assert found.provenance["rows"] == expected.provenance["rows"]
    assert found.provenance["buckets"] == 6
    assert result.best_loss == pytest.approx(expected.provenance["training"]["best_validation_loss"])
    pd.testing.assert_frame_equal(
        Forecaster.load(tmp_path / "folder").predict(table), Forecaster.load(tmp_path / "memory").predict(table)
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.context": "auto"}, "data.context is auto"),
        ({"model.panel": True}, "model.panel needs the whole table"),
        ({"training.keep_sums": True}, "training.keep_sums needs the whole table"),
        ({"data.fill": "zero"}, "data.fill zero needs the whole table"),
        ({"data.known": ("promotion",)}, "data.known needs the whole table"),
        ({"training.max_steps": 3}, "takes the closed form alone"),
        ({"embedding.level": 6}, r"embedding\.level: expected 2\*\*level <= T = 16"),
    ],
)
def test_what_needs_the_whole_table_is_refused(parts, tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        fit_folder(parts, tmp_path / "out", config().replace(changes))
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_fitted_is_refused(parts, model, tmp_path):
    with pytest.raises(CheckpointError, match="exists"):
        fit_folder(parts, model, config())
    with pytest.raises(TableError, match="too few rows"):
        fit_folder(parts, tmp_path / "out", config().replace({"data.horizon": 50}))
    with pytest.raises(TableError, match="one series with too few rows"):
        fit_folder(write_parts(daily(1, 36), tmp_path / "one", 1), tmp_path / "out", config())
    with pytest.raises(TableError, match=r"scales of 600,000 series .* fit it to fewer"):
        _check_size([str(i) for i in range(600_000)])
    assert not (tmp_path / "out").exists()


MEASURE = """
import pathlib, resource, sys
import pandas as pd
from swt_time import Forecaster
from swt_time.scaling import fit_folder, forecast_folder
import pyarrow.parquet
asked = Forecaster(3, 16, preset="fast", level=2).config
fit_folder(sys.argv[1], sys.argv[3], asked, bucket_rows=20_000)
forecast_folder(sys.argv[1], sys.argv[3], sys.argv[3] + "-small", workers=1, bucket_rows=20_000)
base = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (base + int(sys.argv[4]),) * 2)
if sys.argv[5] == "folder":
    fit_folder(sys.argv[2], sys.argv[3], asked, bucket_rows=20_000, overwrite=True)
    forecast_folder(sys.argv[2], sys.argv[3], sys.argv[3] + "-out", workers=1, bucket_rows=20_000)
else:
    files = sorted(pathlib.Path(sys.argv[2]).iterdir())
    tables = [pyarrow.parquet.ParquetFile(one).read(use_threads=False).to_pandas(use_threads=False) for one in files]
    Forecaster.from_config(asked).fit(pd.concat(tables))
"""


def test_memory_is_bounded_by_a_part(tmp_path):
    """A table of 800,000 rows is fitted and forecast in little more address space than one of its 40 parts was.

    Read whole it does not fit, which shows that the limit holds.
    """
    small = write_parts(daily(200, 100), tmp_path / "small", 1)
    large = tmp_path / "large"
    large.mkdir()
    for number in range(40):
        part = daily(200, 100, seed=number)
        part["unique_id"] = f"{number}: " + part["unique_id"]
        part.to_parquet(large / f"part-{number:02}.parquet", index=False)

    def run(how):
        words = [sys.executable, "-c", MEASURE, small, large, tmp_path / how, 32 * 2**20, how]
        return subprocess.run(list(map(str, words)), capture_output=True, text=True)

    bounded = run("folder")
    assert bounded.returncode == 0, bounded.stderr
    assert len(read_checkpoint(tmp_path / "folder").trained_on.ids) == 8_000
    whole = run("memory")
    assert whole.returncode != 0
    assert "MemoryError" in whole.stderr
