"""A convex combination of the forecasts of the network, of the panel and of the weekly map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from swt_time.data.origins import never_negative
from swt_time.errors import CheckpointError
from swt_time.panel import FittedPanel, WeeklyMap

PREFIX = "blend."
"""Prefix of its arrays among the weights of a checkpoint."""

WEEKLY = "weekly."
"""Prefix of the arrays of the weekly map among those."""

SMALLEST = 1e-9
"""A remaining weight below it is a rounding error."""


@dataclass(frozen=True)
class Blend:
    """The panel, and the weights of the network and of the weekly map beside it.

    Attributes
    ----------
    weight : float
        Weight of the network, from 0 to 1.
    panel : FittedPanel
    weekly : WeeklyMap or None
        None if it has no weight.
    share : float
        Weight of the weekly map; the panel has what both leave.
    """

    weight: float
    panel: FittedPanel
    weekly: WeeklyMap | None = None
    share: float = 0.0

    def combine(self, network: np.ndarray | None, histories: Sequence[np.ndarray]) -> np.ndarray:
        """Forecasts (M, H) of series with these values, NaN where nothing was observed.

        Parameters
        ----------
        network : (M, H) array or None
            Forecasts of the network, in the units of the series, NaN where it has none; None if its weight is 0. What
            has no forecast of a series leaves its weight to the others, and to the panel if they have none.
        histories : sequence of M arrays

        Returns
        -------
        (M, H) float64 array
            Not negative for series without negative values.
        """
        parts = [] if network is None or self.weight == 0 else [(self.weight, network)]
        if self.weekly is not None:
            parts.append((self.share, self.weekly.forecast(histories)))
        combined, total = np.zeros((len(histories), self.panel.horizon)), np.zeros((len(histories), 1))
        for weight, forecasts in parts:
            known = ~np.isnan(forecasts).any(axis=1)
            combined[known] += weight * forecasts[known]
            total[known] += weight
        rest = 1 - self.weight - self.share
        needed = np.flatnonzero((total[:, 0] == 0) | (rest > SMALLEST))
        if len(needed):
            weights = np.where(total[needed] == 0, 1.0, rest)
            combined[needed] += weights * self.panel.forecast([histories[i] for i in needed.tolist()])
            total[needed] += weights
        combined /= total
        return np.where(never_negative(histories)[:, None], np.maximum(combined, 0.0), combined)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Its arrays by name, for a checkpoint."""
        arrays = {"weight": np.array(self.weight), "share": np.array(self.share), **self.panel.to_arrays()}
        if self.weekly is not None:
            arrays |= {WEEKLY + name: one for name, one in self.weekly.to_arrays().items()}
        return {PREFIX + name: np.array(one, dtype=np.float64) for name, one in arrays.items()}

    @classmethod
    def from_arrays(cls, weights: Mapping[str, np.ndarray]) -> "Blend | None":
        """Restore a blend from the weights of a checkpoint; None if there is none.

        Raises
        ------
        CheckpointError
            An array is missing, or holds impossible values.
        """
        arrays = {name.removeprefix(PREFIX): one for name, one in weights.items() if name.startswith(PREFIX)}
        if not arrays:
            return None
        plain = {name: one.astype(np.float64) for name, one in arrays.items()}
        weight, share = plain.pop("weight", np.array(np.nan)), plain.pop("share", np.array(0.0))
        if weight.shape != () or not 0 <= weight <= 1:
            raise CheckpointError("the weight of the network beside the panel is missing or not from 0 to 1")
        if share.shape != () or not 0 <= share <= 1 - weight + SMALLEST:
            raise CheckpointError("the weight of the weekly map is not from 0 to what the network's weight leaves")
        panel, weekly = FittedPanel.from_arrays(plain), None
        if share > 0:
            weekly = WeeklyMap.from_arrays(
                {name.removeprefix(WEEKLY): one for name, one in plain.items() if name.startswith(WEEKLY)}
            )
            if weekly.horizon != panel.horizon:
                raise CheckpointError(
                    f"the weekly map forecasts {weekly.horizon} steps and the panel {panel.horizon}; the checkpoint is "
                    "damaged: fit it again"
                )
        return cls(float(weight), panel, weekly, float(share))
