"""Spark forecasts as ``predict`` does, in its local mode."""

import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from support.parts import HORIZON, SERIES, in_order
from swt_time import Forecaster
from swt_time.errors import TableError
from swt_time.scaling import forecast_spark

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def spark():
    sql = pytest.importorskip("pyspark.sql")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        builder = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
        session = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
        yield session
        session.stop()


@pytest.mark.timeout(900)
def test_it_equals_predict(spark, table, parts, model, tmp_path):
    rows = spark.read.parquet(str(parts))
    forecast_spark(rows, model, buckets=4, levels=(80,)).write.parquet(str(tmp_path / "out"))
    expected = in_order(Forecaster.load(model).predict(table, levels=(80,)))
    pd.testing.assert_frame_equal(in_order(pd.read_parquet(tmp_path / "out")), expected, check_dtype=False)


@pytest.mark.timeout(900)
def test_the_snippet_of_the_page_runs(spark, table, parts, model, tmp_path, monkeypatch):
    monkeypatch.chdir(model.parent)  # the folder of Java stays another one
    page = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"^```python spark\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    for name, path in {"parts": parts, "forecasts-spark": tmp_path / "forecasts-spark"}.items():
        snippet = snippet.replace(f'"{name}"', repr(str(path)))
    exec(snippet.replace("buckets=200", "buckets=2"), {"spark": spark})
    assert len(pd.read_parquet(tmp_path / "forecasts-spark")) == SERIES * HORIZON


@pytest.mark.timeout(900)
def test_tables_that_cannot_be_divided_are_refused(spark, parts, model):
    rows = spark.read.parquet(str(parts))
    with pytest.raises(TableError, match="no column 'unique_id'"):
        forecast_spark(rows.drop("unique_id"), model)
    with pytest.raises(TableError, match="no rows"):
        forecast_spark(rows.limit(0), model)
