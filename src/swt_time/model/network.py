"""The forecasting model: embedding, branch, head and skip composed.

Shapes: ``B`` batch, ``N`` channels, ``T`` context, ``H`` horizon, ``P`` patches, ``D`` = ``d_model``,
``L`` hidden size of the language model, ``M = B * N`` series, ``Q`` quantiles.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from swt_time.config.choices import ClosedFormPart
from swt_time.data.windows import Windows
from swt_time.language import LanguageModel, Prompt, ReadPrompt
from swt_time.model.branch import Branch
from swt_time.model.closed_form import Solution, solve
from swt_time.model.closed_form.skip import RidgeSkip
from swt_time.model.embedding import WaveletPatchEmbedding
from swt_time.model.heads import FlattenHead, LinearSkip
from swt_time.model.normalize import WindowScale, denormalize, normalize
from swt_time.model.patching import PatchEmbedding, hide, visible_patches
from swt_time.model.quantiles import QuantileHead
from swt_time.model.weights import trained_parameters
from swt_time.processes import ALONE, Processes


class SWTTime(nn.Module):
    """Time-LLM with a wavelet embedding: normalise, embed, reprogram, run the frozen language model, project.

    Parameters
    ----------
    embed : module
        ``(B, N, T)`` to ``(M, P, D)``.
    branch : Branch
        Patch tokens and an optional prompt to the features that the head reads.
    head : FlattenHead or QuantileHead
    skip : LinearSkip or RidgeSkip, optional
        A linear forecast from the patches or from the window. The forecast of the branch is then added with a trained
        factor, the gate. It starts at zero, so the initial forecast is that of the skip alone.
    closed_form : sequence of ClosedFormPart
        What the closed form of a ridge skip tries; see `swt_time.model.closed_form.solve`.
    """

    def __init__(
        self,
        embed: PatchEmbedding | WaveletPatchEmbedding,
        branch: Branch,
        head: FlattenHead,
        skip: LinearSkip | RidgeSkip | None = None,
        closed_form: Sequence[ClosedFormPart] = (),
    ):
        super().__init__()
        self.embed = embed
        self.branch = branch
        self.head = head
        self.skip = skip
        self.closed_form = tuple(closed_form)
        self.gate = nn.Parameter(torch.zeros(())) if skip is not None else None

    def forward(
        self, context: Tensor, prompt: Prompt | ReadPrompt | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """Forecast a batch of windows.

        Parameters
        ----------
        context : Tensor, (B, T, N)
        prompt : Prompt or ReadPrompt, optional
            Prompt of the M = B * N series; by default it is written from the context.
        observed : Tensor of bool, (B, T, N), optional
            False where a window is padded, before the start of its series; the last sample is observed. What stands
            there changes nothing. Patches of padding alone are not read. By default all is observed.

        Returns
        -------
        Tensor, (B, H, N)
            The median, if the model has quantiles.
        """
        z, scale, tokens, hidden = self._read(context, prompt, observed)
        forecast = self.head(hidden)  # (M, H)
        if self.skip is not None:
            forecast = self.skip(z, tokens) + self.gate * forecast
        return denormalize(forecast.unflatten(0, z.shape[:2]), scale)  # (B, H, N)

    def quantiles(
        self, context: Tensor, prompt: Prompt | ReadPrompt | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """Forecast quantiles of a model with a `QuantileHead`; parameters are those of `forward`.

        Returns
        -------
        Tensor, (B, H, N, Q)
            Ascending in ``Q``. With a gate of zero all are equal to the forecast of the skip.
        """
        assert isinstance(self.head, QuantileHead)
        z, scale, tokens, hidden = self._read(context, prompt, observed)
        median, offsets = self.head.quantiles(hidden)  # (M, H), (M, Q, H)
        if self.skip is not None:
            assert self.gate is not None
            median = self.skip(z, tokens) + self.gate * median
            # the size of the gate, whose gradient at zero is that of a positive gate; that of abs would be zero
            offsets = torch.where(self.gate < 0, -self.gate, self.gate) * offsets
        found = (median + one for one in offsets.unbind(1))
        return torch.stack([denormalize(one.unflatten(0, z.shape[:2]), scale) for one in found], dim=-1)

    @property
    def has_quantiles(self) -> bool:
        """Whether the model forecasts quantiles beside the median."""
        return isinstance(self.head, QuantileHead)

    def _read(
        self, context: Tensor, prompt: Prompt | ReadPrompt | None, observed: Tensor | None
    ) -> tuple[Tensor, WindowScale, Tensor, Tensor]:
        """Normalised windows (B, N, T), their scale, patch tokens (M, P, D), and what the head reads (M, P, L)."""
        z, scale = normalize(context, observed)
        visible = None
        if observed is not None:
            visible = visible_patches(observed.transpose(1, 2), self.embed.patch_len, self.embed.stride)
        tokens = hide(self.embed(z), visible)  # SWT, patches: (M, P, D)
        prompt = self.write_prompt(context, observed) if prompt is None else prompt
        hidden = self.branch(tokens, prompt, visible)  # reprogramming, prompt, language model: (M, P, L)
        return z, scale, tokens, hide(hidden, visible)

    @property
    def is_closed_form(self) -> bool:
        """Whether forecasts are those of the closed form alone, because the gate of the branch is zero."""
        return isinstance(self.skip, RidgeSkip) and self.gate is not None and not self.gate.item()

    def forecast_closed_form(self, context: Tensor, observed: Tensor | None = None) -> Tensor:
        """Forecast windows ``(B, T, N)`` to ``(B, H, N)`` by the closed form alone, without running the branch."""
        assert isinstance(self.skip, RidgeSkip)
        z, scale = normalize(context, observed)
        return denormalize(self.skip(z).unflatten(0, z.shape[:2]), scale)

    def write_prompt(self, context: Tensor, observed: Tensor | None = None) -> Prompt | None:
        """Write prompts for the observed values of windows, both ``(B, T, N)``, on their device.

        None for a model that reads no prompt. The statistics are computed on the CPU, so that a window has the same
        prompt on every device.
        """
        if self.language_model is None:
            return None
        known = None if observed is None else observed.cpu()
        z, _ = normalize(context.detach().cpu(), known)
        prompt = self.branch.write_prompt(z, None if known is None else known.transpose(1, 2))
        return None if prompt is None else prompt.to(context.device)

    @property
    def language_model(self) -> LanguageModel | None:
        """The frozen backbone, or None."""
        return self.branch.language_model

    def penalty(self) -> Tensor | None:
        """Return the penalty of free wavelet filters, to be added to the loss; None for other embeddings."""
        return self.embed.penalty()

    def solve(self, windows: Windows, validation: Windows | None, processes: Processes = ALONE) -> Solution | None:
        """Solve a ridge skip in closed form, so that the branch learns its residual.

        Parameters
        ----------
        windows : Windows
            Training windows.
        validation : Windows, optional
            Windows that choose the regularisation; see `swt_time.model.closed_form.solve`.
        processes : Processes
            Those that sum over the windows together.

        Returns
        -------
        Solution or None
            None if the model has no ridge skip.
        """
        if not isinstance(self.skip, RidgeSkip):
            return None
        context, prior = self.skip.weight.shape[1], self.embed.prior()
        solution = solve(windows, validation, context, prior, self.closed_form, processes=processes)
        self.skip.weight.copy_(torch.from_numpy(solution.weight))
        return solution

    def trained_state(self) -> dict[str, Tensor]:
        """Return the trained weights by name, without the frozen backbone. These are saved in a checkpoint."""
        trained = trained_parameters(self)
        if isinstance(self.skip, RidgeSkip):
            trained["skip.weight"] = self.skip.weight
        return trained
