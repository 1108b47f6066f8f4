"""Converting the pickled weights of a backbone to safetensors; code in a pickle is never run."""

import contextlib
import fnmatch
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from swt_time.errors import BackboneError, SaveError, first_line
from swt_time.files import expand_user, read_bytes
from swt_time.folders import Folder, explained
from swt_time.language.finding import COMPANIONS, find_backbone
from swt_time.language.formats import INDEX, PICKLED, PICKLED_INDEX, SHARD, WEIGHTS
from swt_time.language.weight_files import JSON_LIMIT, listed_files
from swt_time.state_dicts import read_state_dict

MOST_COPIES = 8
"""Most bytes of tensors for each byte of input. Tied weights are written once for each of their few names."""

Report = Callable[[int, int], None]


def convert_backbone(source: str, out: Path, *, overwrite: bool = False, report: Report | None = None) -> list[str]:
    """Write a backbone whose weights are pickles to a new folder, with the same weights as safetensors.

    All tensors keep their names, dtypes and values; tensors that share memory are written once for each name. The files
    of configuration and tokenizer are copied. The new folder appears when it is complete.

    Parameters
    ----------
    source : str
        A folder with ``pytorch_model.bin``, or with several files of weights, or a hub id.
    out : Path
        The folder to write.
    overwrite : bool
        Replace a folder that holds a backbone in safetensors files and nothing else.
    report : callable, optional
        Called with the bytes of input that were converted, and all bytes of input.

    Returns
    -------
    list of str
        Names of the tensors.

    Raises
    ------
    BackboneError
        The source is no backbone with pickled weights, or a file is damaged or contains code; the output exists, or
        lies in the source.
    SaveError
        The operating system refused to write the output.
    """
    # An output that is refused costs no download.
    out = expand_user(out, BackboneError)
    with explained(f"cannot use the output folder {out}", BackboneError, "choose another one"):
        out = out.parent.resolve() / out.name if not out.is_dir() else out.resolve()
        _check_output(out, overwrite)
    folder = find_backbone(source, f"{Path(PICKLED).stem}*.bin")
    with explained(f"cannot read the backbone {source!r} in {folder}", BackboneError):
        if _lies_in(out, folder):
            raise BackboneError(f"the output folder {out} lies in the backbone {folder}; choose another one")
        files = pickled_files(folder, source)
        companions = {name: read_bytes(folder / name, JSON_LIMIT, BackboneError) for name in _companions(folder)}
        sizes = [file.stat().st_size for file in files]
    places: dict[str, str] = {}
    total = 0
    with _new_folder(out, overwrite) as new, Folder(new, BackboneError) as opened:
        for name, data in companions.items():
            opened.write(name, data)
        for i, file in enumerate(files):
            state = read_state_dict(file, BackboneError)
            total += sum(tensor.nbytes for tensor in state.values())
            if total > MOST_COPIES * sum(sizes):
                raise BackboneError(f"{file} means {total:,} bytes of tensors, more than {MOST_COPIES} times its size")
            twice = next((name for name in state if name in places), None)
            if twice is not None:
                raise BackboneError(f"backbone {source!r}: {twice} is in two files of {folder}; remove one of them")
            name = WEIGHTS if len(files) == 1 else f"model-{i + 1:05}-of-{len(files):05}.safetensors"
            _write_tensors(state, new / name)
            shutil.copymode(new / "config.json", new / name)  # safetensors makes it readable by its owner alone
            places |= dict.fromkeys(state, name)
            if report is not None:
                report(sum(sizes[: i + 1]), sum(sizes))
        if len(files) > 1:
            index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
            opened.write(INDEX, json.dumps(index, indent=2).encode())
        opened.flush()
    return list(places)


def pickled_files(folder: Path, name: str) -> list[Path]:
    """Return the files of pickled weights: ``pytorch_model.bin``, those of its index, or all numbered ones.

    Parameters
    ----------
    folder : Path
    name : str
        Name of the backbone, for messages.

    Raises
    ------
    BackboneError
        There are none, some are missing, or the folder holds safetensors files or no ``config.json``.
    """
    for ready in (WEIGHTS, INDEX):
        if (folder / ready).exists():
            raise BackboneError(f"backbone {name!r}: {folder} holds {ready} and needs no conversion; use it as it is")
    if not (folder / "config.json").exists():
        raise BackboneError(
            f"backbone {name!r}: no config.json in {folder}; expected a folder written by save_pretrained of "
            "transformers, or downloaded from the hub"
        )
    files = _named_files(folder, name)
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise BackboneError(f"backbone {name!r}: {missing[0]} is missing or no file; copy or download all of them")
    return files


def _named_files(folder: Path, name: str) -> list[Path]:
    if (folder / PICKLED).exists():
        return [folder / PICKLED]
    if (folder / PICKLED_INDEX).exists():
        return sorted({folder / file for file in listed_files(folder / PICKLED_INDEX, ".bin", name).values()})
    shards = [match for entry in folder.iterdir() if (match := SHARD.fullmatch(entry.name)) and match[3] == "bin"]
    if not shards:
        raise BackboneError(f"backbone {name!r}: no {PICKLED} in {folder}; expected weights that torch.save wrote")
    count = int(shards[0][2])
    if len(shards) != count:
        raise BackboneError(
            f"backbone {name!r}: found {len(shards)} of {count} files of weights in {folder}; copy or download all"
        )
    return sorted(folder / match[0] for match in shards)


def _companions(folder: Path) -> list[str]:
    """Return the names of the files of configuration and tokenizer."""
    names = [path.name for path in folder.iterdir() if any(fnmatch.fnmatch(path.name, kind) for kind in COMPANIONS)]
    return [name for name in sorted(names) if not name.endswith(".index.json")]


def _write_tensors(state: dict[str, Tensor], file: Path) -> None:
    """Write tensors to a safetensors file and flush it; those that share memory are copied."""
    seen: set[int] = set()
    own: dict[str, Tensor] = {}
    for name, tensor in state.items():
        storage = tensor.untyped_storage().data_ptr()
        own[name] = tensor.clone(memory_format=torch.contiguous_format) if storage in seen else tensor.contiguous()
        seen.add(storage)
    try:
        save_file(own, file, {"format": "pt"})
        with file.open("r+b") as written:
            os.fsync(written.fileno())
    except KeyError as error:
        raise BackboneError(
            f"cannot convert tensors of {error.args[0]}, which the safetensors format does not have; save the weights "
            "in another dtype"
        ) from None
    except SafetensorError as error:  # the operating system refused to write
        raise SaveError(f"cannot write {file.name}: {first_line(error)}; nothing was kept") from None


def _check_output(out: Path, overwrite: bool) -> None:
    """Raise if the output exists, unless it may be overwritten and holds only what `convert_backbone` writes."""
    if not os.path.lexists(out):
        if not out.parent.is_dir():
            raise BackboneError(f"cannot write the output folder {out}: {out.parent} is not a folder; create it first")
        return
    if not out.is_dir():
        raise BackboneError(f"the output {out} is a file; a backbone is a folder; choose another one")
    if not overwrite:
        raise BackboneError(f"the output folder {out} exists; choose another one or pass overwrite=True")
    kinds = (*COMPANIONS, "model*.safetensors")
    other = [
        path.name
        for path in sorted(out.iterdir())
        if not path.is_file() or path.is_symlink() or not any(fnmatch.fnmatch(path.name, kind) for kind in kinds)
    ]
    if other or not ((out / WEIGHTS).exists() or (out / INDEX).exists()):
        found = f"it holds {other[0]}" if other else f"it holds no {WEIGHTS}"
        raise BackboneError(f"the output folder {out} is not a converted backbone ({found}); choose another one")


def _lies_in(path: Path, folder: Path) -> bool:
    return any(parent.exists() and parent.samefile(folder) for parent in (path, *path.parents))


@contextlib.contextmanager
def _new_folder(path: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a new folder that takes the name ``path`` at the end; if an error ends the block, it is removed."""
    new, old = (path.parent / f".{secrets.token_hex(8)}.{end}" for end in ("part", "old"))
    try:
        new.mkdir()
        yield new
        if overwrite and path.exists():
            path.rename(old)
        new.rename(path)
    except BaseException as error:
        if old.exists() and not path.exists():
            old.rename(path)
        for rest in (new, old):  # an old folder that could not be moved back is kept, because this line is not reached
            shutil.rmtree(rest, ignore_errors=True)
        if isinstance(error, OSError):
            raise SaveError(f"cannot write {path}: {error.strerror or error}; nothing was kept") from error
        raise
    shutil.rmtree(old, ignore_errors=True)
