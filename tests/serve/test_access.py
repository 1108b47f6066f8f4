"""Who may ask: loopback alone without a token, the host that a request names, sites of pages, and tokens."""

import hmac
import json
import logging

import pytest

from serve.conftest import error_of, hourly, post_csv, service
from swt_time.errors import ConfigError
from swt_time.serve import Settings
from swt_time.serve.access import Access, _name
from swt_time.serve.logs import JsonFormatter
from swt_time.serve.settings import is_loopback, read_tokens

TOKEN, SECOND = "a-token-of-this-test", "another-token-of-it"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "127.0.0.1.example.org", ""])
def test_other_addresses_need_a_token(host):
    with pytest.raises(ConfigError, match="give a token"):
        Settings(host=host)
    assert not Settings(host=host, tokens=(TOKEN,)).is_local


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "LOCALHOST.", "::1", "[::1]"])
def test_loopback_needs_none(host):
    assert Settings(host=host).is_local


@pytest.mark.parametrize("token", ["", "short", "with a blank in it anyway", "näht-nicht-so-kurz-wie", "x" * 15])
def test_a_weak_token_is_refused(token):
    with pytest.raises(ConfigError, match="a token has"):
        Settings(tokens=(token,))


def test_tokens_of_a_file(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"# of the report\n{TOKEN}\n\n  {SECOND}  \n")
    assert read_tokens(file) == (TOKEN, SECOND)
    for content in (b"\n# none\n", b"\xff"):
        file.write_bytes(content)
        with pytest.raises(ConfigError):
            read_tokens(file)
    with pytest.raises(ConfigError):
        read_tokens(tmp_path / "none")


LOCAL = ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "LocalHost", "[::1]:8000", "[::1]"]
FOREIGN = [
    *(
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "127.0.0.1@evil.example",
    ),
    *("", ":8000", "127.0.0.1:80:80", "0.0.0.0", "[::]", "[::1].evil.example", "2130706433", "127.1", "localhost:evil"),
    *("127.0.0.1 evil.example", "127.0.0.1,evil.example", "[::1", "l\xf6calhost"),
]


@pytest.mark.parametrize("host", LOCAL)
def test_own_names_are_answered(client, host):
    assert client.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_other_names_are_refused(host):
    access = Access(Settings())
    problem = access.problem("GET", "/health", [(b"host", host.encode("latin-1"))])
    assert problem is not None
    assert problem.status == 421
    assert not is_loopback(_name(host))


def test_a_request_names_one_host():
    access = Access(Settings())
    assert access.problem("GET", "/health", []).status == 421
    assert access.problem("GET", "/health", [(b"host", b"localhost"), (b"host", b"evil.example")]).status == 421


def test_a_server_that_others_reach_has_any_name():
    access = Access(Settings(host="0.0.0.0", tokens=(TOKEN,)))
    headers = [(b"host", b"models.example"), (b"authorization", f"Bearer {TOKEN}".encode())]
    assert access.problem("GET", "/models", headers) is None


def test_rebinding_is_refused_over_http(client):
    answer = client.get("/models", headers={"host": "evil.example"})
    assert answer.status_code == 421
    error_of(answer)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://[", "file://"])
def test_pages_of_other_sites_may_not_ask(client, origin):
    answer = post_csv(client, hourly(100), origin=origin)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    error_of(answer)
    assert "access-control-allow-origin" not in client.get("/health", headers={"origin": origin}).headers
    asked = {"origin": origin, "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in client.options("/forecast", headers=asked).headers


def test_the_own_page_may_ask(client):
    assert post_csv(client, hourly(100), origin="http://127.0.0.1:8000").status_code == 200


def test_a_site_that_is_named_may_ask(models):
    site = "https://site.example"
    with service(Settings(model=models / "demand", origins=(site,))) as client:
        asked = {"origin": site, "access-control-request-method": "POST"}
        assert client.options("/forecast", headers=asked).headers["access-control-allow-origin"] == site
        answer = post_csv(client, hourly(100), origin=site)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == site
        assert post_csv(client, hourly(100), origin="https://other.example").status_code == 403
    for wrong in ("*", "site.example", "https://site.example/path"):
        with pytest.raises(ConfigError, match="is no origin"):
            Settings(origins=(wrong,))


WRONG = [
    *("", "Bearer", "Bearer ", f"Basic {TOKEN}", f"bearer{TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN),
    *(f"Bearer {TOKEN} {SECOND}", f"Bearer {TOKEN.upper()}", "Bearer \xff\xfe"),
]


@pytest.fixture(scope="module")
def closed(models):
    with service(Settings(model=models / "demand", tokens=(TOKEN, SECOND))) as client:
        yield client


@pytest.mark.parametrize("header", WRONG)
def test_without_a_token_nothing_is_told(closed, header):
    for path in ("/models", "/metrics", "/openapi.json", "/forecast", "/none", "/health/"):
        answer = closed.get(path, headers={"authorization": header.encode("latin-1")})
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
        error_of(answer)


@pytest.mark.parametrize("token", [TOKEN, SECOND])
def test_each_token_opens(closed, token):
    assert closed.get("/models", headers={"authorization": f"Bearer {token}"}).status_code == 200
    assert closed.get("/models", headers={"authorization": f"bearer  {token}"}).status_code == 200
    assert closed.get("/health").json() == {"status": "ok"}
    assert closed.get("/models").status_code == 401


def test_tokens_are_compared_in_constant_time(monkeypatch):
    """Every token is compared by a digest of one length, whichever is right."""
    compared = []

    def compare(one, other):
        compared.append((one, other))
        return hmac_compare(one, other)

    hmac_compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    access = Access(Settings(tokens=(TOKEN, SECOND)))
    for given in (TOKEN, SECOND, "x", "x" * 10_000):
        headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {given}".encode())]
        problem = access.problem("GET", "/models", headers)
        assert (problem is None) == (given in (TOKEN, SECOND))
        assert [len(part) for pair in compared for part in pair] == [32] * 4
        compared.clear()


def test_ids_of_requests_are_those_of_the_client_or_new(client):
    assert client.get("/health", headers={"x-request-id": "run-7.a"}).headers["x-request-id"] == "run-7.a"
    found = {client.get("/health", headers={"x-request-id": "a b\t"}).headers["x-request-id"] for _ in range(3)}
    found |= {client.get("/health", headers={"x-request-id": "x" * 65}).headers["x-request-id"]}
    assert len(found) == 4
    assert all(len(one) == 32 for one in found)


def test_the_log_has_a_line_for_each_request(client, caplog):
    with caplog.at_level(logging.INFO, "swt_time.serve"):
        post_csv(client, hourly(100), **{"x-request-id": "mine"})
        client.get("/nothing/here%0d%0a?token=secret")
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records if record.msg == "answered"]
    assert lines[0] | {"time": 0, "seconds": 0, "model": ""} == {
        "time": 0,
        "level": "info",
        "message": "answered",
        "request_id": "mine",
        "method": "POST",
        "path": "/forecast",
        "status": 200,
        "seconds": 0,
        "model": "",
        "bytes": len(hourly(100).to_csv(index=False)),
    }
    assert lines[1]["path"] == "other"
    assert "secret" not in json.dumps(lines)


def test_a_defect_is_told_by_its_id_alone(models, monkeypatch, caplog):
    from swt_time.serve import forecasting

    def fail(*_):
        raise KeyError("/secret/path")

    monkeypatch.setattr(forecasting, "forecastable", fail)
    with service(Settings(model=models / "demand")) as client:
        answer = post_csv(client, hourly(100))
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["error"]["type"] == "Defect"
    assert "secret" in caplog.text


def test_headers_of_every_answer(client):
    for answer in (client.get("/health"), client.get("/none"), post_csv(client, hourly(100)), post_csv(client, "x")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
