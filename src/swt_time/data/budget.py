"""The memory that one table may take while it is read, counted before it is allocated.

Sizes that a file declares are claims of whoever wrote it. Readers therefore count what they decode, batch by batch, and
refuse a table at the first batch that does not fit.
"""

from swt_time.errors import TableError

MEBIBYTE = 2**20

SHARE = 2
"""By default a table may take one part of this many of the machine's memory."""

LEAST, PER_BYTE = 512 * MEBIBYTE, 64
"""By default it may take at most so much, and so much more for each byte of its file: a small file is a small table."""

ROW_BYTES, CELL_BYTES = 32, 8
"""Memory per row (time, series, position) and per cell that a table takes once it is converted into series."""


class Budget:
    """Counts the memory of one table.

    Parameters
    ----------
    memory_limit : int or None
        MiB (``data.memory_limit``). None means a half of the machine's memory, and not more than `PER_BYTE` times the
        size of the file above `LEAST`.
    """

    def __init__(self, memory_limit: int | None = None) -> None:
        from swt_time.machine import physical_memory

        self.name = "the table"
        self.given = memory_limit is not None
        self.limit = physical_memory() // SHARE if memory_limit is None else memory_limit * MEBIBYTE
        self.taken = 0

    def start(self, name: str, stored: int) -> None:
        """Name the table for messages, and narrow the default to the size of its file."""
        self.name = name
        if not self.given:
            self.limit = min(self.limit, LEAST + PER_BYTE * stored)

    def check(self, size: int) -> None:
        """Refuse the table if ``size`` more bytes do not fit.

        Raises
        ------
        TableError
        """
        if self.taken + size > self.limit:
            raise TableError(
                f"{self.name} needs more than {self.limit // MEBIBYTE:,} MiB of memory; set data.memory_limit to more "
                "MiB if you trust the file, or split the table"
            )

    def take(self, size: int) -> None:
        """Count memory that stays in use; see `check`."""
        self.check(size)
        self.taken += size

    def give(self, size: int) -> None:
        """Count memory that is free again."""
        self.taken -= size
