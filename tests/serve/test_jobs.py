"""Processes of jobs: what they report, how they are ended, and that nothing of them is left."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swt_time.errors import ConfigError
from swt_time.serve.child import resident_memory
from swt_time.serve.jobs import PROGRAM, BusyError, Job, JobLimits, Jobs, Run, UnknownJobError

READY = 'print(\'{"stage": "begun"}\', flush=True);'


def jobs_of(script: str, **limits: float) -> Jobs:
    """Jobs whose program is a script instead of a fit."""
    return Jobs(JobLimits(**limits), (sys.executable, "-S", "-c", f"import os, sys, time; {READY} {script}"))


def until(condition, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def begun(jobs: Jobs, task: str = "forecast") -> tuple[Job, Run]:
    """A job at work."""
    job = jobs.create()
    run = jobs.start(job, task, {})
    until(lambda: run.events or not run.active)
    return job, run


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def folder_of(jobs: Jobs) -> Path:
    found = jobs._folder
    assert found is not None
    return found


def test_events_are_kept_and_the_end_is_told():
    with jobs_of('print(\'{"stage": "read"}\'); print(\'{"result": {"rows": 3}}\')') as jobs:
        job, run = begun(jobs)
        until(lambda: not run.active)
        assert (run.state, run.error, run.last("result")) == ("done", None, {"rows": 3})
        assert [event["stage"] for event in run.events if "stage" in event] == ["begun", "read"]
        assert jobs.get(job.id) is job
        with pytest.raises(UnknownJobError, match="keeps a table for 60 minutes"):
            jobs.get("another")


def test_the_program_gets_the_request():
    with jobs_of("print('{\"result\": %s}' % sys.stdin.readline().strip())") as jobs:
        job = jobs.create()
        job.names["table"] = "demand.csv"
        run = jobs.start(job, "read", {"horizon": 3})
        until(lambda: not run.active)
        request = run.last("result")
        assert (request["task"], request["options"], request["table_name"]) == ("read", {"horizon": 3}, "demand.csv")
        assert Path(request["table"]).parent == job.folder


def test_cancel_ends_the_program_and_what_it_has_started():
    child = "import subprocess; p = subprocess.Popen(['sleep', '60']); print('{\"result\": %d}' % p.pid, flush=True);"
    with jobs_of(f"{child} time.sleep(60)") as jobs:
        job, run = begun(jobs)
        until(lambda: run.last("result") is not None)
        began, pid = time.monotonic(), run.last("result")
        assert alive(pid)
        jobs.cancel(job)
        until(lambda: not run.active)
        assert (run.state, run.error) == ("cancelled", None)
        assert time.monotonic() - began < 2
        until(lambda: not alive(pid))


def test_children_of_a_program_that_ended_are_ended_too():
    child = "import subprocess; p = subprocess.Popen(['sleep', '60']); print('{\"result\": %d}' % p.pid, flush=True)"
    with jobs_of(child) as jobs:
        _, run = begun(jobs)
        until(lambda: not run.active)
        assert run.state == "done"
        until(lambda: not alive(run.last("result")))


def test_a_program_that_takes_too_long_is_ended():
    with jobs_of("time.sleep(60)", seconds=0.5) as jobs:
        _, run = begun(jobs)
        until(lambda: not run.active)
        assert run.state == "failed"
        assert run.error["message"].startswith("it took longer than 0.5 seconds and was stopped; use fewer series")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is measured on Linux only")
@pytest.mark.parametrize("where", ["the program", "a child of it"])
def test_a_program_that_takes_too_much_memory_is_ended(where: str):
    take = "x = bytearray(400 * 2**20); time.sleep(60)"
    if where == "a child of it":
        take = f"import subprocess; subprocess.run([sys.executable, '-S', '-c', 'import time; {take}'])"
    with jobs_of(take, memory_mib=200) as jobs:
        _, run = begun(jobs)
        until(lambda: not run.active)
        assert run.state == "failed"
        assert run.error["message"].startswith("it needed more than 200 MiB of memory and was stopped; use fewer")


def test_the_memory_of_a_process_is_that_of_the_system():
    assert 2**20 < resident_memory(os.getpid()) < 2**36
    assert resident_memory(2**22 + 1) == 0


@pytest.mark.parametrize(
    ("script", "how"), [("os.kill(os.getpid(), 11)", "signal SIGSEGV"), ("os._exit(3)", "exit code 3")]
)
def test_a_crash_is_named(script: str, how: str, caplog: pytest.LogCaptureFixture):
    with jobs_of(f"print('the reason', file=sys.stderr, flush=True); {script}") as jobs:
        _, run = begun(jobs)
        until(lambda: not run.active)
        assert run.state == "failed"
        assert run.error["message"] == f"the process ended unexpectedly ({how}); the server's log says more"
        assert "the reason" in caplog.text


def test_what_is_no_event_ends_the_program():
    with jobs_of("print('Traceback'); time.sleep(60)") as jobs:
        _, run = begun(jobs)
        until(lambda: not run.active)
        assert run.error["message"] == "the process reported what is no event and was stopped"


def test_an_error_of_the_library_is_kept():
    with jobs_of('print(\'{"error": {"message": "wrong", "field": "horizon"}}\')') as jobs:
        _, run = begun(jobs)
        until(lambda: not run.active)
        assert (run.state, run.error) == ("failed", {"message": "wrong", "field": "horizon"})


def test_fits_wait_for_their_turn_and_too_many_are_refused():
    with jobs_of("time.sleep(60)", fits=1, waiting=1) as jobs:
        first, one = begun(jobs)
        second = jobs.create()
        two = jobs.start(second, "forecast", {})
        assert (one.state, two.state, jobs.ahead(two)) == ("running", "waiting", 0)
        with pytest.raises(BusyError, match="1 fits wait already"):
            jobs.start(jobs.create(), "forecast", {})
        jobs.cancel(first)
        until(lambda: two.state == "running")
        jobs.cancel(second)
        until(lambda: not two.active)


def test_a_fit_that_waits_can_be_cancelled():
    with jobs_of("time.sleep(60)", fits=1) as jobs:
        begun(jobs)
        second = jobs.create()
        run = jobs.start(second, "forecast", {})
        jobs.cancel(second)
        assert run.state == "cancelled"


def test_reading_again_stops_the_former_reading():
    with jobs_of("time.sleep(60)") as jobs:
        job, first = begun(jobs, "read")
        second = jobs.start(job, "read", {})
        until(lambda: not first.active)
        assert (first.state, job.runs["read"]) == ("cancelled", second)
        until(lambda: not first.folder.exists())


def test_the_least_used_job_makes_room_but_none_at_work():
    with jobs_of("time.sleep(60)", jobs=2, fits=2) as jobs:
        first = jobs.create()
        second = jobs.create()
        jobs.get(first.id)
        third = jobs.create()
        assert not second.folder.exists()
        assert first.folder.exists()
        for job in (first, third):
            jobs.start(job, "forecast", {})
        with pytest.raises(BusyError, match="2 tables are at work already"):
            jobs.create()


def test_files_are_private_and_removed():
    with jobs_of("time.sleep(60)") as jobs:
        job, run = begun(jobs)
        folder = folder_of(jobs)
        assert folder.stat().st_mode & 0o077 == 0
        jobs.remove(job.id)
        until(lambda: not job.folder.exists())
        assert run.state == "cancelled"
        other = jobs.create()
        (other.folder / "table").write_text("secret")
        jobs.remove(other.id)
        assert list(folder.iterdir()) == []
    assert not folder.exists()


def test_close_ends_what_is_at_work():
    jobs = jobs_of("print('{\"result\": %d}' % os.getpid(), flush=True); time.sleep(60)")
    _, run = begun(jobs)
    until(lambda: run.last("result") is not None)
    folder = folder_of(jobs)
    jobs.close()
    assert not alive(run.last("result"))
    assert not folder.exists()


def test_a_job_that_nobody_asks_for_is_removed():
    with jobs_of("pass", idle_seconds=0.3) as jobs:
        job, _ = begun(jobs)
        until(lambda: not job.folder.exists())
        assert len(jobs) == 0


def test_ids_cannot_be_guessed():
    with jobs_of("pass") as jobs:
        ids = {jobs.create().id for _ in range(20)}
        assert len(ids) == 20
        assert min(map(len, ids)) >= 43  # 256 bits


def test_limits_are_checked():
    for name, value in (("fits", 0), ("seconds", float("inf")), ("seconds", float("nan"))):
        with pytest.raises(
            ConfigError, match=f"the limit {name} of jobs must be greater than 0 and finite; got {value}"
        ):
            JobLimits(**{name: value})


def test_the_program_ends_with_its_server():
    process = subprocess.Popen(PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdin is not None
    process.stdin.write(b'{"task": "read", "table": "/nowhere"')  # no whole request, so that it waits
    process.stdin.flush()
    assert process.poll() is None
    process.stdin.write(b', "table_name": "a.csv", "options": {}, "memory_limit": 100, "out": "."}\n')
    process.stdin.close()  # as when the server is killed
    assert process.wait(20) == -9


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is measured on Linux only")
def test_the_program_itself_is_watched():
    with Jobs(JobLimits(memory_mib=40)) as jobs:
        job = jobs.create()
        (job.folder / "table").write_text("date,y\n2024-01-01,1\n2024-01-02,2\n")
        job.names["table"] = "a.csv"
        run = jobs.start(job, "read", {})
        until(lambda: not run.active, 30)
        assert run.error["message"].startswith("it needed more than 40 MiB of memory")
