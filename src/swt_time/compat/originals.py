"""The former import path of `swt_time.checkpoints.originals.load_time_llm`."""

from swt_time.checkpoints.originals import load_time_llm

__all__ = ["load_time_llm"]
