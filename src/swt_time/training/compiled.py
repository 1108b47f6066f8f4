"""A model's training forecast as one compiled graph: embedding, reprogramming, backbone and head, without a break.

Prompts stay outside: reading them ends early by an exception, is remembered between steps, and has no gradient.
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
    """Forecasts of a model in training through ``torch.compile``; in eval mode the model itself.

    Parameters
    ----------
    model : SWTTime
        Shares its weights; it stays usable as it is.
    backend : str or callable
        As ``torch.compile`` takes it.

    Raises
    ------
    ConfigError
        There is no C++ compiler, which the default backend needs.
    """

    def __init__(self, model: SWTTime, backend: str | Callable[..., Any] = "inductor"):
        compiler = os.environ.get("CXX", "g++")
        if backend == "inductor" and shutil.which(compiler) is None:
            raise ConfigError(
                f"training.compile needs a C++ compiler and {compiler!r} is not on this machine; "
                "install g++ or leave compile off (the result is the same)"
            )
        self.model = model
        self._forecast: Callable[..., Tensor] = torch.compile(model.forward, fullgraph=True, backend=backend)

    def __call__(self, context: Tensor) -> Tensor:
        """Forecast ``(B, T, N)`` to ``(B, H, N)``, as `SWTTime.forward` does."""
        model, language_model = self.model, self.model.language_model
        if not model.training:
            return model(context)
        prompt = model.write_prompt(context)
        if prompt is None or language_model is None or not language_model.reads_prompts_first:
            return self._forecast(context, prompt)
        read = language_model.read_prompt(prompt)
        _expect_other_lengths(read)
        return self._forecast(context, read)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the model."""
        return self.model.parameters()

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters of the model by name."""
        return self.model.named_parameters()

    def train(self, mode: bool = True) -> None:
        """Switch the model between training and eval."""
        self.model.train(mode)

    def eval(self) -> None:
        """Switch the model to eval."""
        self.model.eval()

    def trained_state(self) -> dict[str, Tensor]:
        """Trained weights of the model by name."""
        return self.model.trained_state()


def _expect_other_lengths(read: ReadPrompt) -> None:
    """Tell the compiler that the next prompts will be of other lengths."""
    torch._dynamo.maybe_mark_dynamic(read.visible, 1)
    for keys, values in read.parts[-1].kept if read.parts else ():
        torch._dynamo.maybe_mark_dynamic(keys, 2)
        torch._dynamo.maybe_mark_dynamic(values, 2)
