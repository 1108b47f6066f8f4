"""A branch is kept where it earned its place, and costs nothing elsewhere: it is neither saved nor run.

The rule is in `swt_time.selection.keeping`. A branch that could not be kept by it is not even trained.
``training.keep_branch`` keeps every branch; the test is made and recorded all the same.
"""

import warnings
from typing import TYPE_CHECKING

from swt_time.checkpoints import Checkpoint
from swt_time.checkpoints.branch import kept, left_out
from swt_time.checkpoints.branch_record import RECORD
from swt_time.config import Config
from swt_time.config.branch import has_branch
from swt_time.data.parts import Parts
from swt_time.errors import SWTTimeWarning
from swt_time.model.alone import ClosedForm
from swt_time.selection.keeping import FEWEST_BLOCKS, MANY_SERIES, cut_blocks, judge
from swt_time.training import TrainingResult

if TYPE_CHECKING:
    from swt_time.model import SWTTime

FEW_BLOCKS = (
    f"the validation part has fewer than {FEWEST_BLOCKS} blocks of a horizon, and fewer than {MANY_SERIES} series"
)
"""Why a branch cannot be judged."""


def why_not_trained(config: Config, parts: Parts, *, weighed: bool, starts: bool) -> str | None:
    """Say why the branch of a configuration is left out before any training; None if it is to be trained.

    Parameters
    ----------
    config : Config
        Without ``auto`` values.
    parts : Parts
        Of the training table.
    weighed : bool
        Whether the network has weight in the forecast.
    starts : bool
        Whether the run starts from trained weights.
    """
    if config.training.keep_branch or not has_branch(config):
        return None
    if not weighed:
        return "not trained: the panel has all the weight in the forecast"
    if config.training.max_steps == 0 and not starts:
        return "not trained: training.max_steps is 0"
    if cut_blocks(parts.validation, config.training.validation_windows) is None:
        warnings.warn(
            f"the branch is not trained, because it could not be judged: {FEW_BLOCKS}; provide a longer validation "
            "part (data.split), or set training.keep_branch to true",
            SWTTimeWarning,
            stacklevel=5,
        )
        return f"not trained, because it could not be judged: {FEW_BLOCKS}"
    return None


def judged(
    checkpoint: Checkpoint, model: "SWTTime | ClosedForm", parts: Parts, result: TrainingResult
) -> tuple[Checkpoint, "SWTTime | ClosedForm"]:
    """Judge the branch of a trained network; return the checkpoint and the network that are to be used.

    A network without a branch is returned as it is, and so is one that was judged before.
    """
    if isinstance(model, ClosedForm):
        return checkpoint, model
    from swt_time.training import reduce_model

    config = checkpoint.config
    gate = 0.0 if model.gate is None or model.has_quantiles else model.gate.item()
    if RECORD in checkpoint.provenance or not (
        has_branch(config) or gate
    ):  # a run of no steps may start from a trained branch
        return checkpoint, model
    reduced, test, earned = reduce_model(model, config), None, False
    if gate == 0:
        reason = "no validation was better with it, so its gate is zero"
    else:
        validations = sum(row.step > 0 for row in result.history)
        test = judge(model, reduced, parts.validation, config.training, validations)
        reason = f"it could not be judged: {FEW_BLOCKS}" if test is None else test.describe()
        earned = test is not None and test.earned
    record = None if test is None else test.record()
    if earned:
        return kept(checkpoint, reason, record), model
    if config.training.keep_branch:
        return kept(checkpoint, f"as asked although it did not earn its place: {reason}", record), model
    return left_out(checkpoint, reduced, config, reason, record), reduced
