"""The base class of callbacks, and the outcome of a training run."""

from dataclasses import dataclass, fields

from swt_time.checkpoints import Checkpoint
from swt_time.training import Run, TrainingResult, Validation


@dataclass
class Outcome(TrainingResult):
    """How a training run ended: a `TrainingResult` of which ``ended`` may also be ``failed``.

    Attributes
    ----------
    checkpoint : Checkpoint or None
        The model that was saved or returned, with its scores; None if the run failed.
    error : BaseException or None
        What stopped a run that was not ended by the training itself.
    """

    checkpoint: Checkpoint | None = None
    error: BaseException | None = None

    @classmethod
    def of(cls, result: TrainingResult, checkpoint: Checkpoint) -> "Outcome":
        """Return the outcome of a run that gave a result."""
        return cls(**{one.name: getattr(result, one.name) for one in fields(result)}, checkpoint=checkpoint)


class Callback:
    """Derive from this class and define the methods that you need; the others do nothing.

    A run calls ``on_train_begin`` once, ``on_validation`` any number of times, and ``on_train_end`` once, however it
    ended. In a training over several processes the first process calls. A model that is solved in closed form has at
    most one validation, at step 0.

    Notes
    -----
    An exception in ``on_train_begin`` stops the fit, for nothing is lost yet. One in the other methods gives a warning
    with the name of the callback, which is then left out of the rest of the run; the run continues.
    """

    def on_train_begin(self, run: Run) -> None:
        """Take note that training begins or is resumed, after everything that was open has been chosen.

        Parameters
        ----------
        run : Run
            Its id, configuration, provenance and sizes; see `swt_time.training.events.Run`.
        """

    def on_validation(self, validation: Validation) -> None:
        """Take note of a validation; the best weights so far and the state of the run may not be saved yet.

        Parameters
        ----------
        validation : Validation
            Step, losses, learning rate, gate and speed; see `swt_time.training.events.Validation`.
        """

    def on_train_end(self, result: Outcome) -> None:
        """Take note that the run has ended and its model, if there is one, is complete.

        Parameters
        ----------
        result : Outcome
            Its attribute ``ended`` is ``finished``, ``early stopping``, ``time budget``, ``interrupted`` or ``failed``.
        """
