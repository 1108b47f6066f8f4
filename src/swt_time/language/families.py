"""Differences between the supported families of language models."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Family:
    """One family of Hugging Face base models.

    Attributes
    ----------
    model_class, config_class : str
        Names of its classes in transformers.
    causal : bool
        Whether a token attends only to itself and the tokens before it.
    embeddings, output : str
        Names of its word embeddings, and of the output layer of its language modelling head, which may be tied to them.
    build_options, call_options : mapping
        Extra keyword arguments for its constructor and its forward pass.
    """

    model_class: str
    config_class: str
    causal: bool
    embeddings: str
    output: str
    build_options: Mapping[str, Any] = field(default_factory=dict)
    call_options: Mapping[str, Any] = field(default_factory=dict)


FAMILIES = {
    # Only BERT has a pooler, which is not used here, and no cache to disable.
    "bert": Family(
        *("BertModel", "BertConfig"),
        causal=False,
        embeddings="embeddings.word_embeddings.weight",
        output="cls.predictions.decoder.weight",
        build_options={"add_pooling_layer": False},
    ),
    "gpt2": Family(
        *("GPT2Model", "GPT2Config"),
        causal=True,
        embeddings="wte.weight",
        output="lm_head.weight",
        call_options={"use_cache": False},
    ),
    "llama": Family(
        *("LlamaModel", "LlamaConfig"),
        causal=True,
        embeddings="embed_tokens.weight",
        output="lm_head.weight",
        call_options={"use_cache": False},
    ),
}
"""Supported families by ``model_type``, the name in a backbone's ``config.json``."""

ARCHITECTURE = frozenset(
    re.findall(
        r"\w+",
        """
        vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size hidden_act initializer_range
        max_position_embeddings pad_token_id bos_token_id eos_token_id type_vocab_size layer_norm_eps dtype torch_dtype
        n_positions n_embd n_layer n_head n_inner activation_function layer_norm_epsilon scale_attn_weights
        scale_attn_by_inverse_layer_idx reorder_and_upcast_attn num_key_value_heads rms_norm_eps rope_parameters
        rope_theta rope_scaling attention_bias mlp_bias head_dim tie_word_embeddings
        """,
    )
)
"""Keys of a backbone's ``config.json`` that are used. The others only affect training, or select code and files."""

LAYER_COUNTS = frozenset({"num_hidden_layers", "n_layer"})
"""Keys of a backbone's ``config.json`` that give the number of layers."""

LAYER_NAME = re.compile(r"(?:.*\.)?(?:layers?|h)\.(\d+)\.")
"""Start of a weight's name, up to the index of its layer."""


def hidden_size(values: Mapping[str, Any]) -> int:
    """Return the hidden size ``L`` from the values of a backbone's ``config.json``."""
    return int(values.get("hidden_size") or values["n_embd"])


def count_layers(weight_names: Iterable[str]) -> int:
    """Return the number of transformer layers that the names of weights belong to; 0 if none belongs to a layer.

    Examples
    --------
    >>> count_layers(["wte.weight", "h.0.ln_1.weight", "h.1.ln_1.weight"])
    2
    """
    matches = (LAYER_NAME.match(name) for name in weight_names)
    return max((int(match[1]) + 1 for match in matches if match), default=0)
