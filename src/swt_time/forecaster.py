"""The public API: ``Forecaster(horizon=24).fit(table).predict(table)``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

import numpy as np

from swt_time.callbacks import Callback
from swt_time.checkpoints import Start
from swt_time.config import Config, asked_config
from swt_time.data.forecasts import forecast_frame
from swt_time.data.origins import ends
from swt_time.data.parts import PartWindows
from swt_time.data.series import SeriesTable
from swt_time.errors import CheckpointError
from swt_time.evaluation.backtesting import backtest, cross_validate
from swt_time.evaluation.fitting import FitOptions, fit_table
from swt_time.evaluation.short_series import forecastable
from swt_time.evaluation.told import from_ends, tell, tell_again
from swt_time.evaluation.trained import Trained, read_noted
from swt_time.evaluation.uncertainty import LEVELS, Uncertainty
from swt_time.files import expand_user
from swt_time.hub import OnHub, find_checkpoint
from swt_time.selection import Choice
from swt_time.training import Event, TrainingResult, raise_as_usual

if TYPE_CHECKING:
    from swt_time.model import SWTTime


class Forecaster(OnHub):
    """Forecast time series with a frozen language model.

    Parameters
    ----------
    horizon : int
        Steps to forecast; default 96.
    context : int or "auto"
        Steps the model sees; ``auto`` chooses them on held-out blocks of the table.
    backbone : str
        ``minilm`` (default, once an option of the model is given), a local folder or a hub id of a LLaMA, GPT-2 or BERT
        family model, or a stand-in without a language model (``none``, ``attention``, ``transformer``).
    max_steps : int, optional
        Training steps; by default ``epochs`` (10) passes over the table.
    seed : int
        Seed of initial weights, order of windows and dropout; default 0.
    preset : str, optional
        A shipped configuration (``auto``, ``panel``, ``fast``, ``paper``, ``best``) to start from; other arguments
        override it. Without it and without any option but ``seed`` and those of the table (section ``data``) it is
        ``auto``: no language model, everything chosen on held-out blocks.
    **options
        Any other key of the configuration, by its name (``wavelet="haar"``) or, where a name occurs in several
        sections, by its section (``model={"dropout": 0.3}``).

    Attributes
    ----------
    config : Config
        After ``fit`` with the values that were chosen in place of ``auto``.
    result : TrainingResult or None
        Steps, losses and reason for the end of training.
    choice : Choice or None
        What ``fit`` chose on held-out blocks, if the configuration leaves something open.

    Raises
    ------
    ConfigError
        Unknown option (with the nearest names) or a value out of range.
    """

    def __init__(
        self,
        horizon: int | None = None,
        context: int | Literal["auto"] | None = None,
        backbone: str | None = None,
        max_steps: int | None = None,
        seed: int | None = None,
        *,
        preset: str | None = None,
        **options: Any,
    ):
        named = {
            "data.horizon": horizon,
            "data.context": context,
            "backbone.name": backbone,
            "training.max_steps": max_steps,
            "training.seed": seed,
        }
        self._start(asked_config(named, options, preset))

    def _start(self, config: Config) -> None:
        self.config = self._asked = config
        self.result: TrainingResult | None = None
        self.choice: Choice | None = None
        self._found: Trained | None = None

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Return a forecaster for a whole configuration."""
        forecaster = cls.__new__(cls)
        forecaster._start(config)  # noqa: SLF001  an alternative constructor
        return forecaster

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        backbone: str | Path | None = None,
        device: str = "auto",
        allow_backbone_change: bool = False,
        short: str | None = None,
    ) -> Self:
        """Load a saved forecaster from its folder, or where there is none from the hub (see `from_pretrained`).

        Parameters
        ----------
        folder : path, or str ``owner/name``
        backbone : str or path, optional
            Folder or hub id of the backbone, and of the reader of notes, if it is no longer where it was in training.
        device : str
        allow_backbone_change : bool
            If the backbone's weights are not those that the model was trained with, warn instead of raising an error.
        short : {"skip", "naive", "pad"}, optional
            What happens to series that are shorter than the context, in place of ``data.short`` of the model.

        Raises
        ------
        CheckpointError, HubError
            There is none, it is incomplete or damaged, the backbone is not the recorded one, or the hub refuses.
        """
        place = find_checkpoint(folder)
        trained = Trained.load(place, backbone, device, allow_backbone_change=allow_backbone_change, short=short)
        forecaster = cls.from_config(trained.checkpoint.config)
        forecaster._found = trained  # noqa: SLF001  an alternative constructor
        return forecaster

    @property
    def model(self) -> "SWTTime":
        """The trained network; a CheckpointError before training."""
        return self.trained.model

    @property
    def trained(self) -> Trained:
        """The trained network with its scales, and the panel beside it; a CheckpointError before training."""
        if self._found is None:
            raise CheckpointError("this forecaster is not trained yet; call fit(table) or Forecaster.load(folder)")
        return self._found

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the trained model as a checkpoint folder.

        Raises
        ------
        CheckpointError
            The folder exists and ``overwrite`` is False, or another process is writing to it.
        SaveError
            The operating system refused to write a file; a checkpoint that was in the folder is intact.
        """
        self.trained.save(expand_user(folder, CheckpointError), overwrite)

    def fit(
        self,
        table: Any,
        *,
        static: Any = None,
        notes: Any = None,
        out: str | Path | None = None,
        resume: bool = False,
        start: str | Path | Start | None = None,
        report: Callable[[Event], None] = lambda event: None,
        callbacks: Sequence[Callback] = (),
    ) -> Self:
        """Train on a table.

        Parameters
        ----------
        table : DataFrame
            Pandas or polars; long (``unique_id, ds, y``) or wide (a date column and numeric columns).
        static : DataFrame, optional
            A row for each series: its id and the columns of ``data.static``, by default all; used if they gain.
        notes : DataFrame, optional
            What is known in words about times: ``ds, text``; see `swt_time.data.notes.read_notes`. Used if it gains.
        out : path, optional
            Folder to which the best weights so far and the state of the run are saved during training, so that it can
            be resumed until it has ended. An existing checkpoint is replaced, another folder that is not empty refused.
        resume : bool
            Resume the run that was stopped in ``out``, with the same configuration and table, to the same result. If
            there is no such run yet, start one; if it has ended, load its result; both cases give a warning.
        start : path, optional
            Checkpoint folder whose trained weights a new run starts from; see `swt_time.checkpoints.start`.
        report : callable
            Called with each event of the run: the plan, every step, every validation. What it raises stops the run.
        callbacks : sequence of Callback
            Told when training begins, at each validation, and how it ended; see `swt_time.callbacks`.

        Returns
        -------
        Forecaster
            ``self``, with the weights of the lowest validation loss.

        Raises
        ------
        CheckpointError
            The folder is not a checkpoint, or in use by another process; or the run to resume is damaged, or was
            started with another configuration (the message names the keys), table or backbone.
        SaveError
            The operating system refused to write a file; the files that were saved before are intact.
        KeyboardInterrupt, SystemExit
            Ctrl-C or SIGTERM, after the current step and after the best weights and the state were saved in ``out``.
        """
        series = tell(read_noted(table, self._asked.data, static=static), notes, self._asked)
        return self.fit_series(series, out=out, resume=resume, start=start, report=report, callbacks=callbacks)

    def fit_series(self, series: SeriesTable, **how: Unpack[FitOptions]) -> Self:
        """Train on a table that was read before; otherwise as `fit`."""
        found = fit_table(series, self._asked, **how)
        self.config, self._found, self.result, self.choice = found.config, found.trained, found.result, found.choice
        if found.result.ended == "interrupted":
            raise_as_usual(found.result.signal)
        return self

    def update(self, table: Any) -> Self:
        """Take new rows into a closed form that was fitted with ``keep_sums``, as if it had been fitted on all rows.

        Parameters
        ----------
        table : DataFrame
            The new rows, and the last ``context + horizon - 1`` rows before them; see `swt_time.checkpoints.updating`.

        Raises
        ------
        CheckpointError
            The model does not hold the sums of its closed form.
        TableError
            No row is new, or rows before the new ones are missing.
        """
        return self.update_series(self.read_series(table))

    def update_series(self, series: SeriesTable) -> Self:
        """Take in rows that were read before; otherwise as `update`."""
        self._found = self.trained.updated(series)
        return self

    def predict(
        self,
        table: Any,
        *,
        notes: Any = None,
        levels: Sequence[float] | None = LEVELS,
        quantiles: Sequence[float] | None = None,
        samples: int = 0,
        strict: bool = False,
        future: Any = None,
        static: Any = None,
    ) -> Any:
        """Forecast the ``horizon`` steps after the end of every series of a table.

        Parameters
        ----------
        table : DataFrame
            The training table, or a longer, shorter or newer one; a long table may hold other series. What happens to
            series with fewer than ``context`` rows is said by ``data.short``.
        notes : DataFrame, optional
            As in `fit`, on any times.
        levels, quantiles, samples
            Intervals, quantiles and sample paths, see `swt_time.evaluation.uncertainty.Uncertainty`.
        strict : bool
            Whether a series that is too short to forecast is an error. By default it is left out, with a warning.
        future : DataFrame, optional
            Rows after the table, with ids, times and the columns of ``data.known``; they may also stand in ``table``.
        static : DataFrame, optional
            As in `fit`, for series that the training did not have.

        Returns
        -------
        DataFrame
            Of the same kind as ``table``: ids and time under the names of the table (``unique_id`` and ``ds`` where
            it has none), and ``yhat``; ``horizon`` rows for each series. Then ``yhat-lo-80``, ``yhat-hi-80`` for each
            level, ``0.1`` for each quantile, and ``yhat-sample-1`` for each path.
        """
        asked = Uncertainty(levels or (), quantiles or (), samples)
        series = self.forecastable(from_ends(self.read_series(table, future, notes, static)), strict=strict)
        yhat = self.predict_series(series)
        return forecast_frame(series, yhat, table, asked.columns(self.trained, series, ends(series), yhat))

    def forecastable(self, series: SeriesTable, *, strict: bool = False) -> SeriesTable:
        """Select the series that are long enough for ``data.short``; the others are left out with a warning.

        Raises
        ------
        TableError
            No series is long enough, or ``strict`` and one is not.
        """
        return forecastable(self.trained, series, strict=strict)

    def predict_series(self, series: SeriesTable) -> np.ndarray:
        """Forecast the steps after the end of each series: (N, H) float64, in the units of the series."""
        return self.trained.forecast_origins(series, ends(series))

    def cross_validation(
        self,
        table: Any,
        *,
        notes: Any = None,
        windows: int = 3,
        step: int | None = None,
        levels: Sequence[float] | None = None,
        quantiles: Sequence[float] | None = None,
        strict: bool = False,
    ) -> Any:
        """Forecast from several cutoffs inside a table (rolling origin), without retraining.

        Parameters
        ----------
        table, notes : DataFrame
        windows : int
            Number of cutoffs for each series; the last one lies ``horizon`` rows before the end.
        step : int, optional
            Rows between cutoffs; by default the horizon.
        levels, quantiles
            As in `predict`.
        strict : bool
            Whether a series that is too short for all cutoffs is an error, not left out with a warning.

        Returns
        -------
        DataFrame
            As of `predict`, with ``cutoff`` and the true values under the name of the target (``y`` for a wide table),
            NaN where nothing was observed.
        """
        asked, series = Uncertainty(levels or (), quantiles or ()), self.read_series(table, notes=notes)
        return cross_validate(self.trained, series, windows, step, strict=strict, asked=asked).frame(table)

    def backtest(
        self,
        table: Any,
        *,
        static: Any = None,
        notes: Any = None,
        windows: int = 3,
        step: int | None = None,
        refit: bool = False,
        levels: Sequence[float] | None = None,
        quantiles: Sequence[float] | None = None,
    ) -> Any:
        """Forecast from several cutoffs inside a table (rolling origin) by models that are fitted on the rows before.

        This forecaster stays as it is; only its configuration is used. Series that are too short give a warning.

        Parameters
        ----------
        table, static, notes, windows, step, levels, quantiles
            As in `fit` and `cross_validation`.
        refit : bool
            Whether a model is fitted before every cutoff, on all rows before it. By default one is, before the first.

        Returns
        -------
        DataFrame
            As of `cross_validation`.
        """
        asked = Uncertainty(levels or (), quantiles or ())
        series = tell(self.read_series(table, static=static), notes, self._asked)
        horizon, fit = self._asked.data.horizon, self.from_config(self._asked).fit_series
        folds = backtest(lambda known: fit(known).trained, series, horizon, windows, step, refit=refit, asked=asked)
        return folds.frame(table)

    def forecast_windows(self, contexts: np.ndarray) -> np.ndarray:
        """Forecast scaled windows: contexts (M, T) to forecasts (M, H), float32."""
        return self.trained.forecast_windows(contexts)

    def forecast_part(self, part: PartWindows, indices: np.ndarray) -> np.ndarray:
        """Forecast windows of a part of a table: (B, H), scaled as the part is."""
        return self.trained.forecast_part(part, indices)

    def read_series(
        self, table: Any, future: Any = None, notes: Any = None, static: Any = None, **reading: Any
    ) -> SeriesTable:
        """Read a table, and what is known beside it, otherwise as `predict`; once trained with the same columns.

        Parameters
        ----------
        **reading
            Keys of the section ``data`` (``target``, ``columns``, ``time_column``, ``id_column``, ``frequency``,
            ``fill``, ``date_format``) that differ from those of the training table.

        Raises
        ------
        TableError
            Columns that the model was trained on are missing, or a note cannot be read.
        """
        data = self.config.replace({f"data.{key}": value for key, value in reading.items()}).data
        if self._found is None:
            return tell(read_noted(table, data, future, static), notes, self._asked)
        return tell_again(self._found.read(table, data, future, static), notes, self._found.effects)
