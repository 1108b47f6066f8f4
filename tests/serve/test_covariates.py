"""Tables beside the table: covariates of future rows, and requests at once through a model that has effects."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from serve.conftest import error_of, service
from swt_time import Forecaster
from swt_time.serve import Settings


def sales(seed=0, rows=200):
    days, noise = np.arange(rows), np.random.default_rng(seed)
    promotion = noise.integers(2, size=rows)
    values = 20 + seed + 3 * np.sin(2 * np.pi * days / 7) + 6 * promotion + noise.normal(size=rows)
    dates = pd.date_range("2024-01-01", periods=rows).strftime("%Y-%m-%d")
    return pd.DataFrame({"date": dates, "promotion": promotion, "sales": values.round(2)})


@pytest.fixture(scope="module")
def planner(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planner") / "planner"
    Forecaster(horizon=7, context=28, target="sales", known=("promotion",)).fit(sales()).save(folder)
    return folder


def request(table):
    known, future = table.iloc[:-7], table.iloc[-7:].drop(columns="sales")
    return {"table": known.to_dict("list"), "future": future.to_dict("list")}, (known, future)


def test_future_rows_are_used(planner):
    content, (known, future) = request(sales(1))
    with service(Settings(model=planner)) as client:
        answer = client.post("/forecast", json=content)
        assert answer.status_code == 200
        wanted = Forecaster.load(planner).predict(known, future=future)
        assert answer.json()["forecast"]["yhat"] == wanted["yhat"].tolist()
        missing = client.post("/forecast", json={"table": content["table"]})
        assert missing.status_code == 422
        assert "field future" in error_of(missing)
        assert client.get("/models").json()["models"][0]["known"] == ["promotion"]


def test_requests_at_once_do_not_mix_their_effects(planner):
    forecaster = Forecaster.load(planner)
    assert forecaster.trained.effects is not None
    assert not forecaster.trained.effects.idle
    asked = [request(sales(seed)) for seed in range(6)]
    wanted = [forecaster.predict(known, future=future)["yhat"].tolist() for _, (known, future) in asked]
    with service(Settings(model=planner)) as client, ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda one: client.post("/forecast", json=one[0]), asked * 3))
    assert [one.json()["forecast"]["yhat"] for one in answers] == wanted * 3


def test_another_thread_does_not_change_the_table_without_effects(planner):
    """The last table is remembered; here another thread replaces it once the first has remembered its own."""
    trained = Forecaster.load(planner).trained
    data = trained.checkpoint.config.data
    tables = [trained.read(known, data, future) for _, (known, future) in (request(sales(1)), request(sales(2)))]

    class Raced(list):
        others = 0

        def __setitem__(self, key, value):
            super().__setitem__(key, value)
            if value[0].table is tables[0]:
                self.others += 1
                trained.apart(tables[1])

    raced = Raced()
    object.__setattr__(trained, "_apart", raced)
    assert trained.apart(tables[0]).table is tables[0]
    assert raced.others == 1
