"""What Time-LLM does at every step, written plainly from its formulas: what the fast path is measured against.

The whole prompt goes through the model inside the graph, nothing is kept between steps, every attention matrix is
in memory, on a processor all in float32. It borrows a model's weights, so its forecasts are those of the fast path.
Masks and positions make padding harmless, which the original forgot.
"""

import math

import torch
from torch import Tensor, nn

from swt_time.language.backbone import LanguageModel
from swt_time.model import SWTTime
from swt_time.model.branch import Reprogrammed
from swt_time.model.normalize import denormalize, normalize


def reference_forecast(model: SWTTime, language_model: LanguageModel, context: Tensor) -> Tensor:
    """Forecast ``(B, T, N)`` to ``(B, H, N)`` with the trained weights of ``model``.

    Parameters
    ----------
    model : SWTTime
        Without a skip.
    language_model : LanguageModel
        The same frozen model, prepared by `as_published`.
    context : Tensor
    """
    branch = model.branch
    assert isinstance(branch, Reprogrammed)
    assert branch.prompter is not None
    assert model.skip is None
    z, scale = normalize(context)
    ids = [torch.tensor(row, device=z.device) for row in branch.prompter(z.flatten(0, 1))]
    lengths = torch.tensor([len(row) for row in ids], device=z.device)
    padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)

    tokens = reprogram(branch, model.embed(z), branch.prototypes())
    words = language_model.model.get_input_embeddings()(padded)
    slots = torch.arange(padded.shape[1], device=z.device).expand(len(ids), -1)
    patches = torch.arange(tokens.shape[1], device=z.device) + lengths[:, None]
    output = language_model.model(
        inputs_embeds=torch.cat([words, tokens.to(words.dtype)], dim=1),
        attention_mask=torch.cat([slots < lengths[:, None], torch.ones_like(patches, dtype=torch.bool)], dim=1),
        position_ids=torch.cat([slots, patches], dim=1),
    )
    forecast = model.head(output.last_hidden_state[:, -tokens.shape[1] :].to(tokens.dtype))
    return denormalize(forecast.unflatten(0, z.shape[:2]), scale)


def reprogram(branch: Reprogrammed, tokens: Tensor, prototypes: Tensor) -> Tensor:
    """Multi-head cross-attention with its ``(M, heads, P, S)`` matrix written down; ``(M, P, D)`` to ``(M, P, L)``."""
    layer = branch.reprogram
    queries = layer.query_projection(tokens).unflatten(-1, (layer.n_heads, -1))
    keys = layer.key_projection(prototypes).unflatten(-1, (layer.n_heads, -1))
    values = layer.value_projection(prototypes).unflatten(-1, (layer.n_heads, -1))
    scores = torch.einsum("mphe,she->mhps", queries, keys) / math.sqrt(queries.shape[-1])
    mixed = torch.einsum("mhps,she->mphe", torch.softmax(scores, dim=-1), values)
    return layer.out_projection(mixed.flatten(2))


def as_published(language_model: LanguageModel) -> LanguageModel:
    """Let a frozen model compute as transformers does by itself, attention matrices written down; in place."""
    model = language_model.model
    model.set_attn_implementation("eager")
    if language_model.identity.family == "gpt2":
        for block in model.h:
            block.mlp.act = Gelu()
    return language_model


class Gelu(nn.Module):
    """GPT-2's activation by its formula, operation by operation."""

    def forward(self, x: Tensor) -> Tensor:
        """Of any shape."""
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))
