"""Learnable filters are initialised as the named wavelet; the lattice is orthogonal for any angles."""

import math

import pytest
import pywt
import torch

from swt_time.wavelets import FreeFilters, LatticeFilters, filter_bank, iswt, swt
from swt_time.wavelets.lattice import LONGEST, angles_of, lattice_filters

ORTHOGONAL = [name for name in pywt.wavelist(kind="discrete") if pywt.Wavelet(name).orthogonal and name != "dmey"]
SHORT = [name for name in ORTHOGONAL if pywt.Wavelet(name).dec_len <= LONGEST]
LONG = [name for name in ORTHOGONAL if pywt.Wavelet(name).dec_len > LONGEST]


def filters(bank):
    return torch.stack((bank.dec_lo, bank.dec_hi, bank.rec_lo, bank.rec_hi))


def train(module: torch.nn.Module, penalty: float = 0.0, steps: int = 25) -> None:
    """Fit the filters to a random target, so that every parameter changes."""
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    noise = torch.Generator().manual_seed(1)
    for _ in range(steps):
        x = torch.randn(4, 64, generator=noise)
        loss = (swt(x, module(), 2) - torch.randn(4, 3, 64, generator=noise)).square().mean()
        if penalty:
            loss = loss + penalty * module.penalty()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def double_shift_error(taps: torch.Tensor) -> float:
    """Largest error of the inner products with the filter's own even shifts, which should be 1 and 0."""
    count = len(taps)
    inner = [float(taps[: count - 2 * k] @ taps[2 * k :]) - (k == 0) for k in range(count // 2)]
    return max(abs(value) for value in inner)


@pytest.mark.parametrize("name", SHORT)
def test_both_kinds_are_initialised_as_the_named_wavelet(name):
    for kind in (LatticeFilters, FreeFilters):
        assert (filters(kind(name)()) - filters(filter_bank(name))).abs().max() < 1e-6


@pytest.mark.parametrize("name", ["bior2.2", "bior6.8", "rbio3.9", "db38", "coif17", "dmey"])
def test_free_filters_accept_any_wavelet(name):
    assert (filters(FreeFilters(name)()) - filters(filter_bank(name))).abs().max() < 1e-6


@pytest.mark.parametrize("count", [0, 1, 3, 7, 14])
def test_any_angles_give_an_orthogonal_bank_with_a_zero_mean_high_pass(count):
    free = torch.randn(count, dtype=torch.float64, generator=torch.Generator().manual_seed(count))
    low, high = lattice_filters(free)
    assert len(low) == len(high) == 2 * count + 2
    assert high.sum().abs() < 1e-12
    assert low.sum() == pytest.approx(math.sqrt(2), abs=1e-12)
    assert double_shift_error(low) < 1e-12
    assert double_shift_error(high) < 1e-12
    for k in range(-count, count + 1):
        shifted = torch.roll(torch.nn.functional.pad(high, (2 * count, 2 * count)), 2 * k)
        assert (torch.nn.functional.pad(low, (2 * count, 2 * count)) @ shifted).abs() < 1e-12


@pytest.mark.parametrize("name", ["haar", "db4", "sym8", "coif5"])
def test_the_lattice_reconstructs_and_conserves_energy_after_training(name):
    bank = LatticeFilters(name)
    before = filters(bank()).detach()
    train(bank)
    after = bank()
    if name != "haar":  # it has no free angle
        assert (filters(after) - before).abs().max() > 0.05
    x = torch.randn(3, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        bands = swt(x, after, 3, norm=True)
        assert (iswt(bands, after, norm=True) - x).abs().max() < 1e-8
    torch.testing.assert_close(bands.square().sum((1, 2)), x.square().sum(1), rtol=1e-8, atol=0)
    assert after.dec_hi.sum().abs() < 1e-12


def test_the_penalty_is_zero_for_wavelets_and_positive_for_other_filters():
    for name in ("haar", "db4", "bior4.4", "rbio3.1"):
        assert FreeFilters(name).penalty() < 1e-10
    bank = FreeFilters("db4")
    with torch.no_grad():
        bank.dec_lo.mul_(1.1)
    # Both products in the distortion grow by 1.1, so its centre is 2.2 instead of 2, and the rest stays zero.
    assert bank.penalty().item() == pytest.approx(0.04, rel=1e-4)


def test_the_penalty_equals_the_reconstruction_error_of_an_impulse():
    """With one level and no norm, transform and inverse together convolve with half the distortion."""
    bank = FreeFilters("db2")
    with torch.no_grad():
        for parameter in bank.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    impulse = torch.zeros(32)
    impulse[10] = 1.0
    back = iswt(swt(impulse, bank(), 1), bank())
    torch.testing.assert_close((2 * (back - impulse)).square().sum(), bank.penalty())
    assert bank.penalty() > 0.01


def test_training_with_the_penalty_reduces_the_reconstruction_error():
    without, with_penalty = FreeFilters("db4"), FreeFilters("db4")
    train(without)
    train(with_penalty, penalty=10.0)
    assert with_penalty.penalty() < 0.1 * without.penalty()


@pytest.mark.parametrize("name", LONG[::6])
def test_long_wavelets_are_refused_for_the_lattice(name):
    with pytest.raises(ValueError, match=f"at most 30 taps .* got {name} with .* end taps vanish; use .*'free'") as e:
        LatticeFilters(name)
    assert "double precision" in str(e.value)


@pytest.mark.parametrize("name", ["bior4.4", "rbio2.2"])
def test_biorthogonal_wavelets_are_refused_for_the_lattice(name):
    with pytest.raises(ValueError, match=f"orthogonal wavelet .* got {name}.*haar, db, sym, coif"):
        LatticeFilters(name)


def test_gradients_reach_the_angles():
    free = angles_of(filter_bank("db3").dec_lo).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: torch.stack(lattice_filters(f)), (free,))


def test_learnable_filters_with_the_causal_boundary():
    """The time reversal is fixed when the bank is created, so training cannot change it."""
    bank = LatticeFilters("db4")
    x = torch.randn(2, 64)
    assert (swt(x, bank(), 2, "causal") - swt(x, "db4", 2, "causal")).abs().max() < 1e-5
    with torch.no_grad():
        bank.angles.add_(2.0)
    assert bank().turned == (True, False)
