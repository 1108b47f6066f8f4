"""Write docs/trust.md from the tables benchmarks/results/trust_*.csv; ``make trust`` measures them first.

python benchmarks/trust.py
"""

import csv
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "trust.md"

HEAD = """# Trust

What was tried against swt-time, and how often it went as promised. Written by `benchmarks/trust.py` from the tables
`benchmarks/results/trust_*.csv`, which the tests themselves write; not edited by hand. `make trust` measures every line
again, the command beside a line that line alone. [SECURITY.md](../SECURITY.md) says what is trusted and what is not.
"""


def read_rows(folder: Path) -> list[dict[str, str]]:
    """All rows of the tables in a folder, by item and claim."""
    rows = []
    for path in sorted(folder.glob("trust_*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    return sorted(rows, key=lambda row: (row["item"], row["claim"]))


def page(rows: Iterable[dict[str, str]]) -> str:
    """The page that rows make; a line that did not hold everywhere is set in bold."""
    lines = [HEAD, "| item | claim | held | rerun | commit |", "|---|---|---|---|---|"]
    for row in rows:
        held = f"{row['passed']} of {row['cases']}"
        held = held if row["passed"] == row["cases"] else f"**{held}**"
        cells = (row["item"], row["claim"], held, f"`{row['command']}`", row["commit"])
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(read_rows(ROOT / "benchmarks" / "results")), encoding="utf-8")
