"""One small case for every command that reads or writes files: its inputs, its outputs, and its words."""

import contextlib
import shutil
import signal
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from swt_time import Forecaster
from swt_time.language.loading import load_language_model
from swt_time.training import Step

TINY = {"horizon": 12, "context": 48, "patch_len": 8, "stride": 8, "d_model": 4, "level": 1, "batch_size": 16}
TINY |= {"keep_branch": True}
SHORT = {"max_steps": 6, "validate_every": 3, "checkpoint_every": 1, "validation_windows": 4, "device": "cpu"}

TRAIN = ["--horizon", 12, "--context", 48, "--backbone", "none", "--max-steps", 2]
for _key, _value in {"patch_len": 8, "stride": 8, "d_model": 4, "level": 1}.items():
    TRAIN += ["--set", f"embedding.{_key}={_value}"]
TRAIN += ["--set", "training.validation_windows=4", "--set", "training.checkpoint_every=1"]

IMPORT = ["--context", 48, "--horizon", 12, "--d-model", 8, "--d-ff", 8, "--n-heads", 2, "--prototypes", "free"]

ABLATE = ["--preset", "fast", "--seeds", 0, "--horizons", 12, "--context", 48, "--set", "embedding.level=2"]
ABLATE += ["--axis", "model.dropout=0.2", "--plot", "differences.png"]

TUNE = ["--preset", "fast", "--trials", 2, "--horizon", 12, "--context", 48, "--set", "embedding.level=2"]
TUNE += ["--search", "data.context=36,48"]

COMMANDS = {
    "train": ["train", "--data", "table.csv", "--out", "model", "--overwrite", *TRAIN],
    "resume": ["train", "--data", "table.csv", "--out", "stopped", "--resume"],
    "forecast": ["forecast", "--model", "model", "--data", "table.csv", "--out", "forecast.csv"],
    "forecast without a model": ["forecast", "--data", "table.csv", "--horizon", 12, "--out", "forecast.csv"],
    "plot": ["forecast", "--model", "model", "--data", "table.csv", "--out", "f.parquet", "--plot", "forecast.png"],
    "evaluate": ["evaluate", "--model", "model", "--data", "table.csv"],
    "by series": ["evaluate", "--model", "model", "--data", "table.csv", "--by-series", "series.csv"],
    "backtest": ["backtest", "--model", "model", "--data", "table.csv", "--windows", 2, "--out", "folds.csv"],
    "report": ["report", "--model", "model", "--data", "table.csv", "--out", "report.html", "--windows", 1],
    "info": ["info", "--model", "model"],
    "bands": ["bands", "--model", "model", "--data", "table.csv", "--out", "bands.png"],
    "import": ["import", "weights.pth", "--out", "model", "--overwrite", "--backbone", "gpt2", *IMPORT],
    "convert": ["backbone", "convert", "pickled", "converted"],
    "export": ["export", "model.onnx", "--model", "model"],
    "ablate": ["ablate", "--data", "table.csv", "--out", "results.csv", *ABLATE],
    "tune": ["tune", "--data", "table.csv", "--study", "study.log", "--out", "best.toml", *TUNE],
}
"""The words of each command; names of files are relative to the folder of the case."""

FILES = {"table.csv", "model", "stopped", "weights.pth", "gpt2", "pickled"}
OUTPUTS = {
    "train": {"model"},
    "resume": {"stopped"},
    "forecast": {"forecast.csv"},
    "forecast without a model": {"forecast.csv"},
    "plot": {"f.parquet", "forecast.png"},
    "evaluate": set(),
    "by series": {"series.csv"},
    "backtest": {"folds.csv"},
    "report": {"report.html"},
    "info": set(),
    "bands": {"bands.png"},
    "import": {"model"},
    "convert": {"converted"},
    "export": {"model.onnx"},
    "ablate": {"results.csv", "differences.png"},
    "tune": {"study.log", "best.toml"},
}
"""What each command may write."""

EXISTING = {"forecast.csv", "f.parquet", "forecast.png", "bands.png", "series.csv", "folds.csv", "model.onnx"}
EXISTING |= {"report.html", "best.toml"}
"""Outputs that exist before the command, with the content ``old``."""


def words_of(command: str, folder: Path) -> list[object]:
    """The words of a command whose files are in a folder."""
    names = FILES | OUTPUTS[command]
    return [folder / word if isinstance(word, str) and word in names else word for word in COMMANDS[command]]


def make_case(folder: Path, backbone: Path) -> None:
    """Create the inputs of every command: a table, a model, a stopped run, a state dict of an original, a backbone."""
    folder.mkdir()
    hours = np.arange(220)
    y = np.sin(2 * np.pi * hours / 24) + 0.1 * np.random.default_rng(0).standard_normal(220)
    table = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=220, freq="h"), "load": y})
    table.to_csv(folder / "table.csv", index=False)
    shutil.copytree(backbone, folder / "gpt2")
    shutil.copytree(backbone, folder / "pickled", ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save(load_file(backbone / "model.safetensors"), folder / "pickled" / "pytorch_model.bin")
    torch.save(original_state(backbone), folder / "weights.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Forecaster(backbone="none", seed=3, **TINY, **SHORT).fit(table, out=folder / "model")

        def stop(event):
            if isinstance(event, Step) and event.step == 4:
                signal.raise_signal(signal.SIGINT)

        with contextlib.suppress(KeyboardInterrupt):
            Forecaster(backbone="none", seed=3, **TINY, **SHORT).fit(table, out=folder / "stopped", report=stop)
    assert (folder / "stopped" / ".training").is_dir()
    for name in EXISTING:
        (folder / name).write_text("old")


def original_state(backbone: Path) -> dict[str, torch.Tensor]:
    """A state dict of Time-LLM with the sizes in ``IMPORT``."""
    words, width = load_language_model(str(backbone), precision="float32").word_embeddings.shape
    shapes = {
        "mapping_layer": (20, words),
        "reprogramming_layer.query_projection": (16, 8),
        "reprogramming_layer.key_projection": (16, width),
        "reprogramming_layer.value_projection": (16, width),
        "reprogramming_layer.out_projection": (width, 16),
        "output_projection.linear": (12, 8 * 6),
    }
    state = {f"{name}.weight": torch.ones(shape) for name, shape in shapes.items()}
    state |= {f"{name}.bias": torch.ones(shape[0]) for name, shape in shapes.items()}
    return state | {"patch_embedding.value_embedding.tokenConv.weight": torch.ones(8, 16, 3)}
