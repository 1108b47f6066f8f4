"""The branch between patch tokens and head: the identity, a stand-in, or a reprogrammed language model.

Shapes: ``B`` batch, ``N`` channels, ``M = B * N`` series, ``T`` context, ``P`` patches, ``D`` = ``d_model``,
``L`` hidden size of the language model, ``S`` prototypes.
"""

import torch
from torch import Tensor, nn

from swt_time.language import LanguageModel, Prompt, Prompter, ReadPrompt
from swt_time.model.reprogramming import Reprogramming
from swt_time.remembered import Remembered, fingerprint


class Branch(nn.Module):
    """The identity: returns the patch tokens unchanged. Base class of all branches."""

    @property
    def language_model(self) -> LanguageModel | None:
        """The frozen backbone, or None."""
        return None

    def write_prompt(self, z: Tensor, observed: Tensor | None = None) -> Prompt | None:
        """Write prompts for the observed values of normalised windows, both ``(B, N, T)``.

        None for a branch that reads no prompt.
        """
        return None

    def forward(self, tokens: Tensor, prompt: Prompt | ReadPrompt | None, visible: Tensor | None = None) -> Tensor:
        """Map ``(M, P, D)`` to ``(M, P, width)``; here the tokens are returned.

        Patches that are not ``visible`` (M, P) change nothing in the results of the others.
        """
        return tokens


class Reprogrammed(Branch):
    """Patches reprogrammed onto text prototypes, then read by a frozen language model.

    Parameters
    ----------
    prototypes : module
        Called without arguments; returns ``(S, L)``.
    reprogram : Reprogramming
    language_model : LanguageModel
    prompter : Prompter or None
        None if ``prompt.template`` is ``none``.
    """

    def __init__(
        self,
        prototypes: nn.Module,
        reprogram: Reprogramming,
        language_model: LanguageModel,
        prompter: Prompter | None,
    ):
        super().__init__()
        self.prototypes = prototypes
        self.reprogram = reprogram
        self.backbone = language_model
        self.prompter = prompter
        self._text: Remembered[tuple[Tensor, Tensor]] = Remembered()

    @property
    def language_model(self) -> LanguageModel:
        """The frozen backbone."""
        return self.backbone

    def train(self, mode: bool = True) -> "Reprogrammed":
        """Set the mode; entering training drops the keys and values that are cached for inference."""
        if mode:
            self._text.forget()
        return super().train(mode)

    def write_prompt(self, z: Tensor, observed: Tensor | None = None) -> Prompt | None:
        """Write prompts for the observed values of normalised windows; None if there is no prompter."""
        if self.prompter is None:
            return None
        return self.prompter.write(z.flatten(0, 1), None if observed is None else observed.flatten(0, 1))

    def forward(self, tokens: Tensor, prompt: Prompt | ReadPrompt | None, visible: Tensor | None = None) -> Tensor:
        """Map ``(M, P, D)`` to last hidden states ``(M, P, L)``; no patch attends to one that is not ``visible``.

        With a bfloat16 language model, the reprogramming layer also multiplies in bfloat16; its weights and their
        gradients stay float32.
        """
        half = self.backbone.model.dtype == torch.bfloat16
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=half):
            reprogrammed = self.reprogram(tokens, *self._keys_values()).to(tokens.dtype)
        hidden: Tensor = self.backbone(prompt, reprogrammed, visible)
        return hidden

    def _keys_values(self) -> tuple[Tensor, Tensor]:
        """Keys and values of the prototypes; in inference they are cached until a weight changes."""
        if self.training or torch.is_grad_enabled() or torch.compiler.is_exporting():
            return self._project_prototypes()
        weights = [*self.prototypes.parameters(), *self.reprogram.parameters()]
        return self._text.get(fingerprint(weights), self._project_prototypes)

    def _project_prototypes(self) -> tuple[Tensor, Tensor]:
        return self.reprogram.keys_values(self.prototypes())
