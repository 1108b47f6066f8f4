"""Training runs as runs of MLflow."""

import contextlib
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from swt_time.callbacks.callback import Callback, Outcome
from swt_time.callbacks.scores import final_scores, flat, measured, origin, text
from swt_time.checkpoints import write_checkpoint
from swt_time.errors import ConfigError, MissingDependencyError, first_line
from swt_time.training import Run, Validation

STATUS = {"interrupted": "KILLED", "failed": "FAILED"}
"""Status of MLflow by the end of a run; every other one is FINISHED."""

MOST_PARAMS = 100
"""Most params that MLflow takes in one request."""

LONGEST = {"param": 6000, "tag": 8000}
"""Characters of a value that MLflow keeps."""

RUN_TAG = "swt_time.run"
"""The tag by which a run that is resumed is found again."""


class MLflowCallback(Callback):
    """Record a training run with MLflow.

    A run that is resumed (`Run.id`) continues its run of MLflow, and records no step twice. The global state of MLflow
    (active run, tracking address, experiment) is neither used nor changed.

    Parameters
    ----------
    tracking_uri : str, optional
        A server, ``http://host:port``, or a database, ``sqlite:///mlflow.db``; by default what MLflow takes, such as
        the environment variable ``MLFLOW_TRACKING_URI``.
    experiment : str
        Name of the experiment; it is created where there is none.
    run_name : str, optional
        By default the id of the run.
    log_model : bool
        Whether the checkpoint is stored too, as folder ``model`` of the artifacts: its weights included.

    Raises
    ------
    MissingDependencyError
        MLflow is not installed.
    ConfigError
        MLflow refuses the address.

    Notes
    -----
    Params are all keys of the configuration, so that any two runs can be compared. Metrics are ``train_loss``,
    ``validation_loss``, ``learning_rate``, ``gate`` and ``windows_per_second`` by step, and the final scores. Tags are
    versions, commit, seed, hash of the table and sizes. Artifacts are ``config.json`` and, at the end,
    ``provenance.json``, which holds every choice and score. The status is FINISHED, KILLED (interrupted) or FAILED.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        experiment: str = "swt-time",
        run_name: str | None = None,
        *,
        log_model: bool = False,
    ) -> None:
        self.tracking_uri, self.experiment = tracking_uri, experiment
        self.run_name, self.log_model = run_name, log_model
        self._id, self._last = "", -1
        try:
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise MissingDependencyError("MLflowCallback needs MLflow: pip install 'swt-time[mlflow]'") from error
        with _explained(tracking_uri):
            self._client = MlflowClient(tracking_uri)

    def on_train_begin(self, run: Run) -> None:
        """Start a run of MLflow, or continue the one that this run has, and record what it lacks."""
        with _explained(self.tracking_uri):
            experiment = self._experiment()
            found = self._client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{run.id}'", max_results=1)
            if found:
                self._id, self._last = found[0].info.run_id, self._last_step(found[0].info.run_id)
                self._client.update_run(self._id, status="RUNNING")
            else:
                tags = {f"swt_time.{name}": value[: LONGEST["tag"]] for name, value in origin(run).items()}
                made = self._client.create_run(experiment, tags=tags, run_name=self.run_name or run.id)
                self._id, self._last = made.info.run_id, -1
                self._log_params(flat(run.config))
                self._client.log_text(self._id, run.config.to_json(), "config.json")
            for row in run.history:
                self.on_validation(row)

    def on_validation(self, validation: Validation) -> None:
        """Record the numbers of a validation, if its step was not recorded before."""
        if validation.step > self._last:
            self._log_metrics(measured(validation), validation.step)
            self._last = validation.step

    def on_train_end(self, result: Outcome) -> None:
        """Record the scores and how the run ended."""
        status = STATUS.get(result.ended, "FINISHED")
        try:
            self._record_end(result, status)
        finally:
            self._client.set_terminated(self._id, status)

    def _record_end(self, result: Outcome, status: str) -> None:
        self._client.set_tag(self._id, "swt_time.ended", result.ended)
        if result.error is not None:
            error = f"{type(result.error).__name__}: {first_line(result.error)}"
            self._client.set_tag(self._id, "swt_time.error", error)
        if status == "FINISHED":
            self._log_metrics(final_scores(result), result.steps)
        if result.checkpoint is not None:
            self._client.log_dict(self._id, dict(result.checkpoint.provenance), "provenance.json")
            if self.log_model:
                with tempfile.TemporaryDirectory() as folder:
                    write_checkpoint(Path(folder) / "model", result.checkpoint)
                    self._client.log_artifacts(self._id, str(Path(folder) / "model"), "model")

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self.experiment)
        return str(self._client.create_experiment(self.experiment) if found is None else found.experiment_id)

    def _last_step(self, run_id: str) -> int:
        """Return the last step that a run has recorded; -1 if there is none."""
        return max((one.step for one in self._client.get_metric_history(run_id, "train_loss")), default=-1)

    def _log_metrics(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(self._id, [Metric(name, value, now, step) for name, value in values.items()])

    def _log_params(self, values: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(key, text(value)[: LONGEST["param"]]) for key, value in values.items()]
        for begin in range(0, len(params), MOST_PARAMS):
            self._client.log_batch(self._id, params=params[begin : begin + MOST_PARAMS])


@contextlib.contextmanager
def _explained(tracking_uri: str | None) -> Iterator[None]:
    """Raise what MLflow raises as an error that names the address."""
    try:
        yield
    except Exception as error:
        place = "at its default address" if tracking_uri is None else f"at {tracking_uri}"
        message = re.sub(r"//[^/@\s]*@", "//", f"MLflow {place}: {first_line(error, 400)}")  # without a password
        raise ConfigError(message) from error
