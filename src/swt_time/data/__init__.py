"""Tables in, windows out: reading, time series with a regular calendar, splits, scaling, windows.

Nothing is imported here, so that ``swt_time.data.windows`` (numpy only) stays light:

- ``reading`` and ``writing``: files and data frames;
- ``columns`` and ``timestamps``: one column of a frame as numbers or as points in time;
- ``layout``: which column is the id, the time, the values;
- ``frequency``: the calendar of a table, and the stamps after its end;
- ``series``: the internal form that everything else works on;
- ``forecasts``: forecasts as a frame of the kind that came in;
- ``sources``: public benchmark tables, fetched and checked;
- ``windows`` and ``scaling``: the only split, window and scaling arithmetic.
"""
