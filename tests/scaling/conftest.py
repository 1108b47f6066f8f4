"""A long table of daily series, the same as a folder of Parquet files, and a saved model."""

import pytest

from support.parts import CONTEXT, HORIZON, daily, write_parts
from swt_time import Forecaster


@pytest.fixture(scope="session")
def table():
    return daily()


@pytest.fixture(scope="session")
def parts(table, tmp_path_factory):
    return write_parts(table, tmp_path_factory.mktemp("input") / "parts", row_group_size=200)


@pytest.fixture(scope="session")
def model(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "model"
    Forecaster(HORIZON, CONTEXT, preset="fast", level=2, split="0.8/0.2/0").fit(table).save(folder)
    return folder
