"""Former import paths, and what they load."""

import subprocess
import sys


def test_the_former_path_of_time_llm_works():
    from swt_time.checkpoints.originals import load_time_llm
    from swt_time.compat import load_time_llm as former

    assert former is load_time_llm


def test_the_model_of_fev_loads_no_pytorch_and_no_fev():
    code = "import sys, swt_time.compat.fev\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "swt_time.compat.fev" in loaded
    assert {"fev", "torch", "datasets"}.isdisjoint(loaded)
