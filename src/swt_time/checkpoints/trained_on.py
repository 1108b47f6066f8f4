"""What a checkpoint records of the training table."""

from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import ConfigDict, FailFast


@dataclass(frozen=True)
class TrainedOn:
    """What forecasting needs to know about the training table.

    Attributes
    ----------
    layout : {"long", "wide", "unknown"}
    frequency : str or None
        Pandas offset alias; None if it is not known.
    ids : list of str
        Series of a long table, columns of a wide one.
    mean, deviation : list of float
        Mean and standard deviation of the training part of each series; the model sees ``(x - mean) / deviation``.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    layout: str
    frequency: str | None
    ids: Annotated[list[str], FailFast()]
    mean: Annotated[list[float], FailFast()]
    deviation: Annotated[list[float], FailFast()]

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.mean) == len(self.deviation):
            raise ValueError("ids, mean and deviation differ in length")
        if not all(one > 0 for one in self.deviation):
            raise ValueError("deviation must be positive")

    @classmethod
    def unknown(cls) -> Self:
        """Return the record of imported weights: any columns and frequency; each series is scaled by its own values."""
        return cls("unknown", None, [], [], [])
