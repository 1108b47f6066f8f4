"""Many series on several processes or machines, and tables larger than memory.

- ``partition``: forecasts of a frame of many series by a saved model, as one picklable function;
- ``record``, ``forecasting``: a Parquet folder forecast bucket by bucket into another one, resumed after a failure;
- ``engines``: where buckets are forecast: in this machine's processes, or on Ray;
- ``spark``: the same function in Spark;
- ``fitting``, ``windows``: the closed form fitted to a Parquet folder, bucket by bucket.
"""

from typing import TYPE_CHECKING

from swt_time.lazily import exports

if TYPE_CHECKING:
    from swt_time.scaling.fitting import fit_folder
    from swt_time.scaling.forecasting import FolderForecast, forecast_folder
    from swt_time.scaling.partition import forecast_partition
    from swt_time.scaling.spark import forecast_spark

__all__ = ["FolderForecast", "fit_folder", "forecast_folder", "forecast_partition", "forecast_spark"]

__getattr__ = exports(
    __name__,
    {
        "FolderForecast": "forecasting",
        "fit_folder": "fitting",
        "forecast_folder": "forecasting",
        "forecast_partition": "partition",
        "forecast_spark": "spark",
    },
)
