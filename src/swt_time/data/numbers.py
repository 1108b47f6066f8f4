"""Numbers written with separators: ``12.103,00`` with a decimal comma, ``1,234.50`` with commas between thousands.

``1.234`` and ``1,234`` alone can be one thousand or one and a fraction. What other cells and columns of the same table
hold decides: a number such as ``12.103,00`` or ``0,5`` can be read in one way only.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np

from swt_time.data.columns import is_missing, listed, place
from swt_time.errors import TableError


@dataclass(frozen=True)
class Style:
    """How numbers are written: the decimal separator, and the optional separator between thousands."""

    decimal: str
    thousands: str
    pattern: re.Pattern[str]

    def fits(self, text: str) -> bool:
        """Whether text is a number of this style."""
        return self.pattern.fullmatch(text.strip()) is not None

    def plain(self, text: str) -> str:
        """Rewrite a number of this style with a decimal point and without thousands separators."""
        return text.replace(self.thousands, "").replace(self.decimal, ".")


def _style(decimal: str, thousands: str) -> Style:
    point, comma = re.escape(decimal), re.escape(thousands)
    # a group of thousands does not begin with zero: 0,123 is a fraction
    whole = rf"([1-9]\d{{0,2}}({comma}\d{{3}})+|\d+)"
    number = rf"[+-]?({whole}({point}\d*)?|{point}\d+)(e[+-]?\d+)?|[+-]?inf(inity)?"
    return Style(decimal, thousands, re.compile(number, re.IGNORECASE))


POINT, COMMA = _style(".", ","), _style(",", ".")
"""The styles of English and, for example, of German."""


def has_separator(text: str) -> bool:
    """Whether text holds a decimal or thousands separator."""
    return "." in text or "," in text


def holds_separated_numbers(cells: Iterable[Any]) -> bool:
    """Whether all cells are numbers of one style, written as text, and one of them has a separator."""
    fitting, separated = [POINT, COMMA], False
    for cell in cells:
        fitting = [style for style in fitting if isinstance(cell, str) and style.fits(cell)]
        if not fitting:
            return False
        separated = separated or has_separator(cell)
    return separated


def number_styles(
    table: nw.DataFrame[Any], used: Collection[str], others: Collection[str], rows: np.ndarray
) -> dict[str, Style]:
    """Determine how the numbers of text columns are written.

    Parameters
    ----------
    table : nw.DataFrame
    used : collection of str
        Columns of values.
    others : collection of str
        Further columns that show how numbers are written in this table.
    rows : (n,) int array
        Row numbers for messages.

    Returns
    -------
    dict
        Style by column; columns of plain numbers, and those that hold anything but numbers, are left out.

    Raises
    ------
    TableError
        If a column in ``used`` can be read in both styles and nothing decides between them.
    """
    found: dict[str, list[Style]] = {}
    schema = table.schema
    for name in (*used, *others):
        if not isinstance(schema[name], nw.String | nw.Object):
            continue
        column = table[name].unique() if isinstance(schema[name], nw.String) else table[name]
        cells = [cell for cell in column.to_list() if isinstance(cell, str) and not is_missing(cell)]
        if holds_separated_numbers(cells):
            found[name] = [style for style in (POINT, COMMA) if all(map(style.fits, cells))]
    decided = {styles[0] for styles in found.values() if len(styles) == 1}
    chosen = {}
    for name in used:
        styles = found.get(name, [])
        if len(styles) == 2 and len(decided) == 1:
            styles = list(decided)
        if not styles:
            continue
        commas = _first(table[name], ",")[1] != ""
        if len(styles) == 2 and not decided and not commas:
            styles = [POINT]  # 1.234 in a table without other signs is a decimal number, as in every program
        if len(styles) == 2:
            row, cell = _first(table[name], ",.")
            as_whole, as_fraction = re.sub("[.,]", "", cell), cell.replace(",", ".")
            raise TableError(
                f"{place(name, int(rows[row]))}: {cell!r} can be {as_whole} or {as_fraction}; write numbers with a "
                "decimal point and without thousands separators"
            )
        if styles == [COMMA] or (styles == [POINT] and commas):
            chosen[name] = styles[0]
    return chosen


def _first(column: nw.Series[Any], marks: str) -> tuple[int, str]:
    """Row and text of the first cell that holds one of some characters; the text is empty if there is none."""
    for row, cell in enumerate(column.to_list()):
        if isinstance(cell, str) and any(mark in cell for mark in marks):
            return row, cell.strip()
    return 0, ""


def describe_styles(styles: dict[str, Style], table: nw.DataFrame[Any]) -> list[str]:
    """Return the notes on how the numbers of columns were read."""
    names: dict[str, list[str]] = {}
    for name, style in styles.items():
        how = "commas between thousands"
        if style is COMMA:
            grouped = _first(table[name], style.thousands)[1] != ""
            how = "a decimal comma and dots between thousands" if grouped else "a decimal comma"
        names.setdefault(how, []).append(name)
    return [f"numbers in {listed(some)} were read with {how}" for how, some in names.items()]
