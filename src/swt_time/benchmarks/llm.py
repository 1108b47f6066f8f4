"""Training step and inference of the whole model against the reference path, on the same windows.

Each case is measured in two forms: ``paper`` prompts with ``mapping`` prototypes, byte for byte what the reference
reads, and ``compact`` prompts with ``free`` prototypes, what this package does by default.
"""

import json
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from swt_time.backbones import LanguageModel, find_backbone
from swt_time.benchmarks.measuring import Work, interleaved_medians, provenance
from swt_time.benchmarks.reference_path import as_published, reference_forecast
from swt_time.config import Config, TrainingConfig
from swt_time.model import Reprogrammed, SWTTime, build_model
from swt_time.training import make_optimizer

Kind = Literal["step", "inference"]

DESCRIPTION = (
    "The Electricity Transformer Temperature (ETT) is a crucial indicator in the electric power long-term deployment. "
    "This dataset consists of 2 years data from two separated counties in China. To explore the granularity on the "
    "Long sequence time-series forecasting (LSTF) problem, different subsets are created: ETTh1 and ETTh2 at one hour, "
    "ETTm1 at 15 minutes. Each point consists of the target value oil temperature and 6 power load features."
)

FORMS = {"paper, mapping": ("paper", "mapping"), "compact, free": ("compact", "free")}
"""Prompt template and prototypes of ours; the reference always takes the first form."""

GPT2_SHAPE = {
    "model_type": "gpt2",
    "n_embd": 768,
    "n_layer": 6,
    "n_head": 12,
    "n_positions": 1024,
    "vocab_size": 50257,
}


@dataclass(frozen=True)
class Case:
    """A backbone and the shape of a batch: ``windows`` windows of ``channels`` channels."""

    backbone: Literal["minilm", "gpt2"] = "minilm"
    windows: int = 8
    channels: int = 7
    context: int = 512
    description: str = DESCRIPTION
    precision: str = "auto"

    def config(self, folder: str, form: str) -> Config:
        """The configuration of one form, without a skip, as the original has none."""
        template, prototypes = FORMS[form]
        return Config().replace(
            {
                "data.context": self.context,
                "data.description": self.description,
                "prompt.template": template,
                "backbone.name": folder,
                "backbone.random_init": self.backbone == "gpt2",
                "backbone.precision": self.precision,
                "backbone.prompt_attention": "prefix",
                "model.prototypes": prototypes,
                "model.skip": "none",
                "model.dropout": 0.0,
            }
        )

    def draw(self) -> Tensor:
        """Fresh random walks, ``(B, T, N)``."""
        return torch.randn(self.windows, self.context, self.channels).cumsum(dim=1)


@contextmanager
def backbone_folder(name: str) -> Iterator[str]:
    """``minilm`` as it is; ``gpt2`` is a folder with GPT-2's shape, six layers, and MiniLM's tokenizer."""
    if name == "minilm":
        yield name
        return
    source = find_backbone("minilm")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(GPT2_SHAPE))
        for file in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
            if (source / file).is_file():
                shutil.copy(source / file, folder)
        yield folder


@dataclass
class Contender:
    """A model and how it forecasts."""

    model: SWTTime
    language_model: LanguageModel
    forecast: Callable[[Tensor], Tensor]
    optimizer: torch.optim.Optimizer

    def work(self, case: Case, kind: Kind) -> Work:
        """One training step (forward, backward, AdamW) or one forecast, on fresh windows."""
        context = case.draw()
        target = torch.randn(case.windows, 96, case.channels)
        return (lambda: self.step(context, target)) if kind == "step" else (lambda: self.infer(context))

    def step(self, context: Tensor, target: Tensor) -> None:
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        nn.functional.mse_loss(self.forecast(context), target).backward()
        self.optimizer.step()

    @torch.no_grad()
    def infer(self, context: Tensor) -> None:
        self.model.eval()
        self.forecast(context)


def ours(case: Case, folder: str, form: str) -> Contender:
    """The package's own path."""
    model = build_model(case.config(folder, form))
    assert model.language_model is not None
    return Contender(model, model.language_model, model, make_optimizer(model, TrainingConfig()))


def reference(case: Case, folder: str) -> Contender:
    """The plain path, with weights of its own and the frozen model in float32."""
    model = build_model(case.config(folder, "paper, mapping").replace({"backbone.precision": "float32"}))
    language_model = model.language_model
    assert language_model is not None
    as_published(language_model)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    return Contender(
        model, language_model, lambda context: reference_forecast(model, language_model, context), optimizer
    )


def measure(case: Case, kind: Kind, repeats: int = 5) -> list[dict[str, Any]]:
    """Median seconds of the reference and of both forms of ours, taking turns on fresh windows.

    Returns
    -------
    list of dict
        A row for each contender: seconds, gain over the reference, windows per second, where it was measured.
    """
    cpu = torch.device("cpu")
    with backbone_folder(case.backbone) as folder:
        contenders = {"reference": reference(case, folder)} | {form: ours(case, folder, form) for form in FORMS}
        makers = {
            name: (lambda contender=contender: contender.work(case, kind)) for name, contender in contenders.items()
        }
        seconds = interleaved_medians(makers, cpu, repeats, warmup=1)
    where = provenance(cpu, ("torch", "transformers", "tokenizers"))
    return [
        {
            "backbone": case.backbone,
            "kind": kind,
            "path": name,
            "precision": str(contenders[name].language_model.model.dtype).removeprefix("torch."),
            "series": case.windows * case.channels,
            "context": case.context,
            "repeats": repeats,
            "seconds": round(taken, 4),
            "gain": round(seconds["reference"] / taken, 2),
            "windows_per_second": round(case.windows / taken, 2),
            **where,
        }
        for name, taken in seconds.items()
    ]


def peak_memory(case: Case, path: str) -> int:
    """Bytes by which a training step raises the resident set of a process of its own (Linux).

    Parameters
    ----------
    path : str
        ``reference`` or one of `FORMS`.
    """
    with backbone_folder(case.backbone) as folder:
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_peak_memory, args=(case, folder, path, torch.get_num_threads(), sender))
        process.start()
        sender.close()
        found = receiver.recv()
        process.join()
    return found


def _peak_memory(case: Case, folder: str, path: str, threads: int, sender: Any) -> None:
    torch.set_num_threads(threads)
    contender = reference(case, folder) if path == "reference" else ours(case, folder, path)
    work = contender.work(case, "step")
    Path("/proc/self/clear_refs").write_text("5")  # lets the high-water mark begin anew
    before = _status("VmRSS")
    work()
    sender.send(_status("VmHWM") - before)


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


def matrix_share(case: Case, form: str, repeats: int = 5) -> dict[str, float]:
    """How much of the machine's matrix-multiply rate the language model's part of a step reaches.

    Operations are those that must be done: own prompt tokens forward (without what follows the last layer's keys),
    patches forward and backward to their inputs. The rate is that of the widest product of one layer over all
    patches, at the same precision, taking turns with the step.

    Returns
    -------
    dict
        ``operations``, ``seconds``, ``rate`` (operations a second) and ``share``.
    """
    with backbone_folder(case.backbone) as folder:
        model = build_model(case.config(folder, form)).train()
    branch, language_model = model.branch, model.language_model
    assert isinstance(branch, Reprogrammed)
    assert language_model is not None
    prompt = model.write_prompt(case.draw())
    assert prompt is not None
    assert branch.prompter is not None
    series = case.windows * case.channels
    n_patches = case.config("minilm", form).n_patches
    tokens = torch.randn(series, n_patches, language_model.hidden_size, requires_grad=True)
    gradient = torch.randn_like(tokens)

    def read() -> None:
        language_model(prompt, tokens).backward(gradient)

    width, dtype = language_model.hidden_size, language_model.model.dtype
    left = torch.randn(series * n_patches, width).to(dtype)
    right = torch.randn(4 * width, width).to(dtype)
    cpu = torch.device("cpu")
    with torch.no_grad():
        seconds = interleaved_medians(
            {"read": lambda: torch.enable_grad()(read), "multiply": lambda: lambda: nn.functional.linear(left, right)},
            cpu,
            repeats,
        )
    own = float((prompt.lengths - len(branch.prompter.shared)).sum())
    patches = float(series * n_patches)
    shared = len(branch.prompter.shared)
    mean_own = own / series
    operations = _operations(language_model, own, patches, shared, mean_own, n_patches)
    rate = 2 * left.shape[0] * left.shape[1] * right.shape[0] / seconds["multiply"]
    return {
        "operations": operations,
        "seconds": seconds["read"],
        "rate": rate,
        "share": operations / seconds["read"] / rate,
    }


def _operations(
    language_model: LanguageModel, own: float, patches: float, shared: int, mean_own: float, n_patches: int
) -> float:
    """Multiplications and additions of one pass over own prompt tokens and patches."""
    layers, width = language_model.identity.layers, language_model.hidden_size
    weights = sum(p.numel() for p in language_model.model.parameters() if p.dim() == 2)
    weights -= language_model.model.get_input_embeddings().weight.numel()
    weights -= sum(p.numel() for n, p in language_model.model.named_parameters() if "position" in n or "wpe" in n)
    per_layer = weights / layers
    prompt = own * ((layers - 1) * (2 * per_layer + 4 * width * (shared + mean_own)) + 4 * width * width)
    keys = shared + mean_own + n_patches
    forward = patches * layers * (2 * per_layer + 4 * width * keys)
    backward = patches * layers * (2 * per_layer + 8 * width * keys)
    return prompt + forward + backward
