"""What is chosen on held-out blocks, through the public door."""

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster
from swt_time.config import Config, read_preset
from swt_time.data.series import cut_series, to_series
from swt_time.selection import CLOSED_FORM, Choice, choose, choosing, fit_blend
from swt_time.selection.choosing import MARGIN, PANEL, WEEKLY, WEIGHTS, best_weight, choose_split
from swt_time.selection.contexts import feasible_contexts, fit_sizes

AUTO = Config.parse(read_preset("auto"))


def hourly(rows: int, seed: int = 0, series: int = 1) -> pd.DataFrame:
    """Daily cycles with noise, wide."""
    rng = np.random.default_rng(seed)
    hours = np.arange(rows)
    columns = {f"s{i}": 10 + 3 * np.sin(2 * np.pi * hours / 24 + i) + rng.normal(0, 0.3, rows) for i in range(series)}
    return pd.DataFrame({"ds": pd.date_range("2024", periods=rows, freq="h"), **columns})


def walks(series: int, rows: int, seed: int = 0) -> pd.DataFrame:
    """Random walks, long: the last value is the best forecast of each."""
    rng = np.random.default_rng(seed)
    return pd.concat(
        pd.DataFrame(
            {
                "unique_id": f"w{i}",
                "ds": pd.date_range("2000", periods=rows, freq="MS"),
                "y": 100 + rng.normal(size=rows).cumsum(),
            }
        )
        for i in range(series)
    )


def test_contexts_are_the_longest_its_half_and_its_quarter_in_whole_seasons():
    assert feasible_contexts([np.array([1000])], 24, 24) == [504, 240, 120]
    assert feasible_contexts([np.array([100, 60])], 10, 12) == [60, 24, 12]
    assert feasible_contexts([np.array([12])], 10, 12) == []


def test_sizes_fit_the_context():
    assert fit_sizes(AUTO, 100) == {
        "data.context": 100,
        "embedding.level": 6,
        "embedding.patch_len": 16,
        "embedding.stride": 8,
    }
    small = fit_sizes(AUTO, 5)
    assert (small["embedding.level"], small["embedding.patch_len"], small["embedding.stride"]) == (2, 5, 5)


@pytest.mark.parametrize(
    ("gains", "weight"),
    [
        ([0.2, 0.3, 0.25], 0.4),  # every group agrees
        ([0.1, 0.3, 0.2], 0.3),  # with a standard error of 0.058, the doubt is 0.083 * 3
        ([0.6, -0.1, -0.1], 0.0),  # one group decides, the others lose
        ([0.006, 0.006, 0.006], 0.0),  # less than the margin
        ([0.5], 0.0),  # one group alone tells nothing of its own spread
        ([-0.1, -0.1], 0.0),
    ],
)
def test_the_weight_of_the_closed_form_follows_the_certainty_of_its_gain(gains, weight):
    errors = np.full((len(WEIGHTS), len(gains)), 3.0)
    errors[0] = 1.0
    errors[4] = 1.0 - np.array(gains)
    assert MARGIN == 0.01
    assert best_weight(errors) == weight


@pytest.mark.parametrize(("spread", "weight"), [(0.0, 1.0), (0.2, 1.0), (0.3, 0.6), (0.5, 0.0)])
def test_a_closed_form_with_little_doubt_is_not_mixed(spread, weight):
    """The mixture at 0.8 is better by half the margin."""
    errors = np.ones((len(WEIGHTS), 3))
    errors[8] = 0.5
    errors[-1] = 0.5025 + spread * np.array([-1, 0, 1])
    assert best_weight(errors) == weight


@pytest.mark.parametrize(("best", "spread", "weight"), [(8, 0.0, 0.8), (8, 0.2, 0.7), (10, 0.0, 1.0), (10, 0.2, 0.8)])
def test_a_weekly_map_is_mixed_as_its_errors_say(best, spread, weight):
    """It alone saves no time, so it is not preferred to a mixture, nor spared the doubt."""
    errors = np.ones((len(WEIGHTS), 3))
    errors[-1] = 0.5025
    errors[best] = 0.5 + spread * np.array([-1, 0, 1])
    assert best_weight(errors, alone=False) == weight


def test_split_leaves_a_validation_part_only_where_gradients_need_it():
    trained = AUTO.replace({"training.max_steps": 10, "data.horizon": 24})
    assert choose_split(np.array([1000]), AUTO) == "none"
    assert choose_split(np.array([1000]), trained) == "0.8/0.2/0"
    assert choose_split(np.array([80]), trained) == "0.67/0.33/0"
    assert choose_split(np.array([40]), trained) == "none"


def test_one_call_chooses_and_is_saved(tmp_path):
    table = hourly(400, series=2)
    forecaster = Forecaster(horizon=12).fit(table)
    assert forecaster.config.automatic == []
    assert forecaster.config.data.split == "none"
    assert sum(forecaster.choice.weights.values()) == pytest.approx(1)
    errors = forecaster.choice.errors
    assert min(errors.values()) < 1, "better than seasonal naive"
    assert any(name.startswith(CLOSED_FORM) for name in errors)
    assert PANEL in errors
    forecast = forecaster.predict(table)
    forecaster.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.predict(table), forecast)
    chosen = loaded.trained.checkpoint.provenance["choice"]
    assert chosen["errors"] == errors
    assert forecaster.choice.lines()[0].startswith("forecast by: ")


def test_a_second_fit_chooses_again():
    forecaster = Forecaster(horizon=12).fit(hourly(400))
    first = forecaster.config
    again = forecaster.fit(hourly(120)).config
    assert again.data.context < first.data.context


@pytest.mark.parametrize("rows", [2, 3, 5, 9, 12, 24, 25, 40])
def test_any_length_is_forecast(rows):
    table = hourly(rows)
    forecast = Forecaster(horizon=12).fit(table).predict(table)
    assert len(forecast) == 12
    assert np.isfinite(forecast["yhat"]).all()


@pytest.mark.parametrize("rows", [50, 60, 72, 90, 100, 120])
def test_a_given_context_that_is_too_long_for_the_rows_before_a_block(rows):
    """Each table has a held-out block before which no window of 48 and 24 rows fits."""
    table = hourly(rows)
    for options in ({"preset": "panel"}, {"preset": "auto", "context": 48}, {"preset": "fast", "wavelet": "auto"}):
        forecaster = Forecaster(horizon=24, **{"context": 48, "split": "none", **options}).fit(table)
        assert np.isfinite(forecaster.predict(table, levels=None)["yhat"]).all()
        assert forecaster.config.data.context == 48


def test_series_of_all_lengths_together():
    table = walks(12, 40)
    keep = table.groupby("unique_id").cumcount() < table["unique_id"].str[1:].astype(int) * 4 + 2
    short = table[keep]
    forecast = Forecaster(horizon=6).fit(short).predict(short)
    assert forecast.groupby("unique_id").size().tolist() == [6] * 12
    assert np.isfinite(forecast["yhat"]).all()


def test_random_walks_are_forecast_near_their_last_value():
    table = walks(40, 60)
    known = table[table.groupby("unique_id").cumcount() < 54]
    forecast = Forecaster(horizon=6).fit(known).predict(known)
    truth = table[table.groupby("unique_id").cumcount() >= 54]["y"].to_numpy()
    last = known.groupby("unique_id", sort=False)["y"].last().to_numpy().repeat(6)
    assert np.abs(forecast["yhat"] - truth).mean() < 1.05 * np.abs(last - truth).mean()


def test_never_negative_where_history_never_is():
    rng = np.random.default_rng(0)
    falling = pd.DataFrame(
        {"ds": pd.date_range("2024", periods=90, freq="D"), "y": np.maximum(40 - np.arange(90.0), 0) + rng.random(90)}
    )
    assert (Forecaster(horizon=14).fit(falling).predict(falling)["yhat"] >= 0).all()
    assert (
        Forecaster(horizon=14)
        .fit(falling.assign(y=falling["y"] - 60))
        .predict(falling.assign(y=falling["y"] - 60))["yhat"]
        < 0
    ).all()


def test_nothing_after_the_cutoff_or_in_the_test_part_changes_the_choice():
    table = to_series(hourly(600))
    changed = hourly(600)
    changed.loc[480:, "s0"] += 1000
    other = to_series(changed)
    config = AUTO.replace({"data.horizon": 12, "data.split": "0.6/0.2/0.2"})
    assert choose(table, config)[:2] == choose(other, config)[:2]
    cutoff = "2024-01-20 23:00"
    automatic = AUTO.replace({"data.horizon": 12})
    assert choose(cut_series(table, cutoff), automatic)[:2] == choose(cut_series(other, cutoff), automatic)[:2]
    assert choose(table, automatic)[1] != choose(other, automatic)[1], "the control: all rows are seen here"


def test_blocks_are_forecast_from_the_rows_before_them_alone(monkeypatch):
    """Raise the rows of every block and after it: what is fitted for the block must stay the same."""
    from swt_time.selection import choosing

    fitted = []
    monkeypatch.setattr(
        choosing, "solve", lambda train, *rest, real=choosing.solve: fitted.append(real(train, *rest)) or fitted[-1]
    )
    table = hourly(300)
    config = AUTO.replace({"data.horizon": 12, "data.context": 48, "model.panel": False})
    choose(to_series(table), config)
    plain = [one.weight for one in fitted]
    fitted.clear()
    raised = table.copy()
    raised.loc[270:, "s0"] += 1000  # the latest block
    choose(to_series(raised), config)
    assert (plain[0] == fitted[0].weight).all(), "the rows of a block changed what was fitted for it"
    fitted.clear()
    raised.loc[200:, "s0"] += 1000
    choose(to_series(raised), config)
    assert not (plain[0] == fitted[0].weight).all(), "the control: these rows lie before the block"


def test_a_fixed_context_and_a_language_model_keep_their_values():
    config, choice, _ = choose(to_series(hourly(400)), AUTO.replace({"data.horizon": 12, "data.context": 60}))
    assert config.data.context == 60
    assert any("context 60" in name for name in choice.errors)


def test_scoring_the_rows_of_training_is_noted():
    table = hourly(200)
    forecaster = Forecaster(horizon=12).fit(table)
    with pytest.warns(UserWarning, match=r"trained on all rows"):
        forecaster.cross_validation(table, windows=1)


def test_a_fit_that_fails_loses_nothing():
    table = hourly(200)
    forecaster = Forecaster(horizon=12).fit(table)
    before = forecaster.predict(table)
    with pytest.raises(Exception, match="no rows"):
        forecaster.fit(table.head(0))
    pd.testing.assert_frame_equal(forecaster.predict(table), before)


@pytest.mark.parametrize(("weight", "context", "fitted"), [(1.0, 26, 20), (1.0, 25, 10), (0.7, 26, 30), (0.7, 25, 30)])
def test_a_panel_without_weight_is_fitted_on_few_series(monkeypatch, weight, context, fitted):
    monkeypatch.setattr(choosing, "MOST_ORIGINS", 20)
    monkeypatch.setattr(choosing, "SPARE", 10)
    sizes = []
    fit_panel = choosing.fit_panel
    monkeypatch.setattr(choosing, "fit_panel", lambda known, *rest: sizes.append(len(known)) or fit_panel(known, *rest))
    config = Config().replace({"data.horizon": 2, "data.split": "none", "data.context": context})
    blend, _ = fit_blend(to_series(walks(30, 25)), config, Choice({CLOSED_FORM: weight, PANEL: 1 - weight}))
    assert (sizes, blend.weight) == ([fitted], weight)


def test_the_rows_before_a_block_are_scaled_once_for_all_contexts(monkeypatch):
    calls, scale_table = [], choosing.scale_table

    def counted(table, split):
        calls.append((*table.lengths.tolist(), split))
        return scale_table(table, split)

    monkeypatch.setattr(choosing, "scale_table", counted)
    _, choice, _ = choose(to_series(hourly(500)), AUTO.replace({"data.horizon": 12}))
    assert len([name for name in choice.errors if name.startswith(CLOSED_FORM)]) >= 3
    assert len(calls) == len(set(calls)) >= choice.blocks == 3


def weekly_panel(series: int, rows: int, seed: int = 0) -> pd.DataFrame:
    """Hourly series, long: each has a week of its own and a level that moves slowly; never negative."""
    rng = np.random.default_rng(seed)
    frames = []
    for i in range(series):
        week = np.resize(rng.uniform(0, 3, 168), rows)
        values = 20 * rng.uniform() * np.maximum(week + 0.05 * rng.normal(size=rows).cumsum(), 0.0)
        frames.append(
            pd.DataFrame({"unique_id": f"s{i}", "ds": pd.date_range("2024", periods=rows, freq="h"), "y": values})
        )
    return pd.concat(frames)


@pytest.fixture(scope="module")
def weekly():
    """A forecaster of series with a daily and a weekly season."""
    return Forecaster(horizon=24).fit(weekly_panel(40, 500))


def test_a_weekly_map_has_weight_where_the_week_matters(weekly):
    choice = weekly.choice
    assert choice.weights[WEEKLY] > 0
    assert sum(choice.weights.values()) == pytest.approx(1)
    assert choice.errors[WEEKLY] < 0.5 * choice.errors[PANEL]
    assert any(WEEKLY in line for line in choice.lines())


def test_a_weekly_map_is_saved(weekly, tmp_path):
    table = pd.concat([weekly_panel(40, 500), weekly_panel(3, 500, seed=1).replace({"s": "new"}, regex=True)])
    found = weekly.predict(table)["yhat"].to_numpy()
    weekly.save(tmp_path / "model")
    np.testing.assert_array_equal(Forecaster.load(tmp_path / "model").predict(table)["yhat"].to_numpy(), found)
    assert found.min() >= 0


def test_new_series_are_forecast_by_a_weekly_map_of_their_own(weekly):
    """The week of a new series is in no checkpoint."""
    new = weekly_panel(5, 724, seed=9)
    last = new.groupby("unique_id").tail(24)
    known = new.drop(last.index) if new.index.is_unique else new[new["ds"] < last["ds"].min()]
    found = weekly.predict(known)["yhat"].to_numpy()
    daily = known.groupby("unique_id").tail(24)["y"].to_numpy()
    truth = last["y"].to_numpy()
    assert np.abs(found - truth).mean() < 0.5 * np.abs(daily - truth).mean()


def test_a_weekly_map_leaves_short_series_to_the_others(weekly):
    short = weekly_panel(2, 200, seed=5)
    found = weekly.predict(short)["yhat"].to_numpy().reshape(2, 24)
    known = [one["y"].to_numpy() for _, one in short.groupby("unique_id")]
    np.testing.assert_allclose(found, weekly.trained.blend.panel.forecast(known), rtol=1e-12)


@pytest.mark.parametrize("freq", ["D", "MS"])
def test_without_hours_no_weekly_map_is_tried(freq):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"ds": pd.date_range("2000", periods=300, freq=freq), "y": 10 + rng.normal(size=300)})
    assert WEEKLY not in Forecaster(horizon=7).fit(frame).choice.weights


def test_of_few_days_no_weekly_map_is_tried(monkeypatch):
    monkeypatch.setattr(choosing, "fit_weekly", None)
    assert WEEKLY not in Forecaster(horizon=24).fit(hourly(15 * 24)).choice.errors


def test_a_weekly_map_without_weight_is_not_fitted_for_the_forecast(monkeypatch):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"ds": pd.date_range("2024", periods=900, freq="h"), "y": rng.normal(size=900).cumsum()})
    fits = []

    def fit(*arguments):
        fits.append(arguments)
        return choosing_fit(*arguments)

    choosing_fit = choosing.fit_weekly
    monkeypatch.setattr(choosing, "fit_weekly", fit)
    fitted = Forecaster(horizon=24).fit(frame)
    assert fitted.choice.weights[WEEKLY] == 0
    assert len(fits) == fitted.choice.blocks
    assert fitted.trained.blend.weekly is None


def test_nothing_after_the_rows_before_a_block_decides_on_its_weekly_map():
    table = to_series(weekly_panel(3, 700))
    [block, *_] = choosing.held_out_blocks(table.lengths, 24)
    found = choosing._Before(table, block).weekly(24, 24)
    last = int(block.origins[:, 1].max())
    changed = to_series(
        weekly_panel(3, 700).assign(y=lambda one: np.where(one.groupby("unique_id").cumcount() >= last, 1e3, one["y"]))
    )
    np.testing.assert_array_equal(choosing._Before(changed, block).weekly(24, 24), found)
    first = block.origins[:, 1] == block.rows[0]
    earlier = to_series(
        weekly_panel(3, 700).assign(
            y=lambda one: np.where(one.groupby("unique_id").cumcount() >= block.rows[0], 1e3, one["y"])
        )
    )
    np.testing.assert_array_equal(choosing._Before(earlier, block).weekly(24, 24)[first], found[first])


def test_a_lower_error_that_was_not_trusted_is_explained():
    """Otherwise the lines seem to contradict each other."""
    errors = {"closed form, context 36, haar": 0.55, PANEL: 0.85}
    doubted = "the panel alone, since the gain of closed form, context 36, haar differs too much between the blocks"
    lines = Choice({CLOSED_FORM: 0.0, PANEL: 1.0}, errors, 4, 48).lines()
    assert [line for line in lines if line.startswith(doubted)]
    for weights, lower in (({CLOSED_FORM: 0.4, PANEL: 0.6}, errors), ({CLOSED_FORM: 0.0, PANEL: 1.0}, {PANEL: 0.5})):
        assert not [line for line in Choice(weights, lower, 4, 48).lines() if "to be sure" in line]
