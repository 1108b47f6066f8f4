"""Plain loops over one series, written from the formulas, against which the panel is verified.

Theta: Fiorucci et al. 2016, equations of the standard (STM) and the dynamic optimised (DOTM) model. Decomposition:
classical, with a centred moving average.
"""

import math

import numpy as np


def theta_path(values, alpha, initial, weight, dynamic, horizon):
    """Return one-step errors and forecasts of the Theta recursion with given parameters."""
    n = len(values)
    line = [np.polynomial.Polynomial.fit(range(1, n + 1), values, 1).convert().coef.tolist()] if n > 1 else []
    level, errors, history = initial, [], list(values)
    forecasts = []
    for t in range(n + horizon):
        if dynamic:
            known = history[:t]
            if t == 0:
                a, b = history[0], 0.0
            elif t == 1:
                a, b = known[0], 0.0
            else:
                b, a = np.polyfit(np.arange(1, t + 1), known, 1)
        else:
            a, b = (line[0] + [0.0])[:2]
        value = level + weight * (a * (1 - alpha) ** t + b * (1 - (1 - alpha) ** (t + 1)) / alpha)
        if t < n:
            errors.append(values[t] - value)
            value = values[t]
        else:
            forecasts.append(value)
            history.append(value)
        level = alpha * value + (1 - alpha) * level
    return np.array(errors), np.array(forecasts)


def best_theta(values, dynamic, alphas=60):
    """Return the smallest sum of squared one-step errors from the fourth value on, by a dense search over alpha.

    The errors are linear in initial level and weight, so that three paths determine them.
    """
    best = math.inf
    for alpha in np.linspace(0.1, 0.99, alphas):
        fixed = 0.0 if dynamic else 0.5
        base = theta_path(values, alpha, 0.0, fixed, dynamic, 0)[0][3:]
        by_level = theta_path(values, alpha, 1.0, fixed, dynamic, 0)[0][3:] - base
        columns = [by_level]
        if dynamic:
            columns.append(theta_path(values, alpha, 0.0, 1.0, dynamic, 0)[0][3:] - base)
        for weight in (None, 0.0, 1.0) if dynamic else (None,):
            if weight is None:
                solution = np.linalg.lstsq(np.stack(columns, 1), -base, rcond=None)[0]
                if dynamic and not 0 <= solution[1] <= 1:
                    continue
                errors = base + np.stack(columns, 1) @ solution
            else:
                rest = base + weight * columns[1]
                errors = rest - columns[0] * (columns[0] @ rest) / (columns[0] @ columns[0])
            best = min(best, errors @ errors)
    return best


def is_seasonal(values, season):
    """Test the autocorrelation at the season length at 90 %."""
    n = len(values)
    if n < 2 * season:
        return False
    mean = sum(values) / n
    variance = sum((v - mean) ** 2 for v in values)
    r = [sum((values[t] - mean) * (values[t + k] - mean) for t in range(n - k)) / variance for k in range(season + 1)]
    return abs(r[season]) > 1.6448536269514722 * math.sqrt((1 + 2 * sum(c * c for c in r[1:season])) / n)


def seasonal_indices(values, season, multiplicative):
    """Return the indices of a classical decomposition, one for each phase."""
    n, half = len(values), season // 2
    phases = [[] for _ in range(season)]
    for t in range(half, n - half):
        if season % 2:
            trend = sum(values[t - half : t + half + 1]) / season
        else:
            trend = (values[t - half] / 2 + sum(values[t - half + 1 : t + half]) + values[t + half] / 2) / season
        phases[t % season].append(values[t] / trend if multiplicative else values[t] - trend)
    means = np.array([np.mean(phase) for phase in phases])
    return means / means.mean() if multiplicative else means - means.mean()
