"""The public API: a table in, a forecast out.

>>> forecaster = Forecaster(horizon=24, context=336, max_steps=200).fit(table)
>>> forecast = forecaster.predict(table)
"""

import platform
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from swt_time.checkpoints import (
    Checkpoint,
    check_output_folder,
    fit_in_folder,
    locked,
    make_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from swt_time.config import Config, read_preset, resolve_names
from swt_time.data.forecasts import cross_validation_frame, forecast_frame
from swt_time.data.parts import refuse_far, split_table
from swt_time.data.scaling import Scaler, fit_scaler
from swt_time.data.series import SeriesTable, read_series, series_sha256
from swt_time.data.windows import plan_split, rolling_origins
from swt_time.errors import CheckpointError, ConfigError, SWTTimeError, SWTTimeWarning, TableError
from swt_time.machine import resolve_device
from swt_time.model import SWTTime
from swt_time.model.inference import forecast_windows
from swt_time.provenance import package_versions, source_commit
from swt_time.training import Event, TrainingResult, fit_model


class Forecaster:
    """Forecast time series with a frozen language model.

    Parameters
    ----------
    horizon, context : int
        Steps to forecast (default 96), and steps the model sees (default 512).
    backbone : str
        ``minilm`` (default), a local folder or a hub id of a LLaMA, GPT-2 or BERT family model, or a twin without a
        language model (``none``, ``attention``, ``transformer``).
    max_steps : int, optional
        Training steps; by default ``epochs`` (10) times over the table.
    seed : int
        Decides initial weights, order of windows and dropout; default 0.
    preset : str, optional
        A shipped configuration (``fast``, ``paper``, ``best``) in place of the defaults; what is given beside it wins.
    **options
        Any other key of the configuration, by its name (``wavelet="haar"``) or, where a name occurs in several
        sections, by its section (``model={"dropout": 0.3}``).

    Attributes
    ----------
    config : Config
    result : TrainingResult or None
        How training went.

    Raises
    ------
    ConfigError
        Unknown option (with the nearest names) or a value out of range.
    """

    def __init__(
        self,
        horizon: int | None = None,
        context: int | None = None,
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
        given = {key: value for key, value in named.items() if value is not None}
        base = Config.parse({} if preset is None else read_preset(preset))
        self._start(base.replace({**given, **resolve_names(Config, options)}))

    def _start(self, config: Config) -> None:
        self.config = config
        self.result: TrainingResult | None = None
        self._checkpoint: Checkpoint | None = None
        self._model: SWTTime | None = None

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """A forecaster for a whole configuration."""
        forecaster = cls.__new__(cls)
        forecaster._start(config)
        return forecaster

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "auto", allow_backbone_change: bool = False) -> Self:
        """Read a forecaster that was saved; needs the folder and the backbone.

        Parameters
        ----------
        folder : path
        device : str
        allow_backbone_change : bool
            Where the backbone is not the one the model was trained on, warn instead of refusing it.

        Raises
        ------
        CheckpointError
            No checkpoint, an incomplete or damaged one, or another backbone than it was trained on.
        """
        checkpoint = read_checkpoint(Path(folder))
        forecaster = cls.from_config(checkpoint.config)
        forecaster._checkpoint = checkpoint
        model = checkpoint.build(allow_backbone_change=allow_backbone_change)
        forecaster._model = model.to(resolve_device(device))
        return forecaster

    @property
    def model(self) -> SWTTime:
        """The trained network.

        Raises
        ------
        CheckpointError
            It is not trained yet.
        """
        return self._trained()[1]

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the trained model as a checkpoint folder.

        Raises
        ------
        CheckpointError
            The folder exists and is not to be overwritten, or another process is writing there.
        SaveError
            The operating system refused something; a former checkpoint in the folder is whole.
        """
        checkpoint, _ = self._trained()
        check_output_folder(Path(folder), overwrite)
        with locked(Path(folder)):
            write_checkpoint(Path(folder), checkpoint)

    def fit(
        self,
        table: Any,
        *,
        out: str | Path | None = None,
        resume: bool = False,
        report: Callable[[Event], None] = lambda event: None,
    ) -> Self:
        """Train on a table.

        Parameters
        ----------
        table : DataFrame
            Pandas or polars; long (``unique_id, ds, y``) or wide (a date column and numeric columns).
        out : path, optional
            Folder in which the best weights so far are kept while training runs, and the state of the run, from
            which it can be resumed until it has ended. A checkpoint that is there is replaced.
        resume : bool
            Go on with the run that was stopped in ``out``, by the same configuration on the same table; the result is
            that of a run that was not stopped. Where there is no such run yet, begin one; where it has ended, load
            what it made. Each of these two is told by a warning.
        report : callable
            Told of the plan, of each step and of each validation.

        Returns
        -------
        Forecaster
            Itself, with the weights that were best on validation.

        Raises
        ------
        CheckpointError
            Another process is writing to the folder; or what is to be resumed is damaged, or of another
            configuration (the message names the keys), table or backbone.
        SaveError
            The operating system refused to save something; what was saved before is whole.
        """
        return self.fit_series(self._read(table), out=out, resume=resume, report=report)

    def fit_series(
        self,
        series: SeriesTable,
        *,
        out: str | Path | None = None,
        resume: bool = False,
        report: Callable[[Event], None] = lambda event: None,
    ) -> Self:
        """Train on a table that was read before; otherwise as `fit`."""
        if resume and out is None:
            raise ConfigError("a run is resumed in its folder: pass out as well")
        config, data = self.config, self.config.data
        plan_split(series.lengths, data.split, data.context, data.horizon)
        parts = split_table(series, data.split, data.context, data.horizon, train_fraction=data.train_fraction)
        provenance = self._provenance(series)
        if out is None:
            model, result = fit_model(config, parts, report=report)
            checkpoint = make_checkpoint(config, model, parts, provenance, result)
        else:
            with locked(Path(out)):
                model, checkpoint, result = fit_in_folder(
                    config, parts, provenance, Path(out), resume=resume, report=report
                )
        self._model, self._checkpoint, self.result = model, checkpoint, result
        return self

    def predict(self, table: Any) -> Any:
        """Forecast the ``horizon`` steps after the end of every series of a table.

        Parameters
        ----------
        table : DataFrame
            The training table, a longer, shorter (at least ``context`` rows a series) or newer one, or, if long,
            one with other series.

        Returns
        -------
        DataFrame
            Of the kind given: ``unique_id, ds, yhat``, ``horizon`` rows a series.
        """
        series = self.read_series(table)
        return forecast_frame(series, self.predict_series(series), table)

    def predict_series(self, series: SeriesTable) -> np.ndarray:
        """Forecast the steps after the end of each series, in its own units: (N, H) float64."""
        return self._forecast_origins(series, np.stack([np.arange(len(series.ids)), series.lengths], axis=1))

    def cross_validation(self, table: Any, *, windows: int = 3, step: int | None = None) -> Any:
        """Forecast from several cutoffs inside a table (rolling origin), without training again.

        Parameters
        ----------
        table : DataFrame
        windows : int
            Cutoffs a series; the last one lies ``horizon`` rows before the end.
        step : int, optional
            Rows between cutoffs; by default the horizon.

        Returns
        -------
        DataFrame
            Of the kind given: ``unique_id, ds, cutoff, y, yhat``.
        """
        series = self.read_series(table)
        data = self.config.data
        origins = [
            np.stack(
                np.broadcast_arrays(i, rolling_origins(int(n), data.horizon, windows, step, data.context)),
                axis=1,
            )
            for i, n in enumerate(series.lengths)
        ]
        pairs = np.concatenate(origins)
        return cross_validation_frame(series, pairs, self._forecast_origins(series, pairs), table)

    def forecast_windows(self, contexts: np.ndarray) -> np.ndarray:
        """Forecast scaled windows: contexts (M, T) to forecasts (M, H), float32."""
        _, model = self._trained()
        return forecast_windows(model, contexts)

    def read_series(self, table: Any, **reading: Any) -> SeriesTable:
        """Read a table for a trained model, and check that it holds what the model knows.

        Parameters
        ----------
        table : DataFrame
        **reading
            Keys of the section ``data`` that say how this table is read (``target``, ``columns``, ``time_column``,
            ``id_column``, ``frequency``, ``fill``), where it is to be read otherwise than the training table.

        Raises
        ------
        TableError
            Columns that the model was trained on are missing.
        """
        checkpoint, _ = self._trained()
        known = checkpoint.trained_on
        data = self.config.replace({f"data.{key}": value for key, value in reading.items()}).data
        if data.columns is None and data.target is None and known.layout == "wide":
            data = data.model_copy(update={"columns": tuple(known.ids)})
        series = read_series(table, data)
        _warn(series.notes)
        if known.frequency is not None and series.frequency != known.frequency:
            _warn(
                [
                    f"the table's frequency is {series.frequency}, the model was trained on {known.frequency}: its "
                    "forecast counts steps of the table"
                ]
            )
        return series

    def _forecast_origins(self, series: SeriesTable, pairs: np.ndarray) -> np.ndarray:
        """Forecast from (series, rows known) pairs, in the series' own units: (M, H) float64."""
        context = self.config.data.context
        short = pairs[pairs[:, 1] < context]
        if len(short):
            index, rows = short[0]
            raise TableError(
                f"series {series.ids[index]!r} has {rows} rows, the model needs at least {context} (its context) to "
                "forecast; provide more history"
            )
        scaler = self._scaler(series, pairs)
        raw = np.stack([series.values[i][origin - context : origin] for i, origin in pairs])
        contexts = scaler.apply_to_windows(raw, pairs[:, 0])
        for (index, origin), values in zip(pairs, contexts, strict=True):
            refuse_far(series, index, values, origin - context)
        scaled = self.forecast_windows(contexts.astype(np.float32))
        forecast = scaler.invert(scaled, pairs[:, 0])
        odd = ~np.isfinite(forecast).all(axis=1)
        if odd.any():
            raise SWTTimeError(
                f"the forecast of series {series.ids[pairs[np.argmax(odd), 0]]!r} is not finite: the model's weights "
                "are out of range; train it again with a lower training.learning_rate"
            )
        return forecast

    def _scaler(self, series: SeriesTable, pairs: np.ndarray) -> Scaler:
        """Each series' scale: as in training, or of the rows before its first cutoff where it is new."""
        checkpoint, _ = self._trained()
        known = checkpoint.trained_on
        scale = dict(zip(known.ids, zip(known.mean, known.deviation, strict=True), strict=True))
        first = series.lengths.copy()
        np.minimum.at(first, pairs[:, 0], pairs[:, 1])
        own = fit_scaler(series.values, first.tolist())
        found = [scale.get(name, (own.mean[i], own.std[i])) for i, name in enumerate(series.ids)]
        mean, std = np.array(found, dtype=np.float64).reshape(-1, 2).T
        return Scaler(mean, std)

    def _read(self, table: Any) -> SeriesTable:
        series = read_series(table, self.config.data)
        _warn(series.notes)
        return series

    def _trained(self) -> tuple[Checkpoint, SWTTime]:
        if self._checkpoint is None or self._model is None:
            raise CheckpointError("this forecaster is not trained yet; call fit(table) or Forecaster.load(folder)")
        return self._checkpoint, self._model

    def _provenance(self, series: SeriesTable) -> dict[str, Any]:
        return {
            "versions": package_versions(),
            "commit": source_commit(),
            "seed": self.config.training.seed,
            "data_sha256": series_sha256(series),
            "rows": int(series.lengths.sum()),
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
        }


def _warn(notes: Iterable[str]) -> None:
    for note in notes:
        warnings.warn(note, SWTTimeWarning, stacklevel=4)
