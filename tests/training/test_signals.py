"""SIGINT and SIGTERM as a request to stop."""

import os
import signal
import threading

import pytest

from swt_time.training.signals import stop_on_signals

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def received():
    """Replace the handlers of both signals by one that records them; the list of what it received."""
    seen = []
    before = {number: signal.signal(number, lambda number, frame: seen.append(number)) for number in SIGNALS}
    yield seen
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers():
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_sets_the_event_and_the_second_has_its_usual_effect(received, number):
    before = handlers()
    with stop_on_signals() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.is_set()
        assert received == []
        assert handlers() == before
        os.kill(os.getpid(), number)
        assert received == [number]
    assert handlers() == before


@pytest.mark.parametrize("number", SIGNALS)
def test_the_second_signal_may_be_the_other_one(received, number):
    with stop_on_signals() as stop:
        os.kill(os.getpid(), number)
        other = next(one for one in SIGNALS if one != number)
        os.kill(os.getpid(), other)
        assert stop.is_set()
        assert received == [other]


def test_handlers_are_restored_without_a_signal(received):
    before = handlers()
    with stop_on_signals() as stop:
        assert all(now != then for now, then in zip(handlers(), before, strict=True))
    assert not stop.is_set()
    assert handlers() == before
    os.kill(os.getpid(), signal.SIGTERM)
    assert received == [signal.SIGTERM]


def test_handlers_are_restored_after_an_error(received):
    before = handlers()
    with pytest.raises(ValueError, match="within"), stop_on_signals():
        raise ValueError("within")
    assert handlers() == before


def test_outside_the_main_thread_signals_are_not_handled(received):
    before, seen = handlers(), []

    def work():
        with stop_on_signals() as stop:
            seen.append((handlers() == before, stop.is_set()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(True, False)]
