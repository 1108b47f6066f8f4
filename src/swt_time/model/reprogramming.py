"""Reprogramming: patches, as queries, attend to text prototypes made from the language model's vocabulary.

Source: Jin et al., "Time-LLM", ICLR 2024, section 3.1.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

QUERIES_AT_ONCE = 512
"""Patches whose attention weights, ``(heads, QUERIES_AT_ONCE, S)``, are in memory at once when they are dropped out:
that takes PyTorch's plain attention, which writes the weights down."""


class MappingPrototypes(nn.Module):
    """Prototypes as a trained mixture of all word embeddings: ``W E + b``, Time-LLM's form.

    Parameters
    ----------
    word_embeddings : Tensor, (V, L)
        Frozen vocabulary of the language model; kept as a buffer that is not saved.
    n_prototypes : int
        ``S``. The trained weight has ``V * S`` values.
    """

    word_embeddings: Tensor

    def __init__(self, word_embeddings: Tensor, n_prototypes: int):
        super().__init__()
        self.register_buffer("word_embeddings", word_embeddings.detach(), persistent=False)
        self.mapping = nn.Linear(word_embeddings.shape[0], n_prototypes)

    def forward(self) -> Tensor:
        """Return the prototypes, ``(S, L)``."""
        return torch.addmm(self.mapping.bias.unsqueeze(1), self.mapping.weight, self.word_embeddings)


class FreePrototypes(nn.Module):
    """Prototypes as free parameters, started where `MappingPrototypes` starts: ``W0 E + b``.

    ``E`` has full column rank, so the same prototypes can be reached with ``V / L`` times fewer weights.

    Parameters
    ----------
    word_embeddings : Tensor, (V, L)
    n_prototypes : int
        ``S``.
    start : bool
        False leaves them at zero, for weights that are read right after: the start costs ``2 V S L`` operations.
    """

    def __init__(self, word_embeddings: Tensor, n_prototypes: int, *, start: bool = True):
        super().__init__()
        with torch.no_grad():
            made = MappingPrototypes(word_embeddings, n_prototypes)() if start else None
        self.prototypes = nn.Parameter(torch.zeros(n_prototypes, word_embeddings.shape[1]) if made is None else made)

    def forward(self) -> Tensor:
        """Return the prototypes, ``(S, L)``."""
        return self.prototypes


class Reprogramming(nn.Module):
    """Multi-head cross-attention from patch tokens to text prototypes.

    Parameters
    ----------
    d_model : int
        Width of a patch token, ``D``.
    d_llm : int
        Width of the language model, ``L``.
    n_heads : int
    d_keys : int
        Width of each head's keys and values (Time-LLM takes ``d_ff``).
    attention_dropout : float
        Dropout on the attention weights, in training only.
    """

    def __init__(self, d_model: int, d_llm: int, n_heads: int, d_keys: int, attention_dropout: float = 0.0):
        super().__init__()
        self.n_heads = n_heads
        self.attention_dropout = attention_dropout
        self.query_projection = nn.Linear(d_model, n_heads * d_keys)
        self.key_projection = nn.Linear(d_llm, n_heads * d_keys)
        self.value_projection = nn.Linear(d_llm, n_heads * d_keys)
        self.out_projection = nn.Linear(n_heads * d_keys, d_llm)

    def keys_values(self, prototypes: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values ``(1, heads, S, d_keys)`` of prototypes ``(S, L)``: the same for every window."""
        return self._heads(self.key_projection(prototypes)), self._heads(self.value_projection(prototypes))

    def forward(self, tokens: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Map patch tokens ``(M, P, D)`` to language-model tokens ``(M, P, L)``.

        All windows' patches form one long query, so no tensor of ``M * heads * P * S`` weights is ever made.
        """
        queries = self._heads(self.query_projection(tokens).flatten(0, 1))
        if self.training and self.attention_dropout > 0:
            mixed = torch.cat([self._dropped(q, keys, values) for q in queries.split(QUERIES_AT_ONCE, dim=2)], dim=2)
        else:
            mixed = F.scaled_dot_product_attention(queries, keys, values)
        return self.out_projection(mixed.transpose(1, 2).reshape(*tokens.shape[:2], -1))

    def _dropped(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attention with dropout; its weights are computed again in the backward pass rather than kept."""
        attend = F.scaled_dot_product_attention
        return checkpoint(attend, queries, keys, values, dropout_p=self.attention_dropout, use_reentrant=False)

    def _heads(self, x: Tensor) -> Tensor:
        """``(rows, heads * width)`` to ``(1, heads, rows, width)``."""
        return x.unflatten(-1, (self.n_heads, -1)).transpose(0, 1).unsqueeze(0)
