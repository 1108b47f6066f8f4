"""Layers of the forecasting model; each takes plain arguments."""

from swt_time.layers.embedding import WaveletPatchEmbedding
from swt_time.layers.head import FlattenHead
from swt_time.layers.normalize import WindowScale, denormalize, normalize
from swt_time.layers.patching import PatchEmbedding
from swt_time.layers.reprogramming import FreePrototypes, MappingPrototypes, Reprogramming

__all__ = [
    "FlattenHead",
    "FreePrototypes",
    "MappingPrototypes",
    "PatchEmbedding",
    "Reprogramming",
    "WaveletPatchEmbedding",
    "WindowScale",
    "denormalize",
    "normalize",
]
