"""Names of the boundaries: how a signal is extended beyond its ends. Torch is not imported, which keeps this cheap."""

from typing import Literal, get_args

Boundary = Literal["periodic", "reflect", "replicate", "zero", "causal"]

BOUNDARIES: tuple[Boundary, ...] = get_args(Boundary)
