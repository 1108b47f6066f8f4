"""Weights of Time-LLM and SWT-Time by their former import path; their home is `swt_time.checkpoints.originals`."""

from swt_time.checkpoints.originals import load_time_llm

__all__ = ["load_time_llm"]
