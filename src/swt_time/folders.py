"""Folders from an untrusted source: their entries are read, written, renamed and removed without following a link.

Names are resolved relative to the open folder where the system can do so, and each file is examined again after it was
opened. Another process that replaces a name by a link in the meantime therefore gains nothing.
"""

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

from swt_time.errors import InputError

RELATIVE = os.open in os.supports_dir_fd and os.unlink in os.supports_dir_fd
"""Whether names can be resolved relative to an open folder; if not (Windows), paths are examined before their use."""

Kind = Literal["file", "folder"]
KINDS: dict[Kind, str] = {"file": "a regular file", "folder": "a folder"}

_ALWAYS = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)


@contextlib.contextmanager
def explained(what: str, error_type: type[Exception], remedy: str = "") -> Iterator[None]:
    """Replace an error of the operating system by a typed one: ``what: reason; remedy``."""
    try:
        yield
    except OSError as error:
        end = f"; {remedy}" if remedy else ""
        raise error_type(f"{what}: {error.strerror or error}{end}") from error


def check_place(path: Path, what: str, error_type: type[Exception]) -> None:
    """Check that a file can be written at a path, before any work; ``what`` begins the message, as in `explained`."""
    with explained(what, error_type, "choose another path"):
        if path.is_dir():
            raise error_type(f"{what}: it is a folder; expected a file name")
        if not path.parent.is_dir():
            raise error_type(f"{what}: the folder {path.parent} does not exist; create it first")
        if not os.access(path.parent, os.W_OK):
            raise error_type(f"{what}: the folder {path.parent} is not writable; choose another folder")


class Folder:
    """An open folder. Use it as a context manager, or close it.

    Links, hard links, pipes, devices and sockets among its entries are refused with an error that names them. A hard
    link is refused because the file may also be one of the user's.

    Parameters
    ----------
    path : Path
        May itself be a link, for it was named by the user; entries of a folder are opened by `enter`.
    error_type : type
        Class of the error that is raised for an entry that is refused.

    Raises
    ------
    OSError
        By this and every other method: the operating system refused the operation.
    """

    def __init__(self, path: Path, error_type: type[InputError]):
        self.path, self.error_type = path, error_type
        self._descriptor = _open_folder(path) if RELATIVE else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)

    def enter(self, name: str) -> "Folder":
        """Open a folder in this one."""
        self._check(name, self.facts(name), "folder")
        inner = Folder.__new__(Folder)
        inner.path, inner.error_type = self.path / name, self.error_type
        opened = None if self._descriptor is None else self._open(name, _FOLDER)
        inner._descriptor = opened  # noqa: SLF001  an alternative constructor
        return inner

    def has(self, name: str, kind: Kind) -> bool:
        """Whether there is an entry with that name; one of another kind is refused."""
        try:
            self._check(name, self.facts(name), kind)
        except FileNotFoundError:
            return False
        return True

    def facts(self, name: str) -> os.stat_result:
        """Return the status of an entry itself, whatever it is."""
        return os.stat(self._at(name), follow_symlinks=False, **self._relative())

    def names(self) -> list[str]:
        """Return the names of all entries."""
        return os.listdir(self.path if self._descriptor is None else self._descriptor)

    def open_file(self, name: str, flags: int) -> int:
        """Open a regular file with flags of `os.open`, and return the descriptor; a pipe is not waited for."""
        self.has(name, "file")
        descriptor = self._open(name, flags)
        try:
            self._check(name, os.fstat(descriptor), "file")
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of a regular file of at most ``limit`` bytes."""
        with os.fdopen(self.open_file(name, os.O_RDONLY), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise self.error_type(f"cannot read {self.path / name}: expected at most {limit:,} bytes, got {size:,}")
            return file.read(size)  # Python allocates the requested size before it reads

    def write(self, name: str, data: bytes) -> None:
        """Write a new file and flush it to disk."""
        descriptor = self._open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make(self, name: str) -> None:
        """Create a folder in this one."""
        os.mkdir(self._at(name), **self._relative())

    def rename(self, name: str, new_name: str, to: "Folder | None" = None) -> None:
        """Rename an entry, by default within this folder; a file of the new name is replaced, not written to."""
        to = self if to is None else to
        target, descriptor = to._at(new_name), to._descriptor  # noqa: SLF001  of the same class
        ends = {} if self._descriptor is None else {"src_dir_fd": self._descriptor, "dst_dir_fd": descriptor}
        os.replace(self._at(name), target, **ends)

    def remove(self, name: str) -> None:
        """Remove a file, or the link itself; not an error if there is none."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._at(name), **self._relative())

    def remove_folder(self, name: str, *, content: bool = False) -> None:
        """Remove an empty folder, or with ``content`` one that may also be missing; links in it are removed as such."""
        if not content:
            os.rmdir(self._at(name), **self._relative())
        elif self.has(name, "folder"):
            shutil.rmtree(self._at(name), **self._relative())

    def flush(self) -> None:
        """Flush the entries of this folder to disk, on systems that can do so."""
        if self._descriptor is None:
            return
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            # Some file systems cannot flush a folder and report one of these errors.
            if error.errno not in (errno.EBADF, errno.EINVAL):
                raise

    def _at(self, name: str) -> str | Path:
        return self.path / name if self._descriptor is None else name

    def _relative(self) -> dict[str, Any]:
        return {} if self._descriptor is None else {"dir_fd": self._descriptor}

    def _open(self, name: str, flags: int) -> int:
        return os.open(self._at(name), flags | _ALWAYS, 0o666, **self._relative())

    def _check(self, name: str, facts: os.stat_result, kind: Kind) -> None:
        found = describe(facts)
        if found == KINDS[kind]:
            return
        remedy = "replace it by the file or folder itself" if "link" in found else "remove it"
        raise self.error_type(f"cannot use {self.path / name}: expected {KINDS[kind]}, found {found}; {remedy}")


def describe(facts: os.stat_result) -> str:
    """Say what an entry of a folder is."""
    if stat.S_ISREG(facts.st_mode):
        return KINDS["file"] if facts.st_nlink <= 1 else f"one of {facts.st_nlink} hard links to a file"
    if stat.S_ISDIR(facts.st_mode):
        return KINDS["folder"]
    if stat.S_ISLNK(facts.st_mode):
        return "a symbolic link"
    return "a pipe" if stat.S_ISFIFO(facts.st_mode) else "a device or socket"


def replace_file(path: Path, data: bytes, error_type: type[InputError]) -> None:
    """Write a file under a temporary name and then rename it, so that it is never incomplete.

    The temporary name is random, short and new, so neither a long name nor a planted link is in the way. A link at
    ``path`` is replaced by the file.

    Raises
    ------
    OSError
        The operating system refused it; a previous file is kept.
    """
    part = f".{secrets.token_hex(8)}.part"
    with Folder(path.parent, error_type) as folder:
        try:
            folder.write(part, data)
            folder.rename(part, path.name)
        except BaseException:
            with contextlib.suppress(OSError):
                folder.remove(part)
            raise


def _open_folder(path: Path) -> int:
    try:
        return os.open(path, _FOLDER)
    except PermissionError:
        # A folder may be open to writing but not to listing.
        return os.open(path, _FOLDER | getattr(os, "O_PATH", 0))
