"""A service in a process of its own: hostile requests as bytes, slow clients, SIGTERM and replacement under load."""

import asyncio
import json
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

import serving
from serve.conftest import hourly
from serve.hostile import catalogue, http, post, send
from swt_time import cli
from swt_time.cli import run
from swt_time.files import MEBIBYTE

ROOT = Path(__file__).parents[2]

GROWTH = 200 * MEBIBYTE
"""Most memory that hostile requests may leave behind; a table may take 32 MiB here, in each of two threads."""

LIMITS = ("--body-limit", "1", "--memory-limit", "32", "--rows-limit", "20000", "--threads", "2")


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    words = ["-m", "swt_time", "serve", "--model", str(models / "demand"), "--port", "0", *LIMITS]
    with serving.running(words, tmp_path_factory.mktemp("server") / "log") as found:
        yield found


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def test_two_hundred_hostile_requests(server):
    """No 500, no traceback, no path of the server, bounded memory, and the service still answers."""
    requests = catalogue()
    assert len(requests) >= 200
    good = post(hourly(100).to_csv(index=False), "text/csv", "?model=demand")
    wanted = send(server.port, good).partition(b"\r\n\r\n")[2]
    before, odd, statuses = server.memory(), {}, {}
    for name, raw in requests.items():
        answer = send(server.port, raw, 1 if name.startswith("waits") else 60)
        status = status_of(answer)
        assert status or name.startswith("waits"), name
        statuses[status] = statuses.get(status, 0) + 1
        head, _, content = answer.partition(b"\r\n\r\n")
        if (
            status >= 500
            or b"Traceback" in answer
            or b'.py"' in answer
            or b"site-packages" in answer
            or b"/tmp/" in content
        ):
            odd[name] = answer[:500]
        if status >= 400 and b"application/json" in head and not name.startswith("HEAD"):
            error = json.loads(content.split(b"HTTP/1.1", 1)[0])
            assert error["error"]["message"], name
    assert odd == {}
    assert server.memory() - before < GROWTH
    assert send(server.port, good).partition(b"\r\n\r\n")[2] == wanted
    assert [line for line in server.lines() if line["level"] == "error" or "traceback" in line] == []
    assert statuses[422] > 50
    assert statuses[404] > 20
    assert min(statuses[code] for code in (400, 403, 405, 413, 415, 421)) > 0


@pytest.fixture
def at_home(server, tmp_path, monkeypatch):
    """A folder with the table of the page, where its commands run; the port is that of the server."""
    monkeypatch.chdir(tmp_path)
    hourly(200).to_csv("demand.csv", index=False)
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    return page.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")


def test_commands_of_the_page_run(at_home):
    commands = re.findall(r"^\$ (.+)$", at_home, flags=re.MULTILINE)
    asked = [one for one in commands if "curl" in one]
    started = [one.split() for one in commands if one.startswith("swt-time serve")]
    assert len(asked) >= 6
    assert len(started) >= 2
    assert len(asked) + len(started) + 1 == len(commands)  # and pip
    for words in started:
        assert {word for word in words if word.startswith("--")} <= cli._flags(["serve"])
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    for command in asked:
        subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True, capture_output=True)
    assert list(pd.read_csv("forecast.csv"))[-1] == "yhat-hi-95"
    assert list(pd.read_csv("quantiles.csv"))[2:] == ["yhat", "0.1", "0.9"]


def test_the_snippet_of_the_page_runs(at_home, capsys):
    (snippet,) = re.findall(r"^```python\n(.*?)^```", at_home, flags=re.MULTILINE | re.DOTALL)
    exec(compile(snippet, "serving.md", "exec"), {})
    assert capsys.readouterr().out.startswith("2024-01-09T08:00:00 ")


@pytest.mark.slow
def test_slow_clients_neither_wait_forever_nor_keep_others_waiting(models, tmp_path):
    """Headers and bodies that come byte by byte end in time, and fast clients are answered meanwhile."""
    code = (
        "import sys; from pathlib import Path; from swt_time.serve import Settings, serve;"
        "from swt_time.serve.settings import Limits;"
        "serve(Settings(models=Path(sys.argv[1]), port=0, limits=Limits(header_seconds=1, body_seconds=1.5)))"
    )
    with serving.running(["-c", code, str(models)], tmp_path / "log") as server:
        begin = time.monotonic()
        half = post("x" * 1000, "text/csv", "?model=demand")[:-500]
        slow = []
        for raw in [b"", b"GET /health HTTP/1.1\r\nHo", half] * 20:
            slow.append(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            slow[-1].sendall(raw)
        assert status_of(send(server.port, http("GET /health"))) == 200
        good = post(hourly(100).to_csv(index=False), "text/csv", "?model=demand")
        assert status_of(send(server.port, good)) == 200
        assert time.monotonic() - begin < 10
        answers = []
        for connection in slow:
            answer = b""
            try:
                while part := connection.recv(2**16):
                    answer += part
            except ConnectionResetError:
                pass
            connection.close()
            answers.append(status_of(answer))
        assert answers == [0, 0, 408] * 20
        assert time.monotonic() - begin < 30


@pytest.mark.slow
@pytest.mark.parametrize("reads", [True, False])
def test_a_client_that_does_not_read_its_answer_is_cut_off(models, tmp_path, reads):
    code = (
        "import sys; from pathlib import Path; from swt_time.serve import Settings, serve;"
        "from swt_time.serve.settings import Limits;"
        "serve(Settings(model=Path(sys.argv[1]), port=0, limits=Limits(request_seconds=8)))"
    )
    many = pd.concat([hourly(50, i).assign(unique_id=i) for i in range(600)])
    query = "?target=demand&levels=" + ",".join(map(str, range(1, 100)))
    raw = post(many.to_csv(index=False), "text/csv", query, "X-Request-ID: deaf")
    with serving.running(["-c", code, str(models / "demand")], tmp_path / "log") as server:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", server.port))
            connection.sendall(raw)
            end = time.monotonic() + 60
            while "deaf" not in server.log_file.read_text() and time.monotonic() < end:
                time.sleep(0.2)
            time.sleep(2 if reads else 10)
            received = 0
            try:
                while part := connection.recv(2**20):
                    received += len(part)
            except ConnectionResetError:
                assert not reads
            assert (received > 2**23) == reads
        assert status_of(send(server.port, http("GET /health"))) == 200


def test_sigterm_under_load_loses_nothing_and_ends_with_success(models, server):
    """The last test of the module with this server; before it, it answered the hostile requests."""
    forecaster = serving.Forecaster.load(models / "demand")
    bodies = [hourly(100, seed).to_csv(index=False).encode() for seed in range(4)]
    wanted = serving.expected(forecaster, bodies)
    load = serving.Load(server.port, bodies, 10**6, at_once=8)
    former = {line["request_id"] for line in server.lines() if line["message"] == "answered"}

    async def stop():
        task = asyncio.create_task(load.run())
        while len(load.answers) < 16:
            await asyncio.sleep(0.01)
        server.process.terminate()
        await task

    asyncio.run(stop())
    assert server.process.wait(60) == 0
    lines = server.lines()
    accepted = {line["request_id"] for line in lines if line["message"] == "answered"} - former
    answers = [one for one in load.answers if one.status > 0]
    assert {one.id for one in answers} == accepted
    assert len(answers) >= 16
    for one in answers:
        assert (one.status, one.content) == (200, wanted[one.number % 4])
    assert [line["message"] for line in lines if line["message"] != "answered"][-2:] == ["stopping", "stopped"]


@pytest.mark.slow
def test_a_model_that_is_replaced_under_load_never_mixes(tmp_path):
    bodies = [serving.make_table(i).to_csv(index=False).encode() for i in range(8)]
    row = serving.measure_replacement(tmp_path, bodies, 400)
    assert (row["answered"], row["lost"], row["wrong"]) == (400, 0, 0)
    assert "answers of 2 models; 0 by" in row["note"]


def test_an_address_in_use_is_refused_in_one_line(models, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert run(["serve", "--model", str(models / "demand"), "--port", port]) == 2
    assert "cannot listen on 127.0.0.1" in capsys.readouterr().err


def test_other_addresses_need_a_token(models, capsys):
    assert run(["serve", "--model", str(models / "demand"), "--port", "0", "--host", "0.0.0.0"]) == 2
    assert "give a token (--token-file FILE)" in capsys.readouterr().err


def test_a_model_that_does_not_exist_is_refused(tmp_path, capsys):
    assert run(["serve", "--model", str(tmp_path), "--port", "0"]) == 2
    assert "no checkpoint folder" in capsys.readouterr().err
