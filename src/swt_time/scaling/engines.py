"""Where pieces of work are done: in processes of this machine, or on a Ray cluster.

An engine takes a function and pieces of work, and yields an outcome for each as it finishes. A failure, a process that
was killed too, costs only its own piece.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import Any

from swt_time.config.choices import Engine
from swt_time.errors import MissingDependencyError, SWTTimeError, first_line
from swt_time.workers import Function, Outcome, attempt, describe, run_parallel

Run = Callable[[Function, Sequence[Any]], Generator[Outcome]]

ADDRESS = "RAY_ADDRESS"
"""Environment variable that names a cluster."""

LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Environment variable by whose value 0 Ray uses the loopback address, on every system in spite of its name."""

OBJECT_STORE = 2**27
"""Bytes that a Ray of our own sets aside for objects; buckets are read from files, so there are none but names."""


def start_engine(name: Engine, workers: int | None) -> Run:
    """Return an engine by its name.

    Parameters
    ----------
    name : {"local", "ray"}
    workers : int, optional
        Processes at most; by default one for each CPU.

    Raises
    ------
    MissingDependencyError
        The package of the engine is not installed.
    """
    if name == "ray":
        return partial(run_ray, ray=import_ray(), workers=workers)
    return partial(run_local, workers=workers or usable_cpus())


def usable_cpus() -> int:
    """Return the number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_local(function: Function, work: Sequence[Any], workers: int) -> Generator[Outcome]:
    """Do the work in processes of this machine; with one worker in this process, which saves the start of another."""
    if workers > 1:
        yield from run_parallel(function, work, jobs=workers, threads=1)
        return
    for index, one in enumerate(work):
        yield Outcome(index, *attempt(function, one))


def run_ray(function: Function, work: Sequence[Any], ray: Any, workers: int | None) -> Generator[Outcome]:
    """Do the work in tasks of Ray, at most one for each CPU of the cluster at a time."""
    with connected(ray, workers):
        task = ray.remote(_call).options(num_cpus=1, max_retries=0)
        most = workers or max(int(ray.cluster_resources().get("CPU", 1)), 1)
        waiting = list(enumerate(work))[::-1]
        running: dict[Any, int] = {}
        while waiting or running:
            while waiting and len(running) < most:
                index, one = waiting.pop()
                running[task.remote(function, one)] = index
            for done in ray.wait(list(running))[0]:
                yield _outcome(ray, done, running.pop(done))


@contextlib.contextmanager
def connected(ray: Any, workers: int | None) -> Iterator[None]:
    """Use the cluster that this process is connected to, or that of ``RAY_ADDRESS``, or one that is started here.

    What was started or connected to here is left at the end.

    Raises
    ------
    SWTTimeError
        There is no such cluster, or none can be started.
    """
    if ray.is_initialized():
        yield
        return
    address = os.environ.get(ADDRESS)
    own = {
        "num_cpus": workers,
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE,
        "_node_ip_address": "127.0.0.1",
    }
    if address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **(own if address is None else {}))
    except Exception as error:  # Ray raises errors without a type of its own
        what = "start Ray on this machine" if address is None else f"connect to the Ray cluster {address} ({ADDRESS})"
        raise SWTTimeError(f"cannot {what}: {first_line(error)}; try again, or use the engine local") from error
    try:
        yield
    finally:
        ray.shutdown()


def _call(function: Function, work: Any) -> Any:
    return function(work)  # Ray refuses objects that are neither functions nor classes, such as partial ones


def _outcome(ray: Any, done: Any, index: int) -> Outcome:
    try:
        return Outcome(index, ray.get(done))
    except ray.exceptions.RayTaskError as error:
        return Outcome(index, error=describe(error if error.cause is None else error.cause))
    except ray.exceptions.RayError as error:  # the process or its machine is gone
        return Outcome(index, error=f"{type(error).__name__}: {first_line(error)}")


def import_ray() -> Any:
    """Import Ray; one that is started on this machine listens on the loopback address alone.

    Raises
    ------
    MissingDependencyError
        It is not installed.
    """
    if ADDRESS not in os.environ:
        os.environ.setdefault(LOOPBACK, "0")  # read when Ray is imported
    try:
        import ray
        import ray.exceptions  # noqa: F401  which the caller reads as ray.exceptions
    except ImportError as error:
        raise MissingDependencyError("the engine ray needs another package: pip install 'swt-time[ray]'") from error
    return ray
