"""The events of a training run as calls of its callbacks."""

import warnings
from collections.abc import Callable, Sequence

from swt_time.callbacks.callback import Callback, Outcome
from swt_time.checkpoints import Checkpoint
from swt_time.errors import ConfigError, SWTTimeWarning, first_line
from swt_time.training import Event, Run, Step, TrainingResult, Validation


def _check(callbacks: Sequence[Callback]) -> None:
    if not isinstance(callbacks, Sequence):
        raise ConfigError(f"callbacks: expected a list, got {callbacks!r}; pass callbacks=[...]")
    for one in callbacks:
        if not isinstance(one, Callback):
            raise ConfigError(
                f"callbacks: expected objects of classes derived from swt_time.callbacks.Callback, got {one!r}"
            )


class Calls:
    """The callbacks of one run. It is called with every event, which it passes on to ``report`` too.

    Parameters
    ----------
    callbacks : sequence of Callback
        Called in this order.
    report : callable
        Called with every event, before the callbacks. An exception that it raises stops the run.

    Raises
    ------
    ConfigError
        There is something else than a callback among them.
    """

    def __init__(self, callbacks: Sequence[Callback], report: Callable[[Event], None]) -> None:
        _check(callbacks)
        self._callbacks, self._report = list(callbacks), report
        self._begun: list[Callback] = []
        self._steps, self._history = 0, list[Validation]()

    def __call__(self, event: Event) -> None:
        """Pass an event on."""
        if isinstance(event, Run):
            self._steps, self._history = event.steps, list(event.history)
        elif isinstance(event, Step):
            self._steps = event.step
        elif isinstance(event, Validation):
            self._history.append(event)
        self._report(event)
        if isinstance(event, Run):
            for callback in self._callbacks:
                callback.on_train_begin(event)
                self._begun.append(callback)
        elif isinstance(event, Validation):
            self._call(lambda callback: callback.on_validation(event))

    def ended(self, result: TrainingResult, checkpoint: Checkpoint) -> None:
        """Tell the callbacks that the run has ended, if it began."""
        outcome = Outcome.of(result, checkpoint)
        self._call(lambda callback: callback.on_train_end(outcome))

    def failed(self, error: BaseException) -> None:
        """Tell the callbacks that an exception ended the run, if it began; Ctrl-C and SIGTERM interrupt it."""
        best = max((row for row in self._history if row.best), key=lambda row: row.step, default=None)
        outcome = Outcome(
            self._steps,
            0 if best is None else best.step,
            None if best is None else best.validation_loss,
            "interrupted" if isinstance(error, KeyboardInterrupt | SystemExit) else "failed",
            self._history[-1].seconds if self._history else 0.0,
            self._history,
            error=error,
        )
        self._call(lambda callback: callback.on_train_end(outcome))

    def _call(self, tell: Callable[[Callback], None]) -> None:
        for callback in list(self._begun):
            try:
                tell(callback)
            except Exception as error:
                self._begun.remove(callback)
                name, kind = type(callback).__name__, type(error).__name__
                message = f"the callback {name} failed ({kind}: {first_line(error)}); the run continues without it"
                warnings.warn(message, SWTTimeWarning, stacklevel=2)
