"""Temporary files in memory: a save waits milliseconds for a disk at each flush and deletion, and tests save often."""

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
"""The file system in memory of Linux."""

NEEDED = 4 * 2**30
"""Least free bytes of it; the suite writes less than a fifth of them."""


def keep_in_memory(memory: Path = MEMORY, needed: int = NEEDED) -> None:
    """Put the temporary files of this process and its children into memory where there is room.

    ``TMPDIR``, if it is set, decides instead.
    """
    if "TMPDIR" in os.environ or not os.access(memory, os.W_OK | os.X_OK) or shutil.disk_usage(memory).free < needed:
        return
    os.environ["TMPDIR"] = str(memory)
    tempfile.tempdir = None  # computed anew from TMPDIR
