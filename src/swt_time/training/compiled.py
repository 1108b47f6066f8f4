"""A model's training forecast as one compiled graph: embedding, reprogramming, backbone and head.

Prompts are read outside the graph: that code leaves the backbone early by an exception, caches its results between
steps, and has no gradient.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from swt_time.errors import ConfigError
from swt_time.language import ReadPrompt
from swt_time.model import SWTTime


class CompiledModel:
    """Run a model through ``torch.compile`` in training mode, and as it is in eval mode.

    Parameters
    ----------
    model : SWTTime
        The model to compile. Its weights are shared, and it can still be used without compilation.
    backend : str or callable
        Backend of ``torch.compile``.

    Raises
    ------
    ConfigError
        There is no C++ compiler, which the default backend requires.
    """

    def __init__(self, model: SWTTime, backend: str | Callable[..., Any] = "inductor"):
        compiler = os.environ.get("CXX", "g++")
        if backend == "inductor" and shutil.which(compiler) is None:
            raise ConfigError(
                f"training.compile needs a C++ compiler, but {compiler!r} was not found; "
                "install g++ or leave training.compile off (the result is the same up to rounding)"
            )
        self.model = model
        self._forecast: Callable[..., Tensor] = torch.compile(model.forward, fullgraph=True, backend=backend)

    def __call__(self, context: Tensor, *, observed: Tensor | None = None) -> Tensor:
        """Forecast ``(B, T, N)`` to ``(B, H, N)``, as `SWTTime.forward` does."""
        model, language_model = self.model, self.model.language_model
        if not model.training:
            return model(context, observed=observed)
        prompt = model.write_prompt(context, observed)
        if prompt is None or language_model is None or not language_model.reads_prompts_first:
            return self._forecast(context, prompt, observed)
        read = language_model.read_prompt(prompt)
        _expect_other_lengths(read)
        return self._forecast(context, read, observed)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return the parameters of the model."""
        return self.model.parameters()

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Return the parameters of the model by name."""
        return self.model.named_parameters()

    def train(self, mode: bool = True) -> None:
        """Set the model to training mode, or to eval mode."""
        self.model.train(mode)

    def eval(self) -> None:
        """Set the model to eval mode."""
        self.model.eval()

    def trained_state(self) -> dict[str, Tensor]:
        """Return the trained weights of the model by name."""
        return self.model.trained_state()


def _expect_other_lengths(read: ReadPrompt) -> None:
    """Mark the prompt length as dynamic, so that other lengths do not recompile the graph."""
    torch._dynamo.maybe_mark_dynamic(read.visible, 1)
    for keys, values in read.parts[-1].kept if read.parts else ():
        torch._dynamo.maybe_mark_dynamic(keys, 2)
        torch._dynamo.maybe_mark_dynamic(values, 2)
