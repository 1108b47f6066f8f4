"""How a signal is extended beyond its ends. No torch here, so that a list of choices costs nothing to load."""

from typing import Literal, get_args

Boundary = Literal["periodic", "reflect", "replicate", "zero", "causal"]

BOUNDARIES: tuple[Boundary, ...] = get_args(Boundary)
