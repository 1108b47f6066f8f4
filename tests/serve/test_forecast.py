"""POST /forecast answers as `Forecaster.predict` does, in the kind of the body, and refuses what that refuses."""

import gzip
import io
import json

import numpy as np
import pandas as pd
import pytest

from serve.conftest import CSV, PARQUET, columns_of, csv_frame, error_of, hourly, post_csv
from swt_time.serve.problems import READING, in_fields


@pytest.fixture(scope="module")
def table():
    return hourly(120, seed=5)


def test_csv_is_answered_as_predict_writes_it(client, forecaster, table):
    answer = post_csv(client, table)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(CSV)
    read = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    assert answer.text == forecaster.predict(read).to_csv(index=False, lineterminator="\n")
    name, _, sha256 = answer.headers["swt-time-model"].partition("; sha256=")
    assert name == "demand"
    assert len(sha256) == 64


def test_parquet_is_answered_as_parquet(client, forecaster, table):
    body = io.BytesIO()
    table.to_parquet(body, index=False)
    answer = client.post("/forecast?levels=90", content=body.getvalue(), headers={"content-type": PARQUET})
    assert answer.status_code == 200
    found, wanted = pd.read_parquet(io.BytesIO(answer.content)), forecaster.predict(table, levels=(90,))
    assert list(found) == list(wanted)
    assert (found["date"] == wanted["date"]).all()
    for name in wanted.columns[2:]:
        assert np.array_equal(found[name], wanted[name]), name


def test_json_is_answered_in_the_form_of_its_table(client, forecaster, table):
    wanted = forecaster.predict(table, levels=(80,), quantiles=(0.5,))
    columns = columns_of(table)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    asked = {"levels": [80], "quantiles": [0.5], "model": "demand", "future": None}
    by_columns = client.post("/forecast", json={"table": columns, **asked}).json()
    by_rows = client.post("/forecast", json={"table": rows, **asked}).json()
    assert list(by_columns["forecast"]) == list(wanted)
    for name in wanted.columns[2:]:
        assert by_columns["forecast"][name] == wanted[name].tolist(), name
    assert by_columns["forecast"]["date"] == [time.isoformat() for time in wanted["date"]]
    assert pd.DataFrame(by_rows["forecast"]).equals(pd.DataFrame(by_columns["forecast"]))
    assert by_rows["model"]["name"] == "demand"
    assert by_rows["notes"] == []


def test_bodies_may_be_compressed(client, table):
    plain = post_csv(client, table)
    packed = post_csv(client, gzip.compress(table.to_csv(index=False).encode()), **{"content-encoding": "gzip"})
    assert packed.status_code == 200
    assert packed.content == plain.content
    json_body = gzip.compress(json.dumps({"table": columns_of(table)}).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert client.post("/forecast", content=json_body, headers=headers).status_code == 200


def test_notes_of_the_library_belong_to_their_request(client, table):
    gap = table.drop(index=[50, 51])
    answer = post_csv(client, gap, "?fill=linear")
    assert json.loads(answer.headers["swt-time-notes"]) == ["filled 2 values in 1 series (linear)"]
    assert "swt-time-notes" not in post_csv(client, table).headers
    found = client.post("/forecast", json={"table": columns_of(gap), "fill": "linear"}).json()
    assert found["notes"] == ["filled 2 values in 1 series (linear)"]


def test_levels_and_quantiles_of_a_query(client, table):
    assert list(csv_frame(post_csv(client, table, "?levels=none"))) == ["unique_id", "date", "yhat"]
    assert list(csv_frame(post_csv(client, table, "?quantiles=0.25")))[2:] == ["yhat", "0.25"]
    assert len(csv_frame(post_csv(client, table)).columns) == 7


WRONG = {
    "?levels=120": "levels are percentages",
    "?levels=a,b": "levels: expected numbers separated by commas",
    "?levels=nan": "levels: expected at most 100 numbers",
    "?quantiles=2": "quantiles lie between 0 and 1",
    "?level=80": "did you mean 'levels'?",
    "?levels=80&levels=90": "levels: expected one value; got two",
    "?model=": "model: expected text of 1 to",
    "?fill=sideways": "fill",
    "?target=nothing": "nothing",
}


@pytest.mark.parametrize("query", WRONG)
def test_a_wrong_query_is_named(client, table, query):
    answer = post_csv(client, table, query)
    assert answer.status_code == 422
    message = error_of(answer)
    assert WRONG[query] in message
    assert "data." not in message


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("levels", "80", "levels: expected at most 100 numbers, such as [80, 95]; got text"),
        ("levels", [True], "got true or false"),
        ("levels", [80] * 101, "got 101"),
        ("quantiles", {"a": 1}, "got an object"),
        ("model", 5, "model: expected text of 1 to 1,000 characters; got a number"),
        ("tabel", [], "did you mean 'table'?"),
        ("table", 3, "table is a number; expected an array of rows or an object of columns"),
        ("table", [3], "table, row 1 is a number"),
        ("table", {"date": 3}, "column 'date' is a number; expected an array of values"),
        ("table", {"date": [], "y": []}, "table has no rows"),
        ("table", {"date": ["2024-01-01"], "y": [1, 2]}, "expected one length"),
        ("table", {"date": ["2024-01-01"], "y": [[1]]}, "table, column 'y', row 1 holds an array"),
        ("table", None, "table is missing"),
    ],
)
def test_a_wrong_field_is_named(client, table, field, value, words):
    answer = client.post("/forecast", json={"table": columns_of(table), field: value})
    assert answer.status_code == 422
    assert words in error_of(answer)


def test_a_table_that_predict_refuses_is_refused_in_terms_of_the_request(client, table):
    answer = post_csv(client, table.drop(index=[50]))
    assert answer.status_code == 422
    message = error_of(answer)
    assert "set fill to linear, ffill or zero" in message
    assert answer.json()["error"]["type"] == "TableError"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "expected a JSON object"),
        (b'{"table": NaN}', "NaN is not a JSON number"),
        (b'{"table": 1, "table": 2}', "occurs twice"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 2**17, "not valid JSON"),
        (b"[" * (2**18 + 1), "objects and arrays"),
    ],
)
def test_what_is_no_json_is_refused(client, body, words):
    answer = client.post("/forecast", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert words in error_of(answer)


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "text/csv2", "a" * 3000])
def test_other_media_types_are_refused(client, table, kind):
    headers = {} if kind is None else {"content-type": kind}
    answer = client.post("/forecast", content=table.to_csv(index=False), headers=headers)
    assert answer.status_code == 415
    assert "text/csv" in error_of(answer)


def test_a_query_beside_json_is_refused(client, table):
    answer = client.post("/forecast?levels=80", json={"table": columns_of(table)})
    assert answer.status_code == 422
    assert "no query" in error_of(answer)


def test_whole_numbers_of_any_length_are_numbers(client, table):
    columns = columns_of(table)
    columns["demand"][3] = 10**15
    assert client.post("/forecast", json={"table": columns}).status_code == 200
    text = json.dumps({"table": columns}).replace(str(10**15), "1" * 5000)
    answer = client.post("/forecast", content=text, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    error_of(answer)


@pytest.mark.parametrize("name", READING)
def test_every_key_that_a_request_may_set_is_named_as_its_field(name):
    assert in_fields(f"set data.{name}") == f"set {name}"


def test_messages_name_fields():
    said = "set data.fill to linear; the field data.notes stays, 'data.fill' in quotes too; pass future=..."
    assert in_fields(said) == (
        "set fill to linear; the field data.notes stays, 'data.fill' in quotes too; pass the field future"
    )
