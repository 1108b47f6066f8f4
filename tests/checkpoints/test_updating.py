"""Updates of a closed form, compared with a fit on all rows at once."""

import warnings
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster
from swt_time.checkpoints import read_checkpoint, updating
from swt_time.checkpoints.updating import updated, with_sums
from swt_time.data.parts import split_table
from swt_time.data.series import SeriesTable, to_series
from swt_time.errors import CheckpointError, ConfigError, SWTTimeWarning, TableError
from swt_time.model.closed_form import FormRecord, Prior, Sums, solve, solve_again, sum_all, sums
from swt_time.model.closed_form.moments import moments
from swt_time.model.closed_form.priors import wavelet_penalties
from swt_time.model.closed_form.sums import _Exactly

T, H = 24, 6
WIDTH = T + H
OPTIONS = {"context": T, "preset": "fast", "level": 2, "patch_len": 8, "stride": 4, "split": "none", "keep_sums": True}


def values(name: str, rows: int) -> np.ndarray:
    noise = np.random.default_rng(sum(map(ord, name)))
    return 5 + np.sin(np.arange(rows) / 3) + 0.3 * noise.normal(size=500)[:rows]


def table(missing: dict[str, list[int]] | None = None, /, **rows: tuple[int, int]) -> pd.DataFrame:
    """Rows from begin to end of each series, and where a value is missing, by row of the series."""
    frames = []
    for name, (begin, end) in rows.items():
        one = pd.DataFrame({"shop": name, "when": pd.date_range("2024-01-01", periods=end, freq="h")})
        one["sold"] = values(name, end)
        one.loc[(missing or {}).get(name, []), "sold"] = np.nan
        frames.append(one[begin:])
    return pd.concat(frames, ignore_index=True)


def fitted(frame: pd.DataFrame, **options) -> Forecaster:
    named = {"id_column": "shop", "target": "sold", "fill": "linear"}
    return quietly(Forecaster(horizon=H, **{**OPTIONS, **named, **options}).fit, frame)


def read(frame: pd.DataFrame) -> SeriesTable:
    return quietly(lambda: to_series(frame, id_column="shop", target="sold", fill="linear"))


def quietly(do, *given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SWTTimeWarning)
        return do(*given)


def windows_of(frame: pd.DataFrame, checkpoint) -> tuple[np.ndarray, np.ndarray]:
    """All windows of a table in the scales of a checkpoint, read one by one: contexts as known then, and targets."""
    known, x, y = checkpoint.trained_on, [], []
    for name, one in frame.groupby("shop", sort=False):
        place = known.ids.index(name)
        raw = (one["sold"].to_numpy() - known.mean[place]) / known.deviation[place]
        for begin in range(len(raw) - WIDTH + 1):
            context = pd.Series(raw[: begin + T]).interpolate().to_numpy()[begin:]
            target = raw[begin + T : begin + WIDTH]
            if not np.isnan(target).all():
                x.append(context - context.mean())
                y.append(target - context.mean())
    return np.array(x), np.array(y)


def solved(frame: pd.DataFrame, checkpoint) -> np.ndarray:
    """The ridge regression of the observed targets, one step after the other."""
    form = checkpoint.provenance["training"]["closed_form"]
    priors = {one.tilt: one for one in wavelet_penalties(T, Prior("haar", 2, "reflect"))}
    root = np.linalg.cholesky(priors[form["tilt"]].covariance)
    x, y = windows_of(frame, checkpoint)
    x = x @ root
    strength = form["strength"] * np.trace(x.T @ x) / T
    found = []
    for step in y.T:
        seen = ~np.isnan(step)
        found.append(root @ np.linalg.solve(x[seen].T @ x[seen] + strength * np.eye(T), x[seen].T @ step[seen]))
    return np.array(found)


def sums_of(checkpoint) -> Sums:
    found = Sums.from_arrays(checkpoint.weights, T, H, len(checkpoint.trained_on.ids))
    assert found is not None
    return found


CASES = {
    "one series": (table(a=(0, 120)), [table(a=(120 - WIDTH + 1, 200))], table(a=(0, 200))),
    "more rows than needed, in three updates": (
        table(a=(0, 120)),
        [table(a=(30, 121)), table(a=(60, 150)), table(a=(0, 200))],
        table(a=(0, 200)),
    ),
    "several series with their own ends, a new and a short one": (
        table(a=(0, 120), b=(0, 90), d=(0, 20)),
        [table(a=(70, 160), b=(60, 91), c=(0, 70)), table(b=(50, 100), c=(10, 80), d=(0, 60))],
        table(a=(0, 160), b=(0, 100), c=(0, 80), d=(0, 60)),
    ),
    "a series that does not continue": (
        table(a=(0, 120), b=(0, 90)),
        [table(a=(70, 160), b=(40, 90)), table(a=(100, 170))],
        table(a=(0, 170), b=(0, 90)),
    ),
    "missing values before, at and after the border": (
        table({"a": [30, 31, 118], "b": [40]}, a=(0, 120), b=(0, 90)),
        [table({"a": [118, 121, 140, 141], "b": [95]}, a=(80, 180), b=(50, 110))],
        table({"a": [30, 31, 118, 121, 140, 141], "b": [40, 95]}, a=(0, 180), b=(0, 110)),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_update_equals_a_fit_on_all_rows(case):
    first, later, whole = CASES[case]
    forecaster = fitted(first, closed_form=[])
    for frame in later:
        quietly(forecaster.update, frame)
    checkpoint = forecaster.trained.checkpoint
    x, y = windows_of(whole, checkpoint)
    seen = ~np.isnan(y)
    assert dict(zip(checkpoint.trained_on.ids, sums_of(checkpoint).rows, strict=True)) == dict(
        whole.groupby("shop").size()
    )
    found = sums_of(checkpoint).moments
    expected = {"inputs": x.T @ x, "products": x.T @ np.nan_to_num(y), "targets": np.nansum(y**2), "points": seen.sum()}
    for name, one in expected.items():
        np.testing.assert_allclose(getattr(found, name), one, rtol=1e-10, atol=1e-10 * np.abs(one).max())
    assert len(found.partial) == (~seen.all(axis=1)).sum()
    weight = solved(whole, checkpoint)
    np.testing.assert_allclose(forecaster.model.skip.weight, weight, rtol=0, atol=1e-6 * np.abs(weight).max())
    assert np.abs(weight - solved(first, checkpoint)).max() > 1e-3 * np.abs(weight).max(), "the rows matter"


FORMS = [
    {"prior": "season", "strength": 0.1, "tilt": 1.0, "structure": False, "centre": "mean", "exponent": 0},
    {"prior": "season", "strength": 0.01, "tilt": 1.0, "structure": True, "centre": "last", "exponent": 2},
    {"prior": "wavelet", "strength": 1.0, "tilt": 0.5, "structure": True, "centre": "mean", "exponent": 1},
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form['prior']} {form['exponent']}")
@pytest.mark.parametrize("missing", [[], [50, 119, 122]], ids=["complete", "with gaps"])
def test_every_form_is_solved_as_on_all_rows(form, missing, monkeypatch):
    """In double precision: the map of an update, and of all windows read one by one in equal scales."""
    maps = []
    monkeypatch.setattr(updating, "solve_again", lambda *given: maps.append(solve_again(*given)) or maps[-1])
    first = read(table({"a": [row for row in missing if row < 120]}, a=(0, 120)))
    later, whole = (read(table({"a": missing}, a=(begin, 200))) for begin in (60, 0))
    base = fitted(table(a=(0, 120)))
    parts = split_table(first, "none", T, H)
    training = {**base.trained.checkpoint.provenance["training"], "closed_form": form}
    scales = {"mean": parts.scaler.mean.tolist(), "deviation": parts.scaler.std.tolist()}
    checkpoint = replace(
        base.trained.checkpoint,
        provenance={"training": training},
        trained_on=replace(base.trained.checkpoint.trained_on, **scales),
    )
    updated(with_sums(checkpoint, parts), later)
    every = updating._windows(whole, parts.scaler, np.zeros(1, np.int64), T, H)
    assert len(every) == 200 - WIDTH + 1
    exactly = _Exactly(every.series, every.windows, every.table, every.scaler, every.train_rows)
    together = moments(exactly, np.arange(len(every)), form["exponent"])
    expected = solve_again(together, FormRecord(**form), Prior("haar", 2, "reflect"), 24)
    np.testing.assert_allclose(maps[0], expected, rtol=0, atol=1e-10 * float(np.abs(expected).max()))


@pytest.mark.parametrize(
    ("parts", "form"),
    [
        ([], ("wavelet", False, "mean")),
        (["blocks", "structure"], ("wavelet", True, "mean")),
        (["blocks", "season", "structure"], ("season", True, "mean")),
        (["blocks", "season", "structure", "last"], ("season", False, "last")),
    ],
)
def test_a_recorded_form_is_solved_again(parts, form):
    """The map of `solve`, whose form it chose on the same windows."""
    frame = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=400, freq="h")})
    frame["a"], frame["b"] = np.random.default_rng(0).normal(size=(2, 400)).cumsum(axis=1)
    train = split_table(to_series(frame), "none", T, H).train
    prior = Prior("haar", 2, "reflect")
    solution = solve(train, None, T, prior, parts)
    assert (solution.prior, solution.structure, solution.centre) == form
    record = FormRecord(**{one.name: getattr(solution, one.name) for one in fields(FormRecord)})
    again = solve_again(sum_all(train, T, H, solution.exponent), record, prior, train.season)
    np.testing.assert_allclose(again, solution.weight, rtol=0, atol=1e-10)


def test_a_saved_model_is_updated_and_saved_again(tmp_path):
    whole, later = table(a=(0, 200)), table(a=(120 - WIDTH + 1, 200))
    forecaster = fitted(table(a=(0, 120)))
    forecaster.save(tmp_path / "before")
    forecaster.update(later).save(tmp_path / "after")
    again = Forecaster.load(tmp_path / "before").update(later)
    expected = forecaster.predict(whole)
    pd.testing.assert_frame_equal(again.predict(whole), expected)
    pd.testing.assert_frame_equal(Forecaster.load(tmp_path / "after").predict(whole), expected)
    assert (Forecaster.load(tmp_path / "before").predict(whole)["yhat"] != expected["yhat"]).any()
    (record,) = read_checkpoint(tmp_path / "after").provenance["updates"]
    assert record["rows"] == len(later)


def test_a_run_in_a_folder_keeps_its_sums(tmp_path):
    frame = table(a=(0, 120))
    in_memory = fitted(frame).trained.checkpoint
    named = {"id_column": "shop", "target": "sold", "fill": "linear"}
    Forecaster(horizon=H, **OPTIONS, **named).fit(frame, out=tmp_path / "m")
    found = read_checkpoint(tmp_path / "m").weights
    assert found.keys() == in_memory.weights.keys()
    assert all(np.array_equal(found[name], one) for name, one in in_memory.weights.items())
    Forecaster(horizon=H, **OPTIONS, **named).fit(frame, start=tmp_path / "m")


def test_the_rows_after_the_training_part_are_new():
    """With a validation and a test part, an update continues where the training part ends."""
    forecaster = fitted(table(a=(0, 200)), split="0.6/0.2/0.2", closed_form=[])
    forecaster.update(table(a=(120 - WIDTH + 1, 200)))
    checkpoint = forecaster.trained.checkpoint
    weight = solved(table(a=(0, 200)), checkpoint)
    np.testing.assert_allclose(forecaster.model.skip.weight, weight, rtol=0, atol=1e-6 * np.abs(weight).max())


REFUSED = {
    "rows already seen": (table(a=(60, 120)), "trained on all rows of the table, which ends at 2024-01-05 23:00:00"),
    "the same table": (table(a=(0, 120), b=(0, 90)), "trained on all rows of the table"),
    "a row too few before": (table(a=(120 - WIDTH + 2, 200)), rf"'a': an update needs the last {WIDTH - 1} .* has 28"),
    "a gap between": (table(a=(121, 200)), r"'a': an update needs .* up to 2024-01-05 23:00:00, before .* has 0 rows"),
    "another frequency": (
        table(a=(60, 200)).assign(when=lambda one: pd.date_range("2024-01-06", periods=140, freq="D")),
        "the table's frequency is D, the model was trained on h; an update needs the same",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_table_that_does_not_continue_the_training_is_refused(case):
    frame, message = REFUSED[case]
    forecaster = fitted(table(a=(0, 120), b=(0, 90)))
    before = forecaster.trained.checkpoint
    with pytest.raises(TableError, match=message):
        quietly(forecaster.update, frame)
    assert forecaster.trained.checkpoint is before


def test_rows_are_not_added_twice():
    forecaster, later = fitted(table(a=(0, 120))), table(a=(60, 200))
    forecaster.update(later)
    with pytest.raises(TableError, match="trained on all rows of the table"):
        forecaster.update(later)


def test_series_without_new_rows_are_named():
    forecaster = fitted(table(a=(0, 120), b=(0, 90)))
    with pytest.warns(SWTTimeWarning, match="no new rows in 'b': nothing is added"):
        forecaster.update(table(a=(60, 160), b=(40, 90)))


def test_a_model_without_sums_is_refused():
    with pytest.raises(CheckpointError, match=r"does not hold the sums .* train it with training\.keep_sums true"):
        fitted(table(a=(0, 120)), keep_sums=False).update(table(a=(60, 200)))


@pytest.mark.parametrize("options", [{"max_steps": 2}, {"panel": True}, {"short": "pad"}])
def test_sums_are_those_of_the_closed_form_alone(options):
    with pytest.raises(ConfigError, match=r"training\.keep_sums needs the closed form alone"):
        Forecaster(horizon=H, **{**OPTIONS, **options})


def test_too_many_windows_with_missing_targets_are_refused(monkeypatch):
    monkeypatch.setattr(sums, "MOST_PARTIAL", 10)
    assert len(sums_of(fitted(table({"a": [116]}, a=(0, 120))).trained.checkpoint).moments.partial) == 4
    with pytest.raises(TableError, match=r"training\.keep_sums: more than 10 windows have some missing targets"):
        fitted(table({"a": [60, 80, 100]}, a=(0, 120)))


@pytest.mark.parametrize(
    "damage",
    [
        {"sums.inputs": np.zeros((T, T), dtype=np.float32)},
        {"sums.products": np.full((T, H), np.nan)},
        {"sums.partial": np.zeros(())},
        {"sums.rows": np.zeros(3, dtype=np.int64)},
        {"sums.more": np.zeros(3)},
    ],
    ids=lambda damage: next(iter(damage)),
)
def test_damaged_sums_are_refused(damage):
    checkpoint = fitted(table(a=(0, 120))).trained.checkpoint
    with pytest.raises(CheckpointError, match=f"do not fit the configuration: .*{next(iter(damage))}"):
        updated(replace(checkpoint, weights={**checkpoint.weights, **damage}), read(table(a=(60, 200))))


@pytest.mark.parametrize(
    "damage",
    [{"prior": "plain"}, {"prior": "other"}, {"tilt": 3.0}, {"strength": float("nan")}, {"exponent": "x"}, None],
)
def test_a_damaged_form_is_refused(damage):
    checkpoint = fitted(table(a=(0, 120))).trained.checkpoint
    training = checkpoint.provenance["training"]
    form = None if damage is None else {**training["closed_form"], "prior": "wavelet", **damage}
    broken = replace(checkpoint, provenance={"training": {**training, "closed_form": form}})
    with pytest.raises(CheckpointError, match=r"training.closed_form\) is damaged"):
        updated(broken, read(table(a=(60, 200))))
