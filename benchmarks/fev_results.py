"""The section on the evaluation by fev of ``RESULTS.md``."""

from collections.abc import Callable, Iterable, Sequence

Rows = Sequence[dict[str, str]]
Table = Callable[[Sequence[str], Iterable[Sequence[str]]], str]

METRICS = ("SQL", "MASE")

BOARD = {
    "skill_score": "skill",
    "skill_score_lower": "from",
    "skill_score_upper": "to",
    "win_rate": "win rate",
    "median_e2e_time_s": "median seconds",
}
"""Columns of fev's leaderboard, and what the page calls them."""


def section(rows: Rows, board: Rows, table: Table, origin: Sequence[str]) -> list[str]:
    """The blocks of the section: leaderboards, errors, and what they are."""
    versions, commits, machines = origin
    lines = [[row["metric"], row["model_name"], *(f"{float(row[name]):.3f}" for name in BOARD)] for row in board]
    return [
        "## By fev",
        table(["metric", "model", *BOARD.values()], lines),
        *(table(*one) for one in error_tables(rows)),
        f"{explanation(rows)}, one thread. {machines}, commit {commits}, {versions}.",
    ]


def error_tables(rows: Rows) -> list[tuple[list[str], list[list[str]]]]:
    """Heads and lines of a table of each metric: tasks by models; blank where a model was not run."""
    models = list(dict.fromkeys(row["model_name"] for row in rows))
    found = {(row["task_name"], row["model_name"]): row for row in rows}
    tables = []
    for metric in METRICS:
        lines = []
        for task in dict.fromkeys(row["task_name"] for row in rows):
            cells = [f"{float(found[task, one][metric]):.4f}" if (task, one) in found else "" for one in models]
            some = next(row for row in rows if row["task_name"] == task)
            lines.append([task, some["num_forecasts"], *cells])
        tables.append(([metric, "forecasts", *models], lines))
    return tables


def explanation(rows: Rows) -> str:
    """What the tables are."""
    tasks, version = {row["task_name"] for row in rows}, rows[0]["fev_version"]
    return (
        f"fev {version}, {len(tasks)} tasks from local tables, windows at the end of each series. SQL: the scaled "
        "error of nine quantiles, MASE: that of the forecast. Skill: 1 minus the geometric mean of the error relative "
        "to SeasonalNaive, with fev's 95 % bootstrap interval over tasks; win rate: the share of pairs of a task and "
        "another model in which the error is lower. swt-time fits without options on what each window shows; the "
        "others are those of statsforecast as in fev's own wrapper. Only swt-time uses the weather. "
        "`python benchmarks/fev_tasks.py`"
    )
