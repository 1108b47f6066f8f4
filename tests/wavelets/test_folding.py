"""Folding: composite filters, their positions in a patch, and the rule that selects the path."""

import pytest
import torch

from swt_time.wavelets import BOUNDARIES, filter_bank, reach, swt, wavelet_support
from swt_time.wavelets.folding import Folded, fold, folding_pays, last_filters, patch_filters, strided_patches
from swt_time.wavelets.stationary import composite_filters, extend


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("name", ["haar", "db4", "bior2.2", "coif2"])
@pytest.mark.parametrize("level", [1, 2, 4])
def test_composite_filters_give_the_bands(name, level, boundary):
    """Correlation with the composite filter equals the band, except near the ends."""
    filters = composite_filters(filter_bank(name), level, boundary, norm=False)
    support, (before, after) = wavelet_support(name, level), reach(name, level, boundary)
    assert filters.shape == (level + 1, support)
    assert before + after + 1 == support
    x = torch.randn(3 * support + 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    bands = swt(x, name, level, boundary)
    direct = x.unfold(0, support, 1) @ filters.T
    torch.testing.assert_close(direct.T, bands[:, before : len(x) - after])


def test_patch_filters_are_shifted_by_the_position_in_the_patch():
    filters = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    placed = patch_filters(filters, 3)
    assert placed[0].tolist() == [[1, 2, 0, 0], [0, 1, 2, 0], [0, 0, 1, 2]]
    assert placed[1].tolist() == [[3, 4, 0, 0], [0, 3, 4, 0], [0, 0, 3, 4]]
    weight = torch.randn(5, 2, 3)
    by_hand = sum(weight[:, k, r].outer(placed[k, r]) for k in range(2) for r in range(3))
    torch.testing.assert_close(fold(weight, placed), by_hand)
    whole = patch_filters(filters, 3, stride=3)
    assert torch.equal(whole, torch.cat((placed, torch.zeros(2, 3, 2)), -1)), "six samples are whole strides of three"


@pytest.mark.parametrize(("length", "patch_len", "stride"), [(20, 4, 2), (21, 4, 3), (20, 3, 7), (8, 8, 8), (9, 1, 4)])
def test_last_kernel_repeats_the_last_coefficient(length, patch_len, stride):
    """With the identity as transform, the coefficients are the samples, and the oracle is a replicated signal."""
    x = torch.randn(2, length)
    weight = torch.randn(5, 1, patch_len)
    placed = patch_filters(torch.ones(1, 1), patch_len, stride)
    change = fold(weight, last_filters(placed, length, stride))
    got = strided_patches(x, fold(weight, placed), change, Folded(patch_len, stride, (0, 0), "zero"))
    repeated = torch.cat((x, x[:, -1:].expand(-1, stride)), 1)
    torch.testing.assert_close(got, repeated.unfold(1, patch_len, stride) @ weight[:, 0].T)


@pytest.mark.parametrize("own_last", [False, True])
@pytest.mark.parametrize("stride", [1, 3, 5, 8, 20])
def test_strided_patches_are_windows_times_the_kernel(stride, own_last):
    """Values and gradients against a matrix product with unfolded windows, for strides below and above the patch."""
    how = Folded(5, stride, (4, 6), "reflect")
    x = torch.randn(7, 31, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(4, 15, dtype=torch.float64, requires_grad=True)
    change = torch.randn(4, 16, dtype=torch.float64, requires_grad=True) if own_last else None
    wanted = [x, kernel] if change is None else [x, kernel, change]
    tokens = strided_patches(x, kernel, change, how)
    assert tokens.is_contiguous()
    windows = extend(x, 4, 6 + stride, "reflect").unfold(1, 15, stride)
    expected = windows @ kernel.T
    if change is not None:
        full = extend(x, 4, 7, "reflect")[:, 26:42]
        expected = torch.cat((expected[:, :-1], expected[:, -1:] + (full @ change.T).unsqueeze(1)), 1)
    torch.testing.assert_close(tokens, expected)
    got = torch.autograd.grad(tokens.pow(3).sum(), wanted)
    for a, b in zip(got, torch.autograd.grad(expected.pow(3).sum(), wanted), strict=True):
        torch.testing.assert_close(a, b)


def test_no_series_give_no_tokens():
    how = Folded(5, 3, (4, 6), "reflect")
    assert strided_patches(torch.randn(0, 31), torch.randn(4, 15), None, how).shape == (0, 10, 4)


def test_common_shapes_are_folded_and_long_kernels_of_wide_models_are_not():
    usual = {"patch_len": 16, "stride": 8}
    for training in (False, True):
        assert folding_pays(32 * 7, 512, 32, 65, 4, **usual, training=training)
        assert folding_pays(16 * 321, 512, 16, 65, 4, **usual, training=training)
        assert folding_pays(32 * 7, 96, 16, 65, 4, **usual, training=training)
        assert folding_pays(32 * 7, 512, 128, 65, 4, **usual, training=training)
        assert not folding_pays(32 * 7, 512, 128, 961, 7, **usual, training=training)


def test_a_gpu_folds_in_inference_only():
    wide = (32 * 7, 512, 128, 961, 7)
    assert folding_pays(*wide, patch_len=16, stride=8, training=False, gpu=True)
    assert not folding_pays(32 * 7, 512, 32, 65, 4, patch_len=16, stride=8, training=True, gpu=True)
