"""Reprogramming: patches, as queries, attend to text prototypes made from the language model's vocabulary.

Source: Jin et al., "Time-LLM", ICLR 2024, section 3.1.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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
    """

    def __init__(self, word_embeddings: Tensor, n_prototypes: int):
        super().__init__()
        with torch.no_grad():
            self.prototypes = nn.Parameter(MappingPrototypes(word_embeddings, n_prototypes)())

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

    def forward(self, tokens: Tensor, prototypes: Tensor) -> Tensor:
        """Map patch tokens ``(B*N, P, D)`` and prototypes ``(S, L)`` to language-model tokens ``(B*N, P, L)``.

        Keys and values are the same for every window, so all windows' patches form one long query.
        """
        queries = self._heads(self.query_projection(tokens).flatten(0, 1))
        keys = self._heads(self.key_projection(prototypes))
        values = self._heads(self.value_projection(prototypes))
        dropout = self.attention_dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(queries, keys, values, dropout_p=dropout)
        return self.out_projection(mixed.transpose(1, 2).reshape(*tokens.shape[:2], -1))

    def _heads(self, x: Tensor) -> Tensor:
        """``(rows, heads * width)`` to ``(1, heads, rows, width)``."""
        return x.unflatten(-1, (self.n_heads, -1)).transpose(0, 1).unsqueeze(0)
