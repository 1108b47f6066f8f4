"""What a forecast without a language model, and a help, must not load: each of these takes time that is seen."""

import subprocess
import sys

import numpy as np
import pandas as pd

HEAVY = ("torch._dynamo", "transformers", "matplotlib", "huggingface_hub")
CODE = """
import sys, pandas as pd
from swt_time import Forecaster
forecaster = Forecaster(horizon=4, **{options})
forecaster.fit(pd.read_csv({table!r}))
forecaster.predict(pd.read_csv({table!r}))
print(*(name for name in {heavy} if name in sys.modules))
"""


def loaded(path, **options):
    times = pd.date_range("2024-01-01", periods=60, freq="D")
    pd.DataFrame({"date": times, "load": np.sin(np.arange(60.0))}).to_csv(path, index=False)
    code = CODE.format(options=options, table=str(path), heavy=HEAVY)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_a_forecast_without_a_language_model_loads_no_compiler_and_no_language_model(tmp_path):
    assert loaded(tmp_path / "table.csv") == []


def test_the_check_can_fail_where_steps_are_trained(tmp_path):
    options = {"backbone": "none", "context": 16, "level": 1, "patch_len": 4, "stride": 4, "d_model": 4}
    options |= {"max_steps": 1, "keep_branch": True}
    assert "torch._dynamo" in loaded(tmp_path / "table.csv", **options)


def test_no_help_loads_numpy():
    code = """
import contextlib, io, sys, typer
from swt_time import cli
commands = sorted(typer.main.get_command(cli.app).commands)
for words in ([], *([name] for name in commands), ["--version"]):
    sys.argv = ["swt-time", *words, *([] if "--version" in words else ["--help"])]
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
        cli.main()
    assert shown.getvalue()
print(len(commands), *(name for name in ("numpy", "pandas", "torch", "narwhals") if name in sys.modules))
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert int(shown[0]) > 10
    assert shown[1:] == []
