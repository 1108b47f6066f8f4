"""Counts and durations as text for Prometheus."""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping

from swt_time.machine import resident_memory

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of durations in seconds."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

OTHER = "other"
"""Label of paths and methods that the service does not have: whoever asks cannot make labels."""


class Metrics:
    """Counts of one process; every method may be called by any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._durations: dict[str, list[int]] = {}
        self._seconds: Counter[str] = Counter()
        self._batches = self._batched = self._windows = 0

    def answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count an answer; ``path`` is that of its route, or `OTHER`."""
        with self._guard:
            self._requests[method if method in METHODS else OTHER, path, status] += 1
            self._durations.setdefault(path, [0] * (len(BUCKETS) + 1))[bisect_left(BUCKETS, seconds)] += 1
            self._seconds[path] += seconds  # type: ignore[assignment]  # the stubs count whole numbers only

    def batch(self, requests: int, windows: int) -> None:
        """Count a batch of windows that a model forecast together."""
        with self._guard:
            self._batches += 1
            self._batched += requests
            self._windows += windows

    def text(self, now: Mapping[str, float]) -> str:
        """All counts, and the values of ``now``, in the text format of Prometheus."""
        with self._guard:
            lines = _head("requests_total", "counter", "Answers by method, route and status.")
            for (method, path, status), count in sorted(self._requests.items()):
                lines.append(f'swt_time_requests_total{{method="{method}",path="{path}",status="{status}"}} {count}')
            lines += _head("request_seconds", "histogram", "Time from headers to answer.")
            for path, counts in sorted(self._durations.items()):
                total = 0
                for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
                    total += count
                    lines.append(f'swt_time_request_seconds_bucket{{path="{path}",le="{bound}"}} {total}')
                lines.append(f'swt_time_request_seconds_sum{{path="{path}"}} {self._seconds[path]:.6f}')
                lines.append(f'swt_time_request_seconds_count{{path="{path}"}} {total}')
            for name, value, text in (
                ("batches_total", self._batches, "Batches of windows that a model forecast together."),
                ("batched_requests_total", self._batched, "Requests in these batches."),
                ("batched_windows_total", self._windows, "Windows in these batches."),
            ):
                lines += [*_head(name, "counter", text), f"swt_time_{name} {value}"]
        memory = resident_memory()
        gauges = {**now} if memory is None else {**now, "resident_bytes": memory}
        for name, number in gauges.items():
            lines += [*_head(name, "gauge", f"{name.replace('_', ' ').capitalize()} now."), f"swt_time_{name} {number}"]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP swt_time_{name} {text}", f"# TYPE swt_time_{name} {kind}"]
