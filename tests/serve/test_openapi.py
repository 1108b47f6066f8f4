"""The service answers as its OpenAPI document says, whatever schemathesis makes of that document."""

import itertools
import os

import pytest

from serve.conftest import error_of, service
from swt_time.serve import Settings
from swt_time.serve.openapi import CSV, EXAMPLE_CSV, EXAMPLE_JSON, PARQUET
from swt_time.serve.settings import Limits

schemathesis = pytest.importorskip("schemathesis")
from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from schemathesis import checks  # noqa: E402
from schemathesis.generation import GenerationMode  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

PATHS = {"/forecast", "/health", "/metrics", "/models"}
"""Of the service; the page has its own tests."""

HOST = {"Host": "127.0.0.1"}

CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
"""That every table of the schema is accepted is not one of them: a table must hold time series."""


@schemathesis.serializer(CSV, PARQUET)
def as_sent(context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@pytest.fixture(scope="module")
def app(models):
    limits = Limits(body_bytes=2**18, rows=2000, body_seconds=2, threads=2)
    with service(Settings(models=models, limits=limits)) as client:
        yield client.app


def examine(app, examples):
    """Send generated requests to every operation; return how many were answered by each status."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=HOST)
    seen = {}
    for operation, mode in itertools.product([one.ok() for one in schema.get_all_operations()], GenerationMode):
        if operation.path not in PATHS or (mode is GenerationMode.NEGATIVE and operation.path != "/forecast"):
            continue  # of the others there is nothing to be wrong

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def send(case):
            response = case.call(headers=HOST)
            case.validate_response(response, checks=CHECKS)
            assert "Traceback" not in response.text
            key = (case.method, case.path, response.status_code)
            seen[key] = seen.get(key, 0) + 1

        send()
    return seen


def test_generated_requests_are_answered_as_described(app):
    seen = examine(app, 4)
    assert {path for _, path, _ in seen} == PATHS
    assert sum(count for (_, path, _), count in seen.items() if path == "/forecast") >= 6


@pytest.mark.slow
def test_many_generated_requests_are_answered_as_described(app):
    seen = examine(app, int(os.environ.get("SCHEMATHESIS_EXAMPLES", "400")))
    assert {status for _, path, status in seen if path == "/forecast"} & {404, 415, 422}


def test_a_server_error_would_be_found(app, monkeypatch):
    from swt_time.serve import forecasting

    def fail(*_):
        raise KeyError("planted")

    monkeypatch.setattr(forecasting, "_answer", fail)
    with pytest.raises(BaseException, match=r"(?is)server error|status code"):
        examine(app, 5)


def test_examples_of_the_document_are_those_that_are_understood(client):
    """They are too short for a model, and nothing else is wrong with them."""
    answers = [
        client.post("/forecast", json={**EXAMPLE_JSON, "target": "y"}),
        client.post("/forecast?target=y", content=EXAMPLE_CSV, headers={"content-type": CSV}),
    ]
    for answer in answers:
        assert answer.status_code == 200 or "rows" in error_of(answer), answer.text


def test_every_error_of_the_document_has_one_schema(client):
    document = client.get("/openapi.json").json()
    assert document["paths"].keys() >= PATHS
    responses = document["paths"]["/forecast"]["post"]["responses"]
    assert set(responses) >= {"200", "400", "401", "404", "408", "413", "415", "422", "503"}
    schemas = [one["content"]["application/json"]["schema"] for status, one in responses.items() if status >= "4"]
    assert all(one == schemas[0] for one in schemas)
