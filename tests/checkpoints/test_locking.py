"""One writer a folder: the second is refused, the dead one hinders nobody."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from swt_time.checkpoints import locking
from swt_time.checkpoints.locking import LOCK, check_unlocked, locked
from swt_time.errors import CheckpointError, SWTTimeWarning

HOLDER = """
import sys, time
from pathlib import Path
from swt_time.checkpoints.locking import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of the folder ``m``."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / "m"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_process_is_refused_and_told_of_the_first(tmp_path, holder):
    for attempt in (lambda: locked(tmp_path / "m").__enter__(), lambda: check_unlocked(tmp_path / "m")):
        with pytest.raises(CheckpointError, match=rf"another process \(pid {holder.pid}\) is writing to the folder"):
            attempt()


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "m" / LOCK).read_text() == f"{holder.pid}\n"
    check_unlocked(tmp_path / "m")
    with locked(tmp_path / "m"):
        assert (tmp_path / "m" / LOCK).read_text() == f"{os.getpid()}\n"


def test_the_lock_holds_within_one_process_too(tmp_path):
    with (
        locked(tmp_path / "m"),
        pytest.raises(CheckpointError, match=f"pid {os.getpid()}"),
        locked(tmp_path / "m"),
    ):
        raise AssertionError
    with locked(tmp_path / "m"):
        pass


def test_nothing_is_left_of_a_folder_that_nothing_was_put_into(tmp_path):
    with locked(tmp_path / "deep" / "m"):
        assert (tmp_path / "deep" / "m" / LOCK).is_file()
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path / "deep" / "m"):
        (tmp_path / "deep" / "m" / "file").write_text("x")
    assert os.listdir(tmp_path / "deep" / "m") == ["file"]
    check_unlocked(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_lock_file_that_was_removed_while_we_waited_is_nobodys(tmp_path, monkeypatch):
    lock = locking._lock
    removed = []

    def slow(descriptor):
        if not removed:
            removed.append((tmp_path / LOCK).unlink())
        lock(descriptor)

    monkeypatch.setattr(locking, "_lock", slow)
    with locked(tmp_path), pytest.raises(CheckpointError), locked(tmp_path):
        raise AssertionError
    assert len(removed) == 1


def test_a_file_system_without_locks_is_noted(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locking, "_lock", refuse)
    with pytest.warns(SWTTimeWarning, match="has no locks"), locked(tmp_path / "m"):
        assert (tmp_path / "m").is_dir()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CheckpointError, match="cannot write the output folder"), locked(tmp_path / "file" / "m"):
        raise AssertionError
