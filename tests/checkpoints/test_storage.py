"""Folders replaced atomically: an error or a kill at any system call leaves a complete set of files."""

import contextlib
import errno
import os
import shutil
import threading

import numpy as np
import pytest
import torch

from support import trust
from swt_time.checkpoints.checkpoint import FILES as CHECKPOINT_FILES
from swt_time.checkpoints.checkpoint import Checkpoint, TrainedOn, read_checkpoint, write_checkpoint
from swt_time.checkpoints.run_state import FILES as RUN_FILES
from swt_time.checkpoints.run_state import FOLDER, SavedRun, read_run, write_run
from swt_time.checkpoints.storage import (
    MANIFEST,
    NEW,
    NEXT,
    Location,
    holds_files,
    read_files,
    remove_files,
    replace_files,
)
from swt_time.config import Config
from swt_time.errors import CheckpointError, SaveError
from swt_time.folders import Folder
from swt_time.training import Validation
from swt_time.training.state import TrainingState

FORMER = {"a.json": b"{}", "b.bin": bytes(range(256)) * 40}
LATTER = {"a.json": b'{"new": 1}', "b.bin": bytes(range(255, -1, -1)) * 50}
NAMES = dict.fromkeys(FORMER, 2**20)
COMMAND = "python -m pytest tests/checkpoints/test_storage.py"


class Stop(BaseException):
    """Simulates the death of the process; no code of the library may catch it."""


CALLS = (
    "mkdir",
    "open",
    "write",
    "fsync",
    "close",
    "replace",
    "rmdir",
    "unlink",
    "listdir",
    "scandir",
    "stat",
    "fstat",
)


def opens_folder(name, options):
    """Whether a call opens a folder by its path, which is the only file that is not opened relative to another."""
    return name == "open" and "dir_fd" not in options


class SystemCalls:
    """Records the system calls of a write, and raises an error at one of them."""

    def __init__(self, monkeypatch, fail_at=None, error=None):
        self.names, self.fail_at, self.error, self.dead = [], fail_at, error, False
        for name in CALLS:
            monkeypatch.setattr(os, name, self.watch(name, getattr(os, name)))

    def watch(self, name, call):
        def watched(*arguments, **options):
            if name == "write" and not self.dead:
                descriptor, data = arguments
                self.reach(name, lambda: call(descriptor, data[: len(data) // 2]))  # a full disk accepts only a part
            elif name == "close":
                self.reach(name, lambda: call(*arguments))  # a descriptor is closed in any case
            else:
                commit = arguments[:2] == (NEW, NEXT)
                self.reach(f"commit {name}" if commit else f"{name} folder" if opens_folder(name, options) else name)
            return call(*arguments, **options)

        return watched

    def reach(self, name, before_error=lambda: None):
        if self.dead:
            raise self.error
        self.names.append(name)
        if self.fail_at == len(self.names):
            self.dead = isinstance(self.error, Stop)  # a dead process cleans up nothing
            before_error()
            raise self.error


def calls_of_a_write(folder):
    with pytest.MonkeyPatch.context() as patch:
        calls = SystemCalls(patch)
        replace_files(Location(folder), LATTER, "checkpoint")
    return calls.names


def test_files_are_read_back_as_written(tmp_path):
    replace_files(Location(tmp_path / "m"), FORMER, "checkpoint")
    assert read_files(Location(tmp_path / "m"), NAMES, "checkpoint") == FORMER
    replace_files(Location(tmp_path / "m"), LATTER, "checkpoint")
    assert read_files(Location(tmp_path / "m"), NAMES, "checkpoint") == LATTER
    assert sorted(os.listdir(tmp_path / "m")) == [*NAMES, MANIFEST]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EXDEV, errno.EIO], ids=errno.errorcode.get)
def test_error_at_any_system_call_is_raised_and_leaves_complete_files(tmp_path, code):
    replace_files(Location(tmp_path / "count"), FORMER, "checkpoint")
    names = calls_of_a_write(tmp_path / "count")
    assert {"mkdir", "open", "write", "fsync", "commit replace", "replace", "rmdir", "stat"} <= set(names)
    commit = names.index("commit replace") + 1
    passed = 0
    for number in range(1, len(names) + 1):
        folder = tmp_path / f"{number}"
        replace_files(Location(folder), FORMER, "checkpoint")
        with pytest.MonkeyPatch.context() as patch:
            SystemCalls(patch, number, OSError(code, os.strerror(code)))
            # A folder that cannot be listed is opened in another way.
            mended = code == errno.EACCES and names[number - 1] == "open folder"
            message = rf"cannot save the checkpoint .*{number}: {os.strerror(code)}; what was .* is intact"
            with contextlib.nullcontext() if mended else pytest.raises(SaveError, match=message):
                replace_files(Location(folder), LATTER, "checkpoint")
        expected = FORMER if number <= commit and not mended else LATTER
        assert read_files(Location(folder), NAMES, "checkpoint") == expected, names[number - 1]
        replace_files(Location(folder), LATTER, "checkpoint")
        assert read_files(Location(folder), NAMES, "checkpoint") == LATTER
        assert sorted(os.listdir(folder)) == [*NAMES, MANIFEST]
        passed += 1
    claim = f"{errno.errorcode[code]} at each system call of a save: a typed error, and the checkpoint is intact"
    trust.record("trust_resume.csv", "crash safety", claim, len(names), passed, COMMAND)


@pytest.mark.parametrize("before", [FORMER, None], ids=["replaced", "first"])
def test_death_at_any_system_call_leaves_complete_files(tmp_path, before):
    """Also between the renames. A reader needs no repair, and the next write removes what was left."""
    if before:
        replace_files(Location(tmp_path / "count"), before, "checkpoint")
    names = calls_of_a_write(tmp_path / "count")
    seen = []
    for number in range(1, len(names) + 1):
        folder = tmp_path / f"{number}"
        if before:
            replace_files(Location(folder), before, "checkpoint")
        with pytest.MonkeyPatch.context() as patch:
            SystemCalls(patch, number, Stop())
            with pytest.raises(Stop):
                replace_files(Location(folder), LATTER, "checkpoint")
        seen.append(read_files(Location(folder), NAMES, "checkpoint") if holds_files(Location(folder)) else None)
        replace_files(Location(folder), FORMER, "checkpoint")
        assert read_files(Location(folder), NAMES, "checkpoint") == FORMER
        assert sorted(os.listdir(folder)) == [*NAMES, MANIFEST]
    commit = names.index("commit replace") + 1
    assert seen == [before] * commit + [LATTER] * (len(names) - commit)


def test_mixture_of_old_and_new_files_is_detected(tmp_path):
    """Control of the two tests above: files that were not replaced together are refused."""
    replace_files(Location(tmp_path / "m"), FORMER, "checkpoint")
    shutil.copytree(tmp_path / "m", tmp_path / "n")
    replace_files(Location(tmp_path / "n"), LATTER, "checkpoint")
    os.replace(tmp_path / "n" / "b.bin", tmp_path / "m" / "b.bin")
    with pytest.raises(CheckpointError, match=r"b\.bin is not what was written"):
        read_files(Location(tmp_path / "m"), NAMES, "checkpoint")


def test_readers_during_writes_see_complete_files(tmp_path):
    folder = tmp_path / "m"
    replace_files(Location(folder), FORMER, "checkpoint")
    enough, seen = threading.Event(), []

    def write():
        for turn in range(10_000):
            if enough.is_set():
                return
            replace_files(Location(folder), LATTER if turn % 2 else FORMER, "checkpoint")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        # How often the reader runs between two writes depends on the machine and its load.
        while writer.is_alive() and not (len(seen) >= 60 and FORMER in seen and LATTER in seen):
            seen.append(read_files(Location(folder), NAMES, "checkpoint"))
    finally:
        enough.set()
        writer.join()
    assert all(content in (FORMER, LATTER) for content in seen)
    assert FORMER in seen
    assert LATTER in seen


def test_reader_returns_files_replaced_while_it_reads(tmp_path, monkeypatch):
    folder, read = tmp_path / "m", Folder.read
    replace_files(Location(folder), FORMER, "checkpoint")

    def read_and_write(place, *arguments):
        try:
            return read(place, *arguments)
        finally:
            if not (folder / NEXT).exists():
                shutil.copytree(tmp_path / "n", folder / NEXT)  # as a writer that dies after the rename leaves it

    replace_files(Location(tmp_path / "n"), LATTER, "checkpoint")
    monkeypatch.setattr(Folder, "read", read_and_write)
    assert read_files(Location(folder), NAMES, "checkpoint") == LATTER


def test_only_written_files_are_removed(tmp_path):
    replace_files(Location(tmp_path / "m"), FORMER, "state")
    (tmp_path / "m" / NEW).mkdir()
    (tmp_path / "m" / NEXT).mkdir()
    (tmp_path / "m" / "mine.txt").write_text("x")
    remove_files(Location(tmp_path / "m"), NAMES)
    assert os.listdir(tmp_path / "m") == ["mine.txt"]
    (tmp_path / "m" / "mine.txt").unlink()
    remove_files(Location(tmp_path / "m"), NAMES)
    assert not (tmp_path / "m").exists()
    remove_files(Location(tmp_path / "m"), NAMES)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"null", b"{}", b'{"files": 3}', b'{"files": {"a.json": 1}}', b"[" * 60_000, b"9" * 9000]
)
def test_malformed_manifest_is_refused(tmp_path, text):
    replace_files(Location(tmp_path / "m"), FORMER, "checkpoint")
    (tmp_path / "m" / MANIFEST).write_bytes(text)
    with pytest.raises(CheckpointError, match=r"manifest\.json is not what was written"):
        read_files(Location(tmp_path / "m"), NAMES, "checkpoint")


def test_manifest_of_other_files_is_refused(tmp_path):
    replace_files(Location(tmp_path / "m"), {**FORMER, "c": b""}, "checkpoint")
    with pytest.raises(CheckpointError, match=r"manifest\.json is not what was written"):
        read_files(Location(tmp_path / "m"), NAMES, "checkpoint")


def save_both(folder):
    """Save a checkpoint with a training state in it."""
    # Few weights: the state must hold at least as many as the configuration describes.
    sizes = {"embedding": {"kind": "patch", "d_model": 1}, "model": {"skip": "none"}}
    config = Config.parse({"data": {"context": 48, "horizon": 12}, "backbone": {"name": "none"}, **sizes})
    weights = {"head.linear.bias": torch.arange(300.0)}
    history = [Validation(1, 0.1, 0.5, None, 1e-3, None, 20.0, 2.5, True)]
    write_checkpoint(folder, Checkpoint(config, weights, TrainedOn.unknown(), None, {"seed": 0}, history))
    write_run(folder, SavedRun(config, "0" * 64, None, TrainingState({"steps": 3}, {"weights/a": torch.arange(300.0)})))


def test_thousand_flips_and_truncations_are_refused_by_name(tmp_path):
    folder = tmp_path / "m"
    save_both(folder)
    files = [folder / name for name in (*CHECKPOINT_FILES, MANIFEST)]
    files += [folder / FOLDER / name for name in (*RUN_FILES, MANIFEST)]
    random = np.random.default_rng(0)
    cases, rejected = 1000, []
    for case in range(cases):
        path = files[case % len(files)]
        whole = path.read_bytes()
        place = int(random.integers(len(whole)))
        if case // len(files) % 2:
            path.write_bytes(whole[:place])
        else:
            changed = bytearray(whole)
            changed[place] ^= int(random.integers(1, 256))
            path.write_bytes(changed)
        with pytest.raises(CheckpointError) as refused:
            (read_run if path.parent.name == FOLDER else read_checkpoint)(folder)
        rejected.append(f": {path.name} is not what was written" in str(refused.value))
        path.write_bytes(whole)
    read_run(folder)
    read_checkpoint(folder)
    claim = "files of a checkpoint with random byte flips or truncations are refused by name"
    trust.record("trust_resume.csv", "integrity", claim, cases, sum(rejected), COMMAND)
    assert all(rejected)


def test_unchanged_copy_is_accepted(tmp_path):
    save_both(tmp_path / "m")
    shutil.copytree(tmp_path / "m", tmp_path / "copy")
    assert read_checkpoint(tmp_path / "copy").provenance == {"seed": 0}
    assert read_run(tmp_path / "copy").state.progress == {"steps": 3}
