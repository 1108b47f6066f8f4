"""No leaks: test rows do not affect training, validation rows do not affect the scaler, later rows do not affect a
forecast. Each check also detects a planted leak, or has a control."""

import numpy as np
import pandas as pd
import pytest

import swt_time.data.parts
import swt_time.evaluation.fitting
import swt_time.evaluation.trained
from swt_time import Forecaster
from swt_time.checkpoints.checkpoint import read_checkpoint
from swt_time.config import Config
from swt_time.data import gathering
from swt_time.data.parts import PartWindows, split_table
from swt_time.data.scaling import fit_scaler
from swt_time.data.series import SeriesTable, to_series
from swt_time.evaluation.baselines import fit_baseline
from swt_time.evaluation.scoring import evaluate_table
from swt_time.model.weights import to_arrays

pytestmark = pytest.mark.usefixtures("claims_on_record")

CLAIMS = {
    "test_test_rows_do_not_change_the_trained_model": (
        "leaks",
        "rows of the test part change nothing in a trained model",
    ),
    "test_training_reads_no_test_rows": ("leaks", "training reads no row of the test part"),
    "test_rows_after_a_window_do_not_change_its_forecast": (
        "leaks",
        "rows after a window change nothing in the forecast from it",
    ),
    "test_rows_after_a_cutoff_do_not_change_a_backtest": (
        "leaks",
        "rows after a cutoff change nothing in a backtest, with and without gaps and a fit for each cutoff",
    ),
    "test_rows_after_a_cutoff_change_nothing_in_a_forecast_without_a_model": (
        "leaks",
        "rows after a cutoff in a gap change nothing in the one command, whatever fills the gap",
    ),
    "is_detected": ("leaks", "planted leaks are detected"),
}

CONTEXT, HORIZON = 48, 12
VALIDATION, TEST = 420, 480
"""First validation row and first test row of 600 rows split 0.7/0.1/0.2."""

KINDS = ("none", "transformer", "ridge", "linear", "bert")


def config(kind, backbones):
    name = {"bert": str(backbones["bert"]), "ridge": "none", "linear": "none"}.get(kind, kind)
    return Config().replace(
        {
            "data.context": CONTEXT,
            "data.horizon": HORIZON,
            "backbone.name": name,
            "backbone.precision": "float32",
            "embedding.d_model": 8,
            "model.d_ff": 8,
            "model.n_heads": 2,
            "model.n_prototypes": 16,
            "model.skip": "ridge" if kind == "ridge" else "linear",
            "training.max_steps": 12,
            "training.validate_every": 3,
            "training.validation_windows": 24,
            "training.device": "cpu",
        }
    )


def altered(frame, first, last=None):
    """Return the table with other values from row ``first`` to before row ``last``."""
    changed = frame.copy()
    for name in frame.columns[1:]:
        values = frame[name].to_numpy(copy=True)
        values[first:last] = 1000 - 7 * values[first:last]
        changed[name] = values
    return changed


def fit(kind, frame, backbones, folder):
    """Train and return scaler, weights, losses and the chosen step."""
    settings = config(kind, backbones)
    if kind == "linear":
        series = to_series(frame)
        parts = split_table(series, settings.data.split, CONTEXT, HORIZON)
        baseline = fit_baseline("linear", parts, series, settings)
        weights, result = to_arrays(baseline.model.trained_state()), baseline.result
        scaler = parts.scaler.mean, parts.scaler.std
    else:
        forecaster = Forecaster.from_config(settings).fit(frame)
        forecaster.save(folder, overwrite=True)
        checkpoint = read_checkpoint(folder)
        weights, result = checkpoint.weights, forecaster.result
        scaler = checkpoint.trained_on.mean, checkpoint.trained_on.deviation
    return {
        "scaler": np.array(scaler).tolist(),
        "weights": {name: weight.tobytes() for name, weight in weights.items()},
        "losses": [(row.step, row.train_loss, row.validation_loss) for row in result.history],
        "step": (result.best_step, result.best_loss),
    }


def differences(one, other):
    return {name for name in one if one[name] != other[name]}


@pytest.mark.parametrize("kind", KINDS)
def test_test_rows_do_not_change_the_trained_model(kind, hourly_wide, tiny_backbones, tmp_path):
    clean = fit(kind, hourly_wide, tiny_backbones, tmp_path / "model")
    assert differences(clean, fit(kind, altered(hourly_wide, TEST), tiny_backbones, tmp_path / "model")) == set()
    # The control: the row before, the last one of the validation part, changes the validation losses.
    changed = fit(kind, altered(hourly_wide, TEST - 1), tiny_backbones, tmp_path / "model")
    assert {"losses", "step"} <= differences(clean, changed)
    assert "scaler" not in differences(clean, changed)


def test_scaler_fitted_on_test_rows_is_detected(hourly_wide, tiny_backbones, tmp_path, monkeypatch):
    monkeypatch.setattr(swt_time.data.parts, "fit_scaler", lambda values, *_: fit_scaler(values, [600, 600]))
    clean, changed = (
        fit("none", frame, tiny_backbones, tmp_path / "model") for frame in (hourly_wide, altered(hourly_wide, TEST))
    )
    assert differences(clean, changed) == {"scaler", "weights", "losses", "step"}


def test_validation_on_test_windows_is_detected(hourly_wide, tiny_backbones, tmp_path, monkeypatch):
    original = swt_time.evaluation.fitting.split_table

    def leaky(*words, **options):
        parts = original(*words, **options)
        return type(parts)(parts.table, parts.scaler, parts.train, parts.test, parts.test)

    monkeypatch.setattr(swt_time.evaluation.fitting, "split_table", leaky)
    clean, changed = (
        fit("none", frame, tiny_backbones, tmp_path / "model") for frame in (hourly_wide, altered(hourly_wide, TEST))
    )
    assert {"losses", "step"} <= differences(clean, changed)


def test_validation_rows_do_not_change_the_scaler(hourly_wide):
    def scaler(frame):
        found = split_table(to_series(frame), "0.7/0.1/0.2", CONTEXT, HORIZON).scaler
        return found.mean.tolist(), found.std.tolist()

    assert scaler(altered(hourly_wide, VALIDATION)) == scaler(hourly_wide)
    # The control: the last train row changes the scaler.
    assert scaler(altered(hourly_wide, VALIDATION - 1, VALIDATION)) != scaler(hourly_wide)


@pytest.fixture
def rows_read(monkeypatch):
    """Record the rows of all windows that are read."""
    seen = set()

    def spy(series, pairs, context, horizon):
        for _, first in pairs.tolist():
            seen.update(range(first, first + context + horizon))
        return gathering.gather(series, pairs, context, horizon)

    def spy_on_runs(part):
        runs, flat = whole(part), part.series.flat
        for run in runs or []:
            # what was read, by its place in memory
            begin = (run.__array_interface__["data"][0] - flat.__array_interface__["data"][0]) // flat.itemsize
            series = np.searchsorted(part.series.offsets, begin, side="right") - 1
            first = begin - part.series.offsets[series]
            seen.update(range(first, first + len(run)))
        return runs

    whole = PartWindows.runs
    monkeypatch.setattr(swt_time.data.parts, "gather", spy)
    monkeypatch.setattr(PartWindows, "runs", spy_on_runs)
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_training_reads_no_test_rows(kind, hourly_wide, tiny_backbones, tmp_path, rows_read):
    fit(kind, hourly_wide, tiny_backbones, tmp_path / "model")
    assert max(rows_read) == TEST - 1
    # The control: evaluation reads all of them.
    forecaster = fit_baseline("last-value", None, to_series(hourly_wide), config("none", tiny_backbones))
    evaluate_table(forecaster, to_series(hourly_wide), "0.7/0.1/0.2", CONTEXT, HORIZON)
    assert set(range(TEST, 600)) < rows_read


def forecasts_before(forecaster, frame, moment):
    """Return the forecasts of the test windows whose context ends at or before a row."""
    part = split_table(to_series(frame), "0.7/0.1/0.2", CONTEXT, HORIZON).test
    pairs = part.windows.pairs()
    contexts, _ = part.gather(np.arange(len(part)))
    return forecaster.forecast_windows(contexts)[pairs[:, 1] + CONTEXT <= moment]


@pytest.mark.parametrize("kind", ["none", "transformer", "bert"])
def test_rows_after_a_window_do_not_change_its_forecast(kind, hourly_wide, tiny_backbones):
    """Windows with changed rows are in the same batches, where their prompts can only change the padding."""
    forecaster = Forecaster.from_config(config(kind, tiny_backbones)).fit(hourly_wide)
    clean = forecasts_before(forecaster, hourly_wide, 530)
    assert clean.shape == (2 * (530 - TEST + 1), HORIZON)
    np.testing.assert_allclose(forecasts_before(forecaster, altered(hourly_wide, 530), 530), clean, atol=2e-5, rtol=0)
    # The control: the last row of the last of these contexts changes its forecast.
    changed = forecasts_before(forecaster, altered(hourly_wide, 529), 530)
    assert np.abs(changed - clean).max() > 1


def long_table(frame, prefix):
    """Return the columns of a wide table as a long table, with a prefix before their names."""
    parts = [
        pd.DataFrame({"unique_id": f"{prefix} {name}", "ds": frame["date"], "y": frame[name] * 1e-3})
        for name in frame.columns[1:]
    ]
    return pd.concat(parts, ignore_index=True)


def cross_validated(forecaster, table):
    """Return the forecasts of the first of three rolling origins, whose context ends with row 563."""
    found = forecaster.cross_validation(table, windows=3)
    first = found[found["cutoff"] == found["cutoff"].min()]
    return first["yhat"].to_numpy()


@pytest.mark.parametrize("prefix", ["known", "new"])
def test_rows_after_a_cutoff_do_not_change_its_forecast(prefix, hourly_wide, tiny_backbones, monkeypatch):
    forecaster = Forecaster.from_config(config("none", tiny_backbones)).fit(long_table(hourly_wide, "known"))
    frames = (hourly_wide, altered(hourly_wide, 600 - 36), altered(hourly_wide, 600 - 37))
    clean, changed, control = (long_table(frame, prefix) for frame in frames)
    expected = cross_validated(forecaster, clean)
    assert len(expected) == 2 * HORIZON
    np.testing.assert_array_equal(cross_validated(forecaster, changed), expected)
    assert (cross_validated(forecaster, control) != expected).all()
    if prefix == "new":
        # Planted leak: the scaler of new series is fitted on all their rows.
        monkeypatch.setattr(
            swt_time.evaluation.trained, "fit_scaler", lambda values, *_: fit_scaler(values, [600, 600])
        )
        assert (cross_validated(forecaster, changed) != cross_validated(forecaster, clean)).any()


ROWS, FIRST = 160, 160 - 2 * HORIZON
"""Rows of the backtested table, and rows before the first of its two cutoffs."""

BACKTESTS = {"auto": {}, "fast": {"preset": "fast", "context": CONTEXT, "level": 3, "split": "none"}}
"""Options of the forecasters that are backtested."""


@pytest.fixture
def frames(hourly_wide):
    """By ``data.fill``: the last rows of a table, with linear filling without the values around the first cutoff."""
    frame = hourly_wide.iloc[-ROWS:].reset_index(drop=True)
    gap = frame.copy()
    gap.loc[FIRST - 6 : FIRST + 5, "load"] = np.nan
    return {None: frame, "linear": gap}


def raised(frame, first, by=1000):
    """Return the table with everything from a row on raised."""
    changed = frame.copy()
    changed.loc[first:, frame.columns[1:]] += by
    return changed


def backtested(kind, frame, fill, refit=False):
    """Return the forecasts and their bounds from two cutoffs, (2, 2 * HORIZON, 3)."""
    forecaster = Forecaster(horizon=HORIZON, fill=fill, **BACKTESTS[kind])
    found = forecaster.backtest(frame, windows=2, refit=refit, levels=(50,))
    columns = ["yhat", "yhat-lo-50", "yhat-hi-50"]
    assert found[columns].notna().all(axis=None)
    return np.stack([one[columns].to_numpy() for _, one in found.groupby("cutoff")])


@pytest.mark.filterwarnings("ignore::swt_time.errors.SWTTimeWarning")
@pytest.mark.parametrize("fill", [None, "linear"])
@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize("kind", BACKTESTS)
def test_rows_after_a_cutoff_do_not_change_a_backtest(kind, refit, fill, frames, monkeypatch):
    frame = frames[fill]
    clean, first, second = (
        backtested(kind, one, fill, refit) for one in (frame, raised(frame, FIRST), raised(frame, FIRST + HORIZON))
    )
    np.testing.assert_array_equal(first[0], clean[0])
    np.testing.assert_array_equal(second, clean)
    # The control: the second cutoff sees the rows after the first one.
    assert (first[1] != clean[1]).any()
    # Planted leak: the model is fitted on all rows.
    monkeypatch.setattr(SeriesTable, "cut", lambda table, rows: table)
    clean, first = (backtested(kind, one, fill, refit) for one in (frame, raised(frame, FIRST)))
    assert (first[0] != clean[0]).any()


@pytest.mark.filterwarnings("ignore::swt_time.errors.SWTTimeWarning")
def test_interpolation_up_to_a_later_value_is_detected_in_a_backtest(frames, monkeypatch):
    def leaky(table, index, origin, length):
        return table.values[index][origin - length : origin]

    monkeypatch.setattr(SeriesTable, "context", leaky)
    frame = frames["linear"]
    clean, changed = (backtested("fast", one, "linear") for one in (frame, raised(frame, FIRST)))
    assert (clean[0] != changed[0]).any()


@pytest.mark.filterwarnings("ignore::swt_time.errors.SWTTimeWarning")
def test_interpolation_up_to_a_later_value_does_not_change_the_unit_of_a_series(hourly_wide):
    forecaster = Forecaster(horizon=HORIZON, fill="linear", **BACKTESTS["fast"]).fit(hourly_wide)
    frame = hourly_wide.iloc[: CONTEXT + HORIZON].copy()
    frame.loc[CONTEXT // 2 : CONTEXT - 1, "load"] = np.nan
    clean, changed = (
        forecaster.cross_validation(one, windows=1)["yhat"] for one in (frame, raised(frame, CONTEXT, 1e6))
    )
    np.testing.assert_array_equal(clean, changed)


@pytest.mark.parametrize("fill", ["linear", "ffill", "zero"])
def test_rows_after_a_cutoff_change_nothing_in_a_forecast_without_a_model(fill, hourly_wide, swt_time, tmp_path):
    """The choice on held-out blocks, the forecast, its intervals and its sample paths; the cutoff lies in a gap."""
    frame = hourly_wide.iloc[-ROWS:].reset_index(drop=True)
    frame.loc[FIRST - 6 : FIRST + 5, "load"] = np.nan
    tables = {"clean": frame, "later": raised(frame, FIRST), "control": raised(frame, FIRST - 1)}
    written = {}
    for name, table in tables.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        files = ("--data", tmp_path / f"{name}.csv", "--out", tmp_path / f"{name}-forecast.csv")
        around = ("--levels", "50,80", "--quantiles", "0.1", "--samples", 3)
        swt_time(
            "forecast", *files, *around, "--horizon", HORIZON, "--fill", fill, "--cutoff", frame["date"][FIRST - 1]
        )
        written[name] = (tmp_path / f"{name}-forecast.csv").read_bytes()
    assert b"yhat-sample-3" in written["clean"]
    assert written["later"] == written["clean"]
    assert written["control"] != written["clean"]
