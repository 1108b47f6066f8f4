"""The contenders: the reference implementation, neuralforecast's TimeLLM, and the forms of swt-time.

Each one performs a whole training step (forward, backward, optimiser) or a forecast on windows of the same shape.
"""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from speed.cases import Case
from speed.measuring import Work
from speed.reference_path import as_published, reference_forecast
from swt_time.config import TrainingConfig
from swt_time.evaluation.baselines import PeerTimeLLM, peer_network
from swt_time.model import build_model
from swt_time.training.compiled import CompiledModel
from swt_time.training.optimising import make_optimizer

Kind = Literal["step", "inference"]

REFERENCE, PEER, COMPILED = "reference", "neuralforecast", "compact, free, compiled"


@dataclass
class Contender:
    """A model, its forecast from ``(B, T, N)`` to ``(B, H, N)``, and dtype and hidden size of its frozen part."""

    model: nn.Module
    forecast: Callable[[Tensor], Tensor]
    optimizer: torch.optim.Optimizer
    dtype: torch.dtype
    width: int

    def work(self, case: Case, kind: Kind) -> Work:
        """Draw fresh windows and return one training step (forward, backward, optimiser) or one forecast on them."""
        context, target = case.draw(), case.draw_target()
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


def build(name: str, case: Case, folder: str) -> Contender:
    """Build a contender by name: `REFERENCE`, `PEER`, `COMPILED`, or one of `FORMS`."""
    if name == REFERENCE:
        return reference(case, folder)
    if name == PEER:
        return peer(case, folder)
    return ours(case, folder, name)


def ours(case: Case, folder: str, form: str) -> Contender:
    """Build a form of swt-time."""
    model = build_model(case.config(folder, "compact, free" if form == COMPILED else form)).to(case.device)
    frozen = model.language_model
    assert frozen is not None
    forecast = CompiledModel(model) if form == COMPILED else model
    return Contender(
        model, forecast, make_optimizer(model.parameters(), TrainingConfig()), frozen.model.dtype, frozen.hidden_size
    )


def reference(case: Case, folder: str) -> Contender:
    """Build the reference implementation; on a CPU its frozen model is in float32."""
    precision = "float32" if case.device == "cpu" else case.precision
    config = case.config(folder, "paper, mapping").replace({"backbone.precision": precision})
    model = build_model(config).to(case.device)
    frozen = model.language_model
    assert frozen is not None
    as_published(frozen)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])

    def forecast(context: Tensor) -> Tensor:
        return reference_forecast(model, frozen, context)

    return Contender(model, forecast, optimizer, frozen.model.dtype, frozen.hidden_size)


def peer_is_installed() -> bool:
    """Return whether neuralforecast can be imported."""
    return sys.modules.get("neuralforecast", ...) is not None and importlib.util.find_spec("neuralforecast") is not None


def peer(case: Case, folder: str) -> Contender:
    """Build neuralforecast's TimeLLM with its own defaults, except for loss, sizes, prompt and dropout before the head.

    Sizes and prompt are those of the other contenders, and the dropout before the head is off. Its
    forward pass is called with the same windows; the cost of its data loader and trainer is not included.
    """
    prefix = {"data.description": f"Dataset description: {case.description}"}
    config = case.config(folder, "paper, mapping").replace(prefix)
    model = peer_network(config).to(case.device)
    if model.num_tokens != config.model.n_prototypes:
        raise RuntimeError(
            f"expected {config.model.n_prototypes} prototypes in neuralforecast's TimeLLM, as in the other contenders, "
            f"got {model.num_tokens}"
        )
    optimizer = model.configure_optimizers()["optimizer"]
    return Contender(model, PeerTimeLLM(model), optimizer, model.llm.dtype, model.d_llm)
