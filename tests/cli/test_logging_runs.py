"""``swt-time train --log-to``: checked before any work, and written in one process."""

import sys
from pathlib import Path

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from swt_time.callbacks import MLflowCallback, TensorBoardCallback
from swt_time.cli.logging_runs import make_callbacks
from swt_time.errors import ConfigError

FAST = ("--preset", "fast", "--horizon", "12", "--context", "96")


def test_a_run_is_recorded_in_both(swt_time, hourly_wide, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hourly_wide.to_csv("table.csv", index=False)
    places = ("--log-to", "tensorboard=runs", "--log-to", "mlflow=sqlite:///runs.db")
    swt_time("train", "--data", "table.csv", "--out", "model", *FAST, *places)
    (run,) = (tmp_path / "runs").iterdir()
    client = MlflowClient("sqlite:///runs.db")
    (recorded,) = client.search_runs([client.get_experiment_by_name("swt-time").experiment_id])
    assert recorded.info.run_name == run.name
    assert recorded.info.status == "FINISHED"
    assert recorded.data.params["data.horizon"] == "12"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("tensorboard", "expected tensorboard=FOLDER or mlflow=ADDRESS, got 'tensorboard'"),
        ("wandb=x", "got 'wandb=x'"),
        ("tensorboard=", "got 'tensorboard='"),
        ("tensorboard=model", "--log-to model lies in the folder --out model"),
        ("tensorboard=./model/../model/runs", "lies in the folder --out model"),
        ("mlflow=sqlite:///model/runs.db", "--log-to model/runs.db lies in the folder --out model"),
        ("tensorboard=table.csv", "table.csv is a file; expected a folder"),
        ("mlflow=nonsense://host", "MLflow at nonsense://host"),
    ],
)
def test_wrong_places_are_refused(tmp_path, monkeypatch, asked, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text("not read")
    with pytest.raises(ConfigError) as refused:
        make_callbacks([asked], Path("model"))
    assert said in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_refusal_comes_before_any_work(swt_time, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text("not read")
    words = ("train", "--data", "table.csv", "--out", "model", *FAST, "--log-to", "tensorboard=model")
    refused = swt_time(*words, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "error: --log-to model lies in the folder --out model; choose another place\n"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_folder_of_tables_is_not_recorded(swt_time, tmp_path):
    pd.DataFrame({"ds": [1]}).to_parquet(tmp_path / "part.parquet")
    words = ("train", "--data", tmp_path, "--out", tmp_path / "m", *FAST, "--log-to", "mlflow=x")
    refused = swt_time(*words, check=False)
    assert refused.returncode == 2
    assert "--log-to is for a single table" in refused.stderr


def test_only_the_first_process_records(tmp_path, monkeypatch):
    asked = (f"tensorboard={tmp_path / 'runs'}", "mlflow=http://localhost:1")
    assert [type(one) for one in make_callbacks(asked, tmp_path / "m")] == [TensorBoardCallback, MLflowCallback]
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    assert make_callbacks(asked, tmp_path / "m") == []
    with pytest.raises(ConfigError, match="got 'x'"):
        make_callbacks(["x"], tmp_path / "m")


def test_other_runs_load_neither_package(monkeypatch, tmp_path):
    for name in ("mlflow.tracking", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    assert make_callbacks([], tmp_path) == []
