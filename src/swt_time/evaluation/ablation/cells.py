"""A cell of an experiment: one configuration, trained on one table, scored on one table."""

import json
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from swt_time.config import Config, DataConfig
from swt_time.config.identity import config_hash, config_of, options_of
from swt_time.data.parts import split_table
from swt_time.data.reading import read_table
from swt_time.data.series import SeriesTable, read_series, series_sha256
from swt_time.data.windows import filled_parts, plan_split
from swt_time.errors import ConfigError, SWTTimeError
from swt_time.evaluation.baselines import BASELINES, PEER, fit_baseline
from swt_time.evaluation.forecasting import TrainedModel, WindowForecaster
from swt_time.evaluation.scoring import score
from swt_time.machine import peak_memory, reset_peak_memory, resolve_device
from swt_time.provenance import package_versions, source_commit
from swt_time.training import fit_model

OURS = "swt-time"
PACKAGES = ("torch", "transformers", "numpy", "pandas", "PyWavelets")

UNTRAINED = frozenset({"seasonal-naive", "last-value"})
"""Baselines that learn nothing, so that one seed tells all."""


@dataclass(frozen=True)
class Table:
    """A table by name, with the hash and the lengths of its series."""

    name: str
    path: Path
    sha256: str
    lengths: tuple[int, ...]


@dataclass(frozen=True)
class Cell:
    """One run: what is trained, on what, with which seed and horizon, and what it is called.

    Attributes
    ----------
    model : str
        ``swt-time`` or a baseline.
    preset, variant : str
        Labels; the configuration alone decides what is computed.
    config : Config
        With horizon and seed.
    table, trained_on : Table
        Scored on, and trained on: two tables in a zero-shot run.
    """

    model: str
    preset: str
    variant: str
    config: Config
    table: Table
    trained_on: Table

    @property
    def key(self) -> tuple[str, ...]:
        """Equal for two cells that compute the same, whatever they are called and whichever commit computed them."""
        return self.model, self.hash, self.table.sha256, self.trained_on.sha256

    @property
    def hash(self) -> str:
        """Of the configuration; a baseline's holds only what a baseline reads."""
        return config_hash(_read_by(self.model, self.config))

    def describe(self) -> str:
        """In a few words."""
        data = self.config.data
        on = "" if self.table == self.trained_on else f" from {self.trained_on.name}"
        what = self.variant if self.model == OURS else self.model
        return f"{self.table.name}{on} {data.horizon}, {what}, seed {self.config.training.seed}"


def key_of(row: Mapping[str, str]) -> tuple[str, ...]:
    """`Cell.key` of a row."""
    own, _, other = row["data_sha256"].partition(" from ")
    return row["model"], row["config_hash"], own, other or own


def finished(rows: Iterable[Mapping[str, str]]) -> dict[tuple[str, ...], Mapping[str, str]]:
    """The row of each finished cell: the latest, or the latest with a test score if there is one."""
    found: dict[tuple[str, ...], Mapping[str, str]] = {}
    for row in rows:
        former = found.get(key_of(row))
        if former is None or row["mse"] or not former["mse"]:
            found[key_of(row)] = row
    return found


def make_cells(
    variants: Mapping[str, Config],
    tables: Sequence[Table],
    *,
    horizons: Sequence[int],
    seeds: Sequence[int],
    preset: str = "",
    baselines: Sequence[str] = (),
    trained_on: Table | None = None,
) -> list[Cell]:
    """Every cell of an experiment: seeds and variants together, so that early rows already compare.

    A baseline that learns nothing has one seed.
    """
    cells: list[Cell] = []
    for table in tables:
        for horizon in horizons:
            for number, seed in enumerate(seeds):
                place = {"data.horizon": horizon, "training.seed": seed}
                for name, config in variants.items():
                    config = config.replace(place)
                    cells.append(Cell(OURS, preset, name, config, table, trained_on or table))
                base = next(iter(variants.values())).replace(place)
                for baseline in baselines:
                    if number == 0 or baseline not in UNTRAINED:
                        cells.append(Cell(baseline, "", baseline, base, table, trained_on or table))
    first: dict[tuple[str, ...], Cell] = {}
    for cell in cells:
        first.setdefault(cell.key, cell)
    return list(first.values())


def check_windows(cells: Iterable[Cell]) -> None:
    """Refuse before any work what no run could score.

    Raises
    ------
    TableError, ConfigError
        A table that is too short for its windows, or a split without a test part.
    """
    for data, table in {(cell.config.data, table) for cell in cells for table in (cell.table, cell.trained_on)}:
        if "test" not in filled_parts(data.split):
            raise ConfigError(f"split {data.split!r} has no test part; name one with --split, such as 0.7/0.1/0.2")
        plan_split(table.lengths, data.split, data.context, data.horizon)


def open_table(name: str, path: Path, data: DataConfig) -> Table:
    """A table, read once to see that it can be, and hashed."""
    series = _read(path, data)
    return Table(name, path, series_sha256(series)[:12], tuple(series.lengths.tolist()))


def run_cell(work: tuple[Cell, bool]) -> dict[str, Any]:
    """Train, score every validation window and, if told to, every test window; a row of the table of results.

    The weights were chosen on validation windows inside the training; the test part is looked at once, afterwards.

    Notes
    -----
    Of the columns, ``mse``, ``mae`` and ``windows`` are of the test part and ``validation_mse`` of every validation
    window; ``gate`` belongs to the weights that were kept; ``seconds`` are the training's, ``score_seconds`` those of
    all scoring; ``peak_mb`` is the most that the whole process, or the GPU, held; ``options`` is what differs from the
    reference configuration (`swt_time.config.presets.options_of`), enough to compute the row again.
    """
    cell, with_test = work
    config = cell.config
    series = _read(cell.trained_on.path, config.data)
    target = series if cell.table == cell.trained_on else _read(cell.table.path, config.data)
    data = config.data
    parts = split_table(target, data.split, data.context, data.horizon)
    device = resolve_device(config.training.device)
    reset_peak_memory(device)
    began = time.monotonic()
    own = split_table(series, data.split, data.context, data.horizon, train_fraction=data.train_fraction)
    forecaster: WindowForecaster
    if cell.model == OURS:
        forecaster = TrainedModel(*fit_model(config, own))
    else:
        forecaster = fit_baseline(cell.model, own, series, config)
    result = getattr(forecaster, "result", None)
    if result is not None and result.ended == "interrupted":
        raise SWTTimeError("interrupted")
    trained = time.monotonic()
    validation = score(forecaster, parts.validation) if len(parts.validation) else None
    test = score(forecaster, parts.test) if with_test else None
    scored, peak = time.monotonic(), peak_memory(device)
    zero_shot = cell.table != cell.trained_on
    best = None if result is None else next((row for row in result.history if row.step == result.best_step), None)
    ours = cell.model == OURS
    return {
        "dataset": cell.table.name,
        "trained_on": cell.trained_on.name,
        "horizon": data.horizon,
        "context": data.context,
        "split": data.split,
        "model": cell.model,
        "preset": cell.preset,
        "variant": cell.variant,
        "backbone": _backbone(config) if ours else "",
        "embedding": _embedding(config) if ours else "",
        "seed": config.training.seed,
        "train_fraction": data.train_fraction,
        "steps": None if result is None else result.steps,
        "best_step": None if result is None else result.best_step,
        "ended": None if result is None else result.ended,
        "validation_mse": None if validation is None else f"{validation.mse:.6f}",
        "mse": None if test is None else f"{test.mse:.6f}",
        "mae": None if test is None else f"{test.mae:.6f}",
        "windows": None if test is None else test.windows,
        "gate": None if best is None or best.gate is None else f"{best.gate:.6f}",
        "seconds": f"{trained - began:.2f}",
        "score_seconds": f"{scored - trained:.2f}",
        "peak_mb": None if peak is None else round(peak / 2**20),
        "device": str(device),
        "machine": _machine(device),
        "threads": torch.get_num_threads(),
        "config_hash": cell.hash,
        "data_sha256": cell.table.sha256 + (f" from {cell.trained_on.sha256}" if zero_shot else ""),
        "commit": source_commit() or "installed package",
        "versions": " ".join(f"{name}={version}" for name, version in package_versions(PACKAGES).items()),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "options": json.dumps(options_of(_read_by(cell.model, config))),
    }


def check_baselines(names: Iterable[str]) -> None:
    """Refuse baselines that do not exist.

    Raises
    ------
    ConfigError
    """
    for name in names:
        if name not in BASELINES:
            raise ConfigError(f"unknown baseline {name!r}; expected {', '.join(BASELINES)}")


def _read_by(model: str, config: Config) -> Config:
    """The configuration with what a baseline does not read left at its reference."""
    if model in (OURS, PEER):
        return config
    kept = {key: value for key, value in options_of(config).items() if key.startswith(("data.", "training."))}
    return config_of(kept)


@lru_cache(maxsize=4)
def _read_file(path: Path, id_column: str | None, encoding: str | None) -> Any:
    return read_table(path, id_column=id_column, encoding=encoding)


def _read(path: Path, data: DataConfig) -> SeriesTable:
    """The series of a table; a worker reads a file once."""
    return read_series(_read_file(path, data.id_column, data.encoding), data)


def _backbone(config: Config) -> str:
    backbone = config.backbone
    layers = f" {backbone.layers} layers" if backbone.layers else ""
    return f"{Path(backbone.name).name}{layers}{' random' if backbone.random_init else ''}"


def _embedding(config: Config) -> str:
    embedding = config.embedding
    if embedding.kind == "wavelet":
        return f"wavelet {embedding.wavelet} {embedding.level} {embedding.boundary}"
    return f"patch {embedding.receptive_field}"


def _machine(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.system()} {platform.machine()}"
