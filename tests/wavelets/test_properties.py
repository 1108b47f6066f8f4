"""Properties for random wavelet, level, length, boundary and dtype (Hypothesis; see HYPOTHESIS_PROFILE)."""

import pytest
import pywt
import torch
from hypothesis import given
from hypothesis import strategies as st

from swt_time.wavelets import BOUNDARIES, iswt, swt

WAVELETS = pywt.wavelist(kind="discrete")
ORTHOGONAL = [name for name in WAVELETS if pywt.Wavelet(name).orthogonal and name != "dmey"]
INVERTED = [name for name in WAVELETS if name != "dmey"]
SHORT = [name for name in INVERTED if pywt.Wavelet(name).dec_len <= 10]
"""Short enough that the bands determine the newest samples in double precision, for every boundary."""
TOLERANCE = {torch.float64: 1e-9, torch.float32: 2e-4, torch.bfloat16: 0.06, torch.float16: 0.008}
"""Relative to the largest coefficient; half precision also rounds the inputs of a sum."""


@st.composite
def signals(draw, dtypes=(torch.float64, torch.float32)):
    """A batch of two random signals of any length and dtype, and a level that fits the length."""
    level = draw(st.integers(1, 5))
    length = draw(st.integers(2**level, 130))
    seed = draw(st.integers(0, 2**31 - 1))
    x = torch.randn(2, length, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return x.to(draw(st.sampled_from(dtypes))), level


def assert_near(got: torch.Tensor, expected: torch.Tensor, scale: float, dtype: torch.dtype) -> None:
    assert (got.double() - expected.double()).abs().max() <= TOLERANCE[dtype] * max(scale, 1.0)


@given(signals(tuple(TOLERANCE)), st.sampled_from(WAVELETS), st.sampled_from(BOUNDARIES), st.floats(-3, 3))
def test_linear(signal, name, boundary, factor):
    x, level = signal
    bands = swt(torch.stack((x[0], x[1], x[0] + factor * x[1])), name, level, boundary)
    expected = bands[0].double() + factor * bands[1].double()
    assert_near(bands[2], expected, float(bands.abs().max()) * max(1, abs(factor)), x.dtype)


@given(signals(), st.sampled_from(WAVELETS), st.integers(0, 130), st.booleans())
def test_shift_equivariant(signal, name, shift, norm):
    """With the periodic boundary, the bands of a rolled signal are the rolled bands."""
    x, level = signal
    bands = swt(x, name, level, norm=norm)
    assert_near(swt(x.roll(shift, -1), name, level, norm=norm), bands.roll(shift, -1), bands.abs().max(), x.dtype)


@given(signals(), st.sampled_from(INVERTED), st.booleans())
def test_inversion(signal, name, norm):
    x, level = signal
    bands = swt(x, name, level, norm=norm)
    assert_near(iswt(bands, name, norm=norm), x, float(bands.abs().max()), x.dtype)


@given(
    signals((torch.float64,)),
    st.sampled_from(SHORT),
    st.sampled_from(["reflect", "replicate", "zero", "causal"]),
    st.booleans(),
)
def test_inversion_by_least_squares(signal, name, boundary, norm):
    x, level = signal
    back = iswt(swt(x, name, level, boundary, norm), name, boundary, norm)
    assert (back - x).abs().max() < 1e-6


@given(signals(), st.sampled_from(ORTHOGONAL))
def test_energy(signal, name):
    """Orthogonal wavelet, periodic boundary: conserved with norm; without, if bands are weighted by 2**-j."""
    x, level = signal
    energy = swt(x, name, level, norm=True).double().square().sum()
    assert energy == pytest.approx(float(x.double().square().sum()), rel=1e-5)
    weight = torch.tensor([2.0**-j for j in (level, *range(level, 0, -1))], dtype=torch.float64)
    weighted = (swt(x, name, level).double().square().sum((0, 2)) * weight).sum()
    assert weighted == pytest.approx(float(x.double().square().sum()), rel=1e-5)


@given(signals(), st.sampled_from(WAVELETS), st.data())
def test_causal_ignores_the_future(signal, name, data):
    x, level = signal
    at = data.draw(st.integers(1, x.shape[-1] - 1))
    changed = x.clone()
    changed[:, at] += 1.0
    before, after = swt(x, name, level, "causal"), swt(changed, name, level, "causal")
    assert torch.equal(before[..., :at], after[..., :at])
    if x.dtype == torch.float64 and name in SHORT:
        assert (before[..., at] != after[..., at]).all()
