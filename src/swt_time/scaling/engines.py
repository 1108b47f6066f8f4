"""Where pieces of work are done: in processes of this machine, or on a Ray cluster.

An engine takes a function and pieces of work, and yields an outcome for each as it finishes. A failure, a process that
was killed too, costs only its own piece.
"""

import logging
import os
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any

from swt_time.config.choices import Engine
from swt_time.errors import MissingDependencyError, first_line
from swt_time.workers import Function, Outcome, attempt, describe, run_parallel

Run = Callable[[Function, Sequence[Any]], Generator[Outcome]]

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
        return partial(run_ray, ray=_import_ray(), workers=workers)
    return partial(run_local, workers=workers or usable_cpus())


def usable_cpus() -> int:
    """Number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_local(function: Function, work: Sequence[Any], workers: int) -> Generator[Outcome]:
    """Do the work in processes of this machine; with one worker in this process, which saves the start of another."""
    if workers > 1:
        yield from run_parallel(function, work, jobs=workers, threads=1)
        return
    for index, one in enumerate(work):
        yield Outcome(index, *attempt(function, one))


def run_ray(function: Function, work: Sequence[Any], ray: Any, workers: int | None) -> Generator[Outcome]:
    """Do the work in tasks of Ray.

    The cluster is that which this process is connected to, or ``RAY_ADDRESS``; otherwise one is started on this machine
    and stopped afterwards.
    """
    own = not ray.is_initialized()
    if own and "RAY_ADDRESS" in os.environ:
        ray.init(log_to_driver=False)
    elif own:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        ray.init(
            num_cpus=workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=OBJECT_STORE,
            _node_ip_address="127.0.0.1",
        )
    try:
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
    finally:
        if own:
            ray.shutdown()


def _call(function: Function, work: Any) -> Any:
    return function(work)  # Ray refuses objects that are neither functions nor classes, such as partial ones


def _outcome(ray: Any, done: Any, index: int) -> Outcome:
    try:
        return Outcome(index, ray.get(done))
    except ray.exceptions.RayTaskError as error:
        return Outcome(index, error=describe(error.cause))
    except ray.exceptions.RayError as error:  # the process or its machine is gone
        return Outcome(index, error=f"{type(error).__name__}: {first_line(error)}")


def _import_ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise MissingDependencyError("the engine ray needs another package: pip install 'swt-time[ray]'") from error
    return ray
