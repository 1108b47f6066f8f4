"""Means, standard deviations and paired differences, compared with values computed by hand."""

import dataclasses
import math
import re

import numpy as np
import pytest

from swt_time.evaluation.ablation import Row
from swt_time.evaluation.ablation.summary import T_975, Measurement, compare, differences, summarize


def measured(contender, values, place="p"):
    return [Measurement(contender, place, seed, value) for seed, value in values.items()]


def row(dataset, horizon, seed, mse, validation=0.5, trained_on=None):
    return Row(
        dataset=dataset,
        trained_on=trained_on or dataset,
        horizon=horizon,
        seed=seed,
        model="swt-time",
        mse=mse,
        mae=mse,
        validation_mse=validation,
        config_hash="c",
        data_sha256="d",
    )


def test_paired_difference_by_hand():
    """Differences 0.01, 0.02, 0.03: mean 0.02, standard deviation 0.01, half width 4.303 * 0.01 / sqrt(3)."""
    base, other = differences(
        measured("base", {0: 0.30, 1: 0.40, 2: 0.50}) + measured("other", {0: 0.31, 1: 0.42, 2: 0.53}), "base"
    )
    assert (base.mean, base.spread) == (pytest.approx(0.40), pytest.approx(0.10))
    assert (base.difference, base.half_width, base.verdict) == (None, None, "")
    assert other.mean == pytest.approx(0.42)
    assert other.spread == pytest.approx(0.11)
    assert other.difference == pytest.approx(0.02)
    assert other.half_width == pytest.approx(0.0248434, rel=1e-4)
    assert other.verdict == "within seed noise"


def test_verdict_if_the_interval_excludes_zero():
    base = measured("base", {0: 0.30, 1: 0.40, 2: 0.50})
    found = differences(
        [*base, *measured("worse", {0: 0.32, 1: 0.421, 2: 0.52}), *measured("better", {0: 0.28, 1: 0.379, 2: 0.48})],
        "base",
    )
    assert [one.verdict for one in found] == ["", "worse", "better"]


def test_only_shared_seeds_are_paired():
    found = differences(measured("base", {0: 0.3, 1: 0.4}) + measured("other", {1: 0.5, 2: 9.0}), "base")[1]
    assert found.difference == pytest.approx(0.1)
    assert found.verdict == "one seed"
    assert differences(measured("base", {0: 0.3}) + measured("other", {5: 0.5}), "base")[1].difference is None


def test_places_are_averaged_within_each_seed():
    found = differences(
        [
            *measured("base", {0: 0.2, 1: 0.2}, "a"),
            *measured("base", {0: 0.6, 1: 0.6}, "b"),
            *measured("other", {0: 0.3, 1: 0.3}, "a"),
            *measured("other", {0: 0.7, 1: 0.9}, "b"),
        ],
        "base",
    )[1]
    assert found.difference == pytest.approx((0.1 + 0.2) / 2)  # seed 0: 0.1, seed 1: 0.2
    assert found.half_width == pytest.approx(12.706 * np.std([0.1, 0.2], ddof=1) / math.sqrt(2))
    assert (found.seeds, found.places) == (2, 2)


def test_seed_that_lacks_a_place_does_not_count():
    found = differences(measured("base", {0: 0.2, 1: 0.4}, "easy") + measured("base", {0: 0.8}, "hard"), "base")[0]
    assert (found.mean, found.seeds) == (pytest.approx(0.5), 1)


def test_every_seed_counts_if_each_lacks_a_place():
    found = differences(measured("base", {0: 0.2}, "easy") + measured("base", {1: 0.8}, "hard"), "base")[0]
    assert (found.mean, found.seeds) == (pytest.approx(0.5), 2)


@pytest.mark.parametrize("deterministic", ["base", "other"])
def test_deterministic_run_is_one_run_paired_with_every_seed(deterministic):
    values = {"base": {0: 0.30, 1: 0.30, 2: 0.30}, "other": {0: 0.31, 1: 0.32, 2: 0.33}}
    if deterministic == "other":
        values = {"base": values["other"], "other": values["base"]}
    sign = 1 if deterministic == "base" else -1
    repeated = differences([one for name, own in values.items() for one in measured(name, own)], "base")
    values[deterministic] = {None: 0.30}
    found = {
        one.contender: one
        for one in differences([one for name, own in values.items() for one in measured(name, own)], "base")
    }
    assert found["other"].difference == repeated[1].difference == pytest.approx(sign * 0.02)
    assert found["other"].half_width == repeated[1].half_width == pytest.approx(0.0248434, rel=1e-4)
    assert found[deterministic].seeds == 1
    assert math.isnan(found[deterministic].spread)


def test_deterministic_runs_differ_by_one_number():
    found = differences(measured("base", {None: 0.3}) + measured("other", {None: 0.5}), "base")[1]
    assert found.difference == pytest.approx(0.2)
    assert (found.half_width, found.verdict) == (None, "one seed")


@pytest.mark.parametrize("degrees", [1, 2, 5, 30])
def test_t_quantiles_by_integration(degrees):
    """The density of Student's t between -q and q integrates to 95 %."""
    q = T_975[degrees - 1]
    constant = math.gamma((degrees + 1) / 2) / math.sqrt(degrees * math.pi) / math.gamma(degrees / 2)
    x = np.linspace(-q, q, 200_001)
    density = constant * (1 + x**2 / degrees) ** (-(degrees + 1) / 2)
    inside = np.sum((density[1:] + density[:-1]) / 2) * (x[1] - x[0])
    assert inside == pytest.approx(0.95, abs=1e-4)


def test_text_has_one_block_per_place_and_one_for_all():
    rows = [("base", row("A", 96, s, 0.4 + s / 100)) for s in range(2)]
    rows += [("other", row("A", 96, s, 0.5 + s / 100)) for s in range(2)]
    rows += [("base", row("B", 96, s, 0.3, trained_on="A")) for s in range(2)]
    text = summarize(rows, "base")
    titles = [block.splitlines()[0] for block in text.split("\n\n")]
    assert titles[:3] == ["A 96", "B from A 96", "mean of 2 cells"]
    assert re.search(r"other +2 .* 0\.5050 ± 0\.0071 .*\+0\.1000 ± 0\.0000 worse", text)


def test_intervals_are_shown_of_runs_that_all_have_them():
    scores = {"crps": 0.25, "coverage_80": 0.7857, "coverage_95": 0.9}
    rows = [("base", dataclasses.replace(row("A", 96, s, 0.4), **scores)) for s in range(2)]
    rows += [("old", row("A", 96, 0, 0.5)), ("old", dataclasses.replace(row("A", 96, 1, 0.5), **scores))]
    head, base, old = summarize(rows, "base").splitlines()[1:4]
    assert re.search(r"test CRPS  inside 80 %  inside 95 %  ", head)
    assert re.search(r"0\.2500 ± 0\.0000 +78\.6 +90\.0$", base)
    assert "78.6" not in old
    assert re.search(r"0\.5000 ± 0\.0000 +\+0\.1000", old)
    assert "CRPS" not in summarize([("base", row("A", 96, 0, 0.4))], "base")


def test_validation_scores_are_compared_if_a_test_score_is_missing():
    rows = [("base", row("A", 96, 0, 0.4, 0.6)), ("other", row("A", 96, 0, None, 0.7))]
    assert compare(rows, "base")[1].difference == pytest.approx(0.1)
    assert "test" not in summarize(rows, "base").splitlines()[1]
    assert summarize([], "base") == "no cell is finished yet"
