"""Temporary files of the tests are in memory where there is room, and where ``TMPDIR`` says otherwise."""

import os
import tempfile

import pytest

from support.temporary import keep_in_memory


@pytest.fixture
def unset(monkeypatch):
    monkeypatch.setenv("TMPDIR", "")  # what the test sets is taken back, whether it was set before or not
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(tempfile, "tempdir", None)
    return monkeypatch


def test_temporary_files_are_put_into_memory(unset, tmp_path):
    keep_in_memory(tmp_path, needed=0)
    assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(tmp_path)


@pytest.mark.parametrize("why", ["no such folder", "too little room", "another folder is asked for"])
def test_temporary_files_stay_where_they_are(unset, tmp_path, why):
    if why == "another folder is asked for":
        unset.setenv("TMPDIR", str(tmp_path.parent))
    before = os.environ.get("TMPDIR")
    keep_in_memory(tmp_path / "none" if why == "no such folder" else tmp_path, 2**80 if why == "too little room" else 0)
    assert os.environ.get("TMPDIR") == before
    assert tempfile.gettempdir() != str(tmp_path)
