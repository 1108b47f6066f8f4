"""The origin of a training run: code, data, time and machine."""

import platform
import time
from typing import Any

from swt_time.data.series import SeriesTable, series_sha256
from swt_time.machine import thread_count
from swt_time.provenance import package_versions, source_commit


def describe_training(series: SeriesTable, seed: int) -> dict[str, Any]:
    """Provenance of a training run: versions, commit, seed, hash and size of the data, time and machine."""
    return {
        "versions": package_versions(),
        "commit": source_commit(),
        "seed": seed,
        "data_sha256": series_sha256(series),
        "rows": int(series.lengths.sum()),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": f"{platform.system()} {platform.machine()}, {thread_count()} threads",
    }
