"""Run the cells planned in ``cells.toml`` and write ``results/accuracy.csv``; finished cells are not run again.

    python benchmarks/accuracy.py --data FOLDER                                # run all missing cells
    python benchmarks/accuracy.py --data FOLDER --only 'forecast/ETTh1/96/*'   # run some of them
    python benchmarks/accuracy.py --data FOLDER --only '*' --list              # list finished and missing cells
    python benchmarks/accuracy.py --data FOLDER --only 'llm/*/0' --again       # run finished cells again and compare

FOLDER holds ETTh1.csv, ETTh2.csv and national_illness.csv.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from plan import RESULTS, Planned, plan_cells
from swt_time.errors import SWTTimeError
from swt_time.evaluation.ablation import finished, missing_cells, read_rows, run_cell, run_cells, run_parallel

SPREADS = 3
"""Standard deviations over seeds by which a repeated cell may differ: rounding differs between machines."""


def main(words: Sequence[str] | None = None) -> int:
    """Run, list or repeat cells; return 1 if a cell failed or was not reproduced."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the datasets")
    parser.add_argument("--out", type=Path, default=RESULTS, help="results, CSV (default: %(default)s)")
    parser.add_argument("--only", default="*", help="pattern of study/dataset/horizon/contender/seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--threads", type=int, default=1, help="threads of each process")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--list", action="store_true", help="list finished and missing cells; run none")
    action.add_argument("--again", action="store_true", help="run finished cells again and compare the scores")
    options = parser.parse_args(words)
    everything = plan_cells(options.data)
    planned = [one for one in everything if fnmatchcase(one.path, options.only)]
    if not planned:
        parser.error(f"no planned cell matches {options.only!r}; --list shows the paths of all cells")
    rows = read_rows(options.out)
    if options.again:
        return _repeat(planned, everything, options)
    cells = list({one.cell.key: one.cell for one in planned}.values())
    missing = missing_cells(cells, rows, with_test=True)
    if options.list:
        for one in planned:
            print(f"{'missing ' if one.cell in missing else 'finished'}  {one.path}")
        return 0
    print(f"{len(cells)} cells, {len(cells) - len(missing)} finished before", flush=True)
    failed = run_cells(
        missing, options.out, jobs=options.jobs, threads=options.threads, with_test=True, say=_say_at_once
    )
    return 1 if failed else 0


def _repeat(planned: Sequence[Planned], everything: Sequence[Planned], options: argparse.Namespace) -> int:
    """Run finished cells again without writing, and compare each score with the one in the results."""
    done = finished(read_rows(options.out))
    cells = [one for one in planned if one.cell.key in done]
    bad = 0
    work = [(one.cell, True) for one in cells]
    for outcome in run_parallel(run_cell, work, jobs=options.jobs, threads=options.threads):
        one = cells[outcome.index]
        if outcome.error is not None:
            _say_at_once(f"{one.path}: failed: {outcome.error}")
            bad += 1
            continue
        same = [other for other in everything if _without_seed(other) == _without_seed(one)]
        scores = [done[other.cell.key].mse for other in same if other.cell.key in done]
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        committed, again = done[one.cell.key].mse, outcome.result.mse
        good = abs(again - committed) <= max(SPREADS * spread, 1e-4)
        bad += not good
        note = "reproduced" if good else "NOT reproduced"
        _say_at_once(f"{one.path}: committed {committed:.4f}, again {again:.4f}, spread {spread:.4f}: {note}")
    _say_at_once(f"{len(cells) - bad} of {len(cells)} finished cells reproduced")
    return 1 if bad or not cells else 0


def _without_seed(one: Planned) -> str:
    return one.path.rpartition("/")[0]


def _say_at_once(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SWTTimeError as error:
        sys.exit(f"error: {error}")
