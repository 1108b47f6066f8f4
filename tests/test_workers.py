"""Work in several processes: no result is lost, and a failure costs only its own piece of work."""

import math
import multiprocessing
import os
import time

import pytest

from swt_time.workers import run_parallel


def test_results_are_returned_by_index():
    found = {o.index: o.result for o in run_parallel(math.sqrt, [1.0, 4.0, 9.0], jobs=2, threads=1)}
    assert found == {0: 1.0, 1: 2.0, 2: 3.0}
    assert list(run_parallel(math.sqrt, [], jobs=2, threads=1)) == []


def test_error_costs_only_its_own_work():
    found = {o.index: o for o in run_parallel(math.sqrt, [1.0, -1.0, 9.0], jobs=1, threads=1)}
    assert (found[0].result, found[2].result) == (1.0, 3.0)
    assert found[1].error is not None
    assert found[1].error.startswith("ValueError: ")


def test_process_that_dies_costs_only_its_own_work():
    """Each piece of work is a Python expression; the second one ends its process, the last one kills it."""
    work = ["6 * 7", "__import__('os')._exit(3)", "6 * 8", "__import__('os').kill(__import__('os').getpid(), 9)"]
    found = {o.index: o for o in run_parallel(eval, work, jobs=2, threads=1)}
    assert (found[0].result, found[2].result) == (42, 48)
    assert found[1].error == "the process ended with exit code 3"
    assert found[3].error == "the process was killed by signal 9"


def test_number_of_threads_is_set():
    work = ["__import__('torch').get_num_threads(), __import__('os').environ['OMP_NUM_THREADS']"]
    assert next(run_parallel(eval, work, jobs=1, threads=2)).result == (2, "2")


def test_closing_early_ends_the_processes():
    outcomes = run_parallel(time.sleep, [0, 600], jobs=2, threads=1)
    assert next(outcomes).index == 0
    assert multiprocessing.active_children()
    outcomes.close()
    deadline = time.monotonic() + 20
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("before", [None, "3"])
def test_environment_is_restored(monkeypatch, before):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if before:
        monkeypatch.setenv("OMP_NUM_THREADS", before)
    list(run_parallel(math.sqrt, [], jobs=1, threads=5))
    assert os.environ.get("OMP_NUM_THREADS") == before
