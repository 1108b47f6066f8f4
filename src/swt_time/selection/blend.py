"""A convex combination of the network's forecast and that of the panel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from swt_time.errors import CheckpointError
from swt_time.panel import FittedPanel

PREFIX = "blend."
"""Prefix of its arrays among the weights of a checkpoint."""


@dataclass(frozen=True)
class Blend:
    """The panel, and the weight of the network beside it.

    Attributes
    ----------
    weight : float
        Weight of the network, from 0 to 1; the panel has the rest.
    panel : FittedPanel
    """

    weight: float
    panel: FittedPanel

    def combine(self, network: np.ndarray | None, histories: Sequence[np.ndarray]) -> np.ndarray:
        """Forecasts (M, H) of series with these values, NaN where nothing was observed.

        Parameters
        ----------
        network : (M, H) array or None
            Forecasts of the network, in the units of the series; None if its weight is 0. A row that is NaN is
            forecast by the panel alone.
        histories : sequence of M arrays

        Returns
        -------
        (M, H) float64 array
            Not negative for series without negative values.
        """
        if network is None or self.weight == 0:
            return self.panel.forecast(histories)
        both = np.array(network, dtype=np.float64)
        needed = np.flatnonzero((self.weight < 1) | np.isnan(both).any(axis=1))
        if len(needed):
            panel, own = self.panel.forecast([histories[i] for i in needed.tolist()]), both[needed]
            both[needed] = np.where(np.isnan(own), panel, self.weight * own + (1 - self.weight) * panel)
        positive = np.array([not (one < 0).any() for one in histories])  # a comparison with NaN is false
        return np.where(positive[:, None], np.maximum(both, 0.0), both)

    def to_tensors(self) -> dict[str, Tensor]:
        """Its arrays by name, for a checkpoint."""
        arrays = {"weight": np.array(self.weight), **self.panel.to_arrays()}
        return {PREFIX + name: torch.from_numpy(np.array(one, dtype=np.float64)) for name, one in arrays.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "Blend | None":
        """Restore a blend from the weights of a checkpoint; None if there is none.

        Raises
        ------
        CheckpointError
            An array is missing, or holds impossible values.
        """
        arrays = {name.removeprefix(PREFIX): one for name, one in tensors.items() if name.startswith(PREFIX)}
        if not arrays:
            return None
        plain = {name: one.double().numpy() for name, one in arrays.items()}
        weight = plain.pop("weight", np.array(np.nan))
        if weight.shape != () or not 0 <= weight <= 1:
            raise CheckpointError("the weight of the network beside the panel is missing or not from 0 to 1")
        return cls(float(weight), FittedPanel.from_arrays(plain))
