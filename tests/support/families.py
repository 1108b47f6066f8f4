"""A tiny model of every supported family, and of the variants of a family that are read differently."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from swt_time.language.families import FAMILIES, Family

HIDDEN, WORDS, POSITIONS = 16, 288, 512
BASE = {
    "vocab_size": WORDS,
    "hidden_size": HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": POSITIONS,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
GROUPED = {**BASE, "num_attention_heads": 4, "num_key_value_heads": 2}
WINDOW = 4
"""A sliding window shorter than every prompt of the tests."""


@dataclass(frozen=True)
class Member:
    """A configuration of a family: ``model_type`` and the values of ``config.json``."""

    family: str
    values: dict[str, Any] = field(default_factory=dict)
    width_in: int = HIDDEN
    width_out: int = HIDDEN
    causal: bool = True

    @property
    def entry(self) -> Family:
        return FAMILIES[self.family]


GPT2 = {"vocab_size": WORDS, "n_embd": HIDDEN, "n_layer": 2, "n_head": 2, "n_positions": POSITIONS}
FALCON = {key: value for key, value in BASE.items() if key != "intermediate_size"} | {"num_attention_heads": 4}
GEMMA = {**GROUPED, "head_dim": 8, "query_pre_attn_scalar": 4, "sliding_window": WINDOW}
DISTILBERT = {"vocab_size": WORDS, "dim": HIDDEN, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
OPT = {**FALCON, "ffn_dim": 32}
PHI3 = {**GROUPED, "num_attention_heads": 2, "num_key_value_heads": 1, "hidden_size": HIDDEN}
ROPE = {"rope_type": "default", "rope_theta": 500.0}
LONG = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0, 1.1, 1.3, 2.0], "long_factor": [2.0] * 4}

MEMBERS = {
    "bert": Member("bert", BASE, causal=False),
    "gpt2": Member("gpt2", GPT2),
    "llama": Member("llama", {**GROUPED, "head_dim": 8, "rope_parameters": ROPE}),
    "qwen2": Member("qwen2", {**GROUPED, "use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1}),
    "qwen3": Member("qwen3", {**GROUPED, "head_dim": 8, "rope_theta": 500.0}),
    "mistral": Member("mistral", {**GROUPED, "sliding_window": WINDOW}),
    "gemma2": Member("gemma2", {**GEMMA, "attn_logit_softcapping": 0.5}),
    "gemma3_text": Member("gemma3_text", {**GEMMA, "sliding_window_pattern": 2, "rope_local_base_freq": 50.0}),
    "gemma3_text, both ways": Member(
        "gemma3_text",
        {**GEMMA, "sliding_window": 2 * WINDOW, "layer_types": None, "use_bidirectional_attention": True},
        causal=False,
    ),
    "smollm3": Member("smollm3", {**GROUPED, "no_rope_layer_interval": 2}),
    "smollm3, sliding": Member(
        "smollm3", {**GROUPED, "no_rope_layers": [0, 1], "use_sliding_window": True, "sliding_window": WINDOW}
    ),
    "phi3": Member("phi3", {**PHI3, "sliding_window": WINDOW, "partial_rotary_factor": 0.5}),
    "phi3, long": Member("phi3", {**PHI3, "original_max_position_embeddings": 400, "rope_parameters": LONG}),
    "opt": Member("opt", OPT),
    "opt, projected": Member("opt", {**OPT, "word_embed_proj_dim": 8, "do_layer_norm_before": False}, 8, 8),
    "gpt_neox": Member("gpt_neox", {**BASE, "rotary_pct": 0.5, "rotary_emb_base": 500}),
    "gpt_neox, in turn": Member("gpt_neox", {**BASE, "use_parallel_residual": False}),
    "falcon": Member("falcon", {**FALCON, "rope_theta": 500.0}),
    "falcon, grouped": Member("falcon", {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon, alibi": Member(
        "falcon", {**FALCON, "alibi": True, "multi_query": False, "parallel_attn": False, "bias": True}
    ),
    "roberta": Member("roberta", BASE, causal=False),
    "xlm-roberta": Member("xlm-roberta", {**BASE, "type_vocab_size": 1}, causal=False),
    "distilbert": Member("distilbert", {**DISTILBERT, "max_position_embeddings": POSITIONS}, causal=False),
    "modernbert": Member(
        "modernbert",
        {
            **BASE,
            "local_attention": WINDOW,
            "global_attn_every_n_layers": 2,
            "local_rope_theta": 50.0,
            "cls_token_id": 0,
            "sep_token_id": 2,
        },
        causal=False,
    ),
    "electra": Member("electra", {**BASE, "embedding_size": 8}, width_in=8, causal=False),
    "mpnet": Member("mpnet", BASE, causal=False),
}
"""Every family, with the variants that its members on the hub have."""


def save_member(folder: Path, member: Member) -> Path:
    """Save a tiny model with random weights and a tokenizer of its kind in ``folder``; return the folder."""
    import transformers

    model_class = getattr(transformers, member.entry.model_class)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = model_class(model_class.config_class(**member.values))
        for parameter in model.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)  # norms and biases too, so that each affects the result
    model.save_pretrained(folder)
    # As it is on the hub, with former names of keys; transformers saves the present ones.
    values = {"model_type": member.family, "dtype": "float32", **member.values}
    (folder / "config.json").write_text(json.dumps(values))
    save_tokenizer(folder, TOKENIZERS.get(member.family, "word pieces"))
    return folder


BYTES = ("gpt2", "llama", "qwen2", "qwen3", "mistral", "smollm3", "opt", "gpt_neox", "falcon", "roberta", "modernbert")
TOKENIZERS = dict.fromkeys(BYTES, "bytes") | dict.fromkeys(("gemma2", "gemma3_text", "phi3", "xlm-roberta"), "unigrams")
"""Kinds of tokenizers by family: byte-level BPE, SentencePiece's unigrams, and by default WordPiece."""


def save_tokenizer(folder: Path, kind: str) -> None:
    """Save a tokenizer whose pieces are single characters or bytes and a few words; it has no token for padding."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    characters = [chr(c) for c in range(33, 127)]
    if kind == "bytes":
        pieces = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet()), "th", "the"]
        vocabulary = {piece: i for i, piece in enumerate(pieces)}
        tokenizer = Tokenizer(models.BPE(vocabulary, [("t", "h"), ("th", "e")]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    elif kind == "unigrams":
        pieces = [*special, "\u2581", "\u2581the", *characters]
        tokenizer = Tokenizer(models.Unigram([(piece, -float(i)) for i, piece in enumerate(pieces)], unk_id=3))
        tokenizer.normalizer = normalizers.Replace(" {2,}", " ")
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
    else:
        pieces = [*special, "the", *characters, *(f"##{c}" for c in characters)]
        tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    assert fast.pad_token is None
    fast.save_pretrained(folder)


class Reference:
    """Hugging Face's own model in a folder, with its eager attention, one unpadded sequence at a time."""

    def __init__(self, folder: Path, member: Member, *, layers: int | None = None):
        import transformers

        model_class = getattr(transformers, member.entry.model_class)
        # The eager attention of transformers 5.23 adds the bias of ALiBi twice.
        kind = "sdpa" if member.values.get("alibi") else "eager"
        self.model = model_class.from_pretrained(folder, attn_implementation=kind, dtype=torch.float32).eval()
        self.causal = member.causal
        if layers is not None:
            [stack] = [m for m in self.model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == 2]
            del stack[layers:]
            self.model.config.num_hidden_layers = layers

    def __call__(
        self, ids: Tensor, patches: Tensor, visible: Tensor | None = None, parts: tuple[int, ...] = ()
    ) -> Tensor:
        """Return the last hidden states of patches ``(P, L)`` after a prompt; ``parts`` are the lengths of the parts of
        an encoder's sequence that see only themselves and those before them."""
        words = self.model.get_input_embeddings()(ids)
        inputs = torch.cat([words, patches])[None]
        mask: Any = torch.ones(1, inputs.shape[1], dtype=torch.long)
        options = {}
        if visible is not None:
            mask[:, len(ids) :] = visible
            if self.model.config.model_type == "opt":  # hidden patches keep their places
                options["position_ids"] = torch.arange(inputs.shape[1])[None]
        if parts and not self.causal:
            mask = self._masks(parts)
        return self.model(inputs_embeds=inputs, attention_mask=mask, **options).last_hidden_state[0, len(ids) :]

    def _masks(self, parts: tuple[int, ...]) -> Any:
        level = torch.arange(len(parts)).repeat_interleave(torch.tensor(parts))
        seen = level[None, :] <= level[:, None]
        places = torch.arange(len(level))
        config = self.model.config
        window = getattr(config, "sliding_window", None)
        if window is None:
            return torch.where(seen, 0.0, torch.finfo(torch.float32).min)[None, None]
        distance = (places[:, None] - places[None, :]).abs()
        near = seen & (distance <= window if config.model_type == "modernbert" else distance < window)
        return {
            name: torch.where(kept, 0.0, torch.finfo(torch.float32).min)[None, None]
            for name, kept in (("full_attention", seen), ("sliding_attention", near))
        }
