"""The section on known covariates of ``RESULTS.md``."""

from collections.abc import Sequence

Rows = Sequence[dict[str, str]]

HEADS = ("method", "none, sample", "known, sample", "none, every", "known, every", "seconds", "CPU seconds")


def peer_lines(rows: Rows) -> list[list[str]]:
    """Errors and times of each method; blank where it was not run."""
    return [[method, *_cells(rows, method)] for method in dict.fromkeys(row["method"] for row in rows)]


def _cells(rows: Rows, method: str) -> list[str]:
    found = {(row["windows"], row["covariates"]): row for row in rows if row["method"] == method}
    arms = [(windows, covariates) for windows in ("sample", "every") for covariates in ("none", "known")]
    errors = [f"{float(found[arm]['mse']):.4f}" if arm in found else "" for arm in arms]
    times = [[found[arm][key] for arm in arms[:2] if arm in found] for key in ("seconds", "cpu_seconds")]
    return [*errors, *(" / ".join(one) for one in times)]
