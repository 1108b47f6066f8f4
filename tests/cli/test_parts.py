"""``forecast`` and ``train`` with a folder of Parquet files."""

import pandas as pd
import pytest

from support.parts import HORIZON, SERIES, daily, write_parts

FIT = f"--preset fast --horizon {HORIZON} --context 16 --set embedding.level=2 --split 0.8/0.2/0".split()


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return write_parts(daily(), tmp_path_factory.mktemp("input") / "parts")


@pytest.fixture(scope="module")
def model(swt_time, parts):
    run = swt_time("train", "--data", parts, "--out", parts.parent / "model", *FIT)
    assert f"model: {parts.parent / 'model'}" in run.stdout
    assert "closed form solved in" in run.stderr
    return parts.parent / "model"


def test_a_folder_is_forecast_and_the_command_repeated(swt_time, parts, model, tmp_path):
    words = [
        "forecast",
        "--data",
        parts,
        "--model",
        model,
        "--out",
        tmp_path / "out",
        "--workers",
        1,
        "--levels",
        "none",
    ]
    assert f"({SERIES} series; 1 buckets)" in swt_time(*words).stdout
    assert "(0 series; 1 buckets, 1 of them finished before)" in swt_time(*words).stdout
    found = pd.read_parquet(tmp_path / "out")
    assert list(found.columns) == ["unique_id", "ds", "yhat"]
    assert len(found) == SERIES * HORIZON
    refused = swt_time(*words[:-1], "80", check=False)
    assert (refused.returncode, "options levels was (), is (80.0,)" in refused.stderr) == (2, True)


WRONG = {
    "without a model": ("--data {parts} --horizon 3 --out {out}", "give --model"),
    "an option of a table": ("--data {parts} --model {model} --out {out} --plot a.png", "--plot is for a single table"),
    "an output file": ("--data {parts} --model {model} --out {file}", "is a file"),
    "an output in the input": (
        "--data {parts} --model {model} --out {parts}/out",
        "lies in the folder given as --data",
    ),
    "an engine for a file": ("--data {file} --model {model} --out {out} --engine local", "--engine needs a folder"),
    "another engine": ("--data {parts} --model {model} --out {out} --engine spark", "expected local or ray"),
    "workers of a file": ("--data {file} --model {model} --out {out} --workers 2", "--workers needs a folder"),
    "gaps filled with zeros": ("--data {parts} --model {model} --out {out} --fill zero", "write the zeros into"),
    "another id": ("--data {parts} --model {model} --out {out} --id-column shop", "name the column .* as --id-column"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_explained(swt_time, parts, model, tmp_path, case):
    words, message = WRONG[case]
    file, out = tmp_path / "file.csv", tmp_path / "out"
    daily(1).to_csv(file, index=False)
    filled = words.format(parts=parts, model=model, out=out, file=file).split()
    refused = swt_time("forecast", *filled, check=False)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1
    assert pd.Series([refused.stderr]).str.contains(message).all(), refused.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--horizon", "3"], "takes the closed form alone (preset fast)"),
        ([*FIT, "--notes", "notes.csv"], "--notes is for a single table"),
        (["--preset", "auto", "--horizon", "3"], "is auto, which is chosen on held-out blocks of a whole table"),
    ],
)
def test_what_train_cannot_do_with_a_folder_is_explained(swt_time, parts, tmp_path, words, message):
    refused = swt_time("train", "--data", parts, "--out", tmp_path / "out", *words, check=False)
    assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr
    assert not (tmp_path / "out").exists()
