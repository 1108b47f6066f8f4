"""The first series through the wavelet of the configuration: its bands and their shares of the energy."""

import numpy as np

from swt_time.data.zones import wall_times
from swt_time.errors import ConfigError
from swt_time.report.blocks import figure, paragraph, table
from swt_time.report.charts import Frame, Line, chart, seconds, time_labels
from swt_time.report.curves import in_order
from swt_time.report.facts import Facts
from swt_time.report.markup import Markup, element, joined, shown
from swt_time.report.words import count, percent

ROWS = 512
"""Last rows of the series that are looked at."""

MOST_BANDS = 8


def wavelets(found: Facts) -> Markup | None:
    """Return the section."""
    from swt_time.evaluation.bands import decompose  # needs PyTorch

    series, settings = found.series, found.trained.checkpoint.config.embedding
    index = in_order(series)[0]
    values, times = series.values[index][-ROWS:], wall_times(series.times[index][-ROWS:])
    bands = None
    for level in range(min(settings.levels, MOST_BANDS - 1), 0, -1):
        try:
            bands = decompose(values, wavelet=settings.wavelet, level=level, boundary=settings.boundary)
            break
        except ConfigError:  # too deep for a short series
            continue
    if bands is None:
        return paragraph("The series is too short for a wavelet view.")
    x = seconds(times)
    labels = time_labels(times)
    name = shown(series.ids[index], 80)
    drawn = [_band(x, values, labels, f"“{name}”, its last {count(len(values), 'value')}", "context")]
    for k, band in enumerate(bands.names):
        what = f"{band}: {percent(float(bands.share[k]))} of the energy"
        drawn.append(_band(x, bands.coefficients[k], labels, what, "yhat" if k == 0 else "naive"))
    rows = [[band, percent(float(share))] for band, share in zip(bands.names, bands.share, strict=True)]
    use = (
        "The model embeds these bands."
        if not found.trained.is_closed_form
        else "The closed form uses the wavelet, if at all, in the prior of its weights."
    )
    return joined(
        paragraph(
            f"The stationary transform with the wavelet {shown(settings.wavelet, 40)} splits a series into a smooth "
            f"part, A, and details D of growing length: D_1 of about 2 to 4 rows, D_2 of 4 to 8, and so on. {use}"
        ),
        element("div", drawn, class_="figures"),
        table(f"Share of each band in the energy of “{name}”", ["Band", "Share"], rows),
    )


def _band(x: np.ndarray, y: np.ndarray, labels: list[tuple[float, str]], what: str, kind: str) -> Markup:
    line = Line(x, y, kind)
    return figure(chart(Frame.around([line], height=130), [line], labels, f"Line chart of {what}."), what)
