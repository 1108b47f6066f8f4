"""What the tests of several processes run in each of them, and in one process alone for comparison."""

import os
import signal
import warnings

import numpy as np
import pandas as pd
import torch

from support.recorder import Recorder
from support.runs import SMALL, Sines
from swt_time import Config, Forecaster, SWTTimeError
from swt_time.data.parts import split_table
from swt_time.data.series import to_series
from swt_time.model import build_model
from swt_time.model.closed_form import Prior, solve
from swt_time.model.closed_form.lags import sum_moments
from swt_time.processes import joined
from swt_time.training import Step, TrainingState, train_model
from swt_time.training.random_state import RandomState

PARTS = ("blocks", "season", "structure", "last", "weights")


class Doubles(Sines):
    """Windows in double precision, of which some targets and all that precedes some windows are missing."""

    def gather(self, indices):
        self.asked.append(np.array(indices))
        rows = self.rows[indices].copy()
        rows[indices % 7 == 3, :5] = np.nan
        rows[indices % 5 == 2, 50:] = np.nan
        return rows[:, :48], rows[:, 48:]


def table(rows=400):
    """A wide table of two hourly series with a daily cycle."""
    draw, hours = np.random.default_rng(0), np.arange(rows)
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=rows, freq="h")})
    for name, scale in (("a", 1.0), ("b", 30.0)):
        frame[name] = scale * (np.sin(2 * np.pi * hours / 24) + 0.3 * draw.normal(size=rows))
    return frame


def covariates():
    """The same table with a column that moves one series."""
    frame = table().assign(c=np.random.default_rng(3).normal(size=400))
    frame["a"] += 5 * frame["c"]
    return frame


def gaps():
    """The same table with missing values."""
    frame = table()
    draw = np.random.default_rng(1)
    frame.loc[draw.choice(400, 25, replace=False), "a"] = np.nan
    return frame


def maps():
    """Solve the closed form of a complete and of an incomplete table; return the maps and their forms."""
    found = {}
    with joined() as processes:
        for name, frame, form in (("complete", table(), PARTS), ("gaps", gaps(), PARTS), ("folds", gaps(), ())):
            parts = split_table(to_series(frame, fill="linear"), "0.7/0.2/0.1", 48, 12)
            validation = None if name == "folds" else parts.validation
            solution = solve(parts.train, validation, 48, Prior("haar", 2, "reflect"), form, processes=processes)
            sums = sum_moments(parts.train, 48, 12, 2**17, processes)
            found[name] = solution.weight, solution.record(), (sums.inputs, sums.products, sums.targets, sums.points)
    return found


def double_run(batch_size=16, micro_batch=3):
    """Train in double precision; return weights, losses, and the windows of each step."""
    values = {"training.max_steps": 8, "training.batch_size": batch_size, "training.micro_batch": micro_batch}
    values |= {"training.validate_every": 4, "embedding.learnable": "free"}
    config = Config.parse(SMALL).replace(values)
    with joined() as processes:
        model = built(config).double()
        windows, losses = Doubles(count=33), []
        result = train_model(
            model,
            windows,
            Doubles(count=21, seed=2),
            config.training,
            report=lambda event: losses.append(event.loss) if isinstance(event, Step) else None,
            processes=processes,
        )
    weights = {name: weight.numpy().copy() for name, weight in model.trained_state().items()}
    return weights, losses, [row.validation_loss for row in result.history], windows.asked


def built(config):
    """Build the same model in every process."""
    with RandomState(torch.device("cpu"), config.training.seed).active():
        return build_model(config)


def run(state=None, stop_at=None, **changes):
    """Train in single precision, from a state if one is given; return weights, result, states, and windows of steps."""
    values = {"training.max_steps": 12, "training.batch_size": 16, "training.checkpoint_every": 5, **changes}
    config = Config.parse(SMALL).replace(values)
    states = []

    def stop(event):
        if isinstance(event, Step) and event.step == stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    with joined() as processes:
        model, windows, held_out = built(config), Sines(), Sines(count=32, seed=2)
        if processes.rank:
            for weight in model.trained_state().values():
                weight.add_(processes.rank)  # the first process gives its own to the others
        result = train_model(
            model,
            windows,
            held_out,
            config.training,
            random=RandomState(torch.device("cpu"), config.training.seed),
            resume=None if state is None else TrainingState(state[0], tensors(state[1])),
            report=stop if processes.first else lambda event: None,
            save_state=lambda one: states.append((dict(one.progress), arrays(one.tensors))),
            processes=processes,
        )
    return arrays(model.trained_state()), result, states, windows.asked, held_out.asked


def arrays(weights):
    return {name: np.array(one.detach().numpy()) for name, one in weights.items()}


def tensors(found):
    return {name: torch.from_numpy(np.array(one)) for name, one in found.items()}


def refused(**changes):
    """Return the error of a training."""
    try:
        run(**changes)
    except SWTTimeError as error:
        return type(error).__name__, str(error)
    return None


def of_training(state=None):
    """All trainings that the tests compare, in one process of several."""
    found = {"maps": maps(), "double": double_run(), "run": run(), "resumed": None}
    if state is not None:
        found["resumed"] = run(state)
    return found


def of_two(state):
    """`of_training`, and what two processes suffice for."""
    dropout = {"model.dropout": 0.3}
    whole = run(**dropout)
    budget = {"training.max_steps": 100_000, "training.max_seconds": 1.0, "training.patience": None}
    return of_training(state) | {
        "dropout": whole,
        "dropout resumed": run(whole[2][0], **dropout),
        "interrupted": run(stop_at=7),
        "budget": run(**budget)[1],
        "patience": run(**{"training.learning_rate": 1e-9, "training.patience": 2, "training.validate_every": 1})[1],
        "too few windows": refused(**{"training.batch_size": 1}),
        "not finite": refused(**{"training.learning_rate": 1e30, "training.clip_norm": None}),
    }


def fit(frame, folder, options, resume=False):
    """Fit a forecaster; only the first process may write. Return its forecast, results and calls."""
    rank = int(os.environ.get("RANK", "0"))
    own = folder / f"of-{rank}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = Recorder()
        forecaster = Forecaster(**options).fit(frame, out=own, resume=resume, callbacks=[told])
    forecaster.save(folder / f"saved-by-{rank}", overwrite=True)
    future = None
    if "c" in frame:
        later = pd.date_range(frame["date"].iloc[-1], periods=13, freq="h")[1:]
        future = pd.DataFrame({"date": later, "c": np.linspace(-1, 1, 12)})
    forecast = forecaster.predict(frame, future=future)
    return forecast, forecaster.config, forecaster.result, forecaster.choice, told.names


def other_table(frame):
    """Fit different tables in the processes."""
    try:
        Forecaster(horizon=12, context=48).fit(frame.iloc[int(os.environ["RANK"]) :])
    except SWTTimeError as error:
        return str(error)
    return None


def of_forecasters(folder, trained, automatic, ended):
    """All fits that the tests compare, in one process of several."""
    return {
        "trained": fit(table(), folder / "trained", trained),
        "automatic": fit(covariates(), folder / "automatic", automatic),
        "ended": fit(table(), folder / "trained", trained, resume=True) if ended else None,
        "tables": other_table(table()),
    }
