"""Planted events, the vectors of the arms, and the summary of the benchmark of notes."""

import numpy as np
import pytest

import notes as benchmark
import notes_results
from planting import plant, read_plan
from text_vectors import TextVectors

PLAN = read_plan()
VALUES = np.random.default_rng(0).normal(size=17420)
TEST = 13936


@pytest.mark.parametrize("seed", range(3))
def test_phrasings_of_the_test_part_do_not_occur_before_it(seed):
    _, events = plant(VALUES, TEST, PLAN, seed)
    before, after = ({one.text for one in events if (one.start >= TEST) == late} for late in (False, True))
    assert (len(before), len(after)) == (49, 21)
    assert not before & after
    assert all(one.stop <= TEST or one.start >= TEST for one in events)


def test_events_do_not_overlap_and_nothing_else_changes():
    planted, events = plant(VALUES, TEST, PLAN, 0)
    changed = np.zeros(len(VALUES), dtype=bool)
    for one in events:
        stop = one.stop + (one.stop - one.start if PLAN["kinds"][one.kind]["after"] else 0)
        assert not changed[one.start : stop].any()
        changed[one.start : stop] = True
    np.testing.assert_array_equal(planted != VALUES, changed)


def test_seeds_decide():
    first, again, other = (plant(VALUES, TEST, PLAN, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1] == again[1] != other[1]


def test_seven_kinds_in_ten_phrasings_each():
    assert [len(set(one["phrasings"])) for one in PLAN["kinds"].values()] == [10] * 7


def test_vectors_of_the_arms():
    _, events = plant(VALUES, TEST, PLAN, 0)
    before = sum(one.start < TEST for one in events)
    read = TextVectors(PLAN["kinds"])
    vectors = {arm: benchmark.arm_vectors(read, arm, events, before, 0) for arm in benchmark.ARMS[1:]}
    assert vectors["kind"].sum(axis=1).tolist() == [1] * len(events)
    assert not vectors["empty"].any()
    np.testing.assert_array_equal(vectors["shuffled"][before:], vectors["MiniLM"][before:])
    assert not np.allclose(vectors["shuffled"][:before], vectors["MiniLM"][:before])
    rows = [sorted(map(tuple, vectors[arm][:before].round(9))) for arm in ("shuffled", "MiniLM")]
    assert rows[0] == rows[1]
    assert vectors["random weights"].shape == vectors["MiniLM"].shape
    assert vectors["TF-IDF"].shape == vectors["bag of words"].shape


def test_summary_is_paired_by_seed():
    errors = {
        ("no text", 0): 2.0,
        ("no text", 1): 4.0,
        ("kind", 0): 1.0,
        ("kind", 1): 2.0,
        ("x", 0): 1.5,
        ("x", 1): 3.0,
    }
    rows = [
        {"series": "s", "seed": str(seed), "arm": arm, "mse_events": str(error), "mse_elsewhere": "1", "used": "1"}
        for (arm, seed), error in errors.items()
    ]
    assert notes_results.changes(rows, "s", "x", "mse_events") == [-25.0, -25.0]
    assert notes_results.paired([-25.0, -25.0]) == "-25.0 ± 0.0"
    assert notes_results.shares(rows, "x") == {"s": 0.5}
    heads, lines = notes_results.planted_lines(rows)
    assert heads == ["vectors of the texts", "s, events", "s, elsewhere", "used"]
    assert lines[1] == ["x", "-25.0 ± 0.0", "+0.0 ± 0.0", "2 of 2"]
