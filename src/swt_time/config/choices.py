"""The choices of every configuration option that is a name.

Each set of choices is one ``Literal``, defined here (the boundary modes in `swt_time.wavelets`). Use
``typing.get_args`` to list the choices.
"""

from typing import Literal, get_args

Auto = Literal["auto"]
Fill = Literal["linear", "ffill", "zero"]
Short = Literal["skip", "naive", "pad"]
EmbeddingKind = Literal["wavelet", "patch"]
Bands = Literal["all", "approx"]
BandWeights = Literal["none", "free", "softmax"]
Shrinkage = Literal["none", "soft"]
Projection = Literal["joint", "per_band"]
Positions = Literal["none", "patch", "band"]
Learnable = Literal["none", "lattice", "free"]
Padding = Literal["signal", "coefficient"]
ReceptiveField = Literal["patch", "wavelet"]
Template = Literal["compact", "paper", "none"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
PromptAttention = Literal["prefix", "full"]
Tune = Literal["none", "norms", "lora"]
Prototypes = Literal["free", "mapping"]
Skip = Literal["ridge", "linear", "none"]
ClosedFormPart = Literal["blocks", "season", "structure", "last", "weights"]
Schedule = Literal["one_cycle", "cosine"]
Loss = Literal["mse", "mae", "huber", "quantile"]
StandIn = Literal["none", "attention", "transformer"]
Engine = Literal["local", "ray"]

CLOSED_FORM_PARTS: tuple[ClosedFormPart, ...] = get_args(ClosedFormPart)
"""Everything that the closed form can try."""

QUANTILES = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
"""Probabilities of the quantiles that ``training.loss`` ``quantile`` trains: the deciles and two of each tail."""

STAND_INS: tuple[StandIn, ...] = get_args(StandIn)
"""Values of ``backbone.name`` that stand in for a language model in ablations."""
