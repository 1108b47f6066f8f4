"""Downloading a checkpoint from the hub to a folder that is read like any other checkpoint of a stranger.

The hub says which files a commit has, their sizes and their hashes. What is no file of a checkpoint is ignored, and
nothing is downloaded of a repository whose files are too large. The files come through the cache of huggingface_hub,
which consists of links; those of a verified checkpoint are therefore copied to a folder of their own.
"""

import hashlib
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from swt_time.checkpoints.checkpoint import FILES
from swt_time.checkpoints.storage import MANIFEST, MANIFEST_BYTES, Location, holds_files, replace_files, verified
from swt_time.errors import CheckpointError, HubError, SWTTimeWarning
from swt_time.files import expand_user, read_bytes, user_cache
from swt_time.folders import explained
from swt_time.hub.failures import explained_by_hub
from swt_time.hub.names import COMMIT, HubName, hub_name

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

LIMITS = {MANIFEST: MANIFEST_BYTES, **FILES}
"""The files of a checkpoint in a repository, and the maximum size of each in bytes."""

TIMEOUT = 30.0
"""Seconds that the hub may take to list a repository."""


def find_checkpoint(source: str | Path) -> Path:
    """Return the folder of a checkpoint: the one that is named, or the local copy of a repository of the hub.

    Parameters
    ----------
    source : str or Path
        A folder; or, as a str, ``owner/name`` or ``owner/name@revision`` (see `swt_time.hub.names.hub_name`).

    Raises
    ------
    CheckpointError
        The repository holds no checkpoint, or one that is damaged or too large.
    HubError
        The hub cannot be reached, or refuses.
    """
    name = hub_name(source) if isinstance(source, str) else None
    if name is None:
        return expand_user(source, CheckpointError)
    try:
        return download(name)
    except HubError as error:
        raise HubError(f"there is no folder {str(name)!r} here, and {error}") from None


def download(name: HubName, token: str | None = None) -> Path:
    """Return a verified local copy of a checkpoint on the hub, downloading it if needed.

    A commit is downloaded once. Without a whole commit as the revision, the hub is asked which one is the newest, and a
    warning names the one that was taken. With ``HF_HUB_OFFLINE`` what is in the cache of huggingface_hub is used.

    Parameters
    ----------
    name : HubName
    token : str, optional
        An access token, in place of the one of this machine.

    Raises
    ------
    CheckpointError, HubError
        As in `find_checkpoint`.
    """
    if name.pinned and holds_files(Location(_copy_of(name))):
        return _copy_of(name)
    listed: Mapping[str, RepoSibling] = {}
    with explained_by_hub(f"the checkpoint {name} cannot be downloaded from the hub", name.repository):
        from huggingface_hub.errors import OfflineModeIsEnabled

        try:
            paths, listed = _downloaded(name, token)
        except OfflineModeIsEnabled:
            found = _cached(name)
            if found is None:
                raise
            paths = found
    commit = paths[MANIFEST].parent.name
    content = _read_verified(f"the checkpoint {name} of the hub", paths, listed)
    if not name.pinned:
        warnings.warn(
            f"took commit {commit} of {name}; to pin it, write {name.repository}@{commit}",
            SWTTimeWarning,
            stacklevel=3,
        )
    copy = _copy_of(HubName(name.repository, commit))
    if not holds_files(Location(copy)):
        _write(copy, content)
    return copy


def _copy_of(name: HubName) -> Path:
    owner, _, short = name.repository.partition("/")
    return user_cache(CheckpointError) / "hub" / owner / str(name.revision) / short


def _cached(name: HubName) -> dict[str, Path] | None:
    """Return the files in the cache of huggingface_hub; None if one is missing."""
    from huggingface_hub import try_to_load_from_cache

    found = {file: try_to_load_from_cache(name.repository, file, revision=name.revision) for file in LIMITS}
    paths = {file: Path(path) for file, path in found.items() if isinstance(path, str)}
    return paths if len(paths) == len(LIMITS) else None


def _downloaded(name: HubName, token: str | None) -> tuple[dict[str, Path], dict[str, "RepoSibling"]]:
    """Return the files in the cache after a download, and what the hub says of them."""
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    info = api.model_info(name.repository, revision=name.revision, files_metadata=True, timeout=TIMEOUT)
    commit, listed = str(info.sha), {file.rfilename: file for file in info.siblings or () if file.rfilename in LIMITS}
    if COMMIT.fullmatch(commit) is None or (name.pinned and commit != name.revision):
        raise HubError(f"the hub answers for {name} with the commit {commit[:80]!r}; check HF_ENDPOINT if it is set")
    missing = [file for file in LIMITS if file not in listed]
    if missing:
        raise CheckpointError(
            f"the repository {name} of the hub holds no checkpoint of swt-time: {', '.join(missing)} missing; expected "
            "one that Forecaster.push_to_hub wrote"
        )
    for file, limit in LIMITS.items():
        size = listed[file].size
        if size is not None and size > limit:
            raise CheckpointError(
                f"{file} of the repository {name} is too large: expected at most {limit:,} bytes, got {size:,}; it is "
                "no checkpoint of swt-time"
            )
    paths = {}
    for file in LIMITS:
        # The manifest is asked for by the revision's name, so that the cache remembers which commit this is.
        revision = name.revision if file == MANIFEST else commit
        paths[file] = Path(api.hf_hub_download(name.repository, file, revision=revision))
    if paths[MANIFEST].parent.name != commit:
        raise HubError(f"the repository {name} was changed while it was read; try again")
    return paths, listed


def _read_verified(where: str, paths: Mapping[str, Path], listed: Mapping[str, "RepoSibling"]) -> dict[str, bytes]:
    """Read the files and compare them with what the hub says of them, if it was asked, and with their manifest."""

    def read(file: str, limit: int) -> bytes:
        data = read_bytes(paths[file], limit, CheckpointError)
        if file in listed and not _is_listed(data, listed[file]):
            for path in (paths[file].resolve(), paths[file]):  # an entry of the cache is a link, or a file
                path.unlink(missing_ok=True)
            raise CheckpointError(f"{file} of {where} is not the file that the hub lists, and was removed; try again")
        return data

    return verified(read, FILES, where)


def _is_listed(data: bytes, file: "RepoSibling") -> bool:
    """Whether a file has the hash that the hub lists: a SHA-256 in large file storage, else the SHA-1 of a git blob."""
    if file.lfs is not None:
        return hashlib.sha256(data).hexdigest() == file.lfs.sha256
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False)
    return file.blob_id is None or blob.hexdigest() == file.blob_id


def _write(copy: Path, content: Mapping[str, bytes]) -> None:
    """Write a folder at once; another process may do the same."""
    with explained(f"cannot write {copy}", CheckpointError, "set XDG_CACHE_HOME to another folder"):
        copy.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=copy.parent, prefix=".new-") as new:
            replace_files(Location(Path(new) / copy.name), content, "checkpoint")
            try:
                (Path(new) / copy.name).rename(copy)
            except OSError:
                if not holds_files(Location(copy)):  # else another process was first
                    raise
