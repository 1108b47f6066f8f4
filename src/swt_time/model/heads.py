"""Linear maps from the patch features of a series to its horizon."""

from torch import Tensor, nn


class _Flatten(nn.Module):
    """Linear map from flattened patch features to the horizon; base of `FlattenHead` and `LinearSkip`."""

    def __init__(self, features: int, n_patches: int, horizon: int, dropout: float = 0.0):
        super().__init__()
        self.features = features
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features * n_patches, horizon)

    def flatten(self, hidden: Tensor) -> Tensor:
        """Flatten ``(B*N, P, width)``, with dropout; the flattened index is ``feature * P + patch``."""
        flat: Tensor = self.dropout(hidden[..., : self.features].transpose(1, 2).flatten(1))
        return flat

    def project(self, hidden: Tensor) -> Tensor:
        """Map ``(B*N, P, width)`` to ``(B*N, H)``."""
        forecast: Tensor = self.linear(self.flatten(hidden))
        return forecast


class FlattenHead(_Flatten):
    """Forecasting head: a linear map from the branch's output for all patches to the horizon.

    Parameters
    ----------
    features : int
        Number of leading hidden dimensions of each patch that are read; the rest is ignored, as in Time-LLM.
    n_patches : int
    horizon : int
    dropout : float
        Dropout on the flattened features. (Time-LLM applies dropout to the forecast itself, which in training sets
        a share of the forecast to zero; the meaning of the trained weights is the same.)
    """

    def forward(self, hidden: Tensor) -> Tensor:
        """Map ``(B*N, P, width)`` to ``(B*N, H)``."""
        return self.project(hidden)


class LinearSkip(_Flatten):
    """A trained linear forecast from the patch tokens, added to that of the branch.

    Parameters are those of `FlattenHead`.
    """

    def forward(self, z: Tensor, tokens: Tensor) -> Tensor:
        """Map tokens ``(B*N, P, D)`` to ``(B*N, H)``; the window ``z`` is ignored."""
        return self.project(tokens)
