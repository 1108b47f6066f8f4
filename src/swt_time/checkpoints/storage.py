"""Folders whose files are replaced atomically, all or none, and verified when they are read.

New files are written and flushed in ``.new``, which is then renamed to ``.next``. From this rename on the new files
count, since readers look into ``.next`` first. The files are then moved to their places, the manifest last. A process
that is killed at any moment therefore leaves a complete set of files; readers need neither a lock nor a repair, and the
next writer moves the files that were left in ``.next``.

``manifest.json`` holds size and SHA-256 of every file, and a hash of itself.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swt_time.errors import CheckpointError, SaveError
from swt_time.folders import Folder, explained

MANIFEST = "manifest.json"
NEW, NEXT = ".new", ".next"

MANIFEST_BYTES = 2**16
"""Maximum size of a manifest."""

ATTEMPTS = 100
"""Maximum number of times that files are read because a writer replaced them in the meantime."""


@dataclass(frozen=True)
class Location:
    """Where files are stored: a folder named by the user, or a folder with a fixed name in it.

    Only the former may be a link.
    """

    folder: Path
    inner: str | None = None

    @property
    def path(self) -> Path:
        """The folder with the files."""
        return self.folder if self.inner is None else self.folder / self.inner

    @contextlib.contextmanager
    def open(self) -> Iterator[Folder]:
        """Open the folder; raises FileNotFoundError if there is none."""
        with Folder(self.folder, CheckpointError) as outer:
            if self.inner is None:
                yield outer
                return
            with outer.enter(self.inner) as inner:
                yield inner

    def make(self) -> None:
        """Create the folder if there is none."""
        if not self.folder.is_dir():
            self.folder.mkdir(parents=True)
            with Folder(self.folder.parent, CheckpointError) as parent:
                parent.flush()
        if self.inner is not None:
            with Folder(self.folder, CheckpointError) as outer:
                if not outer.has(self.inner, "folder"):
                    outer.make(self.inner)
                    outer.flush()

    def remove(self) -> None:
        """Remove the folder, which is empty."""
        if self.inner is None:
            self.folder.rmdir()
            return
        with Folder(self.folder, CheckpointError) as outer:
            outer.remove_folder(self.inner)


def replace_files(location: Location, content: Mapping[str, bytes], what: str) -> None:
    """Replace the files of a folder atomically; the folder is created if it does not exist.

    The caller holds the lock of the folder (`swt_time.checkpoints.locking.locked`). Other files in the folder stay.

    Parameters
    ----------
    location : Location
    content : mapping of str to bytes
        All files by name, in the order in which they are written.
    what : str
        Name of the kind of folder in messages, such as ``checkpoint``.

    Raises
    ------
    SaveError
        The operating system reported an error; the folder holds either all previous or all new files.
    CheckpointError
        An entry of the folder that would be replaced is a link, or of another kind; nothing is written.
    """
    try:
        location.make()
        with location.open() as folder:
            try:
                _write(folder, content)
            except OSError:
                with contextlib.suppress(OSError, CheckpointError):
                    folder.remove_folder(NEW, content=True)
                raise
    except OSError as error:
        raise SaveError(
            f"cannot save the {what} {location.path}: {error.strerror or error}; what was saved there before is "
            "intact. Fix the cause and run again; a training run continues with resume=True"
        ) from error


def read_files(location: Location, limits: Mapping[str, int], what: str) -> dict[str, bytes]:
    """Read the files of a folder and verify that each is what was written.

    Parameters
    ----------
    location : Location
    limits : mapping of str to int
        Maximum size of each file in bytes, by name.
    what : str
        Name of the kind of folder in messages.

    Raises
    ------
    CheckpointError
        A file is missing or not what was written; the message names it.
    """
    where = f"the {what} {location.path}"
    with explained(f"cannot read {where}", CheckpointError), location.open() as folder:
        for attempt in range(1, ATTEMPTS + 1):
            written = _written(folder)
            try:
                return verified(lambda name, limit: _read(folder, name, limit), limits, where)
            except CheckpointError:
                if _written(folder) == written or attempt == ATTEMPTS:
                    raise
                # A writer has replaced the files in the meantime: read the new ones.
    raise AssertionError("every attempt returns or raises")


def verified(read: Callable[[str, int], bytes | None], limits: Mapping[str, int], where: str) -> dict[str, bytes]:
    """Read files from anywhere and verify that each is what the manifest beside them records.

    Parameters
    ----------
    read : callable
        Takes the name and the maximum size of a file, and returns its content; None if there is no such file.
    limits : mapping of str to int
        Maximum size of each file in bytes, by name.
    where : str
        Where the files come from, in messages.

    Raises
    ------
    CheckpointError
        A file is missing or not what was written; the message names it.
    """
    manifest = read(MANIFEST, MANIFEST_BYTES)
    recorded = None if manifest is None else _recorded(manifest, limits, where)
    found = {name: read(name, limit) for name, limit in limits.items()} if recorded else {}
    missing = [name for name in limits if found.get(name) is None] if recorded else [MANIFEST]
    if missing or recorded is None:
        raise CheckpointError(f"{where} is incomplete: {', '.join(missing)} missing; copy or make it again")
    content = {name: data for name, data in found.items() if data is not None}
    for name, data in content.items():
        if _facts(data) != recorded[name]:
            raise CheckpointError(_damaged(where, name))
    return content


def with_manifest(content: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return files with the manifest that records them, last."""
    return {**content, MANIFEST: _manifest({name: _facts(data) for name, data in content.items()})}


def last_write(location: Location) -> tuple[int, int] | None:
    """Identify the write that the files of a folder come from; None if there is no complete set of files.

    Raises
    ------
    CheckpointError
        An entry on the way is a link, or of another kind, or the folder cannot be read.
    """
    with (
        explained(f"cannot read {location.path}", CheckpointError),
        contextlib.suppress(FileNotFoundError, NotADirectoryError),
        location.open() as folder,
    ):
        return _written(folder)
    return None


def recorded_hash(location: Location) -> str | None:
    """Return the hash that the manifest of a folder records of itself, without a look at the files; None without one.

    Raises
    ------
    CheckpointError
        The manifest cannot be read.
    """
    with explained(f"cannot read {location.path}", CheckpointError), contextlib.suppress(FileNotFoundError):
        with location.open() as folder:
            manifest = _read(folder, MANIFEST, MANIFEST_BYTES)
        try:
            return None if manifest is None else str(json.loads(manifest)["sha256"])
        except (ValueError, TypeError, KeyError, RecursionError):
            raise CheckpointError(_damaged(f"the folder {location.path}", MANIFEST)) from None
    return None


def content_hash(content: Mapping[str, bytes]) -> str:
    """Return the hash that the manifest of these files records of itself."""
    return _own_hash({name: _facts(data) for name, data in content.items()})


def holds_files(location: Location, name: str = MANIFEST) -> bool:
    """Whether a folder holds a file; by default, whether a complete set of files was ever written to it.

    Raises
    ------
    CheckpointError
        An entry on the way is a link, or of another kind, or the folder cannot be read.
    """
    with (
        explained(f"cannot read {location.path}", CheckpointError),
        contextlib.suppress(FileNotFoundError, NotADirectoryError),
        location.open() as folder,
    ):
        return any(place.has(name, "file") for place in _places(folder))
    return False


def check_entries(location: Location, names: Iterable[str]) -> None:
    """Check that files with these names can be replaced, and removed, without touching anything but them.

    Raises
    ------
    CheckpointError
        An entry is a link, or of another kind, or the folder cannot be read.
    """
    with (
        explained(f"cannot read {location.path}", CheckpointError),
        contextlib.suppress(FileNotFoundError, NotADirectoryError),
        location.open() as folder,
    ):
        folder.has(NEW, "folder")
        for place in _places(folder):
            for name in (*names, MANIFEST):
                place.has(name, "file")


def remove_files(location: Location, names: Iterable[str]) -> None:
    """Remove the files that `replace_files` wrote, the manifest first, and the folder if nothing else is in it."""
    with explained(f"cannot remove {location.path}", SaveError), contextlib.suppress(FileNotFoundError):
        with location.open() as folder:
            for name in (MANIFEST, *names):
                for place in _places(folder):
                    place.remove(name)
            for name in (NEW, NEXT):
                folder.remove_folder(name, content=True)
            left = folder.names()
        if not left:
            location.remove()


def _write(folder: Folder, content: Mapping[str, bytes]) -> None:
    for name in (*content, MANIFEST):
        folder.has(name, "file")
    _move_in(folder)  # what a killed writer completed
    folder.remove_folder(NEW, content=True)  # what it did not
    folder.make(NEW)
    with folder.enter(NEW) as new:
        for name, data in with_manifest(content).items():
            new.write(name, data)
        new.flush()
    folder.rename(NEW, NEXT)
    folder.flush()
    _move_in(folder)


def _move_in(folder: Folder) -> None:
    """Move the files in ``.next`` to their places, if there is such a folder."""
    if not folder.has(NEXT, "folder"):
        return
    with folder.enter(NEXT) as following:
        names = following.names()
        for name in names:
            following.has(name, "file")
            folder.has(name, "file")
        # Readers use ``.next`` while it holds a manifest, so the manifest is moved last.
        for name in sorted(names, key=lambda name: name == MANIFEST):
            following.rename(name, name, folder)
    folder.flush()
    folder.remove_folder(NEXT)


def _places(folder: Folder) -> Iterator[Folder]:
    """Yield the folders in which a file may be, in the order in which readers look: ``.next``, then the folder."""
    with contextlib.suppress(FileNotFoundError), folder.enter(NEXT) as following:
        yield following
    yield folder


def _written(folder: Folder) -> tuple[int, int] | None:
    """Identify the write that the files come from; two writes can have equal content, so the content is not enough."""
    for place in _places(folder):
        with contextlib.suppress(FileNotFoundError):
            facts = place.facts(MANIFEST)
            return facts.st_ino, facts.st_mtime_ns
    return None


def _read(folder: Folder, name: str, limit: int) -> bytes | None:
    """Return the content of a file; None if it does not exist."""
    for place in _places(folder):
        # If the file is not here, or a writer has just moved it, look at the next place.
        with contextlib.suppress(FileNotFoundError):
            return place.read(name, limit)
    return None


def _recorded(manifest: bytes, names: Iterable[str], where: str) -> dict[str, dict[str, Any]]:
    """Return size and hash of each file; a manifest is valid only if `_manifest` would write it byte for byte."""
    try:
        files: dict[str, dict[str, Any]] = json.loads(manifest)["files"]
        whole = _manifest(files) == manifest and set(files) == set(names)
        whole = whole and all(isinstance(facts["bytes"], int) and facts["bytes"] >= 0 for facts in files.values())
    except (ValueError, TypeError, KeyError, RecursionError):
        whole = False
    if not whole:
        raise CheckpointError(_damaged(where, MANIFEST))
    return files


def _damaged(where: str, name: str) -> str:
    return f"{where} is damaged: {name} is not what was written; copy or make it again"


def _facts(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _manifest(files: Mapping[str, Any]) -> bytes:
    return (json.dumps({"files": files, "sha256": _own_hash(files)}, indent=2) + "\n").encode()


def _own_hash(files: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
