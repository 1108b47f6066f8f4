"""What a run keeps track of between validations: the mean training loss and the best weights."""

from collections.abc import Mapping

import torch
from torch import Tensor


class RunningMean:
    """Weighted mean of the values that were added since it was last taken.

    Attributes
    ----------
    total, count
        Weighted sum of the values, and sum of their weights.
    """

    def __init__(self, total: float = 0.0, count: int = 0):
        self.total, self.count = total, count

    def add(self, value: float, weight: int = 1) -> None:
        """Add a value."""
        self.total += value * weight
        self.count += weight

    def take(self) -> float:
        """Return the mean, 0 if there is no value, and start again from no value."""
        mean = self.total / max(self.count, 1)
        self.total, self.count = 0.0, 0
        return mean


class BestWeights:
    """The weights with the lowest validation loss so far.

    Attributes
    ----------
    loss : float or None
        The lowest validation loss; None before the first validation and without a validation part.
    weights : dict of str to Tensor
        Copies of the weights by name; empty before the first validation.
    bad_rounds : int
        Validations since the last improvement.
    """

    def __init__(
        self, loss: float | None = None, weights: Mapping[str, Tensor] | None = None, bad_rounds: int = 0
    ) -> None:
        self.loss = loss
        self.weights = dict(weights or {})
        self.bad_rounds = bad_rounds

    def update(self, loss: float | None, weights: Mapping[str, Tensor]) -> bool:
        """Copy the weights if their loss is lower than all before.

        Parameters
        ----------
        loss : float or None
            Validation loss; None without a validation part, where the latest weights are always the best ones.
        weights : mapping of str to Tensor

        Returns
        -------
        bool
            Whether the weights were copied.
        """
        improved = loss is None or self.loss is None or loss < self.loss
        self.bad_rounds = 0 if improved else self.bad_rounds + 1
        if improved:
            self.loss = loss
            self.weights = {name: weight.clone() for name, weight in weights.items()}
        return improved

    @torch.no_grad()
    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Write the best weights into tensors of the same names; without a validation nothing is written."""
        for name, weight in weights.items():
            if name in self.weights:
                weight.copy_(self.weights[name])
