"""The page at ``/``: static files of the package, and the jobs behind them.

Scripts of other sites can neither start a job nor see one: a request that changes something must come from the page
itself (its ``Origin`` and a header that a form cannot send), and ids of jobs cannot be guessed.
"""

import hashlib
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from swt_time.serve.jobs import BusyError, Job, Jobs, UnknownJobError

STATIC = {
    "index.html": ("swt_time.serve", "text/html; charset=utf-8"),
    "page.css": ("swt_time.serve", "text/css; charset=utf-8"),
    "page.js": ("swt_time.serve", "text/javascript; charset=utf-8"),
    "server.js": ("swt_time.serve", "text/javascript; charset=utf-8"),
    "elements.js": ("swt_time.serve", "text/javascript; charset=utf-8"),
    "form.js": ("swt_time.serve", "text/javascript; charset=utf-8"),
    "progress.js": ("swt_time.serve", "text/javascript; charset=utf-8"),
    "result.js": ("swt_time.serve", "text/javascript; charset=utf-8"),
    "chart.js": ("swt_time.serve", "text/javascript; charset=utf-8"),
    "icon.svg": ("swt_time.serve", "image/svg+xml"),
}
"""Files of the page: the room whose folder ``static`` holds each, and its type."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""No script and no style but those of the package, and no text that becomes markup."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}

REPORT_POLICY = "sandbox allow-scripts allow-downloads allow-modals"
"""A report runs the scripts of its own policy, apart from the page and what it may do."""

OWN_HEADER = "X-SWT-Time"
"""A header that only a script of the page sends: those of other sites need a permission that is never given."""

Text = Annotated[str, Field(max_length=1000)]


class Options(BaseModel):
    """The form of the page: keys of the section ``data`` of the configuration."""

    model_config = ConfigDict(extra="forbid")

    time_column: Text | None = None
    id_column: Text | None = None
    target: Text | None = None
    known: list[Text] = Field(default=[], max_length=500)
    calendar: bool = False
    fill: Text | None = None
    frequency: Text | None = None
    date_format: Text | None = None
    encoding: Text | None = None
    horizon: int | None = None
