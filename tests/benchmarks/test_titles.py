"""Planted products of the benchmark of titles."""

import json

import numpy as np
import pytest

import titles as benchmark

PLAN = json.loads(benchmark.PLAN.read_text())


@pytest.mark.parametrize("seed", range(3))
def test_titles_of_new_series_do_not_occur_among_the_others(seed):
    frame, known = benchmark.planted(PLAN, "known", seed)
    _, new = benchmark.planted(PLAN, "new", seed)
    told = [{one["title"] for one in some} for some in (known, new)]
    assert len(told[0]) == 7 * len(PLAN["kinds"])
    assert len(told[1]) == 3 * len(PLAN["kinds"])
    assert not told[0] & told[1]
    lengths = frame.groupby("unique_id").size()
    assert all(lengths[one["name"]] == one["rows"] + PLAN["horizon"] for one in known)


def test_shuffled_series_keep_the_title_that_they_share():
    def read(arm, texts, kinds, known):
        return np.array([[len(text), ord(text[0])] for text in texts], dtype=float)

    known = [{"title": title, "kind": "a kind"} for title in ("a", "bb", "ccc", "a", "bb")]
    plain, _ = benchmark.arm_vectors(read, "MiniLM", known, known[:1], 0)
    found, new = benchmark.arm_vectors(read, "shuffled", known, known[:1], 0)
    assert not np.array_equal(found, plain)
    np.testing.assert_array_equal(found[[0, 1]], found[[3, 4]])
    np.testing.assert_array_equal(np.unique(found, axis=0), np.unique(plain, axis=0))
    np.testing.assert_array_equal(new, plain[:1])
