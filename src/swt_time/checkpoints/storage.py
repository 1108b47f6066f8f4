"""Folders whose files are replaced all at once or not at all, and verified when they are read.

New files are written and flushed in ``.new``, which is then renamed to ``.next``: from this one rename on, the folder
holds the new files and no longer the former ones. They are then moved to their places, the manifest last. A reader
looks into ``.next`` first. So a process that is killed at any moment leaves a whole set of files, and a reader needs
neither a lock nor a repair; the next writer moves what was left behind.

``manifest.json`` holds size and sha256 of every file, and of itself.
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
"""Most bytes of a manifest; no more are ever read."""


def replace_files(folder: Path, content: Mapping[str, bytes], what: str) -> None:
    """Replace the files of a folder, which is made where it does not exist.

    The caller holds the folder's lock (`swt_time.checkpoints.locking.locked`). Other files in the folder stay.

    Parameters
    ----------
    folder : Path
    content : mapping of str to bytes
        All files by name, in the order in which they shall appear.
    what : str
        What the folder is, for messages: ``checkpoint``.

    Raises
    ------
    SaveError
        The operating system refused something; the folder holds all former or all new files.
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
            f"cannot save the {what} {folder}: {error.strerror or error}; what was saved there before is whole. "
            "Mend the cause, then go on (train: with --resume)"
        ) from error


def read_files(folder: Path, limits: Mapping[str, int], what: str) -> dict[str, bytes]:
    """Read the files of a folder and make sure that each is what was written.

    Parameters
    ----------
    folder : Path
    limits : mapping of str to int
        Most bytes of each file, by name.
    what : str
        What the folder is, for messages.

    Raises
    ------
    CheckpointError
        A file is missing, or not what was written; the message names it.
    """
    while True:
        written = _written(folder)
        manifest = _read(folder, MANIFEST, MANIFEST_BYTES)
        try:
            return _read_verified(folder, limits, manifest, what)
        except CheckpointError:
            if _written(folder) == written:
                raise
            # A writer has replaced the files meanwhile: read the new ones.


def holds_files(folder: Path) -> bool:
    """Whether a set of files was ever completed in a folder."""
    return any((place / MANIFEST).is_file() for place in (folder / NEXT, folder))


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Remove what `replace_files` made of these names, the manifest first, and the folder if nothing else is in it."""
    for name in (MANIFEST, *names):
        for place in (folder / NEXT, folder):
            (place / name).unlink(missing_ok=True)
    for place in (folder / NEW, folder / NEXT):
        shutil.rmtree(place, ignore_errors=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _prepare(folder: Path) -> None:
    """Make the folder, finish what a killed writer had completed, and drop what it had not."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        _flush(folder.parent)
    if (folder / NEXT).is_dir():
        _move_in(folder)
    if (folder / NEW).exists():
        shutil.rmtree(folder / NEW)


def _move_in(folder: Path) -> None:
    following = folder / NEXT
    # The manifest says to readers that ``.next`` counts, so it leaves last.
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
    """Make the names in a folder durable, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems cannot flush a folder and say so.
        if error.errno not in (errno.EBADF, errno.EINVAL):
            raise
    finally:
        os.close(descriptor)


def _written(folder: Path) -> tuple[int, int] | None:
    """Which write the files are of; its content would not tell, since a later write may repeat an earlier one."""
    for place in (folder / NEXT, folder):
        try:
            facts = os.lstat(place / MANIFEST)
        except (FileNotFoundError, NotADirectoryError):
            continue
        return facts.st_ino, facts.st_mtime_ns
    return None


def _read(folder: Path, name: str, limit: int) -> bytes | None:
    """A file's content; None where there is no such file."""
    for place in (folder / NEXT, folder):
        path = place / name
        if place.is_symlink() and place.name == NEXT:
            raise CheckpointError(f"cannot read {place}: it is a symbolic link")
        try:
            return read_bytes(path, limit, CheckpointError, links=False)
        except CheckpointError as error:
            # Not there, or moved from one place to the other meanwhile: look at the next place.
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
    """Facts of each file by name; a manifest counts only if it is, byte for byte, what we would write."""
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
