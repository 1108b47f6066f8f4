"""Provenance of results: versions of the packages, and the commit of the source."""

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
    """Return the commit of the source tree, with ``+`` for uncommitted changes; None for an installed wheel."""
    folder = Path(__file__).parent
    try:
        commit = _git(folder, "rev-parse", "--short=12", "HEAD")
        tracked = _git(folder, "ls-files", Path(__file__).name)
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    # An installed wheel may lie in a virtual environment inside another repository, which does not track this file.
    return f"{commit}{'+' if changed else ''}" if tracked else None


def _git(folder: Path, *words: str) -> str:
    run = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=10)
    return run.stdout.strip()
