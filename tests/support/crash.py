"""Kill tiny training runs at random moments, resume them, and report the outcome of each.

Run as a program by test_crash.py: ``crash.py FOLDER KILLS SEED`` prints one JSON object per line. The libraries are
loaded once and every run is a fork; nothing is computed before a fork, since threads do not survive it. Only the runs
to be killed are patched: they report their step and whether they are writing through shared memory, and their writes
are slowed down so that kills can be aimed at them.
"""

import json
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch._dynamo  # noqa: F401  optimisers import it

import swt_time.checkpoints.checkpoint
import swt_time.checkpoints.run_state
import swt_time.checkpoints.storage
import swt_time.training.loop
from swt_time import Forecaster
from swt_time.checkpoints.checkpoint import holds_checkpoint, read_checkpoint
from swt_time.checkpoints.run_state import read_run

EVERY = 3
STEPS = 18
SLOWER = 0.004
"""Seconds by which each flush of a file is slowed down."""

ATTEMPTS = 10
"""Maximum number of attempts per kill; a run may end before it is killed."""


def table():
    hours = np.arange(220)
    y = np.sin(2 * np.pi * hours / 24) + 0.1 * np.random.default_rng(0).standard_normal(220)
    return pd.DataFrame({"date": pd.date_range("2024-01-01", periods=220, freq="h"), "load": y})


def make():
    tiny = {"horizon": 4, "context": 24, "patch_len": 8, "stride": 8, "d_model": 4, "level": 1, "batch_size": 8}
    often = {"max_steps": STEPS, "checkpoint_every": EVERY, "validate_every": 6, "validation_windows": 4}
    return Forecaster(backbone="none", seed=0, model={"dropout": 0.3}, device="cpu", **tiny, **often)


class Board:
    """Memory shared with a run: steps done, writes started, whether one is in progress, seconds of the last one."""

    def __init__(self):
        self.memory = mmap.mmap(-1, 32)

    def read(self):
        return struct.unpack("qqqd", self.memory[:32])

    def write(self, done, writes, writing, seconds):
        self.memory[:32] = struct.pack("qqqd", done, writes, writing, seconds)


def watch(board):
    """Patch this process: slow down its flushes, and keep the board up to date."""
    step, replace, fsync = swt_time.training.loop._Run._step, swt_time.checkpoints.storage.replace_files, os.fsync

    def reported_step(self, index):
        step(self, index)
        _, writes, writing, seconds = board.read()
        board.write(index + 1, writes, writing, seconds)

    def reported_replace(*arguments):
        done, writes, _, seconds = board.read()
        board.write(done, writes + 1, 1, seconds)
        began = time.monotonic()
        replace(*arguments)
        board.write(done, writes + 1, 0, time.monotonic() - began)

    def slow_fsync(descriptor):
        fsync(descriptor)
        time.sleep(SLOWER)

    swt_time.training.loop._Run._step = reported_step
    swt_time.checkpoints.checkpoint.replace_files = swt_time.checkpoints.run_state.replace_files = reported_replace
    os.fsync = slow_fsync


def fork(work):
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        torch.set_num_threads(1)
        warnings.simplefilter("ignore")
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    os._exit(code)


def train(folder, **options):
    return fork(lambda: make().fit(table(), out=folder, **options))


def finish(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_one(folder, dice, aimed, seconds):
    """Start a run and kill it, during a write if ``aimed``, else at a random time; return the signal that ended it."""
    board = Board()

    def watched():
        watch(board)
        make().fit(table(), out=folder)

    child = fork(watched)
    if aimed:
        target = dice.randint(1, 9)  # a run writes six states and four checkpoints
        while board.read()[1] < target and os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.0005)
        time.sleep(dice.uniform(0, 0.03))
    else:
        time.sleep(dice.uniform(0, seconds))
    try:
        os.kill(child, signal.SIGKILL)
        code = finish(child)
    except (ProcessLookupError, ChildProcessError):
        code = 0  # the run ended before it was killed
    done, _, writing, _ = board.read()
    return -code, done, bool(writing)


def saved_steps(folder):
    """Return the number of steps that are saved; raises if any saved files are incomplete."""
    checkpoint = read_checkpoint(folder) if holds_checkpoint(folder) else None
    run = read_run(folder)
    if run is not None and run.state is not None:
        return run.state.progress["steps"]
    training = checkpoint.provenance["training"] if checkpoint else {"ended": "running"}
    return training["steps"] if training["ended"] == "finished" else 0


def main():
    root, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    dice = random.Random(seed)
    assert finish(train(root / "whole")) == 0
    expected = (root / "whole" / "model.safetensors").read_bytes()
    board = Board()
    began = time.monotonic()
    watched = fork(lambda: (watch(board), make().fit(table(), out=root / "watched")))
    assert finish(watched) == 0
    seconds = time.monotonic() - began
    count = 0
    for _ in range(ATTEMPTS * kills):
        if count == kills:
            break
        folder = root / "m"
        shutil.rmtree(folder, ignore_errors=True)
        ended_by, done, writing = kill_one(folder, dice, count % 4 != 0, seconds)
        if ended_by != signal.SIGKILL:
            continue
        count += 1
        case = {"signal": ended_by, "done": done, "writing": writing}
        try:
            case["saved"] = saved_steps(folder)
            case["resumed"] = finish(train(folder, resume=True)) == 0
            case["equal"] = (folder / "model.safetensors").read_bytes() == expected
            case["left"] = sorted(path.name for path in folder.iterdir())
        except Exception as error:
            case["error"] = repr(error)
        print(json.dumps(case), flush=True)


if __name__ == "__main__":
    main()
