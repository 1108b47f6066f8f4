"""Patch embeddings as operators: windows ``(B, N, T)`` to tokens ``(B, N, P, D)``, in single precision.

A linear embedding is one matrix product with overlapping patches of the extended window (`swt_time.wavelets.folding`).
Where coefficients are shrunk or the last one is repeated, the bands are computed first, by the definition.

Shapes: ``K`` bands, ``R`` samples a patch, ``U`` samples that a token depends on, ``E`` samples of the extended window.
"""

import numpy as np
import torch
from torch import Tensor

from swt_time.exporting.graph import Graph, Value
from swt_time.model.embedding import SemanticProjection, WaveletPatchEmbedding
from swt_time.model.patching import PatchEmbedding, patch_count
from swt_time.wavelets.stationary import composite_filters, extend


def embed(graph: Graph, z: Value, embedding: PatchEmbedding | WaveletPatchEmbedding, length: int) -> Value:
    """Embed normalised windows of ``length`` values."""
    count = patch_count(length, embedding.patch_len, embedding.stride)
    if isinstance(embedding, PatchEmbedding):
        tokens = _plain(graph, z, embedding, length, count)
        table: Tensor | None = embedding.position
    else:
        linear = embedding.threshold is None and embedding.pad == "signal"
        tokens = (_folded if linear else _by_bands)(graph, z, embedding, length, count)
        table = None if embedding.position is None else embedding.positions(embedding.position)
    if table is not None:
        tokens = graph("Add", tokens, array(table))
    if isinstance(embedding, WaveletPatchEmbedding) and isinstance(embedding.semantic, SemanticProjection):
        for layer in embedding.semantic:
            tokens = linear_layer(graph, tokens, layer) if isinstance(layer, torch.nn.Linear) else gelu(graph, tokens)
    return tokens


def _plain(graph: Graph, z: Value, embedding: PatchEmbedding, length: int, count: int) -> Value:
    """Tokens of plain patches; with a kernel of 3 also of both neighbours, circularly."""
    weight = array(embedding.projection.weight)  # (D, U, kernel)
    patches = _starts(count, embedding.stride) + np.arange(weight.shape[1])
    reach = weight.shape[2] // 2
    neighbours = np.concatenate([np.roll(patches, -shift, axis=0) for shift in range(-reach, reach + 1)], axis=1)
    places = extended(length, embedding.before, embedding.stride + embedding.after, embedding.boundary)
    return graph("MatMul", take(graph, z, places[neighbours]), weight.transpose(2, 1, 0).reshape(-1, len(weight)))


def _folded(graph: Graph, z: Value, embedding: WaveletPatchEmbedding, length: int, count: int) -> Value:
    """Tokens of wavelet bands by one kernel on the window."""
    kernel = array(embedding.folded_kernels(length)[0][:, : embedding.taps])
    before, after = embedding.reach
    places = extended(length, before, embedding.stride + after, embedding.boundary)
    return graph(
        "MatMul", take(graph, z, places[_starts(count, embedding.stride) + np.arange(len(kernel.T))]), kernel.T
    )


def _by_bands(graph: Graph, z: Value, embedding: WaveletPatchEmbedding, length: int, count: int) -> Value:
    """Tokens of wavelet bands, step by step; see `WaveletPatchEmbedding.plain`."""
    beyond = embedding.stride if embedding.pad == "signal" else 0
    before, after = embedding.reach
    window = take(graph, z, extended(length, before, beyond + after, embedding.boundary))
    bank, level, boundary = embedding.filter_bank(), embedding.level, embedding.boundary
    filters = array(composite_filters(bank, level, boundary, embedding.norm)[: embedding.bands])
    # channels stand on an axis that is not convolved
    window = graph("Unsqueeze", window, np.array([1], np.int64))
    bands = graph("Conv", window, filters[:, None, None, :])  # (B, K, N, T + beyond)
    if embedding.threshold is not None:
        threshold = array(embedding.threshold.clamp(min=0))[:, None, None]
        rest = graph("Relu", graph("Sub", graph("Abs", bands), threshold))
        bands = graph("Mul", graph("Sign", bands), rest)
    places = np.minimum(_starts(count, embedding.stride) + np.arange(embedding.patch_len), length + beyond - 1)
    features = graph("Transpose", graph("Gather", bands, places, axis=3), perm=[0, 2, 3, 1, 4])  # (B, N, P, K, R)
    kernel = array(embedding.band_kernel()).reshape(embedding.d_model, -1)
    return graph("MatMul", graph.reshape(features, 0, 0, 0, -1), kernel.T)


def _starts(count: int, stride: int) -> np.ndarray:
    """First samples of the patches, (P, 1) int64."""
    return np.arange(count, dtype=np.int64)[:, None] * stride


def extended(length: int, before: int, after: int, boundary: str) -> np.ndarray:
    """For each sample of an extended window the one of the window that it repeats, (E,) int64; -1 for zero."""
    numbers = torch.arange(1, length + 1, dtype=torch.float64)
    return array(extend(numbers, before, after, boundary), np.int64) - 1


def take(graph: Graph, z: Value, places: np.ndarray) -> Value:
    """Values of windows (B, N, T) at some places, (B, N, ...); zero at -1."""
    if (places < 0).any():
        # the last value of a window with a zero behind it
        z = graph("Pad", z, np.array([0, 0, 0, 0, 0, 1], np.int64), np.float32(0))
    return graph("Gather", z, places, axis=2)


def linear_layer(graph: Graph, x: Value, layer: torch.nn.Linear) -> Value:
    """Return a linear layer along the last axis."""
    product = graph("MatMul", x, array(layer.weight).T)
    return product if layer.bias is None else graph("Add", product, array(layer.bias))


def gelu(graph: Graph, x: Value) -> Value:
    """Return the exact GELU, ``x (1 + erf(x / sqrt(2))) / 2``."""
    share = graph("Add", graph("Erf", graph("Mul", x, np.float32(np.sqrt(0.5)))), np.float32(1))
    return graph("Mul", graph("Mul", x, np.float32(0.5)), share)


def array(tensor: Tensor, dtype: type[np.generic] = np.float32) -> np.ndarray:
    """Copy a tensor."""
    return np.asarray(tensor.detach().cpu().numpy(), dtype)
