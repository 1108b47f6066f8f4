"""The program of a job of the page, ``python -m swt_time.serve.work``: read a table, or forecast it and write results.

It gets one request and reports events as `swt_time.serve.child` says. An event is ``{kind: value}``:

==============  ====================================================================================================
``columns``     the columns of the table, before they are understood
``understood``  `swt_time.serve.understanding.describe_series`
``stage``       what begins now: ``read``, ``fit``, ``forecast``, ``backtest``, ``report``
``compared``    a candidate was judged on held-out blocks: its name, error and seconds
``step``        a step of training: number, total
``note``        a repair, or something that the user should know
``chosen``      what the forecast is made of, in lines
``result``      what was written
``error``       a message of the library, and the field of the form that it is about
==============  ====================================================================================================
"""

import contextlib
import json
import math
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from swt_time.errors import SWTTimeError, SWTTimeWarning

TABLES = ("table", "future")
"""Files of a request that are tables."""

MOST_WINDOWS = 10
"""Most past horizons that are forecast to see how good a forecast is."""

FIELDS = {
    "data.time_column": ("time_column", "Time"),
    "data.id_column": ("id_column", "Names of the series"),
    "data.target": ("target", "What to forecast"),
    "data.columns": ("target", "What to forecast"),
    "data.known": ("known", "Known in advance"),
    "data.fill": ("fill", "Missing values"),
    "data.frequency": ("frequency", "Time step"),
    "data.date_format": ("date_format", "Format of the times"),
    "data.encoding": ("encoding", "Encoding"),
    "data.horizon": ("horizon", "Steps to forecast"),
    "future=...": ("future", "Rows that are known in advance"),
}
"""Keys of the configuration that a message may name: the field of the form, and its label."""

Report = Callable[[str, Any], None]


def main() -> None:
    """Read the request from standard input and do what it asks for."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no event
    os.nice(5)  # the service comes first
    request = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def report(kind: str, value: Any) -> None:
        print(json.dumps({kind: value}), file=events, flush=True)

    names = {request[key]: request[f"{key}_name"] for key in TABLES if key in request}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", SWTTimeWarning)
        warnings.showwarning = lambda message, *rest, **more: report("note", for_page(str(message), names)["message"])
        try:
            {"read": read, "forecast": forecast}[request["task"]](request, report)
        except SWTTimeError as error:
            report("error", for_page(str(error), names))
        except MemoryError:
            report("error", {"message": "the machine has too little memory for this table", "field": None})


def _end_with_parent() -> None:
    """End, with all children, once the parent has closed its end of standard input or is gone."""
    while os.read(0, 2**16):
        pass
    os.killpg(0, signal.SIGKILL)


def for_page(message: str, names: dict[str, str]) -> dict[str, Any]:
    """Return a message of the library in the terms of the page, and the field of the form that it is about.

    Parameters
    ----------
    message : str
    names : dict
        Paths of files on the server, and the names that the user gave them.
    """
    for path, name in names.items():
        message = message.replace(path, name)
    named = [(place, key) for key in FIELDS if (place := message.find(key)) >= 0]
    field = FIELDS[min(named)[1]][0] if named else None
    for key, (_, label) in FIELDS.items():
        message = message.replace(key, f"“{label}”")
    return {"message": message, "field": field}


def read(request: dict[str, Any], report: Report) -> None:
    """Read a table and report what was understood."""
    from swt_time.serve.understanding import describe_series

    series = _read(request, report)[2]
    report("understood", describe_series(series, tuple(request["options"].get("known") or ())))


def _read(request: dict[str, Any], report: Report) -> tuple[Any, Any, Any]:
    """Return the forecaster that the request describes, its table, and the table as series."""
    from swt_time.data.reading import read_table
    from swt_time.forecaster import Forecaster
    from swt_time.serve.understanding import describe_columns

    report("stage", "read")
    options = {key: value for key, value in request["options"].items() if value not in (None, [], "")}
    encoding, limit = options.get("encoding"), request["memory_limit"]

    def table(key: str) -> Any:
        return read_table(request[key], id_column=options.get("id_column"), encoding=encoding, memory_limit=limit)

    frame, future = table("table"), table("future") if "future" in request else None
    report("columns", describe_columns(frame))
    forecaster = Forecaster(preset="auto", **options)
    return forecaster, frame, forecaster.read_series(frame, future)


def forecast(request: dict[str, Any], report: Report) -> None:
    """Fit a forecaster, forecast, score forecasts from the past, and write a table, charts and a report."""
    from swt_time.data.forecasts import forecast_frame
    from swt_time.data.writing import write_table
    from swt_time.evaluation.uncertainty import LEVELS
    from swt_time.report.facts import Facts, look_ahead, look_back
    from swt_time.report.page import page
    from swt_time.serve.charts import write_charts

    forecaster, frame, series = _read(request, report)
    out = Path(request["out"])
    check_known(series, forecaster.config.data.known or (), forecaster.config.data.horizon)
    report("stage", "fit")
    forecaster.fit_series(series, report=lambda event: _report_event(event, report))
    trained = forecaster.trained
    report("chosen", _chosen(forecaster))
    report("stage", "forecast")
    ahead = look_ahead(trained, series, LEVELS)
    table = forecast_frame(ahead.series, ahead.yhat, frame, ahead.around)
    write_table(table, out / "forecast.csv")
    report("stage", "backtest")
    past = look_back(trained, series, _windows(series, ahead.yhat.shape[1]), report=lambda line: report("doing", line))
    report("stage", "report")
    facts = Facts(request["table_name"], trained, series, ahead, past, tuple(series.notes))
    (out / "report.html").write_text(page(facts), encoding="utf-8")
    names = write_charts(out / "charts.jsonl", ahead, past)
    scores = None if past is None else {**past.scores.as_json(), "how": past.how}
    report("result", {"series": names, "rows": len(table), "scores": scores})


def check_known(series: Any, known: Sequence[str], horizon: int) -> None:
    """Refuse a table without the rows that a forecast needs, before a fit of minutes.

    Raises
    ------
    TableError
        Names the first row that is missing.
    """
    from swt_time.effects.clock import Clock
    from swt_time.effects.groups import cells_at

    clock = Clock(series)
    for name in known:
        for index, values in enumerate(series.values):
            cells_at(series, clock, name, index, len(values) + horizon)


def _windows(series: Any, horizon: int) -> int:
    """How many past horizons are forecast: at most a fifth of the rows, and at most `MOST_WINDOWS`."""
    return max(1, min(MOST_WINDOWS, int(series.lengths.max()) // (5 * horizon)))


def _report_event(event: Any, report: Report) -> None:
    from swt_time.training import Compared, Step

    if isinstance(event, Compared):
        error = event.error if math.isfinite(event.error) else None
        report("compared", {"candidate": event.candidate, "error": error, "seconds": event.seconds})
    elif isinstance(event, Step):
        report("step", {"step": event.step, "total": event.total_steps})


def _chosen(forecaster: Any) -> list[str]:
    """Return what the forecast is made of, in lines."""
    effects, choice = forecaster.trained.effects, forecaster.choice
    lines = [*(effects.lines() if effects is not None else []), *(choice.lines() if choice is not None else [])]
    return [*lines, forecaster.trained.describe_intervals()]


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
