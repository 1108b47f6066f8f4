"""The same command writes equal weights and forecasts, byte for byte, in one process and in fresh processes."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from swt_time.cli import run

pytestmark = pytest.mark.usefixtures("claims_on_record")

CLAIMS = {
    "test_the_same_command_twice_in_one_process": (
        "determinism",
        "the same command twice in one process writes equal bytes",
    ),
    "test_the_same_command_in_two_fresh_processes": (
        "determinism",
        "the same command in two fresh processes writes equal bytes",
    ),
}

SETTINGS = (
    "embedding.d_model=8 embedding.level=2 model.d_ff=8 model.n_heads=2 model.n_prototypes=16 training.batch_size=16"
)
RANDOM = (
    "model.dropout=0.3 model.attention_dropout=0.2 embedding.dropout=0.1 embedding.positions=band "
    "model.skip=linear"  # beside the closed form, trained weights without gain would be discarded
)
KINDS = {
    "none": ("none", 12),
    "transformer": ("transformer", 4),
    "bert": ("bert", 2),
    "gpt2": ("gpt2", 2),
    "llama": ("llama", 2),
    "minilm": ("minilm", 2),
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, hourly_wide: pd.DataFrame) -> Path:
    path = tmp_path_factory.mktemp("determinism") / "table.csv"
    hourly_wide.to_csv(path, index=False)
    return path


def commands(table: Path, folder: Path, backbone: object, steps: int, *more: object) -> list[list[str]]:
    """Return the arguments of a train and a forecast command."""
    settings = [word for one in f"{SETTINGS} {RANDOM}".split() for word in ("--set", one)]
    shape = ("--horizon", 12, "--context", 48, "--backbone", backbone, "--max-steps", steps)
    train = ("train", "--data", table, "--out", folder / "model", *shape, *settings, *more)
    forecast = ("forecast", "--model", folder / "model", "--data", table, "--out", folder / "forecast.csv")
    return [list(map(str, words)) for words in (train, forecast)]


def results(folder: Path) -> dict[str, bytes]:
    """Return the files that must be equal: weights, scaler, configuration and forecast."""
    names = ("model/model.safetensors", "model/scaler.json", "model/config.json", "forecast.csv")
    return {name: (folder / name).read_bytes() for name in names}


def in_this_process(table: Path, folder: Path, *arguments: object) -> dict[str, bytes]:
    for words in commands(table, folder, *arguments):
        assert run(words) == 0
    return results(folder)


def in_a_fresh_process(table: Path, folder: Path, *arguments: object, hash_seed: int) -> dict[str, bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": str(hash_seed)}
    for words in commands(table, folder, *arguments):
        done = subprocess.run(
            [sys.executable, "-m", "swt_time", *words], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
    return results(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_command_twice_in_one_process(table, tiny_backbones, tmp_path, kind):
    name, steps = KINDS[kind]
    backbone = tiny_backbones.get(name, name)
    first = in_this_process(table, tmp_path / "first", backbone, steps)
    assert in_this_process(table, tmp_path / "second", backbone, steps) == first


@pytest.mark.parametrize("kind", ["none", pytest.param("gpt2", marks=pytest.mark.slow)])
def test_the_same_command_in_two_fresh_processes(table, tiny_backbones, tmp_path, kind):
    """Each process has another hash seed; the result is also equal in this process, which has run other code before."""
    name, steps = KINDS[kind]
    backbone = tiny_backbones.get(name, name)
    first = in_a_fresh_process(table, tmp_path / "first", backbone, steps, hash_seed=1)
    assert in_a_fresh_process(table, tmp_path / "second", backbone, steps, hash_seed=2) == first
    assert in_this_process(table, tmp_path / "third", backbone, steps) == first


def test_another_seed_gives_another_model(table, tmp_path):
    """The control of the tests above: a model without randomness would pass them."""
    first = in_this_process(table, tmp_path / "first", "none", 12)
    other = in_this_process(table, tmp_path / "other", "none", 12, "--seed", 1)
    assert [name for name in first if first[name] != other[name]] == [
        "model/model.safetensors",
        "model/config.json",
        "forecast.csv",
    ]
