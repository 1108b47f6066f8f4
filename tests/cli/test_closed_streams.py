"""Commands whose standard streams are closed, full or not read, and errors that no command expects."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from swt_time import cli

WRITE = """
import os, sys
from swt_time import cli
from swt_time.cli.streams import prepare_streams
prepare_streams()
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
print("note", file=sys.stderr)
print("result")
sys.stdout.flush()
os.write(file, b"content" if file > 2 else b"descriptor %d" % file)
"""

full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")


FUNCTIONS = """
python() { "$PYTHON" "$@"; }
swt-time() { "$PYTHON" -m swt_time "$@"; }
"""


def shell(command: str, *words: str) -> subprocess.CompletedProcess:
    """Run a command of the shell, in which ``swt-time`` and ``python`` are those of this environment."""
    environment = {**os.environ, "PYTHON": sys.executable}
    words = ("bash", "-c", FUNCTIONS + command, "bash", *words)
    return subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment)


@pytest.mark.parametrize(
    ("closed", "out", "err"),
    [
        ("", "result\n", "note\n"),
        ("0<&-", "result\n", "note\n"),
        ("1>&-", "", "note\n"),
        ("2>&-", "result\n", ""),
        ("0<&- 2>&-", "result\n", ""),
        ("0<&- 1>&- 2>&-", "", ""),
    ],
)
def test_a_file_never_takes_the_place_of_a_closed_stream(tmp_path, closed, out, err):
    run = shell(f'python -c "$1" "$2" {closed}', WRITE, str(tmp_path / "file"))
    assert (run.returncode, run.stdout, run.stderr) == (0, out, err)
    assert (tmp_path / "file").read_text() == "content"


def test_notes_stay_out_of_the_results_where_standard_error_is_closed(tmp_path):
    """Python prints to standard output where it has no standard error."""
    script = "import sys, warnings; from swt_time import cli, SWTTimeWarning; import typer\n"
    script += "def one():\n    warnings.warn('a note', SWTTimeWarning)\n    typer.echo('{}')\n"
    script += "cli.app.command('one')(one); sys.argv = ['swt-time', 'one']; cli.main()"
    assert shell('python -c "$1"', script).stderr == "note: a note\n"
    run = shell('python -c "$1" 2>&-', script)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout) == {}


@full
@pytest.mark.parametrize("command", ["--version", "--help", "info", "info --model /nowhere", "no-such-command"])
def test_full_streams(command):
    run = shell(f"swt-time {command} > /dev/full")
    assert run.returncode in (1, 2)
    assert run.stderr.startswith("error: ")
    assert run.stderr.count("\n") == 1
    assert shell(f"swt-time {command} 2> /dev/full").returncode in (0, 2)
    assert shell(f"swt-time {command} > /dev/full 2>&1").returncode in (1, 2)


@full
def test_a_full_standard_error_loses_notes_and_no_work(swt_time, tmp_path):
    """Progress, notes and what was chosen go there, of jobs that then end well."""
    rows = "".join(f"2024-01-{day:02},{day % 7}\n" for day in range(1, 29))
    (tmp_path / "t.csv").write_text(f"ds,y\n{rows}2024-01-30,\n")
    words = ("forecast", "--data", tmp_path / "t.csv", "--horizon", 3, "--out", "-", "--save")
    written = swt_time(*words, tmp_path / "one")
    assert "note: 1 rows" in written.stderr
    assert "compared on held-out blocks" in written.stderr
    command = " ".join(map(str, ("swt-time", *words, tmp_path / "other")))
    lost = shell(f"export PYTHONIOENCODING=ascii; {command} 2> /dev/full")
    assert (lost.returncode, lost.stdout) == (0, written.stdout)
    assert (tmp_path / "other" / "config.json").exists()


def test_output_that_nobody_reads():
    run = shell("swt-time --help | true; exit ${PIPESTATUS[0]}")
    assert run.returncode in (0, 1)
    assert run.stderr == ""
    assert shell("swt-time info --model /nowhere 2>&1 | true; exit ${PIPESTATUS[0]}").returncode == 2


@pytest.fixture
def failing(monkeypatch):
    """A command that raises an error."""

    def run(error: Exception) -> int:
        def main(*_: object, **__: object) -> None:
            raise error

        command = type("Command", (), {"main": staticmethod(main), "params": [], "commands": {}})
        monkeypatch.setattr(cli, "root_command", lambda: command)
        return cli.run(["one"])

    return run


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MemoryError(), "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "out of memory"),
        (RuntimeError("Symlink loop from '/a/loop'"), "a path cannot be followed (Symlink loop from '/a/loop'"),
        (RecursionError("deep"), "nested too deeply (deep, at cli/__init__.py:"),
        (OverflowError("int too large"), "too large (int too large, at cli/__init__.py:"),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates"), "cannot be represented"),
        (OSError(28, "No space left on device", "/full"), "file operation /full: No space left on device"),
    ],
)
def test_limits_of_the_machine_are_one_line(failing, capsys, error, text):
    assert failing(error) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert text in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize("error", [KeyError("y"), ValueError("bare"), RuntimeError("odd"), AssertionError()])
def test_defects_keep_their_traceback_and_ask_for_a_report(failing, error):
    with pytest.raises(type(error)) as caught:
        failing(error)
    assert caught.value.__notes__ == [cli.BUG]


def test_descriptors_are_left_alone_where_they_are_open():
    before = [os.fstat(number).st_ino for number in (0, 1, 2)]
    cli.prepare_streams()
    assert [os.fstat(number).st_ino for number in (0, 1, 2)] == before
