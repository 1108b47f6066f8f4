"""Runs of MLflow in a database, read back by MLflow's own client."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from support.recorder import Recorder
from support.short_runs import fit_and_stop, make
from swt_time import ConfigError, Forecaster, MissingDependencyError, SWTTimeError, SWTTimeWarning
from swt_time.callbacks import MLflowCallback
from swt_time.config import Config, dotted_keys
from swt_time.training import Step

NAMES = {"train_loss", "validation_loss", "learning_rate", "windows_per_second"}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A database, in whose folder the tests run: MLflow keeps artifacts in the folder in which it was first opened."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield f"sqlite:///{folder / 'runs.db'}"


@pytest.fixture(scope="module")
def client(address):
    return MlflowClient(address)


def only_run(client, experiment):
    """Return the one run of an experiment."""
    (run,) = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return run


def recorded(client, run, name):
    return [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, name)]


def artifact(run, path):
    return Path(run.info.artifact_uri) / path


@pytest.fixture(scope="module")
def finished(hourly_wide, address):
    seen = Recorder()
    callback = MLflowCallback(address, "finished", "by name", log_model=True)
    return make(seed=5).fit(hourly_wide, callbacks=[callback, seen]), seen


def test_validations_are_metrics_by_step(client, finished):
    forecaster, seen = finished
    run = only_run(client, "finished")
    assert (run.info.run_name, run.info.status) == ("by name", "FINISHED")
    for name in NAMES:
        expected = [(row.step, getattr(row, name)) for row in forecaster.result.history]
        assert recorded(client, run, name) == expected
    assert run.data.metrics["best_validation_loss"] == forecaster.result.best_loss
    assert run.data.tags["swt_time.run"] == seen.run.id
    assert run.data.tags["swt_time.ended"] == "finished"


def test_every_key_is_a_param_and_the_origin_is_in_tags(client, finished):
    _, seen = finished
    run = only_run(client, "finished")
    assert set(run.data.params) == set(dotted_keys(Config))
    assert (run.data.params["training.seed"], run.data.params["embedding.wavelet"]) == ("5", "haar")
    tags = {name.removeprefix("swt_time."): value for name, value in run.data.tags.items()}
    provenance = seen.run.provenance
    assert tags["data_sha256"] == provenance["data_sha256"]
    assert tags["version.torch"] == provenance["versions"]["torch"]
    assert (tags["series"], tags["train_windows"]) == ("2", str(seen.run.train_windows))


def test_artifacts_are_the_configuration_the_provenance_and_the_model_if_asked(client, finished, hourly_wide):
    forecaster, _ = finished
    run = only_run(client, "finished")
    assert Config.parse(json.loads(artifact(run, "config.json").read_text())) == forecaster.config
    assert Path(run.info.artifact_uri).is_relative_to(Path.cwd() / "mlruns")
    provenance = json.loads(artifact(run, "provenance.json").read_text())
    assert provenance["training"]["ended"] == "finished"
    loaded = Forecaster.load(artifact(run, "model"))
    pd.testing.assert_frame_equal(loaded.predict(hourly_wide), forecaster.predict(hourly_wide))


def test_what_was_chosen_is_recorded_and_no_weights_are_kept_unasked(client, address, hourly_wide):
    seen, some = Recorder(), hourly_wide.head(200)
    forecaster = Forecaster(horizon=12).fit(some, callbacks=[MLflowCallback(address, "chosen"), seen])
    assert (seen.names[0], seen.names[-1]) == ("begin", "end")
    assert seen.run.config.data.context == forecaster.config.data.context != "auto"
    assert seen.result.checkpoint.provenance["choice"]["errors"] == forecaster.choice.errors
    run = only_run(client, "chosen")
    assert run.data.params["data.context"] == str(forecaster.config.data.context)
    assert run.data.metrics["choice_error"] == min(forecaster.choice.errors.values())
    names = {one.path for one in client.list_artifacts(run.info.run_id)}
    assert names == {"config.json", "provenance.json"}


def test_a_resumed_run_continues_without_repeating_a_step(client, address, hourly_wide, tmp_path):
    out = tmp_path / "m"
    fit_and_stop(hourly_wide, 6, out=out, callbacks=[MLflowCallback(address, "resumed")])
    run = only_run(client, "resumed")
    assert (run.info.status, run.data.tags["swt_time.ended"]) == ("KILLED", "interrupted")
    assert "best_validation_loss" not in run.data.metrics
    assert [step for step, _ in recorded(client, run, "train_loss")] == [4]
    # As if it had been killed after a validation that is not in its state, and is repeated.
    client.log_metric(run.info.run_id, "train_loss", 1.0, step=8)
    forecaster = make().fit(hourly_wide, out=out, resume=True, callbacks=[MLflowCallback(address, "resumed")])
    run = only_run(client, "resumed")
    assert (run.info.status, run.data.tags["swt_time.ended"]) == ("FINISHED", "finished")
    assert [step for step, _ in recorded(client, run, "train_loss")] == [4, 8, 12]
    assert run.data.metrics["best_validation_loss"] == forecaster.result.best_loss


def test_a_store_that_lacks_the_run_gets_all_of_its_validations(client, address, hourly_wide, tmp_path):
    fit_and_stop(hourly_wide, 6, out=tmp_path / "m")
    make().fit(hourly_wide, out=tmp_path / "m", resume=True, callbacks=[MLflowCallback(address, "late")])
    assert [step for step, _ in recorded(client, only_run(client, "late"), "train_loss")] == [4, 8, 12]


def test_a_failed_run_is_failed(client, address, hourly_wide):
    def fail(event):
        if isinstance(event, Step) and event.step == 6:
            raise SWTTimeError("the training loss became nan")

    with pytest.raises(SWTTimeError, match="became nan"):
        make().fit(hourly_wide, report=fail, callbacks=[MLflowCallback(address, "failed")])
    run = only_run(client, "failed")
    assert run.info.status == "FAILED"
    assert run.data.tags["swt_time.error"] == "SWTTimeError: the training loss became nan"
    assert [step for step, _ in recorded(client, run, "train_loss")] == [4]


def test_a_server_that_fails_later_loses_no_run(address, hourly_wide, monkeypatch):
    callback = MLflowCallback(address, "lost")

    def refuse(*args, **kwargs):
        raise ConnectionError("the server is gone")

    monkeypatch.setattr(callback, "_log_metrics", refuse)
    with pytest.warns(SWTTimeWarning, match=r"MLflowCallback failed \(ConnectionError: the server is gone\)"):
        assert make().fit(hourly_wide, callbacks=[callback]).result.ended == "finished"


def test_an_address_that_mlflow_refuses_is_refused_at_once():
    with pytest.raises(ConfigError, match="MLflow at nonsense://host: ") as refused:
        MLflowCallback("nonsense://user:password@host")
    assert "password" not in str(refused.value)


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'swt-time\[mlflow\]'"):
        MLflowCallback()
