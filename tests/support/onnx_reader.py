"""Run an ONNX graph with NumPy, without a runtime: one line for each operator that swt-time writes."""

from math import erf

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import helper, numpy_helper


def axis_of(axes):
    return tuple(np.atleast_1d(axes).tolist())


def norm(x, weight, bias, axis, epsilon):
    around = x - x.mean(axis, keepdims=True)
    return around / np.sqrt((around**2).mean(axis, keepdims=True) + epsilon) * weight + bias


def softmax(x, axis):
    exponentials = np.exp(x - x.max(axis, keepdims=True))
    return exponentials / exponentials.sum(axis, keepdims=True)


def keep_axes(x, shape):
    return x.reshape([x.shape[i] if length == 0 else length for i, length in enumerate(shape)])


OPERATORS = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Pow": np.power, "MatMul": np.matmul,
    "Max": np.maximum, "Min": np.minimum, "Abs": np.abs, "Sign": np.sign, "Sqrt": np.sqrt, "Exp": np.exp, "Log": np.log,
    "IsNaN": np.isnan, "IsInf": np.isinf, "Not": np.logical_not, "And": np.logical_and, "Or": np.logical_or,
    "Less": np.less, "Greater": np.greater, "Equal": np.equal, "Where": np.where, "Identity": np.array,
    "Relu": lambda x: np.maximum(x, 0), "Softplus": lambda x: np.logaddexp(x, np.float32(0)),
    "Erf": lambda x: np.vectorize(erf, [x.dtype])(x), "Softmax": softmax, "LayerNormalization": norm,
    "Cast": lambda x, to: x.astype(helper.tensor_dtype_to_np_dtype(to)), "Transpose": lambda x, perm: x.transpose(perm),
    "ReduceSum": lambda x, axes, keepdims=1: x.sum(axis_of(axes), keepdims=bool(keepdims)),
    "ReduceMean": lambda x, axes: x.mean(axis_of(axes), keepdims=True),
    "ReduceMax": lambda x, axes: x.max(axis_of(axes), keepdims=True),
    "Slice": lambda x, start, stop, axis: x[(slice(None),) * int(axis[0]) + (slice(int(start[0]), int(stop[0])),)],
    "Pad": lambda x, pads, value: np.pad(x, pads.reshape(2, -1).T, constant_values=value),
    "Gather": lambda x, places, axis: np.take(x, places, axis), "Concat": lambda *x, axis: np.concatenate(x, axis),
    "Unsqueeze": lambda x, axes: np.expand_dims(x, axis_of(axes)), "Reshape": keep_axes,
    "Conv": lambda x, w: np.einsum("bnts,ks->bknt", sliding_window_view(x[:, 0], w.shape[-1], axis=-1), w[:, 0, 0]),
}  # fmt: skip


def run(path, feed):
    """Outputs by name of the graph in a file, for inputs by name."""
    graph = onnx.load(path).graph
    values = {one.name: numpy_helper.to_array(one) for one in graph.initializer} | feed
    with np.errstate(invalid="ignore", divide="ignore"):
        for node in graph.node:
            options = {one.name: helper.get_attribute_value(one) for one in node.attribute}
            values[node.output[0]] = OPERATORS[node.op_type](*(values[name] for name in node.input), **options)
    return {one.name: values[one.name] for one in graph.output}
