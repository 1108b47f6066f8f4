"""A cache for one result, which is computed again when the weights that it depends on change."""

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

import torch
from torch import Tensor

Value = TypeVar("Value")


def fingerprint(weights: Iterable[Tensor]) -> Hashable:
    """Return a value that changes whenever a weight is replaced, moved, cast or written in place.

    Writes through ``weight.data`` and the steps of a fused optimiser are not detected, because PyTorch does not count
    them as new versions; whoever caches something of trained weights forgets it when training begins.
    """
    # Tensors created in inference mode have no version counter.
    return tuple(
        (w.data_ptr(), 0 if w.is_inference() else w._version, w.device, w.dtype)  # noqa: SLF001  no public name
        for w in weights
    )


def _traces() -> bool:
    """Whether PyTorch computes with fake tensors now, which must not outlive the trace."""
    return type(torch.empty(0)) is not Tensor


class Remembered(Generic[Value]):
    """A cache that holds the value of one key.

    Examples
    --------
    >>> total = Remembered()
    >>> total.get("a", lambda: 1 + 1)
    2
    >>> total.get("a", lambda: 5)  # not called
    2
    >>> total.get("b", lambda: 5)
    5
    """

    def __init__(self) -> None:
        self._entry: tuple[Hashable, Value] | None = None

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """Return the value for ``key``; call ``compute`` if the stored value has another key, or there is none."""
        if self._entry is not None and self._entry[0] == key:
            return self._entry[1]
        value = compute()
        if not _traces():
            self._entry = key, value
        return value

    def forget(self) -> None:
        """Drop the stored value."""
        self._entry = None
