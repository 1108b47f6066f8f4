"""The patch embeddings by their former import path; their home is `swt_time.model`."""

from swt_time.model.embedding import WaveletPatchEmbedding
from swt_time.model.patching import PatchEmbedding

__all__ = ["PatchEmbedding", "WaveletPatchEmbedding"]
