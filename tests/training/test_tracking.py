"""The running mean of the training loss, and the best weights."""

import math

import pytest
import torch

from swt_time.training.tracking import BestWeights, RunningMean


def test_running_mean_is_weighted_and_starts_again_after_it_was_taken():
    mean = RunningMean()
    assert mean.take() == 0
    mean.add(1.0, 3)
    mean.add(5.0)
    assert mean.take() == 2.0
    assert mean.take() == 0
    mean.add(7.0, 2)
    assert mean.take() == 7.0


def test_running_mean_continues_from_given_sums():
    mean = RunningMean(total=6.0, count=2)
    mean.add(12.0)
    assert (mean.total, mean.count) == (18.0, 3)
    assert mean.take() == 6.0


def weights(value):
    return {"a": torch.full((2,), float(value)), "b": torch.full((), float(value))}


def test_the_lowest_loss_wins_and_bad_rounds_are_counted():
    best = BestWeights()
    outcome = [(best.update(loss, weights(i)), best.bad_rounds) for i, loss in enumerate([3.0, 2.0, 2.0, 5.0, 1.0])]
    assert outcome == [(True, 0), (True, 0), (False, 1), (False, 2), (True, 0)]
    assert best.loss == 1.0
    assert best.weights["a"].tolist() == [4, 4]


def test_without_a_validation_loss_the_latest_weights_are_the_best():
    best = BestWeights()
    assert [best.update(None, weights(i)) for i in range(3)] == [True] * 3
    assert best.loss is None
    assert best.weights["b"].item() == 2


def test_a_loss_that_is_not_a_number_is_no_improvement():
    best = BestWeights()
    assert best.update(2.0, weights(0))
    assert not best.update(math.nan, weights(1))
    assert best.loss == 2.0


def test_weights_are_copied_and_restored_in_place():
    best, own = BestWeights(), weights(1)
    best.update(1.0, own)
    own["a"].add_(10)
    own["b"].add_(10)
    assert best.weights["a"].tolist() == [1, 1]
    same = own["a"]
    best.restore(own)
    assert own["a"] is same
    assert same.tolist() == [1, 1]
    assert own["b"].item() == 1


def test_restore_without_a_validation_changes_nothing():
    own = weights(3)
    BestWeights().restore(own)
    assert own["a"].tolist() == [3, 3]


def test_best_weights_continue_from_a_state():
    best = BestWeights(2.0, weights(5), bad_rounds=3)
    assert not best.update(2.5, weights(6))
    assert best.bad_rounds == 4
    own = weights(0)
    best.restore(own)
    assert own["a"].tolist() == [5, 5]


def test_weights_that_require_a_gradient_are_restored():
    best = BestWeights(1.0, weights(5))
    parameter = torch.nn.Parameter(torch.zeros(2))
    best.restore({"a": parameter})
    assert parameter.tolist() == pytest.approx([5, 5])
    assert parameter.requires_grad
