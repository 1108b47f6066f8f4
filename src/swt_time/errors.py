"""Typed errors. Each message says what was expected, what came, where, and the remedy.

``InputError`` and its children mean that the user's input is wrong (exit code 2 on the command line);
every other error means that the program failed (exit code 1).
"""


class SWTTimeError(Exception):
    """Base of every error that swt-time raises on purpose."""


class InputError(SWTTimeError, ValueError):
    """The user's input is wrong; the message names the remedy."""


class TableError(InputError):
    """A table cannot be read as time series: file, columns, values or timestamps."""


class ConfigError(InputError):
    """An option or a configuration key is unknown, out of range, or contradicts another."""


class BackboneError(InputError):
    """A backbone is missing, of an unsupported family, or not the one that was recorded."""


class CheckpointError(InputError):
    """A checkpoint folder is incomplete, damaged, or does not fit the request."""


class DownloadError(InputError):
    """A file cannot be fetched, or is not the one that was expected; the message says what to put where by hand."""


class SaveError(SWTTimeError):
    """The operating system refused to write a checkpoint (disk full, no permission); the former one is whole."""


class MissingDependencyError(SWTTimeError, ImportError):
    """An optional package is not installed; the message names the install command."""


class SWTTimeWarning(UserWarning):
    """Something the user should know and need not mend: a repair that was made, a text that was cut."""


def first_line(error: BaseException, longest: int = 200) -> str:
    """The first line of an error's message, at most ``longest`` characters; the error's type if it has no message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:longest]
