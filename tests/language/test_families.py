"""Numbers of layers and hidden sizes, from the names and keys of each family."""

import pytest

from support.backbones import load_backbone
from swt_time.language.families import FAMILIES, count_layers, hidden_size

NAMES = {
    "bert": [f"encoder.layer.{i}.attention.self.query.weight" for i in range(4)] + ["embeddings.LayerNorm.weight"],
    "gpt2": ["wte.weight", "h.0.attn.c_attn.weight", "h.11.mlp.c_fc.weight", "h.2.ln_1.bias", "ln_f.weight"],
    "llama": ["embed_tokens.weight", *(f"layers.{i}.self_attn.q_proj.weight" for i in range(3)), "norm.weight"],
}
COUNTS = {"bert": 4, "gpt2": 12, "llama": 3}


def test_examples_are_of_known_families():
    assert NAMES.keys() == COUNTS.keys() <= FAMILIES.keys()


@pytest.mark.parametrize("prefix", ["", "llm_model.", "model.transformer."])
def test_layers_are_counted(family, prefix):
    assert count_layers(prefix + name for name in NAMES[family]) == COUNTS[family]


def test_layers_of_a_loaded_model_are_counted(tiny_backbones, family):
    model = load_backbone(tiny_backbones[family])
    assert count_layers(model.model.state_dict()) == model.identity.layers == 2
    assert count_layers(load_backbone(tiny_backbones[family], layers=1).model.state_dict()) == 1


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["wte.weight", "ln_f.bias", "embeddings.word_embeddings.weight"],
        ["output_projection.linear.weight", "mapping_layer.weight"],
        ["path.3.weight", "player.3.weight", "layernorm.3.weight"],
        ["encoder.layer.weight", "h.3"],
    ],
)
def test_other_names_belong_to_no_layer(names):
    assert count_layers(names) == 0


def test_hidden_size():
    assert hidden_size({"hidden_size": 384, "vocab_size": 30522}) == 384
    assert hidden_size({"n_embd": 768, "n_layer": 12}) == 768
    assert hidden_size({"hidden_size": None, "n_embd": 64}) == 64
