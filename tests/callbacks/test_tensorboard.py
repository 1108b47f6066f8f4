"""Event files, read back by TensorBoard's own reader."""

import json
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from support.recorder import Recorder
from support.short_runs import fit_and_stop, make
from swt_time import ConfigError, Forecaster, MissingDependencyError
from swt_time.callbacks import TensorBoardCallback

NAMES = {"train_loss", "validation_loss", "learning_rate", "windows_per_second"}


def read(folder):
    """Return the reader of the one run in a folder."""
    (run,) = folder.iterdir()
    reader = EventAccumulator(str(run))
    reader.Reload()
    return reader


def scalars(reader, name):
    return [(event.step, event.value) for event in reader.Scalars(name)]


def text(reader, name):
    return [event.tensor_proto.string_val[0].decode() for event in reader.Tensors(f"{name}/text_summary")]


def hparams(reader, name):
    return HParamsPluginData.FromString(reader.SummaryMetadata(f"_hparams_/{name}").plugin_data.content)


@pytest.fixture(scope="module")
def finished(hourly_wide, tmp_path_factory):
    folder, seen = tmp_path_factory.mktemp("tensorboard") / "runs", Recorder()
    forecaster = make(seed=5).fit(hourly_wide, callbacks=[TensorBoardCallback(folder), seen])
    return forecaster, seen, folder


def test_validations_are_scalars(finished):
    forecaster, _, folder = finished
    reader = read(folder)
    history = forecaster.result.history
    assert {name for name in reader.Tags()["scalars"] if "/" not in name} == NAMES
    for name in NAMES:
        expected = [(row.step, pytest.approx(getattr(row, name))) for row in history]
        assert scalars(reader, name) == expected


def test_configuration_and_origin_are_texts(finished):
    forecaster, seen, folder = finished
    reader = read(folder)
    (run,) = folder.iterdir()
    assert run.name == seen.run.id
    (configuration,), (provenance,) = text(reader, "configuration"), text(reader, "provenance")
    assert json.loads(configuration) == json.loads(forecaster.config.to_json())
    assert json.loads(provenance)["data_sha256"] == seen.run.provenance["data_sha256"]
    assert text(reader, "ended") == ["finished"]


def test_final_scores_stand_beside_changed_options(finished):
    forecaster, _, folder = finished
    reader = read(folder)
    assert scalars(reader, "final/best_validation_loss") == [(12, pytest.approx(forecaster.result.best_loss))]
    options = hparams(reader, "session_start_info").session_start_info.hparams
    assert options["training.seed"].number_value == 5
    assert options["embedding.wavelet"].string_value == "haar"
    assert "training.batch_size" not in options
    assert "final/best_validation_loss" in {
        one.name.tag for one in hparams(reader, "experiment").experiment.metric_infos
    }


def test_a_resumed_run_continues_in_its_folder(hourly_wide, tmp_path):
    logs, out = tmp_path / "runs", tmp_path / "m"
    fit_and_stop(hourly_wide, 6, out=out, callbacks=[TensorBoardCallback(logs)])
    reader = read(logs)
    assert "final/steps" not in reader.Tags()["scalars"]
    # As if it had been killed after a validation that is not in its state.
    (run,) = logs.iterdir()
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(run)) as late:
        late.add_scalar("train_loss", 123.0, 5)
    forecaster = make().fit(hourly_wide, out=out, resume=True, callbacks=[TensorBoardCallback(logs)])
    reader = read(logs)
    history = forecaster.result.history
    assert scalars(reader, "train_loss") == [(row.step, pytest.approx(row.train_loss)) for row in history]
    assert [row.step for row in history] == [4, 8, 12]
    assert len(text(reader, "configuration")) == 1
    assert text(reader, "ended") == ["interrupted", "finished"]


def test_a_folder_that_lacks_the_run_gets_all_of_its_validations(hourly_wide, tmp_path):
    fit_and_stop(hourly_wide, 6, out=tmp_path / "m")
    make().fit(hourly_wide, out=tmp_path / "m", resume=True, callbacks=[TensorBoardCallback(tmp_path / "runs")])
    assert [step for step, _ in scalars(read(tmp_path / "runs"), "train_loss")] == [4, 8, 12]


def test_runs_stand_side_by_side(hourly_wide, tmp_path):
    callback = TensorBoardCallback(str(tmp_path / "runs"))
    for _ in range(2):
        Forecaster(preset="fast", horizon=12, context=96).fit(hourly_wide, callbacks=[callback])
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_a_folder_that_cannot_be_made_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(ConfigError, match="file is a file; expected a folder"):
            TensorBoardCallback(place)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_without_the_extra_the_error_names_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'swt-time\[tensorboard\]'"):
        TensorBoardCallback(tmp_path)
