"""Shared fixtures: tiny backbones with random weights, and small tables. Importing this module blocks the network."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import settings

import offline.sitecustomize  # noqa: F401  blocks the network in this process
from support import trust
from support.backbones import FAMILIES, save_tiny_backbone
from support.browser import browser, open_page  # noqa: F401  fixtures
from support.commands import Commands
from support.order import longest_first
from support.temporary import keep_in_memory

keep_in_memory()
settings.register_profile("ci", max_examples=200, deadline=None)
settings.register_profile("nightly", max_examples=10_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of commands in processes of their own, several of which run at once
# Child processes load the same hook from this folder.
paths = [str(Path(__file__).parent / "offline"), *filter(None, [os.environ.get("PYTHONPATH")])]
os.environ["PYTHONPATH"] = os.pathsep.join(paths)
torch.set_num_threads(1)  # more threads slow tiny models down


def pytest_configure(config: pytest.Config) -> None:
    """Let pytest-xdist, if it is there, keep the order of the modules."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest modules where several processes run them."""
    if hasattr(config, "workerinput"):
        items[:] = [items[i] for i in longest_first([item.path for item in items], Path(__file__).parent)]


OUTCOME = pytest.StashKey[str]()


@pytest.fixture(autouse=True)
def _threads():
    """Restore the number of threads, on which the last digits of a result depend."""
    yield
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Store the outcome of each test for `claims_on_record`."""
    report = yield
    if report.when == "call" or report.outcome != "passed":
        item.stash[OUTCOME] = report.outcome
    return report


@pytest.fixture(scope="module")
def claims_on_record(request: pytest.FixtureRequest):
    """Record the outcomes of a module's tests; its ``CLAIMS`` map the name of a test to an item and a claim.

    A key that does not begin with ``test_`` stands for all tests whose names hold it, as with ``-k``.
    """
    yield
    path = request.path.relative_to(request.config.rootpath)
    for test, (item, claim) in request.module.CLAIMS.items():
        own = [one for one in request.session.items if one.path == request.path]
        items = [one for one in own if one.originalname == test or (test[:5] != "test_" and test in one.originalname)]
        seen = [one.stash.get(OUTCOME, "failed") for one in items]
        ran = [outcome for outcome in seen if outcome != "skipped"]
        if ran:
            command = f'python -m pytest -m "slow or not slow" {path} -k {test}'
            trust.record("trust_tables.csv", item, claim, len(ran), ran.count("passed"), command)


@pytest.fixture(scope="session")
def swt_time():
    """Run commands of the command line in processes of their own; one server, which imports the libraries once."""
    server = Commands()
    yield server
    server.close()


@pytest.fixture(scope="session")
def tiny_backbones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with tiny BERT, GPT-2 and LLaMA models, by family; their weights are random."""
    root = tmp_path_factory.mktemp("backbones")
    return {family: save_tiny_backbone(root / family, family) for family in FAMILIES}


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """Name of a backbone family; the test runs once for each."""
    return request.param


@pytest.fixture(scope="session")
def hourly_wide() -> pd.DataFrame:
    """A wide table of two hourly series with noisy daily cycles, 600 rows."""
    noise = np.random.default_rng(0)
    hours = np.arange(600)
    cycle = np.sin(2 * np.pi * hours / 24)
    return pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=600, freq="h"),
            "load": 10 + 3 * cycle + 0.2 * noise.standard_normal(600),
            "heat": -5 + 2 * np.roll(cycle, 6) + 0.2 * noise.standard_normal(600),
        }
    )
