"""One writer at a time in an output folder.

The lock is the operating system's, on a file in the folder, so that it ends with the process that holds it, however
that process ends: a lock file left behind by a dead one hinders nobody.
"""

import contextlib
import errno
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from swt_time.errors import CheckpointError, SWTTimeWarning

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        # Locked bytes cannot be read by others on Windows; the process id, at the beginning, shall be.
        os.lseek(descriptor, 2**20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


LOCK = ".lock"

UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made where it does not exist and removed again if nothing was put into it.

    Raises
    ------
    CheckpointError
        Another process holds it (the message names its id), or the folder cannot be written.
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
    """Refuse a folder that another process is writing, without making anything.

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
            continue  # its last holder has just removed the folder
        except OSError as error:
            raise CheckpointError(f"cannot write the output folder {folder}: {error.strerror}") from None
        try:
            _lock(descriptor)
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
                f"the file system of {folder} has no locks: see to it that no other process writes there",
                SWTTimeWarning,
                stacklevel=4,
            )
        if _still_there(descriptor, path):
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, f"{os.getpid()}\n".encode())
            return descriptor
        os.close(descriptor)  # its last holder has just removed the file: what we locked is nobody's any more


def _still_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
