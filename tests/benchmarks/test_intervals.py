"""Scores and contenders of the intervals benchmark, verified against plain loops."""

import numpy as np
import pytest

import intervals
from swt_time.intervals import Residuals, conformal_quantiles


def test_sums_are_means_over_observed_points():
    rng = np.random.default_rng(0)
    quantiles = np.sort(rng.normal(size=(len(intervals.PROBABILITIES), 5, 3)), axis=0)
    targets, units = rng.normal(size=(5, 3)), rng.uniform(1, 2, size=5)
    targets[0, 1] = np.nan
    sums = intervals.Sums()
    sums.add(quantiles[:, :2], targets[:2], units[:2])
    sums.add(quantiles[:, 2:], targets[2:], units[2:])
    inside, losses, widths = [], [], []
    for i, h in zip(*np.nonzero(~np.isnan(targets)), strict=True):
        target, own = targets[i, h], quantiles[:, i, h]
        inside.append(own[2] <= target <= own[-3])
        widths.append((own[-3] - own[2]) / units[i])
        pairs = zip(intervals.PROBABILITIES, own, strict=True)
        losses.append(np.mean([2 * max(p * (target - q), (p - 1) * (target - q)) / units[i] for p, q in pairs]))
    row = sums.row()
    assert float(row["coverage_80"]) == pytest.approx(100 * np.mean(inside), abs=0.01)
    assert float(row["crps"]) == pytest.approx(np.mean(losses), abs=1e-4)
    assert float(row["width_80"]) == pytest.approx(np.mean(widths), abs=1e-4)


@pytest.mark.parametrize("own", [True, False])
def test_plain_quantiles_are_those_of_each_series_or_of_all(own):
    rng = np.random.default_rng(1)
    pairs = np.stack([np.repeat([0, 1], 50), np.arange(100)], axis=1)
    units = np.array([1.0, 10.0])
    values = rng.normal(size=(100, 2)) * units[pairs[:, 0], None]
    residuals = Residuals(pairs, values, np.zeros(100, int), "")
    yhat = np.array([[5.0, 6.0], [7.0, 8.0]])
    found = intervals.Plain.fit(residuals, units, own, normal=False).around(yhat, np.array([1, 0]), units)
    for row, series in enumerate((1, 0)):
        kept = pairs[:, 0] == series if own else np.ones(100, bool)
        scaled = values[kept] / units[pairs[kept, 0], None]
        expected = yhat[row] + units[series] * conformal_quantiles(scaled, intervals.PROBABILITIES)
        np.testing.assert_allclose(found[:, row], expected)
    normal = intervals.Plain.fit(residuals, units, own, normal=True).around(yhat, np.array([1, 0]), units)
    np.testing.assert_allclose(normal[6], yhat, atol=1e-9)
    np.testing.assert_allclose(normal[0] - yhat, yhat - normal[-1], atol=1e-9)
