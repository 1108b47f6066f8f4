"""Updates of a closed form: new rows are added to the sums that it was solved from, without the rows before them.

The map, its form and its error depend on the training windows only through sums of second moments, to which the windows
of further rows are added. The form of the map (prior, strength, centre) and the scales of the series stay those of the
training, since both determine what was summed; a new series is scaled by its own rows. With these the result is that of
a fit on all rows.

A window whose target is new has up to ``T + H - 1`` rows before it, so an update needs these last rows of each series
again, as a forecast needs its context.
"""

import warnings
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from pydantic import TypeAdapter, ValidationError

from swt_time.checkpoints.checkpoint import Checkpoint
from swt_time.checkpoints.origin import describe_training
from swt_time.checkpoints.trained_on import TrainedOn
from swt_time.data.columns import listed
from swt_time.data.frequency import season_length
from swt_time.data.gathering import flatten
from swt_time.data.parts import Parts, PartWindows, refuse_far
from swt_time.data.scaling import Scaler, fit_scaler
from swt_time.data.series import SeriesTable
from swt_time.data.splits import Borders
from swt_time.data.windows import WindowIndex
from swt_time.data.zones import from_microseconds, microseconds
from swt_time.errors import CheckpointError, SWTTimeWarning, TableError
from swt_time.model.alone import prior_of
from swt_time.model.closed_form import FormRecord, Sums, check_partial, solve_again, sum_all

DAMAGED = "the closed form of the checkpoint (provenance.json, training.closed_form) is damaged"


def with_sums(checkpoint: Checkpoint, parts: Parts) -> Checkpoint:
    """Return a checkpoint of a closed form with the sums over its training windows.

    Raises
    ------
    TableError
        Too many windows have missing targets, see `sum_all`.
    """
    data, rows = checkpoint.config.data, parts.train.windows.stops
    last = [
        microseconds(times, wall=False)[stop - 1] if stop else np.iinfo(np.int64).min
        for times, stop in zip(parts.table.times, rows.tolist(), strict=True)
    ]
    summed = sum_all(parts.train, data.steps, data.horizon, _form(checkpoint).exponent)
    sums = Sums(summed, rows.astype(np.int64), np.array(last, dtype=np.int64))
    return replace(checkpoint, weights={**checkpoint.weights, **sums.to_arrays()})


def updated(checkpoint: Checkpoint, table: SeriesTable) -> Checkpoint:
    """Return a checkpoint whose closed form is solved on the rows of its training and on those of a table after them.

    Parameters
    ----------
    checkpoint : Checkpoint
        Of a model that was trained with ``training.keep_sums``.
    table : SeriesTable
        Rows that follow the training, and at least ``T + H - 1`` rows before them (or all, of a series that had fewer).
        A series that is not known is new; one without new rows adds nothing.

    Raises
    ------
    CheckpointError
        The checkpoint does not hold the sums, or they do not fit it.
    TableError
        No row is new, rows before the new ones are missing, or the frequency is another one.
    """
    config, known = checkpoint.config, checkpoint.trained_on
    context, horizon = config.data.steps, config.data.horizon
    sums = Sums.from_arrays(checkpoint.weights, context, horizon, len(known.ids))
    if sums is None:
        raise CheckpointError(
            "the model does not hold the sums of its closed form, so it cannot take in new rows; train it with "
            "training.keep_sums true"
        )
    if known.frequency is None or table.frequency != known.frequency:
        raise TableError(
            f"the table's frequency is {table.frequency}, the model was trained on {known.frequency}; an update needs "
            "the same: set data.frequency"
        )
    places = _places(known, table)
    seen = np.array([_seen(table, i, sums, place, context + horizon) for i, place in enumerate(places)])
    idle = [table.ids[i] for i in np.flatnonzero(seen == table.lengths)]
    if len(idle) == len(table.ids):
        raise TableError(
            f"the model was trained on all rows of the table, which ends at {table.last.max()}; expected rows after "
            "those of the training"
        )
    if idle:
        warnings.warn(f"no new rows in {listed(idle)}: nothing is added", SWTTimeWarning, stacklevel=3)
    windows = _windows(table, _scaler(known, table, places), seen, context, horizon)
    form, season = _form(checkpoint), season_length(table.frequency)
    total = sums.moments + sum_all(windows, context, horizon, form.exponent)
    check_partial(total)
    try:
        weight = solve_again(total, form, prior_of(config.embedding), season)
    except ValueError as error:
        raise CheckpointError(f"{DAMAGED}: {error}") from None
    if not np.isfinite(weight).all():
        raise CheckpointError(f"{DAMAGED}: the map is not finite")
    scaler = windows.scaler
    fresh = [i for i, place in enumerate(places) if place is None]
    rows = np.concatenate([sums.rows, np.zeros(len(fresh), dtype=np.int64)])
    last = np.concatenate([sums.last, np.zeros(len(fresh), dtype=np.int64)])
    index = {i: len(known.ids) + number for number, i in enumerate(fresh)}
    for i, place in enumerate(places):
        if seen[i] < table.lengths[i]:
            at = index[i] if place is None else place
            rows[at] += table.lengths[i] - seen[i]
            last[at] = microseconds(table.times[i], wall=False)[-1]
    history = checkpoint.provenance.get("updates", [])
    return replace(
        checkpoint,
        weights={
            **checkpoint.weights,
            "skip.weight": weight.astype(checkpoint.weights["skip.weight"].dtype),
            **Sums(total, rows, last).to_arrays(),
        },
        trained_on=replace(
            known,
            ids=[*known.ids, *(table.ids[i] for i in fresh)],
            mean=[*known.mean, *scaler.mean[fresh].tolist()],
            deviation=[*known.deviation, *scaler.std[fresh].tolist()],
        ),
        provenance={
            **checkpoint.provenance,
            "updates": [*history, describe_training(table, config.training.seed)],
        },
    )


def _form(checkpoint: Checkpoint) -> FormRecord:
    training = checkpoint.provenance.get("training")
    record = training.get("closed_form") if isinstance(training, Mapping) else None
    try:
        return TypeAdapter(FormRecord).validate_python(record)
    except ValidationError as error:
        raise CheckpointError(f"{DAMAGED}: {error.errors()[0]['msg']}") from None


def _places(known: TrainedOn, table: SeriesTable) -> list[int | None]:
    """Index of each series of a table among those of the training; None for a new one."""
    places = {name.strip(): place for place, name in enumerate(known.ids)}
    return [places.get(name.strip()) for name in table.ids]


def _seen(table: SeriesTable, index: int, sums: Sums, place: int | None, width: int) -> int:
    """Return the number of first rows of a series of a table that were summed over; all of them if none is new."""
    if place is None:
        return 0
    stamps, last = microseconds(table.times[index], wall=False), int(sums.last[place])
    seen = int(np.searchsorted(stamps, last, side="right"))
    needed = min(int(sums.rows[place]), width - 1)
    if seen < len(stamps) and (seen < needed or (seen and stamps[seen - 1] != last)):
        end = from_microseconds(np.array([last]), table.times[index])[0]
        raise TableError(
            f"series {table.ids[index]!r}: an update needs the last {needed} rows that the model was trained on, up to "
            f"{end}, before the new ones (data.context + data.horizon - 1); the table has {seen} rows up to there: "
            "add the others"
        )
    return seen


def _scaler(known: TrainedOn, table: SeriesTable, places: list[int | None]) -> Scaler:
    """Return the scales of training; of a new series, those of its own rows."""
    own = fit_scaler(table.values, table.lengths.tolist(), table.observed)
    mean, std = own.mean.copy(), own.std.copy()
    for i, place in enumerate(places):
        if place is not None:
            mean[i], std[i] = known.mean[place], known.deviation[place]
    return Scaler(mean, std)


def _windows(table: SeriesTable, scaler: Scaler, seen: np.ndarray, context: int, horizon: int) -> PartWindows:
    """Return the windows with at least one new target."""
    scaled = scaler.apply(table.values)
    for index, values in enumerate(scaled):
        refuse_far(table, index, values)
    borders = []
    for rows, before in zip(table.lengths.tolist(), seen.tolist(), strict=True):
        first = max(before + 1 - context - horizon, 0) if before else 0
        borders.append(Borders((first + context if before < rows else rows, rows), (rows, rows), (rows, rows)))
    flat = flatten(scaled, table.observed, hold=table.fill == "linear")
    windows = WindowIndex(borders, "train", context, horizon)
    return PartWindows(flat, windows, table, scaler, tuple(table.lengths.tolist()))
