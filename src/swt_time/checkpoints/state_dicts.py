"""A file that ``torch.save`` wrote, read as plain tensors; code in it is never run."""

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from swt_time.errors import CheckpointError, first_line


def read_state_dict(file: Path) -> dict[str, Tensor]:
    """Read a dictionary of tensors that ``torch.save`` wrote; code in the file is never run.

    Raises
    ------
    CheckpointError
        No such file, damaged, with code in it, or not a dictionary of tensors.
    """
    if not file.is_file():
        raise CheckpointError(f"no state dict at {file}: {'a folder' if file.is_dir() else 'no such file'}")
    remedy = "expected what torch.save(model.state_dict(), file) writes"
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        raise CheckpointError(f"cannot read {file}: {error.strerror}") from None
    try:
        archive = zipfile.is_zipfile(file)
        # torch never compresses; a small archive may be a large memory.
        if archive and any(entry.compress_type != zipfile.ZIP_STORED for entry in zipfile.ZipFile(file).infolist()):
            raise ValueError("a compressed archive")
        values = torch.load(file, map_location="cpu", weights_only=True, mmap=archive)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        if wanted is None:
            raise CheckpointError(f"{file} is not a state dict; {remedy}") from None
        raise CheckpointError(
            f"{file} holds more than tensors: it asks to load {wanted[1]}, which is refused, as it could run code; "
            f"{remedy}"
        ) from None
    except Exception as error:  # whatever a damaged archive leads to, by the version of torch
        raise CheckpointError(f"{file} is damaged or not a state dict ({first_line(error, 120)}); {remedy}") from None
    if not isinstance(values, Mapping):
        raise CheckpointError(f"{file} holds a {type(values).__name__}, not a dictionary of tensors; {remedy}")
    other = [name for name, value in values.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if other or not values:
        what = f"its entry {other[0]!r} is a {type(values[other[0]]).__name__}" if other else "it is empty"
        raise CheckpointError(f"{file} is not a dictionary of tensors: {what}; {remedy}")
    for name, tensor in values.items():
        if not _is_plain(tensor):
            raise CheckpointError(
                f"{file}: {name} is no plain tensor ({tensor.layout}, {tensor.dtype}, {tensor.device.type}, shape "
                f"{tuple(tensor.shape)}) with each of its values in the file; {remedy}".replace("torch.", "", 2)
            )
    return dict(values)


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor has all its values in memory; a view can repeat one of them without end."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return False
    return tensor.untyped_storage().nbytes() >= tensor.numel() * tensor.element_size()
