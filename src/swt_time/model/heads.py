"""Linear maps from the patch features of a series to its horizon."""

from torch import Tensor, nn


class _Flatten(nn.Module):
    """Linear map from flattened patch features to the horizon; what head and skip share."""

    def __init__(self, features: int, n_patches: int, horizon: int, dropout: float = 0.0):
        super().__init__()
        self.features = features
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features * n_patches, horizon)

    def project(self, hidden: Tensor) -> Tensor:
        """Map ``(B*N, P, width)`` to ``(B*N, H)``; features are flattened feature-major, then patch."""
        flat = hidden[..., : self.features].transpose(1, 2).flatten(1)
        return self.linear(self.dropout(flat))


class FlattenHead(_Flatten):
    """The forecasting head: patch outputs of the branch to the horizon.

    Parameters
    ----------
    features : int
        Leading hidden dimensions of each patch that are read; the rest is ignored, as in Time-LLM.
    n_patches : int
    horizon : int
    dropout : float
        On the flattened features. (Time-LLM applies it to the forecast itself, which in training sets a
        share of the forecast to zero; the trained weights mean the same.)
    """

    def forward(self, hidden: Tensor) -> Tensor:
        """Map ``(B*N, P, width)`` to ``(B*N, H)``."""
        return self.project(hidden)


class LinearSkip(_Flatten):
    """A trained linear forecast beside the branch, straight from the patch tokens. Parameters as of `FlattenHead`."""

    def forward(self, z: Tensor, tokens: Tensor) -> Tensor:
        """Map tokens ``(B*N, P, D)`` to ``(B*N, H)``; the window ``z`` is not read."""
        return self.project(tokens)
