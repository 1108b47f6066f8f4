"""Links and special files planted in a checkpoint folder: no command touches what they stand for, or waits for them.

Each crafted folder has one planted entry, under a name that swt-time uses inside such a folder. The suite tries a
sample, the slow tests every one.
"""

import contextlib
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support import trust
from support.command_cases import FILES as INPUTS
from support.command_cases import make_case, words_of
from swt_time.checkpoints.checkpoint import FILES
from swt_time.checkpoints.locking import LOCK
from swt_time.checkpoints.run_state import FILES as RUN_FILES
from swt_time.checkpoints.run_state import FOLDER
from swt_time.checkpoints.storage import MANIFEST, NEW, NEXT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes of POSIX")

SECONDS = 60
SAMPLED = 41
"""Of so many successive crafted folders the suite tries one."""

OUTER, INNER = (*FILES, MANIFEST), (*RUN_FILES, MANIFEST)
NAMES = [LOCK, NEW, NEXT, FOLDER, *OUTER]
NAMES += [f"{place}/{name}" for place in (NEW, NEXT) for name in OUTER]
NAMES += [f"{FOLDER}/{name}" for name in (NEW, NEXT, *INNER)]
NAMES += [f"{FOLDER}/{place}/{name}" for place in (NEW, NEXT) for name in INNER]
"""Every name that is used inside a checkpoint folder."""

FOLDERS = {name for name in NAMES if name.split("/")[-1] in (NEW, NEXT, FOLDER)}
COMMANDS = ("train", "resume", "import", "forecast", "evaluate", "info", "bands")


def device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 7))  # /dev/full
    except PermissionError:
        pytest.skip("only root can make a device")


def other_kind(path: Path) -> None:
    """A file in place of a folder, a folder that is not empty in place of a file."""
    if any(path.as_posix().endswith(f"/{name}") for name in (NEW, NEXT, FOLDER)):
        path.write_text("x")
    else:
        path.mkdir()
        (path / "inside").write_text("x")


KINDS: dict[str, Callable[[Path, Path], object]] = {
    "symbolic link to a file": lambda path, outside: path.symlink_to(outside / "file"),
    "symbolic link to a folder": lambda path, outside: path.symlink_to(outside / "folder"),
    "dangling symbolic link": lambda path, outside: path.symlink_to(outside / "none"),
    "hard link": lambda path, outside: path.hardlink_to(outside / "file"),
    "pipe": lambda path, outside: os.mkfifo(path),
    "socket": lambda path, outside: os.mknod(path, stat.S_IFSOCK | 0o666),
    "device": lambda path, outside: device(path),
    "other kind": lambda path, outside: other_kind(path),
}
EVERY = [(command, name, kind) for name in NAMES for kind in KINDS for command in COMMANDS]


def make_outside(folder: Path) -> None:
    """Create files of the user: one, and a folder with all names that are used inside a checkpoint folder."""
    folder.mkdir()
    (folder / "file").write_text("mine\n")
    for name in NAMES:
        path = folder / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in FOLDERS:
            path.mkdir(exist_ok=True)
        else:
            path.write_text(f"my {name}\n")


def snapshot(folder: Path) -> dict[str, tuple[int, bytes | str | None]]:
    """Kind and content of everything in a folder."""
    found: dict[str, tuple[int, bytes | str | None]] = {}
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        content = os.readlink(path) if stat.S_ISLNK(mode) else path.read_bytes() if stat.S_ISREG(mode) else None
        found[path.relative_to(folder).as_posix()] = (mode, content)
    return found


@pytest.fixture(scope="module")
def template(tmp_path_factory, tiny_backbones):
    folder = tmp_path_factory.mktemp("links") / "template"
    make_case(folder, tiny_backbones["gpt2"])
    return folder


@pytest.fixture
def place(tmp_path, template):
    """A folder with ``case``, a copy of the inputs that is made for each crafted folder, and ``outside``."""
    make_outside(tmp_path / "outside")
    return tmp_path


def craft(place: Path, template: Path, command: str) -> Path:
    """Copy the inputs; return the checkpoint folder of a command."""
    shutil.rmtree(place / "case", ignore_errors=True)
    shutil.copytree(template, place / "case")
    # A stopped run can be overwritten and read too, and has more of the names.
    for name in ("model",) if command != "resume" else ():
        shutil.copytree(place / "case" / "stopped" / FOLDER, place / "case" / name / FOLDER)
    return place / "case" / ("stopped" if command == "resume" else "model")


def plant(path: Path, kind: str, outside: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    KINDS[kind](path, outside)


def problems(swt_time, place: Path, template: Path, command: str, name: str, kind: str) -> list[str]:
    """Run a command on a crafted folder; return what is wrong with the outcome."""
    folder = craft(place, template, command)
    plant(folder / name, kind, place / "outside")
    before = snapshot(place / "outside"), others(place / "case", folder.name)
    run = swt_time(*words_of(command, place / "case"), check=False, seconds=SECONDS)
    where = f"{command}, {kind} under {name}"
    found = [] if run.returncode in (0, 2) else [f"exit code {run.returncode}"]
    errors = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    if len(errors) != (run.returncode == 2) or "Traceback" in run.stderr or "Exception" in run.stderr:
        found.append(f"expected one line, got {run.stderr[-1500:]}")
    if (snapshot(place / "outside"), others(place / "case", folder.name)) != before:
        found.append("a file outside the folder was changed")
    return [f"{where}: {problem}" for problem in found]


def others(case: Path, model: str) -> dict[str, tuple[int, bytes | str | None]]:
    """The inputs of a command outside its checkpoint folder."""
    written = ("forecast.csv", "bands.png", model)
    return {name: facts for name, facts in snapshot(case).items() if name.split("/")[0] in INPUTS - set(written)}


def test_a_sample_of_planted_entries_is_harmless(swt_time, place, template):
    sample = EVERY[::SAMPLED]
    assert {kind for _, _, kind in sample} == set(KINDS)
    assert {command for command, _, _ in sample} == set(COMMANDS)
    assert [problem for case in sample for problem in problems(swt_time, place, template, *case)] == []


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_planted_entry_is_harmless(swt_time, place, template, command):
    cases = [case for case in EVERY if case[0] == command]
    found = [problems(swt_time, place, template, *case) for case in cases]
    claim = (
        f"a link, pipe, socket, device, or an entry of another kind, planted under each name inside a checkpoint "
        f"folder given to {command}, changes no other file and gives at most one line"
    )
    passed = sum(not wrong for wrong in found)
    trust.record("trust_hostile.csv", "planted links", claim, len(found), passed, COMMAND)
    assert [problem for wrong in found for problem in wrong] == []


COMMAND = 'python -m pytest -m "slow or not slow" tests/test_planted_links.py'


def test_number_of_crafted_folders():
    assert len(EVERY) == len(COMMANDS) * len(NAMES) * len(KINDS) >= 500
    assert len(set(NAMES)) == len(NAMES)


REFUSED = {
    "symbolic link to a file": "found a symbolic link",
    "hard link": "found one of 2 hard links to a file",
    "pipe": "found a pipe",
    "socket": "found a device or socket",
    "other kind": "expected a regular file, found a folder",
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("command", ["train", "resume", "import", "info"])
def test_the_refusal_names_path_finding_and_remedy(swt_time, place, template, command, kind):
    name = MANIFEST if command == "info" else LOCK
    folder = craft(place, template, command)
    plant(folder / name, kind, place / "outside")
    run = swt_time(*words_of(command, place / "case"), check=False, seconds=SECONDS)
    assert run.returncode == 2
    assert f"cannot use {folder / name}: expected a regular file, " in run.stderr
    assert REFUSED[kind] in run.stderr
    assert "remove it" in run.stderr or "replace it by the file or folder itself" in run.stderr
    assert snapshot(folder)[name][0] == (folder / name).lstat().st_mode


def test_a_lock_file_of_another_program_is_left_alone(swt_time, place, template):
    folder = craft(place, template, "train")
    (folder / LOCK).write_text("name = 'a lock of npm'\n")
    run = swt_time(*words_of("train", place / "case"), check=False)
    assert run.returncode == 2
    assert f"{folder / LOCK} is not a lock file of swt-time; remove it" in run.stderr
    assert (folder / LOCK).read_text() == "name = 'a lock of npm'\n"


def test_an_output_folder_may_itself_be_a_link(swt_time, place, template):
    """The user named it, for example to write to another disk."""
    folder = craft(place, template, "train")
    folder.rename(place / "disk")
    folder.symlink_to(place / "disk")
    for command in ("train", "info", "forecast"):
        swt_time(*words_of(command, place / "case"))
    assert folder.is_symlink()
    assert sorted(os.listdir(place / "disk")) == sorted(OUTER)


def test_the_detection_detects(place, template):
    """Control: a change of the user's files is seen by the snapshot, whatever changed."""
    outside = place / "outside"
    before = snapshot(outside)
    for change in (
        lambda: (outside / "file").write_text(""),
        lambda: (outside / "folder" / FOLDER / MANIFEST).unlink(),
        lambda: (outside / "none").touch(),
        lambda: (outside / "folder" / LOCK).chmod(0o600),
    ):
        change()
        assert snapshot(outside) != before
        before = snapshot(outside)


SWAPPER = """
import os, sys
from pathlib import Path

path, target, aside = map(Path, sys.argv[1:])
print("ready", flush=True)
while True:
    for change in (
        lambda: os.replace(path, aside),
        lambda: os.symlink(target, path),
        lambda: os.unlink(path),
        lambda: os.replace(aside, path),
    ):
        try:
            change()
        except OSError:
            pass
"""


@contextlib.contextmanager
def swapped(path: Path, target: Path, aside: Path):
    """Swap an entry for a symbolic link and back, in a loop in another process."""
    words = [sys.executable, "-c", SWAPPER, path, target, aside]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    yield
    assert process.poll() is None
    process.kill()
    process.wait()
    process.stdout.close()


RACES = [(name, "folder") for name in (NEW, NEXT, FOLDER)]
RACES += [(name, "file") for name in (LOCK, MANIFEST, "config.json")]


def race(swt_time, place: Path, template: Path, command: str, name: str, target: str) -> list[str]:
    folder = craft(place, template, command)
    before = snapshot(place / "outside"), others(place / "case", folder.name)
    with swapped(folder / name, place / "outside" / target, place / "aside"):
        run = swt_time(*words_of(command, place / "case"), check=False, seconds=SECONDS)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(place / "aside") if (place / "aside").is_dir() else (place / "aside").unlink()
    # A save that meets a swapped name fails as on any other error of the file system.
    found = [] if run.returncode in (0, 1, 2) else [f"exit code {run.returncode}"]
    if "Traceback" in run.stderr or (run.returncode and run.stderr.count("error: ") != 1):
        found.append(run.stderr[-1500:])
    if (snapshot(place / "outside"), others(place / "case", folder.name)) != before:
        found.append("a file outside the folder was changed")
    return [f"{command}, {name}: {problem}" for problem in found]


@pytest.mark.parametrize(("name", "target"), RACES, ids=[name for name, _ in RACES])
def test_names_swapped_during_a_command_are_harmless(swt_time, place, template, name, target):
    assert race(swt_time, place, template, "train", name, target) == []
    assert race(swt_time, place, template, "info", name, target) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_commands_during_swaps(swt_time, place, template):
    cases = [(command, *one) for command in COMMANDS for one in RACES for _ in range(5)]
    found = [race(swt_time, place, template, *case) for case in cases]
    claim = "commands during which a second process swaps a name inside the checkpoint folder change no other file"
    trust.record("trust_hostile.csv", "planted links", claim, len(cases), sum(not one for one in found), COMMAND)
    assert [problem for one in found for problem in one] == []
