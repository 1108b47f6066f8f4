"""Locks: one writer per folder; the lock of a dead process blocks nobody."""

import errno
import os
import signal
import subprocess
import sys
import threading

import pytest

from swt_time.checkpoints import locking
from swt_time.checkpoints.locking import LOCK, check_unlocked, lock_file, locked
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


@pytest.fixture
def descriptors(tmp_path):
    """Two descriptors of one file."""
    both = [os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT) for _ in range(2)]
    yield both
    for descriptor in both:
        os.close(descriptor)


def test_lock_that_is_held_is_refused_or_waited_for(descriptors):
    first, second = descriptors
    assert lock_file(first, wait=False)
    with pytest.raises(OSError) as refused:
        lock_file(second, wait=False)
    assert refused.value.errno not in locking.UNSUPPORTED
    events = []

    def wait():
        lock_file(second, wait=True)
        events.append("locked")

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(timeout=0.3)
    events.append("released")
    locking.fcntl.flock(first, locking.fcntl.LOCK_UN)
    waiting.join(timeout=30)
    assert events == ["released", "locked"]


def test_second_process_is_refused_with_the_id_of_the_first(tmp_path, holder):
    for attempt in (lambda: locked(tmp_path / "m").__enter__(), lambda: check_unlocked(tmp_path / "m")):
        with pytest.raises(CheckpointError, match=rf"another process \(pid {holder.pid}\) is writing to the folder"):
            attempt()


def test_lock_of_a_dead_process_is_taken_over(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    assert holder.wait() == -signal.SIGKILL
    assert (tmp_path / "m" / LOCK).read_text() == f"{holder.pid}\n"
    check_unlocked(tmp_path / "m")
    with locked(tmp_path / "m"):
        assert (tmp_path / "m" / LOCK).read_text() == f"{os.getpid()}\n"


def test_lock_excludes_a_second_holder_in_the_same_process(tmp_path):
    with (
        locked(tmp_path / "m"),
        pytest.raises(CheckpointError, match=f"pid {os.getpid()}"),
        locked(tmp_path / "m"),
    ):
        raise AssertionError
    with locked(tmp_path / "m"):
        pass


def test_folder_is_removed_if_nothing_was_written_into_it(tmp_path):
    with locked(tmp_path / "deep" / "m"):
        assert (tmp_path / "deep" / "m" / LOCK).is_file()
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path / "deep" / "m"):
        (tmp_path / "deep" / "m" / "file").write_text("x")
    assert os.listdir(tmp_path / "deep" / "m") == ["file"]
    check_unlocked(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_lock_on_a_file_removed_before_it_was_taken_does_not_count(tmp_path, monkeypatch):
    lock = locking.lock_file
    removed = []

    def slow(descriptor, *, wait):
        if not removed:
            removed.append((tmp_path / LOCK).unlink())
        return lock(descriptor, wait=wait)

    monkeypatch.setattr(locking, "lock_file", slow)
    with locked(tmp_path), pytest.raises(CheckpointError), locked(tmp_path):
        raise AssertionError
    assert len(removed) == 1


def test_file_system_without_locks_gives_a_warning(tmp_path, monkeypatch):
    def refuse(descriptor, *, wait):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locking, "lock_file", refuse)
    with pytest.warns(SWTTimeWarning, match="has no locks"), locked(tmp_path / "m"):
        assert (tmp_path / "m").is_dir()


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.EBADF, errno.EINTR], ids=errno.errorcode.get)
def test_lock_that_fails_for_another_reason_does_not_blame_a_holder(tmp_path, monkeypatch, code):
    def refuse(descriptor, *, wait):
        raise OSError(code, os.strerror(code))

    (tmp_path / "m").mkdir()
    (tmp_path / "m" / LOCK).write_text("4194304\n")
    before = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    monkeypatch.setattr(locking, "lock_file", refuse)
    for attempt in (lambda: locked(tmp_path / "m").__enter__(), lambda: check_unlocked(tmp_path / "m")):
        with pytest.raises(CheckpointError) as refused:
            attempt()
        assert f"{LOCK}: {os.strerror(code)}; no other process is known" in str(refused.value)
        assert "is writing" not in str(refused.value)
    assert (tmp_path / "m" / LOCK).read_text() == "4194304\n"
    assert before is None or set(os.listdir("/proc/self/fd")) == before


def test_check_changes_nothing(tmp_path):
    (tmp_path / LOCK).write_text("4194304\n")
    facts = (tmp_path / LOCK).stat()
    check_unlocked(tmp_path)
    after = (tmp_path / LOCK).stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_size) == (facts.st_ino, facts.st_mtime_ns, facts.st_size)


@pytest.mark.parametrize("existing", [True, False])
def test_link_in_place_of_the_lock_is_refused(tmp_path, existing):
    """Neither truncated nor created."""
    (tmp_path / "m").mkdir()
    if existing:
        (tmp_path / "mine").write_text("mine")
    (tmp_path / "m" / LOCK).symlink_to(tmp_path / "mine")
    for attempt in (lambda: locked(tmp_path / "m").__enter__(), lambda: check_unlocked(tmp_path / "m")):
        with pytest.raises(CheckpointError, match=r"cannot use .*\.lock: .* found a symbolic link"):
            attempt()
    assert (tmp_path / "mine").exists() == existing
    assert not existing or (tmp_path / "mine").read_text() == "mine"


def test_lock_file_that_cannot_be_written_is_not_changed(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root writes to every file")
    (tmp_path / LOCK).write_text("4194304\n")
    (tmp_path / LOCK).chmod(0o400)
    with pytest.raises(CheckpointError, match="Permission denied"), locked(tmp_path):
        raise AssertionError
    assert (tmp_path / LOCK).read_text() == "4194304\n"


def test_parents_are_removed_if_the_folder_cannot_be_created(tmp_path):
    with pytest.raises(CheckpointError, match="File name too long"), locked(tmp_path / "new" / ("n" * 300)):
        raise AssertionError
    assert list(tmp_path.iterdir()) == []


def fork(work):
    """Run a function in a forked child; return its exit code."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked_child_leaves_the_lock_to_its_parent(tmp_path):
    lock = tmp_path / "m" / LOCK
    holding = locked(tmp_path / "m")
    holding.__enter__()
    assert fork(lambda: holding.__exit__(None, None, None)) == 0  # as when the child leaves the block by an exception
    assert lock.read_text() == f"{os.getpid()}\n"
    with pytest.raises(CheckpointError, match="another process"):
        check_unlocked(tmp_path / "m")
    assert fork(lambda: check_unlocked(tmp_path / "m")) == 1

    # A child that outlives its parent does not hold the lock any longer.
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(ready[1], b"x")
        os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    holding.__exit__(None, None, None)
    assert not lock.exists()
    with locked(tmp_path / "m"):
        pass
    os.write(done[1], b"x")
    os.waitpid(child, 0)
    for descriptor in (*ready, *done):
        os.close(descriptor)


def test_folder_that_cannot_be_created_is_an_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CheckpointError, match="cannot write the output folder"), locked(tmp_path / "file" / "m"):
        raise AssertionError
