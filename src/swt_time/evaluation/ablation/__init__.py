"""Experiments: variants of a base configuration and baselines, trained and scored the same way, one row a run."""

from swt_time.evaluation.ablation.cells import (
    OURS,
    Cell,
    Table,
    check_baselines,
    finished,
    make_cells,
    open_table,
    run_cell,
)
from swt_time.evaluation.ablation.running import missing_cells, run_cells
from swt_time.evaluation.ablation.summary import Difference, compare, differences, summarize
from swt_time.evaluation.ablation.table import append_row, read_rows
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
from swt_time.evaluation.ablation.workers import Outcome, run_parallel

__all__ = [
    "BASE",
    "EVERY_AXIS",
    "OURS",
    "Axis",
    "Cell",
    "Difference",
    "Outcome",
    "Table",
    "Variant",
    "append_row",
    "check_baselines",
    "compare",
    "differences",
    "expand",
    "finished",
    "make_cells",
    "missing_cells",
    "open_table",
    "parse_axis",
    "parse_variant",
    "read_axes",
    "read_rows",
    "run_cell",
    "run_cells",
    "run_parallel",
    "summarize",
]
