"""A study as a file: a journal of Optuna, of which every trial is one line, written when the trial has ended.

Optuna by itself writes a line for each step of a trial, so a killed process leaves a trial that runs for ever, or half
a line, after which the journal cannot be read any more. Here a trial is added whole. A line that was cut off is
removed when the study is opened again, and the trial runs again. The file is locked as long as it is open.
"""

import contextlib
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swt_time.checkpoints.locking import HELD, UNSUPPORTED, lock_file
from swt_time.config import Config
from swt_time.config.identity import NEVER_MATTER
from swt_time.data.series import SeriesTable, series_sha256
from swt_time.errors import ConfigError, InputError, MissingDependencyError, SWTTimeError, first_line
from swt_time.files import MEBIBYTE, read_bytes
from swt_time.folders import check_place, explained
from swt_time.tuning.space import Space

NAME = "swt-time"
"""Name of the study in its journal, and of the attribute that says what it belongs to."""

LIMIT = 256 * MEBIBYTE
"""Most bytes of a study."""

FIRST = b'{"op_code":0,'
"""How the journal of a study begins."""


def import_optuna() -> Any:
    """Import Optuna.

    Raises
    ------
    MissingDependencyError
        It is not installed.
    """
    try:
        import optuna
        import optuna.storages.journal  # noqa: F401  which the caller reads as optuna.storages.journal
    except ImportError as error:
        raise MissingDependencyError("a study needs the package optuna: pip install 'swt-time[tune]'") from error
    return optuna


@contextlib.contextmanager
def quiet(optuna: Any) -> Iterator[None]:
    """Keep Optuna's own messages and warnings from the user; those of a host program come back afterwards."""
    former = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(former)


def identity(table: SeriesTable, base: Config, space: Space, folds: int) -> dict[str, Any]:
    """Return what a study depends on, as plain values."""
    found = {
        "data_sha256": series_sha256(table),
        "folds": folds,
        "base": base.model_dump(mode="json"),
        "space": {key: one.record() for key, one in space.items()},
    }
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain


def differences(former: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """Name what differs between what a study belongs to and what it is opened for."""
    found = []
    if former["data_sha256"] != own["data_sha256"]:
        found.append("the rows before the test part of the table")
    if former["folds"] != own["folds"]:
        found.append(f"folds {own['folds']} (not {former['folds']})")
    base, theirs = Config.parse(own["base"]), Config.parse(former["base"])
    found += [one for one in base.differences(theirs) if one.split()[0] not in NEVER_MATTER]
    for key in {**own["space"], **former["space"]}:
        here, there = own["space"].get(key), former["space"].get(key)
        if here != there:
            found.append(f"the search of {key}: {here or 'none'} (not {there or 'none'})")
    return found


@dataclass(frozen=True)
class Journal:
    """An open study.

    Attributes
    ----------
    trials : list
        Trials of Optuna that have ended.
    add : callable
        Stores one more.
    """

    trials: list[Any]
    add: Callable[[Any], None]


@contextlib.contextmanager
def open_study(optuna: Any, path: Path | None, own: Mapping[str, Any]) -> Iterator[Journal]:
    """Open or create the file of a study.

    Parameters
    ----------
    optuna : module
    path : Path or None
        None for a study that is not kept.
    own : mapping
        See `identity`.

    Raises
    ------
    InputError
        The file is not a study, belongs to something else (the message names what), or another process uses it.
    SWTTimeError
        The operating system refused to write the file; the trials before are kept.
    """
    if path is None:
        yield Journal([], lambda trial: None)
        return
    check_study(path)
    with contextlib.ExitStack() as stack:
        with explained(f"cannot open the study {path}", SWTTimeError):
            stack.enter_context(_locked(path))
            _remove_torn_line(path)
            study = _load(optuna, path)
            former = study.user_attrs.get(NAME)
            if (former is None and study.trials) or not all(map(_is_ours, study.trials)):
                raise InputError(f"{path} is a study of Optuna that swt-time has not made; choose another file")
            if former is None:
                study.set_user_attr(NAME, dict(own))
            elif found := _differences(path, former, own):
                raise ConfigError(
                    f"the study {path} was started with other options; it differs in {'; '.join(found)}: give the "
                    "former ones to go on with it, or another file to start a new study"
                )

        def add(trial: Any) -> None:
            with explained(f"cannot add a trial to the study {path}", SWTTimeError):
                study.add_trial(trial)

        try:
            yield Journal(study.trials, add)
        except BaseException:
            if not study.trials:  # the base cannot be fitted: nothing is left behind
                with contextlib.suppress(OSError):
                    path.unlink()
            raise


def check_study(path: Path) -> None:
    """Check that a path is a study, or that one can be created there; change nothing.

    A process that is killed as it creates a study leaves an empty file, or a part of the first line.

    Raises
    ------
    InputError
    """
    check_place(path, f"cannot write the study {path}", InputError)
    content = read_bytes(path, LIMIT, InputError) if path.exists() else b""
    if not (content.startswith(FIRST) or FIRST.startswith(content)):
        raise InputError(f"{path} is not a study of swt-time; choose another file")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, which is created if it does not exist; it ends with the process."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o644)
    try:
        try:
            lock_file(descriptor, wait=False)
        except OSError as error:
            if error.errno in HELD:
                raise InputError(
                    f"another process uses the study {path}; wait for it, or choose another file"
                ) from None
            if error.errno not in UNSUPPORTED:
                raise
        yield
    finally:
        os.close(descriptor)


def _remove_torn_line(path: Path) -> None:
    """Remove what follows the last end of line: a process was killed, or the disk was full, while it was written."""
    content = read_bytes(path, LIMIT, InputError)
    complete = content.rfind(b"\n") + 1
    if complete < len(content):
        os.truncate(path, complete)


class _Unlocked:
    """The lock of a journal whose file is locked already."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _load(optuna: Any, path: Path) -> Any:
    backend = optuna.storages.journal.JournalFileBackend(os.fspath(path), lock_obj=_Unlocked())
    try:
        storage = optuna.storages.JournalStorage(backend)
        if NAME in optuna.get_all_study_names(storage):
            return optuna.load_study(study_name=NAME, storage=storage)
        return optuna.create_study(storage=storage, study_name=NAME, direction="minimize")
    except OSError:
        raise
    except Exception as error:  # Optuna raises whatever a wrong line leads to
        raise InputError(f"cannot read the study {path}: {first_line(error)}; choose another file") from error


def _is_ours(trial: Any) -> bool:
    return bool(trial.state.is_finished()) and trial.user_attrs.keys() >= {"folds", "message", "seconds"}


def _differences(path: Path, former: Any, own: Mapping[str, Any]) -> list[str]:
    try:
        return differences(former, own)
    except (LookupError, TypeError, AttributeError, ConfigError) as error:
        raise InputError(
            f"the study {path} was made by another version of swt-time ({first_line(error)}); start a new one"
        ) from None
