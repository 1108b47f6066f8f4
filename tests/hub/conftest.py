"""A stand-in for the hub, caches of its own, and a fitted forecaster."""

import numpy as np
import pandas as pd
import pytest

from support.hub import TOKEN, Hub
from swt_time import Forecaster


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A running stand-in that the client of this process asks, with the right token, and empty caches."""
    server = Hub()
    # Set at import from HF_ENDPOINT.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
    place = "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", server.url + place)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    yield server
    server.close()


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    """An hourly series."""
    hours = np.arange(300)
    values = 10 + 3 * np.sin(2 * np.pi * hours / 24) + 0.2 * np.random.default_rng(0).normal(size=300)
    return pd.DataFrame({"date": pd.date_range("2024-01-01", periods=300, freq="h"), "load": values})


@pytest.fixture(scope="session")
def fitted(table) -> Forecaster:
    """A closed form."""
    return Forecaster(horizon=4, preset="fast", context=96).fit(table)
