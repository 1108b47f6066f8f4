"""The blocks that sections of a report are made of: sentences, tables, lists of facts and figures."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from swt_time.report.markup import Content, Markup, element
from swt_time.report.words import number

NUMERIC = re.compile(r"[+-]?[\d,.]+(\s%)?|–")
"""Cells of text that are aligned as numbers."""


def section(name: str, title: str, *content: Content) -> Markup:
    """Return a section with a heading, which the contents of the report lead to."""
    return element("section", element("h2", title, id=name), *content, aria_labelledby=name)


def paragraph(*content: Content) -> Markup:
    """Return a paragraph."""
    return element("p", *content)


def bullets(lines: Iterable[Content]) -> Markup:
    """Return a list; empty text if there is no line."""
    items = [element("li", line) for line in lines]
    return element("ul", items) if items else Markup("")


def facts(found: Mapping[str, Content]) -> Markup:
    """Names and their values; those that are None are left out."""
    rows = [
        element("div", element("dt", name), element("dd", value)) for name, value in found.items() if value is not None
    ]
    return element("dl", rows, class_="facts")


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[Any]], *, best: str = "") -> Markup:
    """Return a table that can be scrolled on a narrow screen; the first cell of a row is its name.

    Parameters
    ----------
    caption : str
    head : sequence of str
    rows : sequence of sequences
        Floats are written as numbers, text is escaped.
    best : {"column", "row"}, optional
        In what the lowest number is set in bold.
    """
    columns = list(zip(*rows, strict=True))[1:]
    numeric = [all(_is_number(one) for one in column) for column in columns]
    body = []
    for row in rows:
        cells = [element("th", row[0], scope="row")]
        for value, column, right in zip(row[1:], columns, numeric, strict=True):
            text = number(value) if isinstance(value, float | int) else value
            if _is_lowest(value, column if best == "column" else row[1:] if best == "row" else ()):
                text = element("strong", text)
            cells.append(element("td", text, class_="number" if right else None))
        body.append(element("tr", cells))
    sides = [False, *numeric] if rows else [False] * len(head)
    titles = element(
        "tr",
        [
            element("th", one, scope="col", class_="number" if right else None)
            for one, right in zip(head, sides, strict=True)
        ],
    )
    return element(
        "div",
        element(
            "table", element("caption", caption), element("thead", titles), element("tbody", body)
        ),
        class_="scroll", tabindex=0, role="region", aria_label=caption,
    )  # fmt: skip


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int) or (isinstance(value, str) and NUMERIC.fullmatch(value) is not None)


def _is_lowest(value: Any, others: Sequence[Any]) -> bool:
    known = [one for one in others if isinstance(one, float) and math.isfinite(one)]
    return len(known) > 1 and isinstance(value, float) and value == min(known)


def figure(picture: Markup, *caption: Content) -> Markup:
    """Return a picture with a caption."""
    return element("figure", picture, element("figcaption", *caption))


def folded(title: str, *content: Content) -> Markup:
    """Content that is shown on request, and always on paper."""
    return element("details", element("summary", title), *content)


def key(names: Mapping[str, str]) -> Markup:
    """Return what the colours of charts mean: class of a line or an area to its name."""
    return element(
        "p",
        [element("span", element("span", class_=f"swatch {kind}"), name) for kind, name in names.items()],
        class_="key",
    )
