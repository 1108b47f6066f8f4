"""The frozen configuration of a run, saved beside its weights.

Six sections (``data``, ``embedding``, ``prompt``, ``backbone``, ``model``, ``training``) of plain values. Unknown keys
are refused, with the nearest known names. Only builders take a configuration; layers take plain arguments.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from swt_time.config.choices import (
    CLOSED_FORM_PARTS,
    QUANTILES,
    STAND_INS,
    Auto,
    Bands,
    BandWeights,
    ClosedFormPart,
    EmbeddingKind,
    Fill,
    Learnable,
    Loss,
    Padding,
    Positions,
    Precision,
    Projection,
    PromptAttention,
    Prototypes,
    ReceptiveField,
    Schedule,
    Short,
    Shrinkage,
    Skip,
    Template,
)
from swt_time.config.covariates import CovariateOptions
from swt_time.config.keys import did_you_mean, dotted_keys, explain_error
from swt_time.config.section import Section
from swt_time.errors import ConfigError
from swt_time.wavelets.boundaries import Boundary

MOST_WEIGHTS = 2**30
"""Most trained weights of a model (4 GiB); a larger configuration is refused before memory is allocated."""

SHOWN_ERRORS = 8
"""Most values that one message explains; each needs a search for similar names."""

Positive = Annotated[int, Field(ge=1, lt=2**31)]
Size = Annotated[int, Field(ge=1, le=2**20)]
Layers = Annotated[int, Field(ge=1, le=1024)]
Probability = Annotated[float, Field(ge=0.0, lt=1.0)]


def _chosen(key: str, value: int | Auto) -> int:
    if value == "auto":
        raise ConfigError(f"{key} is auto, which fit chooses; set it to a number to build a model without a table")
    return value


class DataConfig(CovariateOptions):
    """Which columns of the table are series, and how their rows are divided."""

    horizon: Size = 96
    """Steps to forecast, ``H``."""
    context: Size | Auto = 512
    """Steps the model sees, ``T``; ``auto`` chooses them on held-out blocks of the table."""
    split: str = "0.7/0.1/0.2"
    """Train, validation and test part of each series: shares that add up to 1, ``etth``, ``ettm``, ``none`` (all rows
    are trained on), or ``auto``: choices are made on held-out blocks, then all rows are trained on."""
    train_fraction: float = Field(default=1.0, gt=0.0, le=1.0)
    """Share of the training windows to use, the oldest ones (few-shot training)."""
    description: str = Field(default="", max_length=20_000)
    """What the data are, in words; begins every prompt."""
    target: str | None = None
    """The one column to forecast; in a long table the column with the values."""
    columns: tuple[str, ...] | None = None
    """Columns of a wide table to forecast; all numeric columns by default."""
    time_column: str | None = None
    """Column with the timestamps; found by its name and content by default."""
    id_column: str | tuple[str, ...] | None = None
    """Column that names the series of a long table, or several that do so together; by default ``unique_id``, or the
    columns of text that tell the series apart."""
    frequency: str | None = None
    """Pandas alias of the time step, such as ``h``, ``D``, ``W`` or ``MS``, or ``none`` to count rows and ignore the
    calendar; inferred by default."""
    date_format: str | None = None
    """Strptime format of the dates, such as ``%d/%m/%Y``, ``%Y%m`` or ``%YQ%q`` (quarter); found by default."""
    encoding: str | None = Field(default=None, max_length=64)
    """Encoding of a CSV file, such as ``cp1252``, ``latin-1`` or ``shift_jis``; UTF-8 by default."""
    memory_limit: Positive | None = None
    """Most memory in MiB that a table may take while it is read; by default half of the machine's, and at most 512 MiB
    and 64 times the size of the file, so that a small file from a stranger cannot take more."""
    fill: Fill | None = None
    """Filling of gaps and missing values: ``linear``, ``ffill`` (the last value) or ``zero``; refused by default.
    Filled values are inputs only: never training targets, never scored."""
    short: Short | None = None
    """What happens to series with fewer rows than the context: they are left out (``skip``); forecast by the panel or,
    without one, by Theta, seasonal naive or their last value (``naive``); or trained on and forecast in windows padded
    before their start (``pad``). By default ``naive`` with ``model.panel``, else ``skip``."""

    @property
    def steps(self) -> int:
        """``data.context`` as a number.

        Raises
        ------
        ConfigError
            It is ``auto`` and not yet chosen.
        """
        return _chosen("data.context", self.context)


class EmbeddingConfig(Section):
    """From a normalised window to patch tokens ``(B*N, P, D)``."""

    kind: EmbeddingKind = "wavelet"
    """Patches of all wavelet bands, or plain patches of the series."""
    d_model: Size = 32
    """Width of a patch token, ``D``."""
    patch_len: Size = 16
    """Steps in a patch."""
    stride: Size = 8
    """Steps between the starts of neighbouring patches."""
    wavelet: str = "db4"
    """Any discrete wavelet of PyWavelets; ``auto`` chooses it on held-out blocks of the table."""
    level: Layers | Auto = 3
    """Levels of the wavelet transform, ``J``; ``auto`` is the deepest that fits the context, at most 6."""
    boundary: Boundary = "periodic"
    """How the window is extended beyond its ends; ``causal`` uses past samples only."""
    norm: bool = False
    """Scale the filters so that an orthogonal wavelet preserves energy."""
    bands: Bands = "all"
    """All bands, or the approximation only."""
    band_weights: BandWeights = "none"
    """A learned factor for each band, free or normalised by a softmax."""
    shrink: Shrinkage = "none"
    """Soft shrinkage of the coefficients, with a learned threshold for each band."""
    projection: Projection = "joint"
    """One projection of all bands, or one for each band and a fusion."""
    positions: Positions = "none"
    """Learned positions of the patches, or of the patches and their bands."""
    semantic: bool = False
    """Linear-GELU-Linear on the tokens, before the reprogramming."""
    learnable: Learnable = "none"
    """Learned wavelet filters: orthogonal by construction (``lattice``) or ``free``."""
    pad: Padding = "signal"
    """What the half patch after the end of the window holds: coefficients of the extended signal, or the last
    coefficient repeated, as the originals do."""
    kernel_size: Literal[1, 3] = 1
    """Patches that one token of the plain embedding sees; 3 (circular) is the original's."""
    receptive_field: ReceptiveField = "patch"
    """Samples behind one token of the plain embedding: its own patch, or as many as the wavelet embedding sees."""
    dropout: Probability = 0.0
    """Dropout on the tokens."""

    @property
    def levels(self) -> int:
        """``embedding.level`` as a number.

        Raises
        ------
        ConfigError
            It is ``auto`` and not yet chosen.
        """
        return _chosen("embedding.level", self.level)


class PromptConfig(Section):
    """The text in front of the patches."""

    template: Template = "compact"
    """``compact`` text, Time-LLM's text (``paper``), or no prompt."""


class BackboneConfig(Section):
    """The frozen language model, or what stands in for it."""

    name: str = "minilm"
    """``minilm``, a local folder, a hub id, or a stand-in without a language model: ``none``, ``attention``,
    ``transformer``."""
    layers: Layers | None = None
    """Layers to keep, counted from the input; all by default."""
    random_init: bool = False
    """Keep the architecture and draw the weights at random."""
    precision: Precision = "auto"
    """Number type of the frozen weights; ``auto`` is bfloat16 where the machine computes it natively, else float32."""
    prompt_attention: PromptAttention = "prefix"
    """Whether the prompt of an encoder (BERT) sees only itself, so that it is read once, or also the patches, as in
    the paper (``full``). Causal models read prompts the same way in both cases, and MPNet is always read as with
    ``full``."""


class ModelConfig(Section):
    """Reprogramming, head, and the linear forecast beside them."""

    d_ff: Size = 128
    """Key width of each reprogramming head, and hidden dimensions of the language model that the head reads."""
    n_heads: Layers = 8
    """Attention heads of the reprogramming."""
    prototypes: Prototypes = "free"
    """Text prototypes as free parameters, or as a trained mapping of all word embeddings (Time-LLM's form)."""
    n_prototypes: Size = 1000
    """Number of text prototypes, ``S``."""
    skip: Skip = "ridge"
    """Linear forecast beside the language model, which then enters through a gate: from the window, solved in closed
    form before the first step (``ridge``), or a trained head on the patches (``linear``)."""
    closed_form: tuple[ClosedFormPart, ...] = CLOSED_FORM_PARTS
    """What the closed form tries beside the wavelet prior, and takes where it lowers the error on held-out windows: a
    prior of season and lag decay (``season``), shrinkage towards a map of few numbers a step (``structure``), the last
    value as the centre of a window (``last``), windows weighted by their deviation (``weights``). With ``blocks`` the
    held-out windows are contiguous blocks of the training and the validation part, else the validation part."""
    panel: bool = False
    """Fit simple forecasters (last value, seasonal naive, Theta, a pooled regression; for steps shorter than a day also
    a map for series with a daily and a weekly season) beside the network, and take them or a combination where they
    lower the error on held-out blocks of the table. Needs ``model.skip`` ridge."""
    dropout: Probability = 0.1
    """Dropout before the head."""
    attention_dropout: Probability = 0.0
    """Dropout on the attention weights of the reprogramming."""


class TrainingConfig(Section):
    """The optimisation."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    """Seed of initial weights, order of windows and dropout."""
    max_steps: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """Training steps; by default what ``training.epochs`` passes over the training windows take. 0 keeps the closed
    form alone."""
    epochs: Positive = 10
    """Passes over the training windows, where ``training.max_steps`` is not given."""
    max_seconds: float | None = Field(default=None, gt=0, le=1e9)
    """Time budget in seconds; the schedule is fitted into it after the first steps are measured."""
    batch_size: Positive = 32
    """Windows in a training step."""
    micro_batch: Positive | None = None
    """Windows that go through the model at once, to save memory; gradients are summed over the batch."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Weight decay of matrices, learned positions included; biases and gates have none."""
    schedule: Schedule = "one_cycle"
    """Course of the learning rate."""
    loss: Loss = "mse"
    """Error that training and validation lower; ``quantile`` trains 13 quantiles and forecasts their median."""
    reconstruction_weight: float = Field(default=1.0, ge=0)
    """Weight of the penalty that keeps free wavelet filters invertible."""
    clip_norm: float | None = Field(default=1.0, gt=0)
    """Largest norm of the gradient; longer gradients are shortened to it."""
    validate_every: Positive | None = None
    """Steps between validations; a tenth of the run by default."""
    checkpoint_every: Positive | None = None
    """Steps between saves of the state that a stopped run resumes from; every validation by default."""
    validation_windows: Positive = 1024
    """Windows that a validation scores, evenly spread over the validation part."""
    patience: Positive | None = 5
    """Validations without improvement after which training stops."""
    device: str = "auto"
    """``auto``, ``cpu`` or ``cuda``."""
    compile: bool = False
    """Compile the training step: takes a minute at the start and is no faster on CPUs."""
    keep_branch: bool = False
    """Keep a trained branch that did not earn its place on held-out blocks, see `swt_time.selection.keeping`."""
    keep_sums: bool = False
    """Keep the sums that the closed form is solved from in the checkpoint, so that `Forecaster.update` can add new rows
    to them. Needs the closed form alone: ``training.max_steps`` 0, no ``model.panel``, and another ``data.short`` than
    pad."""


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
        if self.data.context != "auto" and self.embedding.patch_len > self.data.context:
            raise ValueError(
                f"embedding.patch_len {self.embedding.patch_len} is longer than data.context {self.data.context}; "
                "shorten the patches or lengthen the context"
            )
        return self

    @model_validator(mode="after")
    def _something_to_train(self) -> Self:
        if self.training.max_steps == 0 and self.model.skip != "ridge":
            raise ValueError("training.max_steps 0 trains nothing; set it to 1 or more, or model.skip to ridge")
        if self.model.panel and self.model.skip != "ridge":
            raise ValueError("model.panel compares simple forecasters with the closed form; set model.skip to ridge")
        alone = self.training.max_steps == 0 and not self.model.panel and self.short != "pad"
        if self.training.keep_sums and not alone:
            raise ValueError(
                "training.keep_sums needs the closed form alone; set training.max_steps to 0, model.panel to false, "
                "and data.short to another value than pad"
            )
        return self

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        if not self.automatic and self.least_weights > MOST_WEIGHTS:
            raise ValueError(
                f"the sizes mean a model of at least {self.least_weights:,} trained weights, at most {MOST_WEIGHTS:,} "
                "are allowed; lower embedding.d_model, model.d_ff, model.n_prototypes or data.horizon"
            )
        return self

    @property
    def short(self) -> Short:
        """``data.short``, or its default."""
        return self.data.short or ("naive" if self.model.panel else "skip")

    @property
    def automatic(self) -> list[str]:
        """Keys that are ``auto``: they are chosen before a model is built, see `swt_time.selection`."""
        chosen = {
            "data.context": self.data.context,
            "data.split": self.data.split,
            "embedding.wavelet": self.embedding.wavelet,
            "embedding.level": self.embedding.level,
        }
        return [key for key, value in chosen.items() if value == "auto"]

    @property
    def n_patches(self) -> int:
        """``P = (T - patch_len) // stride + 2``; the last patch reaches half a patch past the end."""
        return (self.data.steps - self.embedding.patch_len) // self.embedding.stride + 2

    @property
    def least_weights(self) -> int:
        """Fewest trained weights that these sizes can mean: a language model is at least ``d_ff`` wide."""
        embedding, model, name = self.embedding, self.model, self.backbone.name
        d_model, d_ff, n_patches, horizon = embedding.d_model, model.d_ff, self.n_patches, self.data.horizon
        outputs = horizon * (len(QUANTILES) if self.training.loss == "quantile" else 1)
        wavelet = embedding.kind == "wavelet"
        joint = wavelet and embedding.bands == "all" and embedding.projection == "joint"
        found = d_model * embedding.patch_len * (embedding.levels + 1 if joint else 1)
        found += d_model * n_patches * (embedding.positions != "none")
        found += 4 * d_model**2 * (wavelet and embedding.semantic)
        found += self.data.steps * horizon * (model.skip == "ridge")
        if name == "none":
            return found + d_model * n_patches * outputs
        stand_in = name in STAND_INS
        found += n_patches * ((d_model if stand_in else d_ff) * outputs + d_model * horizon * (model.skip == "linear"))
        if stand_in:
            layer = 4 * d_model**2 + (2 * d_model * d_ff if name == "transformer" else 0)
            return found + layer * (self.backbone.layers or 1)
        return found + model.n_heads * d_ff * (d_model + 3 * d_ff) + model.n_prototypes * d_ff

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Check nested plain values.

        Raises
        ------
        ConfigError
            Unknown key (with the nearest known names) or a value out of range, one clause for each of the first ones.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            errors = error.errors()
            shown = [explain_error(one, cls) for one in errors[:SHOWN_ERRORS]]
            more = [f"and {len(errors) - SHOWN_ERRORS:,} more"] if len(errors) > SHOWN_ERRORS else []
            raise ConfigError("; ".join(shown + more)) from None

    def replace(self, changes: Mapping[str, Any]) -> Self:
        """Return a copy with dotted keys (``"data.horizon"``) set to new values."""
        values = self.model_dump()
        for key, value in changes.items():
            section, _, name = key.partition(".")
            if section not in values or not name:
                hint = did_you_mean(key, dotted_keys(type(self)))
                raise ConfigError(f"unknown configuration key {key!r}; expected section.name{hint}")
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
