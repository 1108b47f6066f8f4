"""A trained network as a program of ``torch.export``, which PyTorch runs in Python and in C++ (AOTInductor).

Shapes: ``B`` windows of one series each, ``T`` context, ``H`` horizon, ``Q`` prompt tokens.
"""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from swt_time.exporting.facts import facts
from swt_time.exporting.files import check_target, write_file
from swt_time.exporting.trained import exportable
from swt_time.language import Prompt
from swt_time.model import SWTTime

if TYPE_CHECKING:
    from swt_time.forecaster import Forecaster

PROPERTIES = "swt_time.json"
"""Name of the file in the program that says what it expects."""


class Prompted(nn.Module):
    """A network whose prompts are tensors: context (B, T, 1), token ids (B, Q) and their number (B,) to (B, H, 1)."""

    def __init__(self, model: SWTTime, shared: tuple[int, ...]):
        super().__init__()
        self.model = model
        self.shared = shared

    def forward(self, context: Tensor, ids: Tensor, lengths: Tensor) -> Tensor:
        """Forecast windows; see `SWTTime.forward`."""
        forecast: Tensor = self.model(context, Prompt(ids, lengths, self.shared))
        return forecast


def export_program(forecaster: "Forecaster | str | Path", path: str | Path) -> Path:
    """Write the network of a forecaster, with its language model, as a program of ``torch.export``.

    Parameters
    ----------
    forecaster : Forecaster or path
        A trained forecaster, or the folder of a checkpoint.
    path : path
        File to write, whose name ends in ``.pt2``; a former one is replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    CheckpointError
        The forecast needs more than the network: the panel of simple forecasters, or effects of covariates and notes.
    ConfigError
        The file name has another ending, or the folder cannot be written.

    Notes
    -----
    ``torch.export.load(path).module()`` is called with scaled windows (B, T, 1), which is what ``forecaster.model``
    takes: the values minus the mean of training, divided by its standard deviation. A language model that reads prompts
    also takes token ids (B, Q) and lengths (B,), as ``forecaster.model.write_prompt(context)`` returns them. The
    program has no intervals.
    """
    path = check_target(path, ".pt2")
    trained = exportable(forecaster, language_models=True)
    content = io.BytesIO()
    known = facts(trained, {"yhat": "yhat"}, {}, padded=False, scaled=True)
    torch.export.save(_program(trained.model, trained.context), content, extra_files={PROPERTIES: json.dumps(known)})
    write_file(path, content.getvalue())
    return path


def _program(model: SWTTime, context: int) -> torch.export.ExportedProgram:
    device = next(p for p in model.parameters() if p.requires_grad).device
    windows = torch.sin(torch.arange(2 * context, device=device, dtype=torch.float32)).reshape(2, context, 1)
    batch = torch.export.Dim("batch")
    prompt = model.write_prompt(windows)
    with torch.no_grad():
        if prompt is None:
            return torch.export.export(model, (windows,), dynamic_shapes=({0: batch},), strict=False)
        tokens = torch.export.Dim("tokens", min=len(prompt.shared) + 1)
        shapes = {0: batch}, {0: batch, 1: tokens}, {0: batch}
        prompted = Prompted(model, prompt.shared)
        return torch.export.export(prompted, (windows, prompt.ids, prompt.lengths), dynamic_shapes=shapes, strict=False)
