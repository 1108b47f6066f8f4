"""RESULTS.md is generated from the rows, and the committed page is up to date."""

import csv
import re
import shutil
import statistics
from dataclasses import replace

import pytest

import plan
import results
from plan import plan_cells
from swt_time.evaluation.ablation import Row, read_rows


@pytest.fixture(scope="module")
def planned():
    return plan_cells()


def write(folder, rows):
    with (folder / "accuracy.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0].cells()))
        writer.writeheader()
        writer.writerows(row.cells() for row in rows)


def row(one, mse):
    config = one.cell.config
    return Row(
        dataset=one.cell.dataset.name,
        trained_on=one.cell.trained_on.name,
        horizon=config.data.horizon,
        model=one.cell.model,
        seed=config.training.seed,
        mse=mse,
        mae=mse / 2,
        validation_mse=mse,
        seconds=3.0,
        config_hash=one.cell.hash,
        data_sha256="123",
        commit="abc",
        machine="a machine",
        versions="torch=2",
    )


def line_of(page, heading, label):
    part = page[page.index(heading) :]
    return next(line for line in part.splitlines() if line.startswith(f"| {label} |")).split(" | ")


def test_committed_page_is_up_to_date(tmp_path):
    results.main(["--out", str(tmp_path / "RESULTS.md")])
    assert (tmp_path / "RESULTS.md").read_text() == (plan.HERE / "RESULTS.md").read_text(), "run: make results"


def test_a_changed_row_changes_the_page(tmp_path, planned):
    shutil.copytree(plan.HERE / "results", tmp_path, dirs_exist_ok=True)
    assert results.page(tmp_path) == (plan.HERE / "RESULTS.md").read_text()
    rows = read_rows(tmp_path / "accuracy.csv")
    shown = {one.key for one in planned}
    first = next(i for i, row in enumerate(rows) if row.mse is not None and plan.key_of(row) in shown)
    rows[first] = replace(rows[first], mse=rows[first].mse + 0.01)
    write(tmp_path, rows)
    assert results.page(tmp_path) != (plan.HERE / "RESULTS.md").read_text()


def test_paths_of_cells_are_unique(planned):
    paths = [one.path for one in planned]
    assert len(set(paths)) == len(paths) > 300
    assert all(re.fullmatch(r"[\w-]+/\w+/\d+/[^/]+/\d", path) for path in paths)


def test_the_plan_covers_the_grid(planned):
    paths = {one.path for one in planned}
    for name in ("ETTh1", "ETTh2"):
        for horizon in (96, 192, 336, 720):
            place = f"forecast/{name}/{horizon}"
            assert {f"{place}/linear/{seed}" for seed in range(3)} <= paths
            assert {path for path in paths if path.startswith(f"{place}/base/")} == {f"{place}/base/0"}, "no randomness"
    assert {one.cell.config.data.train_fraction for one in planned if one.study == "few-shot"} == {0.1}
    assert {(one.cell.trained_on.name, one.cell.dataset.name) for one in planned if one.study == "zero-shot"} == {
        ("ETTh1", "ETTh2"),
        ("ETTh2", "ETTh1"),
    }
    backbones = {(one.cell.config.backbone.name, one.cell.config.backbone.random_init) for one in planned}
    assert {("none", False), ("minilm", False), ("minilm", True), ("attention", False)} <= backbones


def test_without_results_all_cells_are_missing(tmp_path, planned):
    page = results.page(tmp_path)
    assert f"{len(planned)} of {len(planned)} planned cells." in page
    for command in (
        "python benchmarks/startup.py --out benchmarks/results/startup.csv",
        "python benchmarks/measure_speed.py step --growth all --out benchmarks/results/growth_minilm.csv",
    ):
        assert f"- `{command}`" in page


def test_speed_rows_are_grouped_by_machine(tmp_path):
    row = {
        "backbone": "minilm",
        "kind": "step",
        "contender": "reference",
        "precision": "float32",
        "seconds": "6.5",
        "times_faster_than_reference": "1.0",
        "peak_mib": "4000",
        "share_of_rate_language_model": "",
        "machine": "one",
        "commit": "abc",
    }
    ours = row | {
        "contender": "compact, free",
        "seconds": "0.5",
        "times_faster_than_reference": "13.0",
        "share_of_rate_language_model": "0.514",
    }
    peers = row | {"contender": "neuralforecast", "seconds": "13.0", "times_faster_than_neuralforecast": "1.0"}
    for name, rows in {
        "step_minilm": [row, ours],
        "step_minilm_other": [made | {"machine": "two", "commit": "def"} for made in (peers, ours)],
    }.items():
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows({key: made.get(key, "") for key in rows[0]} for made in rows)
    page = results.page(tmp_path)
    assert "| minilm | step | compact, free | float32 | 0.5 | 13.0x |  | 4000 | 51% |" in page
    assert "| minilm | step | neuralforecast | float32 | 13.0 | 1.0x | 1.0x | 4000 |  |" in page
    assert page.index("one, commit abc.") < page.index("two, commit def.")
    assert "step_minilm.csv`" not in page
    assert "- `python benchmarks/measure_speed.py inference" in page


def test_means_and_stds(tmp_path, planned):
    values = {}
    for number, one in enumerate(planned):
        if one.path.startswith("forecast/ETTh1/") and one.contender in ("base", "linear"):
            values[one.path] = (one, 0.3 + number % 7 / 10)
    write(tmp_path, [row(one, mse) for one, mse in values.values()])
    page = results.page(tmp_path)
    cells = line_of(page, "## Long-term", "linear")
    for column, horizon in enumerate((96, 192, 336, 720), 1):
        three = [values[f"forecast/ETTh1/{horizon}/linear/{seed}"][1] for seed in range(3)]
        assert cells[column] == f"{statistics.mean(three):.4f} ± {statistics.stdev(three):.4f}"
    everything = [mse for one, mse in values.values() if one.contender == "linear"]
    assert cells[5] == f"{statistics.mean(everything):.4f}"
    assert "| *Time-LLM, look-back 512* | 0.362 | 0.398 | 0.430 | 0.442 | 0.408 | Jin et al., ICLR 2024 |" in page
    better = sum(
        values[f"forecast/ETTh1/{h}/base/0"][1]
        <= statistics.mean(values[f"forecast/ETTh1/{h}/linear/{s}"][1] for s in range(3)) + 1e-12
        for h in (96, 192, 336, 720)
    )
    assert f"{better} of 4 against linear" in page


def test_paired_differences(tmp_path, planned):
    base, other = {0: 0.30, 1: 0.40, 2: 0.50}, {0: 0.32, 1: 0.421, 2: 0.52}
    rows = []
    for one in planned:
        seed = one.cell.config.training.seed
        if one.path.startswith("ablation/ETTh2/96/base/"):
            rows.append(row(one, base[seed]))
        if one.path.startswith("ablation/ETTh2/96/level 1/"):
            rows.append(row(one, other[seed]))
    write(tmp_path, rows)
    page = results.page(tmp_path)
    cells = line_of(page, "## Effect of each option", "level 1")
    # Differences 0.020, 0.021, 0.020: std 0.000577, times 4.303 over the root of 3.
    assert cells[3:5] == ["+0.0203 ± 0.0014", "worse"]
    assert "0 of 1 changes are better and 1 are worse" in page
    finished = {(row.dataset, row.config_hash) for row in rows}
    missing = [one for one in planned if (one.cell.dataset.name, one.cell.hash) not in finished]
    assert len(missing) == len(planned) - 6
    assert f"{len(missing)} of {len(planned)} planned cells." in page


def test_missing_cells_are_listed_with_their_command(tmp_path, planned):
    kept = [one for one in planned if not one.path.startswith("llm/ETTh1/96/attention/")]
    write(tmp_path, [row(one, 0.4) for one in kept])
    part = results.page(tmp_path).partition("## Cells not run")[2]
    assert "3 of" in part
    assert "| llm | attention | 3 | ETTh1 96 | `python benchmarks/accuracy.py --data FOLDER --only 'llm/*/atte" in part


def test_the_section_by_fev_shows_its_rows(tmp_path):
    assert results.by_fev(tmp_path) == ""
    for name in ("fev.csv", "fev_leaderboard.csv"):
        shutil.copy(plan.HERE / "results" / name, tmp_path)
    rows = results.read_csv(tmp_path / "fev.csv")
    with (tmp_path / "fev.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**one, "SQL": "7.5" if one is rows[0] else one["SQL"]} for one in rows[:-1])
    page = results.by_fev(tmp_path)
    assert line_of(page, "| SQL | forecasts", rows[0]["task_name"])[2] == "7.5000"
    assert line_of(page, "| MASE | forecasts", rows[-1]["task_name"])[-1] == " |"  # a row that was not run


def test_the_leaderboard_is_that_of_the_rows():
    """The skill is 1 minus the geometric mean of the errors relative to those of SeasonalNaive."""
    rows = results.read_csv(plan.HERE / "results" / "fev.csv")
    board = results.read_csv(plan.HERE / "results" / "fev_leaderboard.csv")
    assert len(board) == 2 * len({row["model_name"] for row in rows})
    for line in board:
        mine, base = (
            {row["task_name"]: float(row[line["metric"]]) for row in rows if row["model_name"] == name}
            for name in (line["model_name"], "SeasonalNaive")
        )
        ratios = [mine[task] / base[task] for task in base]
        assert float(line["skill_score"]) == pytest.approx(1 - statistics.geometric_mean(ratios), abs=1e-4)
