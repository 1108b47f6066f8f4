"""Advisory file locks, and the lock of an output folder.

The locks are the operating system's and end with the process that holds them, however it ends, so a lock file that a
dead process left behind blocks nobody.

A forked child has no part in a lock that its parent holds: it closes its copy of the descriptor, so that the lock ends
with the parent, and leaves the lock file alone.
"""

import contextlib
import errno
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from swt_time.errors import CheckpointError, SWTTimeWarning
from swt_time.folders import Folder, explained

LOCK = ".lock"

UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
"""Errors of a file system that has no locks."""

ATTEMPTS = 1000
"""Maximum number of times that a lock file is opened because its last holder has just removed it."""

OWN = re.compile(rb"[0-9]{0,20}\r?\n?")
"""The content of a lock file: the process id of the holder."""

_held: set[int] = set()
"""Descriptors of the locks that this process holds."""

if sys.platform == "win32":
    import msvcrt

    HELD: tuple[int, ...] = (errno.EACCES, errno.EDEADLK)
    """Errors of `lock_file` which mean that another process holds the lock."""

    def lock_file(descriptor: int, *, wait: bool) -> bool:
        """See the version for POSIX; Windows has no lock that waits."""
        if wait:
            return False
        # Other processes cannot read a locked byte; the process id, at the beginning of the file, must stay readable.
        os.lseek(descriptor, 2**20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        return True

else:
    import fcntl

    HELD: tuple[int, ...] = (errno.EAGAIN, errno.EWOULDBLOCK)
    """Errors of `lock_file` which mean that another process holds the lock."""

    def lock_file(descriptor: int, *, wait: bool) -> bool:
        """Take an exclusive lock on an open file, held until the descriptor is closed.

        Parameters
        ----------
        descriptor : int
        wait : bool
            Wait while another process or descriptor holds the lock, instead of raising.

        Returns
        -------
        bool
            False where the platform has no such lock (``wait=True`` on Windows); nothing is locked then.

        Raises
        ------
        OSError
            The lock is held elsewhere and ``wait`` is False (`HELD`), the file system has no locks (`UNSUPPORTED`), or
            the operating system refused it for another reason.
        """
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True


def is_file_at(descriptor: int, path: Path) -> bool:
    """Whether the file at a path is the open one, neither removed nor replaced since it was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of an output folder.

    The folder is created if it does not exist, and removed again if nothing was written into it.

    Raises
    ------
    CheckpointError
        Another process holds the lock (the message names its id), the lock file is not one, or the operating system
        refused to create or lock it.
    """
    with explained(f"cannot write the output folder {folder}", CheckpointError):
        folder = folder.absolute()
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            place, descriptor = _acquire(folder)
        except BaseException:
            _remove_empty(made)
            raise
    _held.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _held:
            _held.remove(descriptor)
            with contextlib.suppress(OSError):
                if _is_entry(descriptor, place):
                    place.remove(LOCK)
            os.close(descriptor)
            place.close()
            _remove_empty(made)


def check_unlocked(folder: Path) -> None:
    """Raise if another process holds the lock of a folder; create and change nothing.

    Raises
    ------
    CheckpointError
    """
    with (
        explained(f"cannot read the output folder {folder}", CheckpointError),
        contextlib.suppress(FileNotFoundError, NotADirectoryError),
        Folder(folder, CheckpointError) as place,
    ):
        os.close(_lock(place, os.O_RDWR))


def _acquire(folder: Path) -> tuple[Folder, int]:
    """Create the folder and its lock file, and lock it."""
    for _ in range(ATTEMPTS):
        with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as opened:
            folder.mkdir(parents=True, exist_ok=True)
            place = opened.enter_context(Folder(folder, CheckpointError))
            descriptor = _lock(place, os.O_RDWR | os.O_CREAT)
            opened.callback(os.close, descriptor)
            if _is_entry(descriptor, place):
                os.ftruncate(descriptor, 0)
                os.lseek(descriptor, 0, os.SEEK_SET)
                os.write(descriptor, f"{os.getpid()}\n".encode())
                opened.pop_all()
                return place, descriptor
        # The last holder of the lock has just removed the file or the folder: try again.
    raise CheckpointError(f"cannot lock the output folder {folder}: {LOCK} in it keeps being removed; try again")


def _lock(folder: Folder, flags: int) -> int:
    """Open and lock the lock file of a folder; return its descriptor."""
    path = folder.path / LOCK
    descriptor = folder.open_file(LOCK, flags)
    try:
        content = os.read(descriptor, 32)
        if not OWN.fullmatch(content):
            raise CheckpointError(f"{path} is not a lock file of swt-time; remove it, or choose another folder")
        try:
            lock_file(descriptor, wait=False)
        except OSError as error:
            if error.errno in HELD:
                raise CheckpointError(
                    f"another process (pid {content.decode().strip() or 'unknown'}) is writing to the folder "
                    f"{folder.path}; wait for it, or choose another folder"
                ) from None
            if error.errno not in UNSUPPORTED:
                raise CheckpointError(
                    f"cannot lock {path}: {error.strerror or error}; no other process is known to write to this "
                    "folder: fix the cause, or choose another folder"
                ) from error
            warnings.warn(
                f"the file system of {folder.path} has no locks: make sure that no other process writes there",
                SWTTimeWarning,
                stacklevel=5,
            )
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _is_entry(descriptor: int, folder: Folder) -> bool:
    """Whether an open file is the lock file of a folder, neither removed nor replaced since it was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), folder.facts(LOCK))
    except FileNotFoundError:
        return False


def _leave() -> None:
    """Leave the locks of the parent to it, in a forked child."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave)
