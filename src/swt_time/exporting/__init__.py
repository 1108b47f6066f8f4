"""Trained models as files that other programs run: ONNX graphs, and programs of ``torch.export``.

- ``onnx_files``: a forecaster as an ONNX graph, with intervals and a description of what it expects;
- ``graph``: a graph that grows by operators; ``windows``, ``embeddings``, ``networks``, ``intervals``: its parts;
- ``files``: the files that are written.
"""

from swt_time.exporting.files import SUFFIXES
from swt_time.exporting.onnx_files import export_onnx

__all__ = ["SUFFIXES", "export_onnx"]
