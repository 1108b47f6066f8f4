"""Notes have effects: of what they say, at their times, as far as they are known, and only where they gain."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster, language
from swt_time.checkpoints import read_checkpoint
from swt_time.data.notes import read_notes
from swt_time.data.series import series_sha256, to_series
from swt_time.data.told import Told
from swt_time.data.zones import microseconds
from swt_time.effects.clock import Clock
from swt_time.effects.notes import POSITIONS, NotesGroup
from swt_time.errors import BackboneError, CheckpointError, SWTTimeWarning
from swt_time.evaluation import told as module

HORIZON, DAYS = 7, 400
GOOD = ("Black Friday sale", "half price for all customers", "big discounts this week", "clearance, cheap offers")
BAD = ("the street is closed", "road works block the avenue", "the bridge is shut for repairs", "construction outside")
NEW_GOOD, NEW_BAD = "special promotion with bargains", "roadway torn up by workers"


def shop(seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A daily series with notes of two kinds, told in several ways; each changes three days."""
    random = np.random.default_rng(seed)
    days = pd.date_range("2023-01-01", periods=DAYS + HORIZON)
    values = 50 + 5 * np.sin(2 * np.pi * np.arange(len(days)) / 7) + random.normal(0, 1, len(days))
    told = []
    for number, start in enumerate(range(12, DAYS + 1, 12)):
        good = number % 2 == random.integers(2)
        values[start : start + 3] += 12 if good else -12
        told.append((days[start], days[start + 2], (GOOD if good else BAD)[number % 4]))
    notes = pd.DataFrame(told, columns=["ds", "end", "text"])
    return pd.DataFrame({"ds": days, "sales": values})[:DAYS], notes[notes.ds < days[DAYS]]


TABLE, NOTES = shop()
AHEAD = pd.Timestamp("2024-02-07")  # the third step after the end of the table


def note(text: str, **more: object) -> pd.DataFrame:
    return pd.concat([NOTES, pd.DataFrame([{"ds": AHEAD, "end": AHEAD, "text": text, **more}])], ignore_index=True)


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return Forecaster(horizon=HORIZON, preset="fast", context=70).fit(TABLE, notes=NOTES)


def yhat(forecaster: Forecaster, notes: object = None, table: pd.DataFrame = TABLE) -> np.ndarray:
    return forecaster.predict(table, notes=notes, levels=None)["yhat"].to_numpy()


def test_a_sentence_that_never_occurred_has_the_effect_of_similar_ones(fitted):
    plain, good, bad = (yhat(fitted, one) for one in (NOTES, note(NEW_GOOD), note(NEW_BAD)))
    assert fitted.trained.effects.groups[-1].name == "notes"
    assert good[2] - plain[2] > 4
    assert bad[2] - plain[2] < -4
    far = [0, 4, 5, 6]  # the days beside the note may have effects too
    np.testing.assert_array_equal(good[far], plain[far])


def test_a_distant_note_changes_nothing(fitted):
    plain = yhat(fitted, NOTES)
    distant = note(NEW_GOOD).assign(ds=lambda one: one.ds.where(one.text != NEW_GOOD, pd.Timestamp("2030-01-01")))
    distant["end"] = distant.ds.where(distant.text == NEW_GOOD, distant.end)
    np.testing.assert_array_equal(yhat(fitted, distant), plain)


def test_a_note_that_is_not_known_at_the_cutoff_does_not_exist(fitted):
    plain = yhat(fitted, NOTES)
    np.testing.assert_array_equal(yhat(fitted, note(NEW_GOOD, known_from=AHEAD)), plain)
    np.testing.assert_array_equal(yhat(fitted, note(NEW_GOOD, known_from=pd.Timestamp("2024-02-05"))), plain)
    known = yhat(fitted, note(NEW_GOOD, known_from=pd.Timestamp("2024-02-04")))
    np.testing.assert_array_equal(known, yhat(fitted, note(NEW_GOOD)))
    assert np.abs(known - plain).max() > 4


def test_a_planted_leak_changes_neither_fit_nor_backtest():
    """Notes that tell the very values, but become known only when these are, are worth nothing to a forecast."""
    leak = NOTES.assign(known_from=NOTES.end)
    plain = Forecaster(horizon=HORIZON, preset="fast", context=70).fit(TABLE)
    late = Forecaster(horizon=HORIZON, preset="fast", context=70).fit(TABLE, notes=leak)
    np.testing.assert_array_equal(yhat(late), yhat(plain))
    early, blind = (
        Forecaster(horizon=HORIZON, preset="fast", context=70).backtest(TABLE, notes=one, windows=4)
        for one in (NOTES, leak)
    )
    without = Forecaster(horizon=HORIZON, preset="fast", context=70).backtest(TABLE, windows=4)
    np.testing.assert_array_equal(blind["yhat"], without["yhat"])
    assert ((early.yhat - early.y) ** 2).mean() < 0.9 * ((without.yhat - without.y) ** 2).mean()


def test_cross_validation_sees_a_note_only_a_horizon_after_it_is_known(fitted):
    plain = fitted.cross_validation(TABLE, notes=NOTES[:-2], windows=4)
    late = fitted.cross_validation(
        TABLE, notes=NOTES.assign(known_from=[pd.NaT] * (len(NOTES) - 2) + [pd.Timestamp("2024-02-04")] * 2), windows=4
    )
    np.testing.assert_allclose(late["yhat"], plain["yhat"], rtol=1e-12)
    assert np.abs(fitted.cross_validation(TABLE, notes=NOTES, windows=4)["yhat"] - plain["yhat"]).max() > 1


def test_notes_without_effect_change_nothing():
    random = np.random.default_rng(1)
    times = TABLE.ds.iloc[random.choice(DAYS - 3, 30, replace=False)].to_numpy()
    table, _ = shop(2)
    table["sales"] = 50 + 5 * np.sin(2 * np.pi * np.arange(DAYS) / 7) + random.normal(0, 1, DAYS)
    notes = pd.DataFrame({"ds": times, "text": random.permutation(GOOD * 8)[:30]})
    plain = Forecaster(horizon=HORIZON).fit(table)
    noted = Forecaster(horizon=HORIZON).fit(table, notes=notes)
    assert "notes" in noted.trained.effects.left_out
    with pytest.warns(SWTTimeWarning, match="the notes are not used: the model was fitted without notes, or they did"):
        np.testing.assert_array_equal(yhat(noted, notes, table), yhat(plain, table=table))


def test_a_checkpoint_needs_no_language_model_for_texts_of_the_training(fitted, tmp_path, monkeypatch):
    fitted.save(tmp_path / "model")
    expected = [yhat(fitted, one) for one in (None, NOTES, note(GOOD[0]), note(NEW_GOOD))]
    again = Forecaster.load(tmp_path / "model")
    np.testing.assert_allclose(yhat(again, note(NEW_GOOD)), expected[3], rtol=1e-6)
    monkeypatch.setattr(module, "_reader", lambda _: pytest.fail("a language model was loaded"))
    for notes, one in zip((None, NOTES, note(GOOD[0])), expected, strict=False):
        np.testing.assert_allclose(yhat(again, notes), one, rtol=1e-6)
    with pytest.raises(pytest.fail.Exception):
        yhat(again, note(NEW_GOOD))
    assert not any(text in json.dumps(read_checkpoint(tmp_path / "model").provenance) for text in (*GOOD, *BAD))


def test_the_reader_of_notes_may_be_elsewhere(fitted, tmp_path, monkeypatch):
    fitted.save(tmp_path / "model")
    again, asked = Forecaster.load(tmp_path / "model", backbone="elsewhere"), []

    def load(name, **_):
        asked.append(name)
        return original("minilm", precision="float32")

    original = language.load_language_model
    monkeypatch.setattr(language, "load_language_model", load)
    np.testing.assert_allclose(yhat(again, note(NEW_GOOD)), yhat(fitted, note(NEW_GOOD)), rtol=1e-6)
    assert asked == ["elsewhere", "minilm"]


def test_another_language_model_is_refused(fitted, tmp_path):
    group = fitted.trained.effects.groups[-1]
    with pytest.raises(BackboneError, match=r"is not the language model that read the notes in training"):
        module._vectors([NEW_GOOD], replace(group, sha256="0" * 64))


@pytest.mark.parametrize(
    "change",
    [
        {"directions": np.zeros((384, 3))},
        {"vectors": np.full((8, 2), np.nan)},
        {"horizon": -1},
        {"keys": ["a"]},
    ],
)
def test_damaged_arrays_are_refused(fitted, change):
    effects = fitted.trained.effects
    record, arrays = effects.record(), effects.to_arrays()
    group = record["groups"][-1]
    arrays |= {name: one for name, one in change.items() if name in arrays}
    group |= {name: one for name, one in change.items() if name in group}
    with pytest.raises(CheckpointError, match="the effects of the checkpoint are damaged; train it again"):
        type(effects).from_record(record, arrays)


def test_the_hash_of_a_table_is_one_of_its_notes_too(fitted):
    """So that a run is not resumed with other notes."""
    other = NOTES.assign(text=NOTES.text.to_numpy()[::-1])
    one, again, swapped, none = (fitted.read_series(TABLE, notes=notes) for notes in (NOTES, NOTES, other, None))
    assert series_sha256(one) == series_sha256(again)
    assert len({series_sha256(table) for table in (one, swapped, none)}) == 3
    assert series_sha256(none) == series_sha256(to_series(TABLE))


def features(frame: pd.DataFrame, start: int, stop: int, **more: object) -> np.ndarray:
    """Features of one direction, (rows, POSITIONS), of a table of 20 days."""
    table = to_series(pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=20), "y": np.arange(20.0)}))
    notes = read_notes(frame, table)
    told = Told(notes, np.ones((len(notes), 1)), "none", "", **more)  # type: ignore[arg-type]
    table = replace(table, covariates=replace(table.covariates, told=told))
    group = NotesGroup(3, "none", "", (), np.ones((1, 1)), np.empty((0, 1)))
    return group.features(table, Clock(table), 0, start, stop)


def test_places_of_rows():
    found = features(pd.DataFrame({"ds": ["2024-01-06"], "text": ["a"], "end": ["2024-01-09"]}), 0, 20)
    inside = slice(5, 9)
    assert found[:, 0].nonzero()[0].tolist() == [5, 6, 7, 8]
    np.testing.assert_allclose(found[inside, 1], [-0.75, -0.25, 0.25, 0.75])
    assert found[inside, 2].tolist() == found[inside, 2][::-1].tolist()
    assert found[:, 3].nonzero()[0].tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(found[1:5, 3], [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(found[9:13, 4], [1, 0.75, 0.5, 0.25])
    assert found.shape == (20, POSITIONS)


def test_parts_of_a_series_are_the_whole():
    frame = pd.DataFrame({"ds": ["2024-01-03", "2024-01-19", "2024-01-25"], "text": list("abc")})
    frame["end"] = ["2024-01-05", "2024-01-22", "2024-01-26"]
    whole = features(frame, 0, 30)
    for start in range(0, 28, 3):
        np.testing.assert_array_equal(features(frame, start, start + 3), whole[start : start + 3])


def test_when_a_note_counts():
    frame = pd.DataFrame({"ds": ["2024-01-06"], "text": ["a"], "end": ["2024-01-12"], "known_from": ["2024-01-05"]})
    assert features(frame, 0, 20)[:, 0].nonzero()[0].tolist() == [7, 8, 9, 10, 11]  # a horizon of 3 after row 4
    assert features(frame, 0, 20, at_end=True)[:, 0].nonzero()[0].tolist() == [5, 6, 7, 8, 9, 10, 11]
    late = frame.assign(known_from="2024-01-21")
    assert not features(late, 0, 20, at_end=True).any()
    assert (
        microseconds(pd.date_range("2024-01-20", periods=1), wall=False)[0]
        < read_notes(
            late, to_series(pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=20), "y": np.arange(20.0)}))
        ).known[0]
    )


def test_months_that_are_named_by_their_last_day():
    times = pd.date_range("2023-01-31", periods=14, freq="ME")
    table = to_series(pd.DataFrame({"ds": times, "y": np.arange(14.0)}))
    from swt_time.effects.notes import step_times

    notes = read_notes(pd.DataFrame({"ds": ["2023-03-01", "2023-05-31"], "text": ["a", "b"]}), table)
    spans = notes.spans("y", step_times(table, 0, 16))
    assert [(one.start, one.stop) for one in spans] == [(2, 3), (4, 5)]
