"""What an exported model expects and where it comes from, as properties of its file."""

import json

from swt_time import __version__
from swt_time.evaluation.trained import Trained

DEVIATION = "deviation"
"""Name of the input with the scales of training, and of the property that holds them."""


def facts(
    trained: Trained, columns: dict[str, str], probabilities: dict[str, float], *, padded: bool, scaled: bool
) -> dict[str, str]:
    """Describe an exported model; lists and mappings are JSON.

    Parameters
    ----------
    trained : Trained
    columns : dict of str to str
        The column of a forecast that each output has the values of.
    probabilities : dict of str to float
        The probability below the values of each column around the forecast.
    padded : bool
        Whether it forecasts series with fewer rows than the context.
    scaled : bool
        Whether its forecasts depend on the scales of training.
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
        "short_series": "NaN in front" if padded else "not forecast",
        "fill": data.fill or "none: no value may be missing",
        "scaling": "by the values of training: mean, deviation" if scaled else "none: values of any unit",
        "provenance": json.dumps(checkpoint.provenance, default=str, sort_keys=True),
    }
    if probabilities:
        found["intervals"] = trained.describe_intervals().removeprefix("intervals: ")
    if scaled:
        found["mean"] = json.dumps(dict(zip(on.ids, on.mean, strict=True)))
        found[DEVIATION] = json.dumps(dict(zip(on.ids, on.deviation, strict=True)))
    return found
