"""A folder of Parquet files is forecast bucket by bucket: nothing is lost, and nothing is done twice."""

import multiprocessing
import os
import signal
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from support.parts import HORIZON, SERIES, daily, in_order, write_parts
from swt_time import Forecaster
from swt_time.checkpoints import read_checkpoint
from swt_time.errors import CheckpointError, ConfigError, MissingDependencyError, SWTTimeError, TableError
from swt_time.language import BackboneIdentity
from swt_time.scaling import forecast_folder, forecasting

SMALL = {"bucket_rows": 300, "workers": 1}
"""Five series in a bucket."""


@pytest.fixture(scope="module")
def expected(table, model):
    return in_order(Forecaster.load(model).predict(table))


def same(found, expected):
    pd.testing.assert_frame_equal(in_order(found), expected, check_dtype=False, rtol=0, atol=1e-12)


def test_forecasts_equal_those_of_the_whole_table(parts, model, tmp_path, expected):
    reports = []
    found = forecast_folder(parts, model, tmp_path / "out", report=lambda *now: reports.append(now), **SMALL)
    assert (found.series, found.left_out, found.buckets, found.skipped) == (SERIES, 0, 5, 0)
    assert reports[-1] == (5, 5)
    same(pd.read_parquet(tmp_path / "out"), expected)
    assert sorted(one.name for one in (tmp_path / "out").iterdir())[:2] == ["_swt_time.json", "part-000000.parquet"]


def test_series_whose_rows_lie_in_every_part_are_whole(table, model, tmp_path, expected):
    """Parts by date: each holds some rows of every series."""
    by_date = write_parts(table.sort_values(["ds", "unique_id"], kind="stable"), tmp_path / "dates", parts=4)
    forecast_folder(by_date, model, tmp_path / "out", **SMALL)
    same(pd.read_parquet(tmp_path / "out"), expected)


def test_finished_buckets_are_skipped(parts, model, tmp_path, expected):
    out = tmp_path / "out"
    forecast_folder(parts, model, out, **SMALL)
    kept = {one.name: one.stat().st_mtime_ns for one in out.iterdir()}
    (out / "part-000002.parquet").unlink()
    again = forecast_folder(parts, model, out, **SMALL)
    assert (again.skipped, again.buckets, again.series) == (4, 5, 5)
    changed = [one.name for one in out.iterdir() if kept[one.name] != one.stat().st_mtime_ns]
    assert changed == ["part-000002.parquet"]
    same(pd.read_parquet(out), expected)


def test_other_input_model_or_options_are_refused(table, parts, model, tmp_path):
    out, mine = tmp_path / "out", write_parts(table, tmp_path / "mine", row_group_size=200)
    forecast_folder(mine, model, out, **SMALL)
    with pytest.raises(TableError, match=r"options levels was \(80, 95\), is \(50,\)|options levels was missing"):
        forecast_folder(mine, model, out, levels=(50,), **SMALL)
    with pytest.raises(TableError, match="options rows of a bucket was 300, is 600"):
        forecast_folder(mine, model, out, bucket_rows=600, workers=1)
    other = tmp_path / "model"
    Forecaster(HORIZON, 16, preset="fast", level=1).fit(table).save(other)
    with pytest.raises(TableError, match="model sha256 was"):
        forecast_folder(mine, other, out, **SMALL)
    os.utime(mine / "part-1.parquet")
    with pytest.raises(TableError, match=r"input part-1\.parquet was"):
        forecast_folder(mine, model, out, **SMALL)


def test_a_killed_worker_loses_nothing(parts, model, tmp_path, expected):
    killed = []

    def kill(done, total):
        if not killed:
            killed.append(multiprocessing.active_children()[0])
            os.kill(killed[0].pid, signal.SIGKILL)

    found = forecast_folder(parts, model, tmp_path / "out", report=kill, bucket_rows=60, workers=2)
    assert killed
    assert (found.series, found.buckets) == (SERIES, SERIES)
    assert found.retried >= 1
    same(pd.read_parquet(tmp_path / "out"), expected)


def test_failed_buckets_are_retried_and_named(table, model, tmp_path, monkeypatch, expected):
    """One series has a value that no model takes; the buckets of the others are written."""
    values = table["y"].where(~((table["unique_id"] == "shop 7") & (table["ds"] == "2024-02-01")), np.inf)
    bad = write_parts(table.assign(y=values), tmp_path / "bad")
    attempts, forecast = [], forecasting.forecast_partition

    def counted(frame, **options):
        attempts.append(frame["unique_id"].iloc[0])
        return forecast(frame, **options)

    monkeypatch.setattr(forecasting, "forecast_partition", counted)
    with pytest.raises(SWTTimeError) as failed:
        forecast_folder(bad, model, tmp_path / "out", retries=1, **SMALL)
    message = str(failed.value)
    assert message.startswith(
        "1 of 5 buckets failed in 2 attempts: part-000001.parquet (series 'shop 5' to 'shop 9'): "
    )
    assert "infinite" in message
    assert attempts == ["shop 0", "shop 5", "shop 10", "shop 15", "shop 20", "shop 5"]
    found = in_order(pd.read_parquet(tmp_path / "out"))
    there = expected[~expected["unique_id"].isin([f"shop {i}" for i in range(5, 10)])].reset_index(drop=True)
    same(found, there)


def test_short_series_are_counted(table, model, tmp_path):
    short = daily(3, 5, seed=1).replace({f"shop {i}": f"new {i}" for i in range(3)})
    folder = write_parts(pd.concat([table, short]), tmp_path / "parts")
    with pytest.warns(match="too short"):
        found = forecast_folder(folder, model, tmp_path / "out", **SMALL)
    assert (found.series, found.left_out) == (SERIES, 3)
    alone = write_parts(short, tmp_path / "alone", parts=1)
    found = forecast_folder(alone, model, tmp_path / "none", workers=1)
    assert (found.series, found.left_out, len(pd.read_parquet(tmp_path / "none"))) == (0, 3, 0)


@pytest.mark.parametrize(("backbone", "workers"), [(None, None), (BackboneIdentity("tiny", "bert", 2, "0" * 64), 1)])
def test_a_language_model_is_loaded_once_by_default(parts, model, tmp_path, monkeypatch, backbone, workers):
    asked, checkpoint = [], replace(read_checkpoint(model), backbone=backbone)

    def start(*words):
        asked.append(words)
        raise MissingDependencyError

    monkeypatch.setattr(forecasting, "read_checkpoint", lambda folder: checkpoint)
    monkeypatch.setattr(forecasting, "start_engine", start)
    with pytest.raises(MissingDependencyError):
        forecast_folder(parts, model, tmp_path / "out")
    assert asked == [("local", workers)]


def test_output_folders_of_others_are_not_used(parts, model, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(TableError, match=r"is not empty \(it holds 'notes.txt'\)"):
        forecast_folder(parts, model, tmp_path, workers=1)
    with pytest.raises(TableError, match="is a file"):
        forecast_folder(parts, model, tmp_path / "notes.txt", workers=1)
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        forecast_folder(parts, tmp_path, tmp_path / "out", workers=1)
    with pytest.raises(ConfigError, match="workers"):
        forecast_folder(parts, model, tmp_path / "out", workers=0)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["notes.txt"]
