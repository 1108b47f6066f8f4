"""Training and forecasting on a GPU: the same forecasts as on a CPU, in every precision, compiled or not."""

import os
import signal

import numpy as np
import pytest
import torch

from support.models import TINY
from swt_time import Forecaster
from swt_time.training.events import Step

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

STAND_INS = ("none", "attention", "transformer")
EXACT = {"model": {"dropout": 0.0}}
"""Options without chance: dropout draws other numbers on a GPU."""
ROUNDING = 1e-5
"""Largest difference of two equal runs, of whose sums on a GPU the order is not fixed (gradients of attention)."""


def make(backbone, **options):
    small = {"horizon": 12, "context": 48, "max_steps": 8, "validation_windows": 16, "device": "cuda", **TINY}
    return Forecaster(backbone=str(backbone), **{**small, **options})


def values(forecaster, table):
    return forecaster.predict(table).select_dtypes("number").to_numpy()


def difference(one, other):
    """Largest difference of two forecasts, as a share of the standard deviation of the second."""
    return np.abs(one - other).max() / other.std()


@pytest.mark.parametrize("name", [*STAND_INS, "bert", "gpt2", "llama"])
def test_a_model_of_a_gpu_forecasts_alike_on_a_cpu(tiny_backbones, name, hourly_wide, tmp_path):
    make(tiny_backbones.get(name, name)).fit(hourly_wide).save(tmp_path / "m")
    on_gpu, on_cpu = (Forecaster.load(tmp_path / "m", device=device) for device in ("cuda", "cpu"))
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.max_memory_allocated()
    forecast = values(on_gpu, hourly_wide)
    assert torch.cuda.max_memory_allocated() > before, "control: the forecast was computed on the GPU"
    assert difference(forecast, values(on_cpu, hourly_wide)) < 1e-4


@pytest.mark.parametrize("name", ["transformer", "gpt2"])
def test_training_on_a_gpu_and_on_a_cpu_differs_by_rounding_only(tiny_backbones, name, hourly_wide):
    gpu, cpu = (
        make(tiny_backbones.get(name, name), device=device, **EXACT).fit(hourly_wide) for device in ("cuda", "cpu")
    )
    assert difference(values(gpu, hourly_wide), values(cpu, hourly_wide)) < 1e-2


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_on_a_gpu(tiny_backbones, family, precision, hourly_wide):
    half, full = (make(tiny_backbones[family], precision=p).fit(hourly_wide) for p in (precision, "float32"))
    assert difference(values(half, hourly_wide), values(full, hourly_wide)) < 0.1


def test_compiled_training_on_a_gpu(tiny_backbones, family, hourly_wide):
    plain, compiled = (make(tiny_backbones[family], compile=on, **EXACT).fit(hourly_wide) for on in (False, True))
    assert difference(values(compiled, hourly_wide), values(plain, hourly_wide)) < 1e-2


def test_equal_seeds_give_equal_forecasts_on_a_gpu(tiny_backbones, hourly_wide):
    first, again = (values(make(tiny_backbones["gpt2"]).fit(hourly_wide), hourly_wide) for _ in range(2))
    assert difference(first, again) < ROUNDING


@pytest.mark.parametrize("tune", ["none", "norms", "lora"])
def test_a_resumed_run_ends_as_a_whole_one_on_a_gpu(tiny_backbones, tune, hourly_wide, tmp_path):
    if tune == "lora":
        pytest.importorskip("peft")

    def stop(event):
        if isinstance(event, Step) and event.step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    whole, cut = (make(tiny_backbones["gpt2"], tune=tune) for _ in range(2))
    whole.fit(hourly_wide, out=tmp_path / "whole")
    with pytest.raises(SystemExit):
        cut.fit(hourly_wide, out=tmp_path / "cut", report=stop)
    torch.rand(7, device="cuda")  # the states of the global generators must not matter
    again = make(tiny_backbones["gpt2"], tune=tune).fit(hourly_wide, out=tmp_path / "cut", resume=True)
    assert whole.result.steps == again.result.steps
    assert difference(values(again, hourly_wide), values(whole, hourly_wide)) < ROUNDING


@pytest.mark.parametrize("name", ["transformer", "llama"])
def test_forecasts_with_intervals_from_several_cutoffs_are_those_of_a_cpu(tiny_backbones, name, hourly_wide, tmp_path):
    make(tiny_backbones.get(name, name)).fit(hourly_wide).save(tmp_path / "m")
    on_gpu, on_cpu = (
        Forecaster.load(tmp_path / "m", device=device).cross_validation(hourly_wide, windows=4).select_dtypes("number")
        for device in ("cuda", "cpu")
    )
    assert on_gpu.shape == on_cpu.shape
    assert difference(on_gpu.to_numpy(), on_cpu.to_numpy()) < 1e-4
