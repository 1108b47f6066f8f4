"""Titles have effects: of what they say, on series whose titles were held out, and only where they gain."""

import functools
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.products import NEW_SUMMER, NEW_WINTER, ROWS, SUMMER, product, products
from swt_time import Forecaster, language
from swt_time.checkpoints import read_checkpoint
from swt_time.cli import run
from swt_time.data.series import series_sha256
from swt_time.effects import Effects, add_titles, fit_effects
from swt_time.effects.title_fitting import LEAST_TITLES
from swt_time.effects.titles import TitleGroup
from swt_time.errors import BackboneError, CheckpointError, SWTTimeWarning, TableError
from swt_time.evaluation import told as module

HORIZON = 6
TABLE, TITLES = products()


def forecaster() -> Forecaster:
    return Forecaster(horizon=HORIZON, preset="panel", titles="title")


@pytest.fixture(scope="module", autouse=True)
def one_reader():
    """The language model is loaded once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_reader", functools.cache(module._reader))
        yield


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return forecaster().fit(TABLE, static=TITLES)


def yhat(model: Forecaster, table: pd.DataFrame = TABLE, titles: object = None) -> np.ndarray:
    return model.predict(table, static=titles, levels=None)["yhat"].to_numpy()


def new_series(*titles: str, rows: int = 5) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The first months of the same product under several titles."""
    parts = [product(f"new {i}", True, 0, rows, np.random.default_rng(9)) for i in range(len(titles))]
    names = [f"new {i}" for i in range(len(titles))]
    return pd.concat(parts, ignore_index=True), pd.DataFrame({"unique_id": names, "title": titles})


def shuffled(seed: int) -> pd.DataFrame:
    """Every product with the title of another one; those of a title stay together."""
    names = TITLES["title"].unique()
    other = dict(zip(names, np.random.default_rng(seed).permutation(names), strict=True))
    return TITLES.assign(title=TITLES["title"].map(other))


def test_a_title_that_never_occurred_tells_the_course_of_a_new_series(fitted):
    assert [group.name for group in fitted.trained.effects.groups] == ["titles"]
    table, titles = new_series(NEW_SUMMER, NEW_WINTER, "")
    summer, winter, _ = yhat(fitted, table, titles).reshape(3, HORIZON)
    truth = product("new", True, 0, 5 + HORIZON, np.random.default_rng(9))["y"].to_numpy()[5:]
    assert np.abs(summer - truth).mean() < 0.8 * np.abs(winter - truth).mean()
    assert (summer[:3] > winter[:3]).all()  # June to August
    plain = Forecaster(horizon=HORIZON, preset="panel").fit(TABLE)
    assert np.abs(summer - truth).mean() < np.abs(yhat(plain, table)[:HORIZON] - truth).mean()


@pytest.mark.parametrize("seed", [0, 1])
def test_titles_of_other_products_are_left_out(seed):
    model = forecaster().fit(TABLE, static=shuffled(seed))
    assert model.trained.effects.idle
    assert list(model.trained.effects.left_out) == ["titles"]
    np.testing.assert_array_equal(yhat(model), yhat(Forecaster(horizon=HORIZON, preset="panel").fit(TABLE)))


def test_the_season_that_all_series_share_is_no_gain_of_titles():
    summer = TITLES["title"].isin(SUMMER).to_numpy()
    names = TITLES["unique_id"][summer]
    model = forecaster().fit(TABLE[TABLE["unique_id"].isin(names)], static=TITLES[summer])
    assert model.trained.effects.idle


def test_rows_after_those_that_are_learned_from_change_nothing(fitted):
    table = module.tell(fitted.read_series(TABLE, static=TITLES), None, fitted.config)
    rows = [ROWS - 6] * len(table.ids)
    later = replace(
        table, values=tuple(np.concatenate([one[: ROWS - 6], one[ROWS - 6 :] + 50]) for one in table.values)
    )
    sooner = replace(table, values=tuple(one + 5 * (np.arange(ROWS) == ROWS - 8) for one in table.values))

    def learn(series):
        return add_titles(fit_effects(series, HORIZON, rows, []), series, HORIZON, rows).effects

    one = learn(table)
    assert one.groups
    np.testing.assert_array_equal(learn(later).beta, one.beta)
    assert not np.array_equal(learn(sooner).beta, one.beta)  # the check can fail
    last = replace(table.covariates.titles, texts=(*table.covariates.titles.texts[:-1], "summer sale"))
    unused = replace(table, covariates=replace(table.covariates, titles=last))
    rows = [*rows[:-1], 0]  # nor does the title of a series without rows to learn from
    assert TitleGroup.fit(unused, rows).keys == TitleGroup.fit(table, rows).keys


def test_a_fold_is_judged_without_series_of_its_titles(fitted):
    """Out-of-fold coefficients of a series do not depend on it, nor on the others with its title."""
    table = module.tell(fitted.read_series(TABLE, static=TITLES), None, fitted.config)
    rows = [ROWS] * len(table.ids)
    found = add_titles(fit_effects(table, HORIZON, rows, []), table, HORIZON, rows)
    assert found.folds.shape[1] == 1
    group = found.effects.groups[0]
    fold = np.array([group.series[name] % 6 for name in table.ids])
    assert len(np.unique(found.folds[:, 0], axis=0)) == len(np.unique(fold)) == 6
    for one in range(6):
        assert len(np.unique(found.folds[fold == one, 0], axis=0)) == 1
        assert len({group.series[name] for name, where in zip(table.ids, fold, strict=True) if where == one}) >= 2


def test_a_series_with_two_seasons_is_forecast_as_without_titles(fitted):
    long, _ = products(seed=5, rows=24)
    table = long.groupby("unique_id").tail(23)
    plain = Forecaster(horizon=HORIZON, preset="panel").fit(TABLE)
    assert not np.array_equal(yhat(fitted, table), yhat(plain, table))
    np.testing.assert_array_equal(yhat(forecaster().fit(long, static=TITLES), long),
                                  yhat(Forecaster(horizon=HORIZON, preset="panel").fit(long), long))  # fmt: skip


def test_titles_beside_known_covariates(tmp_path):
    # with a horizon of 3 the rows of a series make several folds
    promotion = (np.random.default_rng(4).random(len(TABLE)) < 0.3).astype(float)
    sizes = 0.8 * TABLE.groupby("unique_id")["y"].transform("std")
    table = TABLE.assign(promotion=promotion, y=TABLE["y"] + sizes * promotion)
    model = Forecaster(horizon=3, preset="panel", titles="title", known=("promotion",)).fit(table, static=TITLES)
    effects = model.trained.effects
    assert [group.name for group in effects.groups] == ["promotion", "titles"]
    assert effects.beta.shape == (sum(group.width for group in effects.groups),)
    assert set(effects.gains) == {"promotion", "titles"}
    series, titles = new_series(NEW_WINTER)
    months = pd.date_range(series["ds"].iloc[-1], periods=4, freq="MS")[1:]
    future = pd.DataFrame({"unique_id": "new 0", "ds": months, "promotion": 0.0})
    asked = {"future": future, "static": titles, "levels": None}
    found = model.predict(series.assign(promotion=0.0), **asked)
    promoted = model.predict(series.assign(promotion=0.0), **{**asked, "future": future.assign(promotion=1.0)})
    assert (promoted["yhat"] > found["yhat"]).all()
    model.save(tmp_path / "model")
    again = Forecaster.load(tmp_path / "model").predict(series.assign(promotion=0.0), **asked)
    np.testing.assert_allclose(again["yhat"], found["yhat"], rtol=1e-9)


def test_few_titles_have_no_effect():
    few = TITLES["title"].unique()[: LEAST_TITLES - 1]
    known = TITLES[TITLES["title"].isin(few)]
    model = forecaster().fit(TABLE[TABLE["unique_id"].isin(known["unique_id"])], static=known)
    assert model.trained.effects.idle


def test_a_checkpoint_needs_no_language_model_for_titles_of_the_training(fitted, tmp_path, monkeypatch):
    fitted.save(tmp_path / "model")
    table, titles = new_series(NEW_SUMMER, SUMMER[0])
    expected = yhat(fitted), yhat(fitted, table, titles)
    again = Forecaster.load(tmp_path / "model")
    np.testing.assert_allclose(yhat(again, table, titles), expected[1], rtol=1e-9)
    monkeypatch.setattr(module, "_reader", lambda _: pytest.fail("a language model was loaded"))
    np.testing.assert_allclose(yhat(again), expected[0], rtol=1e-9)
    np.testing.assert_allclose(yhat(again, TABLE, TITLES), expected[0], rtol=1e-9)
    np.testing.assert_allclose(yhat(again, table, titles.assign(title=SUMMER[0]))[HORIZON:], expected[1][HORIZON:])
    with pytest.raises(pytest.fail.Exception):
        yhat(again, table, titles)
    assert not any(text in json.dumps(read_checkpoint(tmp_path / "model").provenance) for text in SUMMER)


def test_a_series_without_a_title_is_named(fitted):
    table, titles = new_series("", NEW_WINTER)
    with pytest.warns(SWTTimeWarning, match="no title is known for 'new 0', which are forecast without its effect"):
        alone = yhat(fitted, table, titles)
    with pytest.warns(SWTTimeWarning, match="no title is known for 'new 0', 'new 1'"):
        np.testing.assert_array_equal(yhat(fitted, table)[:HORIZON], alone[:HORIZON])


def test_the_reader_of_titles_may_be_elsewhere(fitted, tmp_path, monkeypatch):
    fitted.save(tmp_path / "model")
    again, asked = Forecaster.load(tmp_path / "model", backbone="elsewhere"), []

    def load(name, **_):
        asked.append(name)
        return original("minilm", precision="float32")

    original = language.load_language_model
    monkeypatch.setattr(language, "load_language_model", load)
    module._reader.cache_clear()
    yhat(again, *new_series(NEW_SUMMER))
    assert asked == ["elsewhere"]
    group = fitted.trained.effects.groups[0]
    with pytest.raises(BackboneError, match="is not the language model that read the titles in training"):
        module._vectors([NEW_SUMMER], replace(group, sha256="0" * 64))


def test_titles_may_stand_in_the_table(fitted):
    table = TABLE.merge(TITLES)
    model = forecaster().fit(table)
    np.testing.assert_allclose(yhat(model, table), yhat(fitted), rtol=1e-9)
    np.testing.assert_allclose(yhat(model), yhat(fitted), rtol=1e-9)


@pytest.mark.parametrize(
    ("titles", "message"),
    [
        (None, r"no series has a title \(data.titles 'title'\); add the column to the table, or pass static="),
        (TITLES.rename(columns={"title": "name"}), "data.titles: the table has no column 'title'"),
        (TITLES.assign(title=""), "no series has a title"),
        (TITLES.assign(title=7), r"data.titles: column 'title', row 2: 7 is no text; write the title in words"),
        (
            pd.concat([TITLES, TITLES.assign(title="ice")]),
            "row 50: series 'p00' has several titles, 'ice cream tub' and 'ice'",
        ),
    ],
)
def test_what_is_wrong_with_titles_is_said(titles, message):
    with pytest.raises(TableError, match=message):
        forecaster().fit(TABLE, static=titles)


def test_the_hash_of_a_table_is_one_of_its_titles_too():
    """So that a run is not resumed with other titles."""
    one, same, other = (forecaster().read_series(TABLE, static=some) for some in (TITLES, TITLES, shuffled(0)))
    assert series_sha256(one) == series_sha256(same) != series_sha256(other)


@pytest.mark.parametrize(
    "change",
    [
        {"title_directions": np.zeros((384, 3))},
        {"title_vectors": np.full((16, 15), np.nan)},
        {"title_mean": np.zeros(3)},
        {"season": 1},
        {"series": {"p00": 99}},
        {"keys": ["a"]},
    ],
)
def test_damaged_records_are_refused(fitted, change):
    effects = fitted.trained.effects
    record, arrays = effects.record(), effects.to_arrays()
    Effects.from_record(record, arrays)
    group = record["groups"][0]
    arrays |= {name: one for name, one in change.items() if name in arrays}
    group |= {name: one for name, one in change.items() if name in group}
    with pytest.raises(CheckpointError, match="the effects of the checkpoint are damaged; train it again"):
        Effects.from_record(record, arrays)


def test_the_commands_of_the_documentation(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table, titles = new_series(NEW_SUMMER)
    for name, frame in {"sales": TABLE, "titles": TITLES, "new": table, "new_titles": titles}.items():
        frame.to_csv(f"{name}.csv", index=False)
    page = (Path(__file__).parents[2] / "docs" / "titles.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r"^```(\w+)\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL))
    for line in blocks["console"].splitlines():
        assert run(shlex.split(line)[2:]) == 0
    assert "titles" in capsys.readouterr().out
    assert len(pd.read_csv("new_forecast.csv")) == HORIZON
    found = {}
    exec(blocks["python"], found)
    assert len(found["forecast"]) == HORIZON
