"""A trained forecaster as an ONNX file, which runs without swt-time, PyTorch and Python.

The graph takes values in the units of the table and returns forecasts in the same units, with intervals. What it
expects is written in its properties (`facts`) and in the description of each input and output.

Shapes: ``B`` batch, ``R`` rows, ``N`` series, ``T`` context, ``H`` horizon.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from swt_time import __version__
from swt_time.checkpoints import Checkpoint, effects_of, read_checkpoint
from swt_time.errors import CheckpointError
from swt_time.evaluation.trained import Trained
from swt_time.evaluation.uncertainty import LEVELS, Uncertainty
from swt_time.exporting.files import check_target, write_file
from swt_time.exporting.graph import Graph, Value, import_onnx
from swt_time.exporting.intervals import floor_at_zero, has_negative, quantiles
from swt_time.exporting.windows import Forecast, forecast_closed_form, take_window
from swt_time.files import expand_user
from swt_time.model.alone import ClosedForm
from swt_time.selection import Blend
from swt_time.selection.blend import SMALLEST

if TYPE_CHECKING:
    from swt_time.forecaster import Forecaster

HISTORY, OBSERVED, DEVIATION = "history", "observed", "deviation"
"""Names of the inputs."""


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
    if isinstance(forecaster, (str, Path)):
        checkpoint = read_checkpoint(expand_user(forecaster, CheckpointError))
        check_exportable(checkpoint)
        trained = Trained.build(checkpoint, "cpu")
    else:
        trained = forecaster.trained
        check_exportable(trained.checkpoint)
    write_file(path, onnx_graph(trained, Uncertainty(levels or (), quantiles or ())))
    return path


def check_exportable(checkpoint: Checkpoint) -> None:
    """Raise CheckpointError if the forecasts of a checkpoint need more than a graph of this module can hold."""
    effects, weights = effects_of(checkpoint), checkpoint.weights
    blend = Blend.from_arrays(weights)
    if effects is not None and not effects.idle:
        raise CheckpointError(
            "cannot export the model to ONNX: covariates or notes change its forecasts, and their effects are not part "
            "of a graph; train it without them, or forecast in Python"
        )
    if blend is not None and (blend.weekly is not None or blend.weight < 1 - SMALLEST):
        raise CheckpointError(
            f"cannot export the model to ONNX: simple forecasters, which are fitted to each series again, have "
            f"{1 - blend.weight:.0%} of its forecast; train the closed form alone (preset fast, or model.panel false), "
            "or forecast in Python"
        )
    if checkpoint.backbone is not None and ("gate" not in weights or weights["gate"]):
        raise CheckpointError(
            f"cannot export the model to ONNX: its forecast needs the language model {checkpoint.backbone.name}; write "
            "a .pt2 file, which PyTorch runs, or train without a language model (backbone.name none)"
        )


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
    return graph.to_bytes("forecast", __version__, meaning, facts(trained, columns, probabilities, scaled=scaled))


def _forecast(graph: Graph, rows: Value, trained: Trained, padded: bool, intervals: bool) -> tuple[Forecast, bool]:
    """The forecast from rows (B, N, R), and whether it depends on the scale of training."""
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
    """The name of an output: that of the column as an identifier, as the standard demands."""
    name = column.replace("-", "_").replace(".", "_")
    return name if name[0].isalpha() else f"quantile_{name}"


def _meaning(column: str, probabilities: dict[str, float]) -> str:
    if column not in probabilities:
        return "The forecast, in the units of the table."
    return f"The value that is not exceeded with probability {probabilities[column]:g}; column {column} of a forecast."


def facts(
    trained: Trained, columns: dict[str, str], probabilities: dict[str, float], *, scaled: bool
) -> dict[str, str]:
    """What the graph expects and where it comes from, as the properties of the file (``metadata_props``).

    Lists and mappings are JSON.
    """
    checkpoint = trained.checkpoint
    data, on = checkpoint.config.data, checkpoint.trained_on
    named: dict[str, object] = {"time": data.time_column, "id": data.id_column, "value": data.target}
    if on.layout == "wide":
        named["series"] = on.ids
    found = {
        "swt_time_version": __version__,
        "context": str(data.steps),
        "horizon": str(data.horizon),
        "frequency": on.frequency or "unknown",
        "layout": on.layout,
        "columns": json.dumps({role: name for role, name in named.items() if name is not None}),
        "outputs": json.dumps(columns),
        "probabilities": json.dumps(probabilities),
        "short_series": "padded with NaN in front" if checkpoint.config.short == "pad" else "not forecast by the graph",
        "fill": data.fill or "none: no value may be missing",
        "scaling": "standard deviations of training, in deviation" if scaled else "none: values of any unit",
        "intervals": trained.describe_intervals(),
        "provenance": json.dumps(checkpoint.provenance, default=str, sort_keys=True),
    }
    if scaled:
        found[DEVIATION] = json.dumps(dict(zip(on.ids, on.deviation, strict=True)))
    return found
