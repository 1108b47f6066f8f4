"""Versions of packages, and the commit of a source tree."""

import platform
import shutil
import subprocess

import pytest
import torch

from swt_time import provenance
from swt_time.provenance import PACKAGES, package_versions, source_commit

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def git(folder, *arguments):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    run = subprocess.run(["git", "-C", folder, *identity, *arguments], capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder outside any repository, from which the module seems to run."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "provenance.py").write_text("first\n")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    return tmp_path


def test_versions_of_installed_packages():
    versions = package_versions()
    assert list(versions) == ["python", *PACKAGES]
    assert versions["python"] == platform.python_version()
    assert versions["torch"].partition("+")[0] == torch.__version__.partition("+")[0]


def test_missing_package_is_not_installed():
    assert package_versions(("no-such-package",))["no-such-package"] == "not installed"


@needs_git
def test_commit_of_a_source_tree(source):
    git(source, "init", "-q")
    git(source, "add", ".")
    git(source, "commit", "-q", "-m", "first")
    assert source_commit() == git(source, "rev-parse", "--short=12", "HEAD")
    (source / "provenance.py").write_text("second\n")
    assert source_commit() == git(source, "rev-parse", "--short=12", "HEAD") + "+"


@needs_git
def test_package_inside_another_repository_has_no_commit(source):
    (source / "other.py").write_text("")
    git(source, "init", "-q")
    git(source, "add", "other.py")
    git(source, "commit", "-q", "-m", "first")
    assert source_commit() is None


def test_package_outside_a_repository_has_no_commit(source):
    assert source_commit() is None


def test_commit_is_unknown_without_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert source_commit() is None
