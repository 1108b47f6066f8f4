"""Provenance of results: versions of the packages, and the commit of the source."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("swt-time", "torch", "transformers", "tokenizers", "numpy", "pandas", "PyWavelets")
"""Distributions whose version can change a forecast."""


def package_versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Return the version of Python and of each distribution by name, ``not installed`` where it is missing."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def source_commit() -> str | None:
    """Return the commit of the source tree, with ``+`` for uncommitted changes; None for an installed wheel.

    Git runs only in a checkout of swt-time itself. An installed wheel may lie inside another repository, such as a
    virtual environment in it, and the configuration of a repository can name programs that git runs.
    """
    root = _checkout(Path(__file__).parent)
    if root is None:
        return None
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return f"{commit}{'+' if changed else ''}"


def _checkout(package: Path) -> Path | None:
    """Return the root of the source tree that holds the package as ``src/swt_time``; None if it lies elsewhere."""
    root, project = package.parents[1], package.parents[1] / "pyproject.toml"
    if package.parts[-2:] != ("src", "swt_time") or not (root / ".git").exists():
        return None
    try:
        return root if 'name = "swt-time"' in project.read_text(encoding="utf-8").splitlines() else None
    except (OSError, ValueError):
        return None


def _git(root: Path, *words: str) -> str:
    # Variables such as GIT_DIR, which are set in hooks, mean another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CEILING_DIRECTORIES": str(root.parent), "GIT_OPTIONAL_LOCKS": "0"}
    safe = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
    run = subprocess.run(
        ["git", "-C", str(root), *safe, *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    return run.stdout.strip()
