"""All snippets and commands of docs/hub.md run, in order, in one folder."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from swt_time import SWTTimeWarning, cli

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "hub.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_snippets_and_commands_run(hub, capsys):
    hours = np.arange(500)
    demand = 50 + 12 * np.sin(2 * np.pi * hours / 24) + np.random.default_rng(0).normal(size=500)
    dates = pd.date_range("2024-01-01", periods=500, freq="h")
    pd.DataFrame({"date": dates, "demand": demand}).to_csv("demand.csv", index=False)
    names = {}
    for snippet in blocks("python"):
        exec(compile(snippet, "hub.md", "exec"), names)
    pd.testing.assert_frame_equal(names["forecast"], names["forecaster"].predict(names["table"]), check_exact=True)
    commands = "".join(blocks("console")).splitlines()
    assert len(commands) == 2
    for line in commands:
        with pytest.warns(SWTTimeWarning, match=f"took commit {names['commit']}"):
            assert cli.run(shlex.split(line.removeprefix("$ "))[1:]) == 0, line
    written = pd.read_csv("forecast.csv")
    np.testing.assert_allclose(written["yhat"], names["forecast"]["yhat"], rtol=1e-12)


def test_links_exist():
    targets = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert targets
    assert all((ROOT / "docs" / target).is_file() for target in targets)


def test_the_readme_leads_to_the_page():
    assert "(docs/hub.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
