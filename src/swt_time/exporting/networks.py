"""A trained network as operators: embedding, branch, head and skip; see `swt_time.model.network`.

Shapes: ``B`` batch, ``N`` channels, ``T`` context, ``H`` horizon, ``P`` patches, ``D`` = ``d_model``.
"""

from typing import Any

import numpy as np
import torch

from swt_time.config.choices import QUANTILES
from swt_time.exporting.embeddings import array, embed, gelu, linear_layer
from swt_time.exporting.graph import Graph, Value
from swt_time.exporting.windows import Forecast, Window
from swt_time.model import SWTTime
from swt_time.model.closed_form.skip import RidgeSkip
from swt_time.model.normalize import EPSILON
from swt_time.model.quantiles import MEDIAN, QuantileHead
from swt_time.model.stand_ins import AttentionStandIn, TransformerStandIn


def closed_form_weight(model: SWTTime) -> np.ndarray | None:
    """Return the map (H, T) of a network that forecasts by its closed form alone; None for other networks."""
    return array(model.skip.weight) if model.is_closed_form and isinstance(model.skip, RidgeSkip) else None


def forecast_by_network(graph: Graph, window: Window, scale: Value, model: SWTTime, *, spread: bool) -> Forecast:
    """Forecast by a network without a language model.

    Parameters
    ----------
    graph : Graph
    window : Window
    scale : Value, (B, N)
        The standard deviation by which training scaled each series. Training standardised the scaled window with a
        small number added to its variance, so here that number is in the squared units of the scale.
    model : SWTTime
        In eval mode.
    spread : bool
        Whether to compute the spread of a model with quantiles.
    """
    with torch.no_grad():
        return _forecast(graph, window, scale, model, spread)


def _forecast(graph: Graph, window: Window, scale: Value, model: SWTTime, spread: bool) -> Forecast:
    scale = graph("Unsqueeze", scale, np.array([2], np.int64))
    deviation = window.deviation(graph, graph("Mul", graph("Mul", scale, scale), np.float64(EPSILON)))
    z = graph.cast(graph("Div", window.centred, deviation), np.float32)
    patch_len, stride = model.embed.patch_len, model.embed.stride
    tokens = embed(graph, z, model.embed, window.context)
    count = (window.context - patch_len) // stride + 2
    visible = window.visible(graph, patch_len, stride, count)
    shown = None
    if visible is not None:
        shown = graph("Unsqueeze", graph.cast(visible, np.float32), np.array([3], np.int64))
        tokens = graph("Mul", tokens, shown)
    hidden = _branch(graph, tokens, model.branch, visible)
    if shown is not None:
        hidden = graph("Mul", hidden, shown)
    features = _flatten(graph, hidden)
    forecast = linear_layer(graph, features, model.head.linear)
    if model.skip is not None:
        assert model.gate is not None
        if isinstance(model.skip, RidgeSkip):
            linear = graph("MatMul", z, array(model.skip.weight).T)
        else:
            linear = linear_layer(graph, _flatten(graph, tokens), model.skip.linear)
        forecast = graph("Add", linear, graph("Mul", forecast, array(model.gate)))
    yhat = graph("Add", graph("Mul", graph.cast(forecast, np.float64), deviation), window.mean)
    if not spread:
        return Forecast(yhat)
    below, above = (graph("Mul", graph.cast(one, np.float64), deviation) for one in _spread(graph, features, model))
    return Forecast(yhat, (below, above))


def _flatten(graph: Graph, hidden: Value) -> Value:
    """Flatten (B, N, P, D) to (B, N, D * P), feature by feature, as the heads do."""
    return graph.reshape(graph("Transpose", hidden, perm=[0, 1, 3, 2]), 0, 0, -1)


def _spread(graph: Graph, features: Value, model: SWTTime) -> list[Value]:
    """Distances from the median to the first and to the last decile of a normalised window; see `QuantileHead`."""
    head = model.head
    assert isinstance(head, QuantileHead)
    size = 1.0 if model.gate is None else abs(model.gate.item())
    found = []
    for steps in (range(QUANTILES.index(0.1), MEDIAN), range(MEDIAN, QUANTILES.index(0.9))):
        rows = slice(steps.start * head.horizon, steps.stop * head.horizon)
        product = graph("MatMul", features, array(head.distances.weight[rows]).T)
        distances = graph("Softplus", graph("Add", product, array(head.distances.bias[rows])))
        parts = graph.reshape(distances, 0, 0, len(steps), head.horizon)
        total = graph("ReduceSum", parts, np.array([2], np.int64), keepdims=0)
        found.append(graph("Mul", total, np.float32(size)))
    return found


# --- branches ------------------------------------------------------------------------------------------------


def _branch(graph: Graph, tokens: Value, branch: Any, visible: Value | None) -> Value:
    """Run a stand-in on tokens (B, N, P, D)."""
    if isinstance(branch, AttentionStandIn):
        mixed = _attention(graph, tokens, branch.attention, visible)
        return _norm(graph, graph("Add", tokens, mixed), branch.norm)
    if isinstance(branch, TransformerStandIn):
        x = graph("Add", tokens, array(branch.positions))
        for layer in branch.encoder.layers:
            x = _norm(graph, graph("Add", x, _attention(graph, x, layer.self_attn, visible)), layer.norm1)
            wide = gelu(graph, linear_layer(graph, x, layer.linear1))
            x = _norm(graph, graph("Add", x, linear_layer(graph, wide, layer.linear2)), layer.norm2)
        return x
    return tokens


def _norm(graph: Graph, x: Value, norm: torch.nn.LayerNorm) -> Value:
    return graph("LayerNormalization", x, array(norm.weight), array(norm.bias), axis=-1, epsilon=norm.eps)


def _attention(graph: Graph, x: Value, layer: torch.nn.MultiheadAttention, visible: Value | None) -> Value:
    """Self-attention of tokens (B, N, P, D); no patch attends to one that is not visible (B, N, P)."""
    assert layer.in_proj_weight is not None
    weights, biases = array(layer.in_proj_weight), array(layer.in_proj_bias)
    width, heads = layer.embed_dim, layer.num_heads
    parts = []
    for number in range(3):
        rows = slice(number * width, (number + 1) * width)
        projected = graph("Add", graph("MatMul", x, weights[rows].T), biases[rows])
        split = graph.reshape(projected, 0, 0, 0, heads, width // heads)
        # keys (B, N, heads, D / heads, P), queries and values (B, N, heads, P, D / heads)
        parts.append(graph("Transpose", split, perm=[0, 1, 3, 4, 2] if number == 1 else [0, 1, 3, 2, 4]))
    queries, keys, values = parts
    scores = graph("Mul", graph("MatMul", queries, keys), np.float32((width // heads) ** -0.5))
    if visible is not None:
        seen = graph("Unsqueeze", visible, np.array([2, 3], np.int64))
        scores = graph("Where", seen, scores, np.float32(-np.inf))
    mixed = graph("MatMul", graph("Softmax", scores, axis=-1), values)
    joined = graph.reshape(graph("Transpose", mixed, perm=[0, 1, 3, 2, 4]), 0, 0, 0, width)
    return linear_layer(graph, joined, layer.out_proj)
