"""Folders whose files are replaced atomically, all or none, and verified when they are read.

New files are written and flushed in ``.new``, which is then renamed to ``.next``. From this rename on the new files
count, since readers look into ``.next`` first. The files are then moved to their places, the manifest last. A process
that is killed at any moment therefore leaves a complete set of files; readers need neither a lock nor a repair, and the
next writer moves the files that were left in ``.next``.

``manifest.json`` holds size and SHA-256 of every file, and a hash of itself.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from swt_time.errors import CheckpointError, SaveError
from swt_time.files import read_bytes

MANIFEST = "manifest.json"
NEW, NEXT = ".new", ".next"

MANIFEST_BYTES = 2**16
"""Maximum size of a manifest."""


def replace_files(folder: Path, content: Mapping[str, bytes], what: str) -> None:
    """Replace the files of a folder atomically; the folder is created if it does not exist.

    The caller holds the lock of the folder (`swt_time.checkpoints.locking.locked`). Other files in the folder stay.

    Parameters
    ----------
    folder : Path
    content : mapping of str to bytes
        All files by name, in the order in which they are written.
    what : str
        Name of the kind of folder in messages, such as ``checkpoint``.

    Raises
    ------
    SaveError
        The operating system reported an error; the folder holds either all previous or all new files.
    """
    new = folder / NEW
    try:
        _prepare(folder)
        new.mkdir()
        for name, data in content.items():
            _write(new / name, data)
        _write(new / MANIFEST, _manifest({name: _facts(data) for name, data in content.items()}))
        _flush(new)
        new.rename(folder / NEXT)
        _flush(folder)
        _move_in(folder)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        raise SaveError(
            f"cannot save the {what} {folder}: {error.strerror or error}; what was saved there before is intact. "
            "Fix the cause and run again; a training run continues with resume=True"
        ) from error


def read_files(folder: Path, limits: Mapping[str, int], what: str) -> dict[str, bytes]:
    """Read the files of a folder and verify that each is what was written.

    Parameters
    ----------
    folder : Path
    limits : mapping of str to int
        Maximum size of each file in bytes, by name.
    what : str
        Name of the kind of folder in messages.

    Raises
    ------
    CheckpointError
        A file is missing or not what was written; the message names it.
    """
    while True:
        written = _written(folder)
        manifest = _read(folder, MANIFEST, MANIFEST_BYTES)
        try:
            return _read_verified(folder, limits, manifest, what)
        except CheckpointError:
            if _written(folder) == written:
                raise
            # A writer has replaced the files in the meantime: read the new ones.


def holds_files(folder: Path) -> bool:
    """Whether a complete set of files was ever written to a folder."""
    return any((place / MANIFEST).is_file() for place in (folder / NEXT, folder))


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Remove the files that `replace_files` wrote, the manifest first, and the folder if nothing else is in it."""
    for name in (MANIFEST, *names):
        for place in (folder / NEXT, folder):
            (place / name).unlink(missing_ok=True)
    for place in (folder / NEW, folder / NEXT):
        shutil.rmtree(place, ignore_errors=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _prepare(folder: Path) -> None:
    """Create the folder; move in files that a killed writer completed, and remove those that it did not."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        _flush(folder.parent)
    if (folder / NEXT).is_dir():
        _move_in(folder)
    if (folder / NEW).exists():
        shutil.rmtree(folder / NEW)


def _move_in(folder: Path) -> None:
    following = folder / NEXT
    # Readers use ``.next`` while it holds a manifest, so the manifest is moved last.
    for name in sorted(os.listdir(following), key=lambda name: name == MANIFEST):
        os.replace(following / name, folder / name)
    _flush(folder)
    following.rmdir()


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    """Flush the entries of a folder to disk, on systems that support it."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems cannot flush a folder and report one of these errors.
        if error.errno not in (errno.EBADF, errno.EINVAL):
            raise
    finally:
        os.close(descriptor)


def _written(folder: Path) -> tuple[int, int] | None:
    """Identify the write that the files come from; two writes can have equal content, so the content is not enough."""
    for place in (folder / NEXT, folder):
        try:
            facts = os.lstat(place / MANIFEST)
        except (FileNotFoundError, NotADirectoryError):
            continue
        return facts.st_ino, facts.st_mtime_ns
    return None


def _read(folder: Path, name: str, limit: int) -> bytes | None:
    """Return the content of a file; None if it does not exist."""
    for place in (folder / NEXT, folder):
        path = place / name
        if place.is_symlink() and place.name == NEXT:
            raise CheckpointError(f"cannot read {place}: it is a symbolic link")
        try:
            return read_bytes(path, limit, CheckpointError, links=False)
        except CheckpointError as error:
            # The file is not here, or a writer has just moved it: look at the next place.
            if not isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                raise
    return None


def _read_verified(folder: Path, limits: Mapping[str, int], manifest: bytes | None, what: str) -> dict[str, bytes]:
    recorded = None if manifest is None else _recorded(manifest, limits, f"the {what} {folder}")
    found = {name: _read(folder, name, limit) for name, limit in limits.items()} if recorded else {}
    missing = [name for name in limits if found.get(name) is None] if recorded else [MANIFEST]
    if missing or recorded is None:
        raise CheckpointError(f"the {what} {folder} is incomplete: {', '.join(missing)} missing; copy or make it again")
    content = {name: data for name, data in found.items() if data is not None}
    for name, data in content.items():
        if _facts(data) != recorded[name]:
            raise CheckpointError(_damaged(f"the {what} {folder}", name))
    return content


def _recorded(manifest: bytes, names: Iterable[str], where: str) -> dict[str, dict[str, Any]]:
    """Return size and hash of each file; a manifest is valid only if `_manifest` would write it byte for byte."""
    try:
        files = json.loads(manifest)["files"]
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
    own = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    return (json.dumps({"files": files, "sha256": own}, indent=2) + "\n").encode()
