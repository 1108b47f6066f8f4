"""A service under load: client and server on this machine, every answer compared with `Forecaster.predict`.

Measured are 10,000 requests of a small table in CSV at 64 at once, beside a bare uvicorn answer of the same size and a
loop of single calls of `predict`; overload; SIGTERM under load; and a model that is replaced under load.

python benchmarks/serving.py --out benchmarks/results/serving.csv
"""

import argparse
import asyncio
import contextlib
import csv
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import swt_time
from swt_time import Forecaster
from swt_time.provenance import source_commit

TABLES = 64
"""Different tables that are asked for in turn."""

ROWS, CONTEXT, HORIZON = 120, 48, 24

WARM_UP = 0.2
"""Share of the requests before memory counts as steady."""

BARE = """
import asyncio, json, sys, uvicorn
content = open(sys.argv[1], "rb").read()
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"text/csv"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(json.dumps({"message": "listening", "url": f"http://127.0.0.1:{port}"}), file=sys.stderr, flush=True)
config = uvicorn.Config(app, port=0, http="h11", log_config=None, access_log=False, lifespan="off")
asyncio.run(Server(config).serve())
"""


@dataclass
class Answer:
    """What came back for one request; status 0 if the connection ended before an answer."""

    number: int
    id: str
    status: int
    headers: dict[str, str]
    content: bytes
    begin: float
    seconds: float


@dataclass
class Running:
    """A server process: its address, and its log so far."""

    process: subprocess.Popen[bytes]
    log_file: Path
    port: int = 0

    def lines(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        found = []
        for line in self.log_file.read_text().splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    def memory(self) -> int:
        """Resident memory in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


@contextlib.contextmanager
def running(words: Sequence[str], log_file: Path) -> Iterator[Running]:
    """Run a server in a process of its own, from when it listens until the context ends."""
    environment = {**os.environ, "PYTHONPATH": str(Path(swt_time.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    with log_file.open("wb") as log:
        process = subprocess.Popen([sys.executable, *words], stderr=log, stdout=log, env=environment)
    server = Running(process, log_file)
    try:
        end = time.monotonic() + 120
        while not server.port:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the server did not start: {log_file.read_text()[-2000:]}")
            time.sleep(0.05)
            for line in server.lines():
                if line.get("message") == "listening":
                    server.port = int(line["url"].rpartition(":")[2])
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Connection:
    """A connection that is kept open for many requests."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, number: int, body: bytes, id: str, path: str) -> Answer:
        """Send a table in CSV, and wait for the answer."""
        begin = time.perf_counter()

        def answer(status: int, headers: dict[str, str], content: bytes) -> Answer:
            return Answer(number, id, status, headers, content, begin, time.perf_counter() - begin)

        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return answer(-1, {}, b"")
        reader, writer = self._streams
        try:
            head = (
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: text/csv\r\n"
                f"X-Request-ID: {id}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            await writer.drain()
            status = int((await reader.readline()).split()[1])
            headers: dict[str, str] = {}
            while line := (await reader.readline()).strip():
                name, _, value = line.decode().partition(":")
                headers[name.strip().lower()] = value.strip()
            content = await reader.readexactly(int(headers["content-length"]))
        except (OSError, IndexError, KeyError, asyncio.IncompleteReadError):
            self.close()
            return answer(0, {}, b"")
        if headers.get("connection", "").lower() == "close":
            self.close()
        return answer(status, headers, content)

    def close(self) -> None:
        """Close it; the next request opens it again."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


@dataclass
class Load:
    """Requests that several connections send in turn."""

    port: int
    bodies: Sequence[bytes]
    count: int
    at_once: int = 64
    path: str = "/forecast"
    answers: list[Answer] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    stopped: bool = False

    async def run(self, server: Running | None = None) -> "Load":
        """Send all requests, and note the memory of the server now and then."""
        left = iter(range(self.count))

        async def work() -> None:
            connection = Connection(self.port)
            for number in left:
                if self.stopped:
                    break
                body = self.bodies[number % len(self.bodies)]
                self.answers.append(await connection.post(number, body, f"r{number}", self.path))
                if self.answers[-1].status == -1:  # nobody listens any more
                    break
                if server is not None and len(self.answers) % max(self.count // 50, 1) == 0:
                    self.memory.append(server.memory())
            connection.close()

        await asyncio.gather(*(work() for _ in range(self.at_once)))
        return self


def make_table(number: int) -> pd.DataFrame:
    """An hourly table with a daily cycle and a level of its own."""
    hours, noise = np.arange(ROWS), np.random.default_rng(number)
    demand = 50 + number + (10 + number / 8) * np.sin(2 * np.pi * hours / 24) + noise.normal(size=ROWS)
    return pd.DataFrame({"date": pd.date_range("2024-01-01", periods=ROWS, freq="h"), "demand": demand.round(3)})


def fit(seed: int) -> Forecaster:
    """A closed form, fitted to an hourly table."""
    hours, noise = np.arange(800), np.random.default_rng(1000 + seed)
    demand = 50 + 12 * np.sin(2 * np.pi * hours / 24) + noise.normal(size=800)
    table = pd.DataFrame({"date": pd.date_range("2023-01-01", periods=800, freq="h"), "demand": demand})
    return Forecaster(horizon=HORIZON, context=CONTEXT, preset="auto", seed=seed).fit(table)


def expected(forecaster: Forecaster, bodies: Sequence[bytes]) -> list[bytes]:
    """What the service must answer, byte for byte."""
    tables = [pd.read_csv(io.BytesIO(body)) for body in bodies]
    return [forecaster.predict(one).to_csv(index=False, lineterminator="\n").encode() for one in tables]


def milliseconds(seconds: Sequence[float], share: float) -> float:
    """A quantile of durations."""
    return round(1000 * float(np.quantile(seconds, share)), 2)


def summary(measure: str, load: Load, seconds: float, wanted: Sequence[bytes] | None) -> dict[str, Any]:
    """Count and time the answers of a load."""
    good = [one for one in load.answers if one.status == 200]
    wrong = 0 if wanted is None else sum(one.content != wanted[one.number % len(wanted)] for one in good)
    times = [one.seconds for one in good] or [0.0]
    return {
        "measure": measure,
        "requests": len(load.answers),
        "at_once": load.at_once,
        "answered": len(good),
        "refused": sum(one.status == 503 for one in load.answers),
        "lost": sum(one.status not in (200, 503) for one in load.answers),
        "wrong": wrong,
        "per_second": round(len(good) / seconds, 1),
        "p50_ms": milliseconds(times, 0.5),
        "p99_ms": milliseconds(times, 0.99),
    }


async def requests_a_batch(port: int) -> float:
    """Mean number of requests whose windows a model forecast together."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
    text = (await reader.read()).decode()
    counts = {
        line.split()[0]: float(line.split()[1]) for line in text.splitlines() if line.startswith("swt_time_batch")
    }
    return round(counts["swt_time_batched_requests_total"] / counts["swt_time_batches_total"], 2)


def serve_words(folder: Path, *words: str) -> list[str]:
    """The command of a service with one model."""
    return ["-m", "swt_time", "serve", "--model", str(folder), "--port", "0", *words]


async def timed(load: Load, server: Running | None = None) -> float:
    """Run a load, and return how long it took."""
    begin = time.perf_counter()
    await load.run(server)
    return time.perf_counter() - begin


def measure_throughput(folder: Path, bodies: list[bytes], wanted: list[bytes], count: int) -> list[dict[str, Any]]:
    """The service beside a loop of `predict` and beside a bare answer."""
    forecaster, rows = Forecaster.load(folder / "model"), []
    loop = min(500, count)
    times = []
    begin = time.perf_counter()
    for number in range(loop):
        one = time.perf_counter()
        table = pd.read_csv(io.BytesIO(bodies[number % len(bodies)]))
        forecaster.predict(table).to_csv(index=False)
        times.append(time.perf_counter() - one)
    took = time.perf_counter() - begin
    row = {"measure": "loop of predict", "requests": loop, "at_once": 1, "answered": loop}
    rows.append(
        {
            **row,
            "per_second": round(loop / took, 1),
            "p50_ms": milliseconds(times, 0.5),
            "p99_ms": milliseconds(times, 0.99),
        }
    )
    answer = folder / "answer.csv"
    answer.write_bytes(wanted[0])
    with running(["-c", BARE, str(answer)], folder / "bare.log") as server:
        load = Load(server.port, bodies, count)
        seconds = asyncio.run(timed(load))
        rows.append(summary("bare uvicorn", load, seconds, [wanted[0]]))
    with running(serve_words(folder / "model"), folder / "serve.log") as server:
        alone = Load(server.port, bodies, min(500, count), at_once=1)
        seconds = asyncio.run(timed(alone))
        rows.append(summary("service, one at a time", alone, seconds, wanted))
        load = Load(server.port, bodies, count)
        seconds = asyncio.run(timed(load, server))
        steady = load.memory[int(WARM_UP * len(load.memory)) :]
        row = summary("service", load, seconds, wanted)
        row["memory_after_warm_up_mib"], row["memory_at_end_mib"] = round(steady[0] / 2**20), round(steady[-1] / 2**20)
        row["requests_a_batch"] = asyncio.run(requests_a_batch(server.port))
        rows.append(row)
    return rows


def measure_overload(folder: Path, bodies: list[bytes], wanted: list[bytes], count: int) -> dict[str, Any]:
    """A queue that is too short for what comes, and single requests after it."""
    with running(serve_words(folder / "model", "--queue", "8", "--threads", "2"), folder / "overload.log") as server:
        load = Load(server.port, bodies, count)
        seconds = asyncio.run(timed(load))
        row = summary("overload: 8 may wait", load, seconds, wanted)
        retry = {one.headers.get("retry-after") for one in load.answers if one.status == 503}
        after = Load(server.port, bodies, 50, at_once=1)
        asyncio.run(timed(after))
        recovered = sum(one.status == 200 for one in after.answers)
        return {
            **row,
            "note": f"Retry-After {', '.join(map(str, retry))} s; then {recovered} of 50 alone answered",
        }


def measure_stop(folder: Path, bodies: list[bytes], wanted: list[bytes], count: int) -> dict[str, Any]:
    """SIGTERM while 64 requests are under way."""
    with running(serve_words(folder / "model"), folder / "stop.log") as server:
        load = Load(server.port, bodies, 10**6)

        async def stop() -> float:
            begin = time.perf_counter()
            task = asyncio.create_task(load.run())
            while len(load.answers) < count:
                await asyncio.sleep(0.01)
            server.process.terminate()
            await task
            return time.perf_counter() - begin

        seconds = asyncio.run(stop())
        code = server.process.wait(120)
        begun = {line["request_id"] for line in server.lines() if line.get("message") == "answered"}
        answered = {one.id for one in load.answers if one.status > 0}
        cut = [one for one in load.answers if one.status == 0]
        row = summary("SIGTERM under load", load, seconds, wanted)
        row["lost"] = len(begun - answered)
        row["note"] = (
            f"exit code {code}; {len(begun)} requests accepted; {len(cut)} connections were closed before the server "
            "accepted their request"
        )
        return row


def measure_replacement(folder: Path, bodies: list[bytes], count: int) -> dict[str, Any]:
    """A model that is replaced by another one again and again under load."""
    place = folder / "changing" / "model"
    place.parent.mkdir()
    forecasters = [fit(1), fit(2)]
    wanted: dict[str, list[bytes]] = {}
    for forecaster in forecasters:
        forecaster.save(place, overwrite=True)
        name = json.loads((place / "manifest.json").read_text())["sha256"]
        wanted[name] = expected(forecaster, bodies)
    assert len(wanted) == 2
    with running(serve_words(place), folder / "replace.log") as server:
        load = Load(server.port, bodies, count)
        replaced: list[tuple[float, str]] = []

        async def replace() -> float:
            begin = time.perf_counter()
            task = asyncio.create_task(load.run())
            number = 0
            while not task.done():
                await asyncio.to_thread(forecasters[number % 2].save, place, overwrite=True)
                replaced.append((time.perf_counter(), list(wanted)[number % 2]))
                number += 1
                await asyncio.wait({task}, timeout=0.5)
            return time.perf_counter() - begin

        seconds = asyncio.run(replace())
        mixed, stale, seen = 0, 0, set()
        for one in load.answers:
            if one.status == 200:
                name = one.headers["swt-time-model"].partition("sha256=")[2]
                seen.add(name)
                mixed += one.content != wanted[name][one.number % len(bodies)]
                current = [model for at, model in replaced if at < one.begin][-1:]
                later = {model for at, model in replaced if at >= one.begin}
                stale += bool(current) and name != current[0] and name not in later
        row = summary("model replaced under load", load, seconds, None)
        row["wrong"] = mixed
        row["note"] = (
            f"replaced {len(replaced)} times; answers of {len(seen)} models; {stale} by a model that was replaced "
            "before they were asked"
        )
        return row


COLUMNS = [
    *("measure", "requests", "at_once", "answered", "refused", "lost", "wrong", "per_second", "p50_ms", "p99_ms"),
    *("memory_after_warm_up_mib", "memory_at_end_mib", "requests_a_batch", "note"),
    *("load_average", "uvicorn", "machine", "commit"),
]


def main() -> None:
    """Measure, and write the results as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--note", default="", help="What else the machine did meanwhile.")
    asked = parser.parse_args()
    rows, commit = [], source_commit()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        forecaster = fit(0)
        forecaster.save(folder / "model")
        bodies = [make_table(i).to_csv(index=False).encode() for i in range(TABLES)]
        wanted = expected(forecaster, bodies)
        count = asked.requests
        some = max(count // 5, 20)
        for measure in (
            lambda: measure_throughput(folder, bodies, wanted, count),
            lambda: [measure_overload(folder, bodies, wanted, some)],
            lambda: [measure_stop(folder, bodies, wanted, some // 4)],
            lambda: [measure_replacement(folder, bodies, some)],
        ):
            for row in measure():
                row["load_average"] = round(os.getloadavg()[0], 1)
                row["uvicorn"] = version("uvicorn")
                row["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
                row["commit"] = commit
                row["note"] = "; ".join(filter(None, [row.get("note", ""), asked.note]))
                rows.append(row)
                print({key: value for key, value in row.items() if key in COLUMNS[:14]}, flush=True)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    with asked.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
