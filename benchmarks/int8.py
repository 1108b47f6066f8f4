"""Dynamic int8 on a CPU: speed, memory, and change of the forecast, compared with the precisions of swt-time.

pip install torchao
OMP_NUM_THREADS=1 python benchmarks/int8.py --out benchmarks/results/int8.csv

The whole model forecasts and takes training steps, with an untrained head and no linear forecast beside it. In int8
the linear layers of the frozen model hold their weights in 8 bits and round their inputs to 8 bits, with one scale for
each row and each token (torchao) or for each matrix (PyTorch's ``quantize_dynamic``); everything else is computed in
float32 or bfloat16. Contenders run in turns; CPU time, medians. The change of a forecast is its RMS difference from the
one in float32, in standard deviations of the window; that of the gradient is one minus their cosine.
"""

import argparse
import csv
import io
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from speed.cases import Case, backbone_folder
from speed.measuring import provenance
from swt_time.model import SWTTime, build_model

FORM = "compact, free"
PLAIN = ("float32", "bfloat16")
INT8 = {"torch, float32": "float32", "torchao, float32": "float32", "torchao, bfloat16": "bfloat16"}
"""Library of each contender in int8, and the precision of what stays outside int8."""

BACKBONES = ("minilm", "gpt2-small")
PACKAGES = ("swt-time", "torch", "transformers", "torchao")


def main(words: Sequence[str] | None = None) -> None:
    """Measure MiniLM and the shape of GPT-2 small, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args(words)
    with given.out.open("w", newline="", encoding="utf-8") as file:
        for number, name in enumerate(BACKBONES):
            rows = measure(Case(backbone=name, windows=1), list(INT8), given.repeats)
            writer = csv.DictWriter(file, rows[0])
            if number == 0:
                writer.writeheader()
            writer.writerows(rows)
            file.flush()


def measure(case: Case, libraries: Sequence[str], repeats: int) -> list[dict[str, Any]]:
    """Measure one backbone in float32, bfloat16 and int8; one row each."""
    with backbone_folder(case) as folder:
        models = {name: _model(case, folder, name) for name in PLAIN}
        models |= {f"int8 ({name})": _in_int8(_model(case, folder, "float32"), name) for name in libraries}
    batch, target = case.draw(), case.draw_target()
    gradients = {name: _gradient(model, batch, target) for name, model in models.items()}
    with torch.no_grad():
        forecasts = {name: model(batch) for name, model in models.items()}
    seconds = _medians({name: _forecast(model, case) for name, model in models.items()}, repeats)
    steps = _medians({name: _step(model, case) for name, model in models.items()}, repeats)
    rows = []
    for name, model in models.items():
        turned = 1 - nn.functional.cosine_similarity(gradients[name], gradients["float32"], 0)
        change = (forecasts[name] - forecasts["float32"]).square().mean(dim=1).sqrt() / batch.std(dim=1)
        row = {
            "backbone": case.backbone,
            "contender": name,
            "weights_mib": round(_bytes(model.language_model.model) / 2**20, 1),
            "inference_cpu_s": round(seconds[name], 3),
            "times_faster_than_bfloat16": round(seconds["bfloat16"] / seconds[name], 2),
            "step_cpu_s": round(steps[name], 3),
            "step_times_faster_than_bfloat16": round(steps["bfloat16"] / steps[name], 2),
            "change_mean": f"{change.mean():.5f}",
            "change_largest": f"{change.max():.5f}",
            "change_of_gradient": f"{turned:.4f}",
            "repeats": repeats,
            **provenance(torch.device("cpu"), PACKAGES),
        }
        print(*list(row.values())[:10], sep="  ", flush=True)
        rows.append(row)
    return rows


def _model(case: Case, folder: str, precision: str) -> SWTTime:
    torch.manual_seed(0)
    return build_model(case.config(folder, FORM).replace({"backbone.precision": precision})).eval()


def _in_int8(model: SWTTime, library: str) -> SWTTime:
    """Replace the linear layers of a frozen model that is in float32."""
    frozen = model.language_model.model
    for parent in list(frozen.modules()):
        for name, child in list(parent.named_children()):
            if type(child).__name__ == "Conv1D":  # GPT-2's linear layer
                layer = nn.Linear(*child.weight.shape)
                layer.weight, layer.bias = nn.Parameter(child.weight.T.contiguous()), child.bias
                setattr(parent, name, layer.requires_grad_(False))
    if INT8[library] == "bfloat16":
        frozen.to(torch.bfloat16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both libraries announce changes of theirs
        if library.startswith("torchao"):
            from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

            quantize_(frozen, Int8DynamicActivationInt8WeightConfig())
        else:
            torch.ao.quantization.quantize_dynamic(frozen, {nn.Linear}, dtype=torch.qint8, inplace=True)
    return model


def _forecast(model: SWTTime, case: Case) -> Callable[[], Any]:
    def work() -> None:
        with torch.no_grad():
            model(case.draw())

    return work


def _step(model: SWTTime, case: Case) -> Callable[[], Any]:
    return lambda: _gradient(model, case.draw(), case.draw_target())


def _gradient(model: SWTTime, batch: Tensor, target: Tensor) -> Tensor:
    """Return the gradient of what is trained before the frozen model, as one vector."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad and "head" not in name}
    loss = (model(batch) - target).square().mean()
    found = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
    return torch.cat([gradient.flatten() for gradient in found if gradient is not None])


def _medians(works: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Return the median CPU seconds of each work, in turns."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, work in works.items():
            start = time.process_time()
            work()
            if turn > 0:
                taken[name].append(time.process_time() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def _bytes(model: nn.Module) -> int:
    """Return the bytes of all weights as ``torch.save`` writes them, whatever classes hold them."""
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    return buffer.tell()


if __name__ == "__main__":
    main()
