"""Malformed environment variables end in no traceback."""

import os
import subprocess
import sys

import pytest

from swt_time.cli import BUG

MALFORMED = [
    *("OMP_NUM_THREADS=abc", "OMP_NUM_THREADS=-1", "COLUMNS=-1", "COLUMNS=abc", "LINES=-1", "TERM=nonsense"),
    *("TERMINAL_WIDTH=x", "TERMINAL_WIDTH=-4", "HF_HOME=/dev/null", "HF_HUB_OFFLINE=maybe", "XDG_CACHE_HOME=/dev/null"),
    *("TMPDIR=/nowhere", "HOME=/nowhere", "TZ=nonsense", "LC_ALL=nonsense", "GIT_DIR=/nowhere"),
    *("CUDA_VISIBLE_DEVICES=abc", "MPLBACKEND=nonsense", "PATH="),
]


def program(*words: str, **variables: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, **variables}
    words = (sys.executable, "-m", "swt_time", *words)
    return subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment)


@pytest.mark.parametrize("variable", MALFORMED)
def test_help_is_shown(variable):
    name, _, value = variable.partition("=")
    run = program("train", "--help", **{name: value})
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("variable", MALFORMED)
def test_info_is_shown(variable):
    """Loads torch, transformers and git."""
    name, _, value = variable.partition("=")
    run = program("info", **{name: value})
    assert run.returncode == 0
    assert "Traceback" not in run.stderr
    assert BUG not in run.stderr
