"""``POST /forecast``: a table in, a forecast of the same kind out."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
from fastapi import APIRouter, Request, Response

from swt_time.data.budget import Budget
from swt_time.data.csv_text import parse_csv
from swt_time.data.decoding import decode
from swt_time.data.forecasts import forecast_frame
from swt_time.data.layout import as_names
from swt_time.data.names import ID_NAME
from swt_time.data.origins import ends
from swt_time.data.parquet import read_parquet
from swt_time.data.writing import csv_bytes, parquet_bytes
from swt_time.errors import SWTTimeError
from swt_time.evaluation.short_series import forecastable
from swt_time.evaluation.told import from_ends, tell_again
from swt_time.serve import json_tables
from swt_time.serve.asked import TABLES, Asked
from swt_time.serve.bodies import NAME, Bodies, check_encoding, decompressed
from swt_time.serve.collected import collecting
from swt_time.serve.models import Models, Served
from swt_time.serve.openapi import CSV, JSON, PARQUET, describe_forecast
from swt_time.serve.problems import Problem
from swt_time.serve.settings import Limits
from swt_time.serve.workers import Workers

MODEL_HEADER, NOTES_HEADER = "SWT-Time-Model", "SWT-Time-Notes"
"""Headers of an answer in CSV or Parquet, whose content has no place for them: name and hash of the model that made it,
and the notes as a JSON array."""

LONGEST_NOTES = 4000
"""Characters of the header of notes; further notes are left out."""

KINDS = {JSON: JSON, CSV: CSV, PARQUET: PARQUET, "application/x-parquet": PARQUET}
"""Media types of bodies, and those of their answers."""

Made = tuple[bytes, dict[str, str]]
"""Content and headers of an answer."""


def forecast_router(models: Models, workers: Workers, limits: Limits) -> APIRouter:
    """Make the route."""
    router, bodies = APIRouter(), Bodies(limits)

    @router.post("/forecast", response_class=Response, **describe_forecast())
    async def forecast(request: Request) -> Response:
        kind = _kind(request.headers.get("content-type"))
        encoding = request.headers.get("content-encoding")
        check_encoding(encoding)
        asked = Asked.from_query(request.query_params)
        async with bodies.received(request) as raw:
            make = partial(_answer, models, limits, kind=kind, encoding=encoding, asked=asked, raw=raw)
            content, headers = await workers.run(make, limits.request_seconds)
        request.state.logged.update(model=headers[MODEL_HEADER], bytes=len(raw))
        return Response(content, media_type=kind, headers=headers)

    return router


def _kind(given: str | None) -> str:
    media = (given or "").partition(";")[0].strip().lower()
    if media not in KINDS:
        raise Problem(
            415,
            "UnsupportedMediaType",
            f"Content-Type is {media[:100] or 'missing'!r}; expected {JSON}, {CSV} or {PARQUET}",
            {"Accept-Post": f"{JSON}, {CSV}, {PARQUET}"},
        )
    return KINDS[media]


def _answer(
    models: Models,
    limits: Limits,
    alive: Callable[[], None],
    *,
    kind: str,
    encoding: str | None,
    asked: Asked,
    raw: bytes,
) -> Made:
    """Make an answer, in a thread that works for this request alone meanwhile."""
    budget = Budget(limits.table_mib)
    raw = decompressed(raw, encoding, budget)
    with collecting() as notes:
        if kind == JSON:
            return _answer_json(models, limits, asked=asked, raw=raw, budget=budget, notes=notes, alive=alive)
        served = models.get(asked.model)
        table = _read(kind, raw, served, asked, budget)
        del raw
        frame = _forecast(served, limits, asked, {"table": table}, alive)
        content = csv_bytes(frame) if kind == CSV else parquet_bytes(frame)
        return content, _headers(served) | _notes_header(notes)


def _answer_json(
    models: Models,
    limits: Limits,
    *,
    asked: Asked,
    raw: bytes,
    budget: Budget,
    notes: list[str],
    alive: Callable[[], None],
) -> Made:
    if len(raw) > limits.body_bytes:  # values of JSON take many times the memory of their text
        raise Problem(413, "TooLarge", f"the JSON has more than {limits.body_bytes:,} bytes; send fewer rows")
    fields = json_tables.parse(raw)
    if asked != Asked():
        raise Problem(422, "UnknownField", "a JSON body holds all fields itself; send no query with it")
    asked = Asked.from_json(fields)
    if fields.get("table") is None:
        raise Problem(422, "WrongField", "table is missing; expected an array of rows or an object of columns")
    given = {name: fields[name] for name in TABLES if fields.get(name) is not None}
    del raw, fields
    read = {name: json_tables.to_frame(given.pop(name), name, budget) for name in list(given)}
    served = models.get(asked.model)
    frame = _forecast(served, limits, asked, {name: one for name, (one, _) in read.items()}, alive)
    content = {
        "model": {"name": served.name, "sha256": served.sha256},
        "forecast": json_tables.from_frame(frame, read["table"][1]),
        "notes": notes,
    }
    return json.dumps(content, allow_nan=False).encode(), _headers(served)


def _read(kind: str, raw: bytes, served: Served, asked: Asked, budget: Budget) -> pd.DataFrame:
    """Read a table from a body that is CSV or Parquet and nothing else."""
    data = served.trained.checkpoint.config.data
    ids = {ID_NAME, *as_names(asked.reading.get("id_column", data.id_column))}
    if kind == PARQUET:
        return read_parquet(raw, NAME, budget, ids)
    text, notes = decode(raw, NAME)
    if not text or text.isspace():
        raise Problem(422, "TableError", "the body is empty; expected a table with a header row")
    return parse_csv(text, NAME, ids, notes, budget)


def _forecast(
    served: Served, limits: Limits, asked: Asked, tables: dict[str, Any], alive: Callable[[], None]
) -> pd.DataFrame:
    """Forecast a table as `swt_time.Forecaster.predict` does, within the limit of rows."""
    table, trained = tables["table"], served.trained
    if len(table) > limits.rows:
        raise Problem(413, "TooLarge", f"the table has {len(table):,} rows; this server takes at most {limits.rows:,}")
    config = trained.checkpoint.config
    data = config.replace({f"data.{key}": value for key, value in asked.reading.items()}).data
    alive()
    series = trained.read(table, data, tables.get("future"), tables.get("static"))
    series = forecastable(trained, from_ends(tell_again(series, tables.get("notes"), trained.effects)))
    columns = 1 + 2 * len(asked.around.levels) + len(asked.around.quantiles)
    rows = len(series.ids) * data.horizon
    if rows * columns > 10 * limits.rows:
        raise Problem(
            413,
            "TooLarge",
            f"the forecast has {rows:,} rows with {columns} numbers each; this server makes at most "
            f"{10 * limits.rows:,} numbers: send fewer series, or ask for fewer levels and quantiles",
        )
    alive()
    yhat = trained.forecast_origins(series, ends(series))
    alive()
    around = asked.around.columns(trained, series, ends(series), yhat)
    frame = forecast_frame(series, yhat, table, around)
    if not isinstance(frame, pd.DataFrame):
        raise SWTTimeError("the forecast is not a frame of pandas")
    return frame


def _headers(served: Served) -> dict[str, str]:
    return {MODEL_HEADER: f"{served.name}; sha256={served.sha256}"}


def _notes_header(notes: list[str]) -> dict[str, str]:
    while notes and len(json.dumps(notes)) > LONGEST_NOTES:
        notes = notes[:-1]
    return {NOTES_HEADER: json.dumps(notes)} if notes else {}
