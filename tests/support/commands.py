"""Run commands of the command line in separate processes without importing the libraries for each one.

A server process imports the libraries and forks once for each command, so every command has its own process, exit code
and streams. The server computes nothing before a fork, because threads do not survive it.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SERVER = """
import json, os, resource, signal, sys
import pandas, torch, torch._dynamo, transformers  # torch.optim imports torch._dynamo
import transformers.models.auto.tokenization_auto
import swt_time.forecaster, swt_time.evaluation.scoring, swt_time.pictures, swt_time.cli.progress
from swt_time import cli

for line in sys.stdin:
    request = json.loads(line)
    child = os.fork()
    if child == 0:
        for stream, number in (("out", 1), ("err", 2)):
            file = os.open(request[stream], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, number)
        os.dup2(os.open(request["in"], os.O_RDONLY), 0)
        sys.stdin = open(0, closefd=False)
        signal.alarm(request["seconds"])
        if request["memory"]:
            taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (taken + request["memory"],) * 2)
        if request["fault"]:
            import ctypes
            root, at, code, log = request["fault"]
            log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            ctypes.CDLL(None).faults_arm(root.encode(), at, code, log)
        sys.argv = ["swt-time", *request["words"]]
        code = 1
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status, used = os.wait4(child, 0)
    answer = {"code": os.waitstatus_to_exitcode(status), "peak": used.ru_maxrss * 1024}
    print(json.dumps({**answer, "cpu": used.ru_utime + used.ru_stime}), flush=True)
"""


class Commands:
    """A server that runs commands; close it after use. ``environment`` is added to that of this process."""

    def __init__(self, environment: Mapping[str, str] | None = None):
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Tiny models are slower with threads.
            env={**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1", **(environment or {})},
        )

    def __call__(
        self,
        *words: object,
        check: bool = True,
        memory: int = 0,
        seconds: int = 0,
        stdin: bytes = b"",
        fault: Sequence[Any] = (),
    ) -> subprocess.CompletedProcess:
        """Run ``swt-time`` with arguments.

        Parameters
        ----------
        *words
            The arguments of the command line.
        check : bool
            Fail the test if the exit code is not 0.
        memory : int
            Most bytes of address space beyond those of the libraries; 0 for no limit.
        seconds : int
            Most seconds, after which the process is killed by SIGALRM; 0 for no limit.
        stdin : bytes
            What the command reads from standard input.
        fault : sequence
            A system call that fails; see `support.faults.Faults`.

        Returns
        -------
        CompletedProcess
            With two more attributes: ``peak``, the peak resident memory in bytes, libraries included, and ``cpu``, the
            seconds of CPU time.
        """
        with tempfile.TemporaryDirectory() as folder:
            out, err, given = Path(folder) / "out", Path(folder) / "err", Path(folder) / "in"
            given.write_bytes(stdin)
            request = {"words": [str(word) for word in words], "out": str(out), "err": str(err), "in": str(given)}
            request |= {"memory": memory, "seconds": seconds, "fault": list(fault)}
            self._server.stdin.write(json.dumps(request) + "\n")
            self._server.stdin.flush()
            answer = json.loads(self._server.stdout.readline())
            run = subprocess.CompletedProcess(request["words"], answer["code"], out.read_text(), err.read_text())
            run.peak, run.cpu = answer["peak"], answer["cpu"]
        if check:
            assert run.returncode == 0, run.stderr
        return run

    def close(self) -> None:
        """Stop the server."""
        self._server.stdin.close()
        self._server.wait(timeout=30)
        self._server.stdout.close()
