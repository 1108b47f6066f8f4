"""A fitted forecaster of panels: forecasts, and its state as plain arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from swt_time.errors import CheckpointError
from swt_time.panel.candidates import CANDIDATES, COMBINATION, forecast_candidates, judge, judgeable, only
from swt_time.panel.combination import SHARPNESSES, relative_errors, weights_of_series
from swt_time.panel.history import describe
from swt_time.panel.origins import longest_history, make_origins, shortest_window
from swt_time.panel.pooled import Pooled
from swt_time.panel.rows import check_panel

SHORTEST_THETA = 4
"""Values from which on a series is forecast by the Theta method; shorter ones by seasonal naive or their last value."""

SERIES = 2_000
"""Series that are forecast at once, which bounds memory."""

LARGEST = 2**20
"""Largest season, horizon or number of windows of a fitted panel that is read; a day has 86,400 seconds."""

ARRAYS = (
    "season",
    "horizon",
    "chosen",
    "errors",
    "margin",
    "judged",
    "weights",
    "sharpness",
    "strengths",
    "cuts",
    "coefficients",
    "deviations",
)
"""Names of the arrays of a fitted panel."""


@dataclass(frozen=True)
class FittedPanel:
    """Forecaster of panels, as `fit_panel` returns it.

    Attributes
    ----------
    season, horizon : int
    chosen : str
        A name in `CANDIDATES`, or ``"combination"``.
    errors : dict of str to float
        Mean absolute error of each candidate and of the combination in the held-out windows, in units of the spread of
        each series (the geometric mean of its level and its mean change). Empty if no series was long enough.
    margin : float
        The simplest one whose error is within this part of the smallest is chosen.
    judged : int
        Number of held-out windows.
    weights : ndarray (C,)
        Weights of the candidates in the forecast.
    sharpness : float
        The weights of a series are multiplied by its own relative errors to the power of ``-sharpness``.
    strengths : tuple of float
        Chosen strengths of the pooled regression on the plain and on the log scale.
    maps : dict of int to tuple of Pooled
        Pooled regressions on the plain and on the log scale by cut: 0 for the forecast, the others for the held-out
        windows that decide on the weights of each series.
    """

    season: int
    horizon: int
    chosen: str
    errors: Mapping[str, float]
    margin: float
    judged: int
    weights: np.ndarray
    sharpness: float
    strengths: tuple[float, float]
    maps: Mapping[int, tuple[Pooled, Pooled]]

    def forecast(self, panel: Sequence[ArrayLike]) -> np.ndarray:
        """Forecast the values after the end of each series.

        Parameters
        ----------
        panel : sequence of array_like
            One-dimensional series of any length; NaN for unobserved values. They need not be those of the fit. Each is
            forecast by itself: the others do not matter.

        Returns
        -------
        ndarray (S, H)
            Not negative for series without negative values.

        Raises
        ------
        TableError
            A series cannot be forecast: no observed value, an infinite value, or more than one dimension.

        Notes
        -----
        Series with too few values for the pooled regression (``max(6, season + 2)``) are forecast by the Theta
        method, with fewer than four by seasonal naive, and with less than a season by their last value.
        """
        series = check_panel(panel)
        chunks = [series[start : start + SERIES] for start in range(0, len(series), SERIES)]
        return np.concatenate([self._forecast(chunk) for chunk in chunks])

    def _forecast(self, series: list[np.ndarray]) -> np.ndarray:
        cuts = sorted(self.maps) if self.sharpness else [0]
        origins = make_origins(series, cuts, self.season, self.horizon, longest_history(self.season))
        histories = describe(origins.histories, self.season, self.horizon)
        candidates = forecast_candidates(histories, origins, self.maps)
        weights = np.repeat(self.weights[:, None], len(series), axis=1)
        if self.sharpness:
            judged = judgeable(origins, cuts)
            errors = judge(candidates, histories, origins, judged)
            relative = relative_errors(errors, origins.series[judged], len(series))
            weights = weights_of_series(self.weights, relative, self.sharpness)
        now = origins.cut == 0
        short = histories.length[now]
        weights = np.where(short < shortest_window(self.season), only("theta")[:, None], weights)
        weights = np.where(short < SHORTEST_THETA, only("seasonal naive")[:, None], weights)
        scaled = np.einsum("cs,csh->sh", weights, candidates[:, now])
        limit = np.finfo(np.float64).max
        with np.errstate(over="ignore"):
            forecasts: np.ndarray = np.clip(np.ldexp(scaled, histories.exponent[now, None]), -limit, limit)
            return forecasts

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return everything as numeric arrays by name, from which `from_arrays` restores an equal forecaster.

        Examples
        --------
        >>> from swt_time.panel import fit_panel
        >>> fitted = fit_panel([[1.0, 2.0, 4.0, 3.0, 5.0, 4.0, 6.0]], season=1, horizon=2)
        >>> sorted(fitted.to_arrays())[:3]
        ['chosen', 'coefficients', 'cuts']
        """
        cuts = sorted(self.maps)
        return {
            "season": np.array(self.season),
            "horizon": np.array(self.horizon),
            "chosen": np.array((*CANDIDATES, COMBINATION).index(self.chosen)),
            "errors": np.array([self.errors.get(name, np.nan) for name in (*CANDIDATES, COMBINATION)]),
            "margin": np.array(self.margin),
            "judged": np.array(self.judged),
            "weights": self.weights,
            "sharpness": np.array(self.sharpness),
            "strengths": np.array(self.strengths),
            "cuts": np.array(cuts),
            "coefficients": np.array([[one.coefficients for one in self.maps[cut]] for cut in cuts]),
            "deviations": np.array([[one.deviation for one in self.maps[cut]] for cut in cuts]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> "FittedPanel":
        """Restore a forecaster from `to_arrays`.

        Raises
        ------
        CheckpointError
            An array is missing, has another shape than expected, or holds impossible values.
        """
        read = {}
        for name in ARRAYS:
            if name not in arrays:
                raise CheckpointError(f"the fitted panel has no array {name!r}; expected {', '.join(ARRAYS)}")
            try:
                read[name] = np.asarray(arrays[name], dtype=np.float64)
            except (TypeError, ValueError):
                raise CheckpointError(f"{name} of the fitted panel is not numeric") from None
        season, horizon = (whole_number(read, name, 1) for name in ("season", "horizon"))
        chosen, judged = (whole_number(read, name, 0) for name in ("chosen", "judged"))
        names = (*CANDIDATES, COMBINATION)
        features = describe([np.array([1.0, 2.0])], season, 1).plain.features.shape[2] + 1
        count = read["cuts"].size
        shapes = {
            "errors": (len(names),),
            "margin": (),
            "weights": (len(CANDIDATES),),
            "sharpness": (),
            "strengths": (2,),
            "cuts": (count,),
            "coefficients": (count, 2, horizon, features),
            "deviations": (count, 2, features),
        }
        for name, shape in shapes.items():
            if read[name].shape != shape:
                raise CheckpointError(f"{name} of the fitted panel has shape {read[name].shape}; expected {shape}")
            if name != "errors" and not np.isfinite(read[name]).all():
                raise CheckpointError(f"{name} of the fitted panel has values that are not finite")
        cuts = read["cuts"].astype(int)
        bad = (
            "chosen" if chosen >= len(names)
            else "weights" if (read["weights"] < 0).any() or abs(read["weights"].sum() - 1) > 1e-6
            else "sharpness" if not 0 <= read["sharpness"] <= max(SHARPNESSES)
            else "deviations" if (read["deviations"] <= 0).any()
            else "cuts" if 0 not in cuts or (cuts < 0).any() or (cuts != read["cuts"]).any()
            else None
        )  # fmt: skip
        if bad:
            raise CheckpointError(f"{bad} of the fitted panel is out of range; it is damaged: fit it again")
        maps = {
            int(cut): (Pooled(c[0], d[0]), Pooled(c[1], d[1]))
            for cut, c, d in zip(cuts, read["coefficients"], read["deviations"], strict=True)
        }
        errors = {name: float(e) for name, e in zip(names, read["errors"], strict=True) if not np.isnan(e)}
        return cls(
            season,
            horizon,
            names[chosen],
            errors,
            float(read["margin"]),
            judged,
            read["weights"],
            float(read["sharpness"]),
            (float(read["strengths"][0]), float(read["strengths"][1])),
            maps,
        )


def whole_number(read: Mapping[str, np.ndarray], name: str, least: int) -> int:
    """Return an integer of a fitted panel.

    Raises
    ------
    CheckpointError
    """
    value = read[name]
    if value.shape != () or not value >= least or value > LARGEST or value != np.floor(value):
        raise CheckpointError(f"{name} of the fitted panel is {value!r}; expected an integer of at least {least}")
    return int(value)
