"""Jobs of the page: a table that was sent, what was understood of it, and its forecast; each step a process of its own.

A job has an id that cannot be guessed and lives on the server, so that a page that was reloaded finds it again. Its
files are in a folder that only the user of the server can read, and are removed with the job.
"""

import contextlib
import logging
import math
import secrets
import shutil
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from swt_time.errors import ConfigError, SWTTimeError
from swt_time.files import MEBIBYTE
from swt_time.serve.child import ChildError, Stopped, run_child

log = logging.getLogger(__name__)

Task = Literal["read", "forecast"]
State = Literal["waiting", "running", "done", "failed", "cancelled"]

MOST_EVENTS = 2000
"""Most events of a job that are kept; further ones of training steps replace the last one."""

KEPT = ("read", "forecast")
"""What was understood stays when a forecast begins; everything else begins anew."""

PROGRAM = (sys.executable, "-m", "swt_time.serve.work")


@dataclass(frozen=True)
class JobLimits:
    """What jobs may take.

    Attributes
    ----------
    seconds : float
        Time of one fit with its backtest and report; it is stopped after that.
    reading_seconds : float
        Time of reading one table.
    memory_mib : int
        Memory of one process and its children (Linux).
    fits, waiting : int
        Fits at once, and fits that may wait for their turn; further ones are refused.
    jobs : int
        Jobs that are kept. The one that was not used for longest makes room, if it is not at work.
    upload_bytes, upload_seconds : int, float
        Size of one table as it is sent, and time in which it must have arrived.
    idle_seconds : float
        Time without a question from the page after which a job and its files are removed.
    """

    seconds: float = 900.0
    reading_seconds: float = 60.0
    memory_mib: int = 4096
    fits: int = 1
    waiting: int = 8
    jobs: int = 32
    upload_bytes: int = 64 * MEBIBYTE
    upload_seconds: float = 300.0
    idle_seconds: float = 3600.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < math.inf:
                raise ConfigError(f"the limit {name} of jobs must be greater than 0 and finite; got {value}")


class UnknownJobError(SWTTimeError):
    """There is no job with this id, or no longer."""


class BusyError(SWTTimeError):
    """As many jobs as allowed are kept or wait; try again later."""


@dataclass
class Run:
    """One process of a job: its state, what it has reported, and the folder of what it writes."""

    task: Task
    folder: Path
    state: State = "waiting"
    events: list[dict[str, Any]] = field(default_factory=list)
    error: dict[str, Any] | None = None
    asked: float = field(default_factory=time.monotonic)
    began: float | None = None
    ended: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def active(self) -> bool:
        """Whether the process waits or works."""
        return self.state in ("waiting", "running")

    def take(self, event: dict[str, Any]) -> None:
        """Keep an event."""
        if "error" in event:
            self.error = event["error"]
        elif "step" in event and self.events and "step" in self.events[-1]:
            self.events[-1] = event
        elif len(self.events) < MOST_EVENTS:
            self.events.append(event)

    def end(self, state: State, message: str | None = None) -> None:
        """Say how the process ended; a message of the library stands."""
        self.ended = time.monotonic()
        if message is not None and self.error is None:
            self.error = {"message": message, "field": None}
        self.state = state  # last, since it says that the rest is complete

    def last(self, kind: str) -> Any:
        """Return the value of the newest event of a kind; None if there is none."""
        return next((event[kind] for event in reversed(self.events) if kind in event), None)

    def as_json(self) -> dict[str, Any]:
        """Return what the page is told."""
        seconds = None if self.began is None else (self.ended or time.monotonic()) - self.began
        return {"state": self.state, "events": list(self.events), "error": self.error, "seconds": seconds}


@dataclass
class Job:
    """A table and what was made of it.

    Attributes
    ----------
    id : str
    folder : path
        Holds ``table``, perhaps ``future``, and a folder for each run.
    names : dict
        Names that the user gave the files.
    options : dict
        The form of the page as it was sent last.
    runs : dict
        The newest run of each task.
    used : float
        When the page asked last.
    """

    id: str
    folder: Path
    names: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    runs: dict[Task, Run] = field(default_factory=dict)
    used: float = field(default_factory=time.monotonic)
    uploads: int = 0

    @property
    def active(self) -> bool:
        """Whether a table arrives, or a process of it waits or works."""
        return self.uploads > 0 or any(run.active for run in self.runs.values())

    @contextlib.contextmanager
    def receiving(self) -> Iterator[None]:
        """Keep the job while a table arrives."""
        self.uploads += 1
        try:
            yield
        finally:
            self.uploads -= 1

    def as_json(self) -> dict[str, Any]:
        """Return what the page is told."""
        runs: dict[str, Any] = {task: run.as_json() for task, run in self.runs.items()}
        return {"id": self.id, "names": self.names, "options": self.options, **runs}


class Jobs:
    """All jobs of a server.

    Parameters
    ----------
    limits : JobLimits
    program : sequence of str
        The command of a process; another one in tests.
    """

    def __init__(self, limits: JobLimits | None = None, program: Sequence[str] = PROGRAM) -> None:
        self.limits = limits or JobLimits()
        self.program = tuple(program)
        self._folder: Path | None = None
        self._jobs: dict[str, Job] = {}
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._workers: dict[Task, ThreadPoolExecutor] = {
            "read": ThreadPoolExecutor(2, "swt-time-read"),
            "forecast": ThreadPoolExecutor(self.limits.fits, "swt-time-forecast"),
        }

    def __enter__(self) -> "Jobs":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._jobs)

    def close(self) -> None:
        """End all processes and remove all files."""
        self._closed.set()
        with self._lock:
            for job in list(self._jobs.values()):
                self._stop(job)
        for workers in self._workers.values():
            workers.shutdown(wait=True, cancel_futures=True)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def create(self) -> Job:
        """Return a new job, with an empty folder.

        Raises
        ------
        BusyError
            All jobs that are kept are at work.
        """
        with self._lock:
            self._remove_idle()
            if len(self._jobs) >= self.limits.jobs:
                idle = [job for job in self._jobs.values() if not job.active]
                if not idle:
                    raise BusyError(f"{self.limits.jobs} tables are at work already; try again later")
                self.remove(min(idle, key=lambda job: job.used).id)
            job = Job(secrets.token_urlsafe(32), Path(tempfile.mkdtemp(dir=self._open())))
            self._jobs[job.id] = job
            return job

    def _open(self) -> Path:
        """Return the folder of all jobs; it and the thread that removes idle ones begin with the first job."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="swt-time-"))  # for its owner only
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)  # if nobody closes it
            threading.Thread(target=self._tidy, name="swt-time-tidy", daemon=True).start()
        return self._folder

    def get(self, name: str) -> Job:
        """Return the job with an id.

        Raises
        ------
        UnknownJobError
        """
        job = self._jobs.get(name)
        if job is None:
            minutes = f"{self.limits.idle_seconds / 60:g} minutes"
            raise UnknownJobError(f"the server keeps a table for {minutes} after its last use; send it again")
        job.used = time.monotonic()
        return job

    def remove(self, name: str) -> None:
        """End the processes of a job and remove its files."""
        with self._lock:
            job = self._jobs.pop(name, None)
        if job is not None:
            self._stop(job)
            if not any(run.active for run in job.runs.values()):
                shutil.rmtree(job.folder, ignore_errors=True)

    def start(self, job: Job, task: Task, options: dict[str, Any]) -> Run:
        """Start a process of a job; one of the same job that is at work is stopped.

        Raises
        ------
        BusyError
            As many fits as allowed wait already.
        """
        with self._lock:
            self._stop(job)
            runs = [one.runs.get("forecast") for one in self._jobs.values()]
            waiting = sum(run is not None and run.state == "waiting" for run in runs)
            if task == "forecast" and waiting >= self.limits.waiting:
                raise BusyError(f"{waiting} fits wait already; try again later")
            job.options, run = options, Run(task, Path(tempfile.mkdtemp(dir=job.folder)))
            former = [job.runs.pop(one) for one in ("read", "forecast") if one in job.runs and (one, task) != KEPT]
            job.runs[task] = run
            for one in former:
                if one.state != "running":  # otherwise its thread does
                    shutil.rmtree(one.folder, ignore_errors=True)
            self._workers[task].submit(self._work, job, run)
        return run

    def cancel(self, job: Job) -> None:
        """Stop what a job does."""
        self._stop(job)

    def ahead(self, run: Run) -> int:
        """How many fits that wait begin before one that waits."""
        others = [one.runs.get("forecast") for one in list(self._jobs.values())]
        return sum(one is not None and one.state == "waiting" and one.asked < run.asked for one in others)

    def _stop(self, job: Job) -> None:
        for run in job.runs.values():
            run.stop.set()
            if run.state == "waiting":
                run.end("cancelled")

    def _work(self, job: Job, run: Run) -> None:
        """Run a process, in a thread of its own."""
        if run.stop.is_set():
            return
        run.began, run.state = time.monotonic(), "running"
        seconds = self.limits.seconds if run.task == "forecast" else self.limits.reading_seconds
        errors = run.folder / "errors.log"
        try:
            run_child(
                self.program,
                self._request(job, run),
                errors,
                seconds=seconds,
                memory=self.limits.memory_mib,
                report=run.take,
                stop=run.stop,
            )
            run.end("done" if run.error is None else "failed")
        except Stopped:
            run.end("cancelled")
        except ChildError as error:
            log.warning("a %s of the page failed: %s\n%s", run.task, error, _tail(errors))
            run.end("failed", str(error))
        except Exception as error:
            log.exception("a %s of the page failed", run.task)
            run.end("failed", f"the server could not run it ({type(error).__name__}); its log says more")
        with self._lock:
            if job.id not in self._jobs:  # removed meanwhile
                shutil.rmtree(job.folder, ignore_errors=True)
            elif job.runs.get(run.task) is not run:
                shutil.rmtree(run.folder, ignore_errors=True)

    def _request(self, job: Job, run: Run) -> dict[str, Any]:
        files = {key: str(job.folder / key) for key in job.names}
        names = {f"{key}_name": name for key, name in job.names.items()}
        memory = self.limits.memory_mib // 2
        return {
            "task": run.task,
            **files,
            **names,
            "options": job.options,
            "out": str(run.folder),
            "memory_limit": memory,
        }

    def _remove_idle(self) -> None:
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if not job.active and now - job.used > self.limits.idle_seconds:
                self.remove(job.id)

    def _tidy(self) -> None:
        while not self._closed.wait(min(60.0, self.limits.idle_seconds / 2)):
            with self._lock:
                self._remove_idle()


def _tail(path: Path, lines: int = 20) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    return ""
