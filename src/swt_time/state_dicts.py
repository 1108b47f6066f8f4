"""Reading a file that ``torch.save`` wrote as plain tensors; code in the file is never run.

Training scripts wrap what they save: the state dict in a dictionary beside the state of the optimiser, and the names of
its entries in those of ``DataParallel``, ``torch.compile`` and FSDP. Both are removed.
"""

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from swt_time.errors import CheckpointError, InputError, first_line
from swt_time.folders import explained

ENTRIES = ("state_dict", "model", "module")
"""Names under which training scripts (and Lightning and DeepSpeed) save a state dict."""

WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""Names that wrappers of a module put in front of the names of its weights."""


def read_state_dict(file: Path, error_type: type[InputError] = CheckpointError) -> dict[str, Tensor]:
    """Read a dictionary of tensors that ``torch.save`` wrote; code in the file is never run.

    The dictionary may be the entry ``state_dict``, ``model`` or ``module`` of another one. The file is mapped into
    memory, unless a release of PyTorch before 1.6 wrote it.

    Raises
    ------
    error_type
        The file does not exist, is damaged, contains code, or is not a dictionary of tensors.
    """
    remedy = "expected a file written by torch.save(model.state_dict(), file)"
    with explained(f"cannot read {file}", error_type):
        if not file.is_file():
            raise error_type(f"no state dict at {file}: {'a folder' if file.is_dir() else 'no such file'}")
        with file.open("rb"):
            pass
    try:
        archive = zipfile.is_zipfile(file)
        # torch never compresses, and a small compressed archive may need a lot of memory.
        if archive:
            with zipfile.ZipFile(file) as opened:
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in opened.infolist()):
                    raise ValueError("a compressed archive")
        values = torch.load(file, map_location="cpu", weights_only=True, mmap=archive)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        if wanted is None:
            raise error_type(f"{file} is not a state dict; {remedy}") from None
        raise error_type(
            f"{file} holds more than tensors: loading it would import {wanted[1]}, which could run code; {remedy}"
        ) from None
    except Exception as error:  # the error that a damaged archive causes depends on the version of torch
        raise error_type(f"{file} is damaged or not a state dict ({first_line(error, 120)}); {remedy}") from None
    if not isinstance(values, Mapping):
        raise error_type(f"{file} holds a {type(values).__name__}, not a dictionary of tensors; {remedy}")
    values = unwrapped(values)
    other = [name for name, value in values.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if other or not values:
        what = f"its entry {other[0]!r} is a {type(values[other[0]]).__name__}" if other else "it is empty"
        raise error_type(f"{file} is not a dictionary of tensors: {what}; {remedy}")
    for name, tensor in values.items():
        if not _is_plain(tensor):
            layout, dtype = (str(what).removeprefix("torch.") for what in (tensor.layout, tensor.dtype))
            raise error_type(
                f"{file}: {name} is not a dense tensor with all its values in the file ({layout}, {dtype}, "
                f"{tensor.device.type}, shape {tuple(tensor.shape)}); {remedy}"
            )
    return dict(values)


def unwrapped(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the state dict in a dictionary, or the dictionary itself if none of its entries is one."""
    return next((values[name] for name in ENTRIES if isinstance(values.get(name), Mapping)), values)


def without_wrappers(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove the names of wrappers, in any order and any number, wherever they stand in the names of weights.

    They stand inside a name if only a part of the model was wrapped.

    Raises
    ------
    CheckpointError
        Two entries have the same name then.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in state_dict.items():
        plain = ".".join(part for part in name.split(".") if part not in WRAPPERS)
        if plain in found:
            raise CheckpointError(f"the state dict holds {plain} twice, once as {name}; remove one of them")
        found[plain] = tensor
    return found


def _is_plain(tensor: Tensor) -> bool:
    """Whether all values of a tensor are in memory; an expanded view repeats a few of them any number of times."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return False
    return tensor.untyped_storage().nbytes() >= tensor.numel() * tensor.element_size()
