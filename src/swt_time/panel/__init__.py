"""Forecasts for panels: many series of any length, short ones included.

`fit_panel` fits a set of candidates (last value, seasonal naive, two forms of the Theta method, and a regression
pooled over all series), judges them on held-out windows, and keeps the winner or a convex combination. `fit_weekly`
fits a map for series with a daily and a weekly season.
"""

from swt_time.panel.candidates import CANDIDATES, COMBINATION
from swt_time.panel.fitted import FittedPanel
from swt_time.panel.fitting import fit_panel
from swt_time.panel.origins import longest_history, reach
from swt_time.panel.weekly import WeeklyMap, fit_weekly, longest_weekly, shortest_weekly

__all__ = [
    "CANDIDATES",
    "COMBINATION",
    "FittedPanel",
    "WeeklyMap",
    "fit_panel",
    "fit_weekly",
    "longest_history",
    "longest_weekly",
    "reach",
    "shortest_weekly",
]
