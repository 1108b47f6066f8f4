"""The linear forecast as a layer of the model."""

import torch
from torch import Tensor, nn


class RidgeSkip(nn.Module):
    """Linear map from the normalised window to the horizon, solved in closed form and not trained by gradients.

    Parameters
    ----------
    context, horizon : int
        ``T`` and ``H``.

    Attributes
    ----------
    weight : Tensor, (H, T)
        A buffer, zero until the result of `solve` is copied into it.
    """

    weight: Tensor

    def __init__(self, context: int, horizon: int):
        super().__init__()
        self.register_buffer("weight", torch.zeros(horizon, context))

    def forward(self, z: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Map windows ``(B, N, T)`` to ``(B*N, H)``; the patch tokens are ignored."""
        return z.flatten(0, 1) @ self.weight.T
