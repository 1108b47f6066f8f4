"""Experiments: variants of a base configuration and baselines, trained and scored alike; one results row per run.

- ``variants``: axes of named changes to a configuration;
- ``cells``, ``running``: the runs of an experiment, in several processes;
- ``results``, ``summary``: results files, and comparisons over seeds.
"""

from swt_time.evaluation.ablation.cells import Cell, Dataset, finished, make_cells, open_dataset, run_cell
from swt_time.evaluation.ablation.results import OURS, Row, append_row, read_rows
from swt_time.evaluation.ablation.running import missing_cells, run_cells
from swt_time.evaluation.ablation.summary import Difference, compare, differences, summarize
from swt_time.evaluation.ablation.variants import (
    BASE,
    EVERY_AXIS,
    Axis,
    Variant,
    expand,
    parse_axis,
    parse_variant,
    read_axes,
)
from swt_time.evaluation.baselines import check_baselines
from swt_time.workers import Outcome, run_parallel

__all__ = [
    "BASE",
    "EVERY_AXIS",
    "OURS",
    "Axis",
    "Cell",
    "Dataset",
    "Difference",
    "Outcome",
    "Row",
    "Variant",
    "append_row",
    "check_baselines",
    "compare",
    "differences",
    "expand",
    "finished",
    "make_cells",
    "missing_cells",
    "open_dataset",
    "parse_axis",
    "parse_variant",
    "read_axes",
    "read_rows",
    "run_cell",
    "run_cells",
    "run_parallel",
    "summarize",
]
