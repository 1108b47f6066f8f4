"""A trained forecaster as it is used: its network, the panel beside it, and the scales of training."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from swt_time.checkpoints import (
    Checkpoint,
    check_output_folder,
    effects_of,
    locked,
    moved_backbone,
    read_checkpoint,
    updated,
    write_checkpoint,
)
from swt_time.config import DataConfig
from swt_time.config.choices import Short
from swt_time.data.columns import listed
from swt_time.data.frequency import season_length
from swt_time.data.origins import contexts_at, known_values
from swt_time.data.parts import PartWindows
from swt_time.data.scaling import OTHER_UNIT, Scaler, fit_scaler
from swt_time.data.series import SeriesTable, read_series
from swt_time.effects import Apart, Effects
from swt_time.errors import CheckpointError, SWTTimeError, SWTTimeWarning, TableError
from swt_time.evaluation.forecasting import quantile_spread
from swt_time.intervals import Calibration
from swt_time.machine import resolve_device
from swt_time.model.alone import ClosedForm
from swt_time.panel.ladder import ladder
from swt_time.processes import writes
from swt_time.selection import Blend

if TYPE_CHECKING:
    from swt_time.model import SWTTime

NEVER_CHANGED = "never_changed"
"""In place of how intervals were made: all values before forecasts with known errors repeat the season before."""


def why_no_intervals(provenance: Mapping[str, Any]) -> str:
    """Why a checkpoint has no intervals, from its provenance."""
    if provenance.get("intervals") == NEVER_CHANGED:
        return "each value of the rows that it was not fitted to repeats the one a season before"
    return "there were no rows that it was not fitted to"


def describe_intervals(provenance: Mapping[str, Any]) -> str:
    """Describe in one line how the intervals of a checkpoint were made, from its provenance."""
    made = provenance.get("intervals")
    if not isinstance(made, Mapping):
        return f"intervals: the model has none, since {why_no_intervals(provenance)}"
    return (
        f"intervals: from the errors of {made.get('origins')} forecasts {made.get('residuals')} "
        f"({made.get('origins_without_overlap')} without overlap); steps {made.get('steps')}, scale "
        f"{made.get('scale')}; the widest level is {made.get('widest_level')} %"
    )


def read_noted(table: Any, data: DataConfig, future: Any = None, static: Any = None) -> SeriesTable:
    """Read a table, with a warning for each note on it."""
    series = read_series(table, data, future, static)
    for note in series.notes:
        warnings.warn(note, SWTTimeWarning, stacklevel=4)
    return series


@dataclass(frozen=True)
class Trained:
    """A checkpoint with its network, and with the panel that was chosen beside it, if any.

    Shapes: ``M`` forecast origins, ``T`` context, ``H`` horizon.

    Attributes
    ----------
    checkpoint : Checkpoint
    network : SWTTime or ClosedForm
        A closed form alone on the CPU is replaced by its map.
    device : str
        Device of the layers.
    """

    checkpoint: Checkpoint
    network: "SWTTime | ClosedForm"
    device: str = "auto"
    blend: Blend | None = field(init=False)
    calibration: Calibration | None = field(init=False)
    effects: Effects | None = field(init=False)
    _apart: list[Apart] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        alone = self.checkpoint.closed_form
        if alone is not None and self.device in ("auto", "cpu"):  # also after a run that solved it in layers
            object.__setattr__(self, "network", alone)
        blend, horizon = Blend.from_arrays(self.checkpoint.weights), self.checkpoint.config.data.horizon
        if blend is not None and blend.panel.horizon != horizon:
            raise CheckpointError(f"the panel forecasts {blend.panel.horizon} steps, the configuration says {horizon}")
        calibration = self.checkpoint.calibration
        if calibration is not None and calibration.horizon != horizon:
            raise CheckpointError(
                f"the intervals have {calibration.horizon} steps, the configuration says {horizon}: train it again"
            )
        object.__setattr__(self, "blend", blend)
        object.__setattr__(self, "effects", effects_of(self.checkpoint))
        windows = None if self.effects is None else self.effects.windows
        if windows is not None and windows.beta.shape[1] != horizon:
            raise CheckpointError(
                f"the effects change {windows.beta.shape[1]} steps, the configuration says {horizon}: train it again"
            )
        object.__setattr__(self, "calibration", calibration)
        if calibration is not None and calibration.own and not self.has_spread:
            raise CheckpointError("the intervals need quantiles of the network, which it does not have: train it again")

    @classmethod
    def build(cls, checkpoint: Checkpoint, device: str, *, allow_backbone_change: bool = False) -> "Trained":
        """Make the network of a checkpoint; see `swt_time.checkpoints.Checkpoint.build`."""
        alone = checkpoint.closed_form
        if alone is not None and device in ("auto", "cpu"):
            return cls(checkpoint, alone, device)
        model = checkpoint.build(allow_backbone_change=allow_backbone_change)
        return cls(checkpoint, model.to(resolve_device(device)), device)

    @classmethod
    def load(
        cls,
        folder: Path,
        backbone: str | Path | None = None,
        device: str = "auto",
        *,
        allow_backbone_change: bool = False,
        short: str | None = None,
    ) -> "Trained":
        """Load a checkpoint and build its network; see `swt_time.Forecaster.load`."""
        checkpoint = moved_backbone(read_checkpoint(folder), backbone)
        if short is not None:
            checkpoint = replace(checkpoint, config=checkpoint.config.replace({"data.short": short}))
        return cls.build(checkpoint, device, allow_backbone_change=allow_backbone_change)

    def save(self, folder: Path, overwrite: bool) -> None:
        """Write the checkpoint, in the first process; see `swt_time.Forecaster.save`."""
        if not writes():
            return
        check_output_folder(folder, overwrite)
        with locked(folder):
            write_checkpoint(folder, self.checkpoint)

    @cached_property
    def model(self) -> "SWTTime":
        """The network as layers of PyTorch; those of a closed form alone are built when they are first asked for."""
        if isinstance(self.network, ClosedForm):
            return self.checkpoint.build().to(resolve_device(self.device))
        return self.network

    @property
    def context(self) -> int:
        """``T``."""
        return self.checkpoint.config.data.steps

    @property
    def short(self) -> Short:
        """What happens to series with fewer rows than the context."""
        return self.checkpoint.config.short

    @property
    def closed_form(self) -> Mapping[str, Any] | None:
        """The form and the errors of the closed form, as it was solved; None if it was not."""
        form = self.checkpoint.provenance.get("training", {}).get("closed_form")
        return form if isinstance(form, Mapping) else None

    @property
    def is_closed_form(self) -> bool:
        """Whether the forecast depends on no weights that were trained by gradients."""
        if isinstance(self.network, ClosedForm) or (self.blend is not None and self.blend.weight == 0):
            return True
        return self.model.is_closed_form

    def describe_intervals(self) -> str:
        """Describe in one line how the intervals were made."""
        return describe_intervals(self.checkpoint.provenance)

    @property
    def least_rows(self) -> int:
        """Rows that a series must have to be forecast: the context, or one where shorter ones are not left out."""
        return self.context if self.short == "skip" else 1

    def read(self, table: Any, data: DataConfig, future: Any = None, static: Any = None) -> SeriesTable:
        """Read a table with the columns of the training table.

        Raises
        ------
        TableError
            Columns that the model was trained on are missing.
        """
        known = self.checkpoint.trained_on
        if data.columns is None and data.target is None and known.layout == "wide":
            data = data.model_copy(update={"columns": tuple(known.ids)})
        series = read_noted(table, data, future, static)
        if known.frequency is not None and series.frequency != known.frequency:
            note = (
                f"the table's frequency is {series.frequency}, the model was trained on {known.frequency}; the "
                "forecast has the frequency of the table"
            )
            warnings.warn(note, SWTTimeWarning, stacklevel=4)
        return series

    def apart(self, series: SeriesTable) -> Apart | None:
        """Return a table without the effects of covariates; None if nothing has an effect.

        The last one is remembered.
        """
        if self.effects is None or self.effects.idle:
            return None
        found = self._apart[0] if self._apart else None
        if found is None or found.table is not series:
            for note in self.effects.notes_on(series):
                warnings.warn(note, SWTTimeWarning, stacklevel=4)
            found = self.effects.apart(series)
            self._apart[:] = [found]  # another thread may replace it, so it is not looked at again
        return found

    def updated(self, series: SeriesTable) -> "Trained":
        """Take new rows into the closed form, see `swt_time.checkpoints.updating`; layers are changed in place."""
        apart = self.apart(series)
        checkpoint = updated(self.checkpoint, series if apart is None else apart.rest)
        if not isinstance(self.network, ClosedForm):
            checkpoint.load_into(self.network)
        return Trained(checkpoint, self.network, self.device)

    def forecast_origins(self, series: SeriesTable, pairs: np.ndarray, steps: int | None = None) -> np.ndarray:
        """Forecast (series index, known rows) pairs: (M, H) float64, in the units of the series.

        Covariates must be known for so many ``steps``, by default the horizon; later steps may be without effects.

        Raises
        ------
        TableError
            A series is too short, or has a value too far from the training rows.
        SWTTimeError
            A forecast is not finite.
        """
        apart = self.apart(series)
        if apart is not None:
            return apart.restore(pairs, self._forecast(apart.rest, pairs), steps)
        return self._forecast(series, pairs)

    def _forecast(self, series: SeriesTable, pairs: np.ndarray) -> np.ndarray:
        """Forecasts of series without effects."""
        short = pairs[pairs[:, 1] < self.least_rows]
        if len(short):
            index, rows = short[0]
            raise TableError(
                f"series {series.ids[index]!r} has {rows} rows, the model needs at least {self.least_rows} (its "
                "context) to forecast; provide more history"
            )
        network, horizon = None, self.checkpoint.config.data.horizon
        by_network = (pairs[:, 1] >= self.context) | (self.short == "pad")
        if self.blend is None or self.blend.weight > 0:
            network = np.full((len(pairs), horizon), np.nan)
            network[by_network] = self._network(series, pairs[by_network])
        if self.blend is not None:
            forecast = self.blend.combine(network, known_values(series, pairs))
        else:
            assert network is not None
            forecast = network
            if not by_network.all():
                panel = ladder(season_length(series.frequency), horizon)
                forecast[~by_network] = panel.forecast(known_values(series, pairs[~by_network]))
        odd = ~np.isfinite(forecast).all(axis=1)
        if odd.any():
            raise SWTTimeError(
                f"the forecast of series {series.ids[pairs[np.argmax(odd), 0]]!r} is not finite: the model's weights "
                "are out of range; train it again with a lower training.learning_rate"
            )
        return forecast

    @property
    def has_spread(self) -> bool:
        """Whether every forecast comes from a network that was trained to quantiles."""
        return not self.is_closed_form and self.model.has_quantiles and self.short != "naive"

    def spreads(self, series: SeriesTable, pairs: np.ndarray) -> np.ndarray | None:
        """Return the distances from the median to the first and to the last decile of the network.

        They have the shape (2, M, H), float64, in the units of the series; None if the intervals are not relative to
        them. The network is run once more.
        """
        relative = self.calibration is not None and self.calibration.own
        return self.spreads_of_network(series, pairs) if relative else None

    def spreads_of_network(self, series: SeriesTable, pairs: np.ndarray) -> np.ndarray | None:
        """As `spreads`, whatever the intervals are; None without `has_spread`."""
        if not self.has_spread:
            return None
        apart, factor = self.apart(series), np.ones((len(pairs), 1))
        if apart is not None:
            series, factor = apart.rest, apart.ahead(pairs, self.checkpoint.config.data.horizon, 0)[1]
        scaler, _ = self._scaler(series, pairs)
        contexts = contexts_at(series, pairs, self.context, scaler)
        spread: np.ndarray = quantile_spread(self.model, contexts) * scaler.std[pairs[:, 0], None] * factor
        return spread

    def spread_windows(self, contexts: np.ndarray) -> np.ndarray | None:
        """See `swt_time.evaluation.forecasting.SpreadForecaster`."""
        return quantile_spread(self.model, contexts) if self.has_spread else None

    def forecast_part(self, part: PartWindows, indices: np.ndarray) -> np.ndarray:
        """Forecast windows of a part of a table: (B, H), scaled as the part is."""
        if self.blend is None and self.apart(part.table) is None:
            return self.forecast_windows(part.contexts(indices))
        pairs = part.windows.pairs(indices) + np.array([0, part.windows.context])
        return part.scaler.apply_to_windows(self.forecast_origins(part.table, pairs), pairs[:, 0])

    def forecast_windows(self, contexts: np.ndarray) -> np.ndarray:
        """Forecast scaled windows by the network alone: contexts (M, T) to forecasts (M, H)."""
        if isinstance(self.network, ClosedForm):
            return self.network.forecast_windows(contexts)
        from swt_time.model.inference import forecast_windows

        return forecast_windows(self.model, contexts)

    def _network(self, series: SeriesTable, pairs: np.ndarray) -> np.ndarray:
        if len(pairs) == 0:
            return np.empty((0, self.checkpoint.config.data.horizon))
        scaler, other = self._scaler(series, pairs)
        if other:
            warnings.warn(
                f"the scale of {listed(other)} differs from that of training by a factor of more than "
                f"{OTHER_UNIT:g} (another unit?); forecast by the series' own scale",
                SWTTimeWarning,
                stacklevel=3,
            )
        scaled = self.forecast_windows(contexts_at(series, pairs, self.context, scaler))
        return scaler.invert(scaled, pairs[:, 0])

    def _scaler(self, series: SeriesTable, pairs: np.ndarray) -> tuple[Scaler, list[str]]:
        """Return the scale of training, and the series in another unit.

        Of these, and of new series, the scale is that of the rows before their cutoff.
        """
        known = self.checkpoint.trained_on
        rows = series.lengths.copy()
        np.minimum.at(rows, pairs[:, 0], pairs[:, 1])
        own = fit_scaler(series.values, rows.tolist(), series.observed)
        scales = dict(zip(known.ids, zip(known.mean, known.deviation, strict=True), strict=True))
        return own.prefer(scales, series.ids, [series.context(i, n, n) for i, n in enumerate(rows.tolist())])
