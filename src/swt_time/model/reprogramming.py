"""Reprogramming: cross-attention from patches (queries) to text prototypes built from the vocabulary.

Source: Jin et al., "Time-LLM", ICLR 2024, section 3.1.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

QUERIES_AT_ONCE = 512
"""Patches per attention call with dropout. PyTorch's attention with dropout materialises its weights, which then take
``(heads, QUERIES_AT_ONCE, S)`` at a time."""


class MappingPrototypes(nn.Module):
    """Prototypes as trained linear combinations of all word embeddings, ``W E + b``, as in Time-LLM.

    Parameters
    ----------
    word_embeddings : Tensor, (V, L)
        Frozen word embeddings of the language model; a buffer that is not saved.
    n_prototypes : int
        ``S``. The trained weight has ``S * V`` values.
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
    """Prototypes as free parameters, initialised as those of `MappingPrototypes`: ``W0 E + b``.

    ``E`` has full column rank, so the parameters can represent the same prototypes with ``V / L`` times fewer weights.

    Parameters
    ----------
    word_embeddings : Tensor, (V, L)
    n_prototypes : int
        ``S``.
    start : bool
        Whether to compute the initial values, which takes ``2 V S L`` operations. False leaves them at zero, for
        trained weights that are loaded next.
    """

    def __init__(self, word_embeddings: Tensor, n_prototypes: int, *, start: bool = True):
        super().__init__()
        with torch.no_grad():
            initial = (
                MappingPrototypes(word_embeddings, n_prototypes)()
                if start
                else torch.zeros(n_prototypes, word_embeddings.shape[1])
            )
        self.prototypes = nn.Parameter(initial)

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
        Width of the queries, keys and values of each head (``d_ff`` in Time-LLM).
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
        """Return keys and values ``(1, heads, S, d_keys)`` of prototypes ``(S, L)``; they do not depend on a window."""
        return self._heads(self.key_projection(prototypes)), self._heads(self.value_projection(prototypes))

    def forward(self, tokens: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Map patch tokens ``(M, P, D)`` to language-model tokens ``(M, P, L)``.

        The patches of all windows form one long query, so the ``M * heads * P * S`` attention weights are not
        materialised.
        """
        queries = self._heads(self.query_projection(tokens).flatten(0, 1))
        if self.training and self.attention_dropout > 0:
            mixed = torch.cat([self._dropped(q, keys, values) for q in queries.split(QUERIES_AT_ONCE, dim=2)], dim=2)
        else:
            mixed = F.scaled_dot_product_attention(queries, keys, values)
        reprogrammed: Tensor = self.out_projection(mixed.transpose(1, 2).reshape(*tokens.shape[:2], -1))
        return reprogrammed

    def _dropped(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attention with dropout; its weights are recomputed in the backward pass instead of stored."""
        attend = F.scaled_dot_product_attention
        mixed: Tensor = checkpoint(attend, queries, keys, values, dropout_p=self.attention_dropout, use_reentrant=False)
        return mixed

    def _heads(self, x: Tensor) -> Tensor:
        """Reshape ``(rows, heads * width)`` to ``(1, heads, rows, width)``."""
        heads: Tensor = x.unflatten(-1, (self.n_heads, -1)).transpose(0, 1).unsqueeze(0)
        return heads
