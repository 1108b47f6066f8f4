"""Small models and tables, and a service in this process."""

import contextlib
import io
import json

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster

try:
    from starlette.testclient import TestClient

    from swt_time.serve import Settings, create_app
    from swt_time.serve.settings import Limits
except ImportError:

    class Skipped(pytest.Module):
        """A module of tests without the extra that they need."""

        def collect(self):
            pytest.skip("the extra serve is not installed", allow_module_level=True)

    def pytest_pycollect_makemodule(module_path, parent):
        return Skipped.from_parent(parent, path=module_path)


CSV, PARQUET = "text/csv", "application/vnd.apache.parquet"


def hourly(rows=200, seed=0, level=50.0):
    """An hourly table with a daily cycle."""
    hours, noise = np.arange(rows), np.random.default_rng(seed)
    demand = level + 9 * np.sin(2 * np.pi * hours / 24) + noise.normal(size=rows)
    return pd.DataFrame({"date": pd.date_range("2024-01-01", periods=rows, freq="h"), "demand": demand.round(3)})


def fitted(seed=0, **options):
    """A closed form that forecasts 6 hours."""
    return Forecaster(horizon=6, context=48, preset="auto", **options).fit(hourly(400, seed))


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A folder with two models, and a file and a folder that are none."""
    root = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("demand", "other")):
        fitted(seed).save(root / name)
    (root / "notes.txt").write_text("no model")
    (root / "empty").mkdir()
    return root


@contextlib.contextmanager
def service(settings, **headers):
    """A client of a service in this process."""
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8000", headers=headers) as client:
        yield client


@pytest.fixture(scope="session")
def client(models):
    """A client of a service with one model, and small limits."""
    limits = Limits(body_bytes=2**19, table_mib=32, rows=5000, body_seconds=2, threads=2)
    with service(Settings(model=models / "demand", limits=limits)) as found:
        yield found


@pytest.fixture(scope="session")
def forecaster(models):
    """The same model in Python."""
    return Forecaster.load(models / "demand")


def post_csv(client, table, query="", **headers):
    """Send a table as CSV."""
    text = table if isinstance(table, str | bytes) else table.to_csv(index=False)
    return client.post(f"/forecast{query}", content=text, headers={"content-type": CSV, **headers})


def columns_of(table):
    """A table as columns of JSON."""
    return {name: [str(one) if name == "date" else one for one in table[name].tolist()] for name in table}


def csv_frame(answer):
    """The frame in an answer in CSV."""
    return pd.read_csv(io.BytesIO(answer.content))


def error_of(answer):
    """The error in an answer, after checks that every error passes."""
    assert answer.headers["content-type"] == "application/json"
    content = json.loads(answer.content)
    assert content.keys() == {"error", "request_id"}
    assert content["request_id"] == answer.headers["x-request-id"]
    assert content["error"].keys() == {"type", "message"}
    assert "Traceback" not in answer.text
    assert '.py"' not in answer.text
    return content["error"]["message"]
