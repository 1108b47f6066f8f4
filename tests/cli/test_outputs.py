"""No command overwrites what it was given, and output fails in one line."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from swt_time.checkpoints.run_state import FOLDER
from swt_time.cli.outputs import check_outputs
from swt_time.errors import InputError

pytestmark = pytest.mark.usefixtures("claims_on_record")

CLAIMS = {
    "test_the_table_is_never_overwritten": (
        "overwriting",
        "an output that is the table by any path, link or hard link is refused, and the table is unchanged",
    ),
    "test_nothing_is_written_into_the_model": (
        "overwriting",
        "an output in the folder of the model is refused, and the model is unchanged",
    ),
    "test_a_folder_that_holds_an_input_is_never_written": (
        "overwriting",
        "a checkpoint folder that holds an input of the command is refused and unchanged",
    ),
}

FAST = ("--preset", "fast", "--set", "embedding.level=4", "--horizon", 12, "--context", 48)


@pytest.fixture(scope="module")
def model(swt_time, tmp_path_factory):
    """A table whose names hold characters of mathematical text and commas, and a model of it."""
    root = tmp_path_factory.mktemp("outputs")
    hours = np.arange(400)
    columns = {"a_$x^2$_\\b": np.sin(hours / 4) + 10, "$b, 1$": np.cos(hours / 5)}
    table = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=400, freq="h"), **columns})
    table.to_csv(root / "table.csv", index=False)
    swt_time("train", "--data", root / "table.csv", "--out", root / "model", *FAST)
    return root


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file outside hidden folders, whose many files no command writes to."""
    found = {}
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(root, name) for name in files):
            found[path.as_posix()] = (path.lstat().st_size, path.lstat().st_mtime_ns)
    return found


def disguises(root: Path) -> dict[str, Path]:
    """Other paths to the table."""
    (root / "folder").mkdir(exist_ok=True)
    for name, link in (("link.csv", os.symlink), ("hard.csv", os.link)):
        if not (root / name).exists():
            link(root / "table.csv", root / name)
    return {
        "itself": root / "table.csv",
        "parent": root / "folder" / ".." / "table.csv",
        "link": root / "link.csv",
        "hard link": root / "hard.csv",
    }


@pytest.mark.parametrize("how", ["itself", "parent", "link", "hard link"])
@pytest.mark.parametrize(
    "command",
    [
        *("forecast --out", "forecast --plot", "train --out", "bands --out", "ablate --out"),
        *("evaluate --by-series", "backtest --out", "backtest --by-series", "backtest --plot"),
        "backtest --plot-calibration",
    ],
)
def test_the_table_is_never_overwritten(swt_time, model, how, command):
    path = disguises(model)[how]
    name, flag = command.split()
    words = {
        "forecast": ("--model", model / "model", *(() if flag == "--out" else ("--out", model / "f.csv"))),
        "evaluate": ("--model", model / "model"),
        "backtest": ("--model", model / "model"),
        "train": (*FAST, "--overwrite"),
        "bands": (),
        "ablate": ("--preset", "fast"),
    }[name]
    before = contents(model)
    run = swt_time(name, "--data", model / "table.csv", flag, path, *words, check=False)
    assert run.returncode == 2
    assert f"{flag} {path} is the file given as --data" in run.stderr
    assert contents(model) == before


@pytest.mark.parametrize("flag", ["--out", "--plot"])
def test_nothing_is_written_into_the_model(swt_time, model, flag):
    before = contents(model)
    other = ("--out", model / "f.csv") if flag == "--plot" else ()
    words = ("forecast", "--model", model / "model", "--data", model / "table.csv", *other)
    run = swt_time(*words, flag, model / "model" / ("p.png" if flag == "--plot" else "f.csv"), check=False)
    assert run.returncode == 2
    assert "lies in the folder given as --model" in run.stderr
    assert contents(model) == before


@pytest.fixture(scope="module")
def held(swt_time, model):
    """A checkpoint with files and a folder of the user in it."""
    folder = model / "holding" / "held"
    swt_time("train", "--data", model / "table.csv", "--out", folder, "--preset", "panel", "--horizon", 6)
    (folder / "t.csv").write_bytes((model / "table.csv").read_bytes())
    (folder / "c.toml").write_text("[data]\nhorizon = 6\n")
    (folder / "backbone").mkdir()
    (folder / "link").symlink_to(folder)
    return folder


@pytest.mark.parametrize(
    ("flag", "command"),
    [
        ("--data", "train --data H/history.csv --horizon 6 --out H --overwrite"),
        ("--data", "train --data H/link/t.csv --horizon 6 --out H --overwrite"),
        ("--data", "train --data H/t.csv --out H --resume"),
        ("--data", "update --model H --data H/t.csv"),
        ("--data", "update --model M --data H/t.csv --out H"),
        ("--data", "forecast --data H/t.csv --horizon 6 --out f.csv --save H"),
        ("--notes", "train --data T --notes H/t.csv --horizon 6 --out H --overwrite"),
        ("--notes", "forecast --data T --notes H/t.csv --horizon 6 --out f.csv --save H"),
        ("--future", "forecast --data T --future H/t.csv --horizon 6 --out f.csv --save H"),
        ("--config", "train --data T --config H/c.toml --out H --overwrite"),
        ("--backbone", "train --data T --backbone H/backbone --horizon 6 --out H --overwrite"),
        ("--backbone", "train --data T --set backbone.name=H/backbone --horizon 6 --out H --overwrite"),
        ("--backbone", "import T --out H --overwrite --backbone H/backbone"),
        ("STATE_DICT", "import H/model.safetensors --out H --overwrite --backbone minilm"),
        ("--from", "train --data T --from H/link --horizon 6 --out R --overwrite"),
    ],
)
def test_a_folder_that_holds_an_input_is_never_written(swt_time, model, held, tmp_path, flag, command):
    """Whatever is given to a command stays, also where it lies in the checkpoint that is to be replaced."""
    before, places = contents(model), {"H": held, "M": model / "model", "T": model / "table.csv", "R": held.parent}
    words = [
        re.sub(r"(?<![A-Z_])[HMTR](?![A-Z_])", lambda match: str(places[match[0]]), word) for word in command.split()
    ]
    words = [str(tmp_path / word) if word == "f.csv" else word for word in words]
    run = swt_time(*words, check=False)
    assert run.returncode == 2
    assert re.search(rf"error: the folder .* holds .*, given as {flag}; choose another folder", run.stderr)
    assert contents(model) == before
    assert list(tmp_path.iterdir()) == []


def test_commands_without_overwrite_say_the_way_out(swt_time, model, tmp_path):
    (tmp_path / "there").mkdir()
    data = ("--data", model / "table.csv")
    for words in (
        ("forecast", *data, "--horizon", 6, "--out", tmp_path / "f.csv", "--save", tmp_path / "there"),
        ("update", *data, "--model", model / "model", "--out", tmp_path / "there"),
    ):
        run = swt_time(*words, check=False)
        assert run.returncode == 2
        assert (
            run.stderr == f"error: the output folder {tmp_path}/there exists; choose another one, or remove it before\n"
        )
    # A folder in which a run waits to be resumed, for a command that resumes nothing.
    (tmp_path / "there" / FOLDER).mkdir()
    run = swt_time("import", model / "table.csv", "--out", tmp_path / "there", "--backbone", "minilm", check=False)
    assert "choose another one, pass --resume of train to continue its run, or pass --overwrite" in run.stderr


def test_two_outputs_are_two_files(tmp_path):
    with pytest.raises(InputError, match="are both"):
        check_outputs({"--out": tmp_path / "a", "--plot": tmp_path / "b" / ".." / "a"}, {})
    check_outputs({"--out": tmp_path / "a", "--plot": None}, {"--data": tmp_path / "b"}, {"--model": tmp_path / "c"})


def test_names_are_drawn_as_written(swt_time, model):
    words = ("forecast", "--model", model / "model", "--data", model / "table.csv", "--out", model / "g.csv")
    swt_time(*words, "--plot", model / "g.svg")
    assert (model / "g.svg").stat().st_size > 1000
    # An unbalanced mathematical text would raise an error in Matplotlib.
    frame = pd.read_csv(model / "table.csv").rename(columns={"$b, 1$": "$\\frac{$b"})
    frame.to_csv(model / "odd.csv", index=False)
    swt_time("bands", "--data", model / "odd.csv", "--series", "$\\frac{$b", "--out", model / "bands.png")
    assert (model / "bands.png").stat().st_size > 1000


def test_columns_with_commas_and_repeated(swt_time, model):
    words = ("evaluate", "--model", model / "model", "--data", model / "table.csv")
    for given in (
        ("--columns", '"$b, 1$", a_$x^2$_\\b'),
        ("--columns", '"$b, 1$"', "--columns", " a_$x^2$_\\b "),
    ):
        assert "2 series" in swt_time(*words, *given).stdout
    assert "1 series" in swt_time(*words, "--columns", '"$b, 1$"').stdout
    run = swt_time(*words, "--columns", '"$b, 1$', check=False)
    assert run.returncode == 2
    assert "quotation mark" in run.stderr


def test_a_flag_replaces_what_the_model_holds(swt_time, model):
    data = ("--data", model / "table.csv")
    swt_time("train", *data, "--out", model / "one", *FAST, "--target", "$b, 1$")
    assert "1 series" in swt_time("evaluate", "--model", model / "one", *data, "--columns", "a_$x^2$_\\b").stdout
    swt_time("train", *data, "--out", model / "two", *FAST, "--columns", '"$b, 1$"')
    assert "1 series" in swt_time("evaluate", "--model", model / "two", *data, "--target", "a_$x^2$_\\b").stdout


def program(*words, **options):
    return subprocess.run([sys.executable, "-m", "swt_time", *words], text=True, stderr=subprocess.PIPE, **options)


def test_without_a_command_the_help_is_shown():
    run = program(stdout=subprocess.PIPE)
    assert run.returncode == 0
    assert "Usage: swt-time" in run.stdout
    assert run.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_on_standard_output_is_one_line():
    with open("/dev/full", "w") as full:
        run = program("info", stdout=full)
    assert run.returncode == 1
    assert run.stderr.startswith("error: the operating system refused")
    assert len(run.stderr.splitlines()) == 1


def test_a_closed_pipe_is_silent():
    reader, writer = os.pipe()
    os.close(reader)
    run = program("info", stdout=writer)
    os.close(writer)
    assert run.returncode == 1
    assert run.stderr == ""


def test_a_legacy_code_page_is_no_traceback(model, swt_time):
    frame = pd.read_csv(model / "table.csv").rename(columns={"$b, 1$": "größe☃"})
    frame.to_csv(model / "snow.csv", index=False)
    words = ("evaluate", "--model", model / "model", "--data", model / "snow.csv", "--columns", "größe☃")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = program(*map(str, words), "--json", stdout=subprocess.PIPE, env=environment)
    assert run.returncode == 0
    assert '"gr\\u00f6\\u00dfe\\u2603"' in run.stdout
    run = program(*map(str, words), stdout=subprocess.PIPE, env=environment)
    assert run.returncode == 0, run.stderr


def test_home_is_expanded(swt_time, model):
    environment = {**os.environ, "HOME": str(model)}
    run = program("evaluate", "--model=~/model", "--data", "~/table.csv", stdout=subprocess.PIPE, env=environment)
    assert run.returncode == 0, run.stderr


LONG = "n" * 251
"""With a suffix of four characters as long as a name may be."""


@pytest.mark.parametrize("command", ["forecast --out", "forecast --plot", "bands --out", "ablate --out", "train --out"])
def test_every_legal_name_can_be_written(swt_time, model, tmp_path, command):
    """A temporary name is short, so it is legal as well."""
    name, flag = command.split()
    path = tmp_path / (LONG + {"--plot": ".png", "--out": ".svg" if name == "bands" else ".csv"}[flag])
    words = {
        "forecast": ("--model", model / "model", *(() if flag == "--out" else ("--out", tmp_path / "f.csv"))),
        "bands": (),
        "ablate": ("--preset", "fast", "--set", "embedding.level=4", "--horizons", 12, "--context", 48, "--seeds", 0),
        "train": FAST,
    }[name]
    swt_time(name, "--data", model / "table.csv", flag, path, *words)
    assert path.exists()


UNUSABLE = ("n" * 300, "n" * 300 + "/f", "~nosuchuser/f", "table.csv/f")
"""Too long, below a name that is too long, in the home folder of nobody, below a file."""

PLACES = (
    "forecast --model M --data T --out X.csv",
    "forecast --model M --data T --out f.csv --plot X.png",
    "forecast --model M --data X --out f.csv",
    "forecast --model X --data T --out f.csv",
    "evaluate --model X --data T",
    "info --model X",
    "bands --data T --out X.png",
    "bands --data X --out b.png",
    "train --data T --out X --preset fast --horizon 12 --context 48 --set embedding.level=4",
    "train --data T --out X --resume",
    "train --data T --out m --config X",
    "train --data T --out m --backbone X",
    "import X --out m --backbone minilm",
    "import T --out X --backbone minilm",
    "ablate --data X --out r.csv",
    "ablate --data name=X --out r.csv",
    "ablate --data T --out X.csv --list",
    "ablate --data T --out r.csv --axes X",
    "data get etth1 --folder . --to X",
    "data get etth1 --folder X --to m",
)


@pytest.mark.parametrize("place", PLACES)
def test_a_name_that_cannot_be_used_is_refused_in_one_line(swt_time, model, place):
    before = stamps(Path())
    for name in UNUSABLE:
        values = {"M": model / "model", "T": model / "table.csv"}
        name = name.replace("table.csv", str(model / "table.csv"))
        words = [values.get(word, word.replace("X", name)) for word in place.split()]
        run = swt_time(*words, check=False)
        assert run.returncode == 2, (name, run.stderr)
        (line,) = [line for line in run.stderr.splitlines() if not line.startswith("note: ")]
        assert line.startswith("error: ")
    assert stamps(Path()) == before


def strict_json(text: str):
    def refuse(word: str):
        raise ValueError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_holds_finite_numbers_only(swt_time, tmp_path):
    """Values without any spread: intervals have no width, and the surprise of a jump is infinite."""
    rows = np.arange(400)
    columns = {"zero": 0.0, "jump": np.where(rows == 390, 1e12, 0.0), "step": np.where(rows < 370, 1.0, 7.0)}
    table = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=400, freq="h"), **columns})
    table.to_csv(tmp_path / "table.csv", index=False)
    data, model = ("--data", tmp_path / "table.csv"), tmp_path / "model"
    swt_time("train", *data, "--out", model, "--preset", "panel", "--horizon", 6, "--split", "0.7/0.1/0.2")
    found = swt_time("backtest", *data, "--horizon", 6, "--preset", "panel", "--windows", 2, "--flag", 90, "--json")
    outliers = strict_json(found.stdout)["outliers"]["values"]
    assert any(one["surprise"] is None for one in outliers)
    assert strict_json(swt_time("evaluate", "--model", model, *data, "--json").stdout)["windows"] > 0
    described = swt_time("info", "--model", model).stdout
    assert strict_json(described[described.index("{") :])["config"]["data"]["horizon"] == 6
