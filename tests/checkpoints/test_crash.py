"""SIGKILL at random moments, many of them within a save: every run resumes, and ends with the bits of a whole one."""

import json
import os
import subprocess
import sys

import pytest

from support import crash, trust
from support.crash import EVERY
from swt_time.checkpoints.checkpoint import FILES

COMMAND = 'python -m pytest -m "slow or not slow" tests/checkpoints/test_crash.py'


def kill_runs(folder, kills, seed):
    run = subprocess.run(
        [sys.executable, crash.__file__, folder, str(kills), str(seed)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def survived(case):
    """It was resumed from something whole, lost no more than one interval, and ended as if nothing had happened."""
    whole = case.get("resumed") and case["equal"] and case["left"] == sorted([*FILES, "manifest.json"])
    return bool(whole and 0 <= case["done"] - case["saved"] <= EVERY)


def test_killed_runs_resume(tmp_path):
    cases = kill_runs(tmp_path, 8, seed=1)
    assert len(cases) == 8
    assert all(map(survived, cases)), cases


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_two_hundred_killed_runs_resume(tmp_path):
    cases = kill_runs(tmp_path, 200, seed=0)
    writing = [case for case in cases if case["writing"]]
    for claim, found in (
        ("runs killed at random moments resume, repeat at most one interval, and end bit for bit the same", cases),
        ("runs killed while writing a checkpoint or training state do so too (subset of the former)", writing),
    ):
        trust.record("trust_resume.csv", "crash safety", claim, len(found), sum(map(survived, found)), COMMAND)
    assert len(cases) == 200
    assert len(writing) >= 100
    assert all(map(survived, cases)), [case for case in cases if not survived(case)]


def test_a_case_that_lost_something_is_seen():
    good = {"done": 7, "saved": 6, "resumed": True, "equal": True, "left": sorted([*FILES, "manifest.json"])}
    assert survived(good)
    for flaw in ({"saved": 3}, {"saved": 9}, {"resumed": False}, {"equal": False}, {"left": []}):
        assert not survived({**good, **flaw}), flaw
    assert not survived({"done": 7, "writing": True, "error": "CheckpointError()"})
