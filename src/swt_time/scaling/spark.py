"""Forecasts of a Spark table of many series: `swt_time.scaling.forecast_partition` in ``applyInPandas``."""

from functools import partial
from typing import Any

from swt_time.checkpoints import read_checkpoint
from swt_time.data.layout import as_names
from swt_time.data.names import ID_NAME
from swt_time.errors import CheckpointError, MissingDependencyError, TableError
from swt_time.files import expand_user
from swt_time.scaling.partition import forecast_partition, model_hash

BUCKET = "_swt_time_bucket"
"""Column of the bucket of a row, while the table is divided."""


def forecast_spark(table: Any, model: Any, *, buckets: int | None = None, **options: Any) -> Any:
    """Forecast every series of a Spark table by a saved model.

    Parameters
    ----------
    table : pyspark.sql.DataFrame
        Long. The series are divided into buckets by the hash of their ids, and a bucket is a pandas frame in the memory
        of one executor.
    model : path
        Checkpoint folder that all executors can read.
    buckets : int, optional
        By default as many as the session has partitions of a shuffle; a few thousand series each are a good size.
    **options
        Of `forecast_partition`.

    Returns
    -------
    pyspark.sql.DataFrame
        As of `forecast_partition`; Spark computes it when it is written or read.

    Raises
    ------
    MissingDependencyError
        pyspark is not installed.
    TableError
        The table has no column of ids.
    """
    try:
        from pyspark.sql import functions
        from pyspark.sql.pandas.types import from_arrow_schema
    except ImportError as error:
        raise MissingDependencyError("Spark needs another package: pip install 'swt-time[spark]'") from error
    import pandas as pd
    import pyarrow as arrow

    folder = expand_user(model, CheckpointError).absolute()
    given = dict(options.get("reading") or {}).get("id_column", read_checkpoint(folder).config.data.id_column)
    ids = as_names(given) or (ID_NAME,)
    missing = [name for name in ids if name not in table.columns]
    if missing:
        raise TableError(f"the table has no column {missing[0]!r}; name the id as data.id_column (reading=...)")
    forecast: Any = partial(forecast_partition, model=str(folder), sha256=model_hash(folder), **options)
    first = table.select(*ids).first()
    if first is None:
        raise TableError("the table has no rows; expected at least two rows of data")
    one = table
    for name in ids:
        one = one.where(functions.col(name) == first[name])
    columns = arrow.Schema.from_pandas(forecast(one.toPandas()), preserve_index=False)

    def forecast_bucket(rows: pd.DataFrame) -> pd.DataFrame:
        forecasts: pd.DataFrame = forecast(rows.drop(columns=BUCKET))
        return forecasts

    count = buckets or int(table.sparkSession.conf.get("spark.sql.shuffle.partitions"))
    numbered = table.withColumn(BUCKET, functions.pmod(functions.hash(*ids), functions.lit(count)))
    return numbered.groupBy(BUCKET).applyInPandas(forecast_bucket, from_arrow_schema(columns))
