"""Ray forecasts as the local engine does; without it, and without Spark, the error says what to install."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec

import pandas as pd
import pytest

from support.parts import SERIES, in_order
from swt_time import Forecaster
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
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
