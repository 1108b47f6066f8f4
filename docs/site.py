"""Build the site of all pages into ``build/site``; a link to a page or picture that does not exist is an error.

The pages are copied with their folders, so that the links between them are those of the repository.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = (
    "*.md",
    "docs/*.md",
    "docs/*.png",
    "docs/*.svg",
    "docs/tutorials/*",
    "benchmarks/*.md",
    "benchmarks/results/*.csv",
)


def main() -> None:
    """Copy the pages, and build the site strictly."""
    target = ROOT / "build" / "pages"
    shutil.rmtree(target, ignore_errors=True)
    for pattern in PAGES:
        for path in ROOT.glob(pattern):
            copy = target / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    zensical = Path(sys.executable).with_name("zensical")
    sys.exit(subprocess.run([zensical, "build", "--strict", "--clean"], cwd=ROOT).returncode)


if __name__ == "__main__":
    main()
