"""The random numbers of one run, apart from those of other threads and of the host program.

Dropout draws from PyTorch's default generators, which belong to the whole process. A run keeps the state of its own
and puts it in their place only while it computes, one run at a time.
"""

import contextlib
import threading
from collections.abc import Iterator

import torch
from torch import Tensor

_ONE_AT_A_TIME = threading.RLock()


class RandomState:
    """The state of PyTorch's default generators as one run sees it.

    Parameters
    ----------
    seed : int
    device : torch.device
        Of the run; its generator is kept too if it is a GPU.
    """

    def __init__(self, seed: int, device: torch.device):
        self._device = device
        self._states: dict[str, Tensor] = {}
        with _ONE_AT_A_TIME, self._host_restored():
            torch.manual_seed(seed)
            self._states = self._read()

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Draw from this state within; the host program's generators are as before afterwards."""
        with _ONE_AT_A_TIME, self._host_restored():
            self._write(self._states)
            try:
                yield
            finally:
                self._states = self._read()

    def tensors(self) -> dict[str, Tensor]:
        """The state by kind of device, to be saved."""
        return dict(self._states)

    def restore(self, states: dict[str, Tensor]) -> None:
        """Continue from a saved state; kinds of device that this run does not have are left out."""
        self._states |= {kind: state for kind, state in states.items() if kind in self._states}

    @contextlib.contextmanager
    def _host_restored(self) -> Iterator[None]:
        host = self._read()
        try:
            yield
        finally:
            self._write(host)

    def _read(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self._device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self._device)
        return states

    def _write(self, states: dict[str, Tensor]) -> None:
        torch.set_rng_state(states["cpu"])
        if "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"], self._device)
