"""Hidden states of the frozen model, verified against plain calls of transformers."""

import pytest
import torch

from support.backbones import load_backbone
from swt_time.errors import BackboneError
from swt_time.language.prompt import pad_prompts


def test_hidden_states_equal_those_of_transformers(tiny_backbones, family):
    """Two prompts of unequal length in one batch give the same states as two calls without padding."""
    model = load_backbone(tiny_backbones[family])
    tokens = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(0))
    prompts = [[5, 6, 7, 8, 9, 10], [11, 12]]
    together = model(pad_prompts(prompts), tokens)
    for i, ids in enumerate(prompts):
        words = model.model.get_input_embeddings()(torch.tensor([ids]))
        sequence = torch.cat([words, tokens[i : i + 1]], dim=1)
        alone = model.model(inputs_embeds=sequence).last_hidden_state[0, -5:]
        torch.testing.assert_close(together[i], alone, atol=1e-5, rtol=1e-5)


def test_padding_without_a_mask_changes_the_result(tiny_backbones, family):
    """Control for the test above: the original code does not mask padding, which is detectable."""
    model = load_backbone(tiny_backbones[family])
    tokens = torch.randn(1, 5, 32, generator=torch.Generator().manual_seed(0))
    masked = model(
        pad_prompts([[5, 6], [1, 2, 3, 4, 5]])._replace(lengths=torch.tensor([2, 5])), tokens.repeat(2, 1, 1)
    )
    unmasked = model(pad_prompts([[5, 6, 0, 0, 0]]), tokens)
    assert (masked[0] - unmasked[0]).abs().max() > 1e-3


def test_frozen_model_stays_in_eval_mode(tiny_backbones, family):
    model = load_backbone(tiny_backbones[family]).train()
    assert not any(module.training for module in model.modules())
    tokens = torch.randn(1, 4, 32)
    assert torch.equal(model(None, tokens), model(None, tokens))


def test_patches_that_do_not_fit_are_an_error(tiny_backbones):
    with pytest.raises(
        BackboneError, match=r"2000 patches do not fit into the 1024 positions .*lower data.context, raise embedding"
    ):
        load_backbone(tiny_backbones["bert"]).tokenizer(2000)
