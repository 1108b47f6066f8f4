"""A graph of ONNX operators that grows by one function call for each operator."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from swt_time.errors import MissingDependencyError

OPSET = 17
"""Version of the operators: the first one with ``LayerNormalization``."""

IR_VERSION = 8
"""Version of the file format that belongs to the opset."""

LAST = np.iinfo(np.int64).max
"""End of a slice that reaches the end of an axis."""

Value = str
"""Name of a value of the graph."""


def import_onnx() -> Any:
    """Return the package ``onnx``.

    Raises
    ------
    MissingDependencyError
    """
    try:
        import onnx
    except ImportError:
        raise MissingDependencyError(
            "an ONNX graph needs the package onnx, which is not installed: pip install 'swt-time[onnx]'"
        ) from None
    return onnx


class Graph:
    """Nodes, constants, inputs and outputs of a graph.

    Parameters of operators are names of values, or arrays, which become constants of the graph.
    """

    def __init__(self) -> None:
        self._onnx = import_onnx()
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def __call__(self, operator: str, *parameters: Value | np.ndarray | np.generic, **attributes: Any) -> Value:
        """Add an operator with one result, and return the name of the result."""
        name = f"{operator.lower()}_{len(self._nodes)}"
        inputs = [one if isinstance(one, str) else self._constant(np.asarray(one)) for one in parameters]
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def _constant(self, array: np.ndarray) -> Value:
        name = f"constant_{len(self._constants)}"
        self._constants.append(
            self._onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        )
        return name

    def cast(self, value: Value | np.ndarray, dtype: type[np.generic]) -> Value:
        """Convert to another number type."""
        return self("Cast", value, to=self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def last(self, value: Value, count: int, axis: int = 2) -> Value:
        """Return the last values along an axis."""
        return self.slice(value, -count, LAST, axis)

    def slice(self, value: Value, start: int, stop: int, axis: int) -> Value:
        """Return the values from ``start`` to before ``stop`` along an axis; negative ones count from the end."""
        return self("Slice", value, *(np.array([one], np.int64) for one in (start, stop, axis)))

    def reshape(self, value: Value, *shape: int) -> Value:
        """Reshape; 0 keeps the length of an axis."""
        return self("Reshape", value, np.array(shape, np.int64))

    def sum(self, value: Value, axis: int) -> Value:
        """Return the sums along an axis, which stays with length 1."""
        return self("ReduceSum", value, np.array([axis], np.int64))

    def any(self, value: Value, axis: int) -> Value:
        """Whether one of the bool values along an axis is true; the axis stays with length 1."""
        return self("Greater", self.sum(self.cast(value, np.float64), axis), np.float64(0))

    def add_input(self, name: str, dtype: type[np.generic], shape: Sequence[str | int], meaning: str) -> Value:
        """Add an input; a name in its shape is a length that each call chooses."""
        self._inputs.append(self._value_info(name, dtype, shape, meaning))
        return name

    def add_output(self, name: str, value: Value, shape: Sequence[str | int], meaning: str) -> None:
        """Add an output in double precision."""
        self._nodes.append(self._onnx.helper.make_node("Identity", [value], [name], name=name))
        self._outputs.append(self._value_info(name, np.float64, shape, meaning))

    def _value_info(self, name: str, dtype: type[np.generic], shape: Sequence[str | int], meaning: str) -> Any:
        kind = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self._onnx.helper.make_tensor_value_info(name, kind, list(shape), doc_string=meaning)

    def to_bytes(self, name: str, version: str, meaning: str, facts: dict[str, str]) -> bytes:
        """Check the graph and return it as the content of a file.

        Parameters
        ----------
        name : str
        version : str
            Of swt-time.
        meaning : str
        facts : dict of str to str
            The properties of the model (``metadata_props``).
        """
        helper = self._onnx.helper
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, self._constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="swt-time",
            producer_version=version,
            doc_string=meaning,
        )
        helper.set_model_props(model, facts)
        self._onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))
