"""Forecasts for panels: many series of any length, short ones included.

`fit_panel` fits a set of candidates (last value, seasonal naive, two forms of the Theta method, and a regression
pooled over all series), judges them on held-out windows, and keeps the winner or a convex combination.
"""

from swt_time.panel.candidates import CANDIDATES, COMBINATION
from swt_time.panel.fitted import FittedPanel
from swt_time.panel.fitting import fit_panel
from swt_time.panel.origins import longest_history, reach

__all__ = ["CANDIDATES", "COMBINATION", "FittedPanel", "fit_panel", "longest_history", "reach"]
