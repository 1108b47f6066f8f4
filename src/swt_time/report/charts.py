"""Static charts as SVG elements: they need no script and no picture library, and take their colours from the page.

A chart is drawn in a box of `WIDTH` units, small enough that its text can be read on a narrow screen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from swt_time.report.markup import Markup, element
from swt_time.report.words import number, time_text

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 480, 52, 8, 8, 22
MOST_POINTS = 240
"""Most points of one line; of more the lowest and highest ones of equal stretches are drawn."""


@dataclass(frozen=True)
class Line:
    """A line of a chart: x, y (NaN makes a gap), and the class that gives its colour."""

    x: np.ndarray
    y: np.ndarray
    kind: str


@dataclass(frozen=True)
class Area:
    """The area between two lines."""

    x: np.ndarray
    low: np.ndarray
    high: np.ndarray
    kind: str


@dataclass(frozen=True)
class Frame:
    """Axes of a chart.

    Attributes
    ----------
    x, y : (2,) tuples of float
        What the axes span.
    height : int
    """

    x: tuple[float, float]
    y: tuple[float, float]
    height: int = 220

    @classmethod
    def around(
        cls, lines: Sequence[Line], areas: Sequence[Area] = (), *, zero: bool = False, height: int = 220
    ) -> "Frame":
        """Axes that hold all that is drawn, with some room above and below."""
        x = np.concatenate([x.astype(np.float64) for x in [*(one.x for one in lines), *(one.x for one in areas)]])
        y = np.concatenate([one.y for one in lines] + [v for one in areas for v in (one.low, one.high)])
        y = y[np.isfinite(y)]
        low, high = (float(y.min()), float(y.max())) if len(y) else (0.0, 1.0)
        if zero:
            low = min(low, 0.0)
        room = 0.05 * (high - low) or 0.5 * max(abs(high), 1.0)
        below = 0.0 if zero and low == 0 else room
        first, last = float(x.min()), float(x.max())
        return cls((first, last if last > first else first + 1), (low - below, high + room), height)

    @cached_property
    def bottom(self) -> int:
        """Where the horizontal axis lies."""
        return self.height - BOTTOM

    def across(self, x: np.ndarray) -> np.ndarray:
        """Horizontal places of values."""
        first, last = self.x
        return LEFT + (x.astype(np.float64) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def down(self, y: np.ndarray) -> np.ndarray:
        """Vertical places of values."""
        low, high = self.y
        return self.bottom - (y - low) / (high - low) * (self.bottom - TOP)


def thinned(x: np.ndarray, y: np.ndarray, most: int = MOST_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """At most ``most`` points of a line: the lowest and the highest of each of equal stretches."""
    if len(y) <= most:
        return x, y
    edges = np.linspace(0, len(y), most // 2 + 1).astype(np.int64)
    kept: list[int] = []
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = y[begin:end]
        if np.isnan(part).all():
            kept.append(begin)
            continue
        kept += sorted({begin + int(np.nanargmin(part)), begin + int(np.nanargmax(part))})
    return x[kept], y[kept]


def points(frame: Frame, x: np.ndarray, y: np.ndarray) -> str:
    """Return the commands of a path through points, with a gap at every NaN."""
    words, drawn = [], False
    for across, down in zip(frame.across(x).tolist(), frame.down(y).tolist(), strict=True):
        if not (np.isfinite(across) and np.isfinite(down)):
            drawn = False
            continue
        words.append(f"{'L' if drawn else 'M'}{across:.1f} {down:.1f}")
        drawn = True
    return "".join(words)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round values on an axis."""
    span = high - low
    if not (np.isfinite(span) and span > 0):
        return []
    raw = span / most
    power = 10.0 ** np.floor(np.log10(raw))
    step = float(next((one * power for one in (1, 2, 5, 10) if one * power >= raw), 10 * power))
    first = int(np.ceil(low / step))
    return [k * step for k in range(first, int(np.floor(high / step)) + 1)][: 2 * most]


def axes(frame: Frame, labels: Sequence[tuple[float, str]]) -> Markup:
    """Lines and texts of the axes; ``labels`` are places on the horizontal one and their texts."""
    parts = []
    for value in ticks(*frame.y):
        place = float(frame.down(np.array(value)))
        parts.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{place:.1f}", y2=f"{place:.1f}", class_="grid"))
        parts.append(element("text", number(value), x=LEFT - 5, y=f"{place + 4:.1f}", text_anchor="end"))
    for place, label in labels:
        across = float(frame.across(np.array(place)))
        reach = 3.5 * len(label)
        anchor = "start" if across < LEFT + reach - 20 else "end" if across > WIDTH - RIGHT - reach else "middle"
        parts.append(element("text", label, x=f"{across:.1f}", y=frame.bottom + 16, text_anchor=anchor))
    return element("g", parts, class_="axes")


def time_labels(times: np.ndarray, count: int = 3) -> list[tuple[float, str]]:
    """Evenly spread labels of a time axis, (seconds or counts of rows, text)."""
    places = np.unique(np.linspace(0, len(times) - 1, count).round().astype(np.int64))
    return [(float(seconds(times[[i]])[0]), time_text(times[i])) for i in places.tolist()]


def seconds(times: np.ndarray) -> np.ndarray:
    """Wall-clock times as seconds since 1970, (T,) float64; counts of rows are returned unchanged."""
    if times.dtype.kind == "M":
        return np.asarray(times.astype("datetime64[us]").astype(np.int64) / 1e6)
    return times.astype(np.float64)


def chart(
    frame: Frame,
    lines: Sequence[Line],
    labels: Sequence[tuple[float, str]],
    alt: str,
    *,
    areas: Sequence[Area] = (),
    marks: Sequence[float] = (),
) -> Markup:
    """Return a chart of lines over areas, with vertical marks.

    Parameters
    ----------
    frame : Frame
    lines : sequence of Line
    labels : sequence of (float, str)
        Of the horizontal axis.
    alt : str
        What the chart shows, in words.
    areas : sequence of Area
        Drawn below the lines.
    marks : sequence of float
        Places of vertical lines.
    """
    parts = [axes(frame, labels)]
    for area in areas:
        x = np.concatenate([area.x, area.x[::-1]])
        outline = points(frame, x, np.concatenate([area.high, area.low[::-1]]))
        parts.append(element("path", d=outline + "Z", class_=f"area {area.kind}"))
    for place in marks:
        across = f"{float(frame.across(np.array(place))):.1f}"
        parts.append(element("line", x1=across, x2=across, y1=TOP, y2=frame.bottom, class_="mark"))
    for line in lines:
        parts.append(element("path", d=points(frame, *thinned(line.x, line.y)), class_=f"line {line.kind}"))
    return picture(parts, frame.height, alt)


def bars(shares: np.ndarray, level: float, labels: Sequence[str], alt: str, height: int = 200) -> Markup:
    """Bars of shares in percent, with a horizontal line at the ``level`` that they should have."""
    frame = Frame((0.0, float(len(shares))), (0.0, 100 * float(max(shares.max(), level)) * 1.1), height)
    parts = [axes(frame, [(i + 0.5, label) for i, label in enumerate(labels)])]
    for i, share in enumerate(shares.tolist()):
        left, right = frame.across(np.array([i + 0.1, i + 0.9])).tolist()
        top = float(frame.down(np.array(100 * share)))
        parts.append(
            element(
                "rect", x=f"{left:.1f}", y=f"{top:.1f}", width=f"{right - left:.1f}",
                height=f"{frame.bottom - top:.1f}", class_="bar",
            )
        )  # fmt: skip
    place = f"{float(frame.down(np.array(100 * level))):.1f}"
    parts.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=place, y2=place, class_="mark"))
    return picture(parts, height, alt)


def picture(parts: Sequence[Markup], height: int, alt: str) -> Markup:
    """Return an SVG element that is read out as one picture."""
    return element("svg", parts, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=alt)


def joined_to(last: float, values: np.ndarray) -> np.ndarray:
    """Values that begin at the last one before them."""
    return np.concatenate([[last], values])
