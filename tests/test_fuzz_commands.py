"""Arbitrary command lines end in a result or in one line that says what is wrong, and overwrite nothing they are given.

The options are those that the commands have; a command line is one that works, changed in up to four places. 300
examples, 100,000 with ``HYPOTHESIS_PROFILE=nightly``. Sizes that are allowed but take long are left to test_hostile.py.
"""

import contextlib
import io
import os
import shutil
import signal
import socket
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import trust
from swt_time import Forecaster, cli
from swt_time.config import Config, dotted_keys
from swt_time.errors import SWTTimeWarning

pytestmark = [pytest.mark.timeout(4 * 3600), pytest.mark.skipif(os.name != "posix", reason="needs pipes and links")]

NIGHTLY = settings.get_current_profile_name() == "nightly"
BATCHES, EXAMPLES = (20, 5000) if NIGHTLY else (1, 300)
SECONDS = 60
"""Most seconds of a command; all of them are meant to be tiny."""

CLAIM = "arbitrary command lines end in a result or in one line of error, and overwrite nothing"

INPUTS = ("--data", "--config", "--axes", "--model", "--folder", "--trained-on", "--backbone", "--space", "STATE_DICT")
OUTPUTS = ("--out", "--plot", "--to", "--study")
SECTIONED = ("--set", "--axis", "--variant", "--search")
TINY = ("d_model=4", "level=1", "patch_len=4", "stride=4")
MODEL = ("--model", "in/model", "--device", "cpu")
TRAIN = ("--horizon", "4", "--context", "16", "--backbone", "none", "--max-steps", "1", "--device", "cpu")
SETS = tuple(word for setting in TINY for word in ("--set", f"embedding.{setting}"))
SETS += ("--keep-branch",)
BASES: dict[str, tuple[str, ...]] = {
    "train": ("--data", "in/table.csv", "--out", "out/model", *TRAIN, *SETS),
    "forecast": ("--data", "in/table.csv", "--out", "out/forecast.csv", *MODEL),
    "update": ("--data", "in/table.csv", "--model", "in/model", "--out", "out/model"),
    "evaluate": ("--data", "in/table.csv", *MODEL),
    "backtest": ("--data", "in/table.csv", "--windows", "1", *MODEL),
    "report": ("--data", "in/table.csv", "--out", "out/report.html", "--windows", "1", *MODEL),
    "ablate": ("--data", "in/table.csv", "--out", "out/results.csv", "--list", "--seeds", "0"),
    "tune": (
        "--data",
        "in/table.csv",
        "--study",
        "out/study.log",
        "--trials",
        "1",
        *TRAIN[:6],
        "--max-steps",
        "0",
        *SETS[:8],
    ),
    "import": ("in/weights.pt", "--out", "out/model", "--backbone", "none"),
    "bands": ("--data", "in/table.csv", "--out", "out/picture.txt"),
    "info": ("--model", "in/model"),
    "data get": ("etth1", "--folder", "in"),
    "backbone convert": ("in/pickled", "out/backbone"),
    "export": ("out/model.onnx", "--model", "in/model"),
}
"""A command line of each command that works, or that is refused for one reason."""

PATHS = [
    *("in/table.csv", "in/other.csv", "in/table.parquet", "in/gaps.csv", "in/large.csv", "in/extreme.parquet"),
    *("in/config.toml", "in/config.json", "in/axes.toml", "in/deep.toml", "in/deep.json", "in/digits.toml"),
    *("in/model", "in/damaged", "in/weights.pt", "in/empty", "in/binary", "in/pipe", "in/socket", "in/größe 🌊.csv"),
    *("in/link.csv", "in/dangling", "in/loop", "in/link_model", "in/nothing", "in/table.csv/x", "in/no\nname", "in"),
    *(
        "",
        ".",
        "-",
        "~",
        "/dev/null",
        "/proc/self/mem",
        "/nowhere/x",
        "~nosuchuser/x",
        "x" * 300,
        "x/" * 3000,
        "in/\udcff.csv",
    ),
    *("none", "minilm", "no/model", "a=in/table.csv", "=", "https://localhost:1/table.csv"),
]
NUMBERS = [
    *("0", "1", "2", "3", "-1", "-0", "2147483648", "9" * 19, "9" * 30, "9" * 5000, "-" + "9" * 30, "1e308", "1e-300"),
    *("5e-324", "1e400", "inf", "-inf", "nan", "1.5", "0.5", "1_0", "0x10", "0b1", "٣", "²", "1e9", "+1", " 1", "1,2"),
]
WORDS = [
    *(
        "",
        " ",
        "a",
        "b",
        "date",
        "unique_id",
        "x" * 5000,
        "größe",
        "🌊",
        "\udcff",
        "\u202e",
        "'",
        '"',
        '"a',
        "a,b",
        "--",
    ),
    *("h", "D", "99999999999h", "1" * 400 + "D", "-1h", "MS", "none", "15min", "100YE", "9999ns", "2W-XXX", "Q", "h h"),
    *("%Y-%m-%d %H:%M:%S", "%Y%Y%q", "%", "%Q", "%z%z", "%d/%m/%Y", "%Y" * 100, "%H"),
    *(
        "0.7/0.1/0.2",
        "etth",
        "1/0/0",
        "nan/nan/nan",
        "0.5/0.5",
        "0.6/0.2/0.2",
        "1e-300/0.5/0.5",
        "1e-9/0.5/0.5",
        "inf/0/0",
        "-1/1/1",
        "//",
    ),
    *("2024-01-05", "2024-01-05 03:00", "9999-12-31", "0000-00-00", "2024-02-30", "1e5", "2024-01-05T00:00+99:99"),
    *("auto", "cpu", "cuda", "meta", "mps", "hpu", "xla", "cpu:99", "cuda:-1", "privateuseone", "fpga"),
    *("90s", "1h30m", "0s", "9" * 400 + "h", "1e308", "haar", "db4", "db999", "dmey", "periodic", "causal", "linear"),
    *("zero", "ffill", "naive", "seasonal_naive", "fast", "accurate", "reference", "patch", "wavelet", "float16"),
    *(
        "float32",
        "bfloat16",
        "true",
        "false",
        "null",
        "[]",
        "{}",
        "[1,2]",
        "{a=1}",
        "[" * 5000,
        "{a=" * 2000,
        "1979-05-27",
    ),
]
VALUES = (
    st.sampled_from(NUMBERS) | st.sampled_from(WORDS) | st.text(max_size=12).map(lambda text: text.replace("\0", ""))
)
KEYS = st.sampled_from(
    [
        *sorted(set(dotted_keys(Config)) - {"training.compile"}),
        "data",
        "data.",
        ".",
        "a.b.c",
        "training.seeds",
        "x" * 2000,
        "data.horizon.x",
    ]
)
SETTINGS = st.tuples(KEYS, st.sampled_from(["=", "=", "=", "", " = "]), VALUES | VALUES.map(repr)).map("".join)


def commands() -> dict[str, list[Any]]:
    """The parameters of all commands."""
    found: dict[str, list[Any]] = {}
    for name, command in cli.root_command().commands.items():
        for more, inner in getattr(command, "commands", {}).items():
            found[f"{name} {more}"] = inner.params
        if not hasattr(command, "commands"):
            found[name] = command.params
    return found


OPTIONS = {
    name: sorted(
        (max(parameter.opts, key=len), bool(getattr(parameter, "is_flag", False)))
        for parameter in parameters
        if "--compile" not in parameter.opts
    )
    for name, parameters in commands().items()
    if name != "serve"
}
"""Options of each command, and whether they take no value. A compiler would take half a minute for each run, and a
service does not end."""


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command line that works, with options added, replaced and left out."""
    name = draw(st.sampled_from(sorted(BASES)))
    words = list(BASES[name])
    for _ in range(draw(st.integers(0, 4))):
        flag, alone = draw(st.sampled_from(OPTIONS[name]))
        if not flag.startswith("-"):  # an argument
            words[0] = draw(st.sampled_from(PATHS) | VALUES)
            continue
        if alone:
            words.append(flag)
            continue
        if flag in OUTPUTS:
            near = [word for word in words if word.startswith("in/") and "\0" not in word]
            places = [
                "out/a",
                "out/a.csv",
                "out/a.parquet",
                "out/b.csv.gz",
                "out/no/folder.csv",
                "out",
                "/dev/full",
                "out/🌊",
            ]
            value = draw(
                st.sampled_from(places + near + [f"{word}/x.csv" for word in near] + ["/dev/null", "out/p.svg"])
            )
        elif flag in INPUTS:
            value = draw(st.sampled_from(PATHS) | VALUES)
        elif flag in SECTIONED:
            value = draw(SETTINGS | VALUES)
        else:
            value = draw(VALUES)
        words += [f"{flag}={value}"] if draw(st.booleans()) else [flag, value]
    if len(words) > 1 and draw(st.integers(0, 9)) == 0:
        del words[draw(st.integers(0, len(words) - 1))]
    return [*name.split(), *words]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working folder of the commands, with the files of `PATHS`."""
    root = tmp_path_factory.mktemp("commands")
    former, cache = os.getcwd(), os.environ.get("XDG_CACHE_HOME")
    os.chdir(root)
    os.environ["XDG_CACHE_HOME"] = str(root / "cache")
    make_inputs(root / "in")
    yield root
    os.chdir(former)
    if cache is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = cache


def make_inputs(folder: Path) -> None:
    folder.mkdir()
    hours = pd.date_range("2024-01-01", periods=200, freq="h")
    table = pd.DataFrame({"date": hours, "a": np.sin(np.arange(200) / 5), "b": np.arange(200) % 7})
    for name in ("table.csv", "other.csv", "größe 🌊.csv"):
        table.to_csv(folder / name, index=False)
    table.drop(index=[5, 6, 7]).to_csv(folder / "gaps.csv", index=False)
    table.assign(a="1" * 3000 + "x").to_csv(folder / "large.csv", index=False)
    table.to_parquet(folder / "table.parquet", index=False)
    extremes = table.assign(date=table["date"].to_numpy().astype("datetime64[s]"))
    extremes.loc[0, "date"] = np.datetime64("9999-12-31T00:00:00", "s")
    extremes.to_parquet(folder / "extreme.parquet", index=False)
    (folder / "config.toml").write_text(
        "[data]\nhorizon = 4\ncontext = 16\n[embedding]\npatch_len = 4\nd_model = 4\nlevel = 1\n"
    )
    (folder / "config.json").write_text('{"data": {"horizon": 4}}')
    (folder / "axes.toml").write_text('[[variant]]\nname = "one"\n"embedding.wavelet" = "haar"\n')
    (folder / "deep.toml").write_text("a = " + "[" * 100_000)
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "digits.toml").write_text("[training]\nseed = " + "9" * 5000)
    (folder / "empty").write_bytes(b"")
    (folder / "binary").write_bytes(bytes(range(256)) * 40)
    torch.save({"weight": torch.zeros(2)}, folder / "weights.pt")
    (folder / "pickled").mkdir()
    (folder / "pickled" / "config.json").write_text("{}")
    shutil.copy(folder / "weights.pt", folder / "pickled" / "pytorch_model.bin")
    os.mkfifo(folder / "pipe")
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as one:  # the path can be too long
        one.bind(str(folder / "socket"))
    (folder / "link.csv").symlink_to("table.csv")
    (folder / "dangling").symlink_to("nothing")
    (folder / "loop").symlink_to("loop")
    small = {"d_model": 4, "patch_len": 4, "stride": 4, "level": 1, "max_steps": 1, "device": "cpu"}
    Forecaster(horizon=4, context=16, backbone="none", **small).fit(table).save(folder / "model")
    (folder / "link_model").symlink_to("model")
    shutil.copytree(folder / "model", folder / "damaged")
    (folder / "damaged" / "scaler.json").write_text("{}")


def state_of(folder: Path) -> dict[str, tuple[int, ...]]:
    """What changes where a file below a folder is written, replaced or removed."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        seen = path.lstat()
        found[str(path)] = (seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_mode)
    return found


def violation(words: list[str], place: Path) -> str | None:
    """Run a command line in this process; describe what is wrong with the way it ends."""
    before = state_of(place / "in")
    (place / "out").mkdir(exist_ok=True)
    out, err = io.StringIO(), io.StringIO()
    former = sys.argv, signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", SWTTimeWarning)
            warnings.showwarning = cli._show_warning
            sys.argv = ["swt-time", *words]
            code = cli.run(words)
    except (Exception, SystemExit, _TooLong) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        sys.argv = former[0]
        signal.signal(signal.SIGTERM, former[1])
        changed = state_of(place / "in") != before
        shutil.rmtree(place / "out")
    if changed:
        return "an input was changed"
    return wrong_ending(code, err.getvalue())


class _TooLong(BaseException):
    """The command took more than `SECONDS`."""


def _too_long(*_: Any) -> None:
    raise _TooLong


def wrong_ending(code: int, shown: str) -> str | None:
    """What is wrong with an exit code and the text on standard error; None if nothing is."""
    lines = shown.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    if code not in (0, 1, 2):
        return f"exit code {code}"
    if "Traceback" in shown:
        return "a traceback"
    if code == 0:
        return f"exit code 0 with {errors[0]}" if errors else None
    if len(errors) != 1 or lines[-1] != errors[0]:
        return f"exit code {code} with {len(errors)} lines of error: {shown[-300:]}"
    return None if 20 < len(errors[0]) <= 1100 else f"a line of {len(errors[0])} characters: {errors[0]}"


outcomes: list[bool] = []


@pytest.fixture(scope="module", autouse=True)
def _on_record():
    yield
    if outcomes:
        command = "make fuzz" if NIGHTLY else "python -m pytest tests/test_fuzz_commands.py"
        trust.record("trust_tables.csv", "fuzzing", CLAIM, len(outcomes), sum(outcomes), command)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_arbitrary_command_lines(place, batch):
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(words=command_lines())
    def run(words: list[str]) -> None:
        outcomes.append(False)
        assert violation(words, place) is None, words
        outcomes[-1] = True

    run()


@pytest.mark.parametrize("name", [name for name in BASES if name not in ("import", "bands", "data get")])
def test_the_unchanged_commands_work(place, capsys, name):
    """The control: commands that refused everything would pass."""
    assert violation([*name.split(), *BASES[name]], place) is None
    assert cli.run([*name.split(), *BASES[name]]) == 0 or not (place / "out").exists()


def test_every_command_and_every_kind_of_path_is_tried():
    assert set(BASES) == set(OPTIONS)
    options = {flag for found in OPTIONS.values() for flag, _ in found}
    assert options.issuperset({*INPUTS[:-1], *OUTPUTS, *SECTIONED})


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        (KeyError("y"), "KeyError"),
        (ValueError("bare"), "ValueError"),
        (SystemExit(3), "SystemExit"),
        (lambda: Path("in/table.csv").touch(), "an input was changed"),
        (lambda: print("error: one\nerror: two", file=sys.stderr) or 2, "2 lines of error"),
        (lambda: 3, "exit code 3"),
    ],
)
def test_planted_violations_are_detected(place, monkeypatch, planted, expected):
    def run(_: list[str]) -> int:
        if isinstance(planted, BaseException):
            raise planted
        return planted() or 0

    monkeypatch.setattr(cli, "run", run)
    assert expected in violation(["train"], place)
