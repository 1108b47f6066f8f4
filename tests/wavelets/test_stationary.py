"""The transform against PyWavelets, and its properties under their exact conditions."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import pywt
import torch

from swt_time.wavelets import BOUNDARIES, FilterBank, filter_bank, iswt, reach, swt, wavelet_support

WAVELETS = pywt.wavelist(kind="discrete")
ORTHOGONAL = [name for name in WAVELETS if pywt.Wavelet(name).orthogonal and name != "dmey"]
"""PyWavelets lists dmey as orthogonal, but its filters are so only approximately."""
SHARED = Path(os.environ.get("SWT_TIME_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
FAMILIES = ["haar", "db4", "db8", "sym5", "coif2", "bior2.2", "bior4.4", "rbio3.1", "dmey"]
PADDING = {"reflect": "reflect", "replicate": "edge", "zero": "constant"}
FLOAT64_TOL = 1e-10  # absolute, for unit-variance signals
FLOAT32_TOL = 1e-5  # relative to the largest coefficient of the band
HALF_BOUND = {torch.bfloat16: 0.0025, torch.float16: 0.00035}  # share of a band's RMS, at every level


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def pywt_bands(x: np.ndarray, name: str, level: int, norm: bool = False) -> np.ndarray:
    """Bands (K, T) of PyWavelets; the signal is repeated until 2**level divides its length."""
    periods = 2**level // np.gcd(len(x), 2**level)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # norm with a biorthogonal wavelet
        bands = pywt.swt(np.tile(x, periods), name, level=level, trim_approx=True, norm=norm)
    return np.stack(bands)[:, : len(x)]


def padded_bands(x: np.ndarray, name: str, level: int, boundary: str, norm: bool = False) -> np.ndarray:
    """Oracle for the other boundaries: ``np.pad`` by more than the support, ``pywt.swt``, crop."""
    room = wavelet_support(name, level)
    fill = -(len(x) + 2 * room) % 2**level
    padded = np.pad(x, (room, room + fill), mode=PADDING[boundary])
    return pywt_bands(padded, name, level, norm)[:, room : room + len(x)]


def relative_error(got: torch.Tensor, expected: np.ndarray) -> float:
    """Largest difference of any band to the expected one, relative to the largest coefficient of that band."""
    difference = np.abs(got.double().numpy() - expected).max(axis=-1)
    return float((difference / np.abs(expected).max(axis=-1)).max())


# --- equality with PyWavelets ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WAVELETS)
def test_periodic_equals_pywavelets(name):
    """Every wavelet, levels 1-5, with and without norm; most composite filters are longer than the 64 samples."""
    x = draw(64)
    for level in range(1, 6):
        for norm in (False, True):
            expected = pywt_bands(x.numpy(), name, level, norm)
            got = swt(x, name, level, norm=norm)
            assert np.abs(got.numpy() - expected).max() < FLOAT64_TOL
            assert relative_error(swt(x.float(), name, level, norm=norm), expected) < FLOAT32_TOL


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("length", [32, 33, 50, 77])
def test_periodic_accepts_any_length(name, length):
    x = draw(length)
    for level in (1, 3, 5):
        assert np.abs(swt(x, name, level).numpy() - pywt_bands(x.numpy(), name, level)).max() < FLOAT64_TOL


@pytest.mark.parametrize("boundary", PADDING)
@pytest.mark.parametrize("name", WAVELETS)
def test_other_boundaries_equal_padding_transform_and_crop(name, boundary):
    for length, level, norm in ((37, 1, False), (64, 2, True), (37, 3, False), (40, 4, True), (51, 5, False)):
        x = draw(length, seed=level)
        expected = padded_bands(x.numpy(), name, level, boundary, norm)
        assert np.abs(swt(x, name, level, boundary, norm).numpy() - expected).max() < FLOAT64_TOL
        single = swt(x.float(), name, level, boundary, norm)
        # A band may be zero on a constant extension, so the error is relative to the largest coefficient of all bands.
        assert np.abs(single.double().numpy() - expected).max() < FLOAT32_TOL * np.abs(expected).max()


def test_boundaries_differ_from_each_other():
    """Control: the boundary has an effect (the original implementation ignored it)."""
    x = draw(40)
    bands = [swt(x, "db4", 3, boundary) for boundary in BOUNDARIES]
    for i, a in enumerate(bands):
        for b in bands[i + 1 :]:
            assert (a - b).abs().max() > 0.1


def test_filters_longer_than_the_signal_wrap_around_repeatedly():
    """A composite filter of 3132 taps on 32 samples."""
    assert wavelet_support("coif17", 5) == 3132
    x = draw(32)
    assert np.abs(swt(x, "coif17", 5).numpy() - pywt_bands(x.numpy(), "coif17", 5)).max() < FLOAT64_TOL


# --- half precision ----------------------------------------------------------------------------------------


def half_error(x: torch.Tensor, name: str, level: int, boundary: str, dtype: torch.dtype) -> float:
    """RMS error of the worst band relative to that band's RMS, against float64 on the same half-precision samples."""
    half = x.to(dtype)
    got = swt(half, name, level, boundary)
    assert got.dtype == dtype
    exact = swt(half.double(), name, level, boundary)
    error = (got.double() - exact).square().mean((0, 2)).sqrt()
    return float((error / exact.square().mean((0, 2)).sqrt()).max())


@pytest.mark.parametrize("dtype", HALF_BOUND)
@pytest.mark.parametrize("level", [1, 2, 3, 5])
@pytest.mark.parametrize("name", ["haar", "db4", "sym8", "bior4.4"])
def test_half_precision_on_white_noise(name, level, dtype):
    for boundary in ("periodic", "causal"):
        assert half_error(draw(16, 256), name, level, boundary, dtype) < HALF_BOUND[dtype]


@pytest.mark.parametrize("dtype", HALF_BOUND)
def test_half_precision_of_every_filter_length(dtype):
    """Composite filters of 32, 64, 96, ... taps, at which oneDNN's bfloat16 convolution returns noise on AMX."""
    for name in ("haar", "db2", "bior4.4", "sym16"):
        for level in range(1, 7):
            assert half_error(draw(4, 128), name, level, "reflect", dtype) < HALF_BOUND[dtype], (name, level)


@pytest.mark.parametrize("dtype", HALF_BOUND)
@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_half_precision_on_a_smooth_hourly_series(dtype, offset):
    """Temperatures of Seattle, each window standardised, also with a mean that the details must not contain."""
    import pandas as pd
    from vega_datasets import data

    series = torch.tensor(pd.read_csv(data.seattle_temps.filepath)["temp"].to_numpy(dtype=np.float64))
    windows = series.unfold(0, 512, 400)
    windows = (windows - windows.mean(1, keepdim=True)) / windows.std(1, keepdim=True) + offset
    for name in ("haar", "db4"):
        assert half_error(windows, name, 3, "periodic", dtype) < HALF_BOUND[dtype]


@pytest.mark.skipif(not (SHARED / "ETTh1.csv").exists(), reason="ETTh1.csv is not available")
@pytest.mark.parametrize("name", ["haar", "db4"])
def test_bfloat16_on_etth1_windows_with_the_rounding_of_the_samples(name):
    """Standardised windows, as in the model; the oracle is the transform of the samples before rounding.

    For raw samples, their rounding alone exceeds the bound: it changes D_1 of db4 by 1.8 %.
    """
    import pandas as pd

    series = torch.from_numpy(pd.read_csv(SHARED / "ETTh1.csv").iloc[:, 1:].to_numpy(dtype=np.float64).T.copy())
    windows = series.unfold(1, 512, 96).flatten(0, 1)
    windows = (windows - windows.mean(1, keepdim=True)) / (windows.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
    exact = swt(windows, name, 3)
    error = (swt(windows.bfloat16(), name, 3).double() - exact).square().mean((0, 2)).sqrt()
    share = error / exact.square().mean((0, 2)).sqrt()
    assert (share < 0.015).all()
    assert (share > 0.0005).any(), "control: half precision is not exact"


def test_a_plain_half_precision_cascade_exceeds_the_bound():
    """Control: rounding filters and approximations at each level gives a much larger error on a smooth series."""
    from swt_time.wavelets.stationary import analysis_taps, circular_cascade

    x = (torch.arange(512) / 20).sin().double().unsqueeze(0) + 5.0
    half, bank = x.bfloat16(), filter_bank("db4")
    naive = torch.stack(circular_cascade(half, analysis_taps(bank, "periodic", False).bfloat16(), 3), 1)
    exact = swt(half.double(), "db4", 3)
    error = (naive.double() - exact).square().mean(2).sqrt() / exact.square().mean(2).sqrt()
    assert error.max() > 10 * HALF_BOUND[torch.bfloat16]
    assert half_error(x, "db4", 3, "periodic", torch.bfloat16) < HALF_BOUND[torch.bfloat16]


# --- bands, energy -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("boundary", ["periodic", "causal"])
def test_low_frequencies_are_in_the_approximation_and_high_ones_in_the_first_detail(boundary):
    n = torch.arange(512, dtype=torch.float64)
    for tone, band in ((torch.sin(2 * torch.pi * n / 256), 0), (torch.cos(torch.pi * n), -1)):
        energy = swt(tone, "db4", 3, boundary, norm=True)[:, 64:].square().sum(1)
        assert energy[band] / energy.sum() > 0.98


@pytest.mark.parametrize("name", ORTHOGONAL)
def test_norm_conserves_energy(name):
    """Orthogonal wavelet, periodic boundary, norm=True: the ratio is 1."""
    x = draw(3, 96)
    for level in (1, 3, 5):
        energy = swt(x, name, level, norm=True).square().sum((1, 2))
        torch.testing.assert_close(energy, x.square().sum(1), rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", ["db4", "sym10", "coif3"])
def test_weighted_energy_without_norm(name):
    """2**-J |A_J|^2 + sum 2**-j |D_j|^2 = |x|^2."""
    x, level = draw(3, 96), 4
    energy = swt(x, name, level).square().sum(-1)
    weight = torch.tensor([2.0**-j for j in (level, *range(level, 0, -1))])
    torch.testing.assert_close((energy * weight).sum(1), x.square().sum(1), rtol=1e-5, atol=0)


def test_a_biorthogonal_wavelet_does_not_conserve_energy():
    """Control: the energy is conserved for orthogonal wavelets only."""
    x = draw(4096)
    ratio = swt(x, "bior4.4", 3, norm=True).square().sum() / x.square().sum()
    assert abs(ratio - 1) > 0.005


@pytest.mark.parametrize("level", [1, 3, 5])
def test_bands_of_white_noise_have_the_variance_of_the_noise_without_norm(level):
    """Each unnormalised band of an orthogonal wavelet has the variance of the noise, so J + 1 bands have their sum."""
    x = draw(64, 1024)
    ratio = swt(x, "db4", level).square().sum() / x.square().sum()
    assert ratio == pytest.approx(level + 1, rel=0.02)


# --- causal ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WAVELETS)
def test_causal_bands_depend_on_the_newest_sample_and_no_later_one(name):
    """The first sample is left out: the signal before it is constant, and a detail does not depend on a constant."""
    x = draw(48).requires_grad_()
    for level in (1, 3):
        bands = swt(x, name, level, "causal")
        for at in (1, 20, 47):
            seen = torch.stack([torch.autograd.grad(band[at], x, retain_graph=True)[0] for band in bands])
            assert (seen[:, at + 1 :] == 0).all()
            assert (seen[:, at] != 0).all()


def test_causal_filters_have_their_energy_at_the_newest_samples():
    """Without the time reversal, the low-pass of db4 has weight 0.01 for the newest sample."""
    taps = torch.eye(64, dtype=torch.float64)[:, 40]
    for name in ("db2", "db4", "db8"):
        low, high = swt(taps, name, 1, "causal")[:, 40:]
        for response in (low, high):
            delay = (torch.arange(len(response)) * response**2).sum() / (response**2).sum()
            assert delay < (len(filter_bank(name)) - 1) / 2
            assert response[0].abs() > 0.05


@pytest.mark.parametrize("name", ["haar", "db4", "db10", "sym5", "sym8", "coif2"])
def test_the_adjoint_inverts_the_causal_transform_except_near_the_ends(name):
    """The reversed filters are a tight frame, so the transpose of the transform is its inverse.

    This does not hold at the start, where the signal is extended, and within the support of the end.
    """
    level, length = 3, 400
    support = wavelet_support(name, level)
    x = draw(length).requires_grad_()
    bands = swt(x, name, level, "causal", norm=True)
    (back,) = torch.autograd.grad(bands, x, bands.detach())
    error = (back - x).detach().abs()
    assert error[1 : length - support].max() < 1e-6
    assert error[length - support :].max() > 1e-3  # control: coefficients after the end are missing


# --- inverse -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WAVELETS)
def test_inverse_equals_pywavelets_and_inverts(name):
    x = draw(64)
    for level in (1, 3, 5):
        for norm in (False, True):
            bands = swt(x, name, level, norm=norm)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                theirs = pywt.iswt(list(bands.numpy()), name, norm=norm)
            ours = iswt(bands, name, norm=norm).numpy()
            assert np.abs(ours - theirs).max() < 1e-8
            if np.abs(theirs - x.numpy()).max() < 1e-8:
                assert np.abs(ours - x.numpy()).max() < 1e-8
            else:
                assert name == "dmey"  # the only wavelet that PyWavelets does not invert exactly


@pytest.mark.parametrize("length", [33, 50])
def test_inverse_accepts_any_length(length):
    x = draw(2, length)
    assert (iswt(swt(x, "db4", 4), "db4") - x).abs().max() < 1e-8


@pytest.mark.parametrize("boundary", ["reflect", "replicate", "zero", "causal"])
@pytest.mark.parametrize("name", ["haar", "db4", "db8", "sym5", "coif2", "bior2.2", "bior4.4", "rbio3.1"])
def test_least_squares_inverse_is_exact_including_the_ends(name, boundary):
    for length, level, norm in ((40, 1, False), (61, 3, True), (96, 5, False)):
        x = draw(2, length)
        back = iswt(swt(x, name, level, boundary, norm), name, boundary, norm)
        assert (back - x).abs().max() < 1e-6


def test_the_inverse_of_long_causal_filters_is_wrong_at_the_newest_samples_only():
    """The newest samples have almost no weight in sym20; samples further from the end than its support are exact."""
    x = draw(160)
    error = (iswt(swt(x, "sym20", 1, "causal"), "sym20", "causal") - x).abs()
    assert error[: 160 - wavelet_support("sym20", 1)].max() < 1e-6
    assert error[-10:].max() > 1e-3


def test_inverse_keeps_the_dtype():
    x = draw(2, 64)
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.bfloat16, 0.1), (torch.float16, 0.01)):
        for boundary in ("periodic", "reflect"):
            back = iswt(swt(x.to(dtype), "db4", 3, boundary), "db4", boundary)
            assert back.dtype == dtype
            assert (back.double() - x).abs().max() < tolerance


# --- shapes, gradients, compilation ------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(32,), (3, 32), (2, 3, 32), (2, 0, 32), (1, 2, 1, 3, 32)])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_any_leading_shape(shape, boundary):
    x = draw(*shape)
    bands = swt(x, "db2", 2, boundary)
    assert bands.shape == (*shape[:-1], 3, 32)
    assert iswt(bands, "db2", boundary).shape == shape
    if x.numel():
        row = x.reshape(-1, 32)[-1]
        torch.testing.assert_close(bands.reshape(-1, 3, 32)[-1], swt(row, "db2", 2, boundary))


def test_a_strided_view_equals_its_copy():
    x = draw(5, 40, 3).transpose(1, 2)
    assert not x.is_contiguous()
    torch.testing.assert_close(swt(x, "db4", 3, "reflect"), swt(x.contiguous(), "db4", 3, "reflect"))


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_gradients_to_the_signal_and_to_the_filters(boundary):
    """Through transform and inverse, against finite differences."""
    start = filter_bank("db2")
    x = draw(2, 9).requires_grad_()
    low, high = start.dec_lo.clone().requires_grad_(), start.dec_hi.clone().requires_grad_()

    def analysis(x, low, high):
        return swt(x, FilterBank(low, high, low.flip(-1), high.flip(-1)), 2, boundary)

    def round_trip(x, low, high):
        bank = FilterBank(low, high, low.flip(-1), high.flip(-1))
        return iswt(swt(x, bank, 2, boundary).square(), bank, boundary)

    assert torch.autograd.gradcheck(analysis, (x, low, high))
    assert torch.autograd.gradcheck(round_trip, (x, low, high))


def test_autocast_does_not_affect_the_transform():
    x = draw(2, 64).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = swt(x, "db4", 3)
        back = iswt(inside, "db4")
    assert torch.equal(inside, swt(x, "db4", 3))
    assert back.dtype == torch.float32
    assert (back - x).abs().max() < 1e-5


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compiles_into_one_graph(boundary, dtype):
    torch.compiler.reset()
    x = draw(2, 40).to(dtype)

    def there_and_back(x):
        bands = swt(x, "db4", 2, boundary)
        return bands, iswt(bands, "db4", boundary)

    compiled = torch.compile(there_and_back, fullgraph=True, backend="aot_eager")
    for got, expected in zip(compiled(x), there_and_back(x), strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.slow
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_compiles_with_inductor(boundary):
    torch.compiler.reset()
    x = draw(2, 40).float().requires_grad_()
    y = x.detach().clone().requires_grad_()
    compiled = torch.compile(swt, fullgraph=True)(x, "db4", 2, boundary)
    expected = swt(y, "db4", 2, boundary)
    torch.testing.assert_close(compiled, expected)
    compiled.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(x.grad, y.grad)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_equal_on_cuda(boundary):
    x = draw(4, 100)
    bands = swt(x.cuda(), "db4", 4, boundary)
    assert (bands.cpu() - swt(x, "db4", 4, boundary)).abs().max() < FLOAT64_TOL
    assert (iswt(bands, "db4", boundary).cpu() - x).abs().max() < 1e-6


# --- error messages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: swt(draw(100), "db4", 7), ["2**level <= T = 100", "got level 7", "largest level that fits is 6"]),
        (lambda: swt(draw(100), "db4", 0), ["at least 1", "got 0"]),
        (lambda: swt(draw(1), "db4", 1), ["T = 1", "at least 2 samples"]),
        (lambda: swt(draw(32), "bd4", 1), ["'bd4'", "did you mean", "db4"]),
        (lambda: swt(draw(32), "morl", 1), ["'morl'"]),
        (lambda: swt(draw(32), "db4", 1, "symmetric"), ["'symmetric'", *BOUNDARIES]),
        (lambda: swt(torch.arange(32), "db4", 1), ["floating", "int64", ".float()"]),
        (lambda: swt(torch.tensor(1.0), "db4", 1), ["floating tensor with time last", "shape ()"]),
        (lambda: iswt(draw(4, 32), "db4", "wrap"), ["'wrap'", *BOUNDARIES]),
        (lambda: iswt(draw(32), "db4"), ["(..., K, T)", "(32,)"]),
        (lambda: iswt(draw(8, 32), "db4"), ["got level 7", "largest level that fits is 5"]),
    ],
)
def test_error_messages(call, parts):
    with pytest.raises(ValueError) as error:
        call()
    assert not [part for part in parts if part not in str(error.value)], str(error.value)


def test_level_is_refused_only_when_two_to_the_level_exceeds_the_length():
    """Filters may be longer than the signal, and 2**level need not divide the length."""
    x = draw(33)
    assert swt(x, "db20", 5).shape == (6, 33)
    with pytest.raises(ValueError, match="largest level that fits is 5"):
        swt(x, "haar", 6)


def test_reach_and_support():
    assert reach("db4", 3) == (21, 28)
    assert reach("db4", 3, "causal") == (49, 0)
    assert wavelet_support("db4", 3) == 50
    assert wavelet_support("haar", 1) == 2
