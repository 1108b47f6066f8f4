"""Advisory file locks, and the lock of an output folder.

The locks are the operating system's and end with the process that holds them, however it ends, so a lock file that a
dead process left behind blocks nobody.
"""

import contextlib
import errno
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from swt_time.errors import CheckpointError, SWTTimeWarning

LOCK = ".lock"

UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
"""Errors of a file system that has no locks."""

if sys.platform == "win32":
    import msvcrt

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
            The lock is held elsewhere and ``wait`` is False, or the file system has no locks (`UNSUPPORTED`).
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
        Another process holds the lock (the message names its id), or the folder cannot be written.
    """
    folder = folder.absolute()
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    descriptor = _acquire(folder)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink()
        os.close(descriptor)
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()


def check_unlocked(folder: Path) -> None:
    """Raise if another process holds the lock of a folder; create nothing.

    Raises
    ------
    CheckpointError
    """
    if (folder / LOCK).is_file():
        with locked(folder):
            pass


def _acquire(folder: Path) -> int:
    path = folder / LOCK
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:
            continue  # the last holder of the lock has just removed the folder
        except OSError as error:
            raise CheckpointError(f"cannot write the output folder {folder}: {error.strerror}") from None
        try:
            lock_file(descriptor, wait=False)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                os.lseek(descriptor, 0, os.SEEK_SET)
                holder = os.read(descriptor, 32).decode(errors="replace").strip()
                os.close(descriptor)
                raise CheckpointError(
                    f"another process (pid {holder or 'unknown'}) is writing to the folder {folder}; wait for it, "
                    "or choose another folder"
                ) from None
            warnings.warn(
                f"the file system of {folder} has no locks: make sure that no other process writes there",
                SWTTimeWarning,
                stacklevel=4,
            )
        if is_file_at(descriptor, path):
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, f"{os.getpid()}\n".encode())
            return descriptor
        os.close(descriptor)  # the last holder has just removed the file that was locked: try again
