"""What the OpenAPI document says of ``POST /forecast``, whose body has one of three media types."""

from typing import Any

from swt_time.config import Config
from swt_time.config.keys import describe_key
from swt_time.serve.problems import READING

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"

NUMBERS = {"type": "array", "items": {"type": "number"}, "maxItems": 100}

CELL = {"type": ["number", "string", "boolean", "null"]}

TABLE = {
    "description": "Rows, or columns of one length.",
    "anyOf": [
        {"type": "array", "items": {"type": "object", "additionalProperties": CELL}, "minItems": 1},
        {"type": "object", "additionalProperties": {"type": "array", "items": CELL}, "minProperties": 1},
    ],
}

EXAMPLE_CSV = "ds,y\n2024-01-01 00:00:00,51.2\n2024-01-01 01:00:00,53.9\n"

EXAMPLE_JSON = {
    "table": {"ds": ["2024-01-01T00:00:00", "2024-01-01T01:00:00"], "y": [51.2, 53.9]},
    "levels": [80],
    "quantiles": [0.5],
}

EXAMPLE_ANSWER = {
    "model": {"name": "demand", "sha256": "7cd8..."},
    "forecast": {"unique_id": ["y"], "ds": ["2024-01-01T02:00:00"], "yhat": [55.1], "yhat-lo-80": [52.0]},
    "notes": [],
}

LEVELS = (
    "Intervals in percent: 80 gives yhat-lo-80 and yhat-hi-80. By default 80 and 95, unless quantiles are asked for."
)
QUANTILES = "Quantiles between 0 and 1: 0.1 gives a column 0.1."
MODEL = "Name of the model; needed where the server has several."

PROBLEM = {
    "type": "object",
    "required": ["error", "request_id"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        },
        "request_id": {"type": "string"},
    },
}
"""Schema of every error."""

REASONS = {
    400: "The body is not what its headers say.",
    401: "The token is missing or wrong.",
    403: "A page of another site asks.",
    404: "There is no such model, or no such address.",
    405: "The address has another method.",
    408: "The body came too slowly.",
    413: "The body, the table or the forecast is too large.",
    415: "The Content-Type or the Content-Encoding is none of those expected.",
    421: "The Host header names another machine.",
    422: "The table or a field is wrong; the message says what was expected.",
    500: "The server has a defect.",
    503: "The server is busy, stopping, or cannot load the model; Retry-After says when to come again.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe errors by status."""
    return {status: {"description": REASONS[status], "content": {JSON: {"schema": PROBLEM}}} for status in statuses}


def describe_forecast() -> dict[str, Any]:
    """Return the arguments of the route that describe it."""
    text = {"type": "string", "minLength": 1, "maxLength": 1000}
    reading: dict[str, dict[str, Any]] = {
        name: {**text, "description": describe_key(Config, f"data.{name}")[0]} for name in READING
    }
    fields = {
        "model": {**text, "description": MODEL},
        "levels": {**NUMBERS, "description": LEVELS},
        "quantiles": {**NUMBERS, "description": QUANTILES},
        **reading,
    }
    tables = {
        "table": TABLE,
        "future": {**TABLE, "description": "Rows after the table, with the columns that are known in advance."},
        "notes": {
            **TABLE,
            "description": "What is known in words: ds and text, optionally unique_id, end, known_from.",
        },
        "static": {**TABLE, "description": "A row for each series with its id and its static columns."},
    }
    body = {"type": "object", "required": ["table"], "properties": {**tables, **fields}, "additionalProperties": False}
    in_query: dict[str, dict[str, Any]] = {
        "model": {"schema": text, "description": MODEL},
        "levels": {"schema": text, "description": f"{LEVELS} Separated by commas, or none.", "example": "80,95"},
        "quantiles": {"schema": text, "description": f"{QUANTILES} Separated by commas.", "example": "0.1,0.5,0.9"},
        **{name: {"schema": text, "description": one["description"]} for name, one in reading.items()},
    }
    answer = {
        "type": "object",
        "required": ["model", "forecast", "notes"],
        "properties": {
            "model": {
                "type": "object",
                "required": ["name", "sha256"],
                "properties": {"name": {"type": "string"}, "sha256": {"type": "string"}},
            },
            "forecast": {**TABLE, "description": "In the form of the table."},
            "notes": {"type": "array", "items": {"type": "string"}},
        },
    }
    binary = {"type": "string", "contentMediaType": PARQUET}
    return {
        "summary": "Forecast the steps after the end of every series of a table",
        "description": "The body is a table in CSV or Parquet, with further fields in the query, or a JSON object with "
        "all fields; the forecast is answered in kind. Bodies may be compressed (Content-Encoding: gzip).",
        "openapi_extra": {
            "parameters": [{"name": name, "in": "query", "required": False, **one} for name, one in in_query.items()],
            "requestBody": {
                "required": True,
                "content": {
                    JSON: {"schema": body, "example": EXAMPLE_JSON},
                    CSV: {"schema": {"type": "string"}, "example": EXAMPLE_CSV},
                    PARQUET: {"schema": binary},
                },
            },
        },
        "responses": {
            200: {
                "description": "The forecast: ids, times, yhat, and what was asked for around it.",
                "content": {
                    JSON: {"schema": answer, "example": EXAMPLE_ANSWER},
                    CSV: {"schema": {"type": "string"}, "example": "unique_id,ds,yhat\ny,2024-01-01 02:00:00,55.1\n"},
                    PARQUET: {"schema": binary},
                },
            },
            **problems(400, 401, 403, 404, 408, 413, 415, 421, 422, 500, 503),
        },
    }
