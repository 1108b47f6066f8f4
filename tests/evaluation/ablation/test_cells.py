"""Cells: they compute what the rest of the library computes, and are identified by that alone."""

import dataclasses
import json

import numpy as np
import pytest

from swt_time import Forecaster
from swt_time.config import Config
from swt_time.config.identity import config_hash, config_of
from swt_time.data.series import to_series
from swt_time.errors import ConfigError, TableError
from swt_time.evaluation.ablation import (
    Row,
    finished,
    make_cells,
    missing_cells,
    open_dataset,
    run_cell,
    run_cells,
)
from swt_time.evaluation.ablation import cells as module
from swt_time.evaluation.ablation.results import INTERVALS
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
def datasets(tmp_path_factory, hourly_wide):
    root = tmp_path_factory.mktemp("cells")
    hourly_wide.to_csv(root / "one.csv", index=False)
    other = hourly_wide.assign(load=hourly_wide["load"] ** 2, heat=np.sqrt(abs(hourly_wide["heat"])))
    other.to_csv(root / "two.csv", index=False)
    return {name: open_dataset(name, root / f"{name}.csv", BASE.data) for name in ("one", "two")}


def cells(dataset, variants=None, **more):
    return make_cells(variants or {"base": BASE}, [dataset], **{"horizons": [12], "seeds": [0], **more})


def with_branch(config):
    """As cells are trained: a branch is kept, whether it earned its place or not."""
    return config.replace({"training.keep_branch": True})


@pytest.mark.parametrize("change", [{"data.known": ("heat",)}, {"data.calendar": True}, {"data.holidays": "DE"}])
def test_covariates_are_refused(datasets, change):
    with pytest.raises(ConfigError, match=r"variant 'more' sets data\.known, data\.calendar or data\.holidays"):
        cells(datasets["one"], {"base": BASE, "more": BASE.replace(change)})


def test_scores_equal_those_of_fit_and_evaluate(datasets, hourly_wide):
    (cell,) = cells(datasets["one"])
    row = run_cell((cell, True))
    forecaster = Forecaster.from_config(with_branch(cell.config)).fit(hourly_wide)
    found = evaluate_table(forecaster, to_series(hourly_wide), BASE.data.split, 48, 12).model
    assert row.mse == pytest.approx(found.mse, abs=2e-6)
    assert row.mae == pytest.approx(found.mae, abs=2e-6)
    assert row.windows == found.windows == 120 - 12 + 1
    assert (row.steps, row.seed, row.model, row.backbone) == (8, 0, "swt-time", "none")
    assert row.validation_mse > 0
    assert row.peak_mb > 50
    assert config_hash(config_of(json.loads(row.options))) == cell.hash == row.config_hash


def interval_columns(row):
    return {name: getattr(row, name) for name in INTERVALS}


def of_evaluation(scores):
    found = {"crps": scores.scaled["crps"], "weighted_quantile_loss": scores.weighted_quantile_loss}
    for i, level in enumerate((80, 95)):
        found |= {f"coverage_{level}": scores.coverage[i], f"msis_{level}": scores.msis[i]}
        found[f"interval_score_{level}"] = scores.scaled["interval_score"][i]
    return pytest.approx(found, abs=2e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model.skip": "ridge", "training.max_steps": 0},
        {"model.skip": "ridge", "training.max_steps": 60, "training.loss": "quantile"},
    ],
)
def test_intervals_are_those_of_fit_and_evaluate(datasets, hourly_wide, changes):
    """A trained network, the closed form, and a network trained to quantiles; with each, seasonal naive."""
    cell, naive = cells(datasets["one"], {"base": BASE.replace(changes)}, baselines=["seasonal-naive"])
    trained = Forecaster.from_config(with_branch(cell.config)).fit(hourly_wide).trained
    found = evaluate_table(
        trained, to_series(hourly_wide), BASE.data.split, 48, 12, calibration=trained.calibration
    ).intervals
    assert interval_columns(run_cell((cell, True))) == of_evaluation(found["swt-time"])
    assert interval_columns(run_cell((naive, True))) == of_evaluation(found["seasonal naive"])


def test_a_baseline_has_intervals_from_its_own_errors(datasets):
    found = cells(datasets["one"], baselines=["last-value", "linear"])
    rows = {cell.model: run_cell((cell, True)) for cell in found}
    for name in ("last-value", "linear"):
        assert rows[name].crps > 1.5 * rows["swt-time"].crps
        assert rows[name].coverage_80 == pytest.approx(0.8, abs=0.1)
        assert rows[name].coverage_95 == pytest.approx(0.95, abs=0.05)


def test_levels_that_the_residuals_do_not_allow_are_blank(datasets):
    """One validation window with a horizon of 1 gives two residuals, one on each side."""
    config = BASE.replace({"training.validation_windows": 1, "data.horizon": 1})
    (cell,) = cells(datasets["one"], {"base": config}, horizons=[1])
    row = run_cell((cell, True))
    assert (row.coverage_80, row.crps, row.mse > 0) == (None, None, True)


def test_test_part_is_read_only_on_request(datasets, monkeypatch):
    parts = []
    real = module.score
    monkeypatch.setattr(module, "score", lambda f, part, *a, **k: parts.append(part) or real(f, part, *a, **k))
    (cell,) = cells(datasets["one"])
    row = run_cell((cell, False))
    assert (row.mse, row.mae, row.windows, row.coverage_80, row.crps) == (None,) * 5
    assert [part.windows.first.tolist() for part in parts] == [[420 - 48, 420 - 48]]  # validation begins at row 420
    parts.clear()
    run_cell((cell, True))
    assert len(parts) == 2


def test_baselines_share_the_dataset_of_the_model(datasets):
    found = cells(datasets["one"], seeds=[0, 1], baselines=list(BASELINES))
    assert [(c.model, c.config.training.seed) for c in found if c.model == "seasonal-naive"] == [("seasonal-naive", 0)]
    naive = next(cell for cell in found if cell.model == "seasonal-naive")
    row = run_cell((naive, True))
    assert row.mse < 0.2  # a daily cycle with a little noise
    assert (row.backbone, row.embedding, row.steps, row.ended) == ("", "", None, "")


def test_cell_without_randomness_has_one_seed(datasets):
    variants = {"base": BASE, "closed": BASE.replace({"training.max_steps": 0})}
    found = cells(datasets["one"], variants, horizons=[6, 12], seeds=[5, 3], baselines=["linear"])
    runs = [(c.variant, c.config.data.horizon, c.config.training.seed) for c in found]
    expected = [
        (name, horizon, seed)
        for horizon in (6, 12)
        for seed in (5, 3)
        for name in ("base", "closed", "linear")
        if name != "closed" or seed == 5
    ]
    assert runs == expected


@pytest.mark.parametrize("backbone", ["none", "attention"])
@pytest.mark.parametrize("learnable", ["none", "free", "lattice"])
def test_cell_of_one_seed_has_equal_results_with_every_seed(datasets, backbone, learnable):
    changes = {"backbone.name": backbone, "embedding.learnable": learnable, "training.max_steps": 0}
    changes |= {"embedding.dropout": 0.5, "model.dropout": 0.5}
    rows = []
    for seed in (0, 1):
        (cell,) = cells(datasets["one"], {"closed": BASE.replace(changes)}, seeds=[seed])
        rows.append(run_cell((cell, True)))
        assert cell.deterministic
        assert rows[-1].deterministic
    assert (rows[0].mse, rows[0].mae, rows[0].validation_mse) == (rows[1].mse, rows[1].mae, rows[1].validation_mse)


def test_baseline_has_the_same_key_whatever_the_model(datasets):
    beside = [
        cells(datasets["one"], {"base": BASE.replace({"embedding.d_model": width})}, baselines=["seasonal-naive"])
        for width in (8, 16)
    ]
    assert beside[0][1].key == beside[1][1].key
    assert beside[0][0].key != beside[1][0].key


def test_zero_shot_trains_on_one_dataset_and_scores_another(datasets):
    (cell,) = cells(datasets["two"], trained_on=datasets["one"])
    row = run_cell((cell, True))
    assert (row.dataset, row.trained_on) == ("two", "one")
    assert row.key == cell.key
    (own,) = cells(datasets["two"])
    assert own.key != cell.key
    assert run_cell((own, True)).mse != row.mse


def as_row(cell, mse=0.5, **more):
    return Row(
        dataset=cell.dataset.name,
        trained_on=cell.trained_on.name,
        horizon=12,
        seed=cell.config.training.seed,
        model=cell.model,
        config_hash=cell.hash,
        data_sha256=cell.data_sha256,
        mse=mse,
        **more,
    )


def test_finished_cells_are_recognised_by_what_they_compute(datasets):
    found = cells(datasets["one"], seeds=[0, 1])
    rows = [as_row(found[0], variant="another name", commit="another commit")]
    assert missing_cells(found, rows, with_test=True) == [found[1]]
    assert missing_cells(cells(datasets["two"]), rows, with_test=True) == cells(datasets["two"])
    renamed = dataclasses.replace(datasets["one"], name="renamed")
    assert missing_cells(cells(renamed), rows, with_test=True) == []


def test_row_without_a_test_score_is_finished_only_if_none_is_wanted(datasets):
    (cell,) = cells(datasets["one"])
    without, complete = as_row(cell, mse=None), as_row(cell)
    assert missing_cells([cell], [without], with_test=True) == [cell]
    assert missing_cells([cell], [without], with_test=False) == []
    assert list(finished([complete, without]).values()) == [complete]
    assert list(finished([without, complete]).values()) == [complete]


def test_latest_row_of_a_cell_counts(datasets):
    (cell,) = cells(datasets["one"])
    assert [row.mse for row in finished([as_row(cell, 0.5), as_row(cell, 0.0)]).values()] == [0.0]


def test_cells_without_test_windows_are_refused_before_anything_runs(datasets, tmp_path):
    def attempt(change):
        found = cells(datasets["one"], {"base": BASE.replace(change)})
        run_cells(found, tmp_path / "o.csv", jobs=1, threads=1, with_test=True, say=print)

    with pytest.raises(ConfigError, match=r"data\.split 'none' has no test part; set it to a split"):
        attempt({"data.split": "none"})
    with pytest.raises(TableError, match="too few rows"):
        attempt({"data.context": 590})
    assert not (tmp_path / "o.csv").exists()
