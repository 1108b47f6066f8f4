"""Errors as answers: a status, and one JSON object that names the kind, the reason and the request."""

import re
from collections.abc import Mapping
from typing import Any

from swt_time.errors import (
    BackboneError,
    InputError,
    MissingDependencyError,
    SWTTimeError,
    one_line,
)
from swt_time.serve.models import UnavailableModelError, UnknownModelError

READING = ("target", "time_column", "id_column", "frequency", "fill", "date_format")
"""Keys of the section ``data`` that a request may set, by their name alone."""

FIELDS = {
    "set data.memory_limit to more MiB if you trust the file, or split the table": "send fewer rows or columns",
    "data.columns: the table": "the columns of the model: the table",
    "(levels=None)": '(levels: [], or "none" in a query)',
    "future=...": "the field future",
    "static=...": "the field static",
    "notes=...": "the field notes",
    "save it as UTF-8": "send UTF-8",
}
"""Parts of the library's messages, and what they are called in a request."""

KEY = re.compile(r"(?<![\w.'])data\.(target|time_column|id_column|frequency|fill|date_format)(?![\w.'])")
"""Those keys in messages."""

LIMITS: dict[type[Exception], tuple[int, str]] = {
    MemoryError: (413, "the request needs too much memory; send a smaller table"),
    RecursionError: (422, "the body is nested too deeply"),
    OverflowError: (422, "a number or a time of the table is too large"),
    UnicodeError: (422, "text of the request cannot be represented"),
}
"""Errors that show a limit of Python or of the machine. Input that is not refused before can exceed it."""


class Problem(Exception):
    """An answer that is an error.

    Parameters
    ----------
    status : int
    kind : str
        A word for programs.
    message : str
        What was expected, what came and the remedy, in terms of the request.
    headers : mapping of str to str, optional
    """

    def __init__(self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, one_line(message)
        self.headers = dict(headers or {})

    def content(self, request_id: str) -> dict[str, Any]:
        """Return the answer as plain values."""
        return {"error": {"type": self.kind, "message": self.message}, "request_id": request_id}


def problem_of(error: Exception) -> Problem | None:
    """Return the answer for an error of the library, or for a limit of Python; None for others, which are defects."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, UnknownModelError):
        return Problem(404, "UnknownModel", str(error))
    if isinstance(error, UnavailableModelError):
        return Problem(503, "UnavailableModel", str(error))
    if isinstance(error, BackboneError | MissingDependencyError):  # its message may show paths of the server
        return Problem(
            503, "UnavailableModel", "a package or language model that the request needs is missing on the server"
        )
    if isinstance(error, InputError):
        return Problem(422, type(error).__name__, in_fields(str(error)))
    if isinstance(error, SWTTimeError):
        return Problem(500, type(error).__name__, in_fields(str(error)))
    for kind, (status, message) in LIMITS.items():
        if isinstance(error, kind):
            return Problem(status, "TableError", message)
    return None


def in_fields(message: str) -> str:
    """Replace what the library's messages call keys and arguments by the fields of a request; see `one_line`."""
    for words, field in FIELDS.items():
        message = message.replace(words, field)
    return KEY.sub(r"\1", message)
