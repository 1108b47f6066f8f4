"""Read the headers of Parquet pages, which say how much memory a page takes once it is decompressed.

The footer of a file says it too, but a reader does not use those numbers, so they may be forged.
"""

from typing import Any, NamedTuple

DICTIONARY_PAGE = 2
DELTA_BYTE_ARRAY = 7
"""Encoding of text in which a value repeats the beginning of the value before it."""

LARGEST_VARINT, DEEPEST = 10, 4
"""Most bytes of a number, and levels of structs: the statistics of a page are on the third one."""


class PageSizes(NamedTuple):
    """Decompressed bytes of the pages of a column chunk."""

    dictionary: int
    """Of its dictionary."""
    largest: int
    """Of its largest page of data."""
    total: int
    """Of all pages of data."""
    repeats: bool
    """Whether values are encoded by the beginnings that they share, so that they take more than their page."""


def page_sizes(raw: Any, chunk: Any) -> PageSizes:
    """Add up the pages of a column chunk.

    Parameters
    ----------
    raw : bytes or mmap
        The file.
    chunk : pyarrow.parquet.ColumnChunkMetaData

    Raises
    ------
    ValueError
        If a header is damaged or a page reaches past the end of the file.
    """
    start = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < start:
        start = chunk.dictionary_page_offset
    stop = min(start + chunk.total_compressed_size, len(raw))
    dictionary = largest = total = 0
    repeats = False
    while 4 <= start < stop:
        header = _Struct(raw, start)
        size, stored = header.fields.get(2, 0), header.fields.get(3, 0)
        if size < 0 or stored < 0:
            raise ValueError("a page has a negative size")
        if header.fields.get(1) == DICTIONARY_PAGE:
            dictionary += size
        else:
            largest, total = max(largest, size), total + size
        encodings = {header.fields.get((5, 2)), header.fields.get((8, 4))}
        repeats = repeats or DELTA_BYTE_ARRAY in encodings
        start = header.stop + stored
    return PageSizes(dictionary, largest, total, repeats)


class _Struct:
    """Integers of a struct in Thrift's compact protocol, by field, and by field and field for a struct within it."""

    def __init__(self, raw: Any, start: int) -> None:
        self._raw, self.stop = raw, start
        self.fields: dict[Any, int] = {}
        try:
            self._read(())
        except IndexError:
            raise ValueError("a page header is cut off") from None

    def _read(self, place: tuple[int, ...]) -> None:
        field = 0
        while True:
            head = self._byte()
            kind = head & 15
            if kind == 0:
                return
            field = field + (head >> 4) if head >> 4 else self._integer()
            if kind in (4, 5, 6):
                self.fields[(*place, field) if place else field] = self._integer()
            elif kind == 12 and len(place) < DEEPEST:
                self._read((*place, field))
            else:
                self._skip(kind)

    def _skip(self, kind: int) -> None:
        if kind == 3:
            self.stop += 1
        elif kind == 7:
            self.stop += 8
        elif kind == 8:
            length = self._varint()
            self.stop += length
        elif kind not in (1, 2):  # booleans have no bytes; page headers hold no containers
            raise ValueError("a page header holds a field of an unknown type")

    def _byte(self) -> int:
        byte: int = self._raw[self.stop]
        self.stop += 1
        return byte

    def _varint(self) -> int:
        number = 0
        for shift in range(LARGEST_VARINT):
            byte = self._byte()
            number |= (byte & 127) << 7 * shift
            if byte < 128:
                return number
        raise ValueError("a page header holds a number that is too long")

    def _integer(self) -> int:
        number = self._varint()
        return number >> 1 ^ -(number & 1)
