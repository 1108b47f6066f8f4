"""The forecaster on pandas and polars tables, long and wide, with every backbone family; saving and loading."""

import importlib.metadata
import inspect
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from support.models import TINY
from swt_time import Forecaster
from swt_time.errors import CheckpointError, ConfigError, SWTTimeWarning, TableError

OPTIONS = {**TINY, "validation_windows": 16}


def make(backbone="none", **options):
    return Forecaster(**{"horizon": 12, "context": 48, "backbone": str(backbone), "max_steps": 4, **OPTIONS, **options})


def long_table(lengths=(200, 150, 90), start="2024-01-01"):
    """A long table with series of the given lengths."""
    frames = []
    for i, length in enumerate(lengths):
        t = np.arange(length)
        y = i * 100 + np.sin(2 * np.pi * t / 24) + 0.1 * np.cos(7 * t)
        frames.append(
            pd.DataFrame({"unique_id": f"s{i}", "ds": pd.date_range(start, periods=length, freq="h"), "y": y})
        )
    return pd.concat(frames, ignore_index=True)


def test_every_family_trains_and_forecasts(tiny_backbones, family, hourly_wide):
    forecaster = make(tiny_backbones[family]).fit(hourly_wide)
    forecast = forecaster.predict(hourly_wide)
    assert list(forecast.columns[:3]) == ["unique_id", "date", "yhat"]
    assert forecast["unique_id"].value_counts().to_dict() == {"heat": 12, "load": 12}
    first = pd.date_range(hourly_wide["date"].iloc[-1], periods=13, freq="h")[1:]
    assert list(forecast.loc[forecast["unique_id"] == "load", "date"]) == list(first)
    assert np.isfinite(forecast["yhat"]).all()


@pytest.mark.parametrize("stand_in", ["none", "attention", "transformer"])
def test_stand_ins_train_and_forecast(stand_in, hourly_wide):
    forecast = make(stand_in).fit(hourly_wide).predict(hourly_wide)
    assert np.isfinite(forecast["yhat"]).all()


@pytest.mark.parametrize(
    "changes", [{"prototypes": "mapping"}, {"skip": "none"}, {"kind": "patch"}, {"template": "paper"}]
)
def test_options_train_and_forecast(tiny_backbones, hourly_wide, changes):
    forecast = make(tiny_backbones["gpt2"], **changes).fit(hourly_wide).predict(hourly_wide)
    assert np.isfinite(forecast["yhat"]).all()


def test_forecaster_learns_the_daily_cycle(hourly_wide):
    past, future = hourly_wide[:-12], hourly_wide[-12:]
    forecast = make(max_steps=300, learning_rate=5e-3).fit(past).predict(past)
    load = forecast.loc[forecast["unique_id"] == "load", "yhat"].to_numpy()
    error = np.abs(load - future["load"].to_numpy()).mean()
    assert error < 0.25 * np.abs(future["load"] - past["load"].mean()).mean()


def test_saved_and_loaded_forecasts_are_equal(tiny_backbones, family, hourly_wide, tmp_path):
    forecaster = make(tiny_backbones[family]).fit(hourly_wide)
    forecaster.save(tmp_path / "m")
    loaded = Forecaster.load(tmp_path / "m")
    pd.testing.assert_frame_equal(loaded.predict(hourly_wide), forecaster.predict(hourly_wide), check_exact=True)
    assert loaded.config == forecaster.config


def test_equal_seeds_give_equal_forecasts(tiny_backbones, hourly_wide):
    first, again, other = (
        make(tiny_backbones["gpt2"], seed=seed, model={"dropout": 0.3}).fit(hourly_wide).predict(hourly_wide)
        for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert not np.allclose(first["yhat"], other["yhat"])


def test_fit_does_not_use_the_global_generator(hourly_wide):
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    make().fit(hourly_wide)
    assert torch.equal(torch.rand(2), expected)


def test_series_of_unequal_length():
    table = long_table()
    forecaster = make().fit(table)
    forecast = forecaster.predict(table)
    assert forecast.groupby("unique_id")["ds"].min().tolist() == [
        pd.Timestamp("2024-01-01") + pd.Timedelta(hours=n) for n in (200, 150, 90)
    ]
    # Forecasts are at the level of their series.
    means = forecast.groupby("unique_id")["yhat"].mean()
    assert np.abs(means - [0, 100, 200]).max() < 5


def test_newer_longer_shorter_and_unknown_series():
    table = long_table()
    forecaster = make().fit(table)
    assert len(forecaster.predict(long_table((48,)))) == 12
    assert len(forecaster.predict(long_table((900, 60)))) == 24
    newer = forecaster.predict(long_table((60,), start="2030-05-01"))
    assert newer["ds"].iloc[0] == pd.Timestamp("2030-05-01") + pd.Timedelta(hours=60)
    other = long_table((60,)).assign(unique_id="unknown", y=lambda t: t["y"] * 1e6)
    assert forecaster.predict(other)["yhat"].abs().max() > 1e4


def test_rows_before_the_context_do_not_change_a_forecast():
    table = long_table((300,))
    forecaster = make().fit(table)
    changed = table.copy()
    changed.loc[: 300 - 48 - 1, "y"] += 1000
    one, other = forecaster.predict(table), forecaster.predict(changed)
    pd.testing.assert_series_equal(one["yhat"], other["yhat"], check_exact=True)


def test_pandas_and_polars_give_equal_forecasts(hourly_wide):
    forecaster = make().fit(hourly_wide)
    from_pandas = forecaster.predict(hourly_wide)
    from_polars = forecaster.predict(pl.from_pandas(hourly_wide))
    assert isinstance(from_polars, pl.DataFrame)
    assert from_polars["yhat"].to_list() == from_pandas["yhat"].tolist()
    assert from_polars["unique_id"].to_list() == from_pandas["unique_id"].tolist()


def test_order_of_rows_and_series_does_not_matter():
    table = long_table()
    forecaster = make().fit(table)
    with pytest.warns(SWTTimeWarning, match="sorted"):
        shuffled = forecaster.predict(table.sample(frac=1, random_state=0))
    expected, found = (one.set_index(["unique_id", "ds"]).sort_index() for one in (forecaster.predict(table), shuffled))
    pd.testing.assert_frame_equal(expected, found, check_exact=True)


def test_validation_and_test_rows_do_not_change_the_scaler(hourly_wide):
    changed = hourly_wide.copy()
    changed.loc[421:, ["load", "heat"]] *= 50
    first, second = make().fit(hourly_wide), make().fit(changed)
    assert first.trained.checkpoint.trained_on == second.trained.checkpoint.trained_on


def test_history_and_provenance_are_saved(hourly_wide, tmp_path):
    forecaster = make(max_steps=10, skip="linear").fit(hourly_wide)
    forecaster.save(tmp_path / "m")
    loaded = Forecaster.load(tmp_path / "m").trained.checkpoint
    assert [row.step for row in loaded.history] == list(range(1, 11))
    assert loaded.provenance["training"]["steps"] == 10
    assert len(loaded.provenance["data_sha256"]) == 64
    assert loaded.provenance["versions"]["torch"] == importlib.metadata.version("torch")


def test_cross_validation_equals_forecasts_from_each_cutoff(hourly_wide):
    forecaster = make().fit(hourly_wide)
    scores = forecaster.cross_validation(hourly_wide, windows=3, step=20)
    assert list(scores.columns) == ["unique_id", "date", "cutoff", "y", "yhat"]
    assert len(scores) == 2 * 3 * 12
    assert scores["cutoff"].nunique() == 3
    for cutoff, part in scores.groupby("cutoff"):
        known = hourly_wide[hourly_wide["date"] <= cutoff]
        again = forecaster.predict(known)
        np.testing.assert_allclose(part["yhat"], again["yhat"], rtol=1e-5)
        truth = hourly_wide.set_index("date").loc[part["date"].iloc[:12], "heat"]
        assert part.loc[part["unique_id"] == "heat", "y"].tolist() == truth.tolist()


def test_too_short_series_is_refused_by_name(hourly_wide):
    forecaster = make().fit(hourly_wide)
    with pytest.raises(TableError, match=r"series 'heat' has 40 rows, the model needs at least 48"):
        forecaster.predict(hourly_wide[:40])


def test_missing_columns_are_refused_by_name(hourly_wide):
    forecaster = make().fit(hourly_wide)
    with pytest.raises(TableError, match="'load'"):
        forecaster.predict(hourly_wide.drop(columns="load"))


def test_extra_columns_are_ignored(hourly_wide):
    forecaster = make().fit(hourly_wide)
    wider = hourly_wide.assign(extra=1.0)
    pd.testing.assert_frame_equal(forecaster.predict(wider), forecaster.predict(hourly_wide), check_exact=True)


def test_another_frequency_gives_a_warning(hourly_wide):
    forecaster = make().fit(hourly_wide)
    daily = hourly_wide.assign(date=pd.date_range("2000-01-01", periods=600, freq="D"))
    with pytest.warns(SWTTimeWarning, match="the table's frequency is D, the model was trained on h"):
        forecaster.predict(daily)


def test_untrained_forecaster_is_refused(hourly_wide):
    with pytest.raises(CheckpointError, match=r"not trained yet; call fit"):
        make().predict(hourly_wide)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"wavelt": "haar"}, "unknown option 'wavelt'; did you mean wavelet"),
        ({"dropout": 0.1}, "occurs in several sections"),
        ({"model": {"dropot": 0.1}}, "model.dropot"),
        ({"wavelet": "nonsense"}, "nonsense"),
        ({"level": 9}, "level"),
    ],
)
def test_wrong_options_are_refused_by_name(options, text, hourly_wide):
    with pytest.raises(ConfigError) as error:
        make(**options).fit(hourly_wide)
    assert text in str(error.value)


def test_options_by_section():
    config = Forecaster(model={"dropout": 0.3}, embedding={"wavelet": "haar"}).config
    assert (config.model.dropout, config.embedding.wavelet) == (0.3, "haar")


def documented(method: str) -> set[str]:
    """The parameters that the docstring of a method describes, or those of another method to which it refers."""
    text = inspect.getdoc(getattr(Forecaster, method))  # without the indentation, which Python 3.13 removes
    section = re.search(r"Parameters\n-+\n(.*?)(\n\n|$)", text, re.DOTALL)
    heads = [] if section is None else re.findall(r"^(\S[^:\n]*)", section[1], re.MULTILINE)
    others = re.findall(r"otherwise as `(\w+)`", text)
    return set(re.findall(r"\w+", " ".join(heads))).union(*map(documented, others))


@pytest.mark.parametrize(
    "method", [name for name, value in vars(Forecaster).items() if callable(value) and not name.startswith("_")]
)
def test_every_parameter_of_a_method_with_several_is_documented(method):
    parameters = set(inspect.signature(getattr(Forecaster, method)).parameters) - {"self", "series"}
    assert len(parameters) < 3 or parameters <= documented(method)
