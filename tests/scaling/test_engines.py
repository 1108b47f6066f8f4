"""Ray forecasts as the local engine does; without it, and without Spark, the error says what to install."""

import os
import re
import shlex
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.parts import SERIES, daily, in_order, write_parts
from swt_time import Forecaster
from swt_time.cli import run
from swt_time.errors import MissingDependencyError
from swt_time.scaling import forecast_folder, forecast_spark
from swt_time.scaling.engines import connected, import_ray, run_ray


@pytest.fixture(scope="module")
def ray():
    """One Ray for all tests of this module; its processes, too, have no network."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([os.environ["PYTHONPATH"], *sys.path]))  # to import this module
        ray = import_ray()
        with connected(ray, 2):
            yield ray


def end(number):
    """Return a number; an odd one ends its process."""
    if number % 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if number > 3:
        raise ValueError(f"{number}\nis too large")
    return number


def test_ray_loses_only_what_fails(ray):
    found = {one.index: one for one in run_ray(end, [0, 1, 2, 4], ray, workers=2)}
    assert (found[0].result, found[2].result) == (0, 2)
    assert "WorkerCrashed" in found[1].error
    assert found[3].error == "ValueError: 4 is too large"
    assert ray.is_initialized()  # it was not started here


def test_ray_forecasts_as_predict_does(ray, table, parts, model, tmp_path):
    found = forecast_folder(parts, model, tmp_path / "out", engine="ray", bucket_rows=600)
    assert (found.series, found.buckets, found.retried) == (SERIES, 3, 0)
    expected = in_order(Forecaster.load(model).predict(table))
    pd.testing.assert_frame_equal(in_order(pd.read_parquet(tmp_path / "out")), expected, check_dtype=False)


@pytest.mark.parametrize("package", ["ray", "pyspark"])
def test_a_missing_package_is_named(package, parts, model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    extra = package.removeprefix("py")
    use = {
        "ray": lambda: forecast_folder(parts, model, tmp_path / "out", engine="ray"),
        "pyspark": lambda: forecast_spark(None, model),
    }
    with pytest.raises(MissingDependencyError, match=rf"pip install 'swt-time\[{extra}\]'"):
        use[package]()
    assert not (tmp_path / "out").exists()


def test_engines_are_not_imported_without_need():
    code = "import sys, swt_time.scaling.forecasting, swt_time.scaling.spark, swt_time.scaling.fitting, swt_time.cli\n"
    code += "print(sorted({'ray', 'pyspark', 'torch'} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"


def test_the_commands_and_snippets_of_the_page_run(ray, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hours = daily(6, 300).assign(ds=np.tile(pd.date_range("2024-01-01", periods=300, freq="h"), 6))
    write_parts(hours, tmp_path / "parts")
    page = PAGE.read_text(encoding="utf-8")
    commands = re.findall(r"^\$ swt-time (.*)$", page, flags=re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        assert run(shlex.split(command)) == 0, command
    snippets = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    assert len(snippets) == 3
    for snippet in snippets:
        exec(compile(snippet, PAGE.name, "exec"), {})
    for name in ("forecasts", "forecasts-ray", "forecasts-80"):
        assert len(pd.read_parquet(tmp_path / name)) == 6 * 24
    assert (tmp_path / "model-python" / "manifest.json").is_file()
