"""Linear forecast solved in closed form: ridge regression from window to horizon with a prior.

A window ``x`` and its horizon ``y``, relative to the centre of the window, are related by one matrix for all series::

    W = argmin sum |y - W x|^2 + strength * trace((W - W0) R (W - W0)')

``R`` is a wavelet prior or a prior of season and lag decay (``priors``), ``W0`` is zero or a map of few numbers a step
(``structure``). ``strength`` is the amount of regularisation: the larger it is, the closer ``W`` is to ``W0``.

The solution and its squared error depend on the windows only through sums of second moments (``moments``). Where no
value is missing, the sums over all windows follow from products of lagged values, without reading each window
(``lags``). A grid search over priors and strengths (``ridge``) therefore reads the data once. The form is chosen on
held-out blocks (``folds``) and fitted on the training windows (``solving``); whatever the form, the result is one
matrix (``skip``). Its errors on the held-out blocks are those that intervals are made of (``residuals``). Where its
sums are kept (``sums``), more windows can be added to them later.
"""

from typing import TYPE_CHECKING

from swt_time.lazily import exports
from swt_time.model.closed_form.priors import Prior
from swt_time.model.closed_form.residuals import HeldOutErrors, held_out_residuals
from swt_time.model.closed_form.solving import FormRecord, Gain, Solution, solve, solve_again
from swt_time.model.closed_form.sums import PREFIX, Sums, check_partial, sum_all

if TYPE_CHECKING:
    from swt_time.model.closed_form.skip import RidgeSkip

__all__ = [
    "PREFIX",
    "FormRecord",
    "Gain",
    "HeldOutErrors",
    "Prior",
    "RidgeSkip",
    "Solution",
    "Sums",
    "check_partial",
    "held_out_residuals",
    "solve",
    "solve_again",
    "sum_all",
]

# The layer needs PyTorch, the solution does not.
__getattr__ = exports(__name__, {"RidgeSkip": "skip"})
