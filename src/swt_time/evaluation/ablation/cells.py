"""Cells of an experiment: one configuration, trained on one dataset and scored on one dataset."""

import json
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from swt_time.config import Config, DataConfig
from swt_time.config.identity import config_hash, config_of, options_of
from swt_time.data.parts import split_table
from swt_time.data.reading import read_table
from swt_time.data.series import SeriesTable, read_series, series_sha256
from swt_time.data.splits import filled_parts
from swt_time.data.windows import plan_split
from swt_time.errors import ConfigError, SWTTimeError
from swt_time.evaluation.ablation.results import OURS, UNTRAINED, Row, is_deterministic
from swt_time.evaluation.baselines import PEER, fit_baseline
from swt_time.evaluation.calibrating import calibrate_windows
from swt_time.evaluation.forecasting import TrainedModel, WindowForecaster
from swt_time.evaluation.interval_scores import IntervalScores
from swt_time.evaluation.scoring import score
from swt_time.machine import peak_memory, reset_peak_memory, resolve_device
from swt_time.provenance import package_versions, source_commit
from swt_time.training import fit_model

PACKAGES = ("torch", "transformers", "numpy", "pandas", "PyWavelets")


@dataclass(frozen=True)
class Dataset:
    """A table by name, with the hash and the lengths of its series."""

    name: str
    path: Path
    sha256: str
    lengths: tuple[int, ...]


@dataclass(frozen=True)
class Cell:
    """One run to make: a model, its configuration and its datasets.

    Attributes
    ----------
    model : str
        ``swt-time`` or the name of a baseline.
    preset, variant : str
        Labels; the configuration alone decides what is computed.
    config : Config
        Horizon and seed included.
    dataset, trained_on : Dataset
        The dataset that is scored and the one that is trained on; two different ones in a zero-shot run.
    """

    model: str
    preset: str
    variant: str
    config: Config
    dataset: Dataset
    trained_on: Dataset

    @property
    def key(self) -> tuple[str, ...]:
        """Equal for two cells that compute the same result, whatever their labels and the commit of the code."""
        return self.model, self.hash, self.dataset.sha256, self.trained_on.sha256

    @property
    def hash(self) -> str:
        """Hash of the configuration; for a baseline, of the part that the baseline reads."""
        return config_hash(_read_by(self.model, self.config))

    @property
    def deterministic(self) -> bool:
        """Whether every seed gives the same result; see `is_deterministic`."""
        return is_deterministic(self.model, self.config.training.max_steps)

    @property
    def data_sha256(self) -> str:
        """Hash of the scored dataset, followed by ``from`` and the hash of the one trained on if that is another."""
        zero_shot = self.dataset != self.trained_on
        return self.dataset.sha256 + (f" from {self.trained_on.sha256}" if zero_shot else "")

    def describe(self) -> str:
        """Return dataset, horizon, variant or baseline, and seed in a few words."""
        data = self.config.data
        on = "" if self.dataset == self.trained_on else f" from {self.trained_on.name}"
        what = self.variant if self.model == OURS else self.model
        return f"{self.dataset.name}{on} {data.horizon}, {what}, seed {self.config.training.seed}"


def finished(rows: Iterable[Row]) -> dict[tuple[str, ...], Row]:
    """Return the row of each finished cell by `Cell.key`: the latest one with a test score, else the latest one."""
    found: dict[tuple[str, ...], Row] = {}
    for row in rows:
        former = found.get(row.key)
        if former is None or row.mse is not None or former.mse is None:
            found[row.key] = row
    return found


def make_cells(
    variants: Mapping[str, Config],
    datasets: Sequence[Dataset],
    *,
    horizons: Sequence[int],
    seeds: Sequence[int],
    preset: str = "",
    baselines: Sequence[str] = (),
    trained_on: Dataset | None = None,
) -> list[Cell]:
    """Return every cell of an experiment, each only once.

    All variants of a seed come before the next seed, so that the first rows can be compared already. A cell whose
    result does not depend on the seed (`Cell.deterministic`) is made for the first seed only.

    Raises
    ------
    ConfigError
        A variant asks for covariates, of which an ablation has no effects.
    """
    for name, config in variants.items():
        if config.data.has_covariates:
            raise ConfigError(
                f"variant {name!r} sets data.known, data.calendar or data.holidays; an ablation compares networks on "
                "the series alone, so leave them out"
            )
    cells: list[Cell] = []
    for dataset in datasets:
        for horizon in horizons:
            for seed in seeds:
                changes = {"data.horizon": horizon, "training.seed": seed}
                for name, config in variants.items():
                    config = config.replace(changes)
                    cells.append(Cell(OURS, preset, name, config, dataset, trained_on or dataset))
                base = next(iter(variants.values())).replace(changes)
                for baseline in baselines:
                    cells.append(Cell(baseline, "", baseline, base, dataset, trained_on or dataset))
    first: dict[tuple[str, ...], Cell] = {}
    for cell in cells:
        if cell.config.training.seed == seeds[0] or not cell.deterministic:
            first.setdefault(cell.key, cell)
    return list(first.values())


def check_windows(cells: Iterable[Cell]) -> None:
    """Raise if a dataset of these cells has no test part or is too short for its windows.

    Raises
    ------
    TableError, ConfigError
    """
    for data, dataset in {(cell.config.data, dataset) for cell in cells for dataset in (cell.dataset, cell.trained_on)}:
        if "test" not in filled_parts(data.split):
            raise ConfigError(
                f"data.split {data.split!r} has no test part; set it to a split with one, such as 0.7/0.1/0.2"
            )
        plan_split(dataset.lengths, data.split, data.steps, data.horizon)


def open_dataset(name: str, path: Path, data: DataConfig) -> Dataset:
    """Read a table to verify that it can be read, and return its hash and lengths."""
    series = _read(path, data)
    return Dataset(name, path, series_sha256(series)[:12], tuple(series.lengths.tolist()))


def run_cell(work: tuple[Cell, bool]) -> Row:
    """Train a cell, and score every validation window and, if the second value is True, every test window.

    The training chooses the weights on validation windows; the test part is read once, afterwards.
    """
    cell, with_test = work
    config, data = cell.config, cell.config.data
    series = _read(cell.trained_on.path, data)
    target = series if cell.dataset == cell.trained_on else _read(cell.dataset.path, data)
    parts = split_table(target, data.split, data.steps, data.horizon)
    device = resolve_device(config.training.device)
    reset_peak_memory(device)
    began = time.monotonic()
    ours = cell.model == OURS
    pad = ours and config.short == "pad"
    own = split_table(series, data.split, data.steps, data.horizon, train_fraction=data.train_fraction, pad=pad)
    forecaster: WindowForecaster
    if ours:
        forecaster = TrainedModel(*fit_model(config, own))
    else:
        forecaster = fit_baseline(cell.model, own, series, config)
    result = getattr(forecaster, "result", None)
    if result is not None and result.ended == "interrupted":
        raise SWTTimeError("interrupted")
    trained = time.monotonic()
    validation = score(forecaster, parts.validation) if len(parts.validation) else None
    test = None
    if with_test:
        calibration = calibrate_windows(forecaster, own, config.training.validation_windows)
        test = score(forecaster, parts.test, calibration=calibration)
    scored, peak = time.monotonic(), peak_memory(device)
    best = None if result is None else next((row for row in result.history if row.step == result.best_step), None)
    return Row(
        dataset=cell.dataset.name,
        trained_on=cell.trained_on.name,
        horizon=data.horizon,
        context=data.steps,
        split=data.split,
        model=cell.model,
        preset=cell.preset,
        variant=cell.variant,
        backbone=_backbone(config) if ours else "",
        embedding=_embedding(config) if ours else "",
        seed=config.training.seed,
        train_fraction=data.train_fraction,
        steps=None if result is None else result.steps,
        best_step=None if result is None else result.best_step,
        ended="" if result is None else result.ended,
        validation_mse=None if validation is None else validation.mse,
        mse=None if test is None else test.mse,
        mae=None if test is None else test.mae,
        windows=None if test is None else test.windows,
        **_interval_columns(None if test is None else test.intervals),
        gate=None if best is None else best.gate,
        seconds=trained - began,
        score_seconds=scored - trained,
        peak_mb=None if peak is None else round(peak / 2**20),
        device=str(device),
        machine=_machine(device),
        threads=torch.get_num_threads(),
        config_hash=cell.hash,
        data_sha256=cell.data_sha256,
        commit=source_commit() or "installed package",
        versions=" ".join(f"{name}={version}" for name, version in package_versions(PACKAGES).items()),
        finished=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        options=json.dumps(options_of(_read_by(cell.model, config))),
    )


def _interval_columns(scores: IntervalScores | None) -> dict[str, float]:
    """Columns of intervals and quantiles; none of those for which the residuals are too few."""
    if scores is None:
        return {}
    found = {"crps": scores.scaled["crps"], "weighted_quantile_loss": scores.weighted_quantile_loss}
    for i, level in enumerate(scores.levels):
        own = {"coverage": scores.coverage, "interval_score": scores.scaled["interval_score"], "msis": scores.msis}
        found |= {f"{name}_{level:g}": values[i] for name, values in own.items()}
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}


def _read_by(model: str, config: Config) -> Config:
    """Return the configuration with every option that a baseline does not read set to the reference."""
    if model in (OURS, PEER):
        return config
    kept = {key: value for key, value in options_of(config).items() if key.startswith(("data.", "training."))}
    if model in UNTRAINED and config.training.max_steps == 0:  # which only a closed form allows
        del kept["training.max_steps"]
    return config_of(kept)


@lru_cache(maxsize=4)
def _read_file(
    path: Path, id_column: str | tuple[str, ...] | None, encoding: str | None, memory_limit: int | None
) -> Any:
    return read_table(path, id_column=id_column, encoding=encoding, memory_limit=memory_limit)


def _read(path: Path, data: DataConfig) -> SeriesTable:
    """Read the series of a table; a worker process reads each file once."""
    return read_series(_read_file(path, data.id_column, data.encoding, data.memory_limit), data)


def _backbone(config: Config) -> str:
    backbone = config.backbone
    layers = f" {backbone.layers} layers" if backbone.layers else ""
    tuned = "" if backbone.tune == "none" else f" {backbone.tune} tuned"
    return f"{Path(backbone.name).name}{layers}{' random' if backbone.random_init else ''}{tuned}"


def _embedding(config: Config) -> str:
    embedding = config.embedding
    if embedding.kind == "wavelet":
        return f"wavelet {embedding.wavelet} {embedding.level} {embedding.boundary}"
    return f"patch {embedding.receptive_field}"


def _machine(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.system()} {platform.machine()}"
