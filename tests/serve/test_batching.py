"""Windows of concurrent requests are forecast together, with equal results, and every caller gets its own."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from swt_time.serve.batching import LARGEST, BatchedModel, Batcher


def held(function):
    """A function that waits on its first call until it is released, and notes the size of each batch."""
    entered, release, sizes = threading.Event(), threading.Event(), []

    def call(windows):
        sizes.append(len(windows))
        if len(sizes) == 1:
            entered.set()
            assert release.wait(10)
        return function(windows)

    return call, entered, release, sizes


def test_callers_that_wait_are_served_together_and_get_their_own_rows():
    call, entered, release, sizes = held(lambda windows: windows * 2)
    seen = []
    batcher = Batcher(call, lambda callers, windows: seen.append((callers, windows)))
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batcher, np.full((3, 2), -1.0))
        assert entered.wait(10)
        rest = [pool.submit(batcher, np.full((n, 2), float(n))) for n in range(1, 8)]
        while len(batcher._waiting) < 7:
            pass
        release.set()
        assert (first.result() == -2).all()
        for n, one in enumerate(rest, start=1):
            assert one.result().shape == (n, 2)
            assert (one.result() == 2 * n).all()
    assert sizes == [3, 28]
    assert seen == [(1, 3), (7, 28)]


def test_an_error_reaches_all_callers_of_its_batch_and_no_other():
    def refuse(windows):
        if (windows < 0).any():
            raise ValueError("negative")
        return windows

    call, entered, release, _ = held(refuse)
    batcher = Batcher(call)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(batcher, np.ones((1, 1)))
        assert entered.wait(10)
        rest = [pool.submit(batcher, np.full((1, 1), value)) for value in (-1.0, 2.0)]
        while len(batcher._waiting) < 2:
            pass
        release.set()
        assert first.result() == 1
        for one in rest:
            with pytest.raises(ValueError, match="negative"):
                one.result()
    assert batcher(np.ones((1, 1))) == 1


def test_a_batch_has_a_largest_size_but_one_caller_may_exceed_it():
    call, entered, release, sizes = held(lambda windows: windows)
    batcher = Batcher(call)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(batcher, np.ones((1, 1)))
        assert entered.wait(10)
        rest = [pool.submit(batcher, np.ones((n, 1))) for n in (LARGEST + 1,)]
        while len(batcher._waiting) < 1:
            pass
        rest += [pool.submit(batcher, np.ones((n, 1))) for n in (5, 6)]
        while len(batcher._waiting) < 3:
            pass
        release.set()
        assert [len(one.result()) for one in (first, *rest)] == [1, LARGEST + 1, 5, 6]
    assert sizes == [1, LARGEST + 1, 11]


def test_a_closed_form_forecasts_alone_and_in_batches_bit_for_bit_the_same(forecaster):
    model = BatchedModel.build(forecaster.trained.checkpoint, "cpu")
    windows = np.random.default_rng(0).normal(size=(150, 48)).cumsum(axis=1)
    windows[7, :20] = np.nan
    alone = np.concatenate([model.forecast_windows(windows[i : i + 1]) for i in range(len(windows))])
    assert np.array_equal(model.forecast_windows(windows), alone)
    assert np.array_equal(alone, forecaster.trained.forecast_windows(windows))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: model.forecast_windows(windows[i : i + 1]), range(len(windows))))
    assert np.array_equal(np.concatenate(found), alone)


@pytest.mark.slow
def test_layers_forecast_alone_and_in_batches_nearly_the_same(hourly_wide):
    from support.models import TINY
    from swt_time import Forecaster

    options = {key: value for key, value in TINY.items() if key != "precision"}
    forecaster = Forecaster(horizon=6, context=48, backbone="transformer", max_steps=2, **options).fit(hourly_wide)
    model = BatchedModel.build(forecaster.trained.checkpoint, "cpu")
    windows = np.random.default_rng(0).normal(size=(40, 48)).cumsum(axis=1)
    alone = np.concatenate([model.forecast_windows(windows[i : i + 1]) for i in range(len(windows))])
    together = model.forecast_windows(windows)
    # PyTorch adds up products of matrices of different sizes in different orders
    assert np.abs(together - alone).max() < 1e-5 * windows.std()
    assert np.array_equal(model.forecast_windows(windows[:1]), alone[:1])
