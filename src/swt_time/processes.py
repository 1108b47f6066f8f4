"""The processes of one training: which of them this one is, and what they exchange.

A launcher such as ``torchrun`` starts one program several times, and tells each process by environment variables its
rank, the number of processes and the address of the first one. Every process runs the same code on the same table.
Between them they exchange sums, and what the first process has decided. Exchanged are numbers and bytes, never pickled
objects. NumPy and PyTorch are imported only by what needs several processes.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from swt_time.errors import ConfigError, ProcessError, first_line

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""Environment variables by which a launcher describes a process."""

TIMEOUT = timedelta(hours=1)
"""How long a process waits for one that neither answers nor ends. The others wait while the first one compares
candidates and judges the branch."""

LAST_WORDS = 2.0
"""Seconds for which the first process, after a failure, waits for others that failed too."""

LOST = re.compile(r"gloo|nccl|process group|connection (closed|reset)|broken pipe|TCPStore", re.IGNORECASE)
"""Messages of PyTorch about a process that cannot be reached; some are plain RuntimeErrors."""

REMEDY = (
    "what was saved before is intact: fix the cause and start the same command again with resume=True, with any number "
    "of processes"
)


class Processes:
    """One process alone: it holds everything, and has nobody to exchange it with.

    Attributes
    ----------
    rank, size : int
        Number of this process, from 0, and number of all.
    local : int
        Number of this process on its machine, from 0.
    """

    rank, size, local = 0, 1, 0

    @property
    def alone(self) -> bool:
        """Whether there is one process."""
        return self.size == 1

    @property
    def first(self) -> bool:
        """Whether this is the process that decides, writes and prints."""
        return self.rank == 0

    def part(self, rows: np.ndarray) -> np.ndarray:
        """Return every ``size``-th row from ``rank`` on: each row belongs to one process."""
        return rows[self.rank :: self.size]

    def clock(self) -> float:
        """Return a time in seconds that is the same in all processes."""
        return time.monotonic()

    def sum(self, *values: float) -> tuple[float, ...]:
        """Sum numbers over the processes."""
        return values

    def add(self, array: np.ndarray) -> np.ndarray:
        """Sum arrays of float64 over the processes."""
        return array

    def concatenate(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of all processes, (M, n) float64, in the order of their ranks."""
        return rows

    def share(self, content: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return what the first process gave; the others give anything."""
        return dict(content)

    def share_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Copy tensors of the first process into those of the same names and shapes of the others."""


ALONE = Processes()


class Joined(Processes):
    """One of several processes; every process calls the same methods in the same order.

    The clock is that of the first process at the last exchange, so that all processes plan alike.
    """

    def __init__(self, local: int):
        from torch import distributed

        self.rank, self.size, self.local = distributed.get_rank(), distributed.get_world_size(), local
        plain = "gloo" in str(distributed.get_backend_config())
        self._group = None if plain else distributed.new_group(backend="gloo", timeout=TIMEOUT)
        self._now = 0.0
        self.sum()

    def clock(self) -> float:
        """Return the time of the first process at the last `sum`, `share` or `share_weights`."""
        return self._now

    def sum(self, *values: float) -> tuple[float, ...]:
        """Sum numbers in the order of the ranks, so that the result has the same bits everywhere."""
        import numpy as np

        found = self._gather(np.array([time.monotonic(), *map(float, values)]))
        self._now = float(found[0, 0])
        return tuple(float(sum(column)) for column in found.T[1:])

    def add(self, array: np.ndarray) -> np.ndarray:
        """Sum arrays of float64 over the processes."""
        import numpy as np
        import torch
        from torch import distributed

        total = torch.from_numpy(np.array(array, dtype=np.float64))
        distributed.all_reduce(total, group=self._group)
        return total.numpy()

    def concatenate(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of all processes, in the order of their ranks."""
        import numpy as np

        counts = self._gather(np.array([float(len(rows))]))[:, 0].astype(int).tolist()
        if not any(counts):
            return rows
        padded = np.zeros((max(counts), rows.shape[1]))
        padded[: len(rows)] = rows
        found = self._gather(padded.ravel()).reshape(self.size, *padded.shape)
        return np.concatenate([some[:count] for some, count in zip(found, counts, strict=True)])

    def share(self, content: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return what the first process gave."""
        names = self._share("\n".join(content).encode()).decode().split("\n")
        shared = {name: self._share(content.get(name, b"")) for name in names if name}
        self.sum()
        return shared

    def share_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Copy tensors of the first process into those of the others."""
        import torch
        from torch import distributed

        with torch.no_grad():
            for _, weight in sorted(weights.items()):
                sent = weight.detach().clone().contiguous()
                distributed.broadcast(sent, 0)
                weight.copy_(sent)
        self.sum()

    def _gather(self, values: np.ndarray) -> np.ndarray:
        """Return a vector of each process, (size, n)."""
        import torch
        from torch import distributed

        own = torch.from_numpy(values)
        found = [torch.empty_like(own) for _ in range(self.size)]
        distributed.all_gather(found, own, group=self._group)
        return torch.stack(found).numpy()

    def _share(self, data: bytes) -> bytes:
        import torch
        from torch import distributed

        length = torch.tensor([len(data)])
        distributed.broadcast(length, 0, self._group)
        sent = torch.zeros(int(length), dtype=torch.uint8)
        if self.first and data:
            sent.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        if int(length):
            distributed.broadcast(sent, 0, self._group)
        return sent.numpy().tobytes()


_current: Processes = ALONE
_store: Any = None
"""Where the processes find each other, and agree on which one reports a failure; kept when they have parted."""

_groups = 0
"""Process groups that were made; each has names of its own in the store."""


def launched() -> bool:
    """Whether a launcher started this process beside others."""
    return _variable("WORLD_SIZE", 1) > 1


def writes() -> bool:
    """Whether this process writes, prints and records: the first one, and one that no launcher started."""
    return not launched() or _variable("RANK", 0) == 0


def _variable(name: str, default: int) -> int:
    value = os.environ.get(name, "")
    if not value:
        return default
    if not value.isdecimal():
        raise ConfigError(f"the environment variable {name} is {value!r}; expected a number, as torchrun sets it")
    return int(value)


@contextlib.contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that a launcher started; without a launcher, be alone. Within another `joined`, do nothing.

    A process group that the program made before is used. Otherwise one is made, with gloo for the CPU and NCCL for
    CUDA, and each process takes the GPU with its number.

    Raises
    ------
    ConfigError
        The launcher's variables are incomplete or malformed.
    ProcessError
        Another process has ended or cannot be reached.
    """
    global _current
    if not launched() or not _current.alone:
        yield _current
        return
    from torch import distributed

    own = not distributed.is_initialized()
    try:
        with _failures_of_others():
            if own:
                _connect()
            _current = Joined(_variable("LOCAL_RANK", 0))
            yield _current
    finally:
        _current = ALONE
        if own and distributed.is_initialized():
            distributed.destroy_process_group()


def _connect() -> None:
    """Make the process group that the launcher's variables describe."""
    global _store, _groups
    import torch
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        raise ConfigError(
            f"the environment variable WORLD_SIZE is set, but {', '.join(missing)} is not; start the processes by "
            "torchrun, or unset WORLD_SIZE to train in one process"
        )
    local = _variable("LOCAL_RANK", 0)
    if torch.cuda.is_available() and local < torch.cuda.device_count():
        torch.cuda.set_device(local)
    if _store is None:
        _store, _, _ = next(rendezvous("env://", timeout=TIMEOUT))
    _groups += 1
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
        store=distributed.PrefixStore(f"swt_time_{_groups}", _store),  # type: ignore[attr-defined]  # documented, not in __all__
        rank=_variable("RANK", 0),
        world_size=_variable("WORLD_SIZE", 1),
        timeout=TIMEOUT,
    )


@contextlib.contextmanager
def _failures_of_others() -> Iterator[None]:
    """Raise one kind of error where another process has failed.

    Its connection breaks, or the launcher stops this process by SIGTERM, which is ignored from then on, so that the
    error can be reported.

    Otherwise the handlers of SIGINT and SIGTERM are restored at the end: while processes are joined, one that stops on
    a signal ignores the next (`swt_time.training.signals`).
    """

    def stop(number: int, frame: Any) -> NoReturn:
        raise ProcessError(f"stopped by the launcher, since another process has failed or the run was ended; {REMEDY}")

    former: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        if former[signal.SIGTERM] is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except (RuntimeError, ProcessError) as error:
        found = _of_others(error)
        if found is None:
            raise
        if former:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            del former[signal.SIGTERM]
        raise found from None
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _of_others(error: Exception) -> ProcessError | None:
    """Return what an error says of another process; None if it is an error of this one."""
    from torch.distributed import DistError

    if isinstance(error, ProcessError):
        return error
    if isinstance(error, DistError) or LOST.search(str(error)):
        cause = re.sub(r"\[/[^]]*\] *", "", first_line(error)).partition(". ")[0]
        return ProcessError(f"another process of this training has ended or cannot be reached ({cause}); {REMEDY}")
    return None


def reports_failure() -> bool:
    """Whether this process is to report a failure: the first one that asks, since one failure ends all processes."""
    if _store is None:
        return True
    try:
        asked = int(_store.add("swt_time_failed", 1))
        if _variable("RANK", 0) == 0:  # the store ends with this process: let the others ask before
            until = time.monotonic() + LAST_WORDS
            while _store.add("swt_time_failed", 0) < _variable("WORLD_SIZE", 1) and time.monotonic() < until:
                time.sleep(0.02)
        return asked == 1
    except RuntimeError:  # the process that held the store was killed
        return True
