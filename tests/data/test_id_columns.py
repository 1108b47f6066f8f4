"""Several id columns are one id, and come back as they are in the table, through the public interface."""

import datetime
import json
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swt_time import Forecaster
from swt_time.cli import run
from swt_time.data.ids import join_cells
from swt_time.data.reading import read_table
from swt_time.data.series import to_series
from swt_time.errors import TableError

ROWS = 60
TIMES = pd.date_range("2024-01-01", periods=ROWS, freq="D")
SERIES = {("b/c", "d", 3): 100.0, ("b", "c/d", 3): 200.0, ("b", "c/d", 20): 300.0, ("\\", "d", 3): 400.0}
"""Cells of the id columns of each series in the order of the table, and its level."""

NAMES = ["shop", "kind", "number"]


def long(series: dict = SERIES) -> pd.DataFrame:
    """A table whose shop, kind and number are text, categories and small integers."""
    rows = [(*cells, day, level + i % 7) for cells, level in series.items() for i, day in enumerate(TIMES)]
    frame = pd.DataFrame(rows, columns=[*NAMES, "ds", "y"])
    return frame.astype({"kind": "category", "number": "int16"})[["kind", "ds", "shop", "y", "number"]]


def forecaster(**options: object) -> Forecaster:
    return Forecaster(horizon=4, preset="fast", context=16, level=2, **options)


@pytest.fixture
def fitted() -> Forecaster:
    return forecaster(id_column=NAMES).fit(long())


def ids_of(frame: pd.DataFrame) -> list[tuple]:
    return list(dict.fromkeys(frame[["kind", "shop", "number"]].itertuples(index=False, name=None)))


def expected() -> list[tuple]:
    return [(kind, shop, number) for shop, kind, number in SERIES]


@pytest.mark.filterwarnings("ignore:the model was trained on this table")
def test_id_columns_come_back_with_their_names_types_and_order(fitted):
    table = long()
    for frame, columns in (
        (fitted.predict(table), ["ds", "yhat"]),
        (fitted.cross_validation(table, windows=2), ["ds", "cutoff", "y", "yhat"]),
        (forecaster(id_column=NAMES, split="none").backtest(table, windows=2), ["ds", "cutoff", "y", "yhat"]),
    ):
        assert frame.columns.tolist() == ["kind", "shop", "number", *columns]
        assert frame.dtypes[["kind", "shop", "number"]].equals(table.dtypes[["kind", "shop", "number"]])
        assert ids_of(frame) == expected()
        levels = frame.groupby(["kind", "shop", "number"], observed=True)["yhat"].mean()
        for cells, level in SERIES.items():
            assert levels[cells[1], cells[0], cells[2]] == pytest.approx(level + 3, abs=4)


def test_id_columns_of_polars():
    pl = pytest.importorskip("polars")
    table = pl.DataFrame({name: long().astype({"kind": str})[name].to_list() for name in long().columns})
    table = table.with_columns(pl.col("number").cast(pl.Int16), pl.col("kind").cast(pl.Categorical))
    found = forecaster(id_column=NAMES).fit(table).predict(table)
    assert found.columns == ["kind", "shop", "number", "ds", "yhat"]
    assert found.schema["number"] == pl.Int16
    assert found.schema["kind"] == pl.Categorical
    assert ids_of(found.to_pandas()) == expected()


@given(st.lists(st.tuples(st.text("a/\\", max_size=4), st.text("b/\\", max_size=4)), unique=True, min_size=2))
def test_different_cells_are_different_ids(cells):
    assert len({join_cells(one) for one in cells}) == len(cells)


def test_ids_do_not_depend_on_the_order_of_rows():
    table = long()
    shuffled = table.sample(frac=1, random_state=0, ignore_index=True)
    one, other = (to_series(frame, id_column=NAMES) for frame in (table, shuffled))
    assert one.ids == other.ids == tuple(sorted(map(join_cells, ((a, b, str(c)) for a, b, c in SERIES))))
    for x, y in zip(one.values, other.values, strict=True):
        assert np.array_equal(x, y)


def places(*cells: tuple[str, str, str], remark: bool = False) -> pd.DataFrame:
    rows = [(*one, day, float(i)) for one in cells for i, day in enumerate(TIMES)]
    frame = pd.DataFrame(rows, columns=["state", "region", "purpose", "ds", "trips"])
    return frame.assign(remark=["sunny", "rainy", "windy"] * (len(frame) // 3)) if remark else frame


TOURISM = [(state, state + place, why) for state in ("Sa", "Wa") for place in "nw" for why in ("Work", "Leisure")]


@pytest.mark.parametrize("remark", [False, True])
def test_columns_of_text_that_only_together_tell_series_apart_are_the_id(remark):
    table = to_series(places(*TOURISM, remark=remark))
    assert table.id_columns == ("state", "region", "purpose")
    assert len(table.ids) == len(TOURISM)
    assert table.notes[0] == "columns 'state', 'region', 'purpose' were taken as the id of the series"
    assert ("'remark' holds text and was left out" in table.notes) is remark


def test_a_name_and_its_code_are_both_in_the_id():
    """Either would do, and both give the same series."""
    frame = places(*TOURISM)
    frame = frame.assign(code="c" + frame["region"]).drop(columns="state")
    assert to_series(frame).id_columns == ("region", "purpose", "code")


def test_columns_that_tell_series_apart_in_two_ways_are_refused():
    """Within a state, the purpose and the rank tell rows apart, but give different series."""
    frame = places(*[(state, state + "n", why) for state in ("Sa", "Wa") for why in ("Work", "Leisure")])
    swapped = (np.arange(len(frame)) + (frame["purpose"] == "Work")) % 2
    frame = frame.assign(rank=np.where(swapped, "first", "second"))
    columns = "'state', 'region', 'purpose', 'rank'"
    with pytest.raises(TableError, match=f"only together do the columns {columns} tell .* name .* in data.id_column"):
        to_series(frame)
    assert to_series(frame, id_column=["region", "rank"]).ids == ("San/first", "San/second", "Wan/first", "Wan/second")


def test_rows_that_only_remarks_tell_apart_are_no_series():
    frame = pd.DataFrame({"shop": ["a"] * 4, "kind": list("xyxy"), "ds": [*TIMES[:2].repeat(2)], "y": 1.0})
    remarks = frame.assign(kind="x", remark=list("qrqs"), more=list("tutu"), y=2.0)
    with pytest.raises(TableError):
        to_series(pd.DataFrame({"ds": [TIMES[0]] * 4, "a": list("xxyy"), "b": list("uvuv"), "y": 1.0}))
    assert to_series(frame).id_columns == ("kind",)
    assert to_series(remarks).id_columns in (("more",), ("remark",))


def test_calendar_columns_and_several_id_columns():
    frame = places(*TOURISM)
    months = pd.date_range("2015-01-01", periods=ROWS, freq="MS")
    frame = frame.assign(year=[*months.year] * len(TOURISM), month=[*months.month] * len(TOURISM)).drop(columns="ds")
    table = to_series(frame)
    assert (table.id_columns, table.frequency) == (("state", "region", "purpose"), "MS")


def test_the_id_columns_of_the_training_table_are_remembered(tmp_path):
    table = places(*TOURISM)
    with pytest.warns(match="were taken as the id"):
        forecaster().fit(table).save(tmp_path / "model")
    again = Forecaster.load(tmp_path / "model")
    one = table[(table["region"] == "San") & (table["purpose"] == "Work")]
    found = again.predict(one)
    assert ids_of(found.rename(columns={"state": "kind", "region": "shop", "purpose": "number"})) == [
        ("Sa", "San", "Work")
    ]
    assert again.read_series(one).ids == ("Sa/San/Work",)
    assert json.loads((tmp_path / "model/config.json").read_text())["data"]["id_column"] == [
        "state",
        "region",
        "purpose",
    ]
    with pytest.raises(TableError, match=r"data.id_column: the table has no column 'state'"):
        again.predict(one.drop(columns="state"))


@pytest.mark.parametrize("name", ["yhat", "cutoff"])
def test_an_id_column_named_as_a_column_of_the_forecast_is_refused(name):
    frame = places(*TOURISM).rename(columns={"ds": "when", "region": name})
    with pytest.raises(TableError, match=f"forecasts have a column '{name}' of their own"):
        to_series(frame, id_column=["state", name, "purpose"], time_column="when", target="trips")


def test_ids_that_are_also_the_target_or_none_are_refused():
    with pytest.raises(TableError, match=r"data.id_column and data.target are both 'trips'"):
        to_series(places(*TOURISM), id_column=["state", "trips"], target="trips")
    with pytest.raises(TableError, match=r"data.id_column is empty"):
        to_series(places(*TOURISM), id_column=[])


@pytest.mark.skipif(sys.platform == "win32", reason="paths with backslashes")
def test_commands(tmp_path, capsys):
    """The output of every command has the id columns, also where their digits begin with zeros."""
    table = long().assign(number=lambda frame: frame["number"].map("{:03d}".format))
    table.rename(columns={"shop": "the, shop"}).to_csv(tmp_path / "t.csv", index=False)
    ids = ["--id-column", 'kind,"the, shop", number']
    data = ["--data", str(tmp_path / "t.csv")]

    def written(*command: str) -> pd.DataFrame:
        out = tmp_path / "out.csv"
        assert run([*command, str(out)]) == 0, capsys.readouterr().err
        frame = read_table(out, id_column="number")
        assert frame.columns.tolist()[:3] == ["kind", "the, shop", "number"]
        assert frame["number"].drop_duplicates().tolist() == ["003", "020"]
        return frame

    fit = ["--preset", "fast", "--set", "data.context=16", "--set", "embedding.level=2", "--horizon", "4"]
    assert len(written("forecast", *data, *ids, *fit, "--save", str(tmp_path / "m"), "--out")) == 16
    assert len(written("forecast", *data, "--model", str(tmp_path / "m"), "--out")) == 16
    backtest = ["--set", "data.split=none", "--windows", "2"]
    assert len(written("backtest", *data, *ids, *fit, *backtest, "--by-series", str(tmp_path / "b.csv"), "--out")) == 32
    assert read_table(tmp_path / "b.csv").columns[:4].tolist() == ["kind", "the, shop", "number", "points"]
    assert len(written("evaluate", *data, "--model", str(tmp_path / "m"), "--by-series")) == 4
    assert run(["forecast", *data, "--id-column", 'kind,"the', *fit, "--out", str(tmp_path / "out.csv")]) == 2
    assert "--id-column: a quotation mark is not closed" in capsys.readouterr().err


def test_text_in_cells_of_any_type_of_polars_is_left_out():
    """Polars has no unique cells of type Object."""
    pl = pytest.importorskip("polars")
    names = pl.Series("note", ["a", "b", "a"], dtype=pl.Object)
    days = [datetime.datetime(2000, 1, day) for day in (1, 2, 3)]
    found = to_series(pl.DataFrame({"ds": days, "y": [0.0, 1.0, 2.0]}).with_columns(names))
    assert found.ids == ("y",)
    assert any(note.startswith("'note' holds text") for note in found.notes)


def test_a_list_among_dates_is_a_typed_error():
    days = [datetime.date(2000, 1, day) for day in (1, 2, 3, 4)]
    table = pd.DataFrame({"one": days, "two": [*days[:3], [1]], "y": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(TableError, match="several columns hold times"):
        to_series(table)
