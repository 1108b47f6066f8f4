"""A trained forecaster as an ONNX file, which runs without swt-time, PyTorch and Python.

The graph takes values in the units of the table and returns forecasts in the same units, with intervals. What it
expects is written in its properties (`facts`) and in the description of each input and output.

Shapes: ``B`` batch, ``R`` rows, ``N`` series, ``T`` context, ``H`` horizon.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from swt_time import __version__
from swt_time.evaluation.trained import Trained
from swt_time.evaluation.uncertainty import LEVELS, Uncertainty
from swt_time.exporting.facts import DEVIATION, facts
from swt_time.exporting.files import check_target, write_file
from swt_time.exporting.graph import Graph, Value, import_onnx
from swt_time.exporting.intervals import floor_at_zero, has_negative, quantiles
from swt_time.exporting.trained import exportable
from swt_time.exporting.windows import Forecast, forecast_closed_form, take_window
from swt_time.model.alone import ClosedForm

if TYPE_CHECKING:
    from swt_time.forecaster import Forecaster

HISTORY, OBSERVED = "history", "observed"
"""Names of the inputs beside `DEVIATION`."""


def export_onnx(
    forecaster: "Forecaster | str | Path",
    path: str | Path,
    *,
    levels: Sequence[float] | None = LEVELS,
    quantiles: Sequence[float] | None = None,
) -> Path:
    """Write a forecaster without a language model as an ONNX graph (opset 17).

    Parameters
    ----------
    forecaster : Forecaster or path
        A trained forecaster, or the folder of a checkpoint.
    path : path
        File to write, whose name ends in ``.onnx``; a former one is replaced.
    levels, quantiles
        Intervals and quantiles of the graph; see `swt_time.evaluation.uncertainty.Uncertainty`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    CheckpointError
        The forecast needs more than the graph can hold: a language model, the panel of simple forecasters, or the
        effects of covariates and notes. Or it has no intervals, and others than the default ones are asked for.
    MissingDependencyError
        The package ``onnx`` is not installed.
    ConfigError
        The file name has another ending, or the folder cannot be written.

    Notes
    -----
    Input ``history`` (B, R, N) holds the values before the forecast, at least ``T`` of them, the newest last, and NaN
    before the start of a shorter series. The graph of a network also takes ``deviation`` (B, N), the standard deviation
    of training of each series, which is in the properties; that of a model with ``data.fill`` linear or ffill takes
    ``observed`` (B, R, N), False where a value was filled. Output ``yhat`` and, around it, ``yhat_lo_80``,
    ``yhat_hi_80`` and so on are (B, H, N). All numbers are in double precision; a network computes in single
    precision, as in PyTorch.
    """
    path = check_target(path, ".onnx")
    import_onnx()
    trained = exportable(forecaster, language_models=False)
    write_file(path, onnx_graph(trained, Uncertainty(levels or (), quantiles or ())))
    return path


def onnx_graph(trained: Trained, asked: Uncertainty) -> bytes:
    """Return the content of the ONNX file; `export_onnx` writes it."""
    config, blend, calibration = trained.checkpoint.config, trained.blend, trained.calibration
    probabilities = asked.probabilities(trained)
    graph, padded = Graph(), config.short == "pad"
    least = 1 if padded else config.data.steps
    rows = graph.add_input(
        HISTORY,
        np.float64,
        ("batch", "rows", "series"),
        f"Values before the forecast in the units of the table, the newest last: at least {least} of each series, and "
        "NaN before its start.",
    )
    rows = graph("Transpose", rows, perm=[0, 2, 1])
    known = rows
    if config.data.fill in ("linear", "ffill") and (probabilities or blend is not None):
        observed = graph.add_input(
            OBSERVED, np.bool_, ("batch", "rows", "series"), "False where a value of history was missing and filled."
        )
        known = graph("Where", graph("Transpose", observed, perm=[0, 2, 1]), rows, np.float64(np.nan))
    forecast, scaled = _forecast(graph, rows, trained, padded, bool(probabilities))
    if blend is not None:
        forecast = forecast._replace(yhat=floor_at_zero(graph, forecast.yhat, has_negative(graph, known)))
    found = {"yhat": forecast.yhat}
    if probabilities:
        assert calibration is not None
        found |= quantiles(graph, calibration, forecast, known, probabilities)
    columns = {_identifier(column): column for column in found}
    for (name, column), value in zip(columns.items(), found.values(), strict=True):
        turned = graph("Transpose", value, perm=[0, 2, 1])
        graph.add_output(name, turned, ("batch", config.data.horizon, "series"), _meaning(column, probabilities))
    meaning = (
        f"Forecasts the {config.data.horizon} steps after the end of each series. See the properties of the model."
    )
    return graph.to_bytes(
        "forecast", __version__, meaning, facts(trained, columns, probabilities, padded=padded, scaled=scaled)
    )


def _forecast(graph: Graph, rows: Value, trained: Trained, padded: bool, intervals: bool) -> tuple[Forecast, bool]:
    """Return the forecast from rows (B, N, R), and whether it depends on the scale of training."""
    window = take_window(graph, rows, trained.context, padded=padded)
    if isinstance(trained.network, ClosedForm):
        return forecast_closed_form(graph, window, trained.network.weight), False
    from swt_time.exporting.networks import closed_form_weight, forecast_by_network

    weight = closed_form_weight(trained.model)
    if weight is not None:
        return forecast_closed_form(graph, window, weight), False
    scale = graph.add_input(
        DEVIATION,
        np.float64,
        ("batch", "series"),
        "Standard deviation of each series in training; of a new series, that of all its known values.",
    )
    spread = intervals and trained.calibration is not None and bool(trained.calibration.own)
    return forecast_by_network(graph, window, scale, trained.model, spread=spread), True


def _identifier(column: str) -> str:
    """Return the name of an output: that of the column as an identifier, as the standard demands."""
    name = column.replace("-", "_").replace(".", "_")
    return name if name[0].isalpha() else f"quantile_{name}"


def _meaning(column: str, probabilities: dict[str, float]) -> str:
    if column not in probabilities:
        return "The forecast, in the units of the table."
    return f"The value that is not exceeded with probability {probabilities[column]:g}; column {column} of a forecast."
