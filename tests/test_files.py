"""Untrusted files are read only if they are regular, of bounded size and unambiguous."""

import hashlib
import os
import struct

import pytest

from swt_time.errors import CheckpointError
from swt_time.files import HEADER_LIMIT, check_tensor_bytes, check_tensors, file_sha256, parse_json, read_bytes


def test_file_is_read_up_to_the_limit(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", 5, CheckpointError) == b"12345"
    with pytest.raises(CheckpointError, match="expected at most 4 bytes, got 5"):
        read_bytes(tmp_path / "a", 4, CheckpointError)


@pytest.mark.parametrize(("name", "says"), [("pipe", "a pipe"), ("folder", "folder|directory"), ("none", "No such")])
def test_anything_but_a_regular_file_is_an_error(tmp_path, name, says):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CheckpointError, match=says):
        read_bytes(tmp_path / name, 9, CheckpointError)


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"a": NaN}', '{"a": -Infinity}', '{"a": 1, "a": 1}', '{"a": {"b": 1, "b": 2}}', "{'a': 1}"]
)
def test_invalid_or_ambiguous_json_is_an_error(text):
    with pytest.raises(CheckpointError, match="the file"):
        parse_json(text.encode(), "the file", CheckpointError)


def test_json_is_parsed():
    assert parse_json(b'{"a": [1, "\xc3\xa4", null]}', "the file", CheckpointError) == {"a": [1, "ä", None]}


@pytest.mark.parametrize("length", [3, HEADER_LIMIT + 1, 2**63])
def test_safetensors_header_is_bounded(tmp_path, length):
    file = tmp_path / "a.safetensors"
    file.write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(CheckpointError, match="expected a safetensors file; it is damaged or in another format"):
        check_tensors(file, CheckpointError)
    file.write_bytes(struct.pack("<Q", 2) + b"{}")
    check_tensors(file, CheckpointError)


def test_duplicate_keys_of_a_safetensors_header_are_an_error():
    header = b'{"a": 1, "a": 1}'
    with pytest.raises(CheckpointError, match="the header of the file is not valid JSON: the key 'a' occurs twice"):
        check_tensor_bytes(struct.pack("<Q", len(header)) + header, "the file", CheckpointError)


def test_sha256_of_a_file(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    assert file_sha256(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    for content in (b"", bytes(range(256)) * 5000):
        file.write_bytes(content)
        assert file_sha256(file) == hashlib.sha256(content).hexdigest()
