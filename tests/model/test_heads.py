"""Heads and skips: against a loop, and the input that each of them ignores."""

import pytest
import torch

from swt_time.model.closed_form import RidgeSkip
from swt_time.model.heads import FlattenHead, LinearSkip

SERIES, PATCHES, WIDTH, FEATURES, HORIZON, CONTEXT = 3, 4, 6, 5, 2, 16


@pytest.fixture(autouse=True)
def fixed_seed():
    """Run every test with the same seed."""
    torch.manual_seed(0)


def reference_projection(linear, hidden, features):
    """Reference implementation: sum over features and patches, with weight ``[h, feature * P + patch]``."""
    series, n_patches, _ = hidden.shape
    forecast = linear.bias.repeat(series, 1)
    for i in range(series):
        for h in range(linear.out_features):
            for d in range(features):
                for p in range(n_patches):
                    forecast[i, h] += linear.weight[h, d * n_patches + p] * hidden[i, p, d]
    return forecast


@torch.no_grad()
def test_flatten_head_equals_a_loop():
    head = FlattenHead(FEATURES, PATCHES, HORIZON)
    hidden = torch.randn(SERIES, PATCHES, WIDTH)
    torch.testing.assert_close(head(hidden), reference_projection(head.linear, hidden, FEATURES))


@torch.no_grad()
def test_flatten_head_reads_the_leading_features_only():
    head = FlattenHead(FEATURES, PATCHES, HORIZON)
    hidden = torch.randn(SERIES, PATCHES, WIDTH)
    changed = hidden.clone()
    changed[..., FEATURES:] += 1
    assert torch.equal(head(changed), head(hidden))
    changed[..., FEATURES - 1] += 1
    assert not torch.equal(head(changed), head(hidden))


def test_dropout_acts_in_training_only():
    head = FlattenHead(FEATURES, PATCHES, HORIZON, dropout=0.5)
    hidden = torch.randn(SERIES, PATCHES, WIDTH)
    assert not torch.equal(head.train()(hidden), head(hidden))
    assert torch.equal(head.eval()(hidden), head(hidden))


@torch.no_grad()
def test_linear_skip_projects_the_tokens_and_ignores_the_window():
    skip = LinearSkip(WIDTH, PATCHES, HORIZON)
    tokens = torch.randn(SERIES, PATCHES, WIDTH)
    forecast = skip(torch.randn(1, SERIES, CONTEXT), tokens)
    torch.testing.assert_close(forecast, reference_projection(skip.linear, tokens, WIDTH))
    assert torch.equal(skip(torch.randn(1, SERIES, CONTEXT), tokens), forecast)
    assert not torch.equal(skip(torch.randn(1, SERIES, CONTEXT), tokens + 1), forecast)


def test_ridge_skip_maps_the_window_and_ignores_the_tokens():
    skip = RidgeSkip(CONTEXT, HORIZON)
    z = torch.randn(2, SERIES, CONTEXT)
    assert (skip(z) == 0).all()
    skip.weight.copy_(torch.randn(HORIZON, CONTEXT))
    forecast = skip(z, torch.randn(2 * SERIES, PATCHES, WIDTH))
    expected = torch.stack([skip.weight @ z[b, n] for b in range(2) for n in range(SERIES)])
    torch.testing.assert_close(forecast, expected)
    assert torch.equal(skip(z, torch.randn(2 * SERIES, PATCHES, WIDTH)), forecast)
    assert torch.equal(skip(z), forecast)
    assert not torch.equal(skip(z + 1), forecast)


def test_ridge_skip_has_no_parameter_and_is_saved():
    skip = RidgeSkip(CONTEXT, HORIZON)
    assert list(skip.parameters()) == []
    assert list(skip.state_dict()) == ["weight"]
