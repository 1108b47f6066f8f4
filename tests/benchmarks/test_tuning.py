"""The contenders of the benchmark of tuning, and its table."""

import typing

import pytest

import tuning as benchmark
import tuning_results
from swt_time.config import Config, Tune
from swt_time.config.identity import config_hash


def row(contender, seed, error, **changes):
    found = {"task": "T", "place": "beside", "contender": contender, "seed": str(seed), "metric": "MSE"}
    return found | {"steps": "120", "error": str(error), "gate": "", "cpu_seconds": "3"} | changes


def test_every_tuning_is_measured_with_both_weights():
    configs = [Config().replace(changes) for changes in benchmark.CONTENDERS.values() if "backbone.tune" in changes]
    found = {(one.backbone.random_init, one.backbone.tune) for one in configs}
    assert found == {(random, tune) for random in (False, True) for tune in typing.get_args(Tune)}
    assert len({config_hash(one) for one in configs}) == len(configs)


def test_changes_are_paired_by_seed():
    rows = [row("MiniLM, none", seed, error) for seed, error in ((1, 2.0), (0, 1.0))]
    rows += [row("MiniLM, norms", seed, error, gate="0.5") for seed, error in ((0, 0.9), (1, 1.8))]
    rows += [row("random weights, norms", seed, error) for seed, error in ((0, 1.8), (1, 3.6))]
    rows += [row("head", 0, 1.5)]
    lines = {line[3]: line for line in tuning_results.lines_of(rows)}
    assert lines["MiniLM, none"][4:7] == ["1.5000 ± 0.7071", "", ""]
    assert lines["MiniLM, norms"][5:8] == ["-10.0 ± 0.0", "-50.0 ± 0.0", "+0.500"]
    assert lines["random weights, norms"][5:7] == ["", ""]
    assert lines["head"][4:] == ["1.5000", "", "", "", "3"]


def test_the_interval_is_that_of_students_t():
    assert tuning_results.paired([1.1, 1.0, 0.9], [1, 1, 1]) == "+0.0 ± 24.8"  # 4.303 * 10 / sqrt(3)
    assert tuning_results.paired([2], [1]) == "+100.0"
    with pytest.raises(ValueError):
        tuning_results.paired([1, 2], [1])
