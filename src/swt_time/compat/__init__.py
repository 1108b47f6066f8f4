"""Where swt-time meets other software.

- ``originals``: the former import path of the state dicts of Time-LLM and SWT-Time;
- ``fev``: the library of forecast evaluation;
- ``sktime``: a forecaster of sktime;
- ``complete``: forecasts without gaps, which both want.
"""

from typing import TYPE_CHECKING

from swt_time.lazily import exports

if TYPE_CHECKING:
    from swt_time.compat.originals import load_time_llm

__all__ = ["load_time_llm"]

__getattr__ = exports(__name__, {"load_time_llm": "originals"})
