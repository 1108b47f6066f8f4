"""Files are read as data: regular, bounded, and with one meaning."""

import os
import struct

import pytest

from swt_time.errors import CheckpointError
from swt_time.files import HEADER_LIMIT, check_tensors, parse_json, read_bytes


def test_a_file_is_read_up_to_its_limit(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", 5, CheckpointError) == b"12345"
    with pytest.raises(CheckpointError, match="has 5 bytes, at most 4 are expected"):
        read_bytes(tmp_path / "a", 4, CheckpointError)


def test_links_are_followed_only_where_they_may_be(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert read_bytes(tmp_path / "b", 9, CheckpointError) == b"1"
    with pytest.raises(CheckpointError, match="symbolic link"):
        read_bytes(tmp_path / "b", 9, CheckpointError, links=False)


@pytest.mark.parametrize(("name", "says"), [("pipe", "a pipe"), ("folder", "folder|directory"), ("none", "No such")])
def test_what_is_no_file_is_refused(tmp_path, name, says):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CheckpointError, match=says):
        read_bytes(tmp_path / name, 9, CheckpointError)


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"a": NaN}', '{"a": -Infinity}', '{"a": 1, "a": 1}', '{"a": {"b": 1, "b": 2}}', "{'a': 1}"]
)
def test_json_with_more_than_one_meaning_is_refused(text):
    with pytest.raises(CheckpointError, match="the file"):
        parse_json(text.encode(), "the file", CheckpointError)


def test_json_is_read():
    assert parse_json(b'{"a": [1, "\xc3\xa4", null]}', "the file", CheckpointError) == {"a": [1, "ä", None]}


@pytest.mark.parametrize("length", [3, HEADER_LIMIT + 1, 2**63])
def test_a_header_is_bounded(tmp_path, length):
    file = tmp_path / "a.safetensors"
    file.write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(CheckpointError, match="no safetensors file begins so"):
        check_tensors(file, CheckpointError)
    file.write_bytes(struct.pack("<Q", 2) + b"{}")
    check_tensors(file, CheckpointError)
