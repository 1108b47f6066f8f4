"""All commands and snippets of docs/export.md run, in order, in one folder, and forecast what Python does."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from swt_time import Forecaster, cli

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")


SLOW = "## A language model"
"""From here on the page needs a language model."""


def blocks(language, text):
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    rng, hours = np.random.default_rng(0), np.arange(900)
    table = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=900, freq="h")})
    table["demand"] = 50 + 12 * np.sin(2 * np.pi * hours / 24) + rng.normal(size=900)
    table["wind"] = 8 + 0.1 * rng.normal(size=900).cumsum()
    table.to_csv(root / "demand.csv", index=False)
    return root


def run(text, folder, monkeypatch):
    """Run the commands of a text, then its snippets; return the names that are defined after each snippet."""
    monkeypatch.chdir(folder)
    for line in "".join(blocks("console", text)).splitlines():
        program, *words = shlex.split(re.sub(r"--max-time \w+", "--max-steps 2", line.removeprefix("$ ")))
        assert program == "swt-time"
        assert cli.run(words) == 0, line
    names, found = {}, []
    for snippet in blocks("python", text):
        exec(compile(snippet, "export.md", "exec"), names)
        found.append(dict(names))
    return found


def test_graphs_forecast_the_table(folder, monkeypatch):
    alone, network = run(PAGE[: PAGE.index(SLOW)], folder, monkeypatch)
    expected = Forecaster.load("closed").predict(alone["table"])
    for name, column in (("yhat", "yhat"), ("low", "yhat-lo-80"), ("high", "yhat-hi-80")):
        np.testing.assert_allclose(alone[name][0], series(expected, column), rtol=1e-12)
    expected = Forecaster.load("network").predict(alone["table"])
    for output, column in zip((network["yhat"], *network["intervals"]), expected.columns[2:], strict=True):
        np.testing.assert_allclose(output[0], series(expected, column), rtol=1e-5)


def series(forecast, column):
    return forecast[column].to_numpy().reshape(2, 24).T


@pytest.mark.slow
def test_a_program_forecasts_windows(folder, monkeypatch):
    (names,) = run(PAGE[PAGE.index(SLOW) :], folder, monkeypatch)
    with torch.no_grad():
        expected = Forecaster.load("worded").model(names["context"])
    torch.testing.assert_close(names["forecast"], expected, rtol=1e-4, atol=1e-4)


def test_the_readme_leads_to_the_page():
    assert "(docs/export.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
