"""HTML and SVG that are escaped by construction: text becomes markup only through `element`.

A `Markup` is text that this module made. Everything else that is put into an element or an attribute is escaped, so a
name from a table cannot become a tag. Names of tags and attributes are written in the code of the callers alone; they
are checked all the same, and so is that no element or attribute is one that runs or loads something.
"""

import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")
"""Names of tags and attributes."""

EMPTY = frozenset({"input", "path", "line", "rect"})
"""Elements without content."""

TAGS = frozenset(
    {
        *(
            "a",
            "button",
            "caption",
            "dd",
            "details",
            "div",
            "dl",
            "dt",
            "em",
            "figcaption",
            "figure",
            "footer",
            "h1",
            "h2",
        ),
        *("h3", "h4", "header", "input", "label", "li", "line", "main", "nav", "ol", "p", "path", "rect", "section"),
        *(
            "select",
            "span",
            "strong",
            "summary",
            "svg",
            "g",
            "text",
            "table",
            "tbody",
            "td",
            "th",
            "thead",
            "title",
            "tr",
        ),
        "ul",
    }
)
"""Elements of a report. The head with its script and styles is written by `swt_time.report.page` alone."""

FORBIDDEN = ("on", "src", "style", "action", "formaction", "data", "xlink")
"""Attributes that run or load something begin with one of these; ``data-...`` alone does not."""

INVISIBLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
"""Control characters, line separators and marks that turn the direction of text or show nothing."""

LONGEST_TEXT = 300
"""Most characters of one text from outside."""


class Markup(str):
    """Text that is HTML."""

    __slots__ = ()


Content = str | int | float | Iterable["Content"] | None


def shown(text: object, longest: int = LONGEST_TEXT) -> str:
    r"""Return a text from outside on one line.

    Invisible characters are written as codes, and a long text is cut in the middle.

    Examples
    --------
    >>> shown("a\u202eb\n c"), shown("abcdefghij", 7)
    ('a\\u202eb c', 'abc...j')
    """
    whole = str(text)
    if len(whole) > 4 * longest:  # a name may have megabytes
        whole = whole[: 2 * longest] + whole[-2 * longest :]
    line = INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", " ".join(whole.split()))
    line = line.encode("utf-8", "replace").decode()  # a lone half of a surrogate pair
    tail = longest // 4
    return line if len(line) <= longest else f"{line[: longest - 3 - tail]}...{line[-tail:]}"


def escaped(text: object) -> Markup:
    """Text for the content of an element or for an attribute in double quotes."""
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(str(text), quote=True))


def joined(*content: Content) -> Markup:
    """Put content together; what is no markup is escaped, None is nothing."""
    parts = []
    for one in content:
        if one is None:
            continue
        if isinstance(one, str | int | float):
            parts.append(escaped(one))
        else:
            parts.append(joined(*one))
    return Markup("".join(parts))


def element(tag: str, *content: Content, **attributes: object) -> Markup:
    """Return an element of HTML or SVG.

    Parameters
    ----------
    tag : str
    *content : str, Markup, number, None, or iterables of these
        Escaped unless it is markup.
    **attributes
        Values are escaped; None and False leave an attribute out, True gives it no value. A ``_`` in a name is a
        ``-``, and one at its end is dropped (``class_``, ``for_``).

    Raises
    ------
    ValueError
        The tag or an attribute is none of a report.

    Examples
    --------
    >>> element("p", "a < b", element("em", "c"), class_="note", title='"')
    '<p class="note" title="&quot;">a &lt; b<em>c</em></p>'
    """
    if tag not in TAGS:
        raise ValueError(f"{tag!r} is no element of a report")
    head = tag
    for name, value in attributes.items():
        plain = name.rstrip("_").replace("_", "-")
        if not NAME.fullmatch(plain) or (plain.startswith(FORBIDDEN) and not plain.startswith("data-")):
            raise ValueError(f"{plain!r} is no attribute of a report")
        if plain == "href" and not re.fullmatch(r"#[\w-]+", str(value)):
            raise ValueError(f"a link leads to a place in the report, not to {value!r}")
        if value is None or value is False:
            continue
        head += f" {plain}" if value is True else f' {plain}="{escaped(value)}"'
    if tag in EMPTY:
        return Markup(f"<{head}>") if tag == "input" else Markup(f"<{head}/>")
    return Markup(f"<{head}>{joined(*content)}</{tag}>")


def embedded_json(values: Mapping[str, Any]) -> Markup:
    """Plain values as JSON for a script element that is not run; nothing in it can end the element.

    Characters with a meaning in HTML, and line separators with one in scripts, are written as escapes of JSON.
    """
    text = json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&'":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
