"""Forecasts of a frame as one picklable function."""

import pickle
from functools import partial

import pandas as pd
import pytest

from support.parts import CONTEXT, HORIZON, daily
from swt_time import Forecaster
from swt_time.checkpoints.checkpoint import read_identified
from swt_time.errors import CheckpointError, TableError
from swt_time.scaling import forecast_partition
from swt_time.scaling import partition as module


def test_it_equals_predict_and_survives_pickling(table, model):
    forecast = pickle.loads(pickle.dumps(partial(forecast_partition, model=model, levels=(80,), quantiles=(0.5,))))
    expected = Forecaster.load(model).predict(table, levels=(80,), quantiles=(0.5,))
    pd.testing.assert_frame_equal(forecast(table), expected)


def test_some_series_alone_are_forecast_as_in_the_whole_table(table, model):
    some = table[table["unique_id"].isin(["shop 3", "shop 17"])]
    whole = forecast_partition(table, model)
    expected = whole[whole["unique_id"].isin(["shop 3", "shop 17"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(forecast_partition(some, model), expected)


def test_the_model_is_loaded_once_and_again_when_it_was_replaced(table, model, tmp_path, monkeypatch):
    loads, load = [], Forecaster.load
    monkeypatch.setattr(Forecaster, "load", lambda *words, **options: loads.append(1) or load(*words, **options))
    folder = tmp_path / "model"
    load(model).save(folder)
    first = forecast_partition(table, folder)
    forecast_partition(table, folder)
    assert len(loads) == 1
    Forecaster(2, CONTEXT, preset="fast", level=2).fit(table).save(folder, overwrite=True)
    assert len(forecast_partition(table, folder)) < len(first)
    assert len(loads) == 2


def test_the_hash_of_a_model_is_that_of_its_files(model):
    assert module.model_hash(model) == read_identified(model)[1]


def test_another_model_than_expected_is_refused(table, model):
    with pytest.raises(CheckpointError, match="was replaced"):
        forecast_partition(table, model, sha256="0" * 64)


def test_series_that_are_all_too_short_give_no_rows_but_the_columns(table, model):
    with pytest.warns(match="too short"):
        some = forecast_partition(pd.concat([table, daily(2, 5).replace({"shop 0": "new", "shop 1": "newer"})]), model)
    none = forecast_partition(daily(2, CONTEXT - 1), model)
    assert len(none) == 0
    assert none.dtypes.to_dict() == some.dtypes.to_dict()
    with pytest.raises(TableError, match="needs at least 16 rows"):
        forecast_partition(daily(2, CONTEXT - 1), model, strict=True)


def test_the_frequency_is_that_of_the_model(model):
    """Of one row alone none can be found."""
    found = forecast_partition(daily(1, 1), model, short="naive", levels=None)
    assert found["ds"].tolist() == pd.date_range("2024-01-02", periods=HORIZON).tolist()


def test_what_needs_the_whole_table_is_refused(table, model):
    with pytest.raises(TableError, match=r"data\.fill zero"):
        forecast_partition(table, model, reading={"fill": "zero"})
    wide = table.pivot(index="ds", columns="unique_id", values="y").reset_index()
    with pytest.raises(TableError, match="expected a long table"):
        forecast_partition(wide, model)


def test_a_missing_model_is_named(table, tmp_path):
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*nowhere"):
        forecast_partition(table, tmp_path / "nowhere")
    assert module._loaded.cache_info().maxsize == 1
