"""A host program's settings, threads and copies change no number."""

import copy
import io
import os
import pickle
import subprocess
import sys
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from swt_time import Forecaster
from swt_time.config import Config
from swt_time.layers import WaveletPatchEmbedding
from swt_time.model import build_model

SMALL = {"horizon": 12, "context": 48, "seed": 3, "max_steps": 4, "batch_size": 8, "level": 2, "d_model": 8}
SMALL["keep_branch"] = True  # without its branch the closed form is a map beside the layers
KINDS = {
    "closed form": {"backbone": "none"},
    "lattice": {"backbone": "none", "learnable": "lattice", "model": {"skip": "linear", "dropout": 0.3}},
    "free": {"backbone": "attention", "learnable": "free", "shrink": "soft", "n_heads": 2},
    "language model": {"d_ff": 16, "n_heads": 2, "n_prototypes": 16, "precision": "float32"},
}


def fitted(kind: str, table: pd.DataFrame, backbones) -> Forecaster:
    options = {**SMALL, **KINDS[kind]}
    if kind == "language model":
        options["backbone"] = str(backbones["gpt2"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Forecaster(**options).fit(table)


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def expected(kind, hourly_wide, tiny_backbones):
    forecaster = fitted(kind, hourly_wide, tiny_backbones)
    return forecaster, forecaster.predict(hourly_wide)


@pytest.mark.parametrize("copier", ["pickle", "deepcopy", "torch.save"])
def test_a_copy_forecasts_equally(kind, expected, hourly_wide, copier):
    forecaster, forecast = expected
    if copier == "torch.save":
        buffer = io.BytesIO()
        torch.save(forecaster.model, buffer)
        buffer.seek(0)
        model = torch.load(buffer, weights_only=False)
        x = torch.randn(2, 48, 1)
        with torch.no_grad():
            assert torch.equal(model(x), forecaster.model(x))
        return
    other = pickle.loads(pickle.dumps(forecaster)) if copier == "pickle" else copy.deepcopy(forecaster)
    pd.testing.assert_frame_equal(other.predict(hourly_wide), forecast)
    # The copy is a copy: changing its weights leaves the original alone.
    with torch.no_grad():
        for weight in other.model.trained_state().values():
            weight.add_(1)
    assert not other.predict(hourly_wide).equals(forecast)
    pd.testing.assert_frame_equal(forecaster.predict(hourly_wide), forecast)


def test_eval_neither_adds_nor_removes_buffers(expected):
    model = copy.deepcopy(expected[0].model)
    names = {name for name, _ in model.named_buffers()}
    for mode in (True, False):
        model.train(mode)
        with torch.no_grad():
            model(torch.randn(2, 48, 1))
        assert {name for name, _ in model.named_buffers()} == names


def test_averaged_and_stacked_models_work(hourly_wide):
    forecaster = Forecaster(**SMALL, backbone="none", model={"skip": "linear"}).fit(hourly_wide)
    model = forecaster.model
    x = torch.randn(2, 48, 1)
    averaged = torch.optim.swa_utils.AveragedModel(model)
    averaged.update_parameters(model)
    with torch.no_grad():
        torch.testing.assert_close(averaged.eval()(x), model(x))
    parameters, buffers = torch.func.stack_module_state([model, copy.deepcopy(model)])
    assert all(len(one) == 2 for one in (*parameters.values(), *buffers.values()))


class Float64:
    def __enter__(self):
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *error):
        assert torch.get_default_dtype() == torch.float64
        torch.set_default_dtype(torch.float32)


HOSTS = {
    "float64 by default": Float64,
    "no gradients": torch.no_grad,
    "inference mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "meta by default": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("host", HOSTS)
def test_settings_of_the_host_change_no_number(kind, expected, host, hourly_wide, tiny_backbones, tmp_path):
    forecaster, forecast = expected
    with HOSTS[host]():
        again = fitted(kind, hourly_wide, tiny_backbones)
        pd.testing.assert_frame_equal(again.predict(hourly_wide), forecast)
        pd.testing.assert_frame_equal(forecaster.predict(hourly_wide), forecast)
        again.save(tmp_path / "m")
        pd.testing.assert_frame_equal(Forecaster.load(tmp_path / "m", device="cpu").predict(hourly_wide), forecast)
    for name, weight in forecaster.model.trained_state().items():
        assert torch.equal(weight, again.model.trained_state()[name]), name
        assert weight.dtype == again.model.trained_state()[name].dtype


def test_equal_seeds_give_equal_weights_in_threads(hourly_wide, tiny_backbones):
    expected = fitted("lattice", hourly_wide, tiny_backbones).model.trained_state()
    found = {}

    def work(index: int) -> None:
        found[index] = fitted("lattice", hourly_wide, tiny_backbones).model.trained_state()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in range(4):
        for name, weight in expected.items():
            assert torch.equal(found[index][name], weight), name


def test_a_fit_leaves_the_generator_of_the_host_alone(hourly_wide, tiny_backbones):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    fitted("lattice", hourly_wide, tiny_backbones)
    assert torch.equal(torch.get_rng_state(), before)


def test_fake_and_meta_tensors_poison_no_cache():
    embedding = WaveletPatchEmbedding(8, wavelet="sym6").eval()
    x = torch.randn(2, 1, 96)
    with torch.no_grad():
        before = embedding(x)
        embedding.eval()
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            embedding(mode.from_tensor(x))
            WaveletPatchEmbedding(8, wavelet="sym7")
        assert torch.equal(embedding(x), before)
        with torch.device("meta"):
            WaveletPatchEmbedding(8, wavelet="coif2")
        for name in ("sym7", "coif2"):
            assert np.isfinite(WaveletPatchEmbedding(8, wavelet=name).eval()(x)).all()


@pytest.mark.parametrize("how", ["to_empty", "assign"])
@pytest.mark.parametrize("learnable", ["none", "lattice", "free"])
def test_an_embedding_made_without_data_gets_it_later(how, learnable):
    made = WaveletPatchEmbedding(8, learnable=learnable).eval()
    with torch.device("meta"):
        empty = WaveletPatchEmbedding(8, learnable=learnable)
    if how == "to_empty":
        empty.to_empty(device="cpu").load_state_dict(made.state_dict())
    else:
        empty.load_state_dict(made.state_dict(), assign=True)
    x = torch.randn(2, 1, 96)
    with torch.no_grad():
        assert torch.equal(empty.eval()(x), made(x))


def test_a_model_is_made_with_its_data_whatever_the_default_device_is():
    config = Config.parse({"data": {"context": 48, "horizon": 12}, "backbone": {"name": "none"}})
    with torch.device("meta"):
        model = build_model(config)
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"cpu"}


FORKED = """
import os, sys, warnings
import numpy as np, pandas as pd, torch
from swt_time import Forecaster

warnings.simplefilter("ignore")
torch.set_num_threads(2)
hours = np.arange(2000)
table = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=2000, freq="h"),
                      **{f"y{i}": np.sin(hours / 4 + i) for i in range(20)}})
forecaster = Forecaster(horizon=96, context=512, backbone="transformer", max_steps=2, d_model=16, device="cpu",
                        model={"skip": "linear"}).fit(table)
expected = forecaster.predict(table)
child = os.fork()
if child == 0:
    torch.set_num_threads(1)
    np.testing.assert_allclose(forecaster.predict(table)["yhat"], expected["yhat"], atol=1e-5)
    forecaster.save(sys.argv[1])
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert len(Forecaster.load(sys.argv[1], device="cpu").predict(table)) == len(expected)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_with_one_thread_forecasts_and_saves(tmp_path):
    """As the README says: PyTorch's threads do not survive a fork, and a child that uses them waits forever."""
    words = [sys.executable, "-c", FORKED, tmp_path / "model"]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    run = subprocess.run(words, capture_output=True, text=True, timeout=240, env=environment)
    assert run.returncode == 0, run.stderr
