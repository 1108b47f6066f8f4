"""Training in two and three processes, compared with one: the same sums, losses, weights, order and end."""

import json
import signal

import numpy as np
import pytest

from support.several import in_processes
from support.several_cases import double_run, maps, of_training, of_two, refused, run


@pytest.fixture(scope="module")
def alone():
    return {"maps": maps(), "double": double_run(), "run": run(), "dropout": run(**{"model.dropout": 0.3})}


@pytest.fixture(scope="module")
def two(alone):
    """What each of two processes found; they also resume what one began."""
    return in_processes(2, of_two, alone["run"][2][0])


@pytest.fixture(scope="module")
def three(alone):
    return in_processes(3, of_training, alone["run"][2][0])


@pytest.fixture(params=["two", "three"])
def several(request):
    return request.getfixturevalue(request.param)


def assert_close(found, expected, **tolerance):
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        np.testing.assert_allclose(found[name], weight, err_msg=name, **tolerance)


@pytest.mark.parametrize("name", ["complete", "gaps", "folds"])
def test_the_closed_form_is_that_of_one_process(alone, several, name):
    """From products of lags, from windows with and without missing targets, in blocks and contiguous folds."""
    expected, form, sums = alone["maps"][name]
    for one in several:
        found, same, summed = one["maps"][name]
        for own, whole in zip(summed, sums, strict=True):
            np.testing.assert_allclose(own, whole, rtol=1e-10, atol=1e-10 * np.abs(whole).max())
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
        for key in form.keys() - {"gains"}:
            assert same[key] == (pytest.approx(form[key], rel=1e-9) if isinstance(form[key], float) else form[key])
    assert np.abs(expected).max() > 0.01, "control: the map is not zero"


def test_a_batch_has_the_gradient_of_one_process(alone, several):
    """In double precision, with a penalty, missing values, micro-batches, and an epoch that ends with one window, so
    that a process has none of its own."""
    weights, losses, validations, _ = alone["double"]
    for one in several:
        found, seen, validated, _ = one["double"]
        assert_close(found, weights, rtol=0, atol=1e-10)
        np.testing.assert_allclose(seen, losses, rtol=1e-10)
        np.testing.assert_allclose(validated, validations, rtol=1e-10)


def test_the_windows_of_a_step_are_divided(alone, several):
    """All processes together gather the windows of one process, step by step, and each only its own."""
    expected = steps(alone["run"][3])
    own = [steps(one["run"][3]) for one in several]
    for number, batch in enumerate(expected):
        parts = [of_one[number] for of_one in own]
        assert sorted(np.concatenate(parts)) == sorted(batch)
        for rank, part in enumerate(parts):
            np.testing.assert_array_equal(part, batch[rank :: len(several)])


def steps(asked):
    """The windows of each training step; the first gather asks for one window to learn its shape, if there is one."""
    return [indices for indices in asked if len(indices) > 1]


def test_the_windows_of_a_validation_are_divided(alone, several):
    last = [one["run"][4][-1] for one in several]
    assert sorted(np.concatenate(last)) == sorted(np.concatenate(alone["run"][4][-2:])) == list(range(32))


def test_weights_and_losses_are_those_of_one_process(alone, several):
    weights, result = alone["run"][:2]
    for one in several:
        found, same = one["run"][:2]
        assert_close(found, weights, rtol=0, atol=1e-5)
        assert same.best_loss == pytest.approx(result.best_loss, rel=1e-5)
        assert (same.steps, same.best_step, same.ended) == (result.steps, result.best_step, result.ended)


def test_all_processes_have_the_same_bits(several):
    first = several[0]
    for one in several[1:]:
        for name in ("run", "resumed"):
            assert_close(one[name][0], first[name][0], rtol=0, atol=0)
            assert one[name][1].history == first[name][1].history


def test_a_run_of_one_process_is_resumed_by_several(alone, several):
    """With the windows that one process would have taken next."""
    rest = steps(alone["run"][3])[5:]
    own = [steps(one["resumed"][3]) for one in several]
    for number, batch in enumerate(rest):
        assert sorted(np.concatenate([of_one[number] for of_one in own])) == sorted(batch)
    for one in several:
        assert_close(one["resumed"][0], alone["run"][0], rtol=0, atol=1e-5)


def test_a_run_of_two_processes_is_resumed_by_one(alone, two):
    weights, result, _, asked, _ = run(two[0]["run"][2][0])
    assert [list(one) for one in steps(asked)] == [list(one) for one in steps(alone["run"][3])[5:]]
    assert_close(weights, alone["run"][0], rtol=0, atol=1e-5)
    assert result.steps == 12


def test_dropout_is_that_of_the_step_so_a_resumed_run_has_the_same_bits(alone, two):
    for one in two:
        assert_close(one["dropout resumed"][0], one["dropout"][0], rtol=0, atol=0)
    assert_close(two[0]["dropout"][0], two[1]["dropout"][0], rtol=0, atol=0)
    assert not np.array_equal(two[0]["dropout"][0]["head.linear.weight"], two[0]["run"][0]["head.linear.weight"])


def test_a_signal_to_one_process_stops_all_after_the_same_step(two):
    results = [one["interrupted"][1] for one in two]
    assert [(one.ended, one.steps) for one in results] == [("interrupted", 7)] * 2
    assert [one.signal for one in results] == [signal.SIGINT, None], "control: one process had the signal"
    saved = [one["interrupted"][2][-1][0]["steps"] for one in two]
    assert saved == [7, 7]


@pytest.mark.parametrize(("name", "ended"), [("budget", {"finished", "time budget"}), ("patience", {"early stopping"})])
def test_all_processes_end_together(two, name, ended):
    first, second = (one[name] for one in two)
    assert first.ended == second.ended
    assert first.ended in ended
    assert first.steps == second.steps > 0
    assert first.history == second.history
    assert first.seconds == second.seconds


def test_a_batch_smaller_than_the_processes_is_refused_in_all(two):
    for one in two:
        assert one["too few windows"] == (
            "ConfigError",
            "training.batch_size 1 is divided among the processes, and there are 2; set it to 2 or more, or start "
            "fewer processes",
        )


def test_a_loss_that_is_not_finite_is_an_error_in_all(two):
    expected = refused(**{"training.learning_rate": 1e30, "training.clip_norm": None})
    assert expected is not None
    assert [one["not finite"] for one in two] == [expected] * 2


def test_states_are_plain(two):
    """What is saved is what one process saves: plain values, and tensors of the first process."""
    progress, tensors = two[0]["run"][2][0]
    assert json.loads(json.dumps(progress, default=vars))["steps"] == 5
    assert "random/cpu" in tensors
