"""The accuracy experiments planned in ``cells.toml``, as cells with paths such as ``forecast/ETTh1/96/base/0``."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swt_time.config import Config, DataConfig
from swt_time.config.presets import read_preset
from swt_time.evaluation.ablation import BASE, EVERY_AXIS, OURS, Cell, Dataset, Row, make_cells, open_dataset, read_axes

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "accuracy.csv"
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Planned:
    """One planned cell, its study and its contender."""

    study: str
    contender: str
    cell: Cell

    @property
    def path(self) -> str:
        """Study, dataset, horizon, contender and seed, separated by slashes."""
        config = self.cell.config
        place = f"{self.study}/{self.cell.dataset.name}/{config.data.horizon}"
        return f"{place}/{self.contender}/{config.training.seed}"

    @property
    def key(self) -> tuple[str, ...]:
        """The values that identify a row of the results."""
        return self.cell.dataset.name, self.cell.trained_on.name, self.cell.model, self.cell.hash


def key_of(row: Row) -> tuple[str, ...]:
    """Return the `Planned.key` of a row."""
    return row.dataset, row.trained_on, row.model, row.config_hash


def read_plan() -> dict[str, Any]:
    """Return the contents of ``cells.toml``."""
    return tomllib.loads((HERE / "cells.toml").read_text(encoding="utf-8"))


def plan_cells(folder: Path | None = None) -> list[Planned]:
    """Return every planned cell in the order of the plan; with the hashes of the datasets if their folder is given."""
    plan = read_plan()
    opened = {name: _open(name, dataset, folder) for name, dataset in plan["datasets"].items()}
    return [one for study in plan["study"] for name in study["datasets"] for one in _cells(plan, study, name, opened)]


def _cells(
    plan: Mapping[str, Any], study: Mapping[str, Any], name: str, opened: Mapping[str, Dataset]
) -> list[Planned]:
    dataset = plan["datasets"][name]

    def configure(preset: str, *changes: Mapping[str, Any]) -> Config:
        config = Config.parse(read_preset(preset))
        for change in (dataset["set"], study.get("set", {}), *changes):
            config = config.replace(_dotted(change))
        return config

    variants = {BASE: configure(study["preset"])}
    for one in study.get("variant", []):
        if name not in one.get("datasets", study["datasets"]):
            continue
        variants[one["name"]] = configure(one.get("preset", study["preset"]), one.get("set", {}))
    wanted = study.get("axes", [])
    for axis in read_axes(EVERY_AXIS):
        if axis.name in wanted:
            variants |= {one.name: configure(study["preset"], one.changes) for one in axis.variants}
    (other,) = [opened[n] for n in study["datasets"] if n != name] if study.get("other") else [opened[name]]
    place = {"horizons": study.get("horizons", dataset["horizons"]), "seeds": SEEDS, "trained_on": other}
    cells = make_cells(variants, [opened[name]], preset=study["preset"], **place)
    if "baselines" in study:
        base = {BASE: configure(study["preset"], study.get("baseline_set", {}))}
        with_base = make_cells(base, [opened[name]], baselines=study["baselines"], **place)
        cells += [cell for cell in with_base if cell.model != OURS]
    return [Planned(study["name"], cell.variant if cell.model == OURS else cell.model, cell) for cell in cells]


def _open(name: str, dataset: Mapping[str, Any], folder: Path | None) -> Dataset:
    if folder is None:
        return Dataset(name, Path(dataset["file"]), "", ())
    return open_dataset(name, folder / dataset["file"], DataConfig())


def _dotted(changes: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in changes.items():
        found |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, Mapping) else {key: value}
    return found
