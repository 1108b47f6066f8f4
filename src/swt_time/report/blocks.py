"""The blocks that sections of a report are made of: sentences, tables, lists of facts and figures."""

from collections.abc import Iterable, Mapping, Sequence

from swt_time.report.markup import Content, Markup, element
from swt_time.report.words import number

Cell = Content | float | int


def section(name: str, title: str, *content: Content) -> Markup:
    """A section with a heading, which the contents of the report lead to."""
    return element("section", element("h2", title, id=name), *content, aria_labelledby=name)


def paragraph(*content: Content) -> Markup:
    """A paragraph."""
    return element("p", *content)


def bullets(lines: Iterable[Content]) -> Markup:
    """A list; empty text if there is no line."""
    items = [element("li", line) for line in lines]
    return element("ul", items) if items else Markup("")


def facts(found: Mapping[str, Content]) -> Markup:
    """Names and their values; those that are None are left out."""
    rows = [
        element("div", element("dt", name), element("dd", value)) for name, value in found.items() if value is not None
    ]
    return element("dl", rows, class_="facts")


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[Cell]], *, best: Sequence[int] = ()) -> Markup:
    """A table that can be scrolled on a narrow screen; the first cell of a row is its name.

    Parameters
    ----------
    caption : str
    head : sequence of str
    rows : sequence of sequences
        Floats are written as numbers, text is escaped.
    best : sequence of int
        Columns whose lowest number is set in bold within the table.
    """
    lowest = {}
    for column in best:
        values = [row[column] for row in rows if isinstance(row[column], float) and row[column] == row[column]]
        if len(values) > 1:
            lowest[column] = min(values)
    body = []
    for row in rows:
        cells = [element("th", row[0], scope="row")]
        for column, value in enumerate(row[1:], start=1):
            numeric = isinstance(value, float | int)
            text = number(value) if numeric else value
            if numeric and lowest.get(column) == value:
                text = element("strong", text)
            cells.append(element("td", text, class_="number" if numeric else None))
        body.append(element("tr", cells))
    titles = element("tr", [element("th", one, scope="col") for one in head])
    return element(
        "div",
        element(
            "table", element("caption", caption), element("thead", titles), element("tbody", body)
        ),
        class_="scroll", tabindex=0, role="region", aria_label=caption,
    )  # fmt: skip


def figure(picture: Markup, *caption: Content) -> Markup:
    """A picture with a caption."""
    return element("figure", picture, element("figcaption", *caption))


def folded(title: str, *content: Content) -> Markup:
    """Content that is shown on request, and always on paper."""
    return element("details", element("summary", title), *content)


def key(names: Mapping[str, str]) -> Markup:
    """What the colours of charts mean: class of a line or an area to its name."""
    return element(
        "p", [element("span", element("span", class_=f"swatch {kind}"), name) for kind, name in names.items()], class_="key"
    )
