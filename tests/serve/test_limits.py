"""Limits of size, memory, rows and time; a bounded queue; and facts that never wait for a forecast."""

import asyncio
import gzip
import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from serve.conftest import PARQUET, error_of, hourly, post_csv, service
from swt_time.errors import ConfigError
from swt_time.serve import Settings, forecasting
from swt_time.serve.problems import Problem
from swt_time.serve.settings import Limits
from swt_time.serve.workers import Workers


@pytest.mark.parametrize("wrong", [{"rows": 0}, {"waiting": -1}, {"request_seconds": float("nan")}, {"threads": -1}])
def test_limits_are_positive_and_finite(wrong):
    with pytest.raises(ConfigError, match=f"limit {next(iter(wrong))} must be greater than 0"):
        Limits(**wrong)
    with pytest.raises(ConfigError):
        Limits(request_seconds=float("inf"))
    assert Limits(waiting=0).waiting == 0


def test_a_body_that_is_too_large_is_refused(client):
    answer = post_csv(client, b"x" * (2**19 + 1))
    assert answer.status_code == 413
    assert "524,288 bytes" in error_of(answer)
    assert answer.headers.get("connection") is None  # it was read to its end


def test_a_body_far_too_large_is_not_read_to_its_end(client):
    received, sent = [], []

    async def receive():
        received.append(2**16)
        return {"type": "http.request", "body": b"x" * 2**16, "more_body": True}

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"text/csv"), (b"transfer-encoding", b"chunked")]
    scope = {"type": "http", "method": "POST", "path": "/forecast", "query_string": b"", "headers": headers}
    asyncio.run(client.app({**scope, "http_version": "1.1"}, receive, send))
    assert sent[0]["status"] == 413
    assert dict(sent[0]["headers"])[b"connection"] == b"close"
    assert 2**19 < sum(received) < 2**22


def test_what_is_decompressed_counts(client):
    bomb = gzip.compress(b"ds,y\n" + b"0" * 2**26)
    answer = post_csv(client, bomb, **{"content-encoding": "gzip"})
    assert len(bomb) < 2**17
    assert answer.status_code == 422
    assert "32 MiB of memory; send fewer rows" in error_of(answer)


def test_json_is_limited_after_decompression(client):
    body = gzip.compress(b'{"table": "' + b"x" * 2**20 + b'"}')
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert client.post("/forecast", content=body, headers=headers).status_code == 413


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x" * 500])
def test_other_encodings_are_refused(client, encoding):
    answer = post_csv(client, hourly(100), **{"content-encoding": encoding})
    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "gzip"


def test_a_body_that_is_not_what_its_encoding_says(client):
    answer = post_csv(client, hourly(100), **{"content-encoding": "gzip"})
    assert answer.status_code == 400
    broken = gzip.compress(hourly(100).to_csv(index=False).encode())[:-20]
    assert "damaged" in error_of(post_csv(client, broken, **{"content-encoding": "gzip"}))


@pytest.mark.parametrize("packer", [gzip.compress, lambda raw: gzip.compress(gzip.compress(raw))])
def test_csv_is_csv_and_nothing_that_must_be_unpacked(client, packer):
    answer = post_csv(client, packer(hourly(100).to_csv(index=False).encode()))
    assert answer.status_code == 422
    assert "binary" in error_of(answer)


def test_pages_of_parquet_count(client):
    body = io.BytesIO()
    table = hourly(4000).assign(text="x" * 9999)
    table.to_parquet(body, index=False, compression="gzip", use_dictionary=False)
    assert len(body.getvalue()) < 2**18
    answer = client.post("/forecast", content=body.getvalue(), headers={"content-type": PARQUET})
    assert answer.status_code == 422
    assert "32 MiB of memory" in error_of(answer)


def test_rows_and_numbers_of_an_answer_are_limited(client):
    table = hourly(5001)
    answer = post_csv(client, table)
    assert answer.status_code == 413
    assert "at most 5,000" in error_of(answer)
    many = pd.concat([hourly(50, i).round(1).assign(unique_id=i) for i in range(90)])
    query = "?target=demand&levels=" + ",".join(map(str, range(1, 99)))
    answer = post_csv(client, many, query)
    assert "at most 50,000 numbers" in error_of(answer)
    assert answer.status_code == 413


@pytest.fixture
def slow(monkeypatch):
    """Forecasts wait until they are released."""
    release, begun = threading.Event(), threading.Semaphore(0)
    original = forecasting.forecastable

    def wait(*arguments):
        begun.release()
        assert release.wait(30)
        return original(*arguments)

    monkeypatch.setattr(forecasting, "forecastable", wait)
    yield release, begun
    release.set()


def test_a_full_queue_is_refused_and_facts_are_answered_meanwhile(models, slow):
    release, begun = slow
    limits = Limits(threads=2, waiting=3)
    table = hourly(100)
    with service(Settings(model=models / "demand", limits=limits)) as client, ThreadPoolExecutor(5) as pool:
        taken = [pool.submit(post_csv, client, table) for _ in range(5)]
        for _ in range(2):
            assert begun.acquire(timeout=20)
        end = time.monotonic() + 20
        while client.app.state.workers.waiting < 3 and time.monotonic() < end:
            time.sleep(0.01)
        refused = post_csv(client, table)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        error_of(refused)
        for path in ("/health", "/models", "/metrics"):
            assert client.get(path).status_code == 200
        text = client.get("/metrics").text
        assert "swt_time_waiting_requests 3" in text
        assert "swt_time_running_requests 2" in text
        release.set()
        assert [one.result().status_code for one in taken] == [200] * 5
        assert post_csv(client, table).status_code == 200
        assert 'swt_time_requests_total{method="POST",path="/forecast",status="503"} 1' in client.get("/metrics").text


def test_a_forecast_that_takes_too_long_is_given_up(models, slow):
    release, begun = slow
    limits = Limits(threads=1, waiting=1, request_seconds=0.3)
    with service(Settings(model=models / "demand", limits=limits)) as client:
        answer = post_csv(client, hourly(100))
        assert answer.status_code == 503
        assert "not ready within 0.3 s" in error_of(answer)
        assert client.app.state.workers.running == 1  # a thread cannot be stopped, so its place is not free
        waiting = post_csv(client, hourly(100))
        assert waiting.status_code == 503
        release.set()
        end = time.monotonic() + 20
        while client.app.state.workers.running and time.monotonic() < end:
            time.sleep(0.01)
        assert begun.acquire(timeout=1)
        assert not begun.acquire(blocking=False)  # the one that waited was not begun


def test_bodies_at_once_are_limited(models):
    limits = Limits(bodies_bytes=1000)
    with service(Settings(model=models / "demand", limits=limits)) as client:
        answer = post_csv(client, hourly(100))
        assert answer.status_code == 503
        assert "too many bodies" in error_of(answer)
        assert post_csv(client, hourly(30)).status_code == 200  # the memory of the other one is free again


def test_a_worker_that_fails_frees_its_place():
    async def run():
        workers = Workers(1, 0)

        def fail(alive):
            raise ValueError("no")

        for _ in range(3):
            with pytest.raises(ValueError, match="no"):
                await workers.run(fail, 5)
            while workers.running:
                await asyncio.sleep(0.01)
        assert await workers.run(lambda alive: 7, 5) == 7
        workers.close()

    asyncio.run(run())


def test_no_place_no_work():
    async def run():
        workers, go_on = Workers(1, 0), threading.Event()
        first = asyncio.create_task(workers.run(lambda alive: go_on.wait(10), 10))
        await asyncio.sleep(0.05)
        with pytest.raises(Problem):
            await workers.run(lambda alive: 1, 1)
        go_on.set()
        assert await first
        workers.close()

    asyncio.run(run())
