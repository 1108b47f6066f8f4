"""Series that are shorter than the context, through the public interface and the command line."""

import warnings

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster
from swt_time.cli import run
from swt_time.data.parts import split_table
from swt_time.data.series import to_series
from swt_time.errors import ConfigError, SWTTimeWarning, TableError
from swt_time.panel import fit_panel
from swt_time.panel.ladder import ladder

CONTEXT, HORIZON = 28, 7
LENGTHS = {"long": 120, "other": 90, "month": 20, "week": 5, "two": 2, "one": 1}
SHORT = ["month", "week", "two", "one"]
LAST = pd.Timestamp("2024-03-01")

NETWORKS = {
    "closed form": {"preset": "fast"},
    "trained head": {"preset": "best", "max_steps": 4},
    "linear skip": {"backbone": "none", "skip": "linear", "max_steps": 2},
    "transformer": {"backbone": "transformer", "skip": "none", "max_steps": 2, "n_heads": 4},
}
FAMILIES = ("bert", "gpt2", "llama")


def series(name: str, rows: int, last: pd.Timestamp = LAST) -> pd.DataFrame:
    times = pd.date_range(end=last, periods=rows, freq="D")
    level = 100 * (1 + list(LENGTHS).index(name))
    return pd.DataFrame({"unique_id": name, "ds": times, "y": level + 10 * np.sin(times.day_of_year * 2 * np.pi / 7)})


def table(lengths: dict[str, int] = LENGTHS) -> pd.DataFrame:
    return pd.concat([series(name, rows) for name, rows in lengths.items()], ignore_index=True)


def forecaster(short: str | None, **options: object) -> Forecaster:
    options = options or {"preset": "fast"}
    return Forecaster(horizon=HORIZON, context=CONTEXT, level=2, patch_len=8, stride=4, short=short, **options)


def options_of(name: str, tiny_backbones: dict) -> dict:
    """Options of a network, or of the language model of a family in a small model."""
    if name in NETWORKS:
        return NETWORKS[name]
    small = {"d_ff": 8, "n_heads": 2, "n_prototypes": 10, "skip": "none", "max_steps": 2, "batch_size": 8}
    return {"backbone": str(tiny_backbones[name]), "precision": "float32", **small}


def forecasts(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    return {str(name): one["yhat"].to_numpy() for name, one in frame.groupby("unique_id", sort=False)}


def test_short_series_are_left_out_and_named():
    with pytest.warns(SWTTimeWarning, match=r"4 of 6 series are too short and left out: 'month', 'one', 'two', 'week'"):
        found = forecaster("skip").fit(table()).predict(table())
    assert list(forecasts(found)) == ["long", "other"]
    with pytest.raises(TableError, match=r"series 'month' has 20 rows, .* or set data.short to naive or pad"):
        forecaster(None).fit(table()).predict(table(), strict=True)


@pytest.mark.parametrize("name", [*NETWORKS, "gpt2"])
def test_naive_takes_what_the_length_allows(name, tiny_backbones):
    """Theta from four rows on, seasonal naive from a season on, else the last value; long series as with ``skip``."""
    fitted = forecaster("naive", **options_of(name, tiny_backbones)).fit(table())
    with pytest.warns(
        SWTTimeWarning, match=r"4 of 6 series are shorter than the context \(28 rows\) and forecast by Theta"
    ):
        found = forecasts(fitted.predict(table()))
    assert list(found) == list(LENGTHS)
    values = {one: part["y"].to_numpy() for one, part in table().groupby("unique_id")}
    assert np.array_equal(found["one"], np.repeat(values["one"], HORIZON))
    assert np.array_equal(found["two"], np.repeat(values["two"][-1], HORIZON))
    for one in ("month", "week"):
        assert np.array_equal(found[one], ladder(7, HORIZON).forecast([values[one]])[0])
    with pytest.warns(SWTTimeWarning, match="left out"):
        skipped = forecasts(forecaster("skip", **options_of(name, tiny_backbones)).fit(table()).predict(table()))
    for one in ("long", "other"):
        assert np.array_equal(found[one], skipped[one])


def test_the_ladder_is_that_of_a_panel_without_its_regression():
    history = [np.arange(5.0) ** 1.5, np.array([3.0, 1.0])]
    assert np.array_equal(ladder(7, 3).forecast(history), fit_panel([[1.0, 2.0]], 7, 3).forecast(history))


@pytest.mark.parametrize("name", [*NETWORKS, *FAMILIES])
def test_padded_windows_train_and_forecast_any_series(name, tiny_backbones, tmp_path):
    fitted = forecaster("pad", **options_of(name, tiny_backbones)).fit(table())
    with pytest.warns(
        SWTTimeWarning, match="shorter than the context .* in padded windows: 'month', 'one', 'two', 'week'"
    ):
        found = forecasts(fitted.predict(table()))
    assert list(found) == list(LENGTHS)
    for one, level in zip(LENGTHS, range(100, 700, 100), strict=True):
        assert np.abs(found[one] - level).max() < 40
    fitted.save(tmp_path / "model")
    again = Forecaster.load(tmp_path / "model")
    assert np.array_equal(forecasts(again.predict(table()))["two"], found["two"])
    # a forecast is that of the series alone
    alone = again.predict(table({"long": 120, "two": 2}))
    assert np.allclose(forecasts(alone)["two"], found["two"], rtol=1e-5)


@pytest.mark.parametrize("name", [*NETWORKS, *FAMILIES])
def test_series_of_two_rows_alone_train_and_are_forecast(name, tiny_backbones):
    two = table({"long": 2, "other": 2, "two": 2})
    fitted = forecaster("pad", frequency="D", **options_of(name, tiny_backbones)).fit(two)
    found = forecasts(fitted.predict(two))
    assert len(found) == 3
    assert all(np.isfinite(one).all() for one in found.values())


def test_padded_windows_leave_the_windows_of_long_series_as_they_are():
    both, alone = (to_series(table(lengths)) for lengths in (LENGTHS, {"long": 120}))
    parts, own = (split_table(one, "0.6/0.2/0.2", CONTEXT, HORIZON, pad=True) for one in (both, alone))
    plain = split_table(both, "0.6/0.2/0.2", CONTEXT, HORIZON)
    for part in ("train", "validation", "test"):
        padded, whole, single = parts.part(part), plain.part(part), own.part(part)
        first = padded.places(np.arange(len(padded)))
        position = both.ids.index("long")
        mine = np.flatnonzero(first[:, 0] == position)
        assert len(mine) == len(single)
        for one, other in zip(padded.gather(mine), single.gather(np.arange(len(single))), strict=True):
            assert np.array_equal(one, other)
        assert (whole.windows.counts <= padded.windows.counts).all()


def test_padded_windows_end_where_their_part_does():
    """A series of 20 rows has 12 train rows: no window sees another series or a later part as its target."""
    one = to_series(table(LENGTHS))
    parts = split_table(one, "0.6/0.2/0.2", CONTEXT, HORIZON, pad=True)
    for name, train in {"month": 12, "week": 3, "two": 2}.items():
        index = one.ids.index(name)
        places = parts.train.places(np.arange(len(parts.train)))
        mine = np.flatnonzero(places[:, 0] == index)
        origins = places[mine, 1] + CONTEXT
        assert origins.tolist() == list(range(-(-train // 2), max(train - HORIZON, -(-train // 2)) + 1))
        contexts, targets = parts.train.gather(mine)
        scaled = parts.scaler.apply(one.values)[index].astype(np.float32)
        for origin, context, target in zip(origins, contexts, targets, strict=True):
            assert np.array_equal(context[CONTEXT - origin :], scaled[:origin])
            assert np.isnan(context[: CONTEXT - origin]).all()
            seen = min(HORIZON, train - origin)
            assert np.array_equal(target[:seen], scaled[origin : origin + seen])
            assert np.isnan(target[seen:]).all()


def test_scored_padded_windows_are_whole_in_their_targets():
    """A series of 34 rows has a test part of 10 rows, before which there are fewer rows than a context of 60."""
    data = table({"month": 34})
    assert len(split_table(to_series(data), "0.5/0.2/0.3", 60, HORIZON).test) == 0
    padded = split_table(to_series(data), "0.5/0.2/0.3", 60, HORIZON, pad=True).test
    assert len(padded) == 10 - HORIZON + 1
    assert not np.isnan(padded.gather(np.arange(len(padded)))[1]).any()
    assert np.array_equal(padded.unscaled_targets(np.array([0]))[0], data["y"].to_numpy()[24 : 24 + HORIZON])


@pytest.mark.parametrize(("short", "names"), [("skip", 2), ("naive", 6), ("pad", 6), (None, 6)])
@pytest.mark.filterwarnings("ignore::swt_time.errors.SWTTimeWarning")
def test_presets_that_choose_forecast_series_of_any_length_unless_told_otherwise(short, names):
    fitted = Forecaster(horizon=HORIZON, context=CONTEXT, preset="auto", short=short).fit(table())
    assert list(forecasts(fitted.predict(table()))) == list(LENGTHS)[:names]


def test_series_that_ended_long_before_the_others_are_named():
    ended = series("other", 60, LAST - pd.Timedelta(days=HORIZON + 1))
    recent = series("month", 60, LAST - pd.Timedelta(days=HORIZON))
    data = pd.concat([series("long", 120), ended, recent], ignore_index=True)
    fitted = forecaster(None).fit(data)
    with pytest.warns(SWTTimeWarning, match=r"1 of 3 series ended more than a horizon before the others; .*: 'other'$"):
        found = fitted.predict(data)
    assert found.groupby("unique_id")["ds"].min()["other"] == LAST - pd.Timedelta(days=HORIZON)


@pytest.mark.parametrize(("sign", "every", "named"), [(1, 3, True), (1, 2, False), (-1, 3, False), (0, 3, False)])
def test_series_of_rare_demand_are_named(sign, every, named):
    """More than half zeros, never negative, and not zero throughout."""
    rare = series("month", 90)
    rare["y"] = np.where(np.arange(90) % every == 0, sign * 5.0, 0.0)
    data = pd.concat([series("long", 90), rare], ignore_index=True)
    fitted = forecaster(None, preset="fast").fit(data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted.predict(data)
    found = [str(one.message) for one in caught if "mostly zeros" in str(one.message)]
    assert len(found) == named
    assert all(one.startswith("1 of 2 series are mostly zeros (intermittent): 'month'; ") for one in found)


def test_strict_refuses_series_that_were_left_out_when_the_table_was_read():
    data = pd.concat([series("long", 120), series("other", 90).iloc[::6]], ignore_index=True)
    fitted = forecaster(None, fill="linear", preset="fast").fit(data)
    assert list(forecasts(fitted.predict(data))) == ["long"]
    with pytest.raises(TableError, match="series 'other' was left out, because most of its values are missing"):
        fitted.predict(data, strict=True)


@pytest.mark.filterwarnings("ignore::swt_time.errors.SWTTimeWarning")
def test_backtest_and_cross_validation_of_short_series():
    fitted = forecaster("pad").fit(table())
    scores = fitted.cross_validation(table(), windows=2)
    assert set(scores["unique_id"]) == {"long", "other", "month"}
    assert scores["yhat"].notna().all()
    assert set(forecaster("naive").backtest(table(), windows=1)["unique_id"]) == {"long", "other", "month"}


@pytest.mark.filterwarnings("ignore::swt_time.errors.SWTTimeWarning")
def test_the_command_line_takes_another_policy_than_the_model(tmp_path, capsys):
    table().to_csv(tmp_path / "t.csv", index=False)
    data = ["--data", str(tmp_path / "t.csv")]
    sizes = [f"--set=data.context={CONTEXT}", "--set=embedding.level=2", "--set=embedding.patch_len=8"]
    sizes += ["--set=embedding.stride=4", "--preset", "fast", "--horizon", str(HORIZON)]
    assert run(["train", *data, *sizes, "--out", str(tmp_path / "m")]) == 0
    counts = {}
    for short in ("skip", "naive", "pad"):
        out = tmp_path / f"{short}.csv"
        assert run(["forecast", "--model", str(tmp_path / "m"), *data, "--short", short, "--out", str(out)]) == 0
        counts[short] = pd.read_csv(out)["unique_id"].nunique()
    assert counts == {"skip": 2, "naive": 6, "pad": 6}
    assert run(["evaluate", "--model", str(tmp_path / "m"), *data, "--short", "pad"]) == 0
    wrong = ["forecast", "--model", str(tmp_path / "m"), *data, "--short", "all", "--out", str(tmp_path / "x.csv")]
    capsys.readouterr()
    assert run(wrong) == 2
    assert "--short" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"data.short"):
        forecaster("all")
