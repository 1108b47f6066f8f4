"""Exception types. Each message says what was expected, what was given, where, and the remedy.

`InputError` and its subclasses mean that the user's input is wrong (exit code 2 on the command line);
every other error means that the program failed (exit code 1).
"""


class SWTTimeError(Exception):
    """Base class of all errors that swt-time raises on purpose."""


class InputError(SWTTimeError, ValueError):
    """The user's input is wrong; the message names the remedy."""


class TableError(InputError):
    """A table cannot be read as time series, because of its file, columns, values or timestamps."""


class ConfigError(InputError):
    """An option or configuration key is unknown, out of range, or contradicts another."""


class BackboneError(InputError):
    """A backbone is missing, unsupported, too small, or not the one that a checkpoint records."""


class CheckpointError(InputError):
    """A checkpoint folder is incomplete, damaged, or does not fit the request."""


class DownloadError(InputError):
    """A file cannot be downloaded or has unexpected content; the message says which file to place where by hand."""


class HubError(InputError):
    """The hub cannot be reached, or refuses a repository; the message names the remedy."""


class SaveError(SWTTimeError):
    """The operating system refused to write a checkpoint (disk full, no permission); the previous one is intact."""


class ProcessError(SWTTimeError):
    """Another process of a training over several processes has ended or cannot be reached; the last state is intact."""


class MissingDependencyError(SWTTimeError, ImportError):
    """An optional package is not installed; the message names the install command."""


class SWTTimeWarning(UserWarning):
    """Something the user should know but need not fix, such as a repaired table or a shortened prompt."""


def first_line(error: BaseException, longest: int = 200) -> str:
    """Return the first line of an error's message, at most ``longest`` characters; its type if there is no message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:longest]


def one_line(message: str) -> str:
    """Shorten a message to one line of at most 1,000 printable characters; control characters are escaped."""
    if len(message) > 4000:  # a table may have a cell of megabytes
        message = f"{message[:2000]}{message[-2000:]}"
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(message.split()))
    return line if len(line) <= 1000 else f"{line[:700]} ... {line[-295:]}"
