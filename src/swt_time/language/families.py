"""Differences between the supported families of language models, one entry each.

What a family needs beyond its entry comes from transformers: its configuration says which keys of ``config.json`` it
knows, its word embeddings what the model sees, and each of its layers which sliding window and scaling it uses.
"""

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from swt_time.errors import BackboneError

Reading = Literal["attention", "cache", "whole"]
"""How a model reads a prompt once: its layers call an attention function that adds the keys of earlier tokens, or a
cache that returns them, or neither, so that it reads the whole sequence each time."""


@dataclass(frozen=True)
class Family:
    """One family of Hugging Face base models.

    Attributes
    ----------
    model_class : str
        Name of its class in transformers.
    causal : bool
        Whether a token attends only to itself and the tokens before it.
    embeddings, output : str
        Names of its word embeddings, and of the output layer of its language modelling head, which may be tied to them.
    reading : {"attention", "cache", "whole"}
        See `Reading`.
    positions_after_padding : bool
        Whether positions begin after the id of the padding token, as in RoBERTa, instead of at 0.
    encoder_if : str
        Key of ``config.json`` that makes a causal family an encoder.
    other_keys : tuple of str
        Keys of ``config.json`` that its configuration class takes but does not declare: former names, mostly.
    build_options : mapping
        Extra keyword arguments for its constructor.
    """

    model_class: str
    causal: bool = True
    embeddings: str = "embed_tokens.weight"
    output: str = "lm_head.weight"
    reading: Reading = "attention"
    positions_after_padding: bool = False
    encoder_if: str = ""
    other_keys: tuple[str, ...] = ()
    build_options: Mapping[str, Any] = field(default_factory=dict)

    def is_causal(self, config: Any) -> bool:
        """Return whether a model with this transformers configuration is causal."""
        return self.causal and not getattr(config, self.encoder_if or "encoder_if", False)

    def first_position(self, model: Any) -> int:
        """Return the position of the first token of a sequence.

        Raises
        ------
        BackboneError
            If positions begin after the id of the padding token, and the model has none.
        """
        if not self.positions_after_padding:
            return 0
        padding = model.embeddings.padding_idx
        if padding is None:
            raise BackboneError(
                f"a {model.config.model_type} model counts positions from the id of its padding token, and its "
                "config.json has none; set pad_token_id to that of the model's tokenizer"
            )
        return 1 + int(padding)

    def reads_prompts_first(self, *, causal: bool, prompt_attention: str) -> bool:
        """Return whether prompts are read once, before the patches, which is exact if they do not attend to them."""
        return self.reading != "whole" and (causal or prompt_attention == "prefix")


def _encoder(model_class: str, output: str, **options: Any) -> Family:
    """Return an encoder with BERT's names."""
    return Family(model_class, causal=False, embeddings="embeddings.word_embeddings.weight", output=output, **options)


NO_POOLER: Mapping[str, Any] = {"add_pooling_layer": False}

FAMILIES = {
    "bert": _encoder("BertModel", "cls.predictions.decoder.weight", build_options=NO_POOLER),
    "gpt2": Family("GPT2Model", embeddings="wte.weight"),
    "llama": Family("LlamaModel"),
    "qwen2": Family("Qwen2Model", other_keys=("head_dim",)),
    "qwen3": Family("Qwen3Model"),
    "mistral": Family("MistralModel"),
    "gemma2": Family("Gemma2Model"),
    "gemma3_text": Family(
        "Gemma3TextModel",
        encoder_if="use_bidirectional_attention",  # EmbeddingGemma
        other_keys=("sliding_window_pattern", "rope_local_base_freq"),
    ),
    "smollm3": Family("SmolLM3Model", other_keys=("head_dim",)),
    "phi3": Family("Phi3Model", other_keys=("head_dim",)),
    "opt": Family("OPTModel", embeddings="decoder.embed_tokens.weight"),
    "gpt_neox": Family(
        "GPTNeoXModel",
        embeddings="embed_in.weight",
        output="embed_out.weight",
        other_keys=("rotary_pct", "rotary_emb_base"),
    ),
    "falcon": Family("FalconModel", embeddings="word_embeddings.weight", reading="cache", other_keys=("n_embed",)),
    "roberta": _encoder(
        "RobertaModel", "lm_head.decoder.weight", positions_after_padding=True, build_options=NO_POOLER
    ),
    "xlm-roberta": _encoder(
        "XLMRobertaModel", "lm_head.decoder.weight", positions_after_padding=True, build_options=NO_POOLER
    ),
    "distilbert": _encoder("DistilBertModel", "vocab_projector.weight"),
    "modernbert": Family(
        "ModernBertModel",
        causal=False,
        embeddings="embeddings.tok_embeddings.weight",
        output="decoder.weight",
        other_keys=("global_attn_every_n_layers", "global_rope_theta", "local_rope_theta"),
    ),
    "electra": _encoder("ElectraModel", "generator_lm_head.weight"),
    # The bias of its attention depends on the length of what is read at once.
    "mpnet": _encoder(
        "MPNetModel",
        "lm_head.decoder.weight",
        reading="whole",
        positions_after_padding=True,
        build_options=NO_POOLER,
    ),
}
"""Supported families by ``model_type``, the name in a backbone's ``config.json``."""

DTYPE_KEYS, ROTARY_KEYS = ("dtype", "torch_dtype"), ("rope_theta", "rope_scaling", "partial_rotary_factor")
"""Keys of ``config.json`` that configuration classes take but do not declare: those of all families, and former names
of ``rope_parameters``."""

UNUSED_KEYS = re.compile(
    r"\w*drop\w*|\w+_pdrop|use_cache|is_decoder|add_cross_attention|summary_\w+|classifier_\w+|sparse_\w+|decoder_bias"
    r"|deterministic_flash_attn|sinusoidal_pos_embds|pretraining_tp|final_logit_softcapping|pad_to_multiple_of"
)
"""Keys that configuration classes declare and that are not used: dropout, heads, and uses other than a base model."""

LAYER_COUNTS = frozenset({"num_hidden_layers", "n_layer", "n_layers"})
"""Keys of a backbone's ``config.json`` that give the number of layers."""

LAYER_NAME = re.compile(r"(?:.*\.)?(?:layers?|h)\.(\d+)\.")
"""Start of a weight's name, up to the index of its layer."""


def architecture_keys(family: str) -> frozenset[str]:
    """Return the keys of ``config.json`` that are used for a family: those that describe its architecture.

    They are what the family's configuration class declares itself. What all classes inherit, such as the attention
    implementation, the names of files and remote code, is not among them.
    """
    import transformers

    config_class = getattr(transformers, FAMILIES[family].model_class).config_class
    inherited = inspect.signature(transformers.PreTrainedConfig).parameters.keys()
    declared = {*inspect.signature(config_class).parameters, *config_class.attribute_map} - inherited
    used = {key for key in declared if not UNUSED_KEYS.fullmatch(key)}
    rotary = ROTARY_KEYS if "rope_parameters" in declared else ()
    return frozenset(used).union(DTYPE_KEYS, rotary, FAMILIES[family].other_keys)


def describe_reading(name: str, prompt_attention: str) -> str:
    """Say in one line how a model of a family reads prompts, from what a checkpoint records."""
    family = FAMILIES[name]
    if family.reading == "whole":
        how = "with the patches of each window: this family reads whole sequences only"
    elif prompt_attention == "prefix" or (family.causal and not family.encoder_if):
        how = "once, before the patches"
    else:
        how = "with the patches of each window" + (" unless the model is causal" if family.causal else "")
        how += ", which they attend to (backbone.prompt_attention full)"
    return f"prompts ({name}): read {how}"


def hidden_size(values: Mapping[str, Any]) -> int:
    """Return the hidden size ``L`` from the values of a backbone's ``config.json``."""
    return int(values.get("hidden_size") or values.get("n_embd") or values["dim"])


def longest_sequence(config: Any, first_position: int) -> int:
    """Return the maximum number of tokens that a model reads, from its transformers configuration.

    Rotary frequencies of the kind ``longrope`` depend on the longest sequence of a batch beyond the length of their
    first training, so that a window would depend on the others there: such models are read up to that length.
    """
    longest = int(config.max_position_embeddings) - first_position
    rope = getattr(config, "rope_parameters", None) or {}
    for values in (rope, *rope.values()):
        if isinstance(values, Mapping) and values.get("rope_type") == "longrope":
            longest = min(longest, int(values["original_max_position_embeddings"]))
    return longest


def count_layers(weight_names: Iterable[str]) -> int:
    """Return the number of transformer layers that the names of weights belong to; 0 if none belongs to a layer.

    Examples
    --------
    >>> count_layers(["wte.weight", "h.0.ln_1.weight", "h.1.ln_1.weight"])
    2
    """
    matches = (LAYER_NAME.match(name) for name in weight_names)
    return max((int(match[1]) + 1 for match in matches if match), default=0)
