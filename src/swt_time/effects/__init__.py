"""Effects of covariates, taken off a table before it is forecast and put back on the forecasts."""

from swt_time.effects.effects import Apart, Effects
from swt_time.effects.fitting import FittedEffects, add_windows, covariate_groups, fit_effects
from swt_time.effects.groups import Group

__all__ = ["Apart", "Effects", "FittedEffects", "Group", "add_windows", "covariate_groups", "fit_effects"]
