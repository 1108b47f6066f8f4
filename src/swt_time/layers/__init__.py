"""Layers of the forecasting model; each takes plain arguments."""

from swt_time.layers.embedding import WaveletPatchEmbedding
from swt_time.layers.patching import PatchEmbedding

__all__ = ["PatchEmbedding", "WaveletPatchEmbedding"]
