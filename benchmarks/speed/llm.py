"""Training step and inference of the whole model, compared with the reference implementation and neuralforecast.

All contenders run on windows of the same shape. swt-time is measured in two forms: ``paper`` prompts with ``mapping``
prototypes, whose prompts are byte for byte those of the others, and ``compact`` prompts with ``free`` prototypes, its
default.
"""

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from speed.cases import FORMS, Case, backbone_folder, words
from speed.contenders import COMPILED, PEER, REFERENCE, Kind, build
from speed.measuring import (
    Work,
    interleaved_medians,
    multiply,
    operations,
    peak_extra_bytes,
    peak_resident_bytes,
    provenance,
    timed,
)
from swt_time.language.backbone import LanguageModel
from swt_time.machine import torch_defaults
from swt_time.model import build_model
from swt_time.model.branch import Reprogrammed

PACKAGES = ("swt-time", "torch", "transformers", "tokenizers", "neuralforecast")

Row = dict[str, Any]
Report = Callable[[Row], None]
Maker = Callable[[], Work]

CURVES: dict[str, Sequence[int]] = {
    "windows": (8, 16, 32, 64),
    "channels": (1, 7, 14, 28),
    "context": (96, 192, 336, 512, 720, 1024),
    "description": (64, 128, 256, 512),
    "layers": (1, 2, 3, 6),
}
"""What is varied in each growth curve, and its values; descriptions are measured in tokens."""

DEFAULT_FORM = "compact, free"


@torch_defaults()
def measure(
    case: Case,
    kind: Kind,
    against: Sequence[str] = (REFERENCE,),
    *,
    repeats: int = 5,
    compiled: bool = False,
    report: Report = lambda row: None,
) -> list[Row]:
    """Measure the other contenders and both forms of swt-time, in turns and on fresh windows.

    Parameters
    ----------
    case : Case
    kind : {"step", "inference"}
    against : sequence of str
        `REFERENCE`, `PEER`, both or none.
    repeats : int
        Runs of each contender; the median is reported.
    compiled : bool
        Whether to measure the default form with ``torch.compile`` too.
    report : callable
        Called with each row.

    Returns
    -------
    list of dict
        One row for each contender: seconds, windows per second, speed-up over each contender in ``against``, peak
        memory of one run beyond what was allocated before it, operations of its matrix products, the share of the
        machine's matrix-multiply rate that they reach (in the dtype of the frozen model), and for swt-time the share
        that its language-model part reaches, counting only operations that cannot be avoided.
    """
    device = torch.device(case.device)
    names = [*against, *FORMS, *([COMPILED] if compiled else [])]
    compile_seconds = None
    with backbone_folder(case, weights=PEER in against) as folder:
        spent = {name: _peak_and_operations(name, case, folder, kind) for name in names if name != COMPILED}
        contenders = {name: build(name, case, folder) for name in names}
        for name, contender in contenders.items():
            if name == COMPILED:
                compile_seconds = timed(contender.work(case, kind), device)
            else:
                contender.work(replace(case, windows=1), kind)()
        works: dict[str, Maker] = {name: partial(c.work, case, kind) for name, c in contenders.items()}
        patches, width = case.series * case.n_patches, contenders[DEFAULT_FORM].width
        products = {c.dtype: multiply(patches, width, c.dtype, device) for c in contenders.values()}
        for dtype, (product, _) in products.items():
            works[str(dtype)] = partial(_same, product)
        seconds = interleaved_medians(works, device, repeats, warmup=0)
        shares = {form: matrix_share(case, form, kind, repeats) for form in FORMS}
    rates = {dtype: count / seconds[str(dtype)] for dtype, (_, count) in products.items()}
    where = provenance(device, PACKAGES)
    rows = []
    for name, contender in contenders.items():
        peak, count = spent.get(name, (None, None))
        row = {
            "backbone": case.backbone,
            "kind": kind,
            "contender": name,
            "precision": str(contender.dtype).removeprefix("torch."),
            **_shape(case),
            "repeats": repeats,
            "seconds": round(seconds[name], 4),
            "windows_per_second": round(case.windows / seconds[name], 2),
            **{f"times_faster_than_{other}": round(seconds[other] / seconds[name], 2) for other in against},
            "peak_mib": None if peak is None else round(peak / 2**20),
            "gigaoperations": None if count is None else round(count / 1e9, 1),
            "matrix_rate_gflops": round(rates[contender.dtype] / 1e9, 1),
            "share_of_rate": None if count is None else round(count / seconds[name] / rates[contender.dtype], 3),
            "share_of_rate_language_model": round(shares[name]["share"], 3) if name in shares else None,
            "compile_seconds": round(compile_seconds, 1) if compile_seconds and name == COMPILED else None,
            **where,
        }
        rows.append(row)
        report(row)
    return rows


@torch_defaults()
def grow(
    case: Case, kind: Kind, curves: Mapping[str, Sequence[int]], *, repeats: int = 5, report: Report = lambda row: None
) -> list[Row]:
    """Measure how the cost of the default form grows; the points of a curve run in turns.

    Parameters
    ----------
    case : Case
        The case of which one property at a time is varied.
    kind : {"step", "inference"}
    curves : mapping
        Keys of `CURVES`, and values. Descriptions that do not fit into the positions of the backbone are left out.
    repeats : int
        Runs of each point; the median is reported.
    report : callable
        Called with each row.

    Returns
    -------
    list of dict
        One row for each point: seconds, milliseconds per series, and the ratio to the first point of the curve.
    """
    device = torch.device(case.device)
    rows = []
    for curve, values in curves.items():
        if curve == "description":
            values = [value for value in values if value <= case.room]
        cases = {value: _vary(case, curve, value) for value in values}
        works: dict[str, Maker] = {}
        with ExitStack() as folders:
            for value, point in cases.items():
                contender = build(DEFAULT_FORM, point, folders.enter_context(backbone_folder(point)))
                works[str(value)] = partial(contender.work, point, kind)
            seconds = interleaved_medians(works, device, repeats, warmup=1)
        where = provenance(device, PACKAGES)
        for value, point in cases.items():
            took = seconds[str(value)]
            row = {
                "backbone": case.backbone,
                "kind": kind,
                "curve": curve,
                "value": value,
                "precision": str(contender.dtype).removeprefix("torch."),
                **_shape(point),
                "repeats": repeats,
                "seconds": round(took, 4),
                "milliseconds_a_series": round(1e3 * took / point.series, 3),
                "times_the_first": round(took / seconds[str(values[0])], 3),
                **where,
            }
            rows.append(row)
            report(row)
    return rows


def describe(row: Row) -> str:
    """Format a row of `measure` or `grow` as one line."""
    if "curve" in row:
        return (
            f"{row['backbone']:10} {row['kind']:9} {row['curve']:11} {row['value']:5}  {row['seconds']:9.3f} s  "
            f"{row['milliseconds_a_series']:9.2f} ms per series  {row['times_the_first']:6.2f}x the first"
        )
    gains = " ".join(
        f"{value:6.2f}x {name.removeprefix('times_faster_than_')}"
        for name, value in row.items()
        if name.startswith("times_faster_than_")
    )
    details = [
        (row["peak_mib"], "{} MiB"),
        (row["share_of_rate"], "{:.0%} of the matrix rate"),
        (row["share_of_rate_language_model"], "{:.0%} in the language model"),
        (row["compile_seconds"], "compiled in {} s"),
    ]
    shown = ", ".join(text.format(value) for value, text in details if value is not None)
    return (
        f"{row['backbone']:10} {row['kind']:9} {row['contender']:23} {row['precision']:8} {row['seconds']:9.3f} s "
        f"{row['windows_per_second']:8.2f} windows/s {gains}  {shown}"
    )


def matrix_share(case: Case, form: str, kind: Kind = "step", repeats: int = 5) -> dict[str, float]:
    """Measure the share of the machine's matrix-multiply rate that the language-model part reaches.

    Only necessary operations are counted: the window's own prompt tokens forward (in the last layer only up to its
    keys and values), patches forward and, in a training step, backward to their inputs. The rate is that of the widest
    product of one layer over all patches in the same dtype, measured in turns with the language model.

    Returns
    -------
    dict
        ``operations``, ``seconds``, ``rate`` (operations per second) and ``share``.
    """
    device = torch.device(case.device)
    with backbone_folder(case) as folder:
        model = build_model(case.config(folder, form)).to(device).train()
    branch, language_model = model.branch, model.language_model
    assert isinstance(branch, Reprogrammed)
    assert language_model is not None
    prompt = model.write_prompt(case.draw())
    assert prompt is not None
    n_patches = case.n_patches
    width, training = language_model.hidden_size, kind == "step"
    tokens = torch.randn(case.series, n_patches, width, device=device, requires_grad=training)
    gradient = torch.randn_like(tokens)

    def read() -> None:
        with torch.set_grad_enabled(training):
            hidden = language_model(prompt, tokens)
        if training:
            hidden.backward(gradient)

    product, count = multiply(case.series * n_patches, width, language_model.model.dtype, device)
    makers: dict[str, Maker] = {"read": partial(_same, read), "multiply": partial(_same, product)}
    seconds = interleaved_medians(makers, device, repeats)
    shared = len(prompt.shared)
    own = float((prompt.lengths - shared).sum())
    needed = _needed(language_model, own, case.series, shared, n_patches, backward=training)
    rate = count / seconds["multiply"]
    return {"operations": needed, "seconds": seconds["read"], "rate": rate, "share": needed / seconds["read"] / rate}


def _needed(
    language_model: LanguageModel, own: float, series: int, shared: int, n_patches: int, *, backward: bool
) -> float:
    """Count the multiplications and additions of one pass over own prompt tokens and patches."""
    model, layers, width = language_model.model, language_model.identity.layers, language_model.hidden_size
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    weights = sum(p.numel() for p in model.parameters() if p.dim() == 2 and id(p) not in embeddings)
    per_layer, mean_own, patches = weights / layers, own / series, float(series * n_patches)
    prompt = own * ((layers - 1) * (2 * per_layer + 4 * width * (shared + mean_own)) + 4 * width * width)
    keys = shared + mean_own + n_patches
    forward = patches * layers * (2 * per_layer + 4 * width * keys)
    return prompt + forward + (patches * layers * (2 * per_layer + 8 * width * keys) if backward else 0.0)


def _same(work: Work) -> Work:
    """Return the given work; ``partial(_same, work)`` is a maker of work that needs no fresh inputs."""
    return work


def _shape(case: Case) -> Row:
    return {
        "windows": case.windows,
        "channels": case.channels,
        "context": case.context,
        "horizon": case.horizon,
        "layers": case.layers or "all",
    }


def _vary(case: Case, curve: str, value: int) -> Case:
    changes: dict[str, Any] = {"description": words(value)} if curve == "description" else {curve: value}
    return replace(case, **changes)


def _peak_and_operations(name: str, case: Case, folder: str, kind: Kind) -> tuple[int | None, float]:
    """Return peak memory and operations of one run; on a CPU in a fresh process, on a GPU in the second run here."""
    if case.device != "cpu":
        contender = build(name, case, folder)
        contender.work(case, kind)()
        peak = peak_extra_bytes(contender.work(case, kind), torch.device(case.device))
        return peak, operations(contender.work(case, kind))
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run_once, args=(name, case, folder, kind, torch.get_num_threads(), sender))
    process.start()
    sender.close()
    found = receiver.recv()
    process.join()
    return found


def _run_once(name: str, case: Case, folder: str, kind: Kind, threads: int, sender: Any) -> None:
    torch.set_num_threads(threads)
    work = build(name, case, folder).work(case, kind)
    count = []
    peak = peak_resident_bytes(lambda: count.append(operations(work)))
    sender.send((peak, count[0]))
