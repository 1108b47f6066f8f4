"""The random numbers of one run, separate from those of other threads and of the host program.

Dropout draws from PyTorch's default generators, which belong to the whole process. A run keeps states of its own and
puts them in place only while it computes; one run at a time can do so.
"""

import contextlib
import struct
import threading
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from swt_time.errors import CheckpointError, first_line

_ONE_AT_A_TIME = threading.RLock()


def step_seed(seed: int, step: int, rank: int) -> int:
    """Return a seed of PyTorch's generators for one step in one of several processes.

    The generators of the processes cannot be saved together, and their number may change when a run is resumed.
    """
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1))


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
        """Continue from saved states; those of absent devices are ignored.

        Raises
        ------
        CheckpointError
            A state is missing or damaged.
        """
        found = {kind: state for kind, state in states.items() if kind in self._states}
        try:
            if "cpu" not in found:
                raise ValueError("it is missing")
            for kind, state in found.items():
                torch.Generator(self.device if kind == "cuda" else "cpu").set_state(state)
            _check_mersenne_twister(found["cpu"])
        except (ValueError, TypeError, RuntimeError) as error:
            raise CheckpointError(
                f"the training state is damaged: the state of the random generator cannot be restored "
                f"({first_line(error)}); start a new run with overwrite=True"
            ) from None
        self._states |= found

    def _read(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def _write(self, states: Mapping[str, Tensor]) -> None:
        torch.set_rng_state(states["cpu"])
        if "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"], self.device)


CPU_STATE_BYTES = 5056
"""Size of the state of PyTorch's generator for the CPU: seed, ``left``, ``seeded``, ``next``, 624 words, and others."""


def _check_mersenne_twister(state: Tensor) -> None:
    """Raise if the generator would read past the end of its 624 words, which PyTorch does not check."""
    if state.numel() == CPU_STATE_BYTES:
        left, _, following = struct.unpack_from("<iiQ", state.numpy().tobytes(), offset=8)
        # A word is taken by ``left -= 1`` and ``next += 1``; a new generator starts with (1, 0).
        if left + following != 625 and (left, following) != (1, 0):
            raise ValueError("its counters contradict each other")
