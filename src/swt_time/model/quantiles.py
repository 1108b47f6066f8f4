"""A head with quantiles of the forecast beside its median.

Shapes: ``M`` series, ``P`` patches, ``H`` horizon, ``Q`` quantiles.
"""

from statistics import NormalDist

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swt_time.config.choices import QUANTILES
from swt_time.model.heads import FlattenHead

MEDIAN = QUANTILES.index(0.5)


class QuantileHead(FlattenHead):
    """Linear maps from the branch's output to the median, and to the distances between neighbouring quantiles.

    As a `FlattenHead` it forecasts the median.

    Parameters
    ----------
    features, n_patches, horizon, dropout
        See `FlattenHead`.
    std : float
        Standard deviation of the distances before training.

    Notes
    -----
    A distance is the softplus of a linear map, and a quantile is the median plus or minus the sum of the distances to
    it. So quantiles never cross, and every distance has a gradient. Sorting Q free outputs would not cross either, but
    behind a gate of zero all outputs are equal, and their order, which decides the gradients, would be chance.

    Before training the median is zero and the distances are those of a normal distribution, at all steps of all
    windows. A gate of zero in front of the head therefore has a gradient from the start: it grows until the spread is
    that of the errors.
    """

    def __init__(self, features: int, n_patches: int, horizon: int, dropout: float = 0.0, std: float = 1.0):
        super().__init__(features, n_patches, horizon, dropout)
        self.horizon = horizon
        self.distances = nn.Linear(features * n_patches, (len(QUANTILES) - 1) * horizon)
        normal = torch.tensor([NormalDist(0.0, std).inv_cdf(p) for p in QUANTILES]).diff()
        for layer in (self.linear, self.distances):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.linear.bias)
        with torch.no_grad():
            raw = normal + (-(-normal).expm1()).log()  # the inverse of softplus
            self.distances.bias.copy_(raw.repeat_interleave(horizon))

    def quantiles(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``(M, P, width)`` to the median and to the offsets of all quantiles from it.

        The median has the shape ``(M, H)``, the ascending offsets ``(M, Q, H)``.
        """
        flat = self.flatten(hidden)
        distances = F.softplus(self.distances(flat)).unflatten(1, (-1, self.horizon))
        below = -distances[:, :MEDIAN].flip(1).cumsum(1).flip(1)
        above = distances[:, MEDIAN:].cumsum(1)
        return self.linear(flat), torch.cat([below, torch.zeros_like(above[:, :1]), above], dim=1)
