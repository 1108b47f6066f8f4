"""A model's training forecast as one compiled graph: embedding, reprogramming, backbone and head.

Prompts are read outside the graph: that code leaves the backbone early by an exception, caches its results between
steps, and has no gradient.
"""

import os
import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from swt_time.errors import ConfigError
from swt_time.language import ReadPrompt
from swt_time.model import SWTTime
from swt_time.training.trainable import TrainableModel


class CompiledModel(TrainableModel):
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
        super().__init__(model)
        whole = model.quantiles if model.has_quantiles else model.forward
        self._compiled: Callable[..., Tensor] = torch.compile(whole, fullgraph=True, backend=backend)

    def __call__(self, context: Tensor, *, observed: Tensor | None = None) -> Tensor:
        """Forecast as `TrainableModel` does."""
        model, language_model = self.model, self.model.language_model
        if not model.training:
            return super().__call__(context, observed=observed)
        prompt = model.write_prompt(context, observed)
        if prompt is None or language_model is None or not language_model.reads_prompts_first:
            return self._compiled(context, prompt, observed)
        read = language_model.read_prompt(prompt)
        _expect_other_lengths(read)
        return self._compiled(context, read, observed)


def _expect_other_lengths(read: ReadPrompt) -> None:
    """Mark the prompt length as dynamic, so that other lengths do not recompile the graph."""
    mark_dynamic = torch._dynamo.maybe_mark_dynamic  # noqa: SLF001  documented under this name
    mark_dynamic(read.visible, 1)
    if not read.parts:
        return
    mark_dynamic(read.parts[-1].position, 1)
    for keys, values in read.parts[-1].kept:
        mark_dynamic(keys, 2)
        mark_dynamic(values, 2)
