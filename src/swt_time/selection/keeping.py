"""Decide on held-out blocks whether a trained branch is kept beside the linear forecast.

The rule, with the errors of the forecast with and without the branch on the same windows of the validation part:

- The validation part of each series is cut into equal contiguous blocks, up to `MOST_BLOCKS` and each at least a
  horizon long. Only windows whose targets all lie in one block are used, so blocks share no target. With fewer than
  `FEWEST_BLOCKS` such blocks, the blocks are groups of whole series, if there are `MANY_SERIES`. Else nothing is known.
- The branch is kept if the mean gain over the blocks is at least `MARGIN` of the error without the branch, and
  larger than zero by a one-sided paired t-test at `LEVEL`, with the p-value multiplied by the number of validations.

Notes
-----
Training keeps the weights of the validation with the lowest loss on the same rows, so that the gain of the branch that
is judged is the best of several. The factor (of Bonferroni) allows for it: the probability that any of ``K`` branches
without gain passes is at most ``K`` times that of one. So training can use the whole validation part, and a branch
that is kept forecasts as if it had not been judged. Neighbouring blocks still share contexts, and groups of series
share their time; the test takes them as independent.
"""

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from swt_time.config import TrainingConfig
from swt_time.data.parts import PartWindows
from swt_time.data.windows import evenly

if TYPE_CHECKING:
    from torch import nn

MOST_BLOCKS = 16
"""Most blocks. More would be shorter, and their errors less independent of each other."""

FEWEST_BLOCKS = 4
"""Fewest blocks."""

MANY_SERIES = 4 * MOST_BLOCKS
"""Fewest series whose groups are blocks. Few series may be columns that all rise and fall together."""

MARGIN = 0.01
"""Smallest gain, as a share of the error without the branch."""

LEVEL = 0.05
"""Largest p-value."""

IN_TIME, OF_SERIES = "held-out blocks", "groups of held-out series"


@dataclass(frozen=True)
class Blocks:
    """Windows of a part, divided into blocks.

    Attributes
    ----------
    indices, block : (M,) int arrays
        Windows of the part, and the block of each.
    kind : str
        `IN_TIME` or `OF_SERIES`.
    """

    indices: np.ndarray
    block: np.ndarray
    kind: str


@dataclass(frozen=True)
class Judgement:
    """The errors of a forecast with and without its branch on held-out blocks, and whether the branch earns its place.

    Attributes
    ----------
    blocks : int
    kind : str
        `IN_TIME` or `OF_SERIES`.
    windows : int
    without, with_branch : float
        Mean over the blocks of the training loss for each observed point of scaled data.
    gain, standard_error : float
        Mean gain and its standard error, as shares of the error without the branch.
    validations : int
        Validations among which the weights were chosen.
    p : float
        p-value of the gain, multiplied by ``validations``, at most 1.
    """

    blocks: int
    kind: str
    windows: int
    without: float
    with_branch: float
    gain: float
    standard_error: float
    validations: int
    p: float

    @property
    def earned(self) -> bool:
        """Whether the branch is kept by the rule."""
        return self.gain >= MARGIN and self.p <= LEVEL

    def record(self) -> dict[str, Any]:
        """Return all values and the verdict, for the provenance."""
        return {**asdict(self), "margin": MARGIN, "level": LEVEL, "earned": self.earned}

    def describe(self) -> str:
        """Describe the test in one line."""
        return (
            f"error {self.without:.4f} without and {self.with_branch:.4f} with it on {self.blocks} {self.kind} of the "
            f"validation part, a gain of {self.gain:+.1%} with a standard error of {self.standard_error:.1%}; p = "
            f"{self.p:.2g} for the best of {self.validations} validations (kept from a gain of {MARGIN:.0%} with p up "
            f"to {LEVEL:g})"
        )


def cut_blocks(part: PartWindows, most: int) -> Blocks | None:
    """Divide a part into blocks and choose at most ``most`` windows, evenly spread; at least one for each block.

    Parameters
    ----------
    part : PartWindows
    most : int

    Returns
    -------
    Blocks or None
        None if there are too few blocks.
    """
    counts, horizon = part.windows.counts, part.windows.horizon
    used = np.flatnonzero(counts)
    if not len(used):
        return None
    rows = np.where(counts > 0, counts + horizon - 1, 0)
    blocks = min(MOST_BLOCKS, int(rows.max()) // horizon)
    if blocks >= FEWEST_BLOCKS:
        length = int(rows.max()) // blocks
        block, series = np.nonzero(rows // length > np.arange(blocks)[:, None])
        # counted back from the end of the part; in a block there are length - horizon + 1 windows
        first, room = rows[series] - (block + 1) * length, np.full(len(series), length - horizon)
        kind = IN_TIME
    elif len(used) >= MANY_SERIES:
        series, first, room = used, np.zeros(len(used), dtype=np.int64), counts[used] - 1
        block = np.arange(len(used)) * MOST_BLOCKS // len(used)
        kind = OF_SERIES
    else:
        return None
    if len(series) > most:
        few = max(most // (int(block[-1]) + 1), 1)  # of each block
        chosen = np.concatenate([np.flatnonzero(block == b)[evenly(n, few)] for b, n in enumerate(np.bincount(block))])
        block, series, first, room = block[chosen], series[chosen], first[chosen], room[chosen]
    each = max(most // len(series), 1)
    places = np.linspace(first, first + room, each).round().astype(np.int64) if each > 1 else first[None]
    starts = (np.cumsum(counts) - counts)[series]
    found, where = np.unique((starts + places).T.ravel(), return_index=True)
    return Blocks(found, np.repeat(block, each)[where], kind)


def judge(
    model: "nn.Module", reduced: "nn.Module", part: PartWindows, config: TrainingConfig, validations: int
) -> Judgement | None:
    """Compare a network with the same network without its branch on blocks of the validation part.

    Parameters
    ----------
    model, reduced : Module
    part : PartWindows
        The validation part.
    config : TrainingConfig
        Names the loss and the number of windows.
    validations : int
        Validations among which the weights were chosen.

    Returns
    -------
    Judgement or None
        None if there are too few blocks.
    """
    import torch

    from swt_time.model.inference import forecast_windows
    from swt_time.training.optimising import Objective

    cut = cut_blocks(part, config.validation_windows)
    if cut is None:
        return None
    loss, errors = Objective(config.loss), []
    for block in np.unique(cut.block).tolist():
        indices = cut.indices[cut.block == block]
        contexts, targets = part.contexts(indices), torch.from_numpy(part.gather_exactly(indices)[1])
        points = int((~targets.isnan()).sum())
        if points:
            forecasts = (torch.from_numpy(forecast_windows(one, contexts)) for one in (reduced, model))
            errors.append([loss.error(one, targets).item() / points for one in forecasts])
    if len(errors) < FEWEST_BLOCKS:
        return None
    return compare(np.array(errors), cut.kind, len(cut.indices), validations)


def compare(errors: np.ndarray, kind: str, windows: int, validations: int) -> Judgement:
    """Judge from the errors (G, 2) of each block, without and with the branch."""
    without, with_branch = errors.mean(axis=0).tolist()
    gains = errors[:, 0] - errors[:, 1]
    gain, spread = float(gains.mean()), float(gains.std(ddof=1)) / math.sqrt(len(gains))
    p = student_tail(gain / spread, len(gains) - 1) if spread > 0 else float(gain <= 0)
    looks, unit = max(validations, 1), without or 1.0
    return Judgement(
        len(gains), kind, windows, without, with_branch, gain / unit, spread / unit, looks, min(looks * p, 1.0)
    )


def student_tail(t: float, freedom: int) -> float:
    """Return the probability that Student's t with whole degrees of freedom is larger than ``t``.

    Source: Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.3 and 26.7.4.

    Examples
    --------
    >>> round(student_tail(2.353363, 3), 6), round(student_tail(2.602480, 15), 6)
    (0.05, 0.01)
    """
    angle = math.atan(abs(t) / math.sqrt(freedom))
    odd, term, total = freedom % 2, 1.0, 0.0
    if odd:
        term = math.cos(angle)
    for k in range(1, freedom // 2 + 1):
        total += term
        term *= math.cos(angle) ** 2 * ((2 * k) / (2 * k + 1) if odd else (2 * k - 1) / (2 * k))
    within = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    tail = max(1 - within, 0.0) / 2
    return tail if t >= 0 else 1 - tail
