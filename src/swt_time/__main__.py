"""``python -m swt_time`` is the command line."""

from swt_time.cli import main

main()
