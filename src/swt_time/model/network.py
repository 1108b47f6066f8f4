"""The forecasting model, composed.

Shapes: ``B`` batch, ``N`` channels, ``T`` context, ``H`` horizon, ``P`` patches, ``D`` = ``d_model``,
``L`` hidden size of the language model, ``M = B * N`` series.
"""

import torch
from torch import Tensor, nn

from swt_time.data.windows import Windows
from swt_time.language import LanguageModel, Prompt, ReadPrompt
from swt_time.model.branch import Branch
from swt_time.model.closed_form import RidgeSkip, Solution, solve
from swt_time.model.embedding import WaveletPatchEmbedding
from swt_time.model.heads import FlattenHead, LinearSkip
from swt_time.model.normalize import denormalize, normalize
from swt_time.model.patching import PatchEmbedding
from swt_time.model.weights import trained_parameters


class SWTTime(nn.Module):
    """Time-LLM with a wavelet view: normalise, embed, reprogram, read with a frozen language model, project.

    Parameters
    ----------
    embed : module
        ``(B, N, T)`` to ``(M, P, D)``.
    branch : Branch
        Patch tokens, and a prompt where there is one, to what the head reads.
    head : FlattenHead
    skip : LinearSkip or RidgeSkip, optional
        A forecast straight from the patches, or from the window. The branch then enters through a gate that starts at
        zero, so that the network starts as if it had no language model.
    """

    def __init__(
        self,
        embed: PatchEmbedding | WaveletPatchEmbedding,
        branch: Branch,
        head: FlattenHead,
        skip: LinearSkip | RidgeSkip | None = None,
    ):
        super().__init__()
        self.embed = embed
        self.branch = branch
        self.head = head
        self.skip = skip
        self.gate = nn.Parameter(torch.zeros(())) if skip is not None else None

    def forward(self, context: Tensor, prompt: Prompt | ReadPrompt | None = None) -> Tensor:
        """Forecast.

        Parameters
        ----------
        context : Tensor, (B, T, N)
        prompt : Prompt or ReadPrompt, optional
            Of the M = B * N series, where it was written or read before; written from the context otherwise.

        Returns
        -------
        Tensor, (B, H, N)
        """
        z, scale = normalize(context)  # (B, N, T)
        tokens = self.embed(z)  # SWT, patches: (M, P, D)
        prompt = self.write_prompt(context) if prompt is None else prompt
        hidden = self.branch(tokens, prompt)  # reprogramming, prompt, language model: (M, P, L)
        forecast = self.head(hidden)  # (M, H)
        if self.skip is not None:
            forecast = self.skip(z, tokens) + self.gate * forecast
        return denormalize(forecast.unflatten(0, z.shape[:2]), scale)  # (B, H, N)

    def write_prompt(self, context: Tensor) -> Prompt | None:
        """Prompts for windows ``(B, T, N)``, on their device; None for a model that reads none.

        Always written on the CPU, so that a window has the same prompt on every device.
        """
        if self.language_model is None:
            return None
        prompt = self.branch.write_prompt(normalize(context.detach().cpu())[0])
        return None if prompt is None else prompt.to(context.device)

    @property
    def language_model(self) -> LanguageModel | None:
        """The frozen backbone, if there is one."""
        return self.branch.language_model

    def penalty(self) -> Tensor | None:
        """What is added to the loss: the embedding's reconstruction penalty, where it has free wavelet filters."""
        return self.embed.penalty()

    def solve(self, windows: Windows, validation: Windows | None) -> Solution | None:
        """Solve a ridge skip in closed form; the branch then learns what it leaves over. None for any other skip."""
        if not isinstance(self.skip, RidgeSkip):
            return None
        solution = solve(windows, validation, self.skip.weight.shape[1], self.embed.prior())
        self.skip.weight.copy_(solution.weight)
        return solution

    def trained_state(self) -> dict[str, Tensor]:
        """The trained weights by name: what a checkpoint holds. The frozen backbone is not among them."""
        trained = trained_parameters(self)
        if isinstance(self.skip, RidgeSkip):
            trained["skip.weight"] = self.skip.weight
        return trained
