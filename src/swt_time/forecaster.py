"""The public API: a table in, a forecast out.

>>> forecaster = Forecaster(horizon=24, context=336, max_steps=200).fit(table)
>>> forecast = forecaster.predict(table)
"""

import contextlib
import hashlib
import platform
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from pydantic import BaseModel, TypeAdapter, ValidationError

from swt_time.backbones import BackboneIdentity, find_backbone, resolve_precision
from swt_time.checkpoint import (
    Checkpoint,
    TrainedOn,
    check_output_folder,
    holds_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from swt_time.config import Config, dotted_keys, nearest_names
from swt_time.data.forecasts import cross_validation_frame, forecast_frame
from swt_time.data.parts import Parts, refuse_far, split_table
from swt_time.data.scaling import fit_scaler
from swt_time.data.series import SeriesTable, to_series
from swt_time.data.windows import plan_split, rolling_origins
from swt_time.errors import (
    BackboneError,
    CheckpointError,
    ConfigError,
    SWTTimeError,
    SWTTimeWarning,
    TableError,
)
from swt_time.locking import locked
from swt_time.model import SWTTime, build_model
from swt_time.presets import read_preset
from swt_time.provenance import package_versions, source_commit
from swt_time.training import Event, TrainingResult, Validation, resolve_device, train
from swt_time.training_state import SavedRun, TrainingState, discard_run, read_run, write_run

INFERENCE_BATCH = 64


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
        self._start(base.replace({**given, **_dotted(options)}))

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
        if resume and out is None:
            raise ConfigError("a run is resumed in its folder: pass out as well")
        config = self.config
        series = self._read(table)
        data = config.data
        plan_split(series.lengths, data.split, data.context, data.horizon)
        parts = split_table(series, data.split, data.context, data.horizon, train_fraction=data.train_fraction)
        folder = None if out is None else Path(out)
        with contextlib.nullcontext() if folder is None else locked(folder):
            self._fit(parts, self._provenance(series), folder, resume, report)
        return self

    def _fit(
        self,
        parts: Parts,
        provenance: Mapping[str, Any],
        folder: Path | None,
        resume: bool,
        report: Callable[[Event], None],
    ) -> None:
        config, sha256 = self.config, str(provenance["data_sha256"])
        saved = None
        if folder is not None and resume:
            saved = read_run(folder)
            if saved is not None:
                self._check_same(saved.config, saved.data_sha256, sha256, folder)
            elif self._resume_ended(folder, sha256):
                return
            else:
                _note(f"no training state has been completed in {folder} yet: the run starts afresh")
        device = resolve_device(config.training.device)
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(config.training.seed)
            model = build_model(config, start=saved is None).to(device)
            backbone = model.language_model.identity if model.language_model else None
            if saved is not None and saved.backbone != backbone:
                raise CheckpointError(
                    f"the run in {folder} was begun on the backbone {_named(saved.backbone)}, here is "
                    f"{_named(backbone)}; provide the same one, or start anew with --overwrite"
                )
            if folder is not None and saved is None:
                discard_run(folder)

            def keep(result: TrainingResult) -> None:
                self._checkpoint = _make_checkpoint(config, model, parts, provenance, result)
                if folder is not None:
                    going_on = result.ended in ("running", "interrupted")
                    write_checkpoint(folder, self._checkpoint, unfinished=going_on)

            def keep_state(state: TrainingState) -> None:
                if folder is not None:
                    write_run(folder, SavedRun(config, sha256, backbone, state))

            self.result = train(
                model,
                parts.train,
                parts.validation,
                config.training,
                resume=None if saved is None else saved.state,
                report=report,
                save_best=keep,
                save_state=keep_state,
            )
        self._model = model
        keep(self.result)

    def _resume_ended(self, folder: Path, data_sha256: str) -> bool:
        """Load what a run that has ended left in a folder; False where there is no such thing."""
        if not holds_checkpoint(folder):
            return False
        checkpoint = read_checkpoint(folder)
        self._check_same(checkpoint.config, str(checkpoint.provenance.get("data_sha256")), data_sha256, folder)
        result = _result_of(checkpoint, folder)
        if result.ended in ("running", "interrupted"):
            return False
        self._checkpoint, self._model = checkpoint, checkpoint.build().to(resolve_device(self.config.training.device))
        self.result = result
        discard_run(folder)  # what is left of it where the run was killed while it removed it
        _note(f"the run in {folder} has ended ({result.ended} after {result.steps} steps): nothing to resume")
        return True

    def _check_same(self, config: Config, its_sha256: str, data_sha256: str, folder: Path) -> None:
        """Refuse to go on with a run of another configuration or table."""
        differences = config.differences(self.config)
        if differences:
            raise CheckpointError(
                f"the run in {folder} was begun with {', '.join(differences)}; repeat its options, or start anew with "
                "--overwrite"
            )
        if its_sha256 != data_sha256:
            raise CheckpointError(
                f"the run in {folder} was begun on another table (its series have the hash {its_sha256[:12]}, those of "
                f"this one {data_sha256[:12]}); give the same one, or start anew with --overwrite"
            )

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
        device = next(p for p in model.parameters() if p.requires_grad).device
        parts = []
        with torch.no_grad():
            for begin in range(0, len(contexts), INFERENCE_BATCH):
                batch = torch.from_numpy(np.ascontiguousarray(contexts[begin : begin + INFERENCE_BATCH], np.float32))
                parts.append(model(batch.to(device).unsqueeze(-1)).squeeze(-1).cpu().numpy())
        return np.concatenate(parts) if parts else np.empty((0, self.config.data.horizon), np.float32)

    def read_series(self, table: Any) -> SeriesTable:
        """Read a table for a trained model, and check that it holds what the model knows.

        Raises
        ------
        TableError
            Columns that the model was trained on are missing.
        """
        checkpoint, _ = self._trained()
        known = checkpoint.trained_on
        data = self.config.data
        chosen = data.columns is not None or data.target is not None
        series = self._read(table, columns=tuple(known.ids) if known.layout == "wide" and not chosen else None)
        if known.frequency is not None and series.frequency != known.frequency:
            warnings.warn(
                f"the table's frequency is {series.frequency}, the model was trained on {known.frequency}: its "
                "forecast counts steps of the table",
                SWTTimeWarning,
                stacklevel=3,
            )
        return series

    def _forecast_origins(self, series: SeriesTable, pairs: np.ndarray) -> np.ndarray:
        """Forecast from (series, rows known) pairs, in the series' own units: (M, H) float64."""
        context = self.config.data.context
        short = pairs[pairs[:, 1] < context]
        if len(short):
            number, rows = short[0]
            raise TableError(
                f"series {series.ids[number]!r} has {rows} rows, the model needs at least {context} (its context) to "
                "forecast; provide more history"
            )
        mean, deviation = self._scales(series, pairs)
        with np.errstate(over="ignore"):
            contexts = np.stack(
                [(series.values[i][origin - context : origin] - mean[i]) / deviation[i] for i, origin in pairs]
            )
        for (number, origin), values in zip(pairs, contexts, strict=True):
            refuse_far(series, number, values, origin - context)
        scaled = self.forecast_windows(contexts.astype(np.float32)).astype(np.float64)
        forecast = scaled * deviation[pairs[:, 0], None] + mean[pairs[:, 0], None]
        odd = ~np.isfinite(forecast).all(axis=1)
        if odd.any():
            raise SWTTimeError(
                f"the forecast of series {series.ids[pairs[np.argmax(odd), 0]]!r} is not finite: the model's weights "
                "are out of range; train it again with a lower training.learning_rate"
            )
        return forecast

    def _scales(self, series: SeriesTable, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of each series: as in training, or of the rows before its first cutoff where it is new."""
        checkpoint, _ = self._trained()
        known = checkpoint.trained_on
        scale = dict(zip(known.ids, zip(known.mean, known.deviation, strict=True), strict=True))
        first = series.lengths.copy()
        np.minimum.at(first, pairs[:, 0], pairs[:, 1])
        own = fit_scaler(series.values, first.tolist())
        found = [scale.get(name, (own.mean[i], own.std[i])) for i, name in enumerate(series.ids)]
        both = np.array(found, dtype=np.float64).reshape(-1, 2)
        return both[:, 0], both[:, 1]

    def _read(self, table: Any, columns: tuple[str, ...] | None = None) -> SeriesTable:
        data = self.config.data
        series = to_series(
            table,
            id_column=data.id_column,
            time_column=data.time_column,
            target=data.target,
            columns=data.columns or columns,
            frequency=data.frequency,
            fill=data.fill,
        )
        for note in series.notes:
            warnings.warn(note, SWTTimeWarning, stacklevel=3)
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


def _make_checkpoint(
    config: Config, model: SWTTime, parts: Parts, provenance: Mapping[str, Any], result: TrainingResult
) -> Checkpoint:
    table = parts.table
    trained_on = TrainedOn(
        table.layout, table.frequency, list(table.ids), parts.scaler.mean.tolist(), parts.scaler.std.tolist()
    )
    outcome = {
        "steps": result.steps,
        "best_step": result.best_step,
        "best_validation_loss": result.best_loss,
        "ended": result.ended,
        "seconds": round(result.seconds, 3),
    }
    language_model = model.language_model
    return Checkpoint(
        config,
        {name: tensor.clone() for name, tensor in model.trained_state().items()},
        trained_on,
        language_model.identity if language_model else None,
        {**provenance, "training": outcome},
        [asdict(row) for row in result.history],
    )


def _result_of(checkpoint: Checkpoint, folder: Path) -> TrainingResult:
    """How the training went that made a checkpoint."""
    rows = [{name: value or None for name, value in row.items()} for row in checkpoint.history]
    try:
        training = checkpoint.provenance["training"]
        return TrainingResult(
            training["steps"],
            training["best_step"],
            training["best_validation_loss"],
            training["ended"],
            training["seconds"],
            TypeAdapter(list[Validation]).validate_python(rows),
        )
    except (KeyError, TypeError, ValidationError):
        raise CheckpointError(
            f"the checkpoint {folder} does not say how it was trained, so there is nothing to resume; start anew with "
            "--overwrite"
        ) from None


def _named(backbone: BackboneIdentity | None) -> str:
    return "none" if backbone is None else f"{backbone.name!r} with weights {backbone.sha256[:12]}"


def _note(message: str) -> None:
    warnings.warn(message, SWTTimeWarning, stacklevel=4)


def _dotted(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by bare name or as section dictionaries, as dotted configuration keys."""
    keys = dotted_keys(Config)
    found: dict[str, Any] = {}
    for name, value in options.items():
        section = Config.model_fields.get(name)
        if section is not None:
            values = value.model_dump() if isinstance(value, BaseModel) else dict(value)
            found |= {f"{name}.{key}": v for key, v in values.items()}
            continue
        matches = [key for key in keys if key.partition(".")[2] == name]
        if len(matches) > 1:
            places = " or ".join(f"{key.partition('.')[0]}={{{name!r}: ...}}" for key in matches)
            raise ConfigError(f"option {name!r} occurs in several sections; write {places}")
        if not matches:
            near = nearest_names(name, [key.partition(".")[2] for key in keys])
            raise ConfigError(f"unknown option {name!r}{'; did you mean ' + ' or '.join(near) + '?' if near else ''}")
        found[matches[0]] = value
    return found


def series_sha256(series: SeriesTable) -> str:
    """Hash of ids, stamps and values of a table, whatever file or frame they came from."""
    digest = hashlib.sha256()
    for name, values, times in zip(series.ids, series.values, series.times, strict=True):
        digest.update(f"{name}\0{len(values)}\0".encode())
        digest.update(np.ascontiguousarray(times.asi8).data)
        digest.update(np.ascontiguousarray(values, np.float64).data)
    return digest.hexdigest()


def machine_facts() -> dict[str, str]:
    """What this machine computes with: device, precision of the frozen model, threads, and where MiniLM is."""
    try:
        minilm = str(find_backbone("minilm"))
    except BackboneError as error:
        minilm = f"not available: {error}"
    return {
        "device": str(resolve_device("auto")),
        "precision": str(resolve_precision("auto")).removeprefix("torch."),
        "threads": str(torch.get_num_threads()),
        "minilm": minilm,
    }
