"""Kill tiny training runs at random moments, resume them, and say what became of each.

Run as a program by test_crash.py: ``crash.py FOLDER KILLS SEED``; prints one JSON object a line. The libraries are
loaded once; every run is a fork. (Nothing is computed before a fork: threads do not survive it.) The forks are patched,
the product is not: a run tells its step and whether it is writing through shared memory, and its writes are slowed, so
that kills can be aimed at them.
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
import torch._dynamo  # optimisers import it

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
"""Seconds that each flush of a file takes longer."""


def table():
    hours = np.arange(220)
    y = np.sin(2 * np.pi * hours / 24) + 0.1 * np.random.default_rng(0).standard_normal(220)
    return pd.DataFrame({"date": pd.date_range("2024-01-01", periods=220, freq="h"), "load": y})


def make():
    tiny = {"horizon": 4, "context": 24, "patch_len": 8, "stride": 8, "d_model": 4, "level": 1, "batch_size": 8}
    often = {"max_steps": STEPS, "checkpoint_every": EVERY, "validate_every": 6, "validation_windows": 4}
    return Forecaster(backbone="none", seed=0, model={"dropout": 0.3}, device="cpu", **tiny, **often)


class Board:
    """What a run tells its killer: steps done, writes begun, whether one goes on, seconds that the last one took."""

    def __init__(self):
        self.memory = mmap.mmap(-1, 32)

    def read(self):
        return struct.unpack("qqqd", self.memory[:32])

    def write(self, done, writes, writing, seconds):
        self.memory[:32] = struct.pack("qqqd", done, writes, writing, seconds)


def watch(board):
    """Patch this process: slower flushes, and a board that is kept up to date."""
    step, replace, fsync = swt_time.training.loop._Run._step, swt_time.checkpoints.storage.replace_files, os.fsync

    def told_step(self, number):
        step(self, number)
        _, writes, writing, seconds = board.read()
        board.write(number + 1, writes, writing, seconds)

    def told_replace(*arguments):
        done, writes, _, seconds = board.read()
        board.write(done, writes + 1, 1, seconds)
        began = time.monotonic()
        replace(*arguments)
        board.write(done, writes + 1, 0, time.monotonic() - began)

    def slow_fsync(descriptor):
        fsync(descriptor)
        time.sleep(SLOWER)

    swt_time.training.loop._Run._step = told_step
    swt_time.checkpoints.checkpoint.replace_files = swt_time.checkpoints.run_state.replace_files = told_replace
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
    """Start a run and kill it: within a write, or at any time of the seconds that a run takes."""
    board = Board()

    def watched():
        watch(board)
        make().fit(table(), out=folder)

    child = fork(watched)
    if aimed:
        target = dice.randint(1, 9)  # six states and four checkpoints are written in all
        while board.read()[1] < target and os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.0005)
        time.sleep(dice.uniform(0, 0.03))
    else:
        time.sleep(dice.uniform(0, seconds))
    try:
        os.kill(child, signal.SIGKILL)
        ended = finish(child)
    except (ProcessLookupError, ChildProcessError):
        ended = 0
    done, _, writing, _ = board.read()
    return ended, done, bool(writing)


def saved_steps(folder):
    """Steps that need not be taken again; every set of files that is there must be whole."""
    checkpoint = read_checkpoint(folder) if holds_checkpoint(folder) else None
    run = read_run(folder)
    if run is not None:
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
    while count < kills:
        folder = root / "m"
        shutil.rmtree(folder, ignore_errors=True)
        ended, done, writing = kill_one(folder, dice, count % 4 != 0, seconds)
        if ended != -signal.SIGKILL:
            continue  # it was done before it could be killed
        count += 1
        case = {"done": done, "writing": writing}
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
