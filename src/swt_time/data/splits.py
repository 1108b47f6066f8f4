"""The train, validation and test part of each series: the only arithmetic of splits in the package. Pure NumPy.

Each series is split in time. The target rows of a window lie inside one part; its context rows may extend into earlier
parts, as in the protocol of Informer and its successors. Targets of different parts never overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from swt_time.errors import ConfigError, TableError

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")

MONTH = 30 * 24
"""Rows of a month of 30 days in an hourly table."""

ETT_ROWS = {
    "etth": (12 * MONTH, 4 * MONTH, 4 * MONTH),
    "ettm": (4 * 12 * MONTH, 4 * 4 * MONTH, 4 * 4 * MONTH),
}
"""Rows of the train, validation and test parts in the ETT benchmarks, which leave the remaining rows unused."""


@dataclass(frozen=True)
class Borders:
    """Target rows of each part of one series, as ``(start, stop)``: ``start <= row < stop``."""

    train: tuple[int, int]
    validation: tuple[int, int]
    test: tuple[int, int]

    def part(self, part: Part) -> tuple[int, int]:
        """Return the target rows of a part by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[part]


SMALLEST_SHARE = 1e-4
"""Smallest share of a part that has rows; the time to find the smallest sufficient table grows with its inverse."""


def parse_split(split: str) -> tuple[float, float, float] | None:
    """Parse the shares of a split such as ``0.7/0.1/0.2``; return None for the named splits.

    Raises
    ------
    ConfigError
        If ``split`` is neither a known name nor three shares that add up to 1 with a positive train share.

    Examples
    --------
    >>> parse_split("0.7/0.1/0.2")
    (0.7, 0.1, 0.2)
    """
    if split in ("etth", "ettm", "none"):
        return None
    try:
        shares = tuple(float(share) for share in split.split("/"))
    except ValueError:
        shares = ()
    fits = len(shares) == 3 and all(0 <= share <= 1 for share in shares) and abs(sum(shares) - 1) < 1e-9
    if not fits or shares[0] == 0 or any(0 < share < SMALLEST_SHARE for share in shares):
        raise ConfigError(
            f"data.split {split!r} is unknown; expected etth, ettm, none, or shares of train, validation and test "
            f"that add up to 1, such as 0.7/0.1/0.2, each of them 0 or at least {SMALLEST_SHARE}"
        )
    return shares[0], shares[1], shares[2]


def split_borders(n_rows: int, split: str) -> Borders:
    """Compute the borders of the parts of one series.

    Parameters
    ----------
    n_rows : int
        Length of the series.
    split : str
        ``etth`` or ``ettm``: 12, 4 and 4 months of 30 days, in hours or quarter hours. ``a/b/c``: shares, rounded as in
        Informer's ``Dataset_Custom``: ``int(n * a)`` train rows, ``int(n * c)`` test rows, the rest validation.
        ``none``: all rows are train rows.

    Raises
    ------
    ConfigError
        If the split is unknown.
    TableError
        If the series is too short for ``etth`` or ``ettm``.

    Examples
    --------
    >>> split_borders(100, "0.6/0.2/0.2")
    Borders(train=(0, 60), validation=(60, 80), test=(80, 100))
    """
    shares = parse_split(split)
    if split == "none":
        return Borders((0, n_rows), (n_rows, n_rows), (n_rows, n_rows))
    if shares is None:
        train, validation, test = ETT_ROWS[split]
        if n_rows < train + validation + test:
            raise TableError(
                f"data.split {split!r} needs at least {train + validation + test} rows, the series has {n_rows}; "
                "use shares such as 0.7/0.1/0.2"
            )
    else:
        test = int(n_rows * shares[2])
        train = int(n_rows * shares[0]) if shares[1] > 0 else n_rows - test
        validation = n_rows - train - test
    return Borders((0, train), (train, train + validation), (train + validation, train + validation + test))


def shorten_train(borders: Borders, context: int, fraction: float) -> Borders:
    """Shorten the train part to its first ``fraction``, for few-shot training.

    As Time-LLM's ``percent``: ``(train - context) * percent // 100 + context`` rows remain. The scaler is still fitted
    on the whole train part.
    """
    if not 0 < fraction <= 1:
        raise ConfigError(f"data.train_fraction {fraction} is out of range; expected 0 < fraction <= 1")
    start, stop = borders.train
    if stop - start <= context:
        return borders
    kept = int((stop - start - context) * Fraction(repr(float(fraction)))) + context
    return Borders((start, start + kept), borders.validation, borders.test)


def series_borders(lengths: Sequence[int] | np.ndarray, split: str, *, pad: bool = False) -> list[Borders]:
    """Compute the borders of the parts of all series, see `split_borders`.

    With ``pad``, a series whose train part would have fewer than two rows, a row to forecast from and one to forecast,
    is trained on whole.
    """
    borders = [split_borders(int(rows), split) for rows in lengths]
    if not pad:
        return borders
    return [one if one.train[1] > 1 else split_borders(one.test[1], "none") for one in borders]


def filled_parts(split: str) -> tuple[Part, ...]:
    """Return the parts that have rows under a split."""
    if split == "none":
        return ("train",)
    shares = parse_split(split) or (1, 1, 1)
    return tuple(part for part, share in zip(PARTS, shares, strict=True) if share > 0)
