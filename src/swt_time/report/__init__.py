"""Reports of a forecast: one HTML file that works offline, prints well, and can be read without a script."""

from swt_time.report.facts import Past, as_it_is
from swt_time.report.writing import check_report, write_backtest_report, write_report, write_series_report

__all__ = ["Past", "as_it_is", "check_report", "write_backtest_report", "write_report", "write_series_report"]
