"""Environments with a package that does not fit the locked versions, and the snippets of docs that need it."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "other-libraries.md"


def environment_with(folder, requirement):
    """Create an environment with the source tree, a package from the index, and else the packages of this one."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    (place,) = (folder / "lib").glob("python*/site-packages")
    here = [str(ROOT / "src"), *(path for path in sys.path if path.endswith("site-packages"))]
    (place / "here.pth").write_text("\n".join(here))
    online = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # without the offline hook
    subprocess.run([python, "-m", "pip", "install", "--quiet", requirement], check=True, env=online)
    return python


def snippet_of_the_page(beginning):
    """Return the one block of Python on the page that begins so."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if block.startswith(beginning)]
    return found
