"""One frozen configuration for a whole run, saved beside the weights it made.

Six sections (``data``, ``embedding``, ``prompt``, ``backbone``, ``model``, ``training``) of plain values.
It reads and writes TOML and JSON, refuses unknown keys with the nearest known names, and is handed to
builders only: layers take plain arguments.
"""

import difflib
import json
import re
import reprlib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from swt_time.errors import ConfigError
from swt_time.safe_files import MEBIBYTE, parse_json, read_bytes

FILE_LIMIT = MEBIBYTE
"""Most bytes of a configuration file."""

LONG_KEY = re.compile(r"(?:\.\s*+[\w\"'-]++\s*+){16}")
"""A dotted name of more than 16 parts; what Python's parser takes for one grows with the square of the parts."""

MOST_WEIGHTS = 2**30
"""Most trained weights of a model, 4 GiB; a configuration that means more is refused before memory is taken."""

Positive = Annotated[int, Field(ge=1, lt=2**31)]
Size = Annotated[int, Field(ge=1, le=2**20)]
Layers = Annotated[int, Field(ge=1, le=1024)]
Probability = Annotated[float, Field(ge=0.0, lt=1.0)]


class Section(BaseModel):
    """A frozen group of options that refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(Section):
    """Which columns of the table are series, and how their rows are divided."""

    horizon: Size = 96
    """Steps to forecast, ``H``."""
    context: Size = 512
    """Steps the model sees, ``T``."""
    split: str = "0.7/0.1/0.2"
    """``etth``, ``ettm``, ``none``, or the shares of train/validation/test."""
    train_fraction: float = Field(default=1.0, gt=0.0, le=1.0)
    """Share of the training part that is used (few-shot)."""
    description: str = Field(default="", max_length=20_000)
    """What the data are, in words: the beginning of every prompt."""
    target: str | None = None
    columns: tuple[str, ...] | None = None
    time_column: str | None = None
    id_column: str | None = None
    frequency: str | None = None
    fill: Literal["linear", "ffill"] | None = None


class EmbeddingConfig(Section):
    """From a normalised window to patch tokens ``(B*N, P, D)``."""

    kind: Literal["wavelet", "patch"] = "wavelet"
    d_model: Size = 32
    patch_len: Size = 16
    stride: Size = 8
    wavelet: str = "db4"
    level: Layers = 3
    boundary: Literal["periodic", "reflect", "replicate", "zero", "causal"] = "periodic"
    norm: bool = False
    bands: Literal["all", "approx"] = "all"
    band_weights: Literal["none", "free", "softmax"] = "none"
    shrink: Literal["none", "soft"] = "none"
    projection: Literal["joint", "per_band"] = "joint"
    positions: Literal["none", "patch", "band"] = "none"
    semantic: bool = False
    learnable: Literal["none", "lattice", "free"] = "none"
    pad: Literal["signal", "coefficient"] = "signal"
    kernel_size: Literal[1, 3] = 1
    """Patches that one token of the plain embedding sees; 3 (circular) is the original's."""
    receptive_field: Literal["patch", "wavelet"] = "patch"
    """Samples behind one token of the plain embedding: its own patch, or as many as the wavelet embedding sees."""
    dropout: Probability = 0.0


class PromptConfig(Section):
    """The text in front of the patches."""

    template: Literal["compact", "paper", "none"] = "compact"


class BackboneConfig(Section):
    """The frozen language model, or the twin that stands in for it."""

    name: str = "minilm"
    """``minilm``, a local folder, a hub id, or a twin: ``none``, ``attention``, ``transformer``."""
    layers: Layers | None = None
    """Layers kept, counted from the input; all of them when not given."""
    random_init: bool = False
    """Keep the architecture and draw the weights at random."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number type of the frozen weights; ``auto`` is bfloat16 where the machine computes it natively, else float32."""
    prompt_attention: Literal["prefix", "full"] = "prefix"
    """Of an encoder (BERT): whether the prompt sees the patches too, as in the paper, or only itself, which lets it be
    read outside the graph. A causal model reads its prompt so in any case; both words mean the same to it."""


class ModelConfig(Section):
    """Reprogramming and head."""

    d_ff: Size = 128
    """Key width of each reprogramming head, and hidden dimensions of the language model that the head reads."""
    n_heads: Layers = 8
    prototypes: Literal["free", "mapping"] = "free"
    n_prototypes: Size = 1000
    skip: Literal["ridge", "linear", "none"] = "ridge"
    """A linear forecast beside the language model, which then enters through a gate: ``ridge`` is a map straight from
    the window, solved in closed form before the first step (`swt_time.ridge`) and left alone by gradients; ``linear``
    a head straight from the patches, trained with the rest."""
    dropout: Probability = 0.1
    attention_dropout: Probability = 0.0


class TrainingConfig(Section):
    """The optimisation."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    max_steps: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """Steps to take; when not given, ``epochs`` times over the training windows. 0 keeps what ``model.skip`` ``ridge``
    solves in closed form."""
    epochs: Positive = 10
    max_seconds: float | None = Field(default=None, gt=0)
    """Time budget; the schedule is fitted into it after the first steps are measured."""
    batch_size: Positive = 32
    micro_batch: Positive | None = None
    """Windows that go through the model at once, to save memory; gradients are summed over the batch."""
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    schedule: Literal["one_cycle", "cosine"] = "one_cycle"
    loss: Literal["mse", "mae", "huber"] = "mse"
    reconstruction_weight: float = Field(default=1.0, ge=0)
    """Weight of the reconstruction penalty that keeps free wavelet filters invertible."""
    clip_norm: float | None = Field(default=1.0, gt=0)
    validate_every: Positive | None = None
    """Steps between validations; when not given, a tenth of the run."""
    checkpoint_every: Positive | None = None
    """Steps between two saves of the training state that ``--resume`` goes on from; when not given, every
    validation saves it."""
    validation_windows: Positive = 1024
    """Windows that one validation looks at, evenly spread over the validation part."""
    patience: Positive | None = 5
    """Validations without improvement after which training stops."""
    device: str = "auto"
    compile: bool = False
    """Run training steps through ``torch.compile``: takes a minute at the start and is no faster on processors."""


class Config(Section):
    """Everything that, with the table and the backbone's weights, determines a trained model."""

    data: DataConfig = DataConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    prompt: PromptConfig = PromptConfig()
    backbone: BackboneConfig = BackboneConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="after")
    def _patches_fit(self) -> Self:
        if self.embedding.patch_len > self.data.context:
            raise ValueError(
                f"embedding.patch_len {self.embedding.patch_len} is longer than data.context {self.data.context}; "
                "shorten the patches or lengthen the context"
            )
        return self

    @model_validator(mode="after")
    def _something_to_train(self) -> Self:
        if self.training.max_steps == 0 and self.model.skip != "ridge":
            raise ValueError("training.max_steps 0 trains nothing; set it to 1 or more, or model.skip to ridge")
        return self

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        if self.least_weights > MOST_WEIGHTS:
            raise ValueError(
                f"the sizes mean a model of at least {self.least_weights:,} trained weights, at most {MOST_WEIGHTS:,} "
                "are allowed; lower embedding.d_model, model.d_ff, model.n_prototypes or data.horizon"
            )
        return self

    @property
    def n_patches(self) -> int:
        """``P = (T - patch_len) // stride + 2``; the last patch reaches half a patch past the end."""
        return (self.data.context - self.embedding.patch_len) // self.embedding.stride + 2

    @property
    def least_weights(self) -> int:
        """Fewest trained weights that these sizes can mean: a language model is at least ``d_ff`` wide."""
        embedding, model, name = self.embedding, self.model, self.backbone.name
        d_model, d_ff, n_patches = embedding.d_model, model.d_ff, self.n_patches
        wavelet = embedding.kind == "wavelet"
        joint = wavelet and embedding.bands == "all" and embedding.projection == "joint"
        found = d_model * embedding.patch_len * (embedding.level + 1 if joint else 1)
        found += d_model * n_patches * (embedding.positions != "none")
        found += 4 * d_model**2 * (wavelet and embedding.semantic)
        found += self.data.context * self.data.horizon * (model.skip == "ridge")
        if name == "none":
            return found + d_model * n_patches * self.data.horizon
        twin = name in ("attention", "transformer")
        read = (d_model if twin else d_ff) + d_model * (model.skip == "linear")
        found += read * n_patches * self.data.horizon
        if twin:
            layer = 4 * d_model**2 + (2 * d_model * d_ff if name == "transformer" else 0)
            return found + layer * (self.backbone.layers or 1)
        return found + model.n_heads * d_ff * (d_model + 3 * d_ff) + model.n_prototypes * d_ff

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Check nested plain values.

        Raises
        ------
        ConfigError
            Unknown key (with the nearest known names) or a value out of range, one clause for each.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError("; ".join(_explain(e, cls) for e in error.errors())) from None

    def replace(self, changes: Mapping[str, Any]) -> Self:
        """Return a copy with dotted keys (``"data.horizon"``) set to new values."""
        values = self.model_dump()
        for key, value in changes.items():
            section, _, name = key.partition(".")
            if section not in values or not name:
                raise ConfigError(
                    f"unknown configuration key {key!r}; expected section.name{_nearest(key, dotted_keys(type(self)))}"
                )
            values[section][name] = value
        return type(self).parse(values)

    def differences(self, other: Self) -> list[str]:
        """Every key whose value differs, as ``training.seed 0 (not 5)``: here, and in the other configuration."""
        ours, theirs = self.model_dump(), other.model_dump()
        keys = [key.split(".") for key in dotted_keys(type(self))]
        return [
            f"{section}.{name} {ours[section][name]!r} (not {theirs[section][name]!r})"
            for section, name in keys
            if ours[section][name] != theirs[section][name]
        ]

    def to_json(self) -> str:
        """Write every value, defaults included."""
        return json.dumps(self.model_dump(), indent=2) + "\n"


def read_config_file(path: Path) -> dict[str, Any]:
    """Read a ``.toml`` or ``.json`` file into nested values; they are checked by `Config.parse`."""
    raw = read_bytes(path, FILE_LIMIT, ConfigError)
    what = f"the configuration file {path}"
    if path.suffix == ".json":
        return parse_json(raw, what, ConfigError)
    try:
        text = raw.decode()
        if LONG_KEY.search(text):
            raise ConfigError(f"{what} names a key of more than 16 parts; expected section.key")
        return tomllib.loads(text)
    except UnicodeDecodeError:
        raise ConfigError(f"{what} is not UTF-8 text") from None
    except ConfigError:
        raise
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{what} is not valid TOML: {error}") from None


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split ``section.key=value``; the value is read as TOML where it is TOML, else as text."""
    key, equals, value = text.partition("=")
    if not equals or "." not in key:
        raise ConfigError(f"expected section.key=value, got {text!r}; for example training.learning_rate=0.0005")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        return key.strip(), value


def dotted_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """All keys of a configuration, as ``section.name``."""
    keys = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys += dotted_keys(kind, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def nearest_names(name: str, known: Iterable[str]) -> list[str]:
    """The known names most like ``name``; an exact last part (``horizon`` for ``data.horizon``) comes first."""
    known = list(known)
    tail = name.rpartition(".")[2]
    same = [k for k in known if k.rpartition(".")[2] == tail]
    return list(dict.fromkeys(same + difflib.get_close_matches(name, known, n=3)))[:3]


def _nearest(name: str, known: Iterable[str]) -> str:
    close = nearest_names(name, known)
    return f"; did you mean {' or '.join(close)}?" if close else ""


_shown = reprlib.Repr()
_shown.maxstring = _shown.maxother = 80


def _explain(error: Any, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in error["loc"] if part != "function-after")
    if error["type"] == "extra_forbidden":
        return f"unknown configuration key {key!r}{_nearest(key, dotted_keys(model))}"
    message = error["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    return f"{key}: {message}, got {_shown.repr(error['input'])}" if key else message
