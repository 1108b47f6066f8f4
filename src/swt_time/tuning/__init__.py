"""Search configurations with Optuna, judged on held-out blocks of the rows before the test part.

- ``space``, ``defaults``: what is searched;
- ``folds``: the objective, errors on held-out blocks;
- ``study``: the file of a study, which can be continued;
- ``running``: the trials; ``searching``: the whole of a study;
- ``result``: the best trial beside the base, and whether it is clearly better;
- ``writing``: the recommended configuration as a file.
"""

from swt_time.tuning.result import Trial, Tuned
from swt_time.tuning.searching import tune_series, tune_table
from swt_time.tuning.space import Range

__all__ = ["Range", "Trial", "Tuned", "tune_series", "tune_table"]
