"""Tiny language models with random weights, saved in the format of a hub snapshot."""

from pathlib import Path
from typing import Any

import torch

from swt_time.language import LanguageModel, load_language_model

FAMILIES = ("bert", "gpt2", "llama")
WORDS = "dataset description task forecast the next steps given previous information input statistics min max value"


def save_tiny_backbone(folder: Path, family: str, *, layers: int = 2, hidden: int = 32, positions: int = 1024) -> Path:
    """Save a model with random weights and a matching tokenizer in ``folder``; return the folder."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    characters = [chr(c) for c in range(33, 127)]
    if family == "bert":
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        entries = special + WORDS.split() + characters + [f"##{c}" for c in characters]
        vocabulary = {word: i for i, word in enumerate(dict.fromkeys(entries))}
        tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        fast = transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            unk_token="[UNK]",
            cls_token="[CLS]",
            sep_token="[SEP]",
            pad_token="[PAD]",
        )
        config = transformers.BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=4,
            intermediate_size=2 * hidden,
            max_position_embeddings=positions,
        )
        model_class = transformers.BertModel
    else:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        merges = [
            ("t", "h"),
            ("i", "n"),
            ("s", "t"),
            ("e", "p"),
            ("a", "l"),
            ("u", "e"),
            ("th", "e"),
            ("0", "0"),
        ]
        bos = ["<s>", "</s>"] if family == "llama" else ["<|endoftext|>"]
        entries = bos + alphabet + ["".join(pair) for pair in merges]
        vocabulary = {word: i for i, word in enumerate(dict.fromkeys(entries))}
        tokenizer = Tokenizer(models.BPE(vocabulary, merges))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        if family == "llama":
            tokenizer.post_processor = processors.TemplateProcessing(
                single="<s> $A", special_tokens=[("<s>", vocabulary["<s>"])]
            )
        fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=bos[0], eos_token=bos[-1])
        if family == "gpt2":
            config = transformers.GPT2Config(
                vocab_size=len(vocabulary), n_embd=hidden, n_layer=layers, n_head=4, n_positions=positions
            )
            model_class = transformers.GPT2Model
        else:
            config = transformers.LlamaConfig(
                vocab_size=len(vocabulary),
                hidden_size=hidden,
                num_hidden_layers=layers,
                num_attention_heads=4,
                num_key_value_heads=2,
                intermediate_size=2 * hidden,
                max_position_embeddings=positions,
            )
            model_class = transformers.LlamaModel
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = model_class(config)
        # With the usual std of 0.02 the prompt would hardly affect a forecast, and tests could not detect that it does.
        for parameter in model.parameters():
            if parameter.dim() == 2:
                torch.nn.init.normal_(parameter, std=0.15)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def load_backbone(folder: Path, **options: Any) -> LanguageModel:
    """Load a backbone in float32; ``options`` are those of `load_language_model`."""
    return load_language_model(str(folder), **{"precision": "float32", **options})
