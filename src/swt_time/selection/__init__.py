"""Choices that are made on held-out blocks of a table, before the model that is saved is trained on all its rows.

- ``blocks``: held-out blocks at the ends of the series; ``errors``: the error of a candidate on them;
- ``contexts``: contexts, levels and patches that fit a table;
- ``choosing``: fit the candidates on the rows before each block, compare them, and choose;
- ``blend``: the chosen combination of the network and the panel, which a checkpoint stores.
"""

from swt_time.selection.blend import Blend
from swt_time.selection.choosing import CLOSED_FORM, Choice, choose, fit_blend

__all__ = ["CLOSED_FORM", "Blend", "Choice", "choose", "fit_blend"]
