"""Intervals and quantiles around a forecast as operators; see `swt_time.intervals`.

Shapes: ``B`` batch, ``N`` channels, ``R`` rows, ``H`` horizon, ``L`` rows that describe a scale, ``m`` season.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from swt_time.exporting.graph import Graph, Value
from swt_time.exporting.windows import Forecast, last_rows
from swt_time.intervals import Calibration, reach
from swt_time.intervals.calibration import LEAST_SPREAD
from swt_time.intervals.scale import NEWEST, PHASE_SOFTENING, SOFTENING, unit_length

ZERO, ONE, NAN = np.float64(0), np.float64(1), np.float64(np.nan)


def has_negative(graph: Graph, rows: Value) -> Value:
    """Whether a series has a negative value, (B, N, 1) bool; NaN is none."""
    return graph.any(graph("Less", rows, ZERO), 2)


def floor_at_zero(graph: Graph, yhat: Value, negative: Value) -> Value:
    """Forecasts of which those of series without ``negative`` values are at least zero."""
    return graph("Where", negative, yhat, graph("Max", yhat, ZERO))


def quantiles(
    graph: Graph,
    calibration: Calibration,
    forecast: Forecast,
    rows: Value,
    probabilities: Mapping[str, float],
) -> dict[str, Value]:
    """Quantiles by name, (B, N, H) each; see `Calibration.quantiles`.

    Parameters
    ----------
    graph : Graph
    calibration : Calibration
    forecast : Forecast
    rows : Value, (B, N, R)
        The values before the forecast, NaN where nothing was observed.
    probabilities : mapping of str to float
    """
    length = reach(calibration.season)
    newest = last_rows(graph, rows, length)
    below, above = _scales(graph, calibration, _describe(graph, newest, calibration.season), forecast)
    negative = has_negative(graph, newest)
    # earlier values count too where one of the newest was not observed
    gaps = graph.any(graph("IsNaN", newest), 2)
    negative = graph("Or", negative, graph("And", gaps, has_negative(graph, rows)))
    floor = graph("Where", negative, np.float64(-np.inf), graph("Min", forecast.yhat, ZERO))
    found = {}
    for (name, _), scaled in zip(
        probabilities.items(), calibration.scaled_quantiles(list(probabilities.values())), strict=True
    ):
        scales = below if below == above else graph("Where", scaled < 0, below, above)
        found[name] = graph("Max", graph("Add", graph("Mul", scaled, scales), forecast.yhat), floor)
    return found


@dataclass(frozen=True)
class _Description:
    """Unit (B, N, 1), features (B, N, FEATURES) and phases (B, N, m); see `swt_time.intervals.scale.Description`."""

    unit: Value
    features: Value
    phases: Value


def _scales(graph: Graph, calibration: Calibration, known: _Description, forecast: Forecast) -> tuple[Value, Value]:
    """Scales below and above forecasts, (B, N, H); see `Calibration.scales`."""
    steps = np.arange(calibration.horizon)
    features = graph("Max", graph("Min", known.features, calibration.bounds[1]), calibration.bounds[0])
    logs = graph("MatMul", features, calibration.coefficients[1:, None].astype(np.float64))
    growth = calibration.growth * np.log(steps + 1) if calibration.shared else np.zeros(len(steps))
    logs = graph("Add", logs, calibration.coefficients[0] + growth)
    if calibration.phase:
        phases = graph("Gather", known.phases, steps % calibration.season, axis=2)
        logs = graph("Add", logs, graph("Mul", phases, np.float64(calibration.phase)))
    factors = graph("Exp", logs)
    if not calibration.own:
        scales = graph("Mul", known.unit, factors)
        return scales, scales
    assert forecast.spread is not None
    least = graph("Mul", known.unit, np.float64(LEAST_SPREAD))
    unit = graph("Mul", graph("Pow", known.unit, np.float64(1 - calibration.own)), factors)
    below, above = (
        graph("Mul", unit, graph("Pow", graph("Max", one, least), np.float64(calibration.own)))
        for one in forecast.spread
    )
    return below, above


def _describe(graph: Graph, rows: Value, season: int) -> _Description:
    """Describe the last ``L`` values before forecasts; see `swt_time.intervals.scale.describe`."""
    length, newest = unit_length(season), max(season, NEWEST)
    sizes = graph("Where", graph("IsNaN", rows), ZERO, graph("Abs", rows))
    largest = graph("ReduceMax", sizes, axes=[2])
    largest = graph("Where", graph("Equal", largest, ZERO), ONE, largest)
    rows = graph("Div", rows, largest)
    total = reach(season)
    differences = _difference(graph, rows, total, season)
    former, seasonal = _mean(graph, differences), graph.last(differences, length)
    values, latest = graph.last(rows, length + season), graph.last(rows, length)
    unit = _mean(graph, seasonal)
    neighbours = graph("Abs", _difference(graph, graph.last(rows, length + 1), length + 1, 1))
    for other in (neighbours, graph("Abs", values)):
        unit = graph("Where", graph("IsNaN", unit), _mean(graph, other), unit)
    around = graph("Sub", latest, _mean(graph, latest))
    deviation = graph("Sqrt", _mean(graph, graph("Mul", around, around)))
    features = graph("Concat", _mean(graph, graph.last(seasonal, newest)), former, deviation, axis=2)
    seasons = length // season
    by_phase = graph.reshape(graph.last(seasonal, seasons * season), 0, 0, seasons, season)
    phases = graph.reshape(_mean(graph, by_phase), 0, 0, season)
    unit_or_zero = graph("Where", graph("IsNaN", unit), ZERO, unit)
    return _Description(
        graph("Mul", unit_or_zero, largest),
        _logarithm(graph, features, unit, SOFTENING),
        _logarithm(graph, phases, unit, PHASE_SOFTENING),
    )


def _difference(graph: Graph, rows: Value, length: int, lag: int) -> Value:
    """Absolute differences of ``length`` values over a lag."""
    return graph("Abs", graph("Sub", graph.slice(rows, lag, length, 2), graph.slice(rows, 0, length - lag, 2)))


def _mean(graph: Graph, values: Value) -> Value:
    """Mean along the axis behind the channels, over what is not NaN; NaN where nothing is. The axis stays."""
    unknown = graph("IsNaN", values)
    count = graph.sum(graph.cast(graph("Not", unknown), np.float64), 2)
    return graph("Div", graph.sum(graph("Where", unknown, ZERO, values), 2), count)


def _logarithm(graph: Graph, values: Value, unit: Value, added: float) -> Value:
    """Logarithm of ratios to a unit, 1 where a ratio is not finite."""
    ratios = graph("Div", values, unit)
    odd = graph("Or", graph("IsNaN", ratios), graph("IsInf", ratios))
    return graph("Log", graph("Add", graph("Where", odd, ONE, ratios), np.float64(added)))
