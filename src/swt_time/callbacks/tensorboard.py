"""Training runs as event files that TensorBoard shows."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swt_time.callbacks.callback import Callback, Outcome
from swt_time.callbacks.scores import changed, final_scores, measured, origin, text
from swt_time.errors import ConfigError, MissingDependencyError
from swt_time.files import expand_user
from swt_time.training import Run, Validation

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoardCallback(Callback):
    """Write a training run as event files; see it with ``tensorboard --logdir FOLDER``.

    Each run gets a folder of its own, named by its id. A run that is resumed continues in the folder that it has, and
    validations that it repeats replace those written before.

    Parameters
    ----------
    folder : path
        Where the folders of runs are made; created when the first run begins.

    Raises
    ------
    MissingDependencyError
        TensorBoard is not installed.
    ConfigError
        The folder is a file, or lies in one, or may not be written.

    Notes
    -----
    Written are ``train_loss``, ``validation_loss``, ``learning_rate``, ``gate`` and ``windows_per_second`` of each
    validation; the configuration and the provenance as texts; and at the end the final scores, beside the options
    that differ from their defaults (tab HPARAMS).
    """

    def __init__(self, folder: str | Path) -> None:
        _writer_type()
        self.folder = expand_user(folder, ConfigError)
        _check_folder(self.folder)
        self._writer: SummaryWriter | None = None
        self._run: Run | None = None

    def on_train_begin(self, run: Run) -> None:
        """Open the folder of the run, and write its configuration and provenance if it is new."""
        folder = self.folder / run.id
        known = folder.is_dir()
        # Of a run that was killed, what comes after its saved state is written again.
        after = run.history[-1].step + 1 if run.history else 0
        self._run, self._writer = run, _writer_type()(str(folder), purge_step=after if known else None)
        if known:
            return
        self._writer.add_text("configuration", _block(json.loads(run.config.to_json())))
        self._writer.add_text("provenance", _block(origin(run)))
        for row in run.history:
            self.on_validation(row)

    def on_validation(self, validation: Validation) -> None:
        """Write the numbers of a validation."""
        assert self._writer is not None
        for name, value in measured(validation).items():
            self._writer.add_scalar(name, value, validation.step)
        self._writer.flush()

    def on_train_end(self, result: Outcome) -> None:
        """Write how the run ended, and its scores unless it failed or can be resumed."""
        from torch.utils.tensorboard.summary import hparams

        assert self._writer is not None
        assert self._run is not None
        with self._writer as writer:
            writer.add_text("ended", result.ended, result.steps)
            if result.ended in ("interrupted", "failed"):
                return
            scores = {f"final/{name}": value for name, value in final_scores(result).items()}
            for name, value in scores.items():
                writer.add_scalar(name, value, result.steps)
            options = {key: value if isinstance(value, int | float) else text(value) for key, value in self._options()}
            for summary in hparams(options, scores):
                writer.file_writer.add_summary(summary)

    def _options(self) -> Any:
        assert self._run is not None
        return changed(self._run.config).items()


def _writer_type() -> "type[SummaryWriter]":
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingDependencyError(
            "TensorBoardCallback needs TensorBoard: pip install 'swt-time[tensorboard]'"
        ) from error
    return SummaryWriter


def _check_folder(folder: Path) -> None:
    """Raise if a folder cannot be created, or not be written."""
    place = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not place.is_dir():
        raise ConfigError(f"TensorBoardCallback({str(folder)!r}): {place} is a file; expected a folder")
    if not os.access(place, os.W_OK):
        raise ConfigError(f"TensorBoardCallback({str(folder)!r}): {place} is not writable; choose another folder")


def _block(values: object) -> str:
    """Return values as a block of Markdown, in which TensorBoard shows texts."""
    lines = json.dumps(values, indent=2, ensure_ascii=False).splitlines()
    return "\n".join(f"    {line}" for line in lines)
