"""The command line under a launcher, which starts the same command in several processes."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

from swt_time.errors import ConfigError
from swt_time.processes import joined, launched, reports_failure, writes


@contextlib.contextmanager
def over_processes(arguments: Sequence[str]) -> Iterator[None]:
    """Run a command in all processes of a launcher, if there is one; only the first process prints results and notes.

    Raises
    ------
    ConfigError
        The command is not one that several processes share.
    ProcessError
        Another process has ended.
    """
    if not {"--help", "--version"}.isdisjoint(arguments) or not launched():
        yield
        return
    if "train" not in arguments[:1]:
        raise ConfigError("a launcher such as torchrun shares the work of train only; start this command without it")
    with joined(), contextlib.ExitStack() as quiet:
        if not writes():
            nowhere = quiet.enter_context(open(os.devnull, "w", encoding="utf-8"))
            quiet.enter_context(contextlib.redirect_stdout(nowhere))
            quiet.enter_context(contextlib.redirect_stderr(nowhere))
        yield
        sys.stdout.flush()


def is_reported_elsewhere() -> bool:
    """Whether another process of the launcher has reported that the command failed."""
    return not reports_failure()
