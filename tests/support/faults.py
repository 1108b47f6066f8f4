"""Commands in which one system call on the files of a folder fails; needs a C compiler and Linux."""

import shutil
import subprocess
import sys
from pathlib import Path

from support.commands import Commands

SOURCE = Path(__file__).with_suffix(".c")
AVAILABLE = sys.platform == "linux" and shutil.which("cc") is not None


class Faults:
    """Runs commands, and fails one of the system calls that they make on files below a folder.

    The calls of all libraries are counted, in whatever language they are written.

    Parameters
    ----------
    folder : Path
        Folder of this object, outside the folder whose calls fail.
    """

    def __init__(self, folder: Path):
        self._log, library = folder / "calls.log", folder / "faults.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
        self._commands = Commands({"LD_PRELOAD": str(library)})

    def count(self, root: Path, *words: object) -> subprocess.CompletedProcess:
        """Run a command that succeeds; ``calls`` has the names of its system calls on files below ``root``."""
        run = self._commands(*words, fault=(str(root), 0, 0, str(self._log)))
        run.calls = self._log.read_text().split()
        return run

    def fail(self, root: Path, number: int, code: int, *words: object) -> subprocess.CompletedProcess:
        """Run a command in which call ``number``, counted from 1, fails with an errno."""
        run = self._commands(*words, check=False, seconds=120, fault=(str(root), number, code, str(self._log)))
        run.calls = self._log.read_text().split()
        return run

    def close(self) -> None:
        """Stop the server."""
        self._commands.close()
