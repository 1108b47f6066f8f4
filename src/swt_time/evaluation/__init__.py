"""Evaluation: forecast errors, scores of models and baselines, and experiments.

- ``metrics``, ``scoring``: errors as sums over all points; scores over every window of a part;
- ``interval_metrics``, ``interval_scores``: the same of intervals and quantiles;
- ``forecasting``, ``baselines``: the interface of what is scored; baselines;
- ``ablation``: variants of a configuration over seeds, one row per run;
- ``bands``: the wavelet bands of a series and their shares of its energy.
"""
