"""The random numbers of one run, separate from those of other threads and of the host program.

Dropout draws from PyTorch's default generators, which belong to the whole process. A run keeps states of its own and
puts them in place only while it computes; one run at a time can do so.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

_ONE_AT_A_TIME = threading.RLock()


class RandomState:
    """The states of PyTorch's default generators as one run sees them.

    Parameters
    ----------
    device : torch.device
        Device of the run; its generator is included if it is a GPU.
    seed : int, optional
        By default the run starts from the present states of the process.
    """

    def __init__(self, device: torch.device, seed: int | None = None):
        self.device = device
        with _ONE_AT_A_TIME:
            host = self._read()
            if seed is not None:
                torch.manual_seed(seed)
            self._states = self._read()
            self._write(host)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Draw from these states within; on exit the states of the process are as before."""
        with _ONE_AT_A_TIME:
            host = self._read()
            self._write(self._states)
            try:
                yield
            finally:
                self._states = self._read()
                self._write(host)

    def states(self) -> dict[str, Tensor]:
        """Return the states, to be saved: ``cpu``, and ``cuda`` if the run is on a GPU."""
        return dict(self._states)

    def restore(self, states: Mapping[str, Tensor]) -> None:
        """Continue from saved states; those of absent devices are ignored."""
        self._states |= {kind: state for kind, state in states.items() if kind in self._states}

    def _read(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def _write(self, states: Mapping[str, Tensor]) -> None:
        torch.set_rng_state(states["cpu"])
        if "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"], self.device)
