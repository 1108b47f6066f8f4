"""SIGKILL at random moments, many of them during a save: every run resumes and ends with the bits of one not killed."""

import json
import os
import signal
import subprocess
import sys

import pytest

from support import crash, trust
from support.crash import EVERY, STEPS
from swt_time.checkpoints.checkpoint import FILES

COMMAND = 'python -m pytest -m "slow or not slow" tests/checkpoints/test_crash.py'


def kill_runs(folder, kills, seed):
    """Kill and resume that many runs; the cases that ``support/crash.py`` reports."""
    run = subprocess.run(
        [sys.executable, crash.__file__, folder, str(kills), str(seed)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr
    cases = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(cases) == kills
    assert {case["signal"] for case in cases} == {signal.SIGKILL}
    assert any(0 < case["done"] < STEPS for case in cases)
    assert any(case["writing"] for case in cases)
    return cases


def survived(case):
    """Whether a killed run resumed from complete files, lost at most one interval, and ended with equal bits."""
    resumed = case.get("resumed") and case["equal"] and case["left"] == sorted([*FILES, "manifest.json"])
    return bool(resumed and 0 <= case["done"] - case["saved"] <= EVERY)


def test_killed_runs_resume(tmp_path):
    cases = kill_runs(tmp_path, 8, seed=1)
    assert any(case["saved"] for case in cases)
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
    assert len(writing) >= 100
    assert all(map(survived, cases)), [case for case in cases if not survived(case)]


def test_case_that_lost_something_does_not_count_as_survived():
    good = {"done": 7, "saved": 6, "resumed": True, "equal": True, "left": sorted([*FILES, "manifest.json"])}
    assert survived(good)
    for flaw in ({"saved": 3}, {"saved": 9}, {"resumed": False}, {"equal": False}, {"left": []}):
        assert not survived({**good, **flaw}), flaw
    assert not survived({"done": 7, "writing": True, "error": "CheckpointError()"})
