"""Progress on standard error: a progress bar on a terminal, plain lines elsewhere."""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from swt_time.training import Compared, Event, Plan, Run, Solved, Step

PLAIN_SECONDS = 10.0
"""Minimum time between two plain lines about steps."""


def format_seconds(seconds: float) -> str:
    """``42 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def describe(event: Event) -> str | None:
    """Describe an event in one line; None for the beginning of a run, whose table and choice were described."""
    if isinstance(event, Run):
        return None
    if isinstance(event, Plan):
        return f"plan: {event.total_steps} steps, about {format_seconds(event.seconds)} in all"
    if isinstance(event, Compared):
        return f"compared on held-out blocks: {event.candidate}  error {event.error:.4f}  ({event.seconds:.1f} s)"
    if isinstance(event, Solved):
        return f"closed form solved in {event.seconds:.1f} s: {event.solution.describe()}"
    if isinstance(event, Step):
        return (
            f"step {event.step}/{event.total_steps}  loss {event.loss:.4f}  {event.windows_per_second:.0f} windows/s  "
            f"{format_seconds(event.seconds_left)} left"
        )
    validation = "" if event.validation_loss is None else f"  validation {event.validation_loss:.4f}"
    gate = "" if event.gate is None else f"  gate {event.gate:+.3f}"
    best = "  best so far" if event.best and event.validation_loss is not None else ""
    return f"step {event.step}  epoch {event.epoch:.2f}  train {event.train_loss:.4f}{validation}{gate}{best}"


@contextlib.contextmanager
def training_progress(console: Console) -> Iterator[Callable[[Event], None]]:
    """Report training events on a console: a progress bar on a terminal, plain lines where output is piped."""
    if not console.is_terminal:
        yield _plain_reporter(console)
        return
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("training", total=None, note="measuring the first steps")

        def report(event: Event) -> None:
            if isinstance(event, Step):
                _, _, note = str(describe(event)).partition("  ")
                progress.update(task, completed=event.step, total=event.total_steps, note=note)
            elif (line := describe(event)) is not None:
                progress.console.print(line, highlight=False)

        yield report


def _plain_reporter(console: Console) -> Callable[[Event], None]:
    last = time.monotonic()

    def report(event: Event) -> None:
        nonlocal last
        now, line = time.monotonic(), describe(event)
        if line is None or (isinstance(event, Step) and now - last < PLAIN_SECONDS):
            return
        last = now
        console.print(line, highlight=False, soft_wrap=True)

    return report


@contextlib.contextmanager
def reading_progress(console: Console) -> Iterator[None]:
    """Show on a terminal that a table is being read; show nothing where output is piped."""
    with console.status("reading the table") if console.is_terminal else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def counting_progress(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """Report ``(done, total)`` as a progress bar on a terminal; report nothing where output is piped."""
    if not console.is_terminal:
        yield lambda done, total: None
        return
    with Progress(TextColumn(what), BarColumn(), MofNCompleteColumn(), console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
