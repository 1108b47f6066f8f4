"""How good a forecast is: errors, scores of models and baselines, and experiments.

- ``metrics``, ``scoring``: errors as sums over all points; every window of a part scored;
- ``forecasting``, ``baselines``: what can be scored; what every result is compared with;
- ``ablation``: variants of a configuration over seeds, one row a run;
- ``bands``: a series' wavelet bands and their share of the energy.
"""
