"""Entries of a folder are used without following a link, waiting for a pipe, or leaving half a file."""

import errno
import os
import re

import pytest

from swt_time.data.writing import check_output
from swt_time.errors import CheckpointError, InputError
from swt_time.exporting.files import check_target
from swt_time.folders import Folder, explained, replace_file
from swt_time.pictures import check_picture
from swt_time.report import check_report

LONGEST = 255
"""Most bytes of a file name."""


@pytest.fixture
def inside(tmp_path):
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "inside").mkdir()
    with Folder(tmp_path / "inside", CheckpointError) as folder:
        yield folder


def test_files_and_folders_are_written_read_renamed_and_removed(inside):
    inside.make("sub")
    with inside.enter("sub") as sub:
        sub.write("a", b"123")
        assert sub.read("a", 3) == b"123"
        assert sub.names() == ["a"]
        assert sub.has("a", "file")
        assert not sub.has("b", "file")
        with pytest.raises(CheckpointError, match="sub/a: expected at most 2 bytes, got 3"):
            sub.read("a", 2)
        with pytest.raises(FileExistsError):
            sub.write("a", b"")
        sub.rename("a", "b", inside)
        assert sub.names() == []
    inside.remove_folder("sub")
    inside.remove_folder("sub", content=True)
    inside.flush()
    assert inside.read("b", 3) == b"123"
    inside.remove("b")
    inside.remove("b")
    assert inside.names() == []
    with pytest.raises(FileNotFoundError):
        inside.enter("sub")


def test_a_link_is_not_followed_by_any_operation(inside, tmp_path):
    (inside.path / "link").symlink_to(tmp_path / "mine")
    (inside.path / "dangling").symlink_to(tmp_path / "none")
    (inside.path / "folder").symlink_to(tmp_path)
    inside.make("tree")
    (inside.path / "tree" / "link").symlink_to(tmp_path)
    for refused in (
        lambda: inside.read("link", 9),
        lambda: inside.open_file("dangling", os.O_RDWR | os.O_CREAT),
        lambda: inside.open_file("link", os.O_RDWR | os.O_TRUNC),
        lambda: inside.enter("folder"),
        lambda: inside.has("folder", "folder"),
        lambda: inside.remove_folder("folder", content=True),
    ):
        with pytest.raises(CheckpointError, match="found a symbolic link; replace it by the file or folder itself"):
            refused()
    for name in ("link", "dangling"):
        with pytest.raises(FileExistsError):
            inside.write(name, b"x")
    inside.remove_folder("tree", content=True)
    inside.rename("link", "dangling")
    inside.remove("dangling")
    inside.remove("folder")
    assert inside.names() == []
    assert {path.name: path.is_file() and path.read_bytes() for path in tmp_path.iterdir()} == {
        "mine": b"mine",
        "inside": False,
    }


def test_a_link_that_appears_after_the_check_is_not_followed(inside, tmp_path, monkeypatch):
    """As in a race with another process: the check is skipped, and the system call itself refuses."""
    (inside.path / "link").symlink_to(tmp_path / "mine")
    (inside.path / "folder").symlink_to(tmp_path)
    (inside.path / "hard").hardlink_to(tmp_path / "mine")
    os.mkfifo(inside.path / "pipe")
    monkeypatch.setattr(Folder, "has", lambda *_: True)
    with pytest.raises(OSError) as refused:
        inside.open_file("link", os.O_RDWR | os.O_CREAT)
    assert refused.value.errno == errno.ELOOP
    for name, found in (("hard", "2 hard links"), ("pipe", "a pipe")):
        with pytest.raises(CheckpointError, match=found):
            inside.open_file(name, os.O_RDONLY)
    monkeypatch.setattr(Folder, "_check", lambda *_: None)
    with pytest.raises(OSError) as refused:
        inside.enter("folder")
    assert refused.value.errno in (errno.ELOOP, errno.ENOTDIR)


def test_the_folder_itself_may_be_a_link_and_is_the_same_until_it_is_closed(inside, tmp_path):
    (tmp_path / "link").symlink_to(inside.path)
    with Folder(tmp_path / "link", CheckpointError) as folder:
        (tmp_path / "link").unlink()
        (tmp_path / "link").symlink_to(tmp_path)
        folder.write("a", b"1")
    assert inside.names() == ["a"]


def test_a_file_is_replaced_completely_or_not_at_all(tmp_path, monkeypatch):
    longest = tmp_path / ("n" * LONGEST)
    replace_file(longest, b"old", InputError)
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    replace_file(tmp_path / "link", b"new", InputError)
    assert (tmp_path / "mine").read_bytes() == b"mine"
    assert (tmp_path / "link").read_bytes() == b"new"
    before = sorted(os.listdir(tmp_path))
    for call in ("write", "fsync", "replace"):
        with monkeypatch.context() as patch:

            def fail(*arguments, **options):
                raise OSError(errno.ENOSPC, "full")

            patch.setattr(os, call, fail)
            with pytest.raises(OSError, match="full"):
                replace_file(longest, b"new", InputError)
        assert longest.read_bytes() == b"old"
        assert sorted(os.listdir(tmp_path)) == before


def test_errors_are_explained():
    with (
        pytest.raises(CheckpointError, match=r"^cannot read it: stale; copy it$"),
        explained("cannot read it", CheckpointError, "copy it"),
    ):
        raise OSError(errno.ESTALE, "stale")
    with pytest.raises(KeyError), explained("cannot read it", CheckpointError):
        raise KeyError


@pytest.mark.parametrize(
    ("check", "name"),
    [
        (check_report, "r.html"),
        (check_picture, "p.svg"),
        (lambda path: check_target(path, ".onnx"), "m.onnx"),
        (check_output, "t.csv"),
    ],
    ids=["report", "picture", "export", "table"],
)
def test_a_folder_that_may_not_be_written_is_refused_at_the_door(check, name, tmp_path, monkeypatch):
    """As root every folder may be written, so the answer of the system is replaced."""
    check(tmp_path / name)
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    with pytest.raises(InputError, match=f"the folder {re.escape(str(tmp_path))} is not writable; choose another"):
        check(tmp_path / name)
