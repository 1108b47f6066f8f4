"""A model's training forecast as one compiled graph: embedding, reprogramming, backbone and head, without a break.

Prompts stay outside: reading them ends early by an exception, is remembered between steps, and has no gradient.
"""

import os
import shutil
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from swt_time.errors import ConfigError
from swt_time.model import SWTTime
from swt_time.prompt_cache import KeyValues, Prompt, PromptReader


class ReadPrompt(NamedTuple):
    """What the patches need of M prompts that were read before; ``visible`` is (M, K), ``lengths`` (M,)."""

    parts: list[KeyValues]
    visible: Tensor
    lengths: Tensor


class OutsideReader(PromptReader):
    """Reads the patches only; prompts come as `ReadPrompt`, or are read as ever."""

    def _read_prompts(self, prompt: Any) -> tuple[list[KeyValues], Tensor]:
        return (prompt.parts, prompt.visible) if isinstance(prompt, ReadPrompt) else super()._read_prompts(prompt)


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
        self._reader: OutsideReader | None = None
        language_model = model.language_model
        if language_model is not None and language_model._read_parts is not None:
            parts = language_model._read_parts
            self._reader = language_model._read_parts = OutsideReader(parts.model, causal=parts.causal)

    def __call__(self, context: Tensor, prompt: Prompt | None = None) -> Tensor:
        """Forecast ``(B, T, N)`` to ``(B, H, N)``, as `SWTTime.forward` does."""
        if not self.model.training:
            return self.model(context, prompt)
        prompt = self.model.write_prompt(context) if prompt is None else prompt
        if prompt is None or self._reader is None:
            return self._forecast(context, prompt)
        return self._forecast(context, self._read(prompt))

    def _read(self, prompt: Prompt) -> ReadPrompt:
        """Read prompts, and foretell that the next ones will be of other lengths."""
        assert self._reader is not None
        with torch.no_grad():
            parts, visible = self._reader._read_prompts(prompt)
        torch._dynamo.maybe_mark_dynamic(visible, 1)
        for keys, values in parts[-1]._kept if parts else ():
            torch._dynamo.maybe_mark_dynamic(keys, 2)
            torch._dynamo.maybe_mark_dynamic(values, 2)
        return ReadPrompt(parts, visible, prompt.lengths)
