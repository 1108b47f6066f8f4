"""A series above its wavelet bands."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from swt_time.pictures.style import FORECAST, INK, OTHER, drawing

if TYPE_CHECKING:
    from swt_time.evaluation.bands import Bands


def plot_bands(
    bands: "Bands",
    times: np.ndarray,
    values: np.ndarray,
    path: Path,
    *,
    title: str,
    weights: Sequence[float] | None = None,
) -> None:
    """Draw a series above its wavelet bands, on one time axis.

    Parameters
    ----------
    bands : Bands
    times : (T,) datetime64 array
    values : (T,) array
        The series in its own units.
    path : Path
    title : str
    weights : K floats, optional
        Band weights of a trained model, shown in the title of each band.

    Raises
    ------
    MissingDependencyError, InputError
        As `swt_time.pictures.plot_forecasts`.
    """
    rows = len(bands.names) + 1
    with drawing(path, 10, 1 + 1.5 * rows, rows, shared=True) as (_, axes):
        axes[0].plot(times, values, color=INK, lw=1.0)
        axes[0].set_title(title)
        for k, (name, axis) in enumerate(zip(bands.names, axes[1:], strict=True)):
            axis.plot(times, bands.coefficients[k], color=FORECAST if k == 0 else OTHER, lw=0.9)
            weight = "" if weights is None else f"   weight {weights[k]:.3f}"
            axis.set_title(f"${name}$   {bands.share[k]:.1%} of the energy{weight}", fontsize=9, parse_math=True)
        axes[-1].set_xlabel(f"the bands add up to the series within {bands.error:.1e} standard deviations", fontsize=9)
