"""Effects of covariates, taken off a table before it is forecast and put back on the forecasts."""

from swt_time.effects.effects import Apart, Effects
from swt_time.effects.fitting import FittedEffects, add_windows, covariate_groups, fit_effects
from swt_time.effects.groups import Group
from swt_time.effects.title_fitting import add_titles

__all__ = ["Apart", "Effects", "FittedEffects", "Group", "add_titles", "add_windows", "covariate_groups", "fit_effects"]
