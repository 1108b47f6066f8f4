"""The best trial beside the base: when it is recommended, and what is written."""

import tomllib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swt_time.config import Config, read_config_file, read_preset
from swt_time.errors import ConfigError
from swt_time.selection.keeping import student_tail
from swt_time.tuning.folds import FoldErrors
from swt_time.tuning.result import Trial, Tuned, best_of, is_clear, judge
from swt_time.tuning.writing import check_config_output, config_toml, write_config

BASE = Config.parse(read_preset("fast"))


def trial(number, stretches, state="finished"):
    """A trial whose errors on the stretches of its folds (F, G) are these."""
    folds = tuple(FoldErrors(float(np.mean(one)), tuple(one)) for one in np.asarray(stretches).tolist())
    return Trial(number, {"data.context": number}, state, folds)


TEXT = st.characters(exclude_categories=["Cs"])  # surrogates are no text
NOISE = np.random.default_rng(0).normal(scale=0.01, size=(3, 8))


def test_a_sure_gain_is_recommended_and_a_doubtful_one_is_not():
    base = trial(0, np.ones((3, 8)))
    assert is_clear([base, trial(1, 0.95 + NOISE)])
    assert not is_clear([base, trial(1, 0.995 + 0.01 * NOISE)])  # below 1 %
    assert not is_clear([base, trial(1, 0.98 + 10 * NOISE)])  # within the noise
    assert not is_clear([base, trial(1, 1.05 + NOISE)])
    assert not is_clear([base])


def test_a_gain_must_be_one_in_every_fold():
    gains = np.array([[0.9], [0.9], [1.001]]) + 0 * NOISE
    found = [trial(0, np.ones((3, 8))), trial(1, gains)]
    assert judge(found).earned
    assert not is_clear(found)


def test_the_p_value_counts_the_trials_among_which_the_best_was_chosen():
    base, better = np.ones((3, 8)), 0.98 + 3 * NOISE
    gains = (base - better).ravel()
    p = student_tail(gains.mean() / (gains.std(ddof=1) / np.sqrt(24)), 23)
    found = [trial(0, base), trial(1, better)]
    assert judge(found).p == pytest.approx(2 * p)
    assert is_clear(found)
    others = [trial(i, base + 1, state="pruned") for i in range(2, 2 + int(0.05 / p))]
    assert judge([*found, *others]).p == pytest.approx(p * (2 + len(others)))
    assert not is_clear([*found, *others])


def test_pruned_and_failed_trials_are_never_the_best():
    found = [trial(0, np.ones((3, 8))), trial(1, 0 * np.ones((1, 8)), "pruned"), Trial(2, {}, "failed", message="x")]
    assert best_of(found).number == 0
    assert judge(found) is None


def test_lines_name_best_difference_and_recommendation():
    found = (
        trial(0, np.ones((3, 8))),
        trial(1, 0.9 + 0 * NOISE),
        trial(2, NOISE[:1], "pruned"),
        Trial(3, {}, "failed"),
    )
    lines = "\n".join(Tuned(BASE, found, BASE, BASE, "rows: some").lines())
    for part in (
        "4 trials (2 finished, 1 pruned, 1 failed), 3 folds",
        "error 1.0000 ± 0.0000 over folds",
        "trial 1: data.context=1",
        "-10.0% (95 % interval -10.0% to -10.0%)",
        "24 stretches",
        "best of 4 trials; lower in 3 of 3 folds",
        "recommended: the best trial",
        "rows: some",
    ):
        assert part in lines
    assert "no trial has a lower error" in "\n".join(Tuned(BASE, found[:1], BASE, BASE, "").lines())


@settings(max_examples=50, deadline=None)
@given(st.text(TEXT, max_size=30), st.lists(st.text(TEXT, max_size=8), max_size=3), st.floats(1e-12, 1e9))
def test_a_configuration_file_holds_the_configuration(description, names, rate):
    changes = {"data.description": description, "data.known": tuple(names), "training.learning_rate": rate}
    config = BASE.replace(changes)
    assert Config.parse(tomllib.loads(config_toml(config, ["a\nb", description]))) == config


def test_a_written_configuration_is_read_by_train(tmp_path):
    path = tmp_path / "best.toml"
    write_config(path, BASE, ["why"])
    assert path.read_text().startswith("# why\n\n[data]\n")
    assert Config.parse(read_config_file(path)) == BASE


def test_what_cannot_be_written_is_refused_at_the_door(tmp_path):
    with pytest.raises(ConfigError, match=r"ending in \.toml"):
        check_config_output(tmp_path / "best.json", BASE)
    with pytest.raises(ConfigError, match="does not exist"):
        check_config_output(tmp_path / "no" / "best.toml", BASE)
    with pytest.raises(ConfigError, match=r"training\.patience"):
        check_config_output(tmp_path / "best.toml", BASE.replace({"training.patience": None}))
