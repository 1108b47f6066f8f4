"""Stand-ins for the language model in ablations."""

import torch
from torch import Tensor, nn

from swt_time.model.branch import Branch


class AttentionStandIn(Branch):
    """One self-attention layer over the patches, with a residual connection and layer normalisation.

    Parameters
    ----------
    d_model, n_heads : int
    dropout : float
        Dropout on the attention weights.
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float):
        super().__init__()
        self.attention = nn.MultiheadAttention(d_model, n_heads, dropout, batch_first=True)
        self.norm = nn.LayerNorm(d_model)

    def forward(self, tokens: Tensor, prompt: object = None, visible: Tensor | None = None) -> Tensor:
        """Map ``(M, P, D)`` to ``(M, P, D)``; the prompt is ignored."""
        hidden = None if visible is None else ~visible
        mixed, _ = self.attention(tokens, tokens, tokens, key_padding_mask=hidden, need_weights=False)
        normed: Tensor = self.norm(tokens + mixed)
        return normed


class TransformerStandIn(Branch):
    """A small trained transformer encoder over the patches, similar to PatchTST.

    Parameters
    ----------
    d_model, n_patches, n_heads, d_ff, layers : int
    dropout : float
    """

    def __init__(self, d_model: int, n_patches: int, *, n_heads: int, d_ff: int, layers: int, dropout: float):
        super().__init__()
        self.positions = nn.Parameter(torch.empty(n_patches, d_model))
        nn.init.trunc_normal_(self.positions, std=0.02)
        layer = nn.TransformerEncoderLayer(d_model, n_heads, d_ff, dropout, "gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, tokens: Tensor, prompt: object = None, visible: Tensor | None = None) -> Tensor:
        """Map ``(M, P, D)`` to ``(M, P, D)``; the prompt is ignored."""
        hidden: Tensor = self.encoder(
            tokens + self.positions, src_key_padding_mask=None if visible is None else ~visible
        )
        return hidden
