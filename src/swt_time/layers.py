"""The former import path of the patch embeddings, which are in `swt_time.model`."""

from swt_time.model.embedding import WaveletPatchEmbedding
from swt_time.model.patching import PatchEmbedding

__all__ = ["PatchEmbedding", "WaveletPatchEmbedding"]
