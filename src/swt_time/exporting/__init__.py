"""Trained models as files that other programs run: ONNX graphs, and programs of ``torch.export``.

- ``onnx_files``: a forecaster as an ONNX graph, with intervals; ``graph``, ``windows``, ``embeddings``, ``networks``,
  ``intervals``: its parts;
- ``programs``: a network as a program of ``torch.export``;
- ``trained``, ``facts``, ``files``: what can be exported, what a file says of itself, and how it is written.
"""

from typing import TYPE_CHECKING

from swt_time.exporting.files import SUFFIXES
from swt_time.exporting.onnx_files import export_onnx
from swt_time.lazily import exports

if TYPE_CHECKING:
    from swt_time.exporting.programs import export_program

__all__ = ["SUFFIXES", "export_onnx", "export_program"]
__getattr__ = exports(__name__, {"export_program": "programs"})
