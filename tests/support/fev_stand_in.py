"""The part of fev 0.10 that `swt_time.compat.fev` uses, written from its source, on frames in place of `datasets`."""

import contextlib
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np
import pandas as pd


class ForecastingModel(ABC):
    """As ``fev.ForecastingModel``, without the registry."""

    model_name = None
    trained_on_datasets: list = []  # noqa: RUF012

    def __init__(self):
        self.training_time = self.inference_time = 0.0

    def fit_predict(self, task):
        self.training_time = self.inference_time = 0.0
        return self._fit_predict(task)

    @abstractmethod
    def _fit_predict(self, task): ...

    @contextlib.contextmanager
    def _record_training_time(self):
        start = time.monotonic()
        yield
        self.training_time += time.monotonic() - start

    @contextlib.contextmanager
    def _record_inference_time(self):
        start = time.monotonic()
        yield
        self.inference_time += time.monotonic() - start


@dataclass
class EvaluationWindow:
    """A cutoff ``known`` rows before the end of each series of a long frame."""

    frame: pd.DataFrame
    known: int
    horizon: int
    target_columns: list
    known_dynamic_columns: list
    past_dynamic_columns: list
    static_columns: list
    id_column: str = "id"
    timestamp_column: str = "timestamp"


@dataclass
class Task:
    """Windows that end at the end of each series, as those of ``fev.Task`` do by default."""

    frame: pd.DataFrame
    horizon: int
    freq: str
    target: str | list = "target"
    quantile_levels: list = field(default_factory=list)
    num_windows: int = 1
    known_dynamic_columns: list = field(default_factory=list)
    past_dynamic_columns: list = field(default_factory=list)
    static_columns: list = field(default_factory=list)

    @property
    def target_columns(self):
        return self.target if isinstance(self.target, list) else [self.target]

    def iter_windows(self):
        names = (self.target_columns, self.known_dynamic_columns, self.past_dynamic_columns, self.static_columns)
        for number in range(self.num_windows):
            yield EvaluationWindow(self.frame, (self.num_windows - number) * self.horizon, self.horizon, *names)


def convert_input_data(window, adapter="pandas", *, as_univariate=False, univariate_target_column="target"):
    """As ``fev.convert_input_data`` for the adapter pandas with ``as_univariate``."""
    assert (adapter, as_univariate) == ("pandas", True)
    targets, new = window.target_columns, univariate_target_column
    if new in window.frame and targets != [new]:
        raise ValueError(f"Column '{new}' already exists. Choose a different univariate_target_column.")
    ids, times, known = window.id_column, window.timestamp_column, window.known_dynamic_columns
    past, future, static = [], [], []
    for one, rows in window.frame.groupby(ids, sort=True):
        for target in targets:
            name = one if len(targets) == 1 else f"{one}_{target}"
            rows = rows.assign(**{ids: name})
            seen = rows.iloc[: -window.known].rename(columns={target: new})
            past.append(seen[[ids, times, new, *known, *window.past_dynamic_columns]])
            after = rows.iloc[len(seen) : len(seen) + window.horizon]
            future.append(after[[ids, times, *known]])
            static.append(rows.iloc[:1][[ids, *window.static_columns]])
    tables = [pd.concat(parts, ignore_index=True) for parts in (past, future, static)]
    return (*tables[:2], tables[2] if window.static_columns else None)


def check(task, predictions):
    """Return the arrays of predictions by target, after what ``fev.Task.clean_and_validate_predictions`` checks."""
    assert len(predictions) == task.num_windows
    found = []
    for window in predictions:
        assert set(window) == set(task.target_columns)
        for series in window.values():
            for one in series:
                assert set(one) == {"predictions", *(str(level) for level in task.quantile_levels)}
        arrays = {
            target: {key: np.array([one[key] for one in series]) for key in series[0]}
            for target, series in window.items()
        }
        for values in (array for columns in arrays.values() for array in columns.values()):
            assert values.shape == (task.frame["id"].nunique(), task.horizon)
            assert np.isfinite(values).all()
        found.append(arrays)
    return found


def stand_in():
    """Return a module of the name fev."""
    module = ModuleType("fev")
    module.ForecastingModel, module.Task = ForecastingModel, Task
    module.EvaluationWindow, module.convert_input_data = EvaluationWindow, convert_input_data
    return module
