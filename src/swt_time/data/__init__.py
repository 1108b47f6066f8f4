"""From tables to scaled windows: reading, time series, splits, scaling and windows.

The modules, in the order in which data passes through them:

- ``reading``: read a table from a file, standard input or an address, in these steps: ``opening`` (its bytes),
  ``decompression``, ``decoding``, and ``csv_text``, ``parquet`` or ``workbook`` (the formats), which share ``header``;
  ``limits``: limits on sizes; ``sources``: download benchmark datasets.
- ``frames``: open pandas, polars and pyarrow frames through one interface.
- ``layout``: find the id, time and value columns of a table; ``ids``: the ids of its series;
  ``names``: the names that its columns have in a forecast.
- ``columns``, ``numbers``: convert one column to float64 values, also from text with thousands separators.
- ``time_columns``, ``timestamps``: convert calendar columns, times since 1970 and one column to timestamps; ``dates``:
  formats of text.
- ``zones``: local times and UTC.
- ``frequency``: grids of timestamps; ``inferring``: find the frequency; ``future``: the timestamps after the end.
- ``regular``: sort rows, check for duplicates and gaps, fill missing values.
- ``series``: the internal form of a table (`SeriesTable`), and `to_series`, which runs the steps above.
- ``windows``: splits, window indices and batches (NumPy only); ``scaling``: standardization per series.
- ``parts``: the scaled windows of the train, validation and test parts of a table.
- ``forecasts``: forecasts as data frames; ``writing``: write data frames to files.

This file imports nothing, so that importing ``swt_time.data.windows`` loads NumPy only.
"""
