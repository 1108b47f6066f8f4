"""The sections of a report, in their order; each is a function from `Facts` to markup, None where there is nothing."""

from collections.abc import Callable

from swt_time.report.facts import Facts
from swt_time.report.markup import Markup
from swt_time.report.sections.accuracy import accuracy
from swt_time.report.sections.calibration import calibration
from swt_time.report.sections.choice import choice
from swt_time.report.sections.forecast import forecast
from swt_time.report.sections.provenance import provenance
from swt_time.report.sections.table import the_table
from swt_time.report.sections.wavelets import wavelets

SECTIONS: dict[str, tuple[str, Callable[[Facts], Markup | None]]] = {
    "data": ("The data", the_table),
    "forecast": ("The forecast", forecast),
    "accuracy": ("Accuracy", accuracy),
    "calibration": ("Intervals", calibration),
    "choice": ("What was chosen, and why", choice),
    "wavelets": ("The wavelet view", wavelets),
    "provenance": ("Provenance", provenance),
}
"""Title and function by name."""
