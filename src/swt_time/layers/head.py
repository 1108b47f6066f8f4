"""The forecasting head: all patch outputs of a series, flattened, to the horizon."""

from torch import Tensor, nn


class FlattenHead(nn.Module):
    """Linear map from flattened patch features to the horizon.

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

    def __init__(self, features: int, n_patches: int, horizon: int, dropout: float = 0.0):
        super().__init__()
        self.features = features
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features * n_patches, horizon)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map ``(B*N, P, width)`` to ``(B*N, H)``; features are flattened feature-major, then patch."""
        flat = hidden[..., : self.features].transpose(1, 2).flatten(1)
        return self.linear(self.dropout(flat))
