"""``swt-time tune``: a study, its continuation, the file for ``train --config``, and errors in terms of flags."""

import signal
import sys

import numpy as np
import pandas as pd
import pytest

from swt_time import cli
from swt_time.cli.options import INTERRUPTED
from swt_time.config import Config, read_config_file
from swt_time.tuning.folds import Folds

pytest.importorskip("optuna", reason="comes with the extra tune")

BASE = ["--preset", "fast", "--horizon", "6", "--context", "24", "--set", "embedding.level=2"]
BASE += ["--set", "embedding.patch_len=4", "--set", "embedding.stride=4", "--set", "model.closed_form=[]"]


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Run ``tune`` on a table; return the exit code, standard output and standard error."""
    hours = np.arange(400)
    noise = np.random.default_rng(0).standard_normal(400)
    table = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=400, freq="h")})
    table.assign(load=np.sin(2 * np.pi * hours / 24) + 0.1 * noise).to_csv(tmp_path / "table.csv", index=False)
    monkeypatch.chdir(tmp_path)
    former = signal.getsignal(signal.SIGTERM)

    def run(*words, command="tune"):
        words = [command, "--data", "table.csv", *words]
        monkeypatch.setattr(sys, "argv", ["swt-time", *words])
        code = cli.run(words)
        return code, *capsys.readouterr()

    yield run
    signal.signal(signal.SIGTERM, former)


def test_a_study_that_is_interrupted_and_continued(run, tmp_path, monkeypatch):
    words = [*BASE, "--study", "study.log", "--trials", "6", "--search", "data.context=4,12,48"]
    words += ["--set", "embedding.level=1"]
    fit, calls = Folds.errors, []

    def interrupted(self, config, fold):
        calls.append(fold)
        if len(calls) == 8:
            signal.raise_signal(signal.SIGTERM)
        return fit(self, config, fold)

    monkeypatch.setattr(Folds, "errors", interrupted)
    code, out, err = run(*words, "--out", "best.toml")
    assert code == INTERRUPTED
    assert err.endswith("interrupted; the trials that have ended are in study.log: the same command goes on\n")
    assert not (tmp_path / "best.toml").exists()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*words, "--out", "best.toml")
    assert code == 0, err
    assert 1 <= len(err.splitlines()) < 6
    assert err.splitlines()[-1].startswith("6/6  ")
    assert "recommended: the best trial, which is clearly better than the base" in out
    text = (tmp_path / "best.toml").read_text()
    assert text.startswith("# Chosen by swt-time tune on table.csv from 6 trials.\n# 6 trials")
    assert Config.parse(read_config_file(tmp_path / "best.toml")).data.context == 48
    code, out, err = run("--config", "best.toml", "--out", "model", command="train")
    assert code == 0, err


def test_a_space_file_and_flags_beside_it(run, tmp_path):
    (tmp_path / "space.toml").write_text('[data]\ncontext = [12]\ntrain_fraction = "0.5..0.9"\n')
    words = ["--space", "space.toml", "--search", "data.train_fraction=0.7,1.0"]
    code, out, err = run(*BASE, "--study", "study.log", "--trials", "1", "--folds", "2", *words)
    assert code == 0, err
    assert "1 trial (1 finished), 2 folds" in out
    code, _, err = run(*BASE, "--study", "study.log", "--trials", "1", *words)
    assert code == 2
    assert "it differs in folds 3 (not 2): give the former ones" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--search", "embedding.level=2..9"], "--search: embedding.level=9: embedding: expected 2**level"),
        (["--search", "data.horizon=6,12"], "--search: --horizon cannot be searched"),
        (["--search", "level=1..2"], "--search: expected section.key=low..high"),
        (["--search", "model.dropout"], "--search: expected section.key=low..high"),
        (["--space", "no.toml"], "cannot read no.toml"),
        (["--folds", "30"], "set --folds to at most 9"),
        (["--folds", "1"], "Invalid value for '--folds'"),
        (["--trials", "0"], "Invalid value for '--trials'"),
        (["--context", "400"], "needs a series of at least"),
        (["--study", "table.csv"], "--study table.csv is the file given as --data"),
        (["--study", "no/study.log"], "the folder no does not exist"),
        (["--out", "study.log"], "--out and --study are both study.log"),
        (["--out", "best.json"], "expected a name ending in .toml"),
    ],
)
def test_wrong_options_give_one_line_and_no_file(run, tmp_path, words, message):
    code, out, err = run(*BASE, "--study", "study.log", *words)
    assert code == 2
    assert message in err
    assert (out, len(err.splitlines())) == ("", 1)
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv"}


def test_without_optuna_the_extra_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, _, err = run(*BASE, "--study", "study.log")
    assert (code, err) == (1, "error: a study needs the package optuna: pip install 'swt-time[tune]'\n")
