"""A result kept until the weights that it was computed from change."""

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

from torch import Tensor

Value = TypeVar("Value")


def fingerprint(weights: Iterable[Tensor]) -> Hashable:
    """What changes whenever a weight is replaced, moved, cast or written in place.

    Writing through ``weight.data`` is not seen: PyTorch does not count it.
    """
    # Tensors made in inference mode count no writes.
    return tuple((w.data_ptr(), 0 if w.is_inference() else w._version, w.device, w.dtype) for w in weights)


class Remembered(Generic[Value]):
    """One value and what it depends on."""

    def __init__(self) -> None:
        self._entry: tuple[Hashable, Value] | None = None

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """The value for this key, computed if the one at hand has another."""
        if self._entry is None or self._entry[0] != key:
            self._entry = key, compute()
        return self._entry[1]

    def forget(self) -> None:
        """Drop the value."""
        self._entry = None
