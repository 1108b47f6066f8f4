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
    """A source tree outside any repository, from which the module seems to run."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    package = tmp_path / "src" / "swt_time"
    package.mkdir(parents=True)
    (package / "provenance.py").write_text("first\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "swt-time"\n')
    monkeypatch.setattr(provenance, "__file__", str(package / "provenance.py"))
    return tmp_path


@pytest.fixture
def program(tmp_path_factory):
    """A program that a repository can name and that leaves a file behind, and that file."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "run").write_text(f"#!/bin/sh\ntouch {folder / 'ran'}\n")
    (folder / "run").chmod(0o755)
    return folder / "run", folder / "ran"


def make_repository(folder):
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")


def test_versions_of_installed_packages():
    versions = package_versions()
    assert list(versions) == ["python", *PACKAGES]
    assert versions["python"] == platform.python_version()
    assert versions["torch"].partition("+")[0] == torch.__version__.partition("+")[0]


def test_missing_package_is_not_installed():
    assert package_versions(("no-such-package",))["no-such-package"] == "not installed"


@needs_git
def test_commit_of_a_source_tree(source):
    make_repository(source)
    assert source_commit() == git(source, "rev-parse", "--short=12", "HEAD")
    (source / "src" / "swt_time" / "provenance.py").write_text("second\n")
    assert source_commit() == git(source, "rev-parse", "--short=12", "HEAD") + "+"


@needs_git
def test_variables_of_git_do_not_lead_to_another_repository(source, tmp_path_factory, monkeypatch):
    """Git sets them in its hooks."""
    other = tmp_path_factory.mktemp("other")
    (other / "file").write_text("")
    make_repository(other)
    make_repository(source)
    expected = git(source, "rev-parse", "--short=12", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert source_commit() == expected


@needs_git
@pytest.mark.parametrize("place", [".venv/lib/python3.11/site-packages/swt_time", "src/swt_time", "swt_time"])
def test_git_does_not_run_in_another_repository(tmp_path, monkeypatch, program, place):
    """A wheel that is installed within a repository whose configuration names a program."""
    package = tmp_path / place
    package.mkdir(parents=True)
    (package / "provenance.py").write_text("first\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\n')
    make_repository(tmp_path)
    git(tmp_path, "config", "core.fsmonitor", str(program[0]))
    monkeypatch.setattr(provenance, "__file__", str(package / "provenance.py"))
    assert source_commit() is None
    assert not program[1].exists()
    git(tmp_path, "status")
    assert program[1].exists()  # the control: git would run it


@needs_git
def test_git_runs_no_program_of_the_source_tree(source, program):
    make_repository(source)
    git(source, "config", "core.fsmonitor", str(program[0]))
    git(source, "config", "core.hooksPath", str(program[0].parent))
    assert source_commit() is not None
    assert not program[1].exists()


def test_package_outside_a_repository_has_no_commit(source):
    assert source_commit() is None


@needs_git
def test_a_repository_further_up_is_not_taken_for_a_damaged_one(tmp_path, source, monkeypatch):
    nested = tmp_path / "nested"
    (nested / ".git").mkdir(parents=True)
    (tmp_path / "src").rename(nested / "src")
    (tmp_path / "pyproject.toml").rename(nested / "pyproject.toml")
    monkeypatch.setattr(provenance, "__file__", str(nested / "src" / "swt_time" / "provenance.py"))
    make_repository(tmp_path)
    assert source_commit() is None


def test_commit_is_unknown_without_git(source, monkeypatch):
    (source / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert source_commit() is None
