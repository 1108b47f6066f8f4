"""Past and static covariates: what stands before a forecast may change it, and nothing that comes later."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from support.lagging import kinds, lagging
from swt_time import Config, Forecaster
from swt_time.cli import run
from swt_time.data.covariate_columns import Asked
from swt_time.data.series import series_sha256, to_series
from swt_time.effects import Effects, add_windows, fit_effects
from swt_time.effects.window_groups import Coding, PastGroup, averages, stretches
from swt_time.errors import CheckpointError, SWTTimeWarning, TableError
from swt_time.evaluation.trained import Trained
from swt_time.intervals import Residuals

HORIZON, ROWS = 7, 300
PAST = ("inquiries", "rain")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return lagging(ROWS + 70)


@pytest.fixture(scope="module")
def fitted(frame) -> Forecaster:
    return Forecaster(horizon=HORIZON, target="sales", past=PAST).fit(frame.iloc[:ROWS])


def learn(frame: pd.DataFrame, rows: int = ROWS, past: tuple[str, ...] = PAST):
    table = to_series(frame, target="sales", covariates=Asked(past=past))
    return add_windows(fit_effects(table, HORIZON, [rows], []), table, HORIZON, [rows])


def test_what_came_before_is_used_and_noise_is_left_out(frame, fitted):
    windows = fitted.trained.effects.windows
    assert [group.name for group in windows.groups] == ["inquiries"]
    assert set(windows.left_out) == {"rain"}
    plain = Forecaster(horizon=HORIZON, target="sales").fit(frame.iloc[:ROWS].drop(columns=list(PAST)))
    errors = []
    for forecaster in (fitted, plain):
        found = forecaster.cross_validation(frame, windows=9)
        errors.append(((found["y"] - found["yhat"]) ** 2).mean())
    assert errors[0] < 0.3 * errors[1]
    lines = "\n".join(fitted.trained.effects.lines())
    assert "past and static covariates: effects, which lower the squared error on held-out folds by 9" in lines
    assert "rain                         left out" in lines


def test_rows_of_a_past_covariate_after_a_cutoff_change_nothing(frame, fitted):
    expected = fitted.predict(frame.iloc[:ROWS])
    later = frame.assign(sales=frame["sales"].where(frame.index < ROWS))
    later.loc[ROWS:, "inquiries"] = 1e6
    pd.testing.assert_frame_equal(fitted.predict(later.iloc[: ROWS + HORIZON]), expected)
    pd.testing.assert_frame_equal(fitted.predict(frame.iloc[:ROWS], future=later.iloc[ROWS:]), expected)
    changed = frame.copy()
    changed.loc[ROWS + 63 :, "inquiries"] = 1e6  # from the last cutoff on
    one, other = (fitted.cross_validation(table, windows=9) for table in (frame, changed))
    np.testing.assert_array_equal(one["yhat"], other["yhat"])
    changed.loc[ROWS + 62, "inquiries"] = 1e6  # the row before: the check can fail
    assert (fitted.cross_validation(changed, windows=9)["yhat"] != one["yhat"]).any()


def test_a_planted_leak_is_worth_nothing_as_a_past_covariate(frame):
    """A copy of the series tells its future only to who reads rows after the cutoff."""
    copied = frame[["ds", "sales"]].assign(copy=frame["sales"])
    table = copied.iloc[:ROWS]
    plain = Forecaster(horizon=HORIZON, target="sales").fit(table[["ds", "sales"]])
    leak = Forecaster(horizon=HORIZON, target="sales", past=("copy",)).fit(table)
    assert leak.trained.effects.idle
    np.testing.assert_array_equal(leak.predict(table)["yhat"], plain.predict(table[["ds", "sales"]])["yhat"])
    known = Forecaster(horizon=HORIZON, target="sales", known=("copy",)).fit(table)
    assert known.trained.effects.error < 0.1  # the leak itself


def test_rows_after_those_that_are_learned_from_change_nothing(frame):
    later = frame.copy()
    later.loc[ROWS:, ["sales", "inquiries", "rain"]] = 1e6
    one, other = (learn(table).effects.windows for table in (frame, later))
    assert one.record() == other.record()
    np.testing.assert_array_equal(one.beta, other.beta)


def test_effects_that_the_chosen_forecast_does_not_need_are_left_out(frame):
    fitted = learn(frame)
    pairs = np.array([[0, row] for row in range(100, ROWS - HORIZON)])
    blocks = pairs[:, 1] // 70
    table = to_series(frame[["ds", "sales"]])
    change = fitted.windows.residuals(Residuals(pairs, np.zeros((len(pairs), HORIZON)), blocks, "")).values
    noise = np.random.default_rng(0).normal(size=change.shape)
    kept, left = (fitted.beside(Residuals(pairs, values, blocks, "")) for values in (noise - change, noise))
    assert kept is not fitted
    assert [group.name for group in kept.effects.windows.groups] == ["inquiries"]
    assert left.effects.idle
    assert left.effects.windows.left_out["inquiries"] < 0
    np.testing.assert_array_equal(left.effects.windows.change(table, pairs, np.ones(len(pairs))), 0.0)


def test_a_block_in_which_nothing_was_observed_does_not_count(frame):
    fitted = learn(frame)
    pairs = np.array([[0, row] for row in range(100, ROWS - HORIZON)])
    blocks = pairs[:, 1] // 70
    change = fitted.windows.residuals(Residuals(pairs, np.zeros((len(pairs), HORIZON)), blocks, "")).values
    values = np.random.default_rng(0).normal(size=change.shape) - change
    values[blocks == blocks[-1]] = np.nan
    assert fitted.beside(Residuals(pairs, values, blocks, "")).effects.windows.groups


def test_stretches_and_averages():
    assert stretches(40, 7) == (0, 1, 2, 3, 4, 5, 6, 7, 14, 28, 40)
    assert stretches(100, 365) == (0, 1, 2, 4, 8, 16, 32, 64, 100)
    assert stretches(5, 7) == (0, 1, 2, 3, 4, 5)
    window = np.arange(40.0)
    means = window @ averages(stretches(40, 7))
    np.testing.assert_allclose(means[:8], [39, 38, 37, 36, 35, 34, 33, window[26:33].mean()])
    assert means[-1] == pytest.approx(window[:12].mean())


def test_features_of_a_past_covariate_are_those_of_its_window(frame):
    table = to_series(frame, target="sales", covariates=Asked(past=PAST))
    group = PastGroup("rain", Coding((), 1.0, 2.0), (0, 1, 2, 4))
    rain = frame["rain"].to_numpy()
    found = group.features(table, np.array([[0, 50], [0, 1]]), np.empty((2, 0)))
    expected = (np.array([rain[49], rain[48], rain[46:48].mean()]) - 1) / 2
    np.testing.assert_allclose(found[0], expected)
    np.testing.assert_allclose(found[1], [(rain[0] - 1) / 2, 0, 0])  # before the series


def test_categories_are_coded_by_their_levels():
    cells = np.array(["a", "b", "a", None, "c"], dtype=object)
    coding = Coding.fit(cells)
    assert coding.levels == ("a", "b", "c")
    np.testing.assert_array_equal(coding.encode(cells, "x").sum(axis=1), [1, 1, 1, 0, 1])
    np.testing.assert_array_equal(coding.encode(np.array(["z"], dtype=object), "x"), [[0, 0, 0]])
    assert Coding.fit(np.array(["a", "a"], dtype=object)) is None
    assert Coding.fit(np.ones(5)) is None
    with pytest.raises(TableError, match="covariate 'x' holds text; it held numbers in training"):
        Coding.fit(np.arange(5.0)).encode(cells, "x")


TABLE, KINDS = kinds()
FAST = {"horizon": HORIZON, "preset": "fast", "context": 64}


@pytest.fixture(scope="module")
def static() -> Forecaster:
    return Forecaster(**FAST).fit(TABLE, static=KINDS)


def test_series_of_a_kind_share_an_effect(static, tmp_path):
    assert [group.name for group in static.trained.effects.windows.groups] == ["kind"]
    plain = Forecaster(**FAST).fit(TABLE)
    other, _ = kinds(seed=1)
    errors = {}
    for name, forecaster in (("static", static), ("plain", plain)):
        found = forecaster.cross_validation(other, windows=100, step=1)
        errors[name] = ((found["y"] - found["yhat"]) ** 2).mean()
    assert errors["static"] < errors["plain"]
    static.save(tmp_path / "model")
    pd.testing.assert_frame_equal(Forecaster.load(tmp_path / "model").predict(TABLE), static.predict(TABLE))
    pd.testing.assert_frame_equal(static.predict(TABLE, static=KINDS), static.predict(TABLE))


def test_a_new_series_has_the_effect_of_its_kind(static):
    new = TABLE[TABLE["unique_id"] == "s01"].assign(unique_id="new")
    kind = pd.DataFrame({"unique_id": ["new"], "kind": ["lasting"]})
    known = static.predict(TABLE[TABLE["unique_id"] == "s01"], levels=None)["yhat"].to_numpy()
    scale = static.trained.effects.scales["s01"]
    new_scale = static.trained.effects.unit(static.read_series(new), 0)
    assert new_scale == pytest.approx(scale, rel=0.5)
    found = static.predict(new, static=kind, levels=None)["yhat"].to_numpy()
    with pytest.warns(
        SWTTimeWarning, match="static covariate 'kind' is not known for 'new', which are forecast without"
    ):
        without = static.predict(new, levels=None)["yhat"].to_numpy()
    assert np.abs(found - known).max() < np.abs(without - known).max()


def test_static_columns_may_stand_in_the_table():
    table = TABLE.merge(KINDS, on="unique_id")
    one = Forecaster(**FAST, static=("kind",)).fit(table)
    two = Forecaster(**FAST).fit(TABLE, static=KINDS)
    np.testing.assert_array_equal(one.predict(table)["yhat"], two.predict(TABLE)["yhat"])
    np.testing.assert_array_equal(one.predict(TABLE)["yhat"], two.predict(TABLE)["yhat"])


@pytest.mark.parametrize(("kind", "options", "message"), [
    (KINDS[1:], {}, "static covariate 'kind' has no value for series 's00'; add its row"),
    (pd.concat([KINDS, KINDS.assign(kind="both")]), {}, "'kind' has several values for series 's00'"),
    (KINDS, {"static": ("region",)}, "region"),
    (None, {"static": ("kind",)}, "there is no static covariate 'kind'; add it to the table, or pass static="),
    (KINDS.rename(columns={"unique_id": "shop"}), {}, "the static table has no column 'unique_id'"),
])  # fmt: skip
def test_what_is_wrong_with_a_static_table_is_said(kind, options, message):
    with pytest.raises(TableError, match=message):
        Forecaster(**FAST, **options).fit(TABLE, static=kind)


def test_a_column_has_one_role(frame):
    with pytest.raises(TableError, match=r"covariate 'rain' is named twice, in data\.known and in data\.past"):
        to_series(frame, target="sales", covariates=Asked(known=("rain",), past=("rain",)))


def test_the_hash_of_a_table_is_one_of_its_static_covariates_too():
    one = to_series(TABLE, covariates=Asked(static_table=KINDS))
    other = to_series(TABLE, covariates=Asked(static_table=KINDS.assign(kind=KINDS["kind"].to_numpy()[::-1])))
    assert series_sha256(one) != series_sha256(other)
    assert Config().data.has_covariates is False


@pytest.mark.parametrize("change", [
    {"edges": [0, 2, 1]}, {"edges": [0, 1]}, {"groups": [{"kind": "past"}]}, {"groups": [{"kind": "strange"}]},
    {"gains": None}, {"edges": [0, 2**11]},
])  # fmt: skip
def test_damaged_records_are_refused(fitted, change):
    effects = fitted.trained.effects
    record, arrays = effects.record(), effects.to_arrays()
    assert Effects.from_record(record, arrays).windows.record() == record["windows"]
    with pytest.raises(CheckpointError, match="the effects of the checkpoint are damaged; train it again"):
        Effects.from_record({**record, "windows": {**record["windows"], **change}}, arrays)
    with pytest.raises(CheckpointError, match="the effects of the checkpoint are damaged; train it again"):
        Effects.from_record(record, {**arrays, "windows": arrays["windows"] * np.nan})


def test_effects_of_another_horizon_are_refused(fitted):
    checkpoint, name = fitted.trained.checkpoint, "effects.windows"
    short = replace(checkpoint, weights={**checkpoint.weights, name: checkpoint.weights[name][:, :3]})
    with pytest.raises(CheckpointError, match="the effects change 3 steps, the configuration says 7: train it again"):
        Trained(short, fitted.model)


def test_the_command_line_takes_past_and_static_covariates(frame, tmp_path, capsys):
    frame.iloc[:ROWS].to_csv(tmp_path / "sales.csv", index=False)
    words = ["forecast", "--data", str(tmp_path / "sales.csv"), "--horizon", "7", "--target", "sales"]
    words += ["--past", "inquiries,rain", "--out", str(tmp_path / "out.csv"), "--save", str(tmp_path / "model")]
    assert run(words) == 0
    assert "inquiries" in capsys.readouterr().err
    assert run(["info", "--model", str(tmp_path / "model")]) == 0
    assert "rain                         left out" in capsys.readouterr().out
    TABLE.to_csv(tmp_path / "table.csv", index=False)
    KINDS.to_csv(tmp_path / "kinds.csv", index=False)
    words = ["train", "--data", str(tmp_path / "table.csv"), "--static", str(tmp_path / "kinds.csv"), "--horizon", "7"]
    assert run([*words, "--preset", "fast", "--context", "64", "--out", str(tmp_path / "kinds")]) == 0
    assert "past and static covariates: effects" in capsys.readouterr().out
