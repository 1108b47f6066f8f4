"""Branches without a language model: the identity, and the stand-ins."""

import pytest
import torch

from swt_time.language import Prompt
from swt_time.model.branch import Branch
from swt_time.model.stand_ins import AttentionStandIn, TransformerStandIn

SERIES, PATCHES, WIDTH = 6, 5, 8
PROMPT = Prompt(torch.arange(4).repeat(SERIES, 1), torch.full((SERIES,), 4))
STAND_INS = {
    "attention": lambda dropout=0.0: AttentionStandIn(WIDTH, 2, dropout),
    "transformer": lambda dropout=0.0: TransformerStandIn(
        WIDTH, PATCHES, n_heads=2, d_ff=16, layers=2, dropout=dropout
    ),
}


@pytest.fixture(autouse=True)
def fixed_seed():
    """Run every test with the same seed."""
    torch.manual_seed(0)


def test_the_base_branch_returns_its_tokens():
    tokens = torch.randn(SERIES, PATCHES, WIDTH)
    assert Branch()(tokens, None) is tokens
    assert Branch()(tokens, PROMPT) is tokens
    assert list(Branch().parameters()) == []


@pytest.mark.parametrize("make", [Branch, *STAND_INS.values()], ids=["base", *STAND_INS])
def test_without_a_language_model_no_prompt_is_written(make):
    branch = make()
    assert branch.language_model is None
    assert branch.write_prompt(torch.randn(2, 3, 96)) is None


@pytest.mark.parametrize("kind", STAND_INS)
def test_stand_ins_accept_and_ignore_a_prompt(kind):
    branch = STAND_INS[kind]().eval()
    tokens = torch.randn(SERIES, PATCHES, WIDTH)
    expected = branch(tokens)
    assert expected.shape == tokens.shape
    assert torch.equal(branch(tokens, None), expected)
    assert torch.equal(branch(tokens, PROMPT), expected)
    assert not torch.equal(branch(tokens.flip(-1), PROMPT), expected)


@pytest.mark.parametrize("kind", STAND_INS)
def test_stand_ins_mix_patches_and_not_series(kind):
    branch = STAND_INS[kind]().eval()
    tokens = torch.randn(SERIES, PATCHES, WIDTH, requires_grad=True)
    branch(tokens)[2, 1, 0].backward()
    used = tokens.grad.abs().sum(-1) > 0
    assert used[2].all()
    assert not used[[0, 1, 3, 4, 5]].any()


def test_the_transformer_depends_on_the_order_of_the_patches():
    """Its learned positions break the permutation equivariance that the attention stand-in has."""
    tokens = torch.randn(SERIES, PATCHES, WIDTH)
    attention, transformer = (make().eval() for make in STAND_INS.values())
    torch.testing.assert_close(attention(tokens.flip(1)).flip(1), attention(tokens))
    assert (transformer(tokens.flip(1)).flip(1) - transformer(tokens)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", STAND_INS)
def test_dropout_acts_in_training_only(kind):
    branch = STAND_INS[kind](dropout=0.5)
    tokens = torch.randn(SERIES, PATCHES, WIDTH)
    assert not torch.equal(branch.train()(tokens), branch(tokens))
    assert torch.equal(branch.eval()(tokens), branch(tokens))
