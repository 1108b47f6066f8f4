"""A cell is what the rest of the library computes, and is told apart by that alone."""

import json

import numpy as np
import pytest

from swt_time import Forecaster
from swt_time.config import Config
from swt_time.config.identity import config_hash, config_of
from swt_time.data.series import to_series
from swt_time.errors import ConfigError, TableError
from swt_time.evaluation.ablation import Table, finished, make_cells, missing_cells, open_table, run_cell
from swt_time.evaluation.ablation.cells import key_of
from swt_time.evaluation.baselines import BASELINES
from swt_time.evaluation.scoring import evaluate_table

BASE = Config().replace(
    {
        "data.context": 48,
        "data.horizon": 12,
        "embedding.d_model": 8,
        "embedding.level": 2,
        "backbone.name": "none",
        "training.max_steps": 8,
        "training.batch_size": 16,
    }
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory, hourly_wide):
    root = tmp_path_factory.mktemp("cells")
    hourly_wide.to_csv(root / "one.csv", index=False)
    other = hourly_wide.assign(load=hourly_wide["load"] ** 2, heat=np.sqrt(abs(hourly_wide["heat"])))
    other.to_csv(root / "two.csv", index=False)
    return {name: open_table(name, root / f"{name}.csv", BASE.data) for name in ("one", "two")}


def cells(table, variants=None, **more):
    return make_cells(variants or {"base": BASE}, [table], **{"horizons": [12], "seeds": [0], **more})


def test_a_cell_scores_what_fit_and_evaluate_score(tables, hourly_wide):
    (cell,) = cells(tables["one"])
    row = run_cell((cell, True))
    forecaster = Forecaster.from_config(cell.config).fit(hourly_wide)
    found = evaluate_table(forecaster, to_series(hourly_wide), BASE.data.split, 48, 12).model
    assert float(row["mse"]) == pytest.approx(found.mse, abs=2e-6)
    assert float(row["mae"]) == pytest.approx(found.mae, abs=2e-6)
    assert row["windows"] == found.windows == 120 - 12 + 1
    assert (row["steps"], row["seed"], row["model"], row["backbone"]) == (8, 0, "swt-time", "none")
    assert float(row["validation_mse"]) > 0
    assert row["peak_mb"] is None or row["peak_mb"] > 50
    assert config_hash(config_of(json.loads(row["options"]))) == cell.hash == row["config_hash"]


def test_without_test_no_test_window_is_looked_at(tables, monkeypatch):
    from swt_time.evaluation.ablation import cells as module

    parts = []
    real = module.score
    monkeypatch.setattr(module, "score", lambda f, part, *a, **k: parts.append(part) or real(f, part, *a, **k))
    (cell,) = cells(tables["one"])
    row = run_cell((cell, False))
    assert (row["mse"], row["mae"], row["windows"]) == (None, None, None)
    assert [part.windows.first.tolist() for part in parts] == [[420 - 48, 420 - 48]]  # validation begins at row 420
    parts.clear()
    run_cell((cell, True))
    assert len(parts) == 2


def test_rivals_share_the_table_with_the_model(tables):
    found = cells(tables["one"], seeds=[0, 1], baselines=list(BASELINES))
    assert [(c.model, c.config.training.seed) for c in found if c.model == "seasonal-naive"] == [("seasonal-naive", 0)]
    naive = next(cell for cell in found if cell.model == "seasonal-naive")
    row = run_cell((naive, True))
    assert float(row["mse"]) < 0.2  # a daily cycle with a little noise
    assert (row["backbone"], row["embedding"], row["steps"]) == ("", "", None)


def test_a_rival_is_the_same_beside_any_model(tables):
    beside = [
        cells(tables["one"], {"base": BASE.replace({"embedding.d_model": width})}, baselines=["seasonal-naive"])[1]
        for width in (8, 16)
    ]
    assert beside[0].key == beside[1].key


def test_zero_shot_trains_on_one_table_and_scores_the_other(tables):
    (cell,) = cells(tables["two"], trained_on=tables["one"])
    row = run_cell((cell, True))
    assert (row["dataset"], row["trained_on"]) == ("two", "one")
    assert key_of({k: str(v) for k, v in row.items()}) == cell.key
    (own,) = cells(tables["two"])
    assert own.key != cell.key
    assert float(run_cell((own, True))["mse"]) != float(row["mse"])


def as_row(cell, mse="0.5", **more):
    sha = cell.table.sha256 + ("" if cell.table == cell.trained_on else f" from {cell.trained_on.sha256}")
    return {"model": cell.model, "config_hash": cell.hash, "data_sha256": sha, "mse": mse, **more}


def test_finished_cells_are_known_by_what_they_compute(tables):
    found = cells(tables["one"], seeds=[0, 1])
    rows = [as_row(found[0], variant="another name", commit="another commit")]
    assert missing_cells(found, rows, with_test=True) == [found[1]]
    assert missing_cells(cells(tables["two"]), rows, with_test=True) == cells(tables["two"])
    renamed = Table("renamed", tables["one"].path, tables["one"].sha256, tables["one"].lengths)
    assert missing_cells(cells(renamed), rows, with_test=True) == []


def test_a_row_without_a_test_score_is_finished_only_where_none_is_wanted(tables):
    (cell,) = cells(tables["one"])
    bare, whole = as_row(cell, mse=""), as_row(cell)
    assert missing_cells([cell], [bare], with_test=True) == [cell]
    assert missing_cells([cell], [bare], with_test=False) == []
    assert list(finished([whole, bare]).values()) == [whole]
    assert list(finished([bare, whole]).values()) == [whole]


def test_what_cannot_be_scored_is_refused_before_anything_runs(tables, tmp_path):
    from swt_time.evaluation.ablation import run_cells

    def attempt(change):
        found = cells(tables["one"], {"base": BASE.replace(change)})
        run_cells(found, tmp_path / "o.csv", jobs=1, threads=1, with_test=True, say=print)

    with pytest.raises(ConfigError, match="has no test part"):
        attempt({"data.split": "none"})
    with pytest.raises(TableError, match="too few rows"):
        attempt({"data.context": 590})
    assert not (tmp_path / "o.csv").exists()
