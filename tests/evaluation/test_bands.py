"""Bands of a series: shares of the energy, reconstruction, and the command that draws them."""

import numpy as np
import pytest
import pywt
import torch

from swt_time import Forecaster
from swt_time.checkpoints.checkpoint import read_checkpoint
from swt_time.errors import ConfigError
from swt_time.evaluation.bands import decompose


def series(steps=256, seed=0):
    return 40 + np.random.default_rng(seed).normal(size=steps).cumsum()


def test_bands_equal_pywavelets():
    x = series()
    z = (x - x.mean()) / x.std()
    theirs = np.stack(pywt.swt(z, "db4", 3, trim_approx=True, norm=True))
    found = decompose(x, wavelet="db4", level=3, boundary="periodic")
    np.testing.assert_allclose(found.coefficients, theirs, atol=1e-10)
    assert found.names == ["A_3", "D_3", "D_2", "D_1"]
    # With an orthogonal wavelet, periodic boundary and normalisation, the energy of the bands is that of the series.
    assert (found.coefficients**2).sum() == pytest.approx((z**2).sum(), rel=1e-10)
    np.testing.assert_allclose(found.share, (theirs**2).sum(1) / (z**2).sum(), rtol=1e-10)


@pytest.mark.parametrize("boundary", ["periodic", "reflect", "replicate", "zero", "causal"])
def test_bands_reconstruct_the_series(boundary):
    assert decompose(series(), wavelet="db2", level=2, boundary=boundary).error < 1e-8


def test_slow_wave_is_in_the_approximation_and_fast_wave_in_the_finest_detail():
    n = np.arange(256)
    slow = decompose(np.sin(2 * np.pi * n / 128), wavelet="db4", level=3, boundary="periodic")
    fast = decompose(np.cos(np.pi * n), wavelet="db4", level=3, boundary="periodic")
    assert slow.share[0] > 0.99
    assert fast.share[-1] > 0.99


def test_constant_series_gives_finite_bands():
    found = decompose(np.full(64, 7.0), wavelet="haar", level=2, boundary="reflect")
    assert np.isfinite(found.coefficients).all()
    assert found.error == 0


def test_wrong_wavelet_is_named():
    with pytest.raises(ConfigError, match="db4x"):
        decompose(series(), wavelet="db4x", level=2, boundary="reflect")


def test_command_draws_the_bands_of_a_series(swt_time, tmp_path, hourly_wide):
    hourly_wide.to_csv(tmp_path / "table.csv", index=False)
    data = ("--data", tmp_path / "table.csv", "--out", tmp_path / "bands.png")
    run = swt_time("bands", *data, "--series", "load", "--level", 4)
    assert run.stdout.count("of the energy") == 5
    assert (tmp_path / "bands.png").stat().st_size > 20_000
    assert "did you mean 'load'" in swt_time("bands", *data, "--series", "lod", check=False).stderr
    assert swt_time("bands", *data, "--level", 12, check=False).returncode == 2


def test_command_uses_the_filters_and_weights_of_a_model(swt_time, tmp_path, hourly_wide):
    hourly_wide.to_csv(tmp_path / "table.csv", index=False)
    Forecaster(
        horizon=12,
        context=48,
        backbone="none",
        max_steps=20,
        d_model=8,
        level=2,
        band_weights="softmax",
        learnable="lattice",
        learning_rate=0.05,
        skip="linear",
    ).fit(hourly_wide).save(tmp_path / "model")
    data = ("--data", tmp_path / "table.csv", "--out", tmp_path / "bands.png")
    learned = swt_time("bands", *data, "--model", tmp_path / "model").stdout
    named = swt_time("bands", *data, "--level", 2).stdout
    assert learned.count("of the energy") == named.count("of the energy") == 3
    assert learned != named
    weights = read_checkpoint(tmp_path / "model").build_embedding().weights()
    assert weights.sum().item() == pytest.approx(3)
    assert not torch.allclose(weights, torch.ones(3), atol=1e-3)


def test_model_with_plain_patches_has_no_bands(swt_time, tmp_path, hourly_wide):
    hourly_wide.to_csv(tmp_path / "table.csv", index=False)
    small = {"horizon": 12, "context": 48, "backbone": "none", "max_steps": 2, "d_model": 8}
    Forecaster(**small, kind="patch").fit(hourly_wide).save(tmp_path / "model")
    run = swt_time(
        *("bands", "--data", tmp_path / "table.csv", "--out", tmp_path / "b.png", "--model", tmp_path / "model"),
        check=False,
    )
    assert run.returncode == 2
    assert "plain patch embedding" in run.stderr
