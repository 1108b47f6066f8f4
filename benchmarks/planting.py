"""Events planted into real series, each told in words: `notes_events.json` says which kinds, effects and phrasings."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

EVENTS = Path(__file__).with_name("notes_events.json")


@dataclass(frozen=True)
class Event:
    """One planted event: its kind, its rows ``[start, stop)``, and the sentence that tells it."""

    kind: str
    start: int
    stop: int
    text: str


def read_plan() -> dict[str, Any]:
    """The committed plan of all events."""
    plan: dict[str, Any] = json.loads(EVENTS.read_text())
    return plan


def plant(values: np.ndarray, test: int, plan: dict[str, Any], seed: int) -> tuple[np.ndarray, list[Event]]:
    """Add events to a series.

    Parameters
    ----------
    values : (R,) array
    test : int
        First row of the test part. Events before it, and events after it, are told in disjoint phrasings.
    plan : dict
        See `read_plan`.
    seed : int
        Of the order and places of the events, their sizes, and the phrasings that are held out for the test part.

    Returns
    -------
    values : (R,) array
    events : list of Event
        In the order of their rows.
    """
    random, kinds = np.random.default_rng(seed), plan["kinds"]
    unit, planted, events = float(values[:test].std()), values.astype(float), []
    before = plan["phrasings_per_kind"]["before_test"]
    told = {kind: random.permutation(one["phrasings"]).tolist() for kind, one in kinds.items()}
    for part, first, last in (("before_test", 0, test), ("test", test, len(values))):
        names = random.permutation([kind for kind in kinds for _ in range(plan["events_per_kind"][part])])
        lengths = np.array([random.integers(*kinds[kind]["duration"], endpoint=True) for kind in names])
        taken = np.array(
            [length * (2 if kinds[kind]["after"] else 1) for kind, length in zip(names, lengths, strict=True)]
        )
        gaps = random.dirichlet(np.ones(len(names) + 1)) * (last - first - taken.sum())
        starts = first + np.floor(np.cumsum(gaps[:-1])).astype(int) + np.cumsum(taken) - taken
        used = dict.fromkeys(kinds, 0)
        for kind, start, length in zip(names, starts.tolist(), lengths.tolist(), strict=True):
            one, size = kinds[kind], kinds[kind]["size"] * np.exp(plan["spread"] * random.standard_normal())
            planted[start : start + length] += unit * size * _shape(one["shape"], length)
            if one["after"]:
                sign = -np.sign(one["size"]) * one["after"] * size / one["size"]
                planted[start + length : start + 2 * length] += unit * sign * _shape("decay", length)
            phrasings = told[kind][:before] if part == "before_test" else told[kind][before:]
            events.append(Event(str(kind), start, start + length, phrasings[used[kind] % len(phrasings)]))
            used[kind] += 1
    return planted, events


def _shape(name: str, length: int) -> np.ndarray:
    """Course of an effect of size 1."""
    inside = (np.arange(length) + 0.5) / length
    return {"constant": np.ones(length), "peak": 4 * inside * (1 - inside), "decay": 1 - inside}[name]
