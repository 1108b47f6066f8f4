"""Run the command line as a process, many times, quickly.

A child that has loaded the libraries forks once for each command: every command has a process, an exit code and
streams of its own, but none spends seconds on imports.
(Nothing is computed before the fork: threads do not survive it.)
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SERVER = """
import json, os, resource, signal, sys
import pandas, torch, torch._dynamo, transformers  # optimisers import torch._dynamo
import transformers.models.auto.tokenization_auto
import swt_time.forecaster, swt_time.evaluation.scoring, swt_time.cli.pictures, swt_time.cli.progress
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
    print(json.dumps({"code": os.waitstatus_to_exitcode(status), "peak": used.ru_maxrss * 1024}), flush=True)
"""


class Commands:
    """A server of commands; close it when done."""

    def __init__(self):
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1"},  # tiny models lose by threads
        )

    def __call__(
        self, *words: object, check: bool = True, memory: int = 0, seconds: int = 0, stdin: bytes = b""
    ) -> subprocess.CompletedProcess:
        """Run ``swt-time`` with these words; ``check`` fails the test where the exit code is not 0.

        ``stdin`` is what the command finds on its standard input.
        ``memory`` bytes at most may be taken beside what the libraries take, and ``seconds`` (0: any); the result's
        ``peak`` is the most memory that was resident, in bytes, libraries included.
        """
        with tempfile.TemporaryDirectory() as folder:
            out, err, given = Path(folder) / "out", Path(folder) / "err", Path(folder) / "in"
            given.write_bytes(stdin)
            request = {"words": [str(word) for word in words], "out": str(out), "err": str(err), "in": str(given)}
            request |= {"memory": memory, "seconds": seconds}
            self._server.stdin.write(json.dumps(request) + "\n")
            self._server.stdin.flush()
            answer = json.loads(self._server.stdout.readline())
            run = subprocess.CompletedProcess(request["words"], answer["code"], out.read_text(), err.read_text())
            run.peak = answer["peak"]
        if check:
            assert run.returncode == 0, run.stderr
        return run

    def close(self) -> None:
        """End the server."""
        self._server.stdin.close()
        self._server.wait(timeout=30)
