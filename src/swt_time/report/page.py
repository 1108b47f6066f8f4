"""The whole page: head, contents, sections, curves and script, in one file of less than `LARGEST` bytes.

The page has a Content-Security-Policy that allows its one script and its one style sheet, by their hashes, and nothing
else: no request, no frame, no form, no other script, and no text that becomes markup in a script.
"""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from swt_time.report.blocks import section
from swt_time.report.facts import Facts
from swt_time.report.markup import Markup, element, embedded_json, joined, shown
from swt_time.report.sections import SECTIONS
from swt_time.report.sections.summary import summary
from swt_time.report.viewer import viewer_data

LARGEST = 1_000_000
"""Most bytes of a report."""

MOST_CURVES = 600_000
"""Most bytes of the curves that the script draws."""


@cache
def static(name: str) -> str:
    """Return a file that is shipped beside this module."""
    return files("swt_time.report").joinpath("static", name).read_text(encoding="utf-8")


@cache
def script() -> str:
    """Return the one script: uPlot, and what uses it."""
    return static("uPlot.iife.min.js").strip() + "\n" + static("report.js")


@cache
def style() -> str:
    """Return the one style sheet."""
    return static("uPlot.min.css").strip() + "\n" + static("report.css")


def sha256(text: str) -> str:
    """Return the source of a Content-Security-Policy that allows one script or style by its content."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def policy() -> str:
    """Return the Content-Security-Policy of a report."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {sha256(script())}",
            f"style-src {sha256(style())}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def page(found: Facts) -> str:
    """Return the report as HTML."""
    made = [(name, title, content) for name, (title, make) in SECTIONS.items() if (content := make(found)) is not None]
    links = [element("li", element("a", title, href=f"#{name}")) for name, title, _ in made]
    body = joined(
        element("header", element("h1", shown(found.title, 200)), summary(found)),
        element("nav", element("h2", "Contents", id="contents"), element("ol", links), aria_labelledby="contents"),
        element("main", [section(name, title, content) for name, title, content in made]),
        element("footer", element("p", "Made by swt-time.")),
    )
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy()}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">'
        f"{element('title', shown(found.title, 200))}<style>{style()}</style>"
    )
    budget = min(MOST_CURVES, LARGEST - len(body.encode()) - len(head.encode()) - len(script().encode()) - 5000)
    curves: Markup = embedded_json(viewer_data(found, budget))
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{body}'
        f'<script type="application/json" id="curves">{curves}</script><script>{script()}</script></body></html>\n'
    )
