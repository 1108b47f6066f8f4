"""Weights in a format that is not read: which one a folder holds, and the command or the Python that converts it."""

import glob
import re
import shlex
import warnings
from collections.abc import Iterable
from pathlib import Path

from swt_time.errors import BackboneError, SWTTimeWarning
from swt_time.files import MEBIBYTE, read_json
from swt_time.language.finding import is_path

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
"""Where weights are read from: one file, or an index of several files."""

PICKLED, PICKLED_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
"""The same for weights as pickles, which could run code; `swt_time.language.conversion` converts them."""

CODE = "weights as a pickle, which could run code"

ADAPTER = "adapter_config.json"
SHARD = re.compile(r"(model|pytorch_model)-\d+-of-(\d+)\.(safetensors|bin)")
VARIANT = re.compile(r"(?:model|pytorch_model)\.(\w+)(?:-\d+-of-\d+)?\.(?:safetensors|bin)")
OTHER = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".ot")
"""Endings of files that may hold weights."""

TASKS = {
    "CAUSAL_LM": "AutoPeftModelForCausalLM",
    "FEATURE_EXTRACTION": "AutoPeftModelForFeatureExtraction",
    "QUESTION_ANS": "AutoPeftModelForQuestionAnswering",
    "SEQ_CLS": "AutoPeftModelForSequenceClassification",
    "TOKEN_CLS": "AutoPeftModelForTokenClassification",
}
"""Classes of peft by the ``task_type`` of an adapter; without one it is ``AutoPeftModel``."""


def refuse_other_formats(folder: Path, name: str) -> None:
    """Raise if a backbone's folder holds weights in another format than safetensors files of Hugging Face.

    Parameters
    ----------
    folder : Path
    name : str
        Name of the backbone. If it is a hub id, the files of its repository that were not downloaded count too.

    Raises
    ------
    BackboneError
        The message says what was found and what converts it.
    """
    if (folder / WEIGHTS).exists() or (folder / INDEX).exists():
        if (folder / ADAPTER).exists():
            warnings.warn(
                f"backbone {name!r}: the adapter in {folder} ({ADAPTER}) is not applied to the weights beside it",
                SWTTimeWarning,
                stacklevel=2,
            )
        return
    names = {entry.name for entry in folder.iterdir()}
    from_hub = not is_path(name) and not Path(name).is_dir()
    if from_hub:
        names |= _repository_files(name)
    explained = explain_weights(names, name if from_hub else str(folder), folder, from_hub=from_hub)
    if explained is None:
        return
    found, remedy = explained
    place = f" in the repository {name!r}" if from_hub else ""  # a folder is named once: a long line is cut
    raise BackboneError(f"backbone {name!r}: found {found}{place}, expected {WEIGHTS}; {remedy}")


def explain_weights(names: Iterable[str], place: str, folder: Path, *, from_hub: bool) -> tuple[str, str] | None:
    """Say which weights the files of a folder are, and how to convert them; None if there are none.

    Parameters
    ----------
    names : iterable of str
        Names of the files.
    place : str
        What ``from_pretrained`` is called with: the folder or the hub id.
    folder : Path
        Where the files are, as far as they are on this machine.
    from_hub : bool
        Whether the converted model must go to a new folder, with its tokenizer.
    """
    names = sorted(names)
    target = "backbone" if from_hub else place

    def convert(options: str = "") -> str:
        lines = ["from transformers import AutoModel", f"AutoModel.from_pretrained({place!r}{options})"]
        lines[1] += f".save_pretrained({target!r})"
        if from_hub:
            lines[0] += ", AutoTokenizer"
            lines.append(f"AutoTokenizer.from_pretrained({place!r}).save_pretrained({target!r})")
        return _python(lines)

    def having(pattern: str) -> list[str]:
        return [name for name in names if re.fullmatch(pattern, name)]

    new = target if from_hub else f"{folder}-safetensors"
    command = shlex.join(["swt-time", "backbone", "convert", place, new])
    unpickle = f"convert it: {command}; then set backbone.name to {new}"
    pickled = [name for name in names if name in (PICKLED, PICKLED_INDEX)]
    if pickled:
        return f"{pickled[0]} ({CODE})", unpickle
    shards = [match for name in names if (match := SHARD.fullmatch(name))]
    if shards:
        return _explain_shards(shards, folder, unpickle)
    variants = [match for name in names if (match := VARIANT.fullmatch(name))]
    if variants:
        return f"{variants[0][0]} (a variant)", convert(f", variant={variants[0][1]!r}")
    consolidated = having(r"consolidated.*\.(safetensors|pth)")
    if consolidated:
        lines = [
            "from huggingface_hub import snapshot_download",
            f"snapshot_download('OWNER/MODEL', local_dir={target!r}, allow_patterns=['*.json', 'model*.safetensors'])",
        ]
        return (
            f"{consolidated[0]} (weights with the names of the model's authors, not of Hugging Face)",
            f"most repositories hold both, {_python(lines, 'download the others')}",
        )
    packed = having(r".*\.gguf")
    if packed:
        lines = [
            "from transformers import AutoModel, AutoTokenizer, GgufConfig",
            f"AutoModel.from_pretrained({place!r}, gguf_file={packed[0]!r}, "
            "quantization_config=GgufConfig(dequantize=True)).save_pretrained('backbone')",
            f"AutoTokenizer.from_pretrained({place!r}, gguf_file={packed[0]!r}).save_pretrained('backbone')",
        ]
        return f"{packed[0]} (quantised weights of llama.cpp)", _python(lines, "pip install gguf, then convert")
    if ADAPTER in names:
        return _explain_adapter(place, folder)
    others = [name for name in names if name.endswith(OTHER) and name not in ("training_args.bin", "optimizer.pt")]
    if others:
        return others[0], "save the model with save_pretrained of transformers, which writes this file"
    return None


def _explain_shards(shards: list["re.Match[str]"], folder: Path, unpickle: str) -> tuple[str, str]:
    first, (kind, count, ending) = shards[0][0], shards[0].groups()
    alike = [match for match in shards if match.group(1, 3) == (kind, ending)]
    if len(alike) < int(count):
        return f"{len(alike)} of {int(count)} files {kind}-*.{ending}, and no index", "copy or download all of them"
    if ending == "bin":
        return f"{first} ({CODE})", unpickle
    files = str(Path(glob.escape(str(folder))) / f"{kind}-*.{ending}")
    lines = [
        "import glob; from safetensors.torch import load_file, save_file",
        f"save_file({{name: w for file in glob.glob({files!r}) for name, w in load_file(file).items()}}, "
        f"{str(folder / WEIGHTS)!r})",
    ]
    return f"{first} without {kind}.{ending}.index.json", _python(lines, "join them")


def _explain_adapter(place: str, folder: Path) -> tuple[str, str]:
    values: dict[str, object] = {}
    if (folder / ADAPTER).is_file():
        values = read_json(folder / ADAPTER, MEBIBYTE, BackboneError)
    kind = TASKS.get(str(values.get("task_type")), "AutoPeftModel")
    base = str(values.get("base_model_name_or_path") or "BASE MODEL")[:200]
    lines = [
        f"from peft import {kind}; from transformers import AutoTokenizer",
        f"{kind}.from_pretrained({place!r}).merge_and_unload().save_pretrained('backbone')",
        f"AutoTokenizer.from_pretrained({base!r}).save_pretrained('backbone')",
    ]
    return f"{ADAPTER} (an adapter of {base!r}, not a model)", _python(lines, "pip install peft, then merge")


def _python(lines: list[str], what: str = "convert it") -> str:
    # On one line, since the command line prints messages on one line, and python -c takes it as it is.
    return f"{what} with Python: {'; '.join(lines)}"


def _repository_files(repo_id: str) -> set[str]:
    """Return the names of all files of a hub repository; none if the hub cannot be reached."""
    from huggingface_hub import list_repo_files

    try:
        return {name for name in list_repo_files(repo_id) if "/" not in name}
    except Exception:  # what was downloaded is looked at in any case
        return set()
