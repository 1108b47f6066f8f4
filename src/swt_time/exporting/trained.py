"""Which forecasters can be exported."""

from pathlib import Path
from typing import TYPE_CHECKING

from swt_time.checkpoints import Checkpoint, effects_of, read_checkpoint
from swt_time.errors import CheckpointError
from swt_time.evaluation.trained import Trained
from swt_time.files import expand_user
from swt_time.selection import Blend
from swt_time.selection.blend import SMALLEST

if TYPE_CHECKING:
    from swt_time.forecaster import Forecaster


def exportable(forecaster: "Forecaster | str | Path", *, language_models: bool) -> Trained:
    """Return a trained forecaster whose forecasts depend on nothing but its network.

    Parameters
    ----------
    forecaster : Forecaster or path
        A trained forecaster, or the folder of a checkpoint, which is refused before its language model is loaded.
    language_models : bool
        Whether the network may be a language model.

    Raises
    ------
    CheckpointError
        The forecasts depend on the effects of covariates or notes, on the panel of simple forecasters, or on a language
        model where none is allowed.
    """
    if not isinstance(forecaster, (str, Path)):
        _check(forecaster.trained.checkpoint, language_models)
        return forecaster.trained
    checkpoint = read_checkpoint(expand_user(forecaster, CheckpointError))
    _check(checkpoint, language_models)
    return Trained.build(checkpoint, "cpu")


def _check(checkpoint: Checkpoint, language_models: bool) -> None:
    effects, weights = effects_of(checkpoint), checkpoint.weights
    blend = Blend.from_arrays(weights)
    if effects is not None and not effects.idle:
        raise CheckpointError(
            "cannot export the model: covariates or notes change its forecasts, and an exported file takes none; train "
            "it without them, or forecast in Python"
        )
    if blend is not None and (blend.weekly is not None or blend.weight < 1 - SMALLEST):
        raise CheckpointError(
            f"cannot export the model: simple forecasters, which are fitted to each series again, have "
            f"{1 - blend.weight:.0%} of its forecast; train the closed form alone (preset fast, or model.panel false), "
            "or forecast in Python"
        )
    open_gate = "gate" not in weights or bool(weights["gate"])
    if checkpoint.backbone is not None and open_gate and not language_models:
        raise CheckpointError(
            f"cannot export the model to ONNX: its forecast needs the language model {checkpoint.backbone.name!r}; "
            "write a .pt2 file, which PyTorch runs, or train without a language model (backbone.name none)"
        )
