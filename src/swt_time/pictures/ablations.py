"""Paired differences of an ablation."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from swt_time.errors import InputError
from swt_time.pictures.style import FORECAST, OTHER, SOFT, drawing

if TYPE_CHECKING:
    from swt_time.evaluation.ablation import Difference

VERDICTS = {"better": (OTHER, "v"), "worse": (FORECAST, "^")}
"""Colour and marker of a difference that is certain."""


def plot_differences(found: "Sequence[Difference]", path: Path) -> None:
    """Draw the paired difference of each contender from the base with its 95 % interval, sorted.

    Raises
    ------
    MissingDependencyError, InputError
        As `swt_time.pictures.plot_forecasts`; nothing to compare with the base.
    """
    shown = sorted((one for one in found if one.difference is not None), key=lambda one: -(one.difference or 0.0))
    if not shown:
        raise InputError("there is no difference to draw: no variant shares a seed with the base")
    with drawing(path, 9, 1.4 + 0.3 * len(shown)) as (figure, axes):
        axis, labelled = axes[0], set()
        for row, one in enumerate(shown):
            colour, marker = VERDICTS.get(one.verdict, (SOFT, "o"))
            name = one.verdict if one.verdict in VERDICTS else "not certain"
            label = "" if name in labelled else name
            labelled.add(name)
            axis.errorbar(
                one.difference, row, xerr=one.half_width, fmt=marker, ms=5, color=colour, capsize=3, lw=1.2, label=label
            )
        axis.axvline(0, color=SOFT, lw=0.8)
        axis.grid(axis="y", visible=False)
        axis.set_yticks(range(len(shown)), [one.contender for one in shown], fontsize=8)
        axis.set_xlabel("MSE less the base's, paired by seed, with 95 % t-interval", fontsize=9)
        figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=6)
