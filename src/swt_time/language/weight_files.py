"""The files that hold a backbone's weights, and reading the weights of its first layers without the others."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from swt_time.errors import BackboneError, first_line
from swt_time.files import MEBIBYTE, check_tensors, read_json
from swt_time.language.families import LAYER_NAME
from swt_time.language.formats import INDEX, WEIGHTS

JSON_LIMIT = 64 * MEBIBYTE
"""Maximum size of a backbone's JSON file in bytes."""


def read_weights(folder: Path, name: str, layers: int) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of ``model.safetensors`` or, without it, of the files that the index lists.

    The files are mapped into memory, so that only the values that are used are read. Weights of later layers are left
    out, and files that hold nothing else are not opened.

    Parameters
    ----------
    folder : Path
    name : str
        Name of the backbone, for messages.
    layers : int
        Number of layers to read, counted from the input.

    Raises
    ------
    BackboneError
        A file is missing, damaged or in another format, or the index names a file outside the folder.
    """
    files, index = [folder / WEIGHTS], folder / INDEX
    if not files[0].is_file() and index.is_file():
        places = listed_files(index, ".safetensors", name)
        files = sorted({folder / file for weight, file in places.items() if _is_used(weight, layers)})
        _check_listed(files, index, name)
    state: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    for file in files:
        check_tensors(file, BackboneError)
        try:
            with safe_open(file, framework="pt") as opened:
                used = [weight for weight in opened.keys() if _is_used(weight, layers)]  # noqa: SIM118  the opened file cannot be iterated over
                state |= {weight: opened.get_tensor(weight) for weight in used}
                metadata |= opened.metadata() or {}
        except (SafetensorError, OSError, ValueError, RuntimeError) as error:  # PyTorch maps the file into memory
            raise BackboneError(
                f"backbone {name!r}: cannot load weights from {file} (safetensors): {first_line(error)}"
            ) from None
    return state, metadata


def listed_files(index: Path, ending: str, name: str) -> Mapping[str, str]:
    """Return the name of the file of each weight, from the index of a folder.

    Parameters
    ----------
    index : Path
    ending : str
        With which the names of the files must end.
    name : str
        Name of the backbone, for messages.

    Raises
    ------
    BackboneError
        The index lists nothing, files of another ending, or files outside its folder.
    """
    places = read_json(index, JSON_LIMIT, BackboneError).get("weight_map")
    if not isinstance(places, dict) or not places or not all(_is_plain(file, ending) for file in places.values()):
        raise BackboneError(f"backbone {name!r}: {index} must list {ending[1:]} files of this folder only")
    return places


def _check_listed(files: Sequence[Path], index: Path, name: str) -> None:
    """Raise BackboneError if files that an index lists are missing."""
    missing = [file.name for file in files if not file.exists()]
    if missing:
        raise BackboneError(
            f"backbone {name!r}: {len(missing)} of {len(files)} files that {index.name} lists are missing in "
            f"{index.parent}, first {missing[0]}; copy or download all of them"
        )


def _is_plain(file: object, ending: str) -> bool:
    return isinstance(file, str) and Path(file).name == file and file.endswith(ending)


def _is_used(weight: str, layers: int) -> bool:
    match = LAYER_NAME.match(weight)
    return match is None or int(match[1]) < layers
