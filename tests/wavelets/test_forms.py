"""Wavelets in every form that users have them, any axis, any level."""

import warnings

import numpy as np
import pytest
import pywt
import torch

from swt_time.wavelets import BOUNDARIES, FilterBank, filter_bank, iswt, swt

X = torch.randn(3, 40, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["db4", "haar", "bior2.2"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_every_form_of_a_wavelet_gives_the_same_bands(name, boundary):
    expected = swt(X, name, 2, boundary, axis=1)
    wavelet = pywt.Wavelet(name)
    tensors = [torch.tensor(taps, dtype=torch.float64) for taps in wavelet.filter_bank]
    forms = (wavelet, wavelet.filter_bank, [np.array(taps) for taps in wavelet.filter_bank], FilterBank(*tensors))
    for form in (*forms, name.upper(), name.capitalize()):
        assert torch.equal(swt(X, form, 2, boundary, axis=1), expected)
        assert torch.equal(iswt(expected, form, boundary, axis=2), iswt(expected, name, boundary, axis=2))


def test_a_bank_made_by_hand_is_the_named_one_in_a_causal_transform():
    for name in ("db4", "sym8", "coif2", "bior4.4", "haar"):
        named = filter_bank(name)
        made = FilterBank(named.dec_lo, named.dec_hi, named.rec_lo, named.rec_hi)
        assert (made.turned, made.lead) == (named.turned, named.lead)
        # The control: without the turn the causal bands are others, wherever there is one.
        if any(named.turned):
            plain = FilterBank(
                named.dec_lo, named.dec_hi, named.rec_lo, named.rec_hi, turned=(False, False), lead=(0, 0)
            )
            assert not torch.allclose(swt(X, plain, 2, "causal", axis=1), swt(X, name, 2, "causal", axis=1))


def test_gradients_reach_filters_that_are_given_as_tensors():
    filters = [torch.tensor(taps, dtype=torch.float64, requires_grad=True) for taps in pywt.Wavelet("db2").filter_bank]
    swt(X, filters, 2, axis=1).square().sum().backward()
    assert filters[0].grad.abs().max() > 0


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_any_axis(axis):
    x = torch.randn(8, 16, 32, dtype=torch.float64)
    bands = swt(x, "db2", 2, axis=axis)
    place = axis % 3
    assert bands.shape == (*x.shape[:place], 3, *x.shape[place:])
    expected = pywt.swt(x.numpy(), "db2", level=2, trim_approx=True, axis=place)
    for k, band in enumerate(expected):
        np.testing.assert_allclose(bands.select(place, k).numpy(), band, atol=1e-10)
    torch.testing.assert_close(iswt(bands, "db2", axis=place + 1), x)
    torch.testing.assert_close(iswt(bands, "db2", axis=place - 3), x)


@pytest.mark.parametrize(("length", "level"), [(2, 1), (3, 1), (4, 2), (100, 6), (128, 7)])
def test_without_a_level_the_deepest_is_taken(length, level):
    x = torch.randn(length)
    assert torch.equal(swt(x, "haar"), swt(x, "haar", level))


def test_norm_warns_where_it_does_not_conserve_energy():
    x = torch.randn(64, dtype=torch.float64)
    with pytest.warns(UserWarning, match=r"norm=True does not conserve energy with bior4\.4"):
        bands = swt(x, "bior4.4", 2, norm=True)
    assert abs(float(bands.square().sum() / x.square().sum()) - 1) > 1e-3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("haar", "db4", "sym8", "coif2", "dmey"):
            if filter_bank(name).orthogonal:
                assert float(swt(x, name, 2, norm=True).square().sum() / x.square().sum()) == pytest.approx(1, rel=1e-6)
        swt(x, "bior4.4", 2)
    assert [name for name in ("haar", "db4", "sym8", "bior2.2", "rbio3.1") if filter_bank(name).orthogonal] == [
        "haar",
        "db4",
        "sym8",
    ]


@pytest.mark.parametrize(
    ("wavelet", "text"),
    [
        ("DB4X", "did you mean db4"),
        (3, "got int"),
        ([[1.0, 1.0]] * 3, "four filters"),
        ([[1.0, 1.0, 1.0]] * 4, "one even length"),
        ([[1.0, 1.0], [1.0], [1.0, 1.0], [1.0, 1.0]], "one even length"),
    ],
)
def test_what_is_no_wavelet_is_refused(wavelet, text):
    with pytest.raises(ValueError, match=text):
        swt(torch.randn(16), wavelet, 1)
