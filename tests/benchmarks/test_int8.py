"""The benchmark of dynamic int8 measures what it says: the weights shrink, and the forecast and the gradient change."""

import int8
from speed.cases import Case


def test_rows_of_a_small_backbone():
    case = Case(backbone="minilm", windows=1, channels=1, layers=1, context=64)
    rows = int8.measure(case, ["torch, float32"], repeats=1)
    full, half, eight = rows
    assert [row["contender"] for row in rows] == ["float32", "bfloat16", "int8 (torch, float32)"]
    assert half["weights_mib"] < 0.6 * full["weights_mib"]
    assert half["weights_mib"] < eight["weights_mib"] < full["weights_mib"]  # word embeddings stay in float32
    assert float(full["change_mean"]) == 0 < float(half["change_mean"]) < 0.01
    assert float(eight["change_mean"]) > float(half["change_mean"])
    assert float(eight["change_of_gradient"]) > 0.01  # the gradient passes no layer in int8
