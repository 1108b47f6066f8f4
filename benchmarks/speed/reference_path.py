"""Reference implementation of the computation of Time-LLM, written from its formulas.

The whole prompt passes through the model inside the graph, nothing is cached between steps, every attention matrix is
materialised, and on a CPU everything is in float32. It uses the weights of an swt-time model, so both must give equal
forecasts. Unlike the original, it masks padding and gives it no positions.
"""

import math

import torch
from torch import Tensor
from transformers.activations import ACT2FN

from swt_time.language.backbone import LanguageModel
from swt_time.model import SWTTime
from swt_time.model.branch import Reprogrammed
from swt_time.model.normalize import denormalize, normalize


def reference_forecast(model: SWTTime, language_model: LanguageModel, context: Tensor) -> Tensor:
    """Forecast from ``(B, T, N)`` to ``(B, H, N)`` with the trained weights of ``model``.

    Parameters
    ----------
    model : SWTTime
        A model with a prompt and without a skip.
    language_model : LanguageModel
        The same frozen model, prepared by `as_published`.
    context : Tensor, (B, T, N)
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
    """Multi-head cross-attention, ``(M, P, D)`` to ``(M, P, L)``, with a materialised ``(M, heads, P, S)`` matrix."""
    layer = branch.reprogram
    queries = layer.query_projection(tokens).unflatten(-1, (layer.n_heads, -1))
    keys = layer.key_projection(prototypes).unflatten(-1, (layer.n_heads, -1))
    values = layer.value_projection(prototypes).unflatten(-1, (layer.n_heads, -1))
    scores = torch.einsum("mphe,she->mhps", queries, keys) / math.sqrt(queries.shape[-1])
    mixed = torch.einsum("mhps,she->mphe", torch.softmax(scores, dim=-1), values)
    return layer.out_projection(mixed.flatten(2))


def as_published(language_model: LanguageModel) -> LanguageModel:
    """Set a frozen model to the computation that transformers performs by default; in place.

    Attention matrices are materialised, and the tanh form of GELU, which loading puts into one kernel, is computed
    operation by operation.
    """
    model = language_model.model
    model.set_attn_implementation("eager")
    in_one_kernel = type(ACT2FN["gelu_pytorch_tanh"])
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, in_one_kernel):
                setattr(parent, name, ACT2FN["gelu_new"])
    return language_model
