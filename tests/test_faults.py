"""A system call that fails, at every file call of every command: one typed line, and complete outputs.

The calls are those of all libraries, counted and failed below Python (support/faults.c). The suite fails some of them;
the slow tests fail each one.
"""

import errno
import os
import shutil
from pathlib import Path

import pytest

from support import trust
from support.command_cases import COMMANDS, EXISTING, OUTPUTS, make_case, words_of
from support.faults import AVAILABLE, Faults
from swt_time.checkpoints.checkpoint import FILES, read_checkpoint
from swt_time.checkpoints.run_state import read_run
from swt_time.checkpoints.storage import MANIFEST
from swt_time.evaluation.ablation.results import read_rows

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="needs Linux and a C compiler")

CODES = (errno.EIO, errno.ESTALE, errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EMFILE)

SAMPLED = 60
"""Of so many successive system calls the suite fails one."""

ABLATE = 3
"""Of so many successive system calls of ``ablate``, which starts processes, the slow test fails one."""

LEFT = {*FILES, MANIFEST, ".training", ".next", ".lock"}
"""Names that an error may leave in a checkpoint folder."""


@pytest.fixture(scope="module")
def template(tmp_path_factory, tiny_backbones):
    folder = tmp_path_factory.mktemp("faults") / "template"
    make_case(folder, tiny_backbones["gpt2"])
    return folder


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    found = Faults(tmp_path_factory.mktemp("library"))
    yield found
    found.close()


class Cases:
    """The cases of one command: a fresh copy of its files for each one."""

    def __init__(self, command: str, template: Path, folder: Path, faults: Faults):
        self.command, self.template, self.folder, self.faults = command, template, folder, faults
        self.words = words_of(command, folder)
        self.renew()
        run = faults.count(folder, *self.words)
        self.calls, self.progress = run.calls, {line.split()[0] for line in run.stderr.splitlines()} | {"note:"}
        self.new = {name: self.content(name) for name in OUTPUTS[command]}
        self.others = snapshot(template, OUTPUTS[command])

    def renew(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.template, self.folder)

    def content(self, name: str):
        path = self.folder / name
        if path.is_dir() and self.command == "convert":
            return {file.name: file.read_bytes() for file in path.iterdir()}
        if path.is_dir():
            return {name: weight.tolist() for name, weight in read_checkpoint(path).weights.items()}
        return path.read_bytes() if path.exists() else None

    def problems(self, number: int, code: int) -> list[str]:
        """Fail one call; return what is wrong with the outcome."""
        self.renew()
        run = self.faults.fail(self.folder, number, code, *self.words)
        where = f"{self.command}, call {number} ({self.calls[number - 1]}), {errno.errorcode[code]}"
        found = [] if run.calls[:number] == self.calls[:number] else ["other calls than before"]
        if run.returncode not in (0, 1, 2):
            found.append(f"exit code {run.returncode}")
        lines = [line for line in run.stderr.splitlines() if line.split()[:1] not in [[word] for word in self.progress]]
        if run.returncode == 0 and lines:
            found.append(f"messages of a success: {lines}")
        if run.returncode != 0 and (len(lines) != 1 or not lines[0].startswith("error: ")):
            found.append(f"expected one line, got {run.stderr[-1500:]}")
        try:
            found += self.damages(run.returncode == 0)
        except Exception as error:  # an output that cannot be read
            found.append(f"{type(error).__name__}: {error}")
        return [f"{where}: {problem}" for problem in found]

    def damages(self, succeeded: bool) -> list[str]:
        """Say which files are neither old nor new."""
        found = []
        if snapshot(self.folder, OUTPUTS[self.command]) != self.others:
            found.append("another file was changed")
        for name in OUTPUTS[self.command]:
            content, old = self.content(name), b"old" if name in EXISTING else None
            if (self.folder / name).is_dir() and self.command != "convert":
                read_run(self.folder / name)
                left = set(os.listdir(self.folder / name)) - LEFT
                # A run saves several checkpoints; reading has verified that this is a complete one.
                good = not left and (content == self.new[name] or not succeeded)
                found += [] if good else [f"{name}: left {left or 'other weights'}"]
            elif name.endswith("results.csv"):
                good = content is None or content == b"" or content.endswith(b"\n")
                rows = len(read_rows(self.folder / name))
                found += [] if good and (rows == 2 or not succeeded) else [f"{name} has {rows} rows"]
            elif name.endswith("study.log"):
                trials = 0 if content is None else content.count(b'"op_code":4')
                found += [] if trials == 2 or not succeeded else [f"{name} has {trials} trials"]
            elif content not in ((self.new[name],) if succeeded else (self.new[name], old)):
                found.append(f"{name} is neither old nor new")
        return found


def snapshot(folder: Path, without: set[str]) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    relative = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: path.read_bytes() for name, path in relative.items() if name.split("/")[0] not in without}


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("ablate", "plot")])
def test_some_file_calls_that_fail_give_one_line(command, template, faults, tmp_path):
    cases = Cases(command, template, tmp_path / "case", faults)
    numbers = range(1 + len(command), len(cases.calls) + 1, SAMPLED)
    assert [problem for i, number in enumerate(numbers) for problem in cases.problems(number, CODES[i % 6])] == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_file_call_that_fails_gives_one_line(command, template, faults, tmp_path):
    cases = Cases(command, template, tmp_path / "case", faults)
    numbers = range(1, len(cases.calls) + 1, ABLATE if command == "ablate" else 1)
    found = {number: cases.problems(number, CODES[i % len(CODES)]) for i, number in enumerate(numbers)}
    claim = (
        f"a system call on a file that fails during {command} ({', '.join(map(errno.errorcode.get, CODES))} in turn, "
        f"{'every third call' if command == 'ablate' else 'each call once'}) gives at most one line, and leaves "
        "complete outputs and nothing else"
    )
    passed = sum(not problems for problems in found.values())
    trust.record("trust_hostile.csv", "system faults", claim, len(found), passed, COMMAND)
    assert [problem for problems in found.values() for problem in problems] == []


COMMAND = 'python -m pytest -m "slow or not slow" tests/test_faults.py'


def test_damaged_outputs_are_noticed(template, faults, tmp_path):
    """Control: what the tests above look for is found where it was planted."""
    cases = Cases("forecast", template, tmp_path / "case", faults)
    assert {"open", "read", "write", "fsync", "renameat", "fstat64"} <= set(cases.calls)
    cases.renew()
    assert cases.damages(succeeded=False) == []
    assert cases.damages(succeeded=True) == ["forecast.csv is neither old nor new"]
    (cases.folder / "forecast.csv").write_bytes(b"half")
    (cases.folder / ".rest.part").write_bytes(b"")
    assert cases.damages(succeeded=False) == ["another file was changed", "forecast.csv is neither old nor new"]
    cases = Cases("train", template, tmp_path / "case", faults)
    cases.renew()
    assert cases.damages(succeeded=False) == []
    (cases.folder / "model" / ".new").mkdir()
    assert cases.damages(succeeded=False) == ["model: left {'.new'}"]
    weights = cases.folder / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is not what was written"):
        cases.damages(succeeded=False)
