"""Two hundred and more hostile requests, as bytes, and a client that sends them over a socket as they are."""

import contextlib
import gzip
import io
import json
import random
import re
import socket

import numpy as np
import pandas as pd

from serve.conftest import CSV, PARQUET, hourly

JSON = "application/json"
HOST = b"Host: 127.0.0.1\r\n"


def http(line, *headers, body=b"", host=HOST, length=True):
    """A request with a Content-Length and one connection of its own."""
    sized = f"Content-Length: {len(body)}\r\n".encode() if length else b""
    lines = b"".join(one.encode("latin-1") + b"\r\n" for one in headers)
    return line.encode() + b" HTTP/1.1\r\n" + host + lines + sized + b"Connection: close\r\n\r\n" + body


def post(body, kind=CSV, query="", *headers):
    body = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    return http(f"POST /forecast{query}", f"Content-Type: {kind}", *headers, body=body)


def parquet(frame, **options):
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, **options)
    return buffer.getvalue()


def catalogue():
    """Requests by name; none may be answered with 5xx, except 503 of a server that is busy."""
    table = hourly(100).to_csv(index=False)
    found = {
        # lines and headers
        "no request": b"\x00\x01\x02\x03\r\n\r\n",
        "no version": b"GET /health\r\n\r\n",
        "old version": b"GET /health HTTP/0.9\r\n\r\n",
        "new version": b"GET /health HTTP/9.9\r\n" + HOST + b"\r\n",
        "http2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "tls": bytes.fromhex("16030100a5010000a10303") + b"\x00" * 100,
        "no host": b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n",
        "two hosts": b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        "bare newlines": b"GET /health HTTP/1.1\nHost: localhost\nConnection: close\n\n",
        "a folded header": http("GET /health", "X-A: b\r\n c"),
        "a header without a name": http("GET /health", ": value"),
        "a name with a blank": http("GET /health", "X A: value"),
        "a header of 100 KB": http("GET /health", "X-A: " + "a" * 100_000),
        "a thousand headers": http("GET /health", *[f"X-{i}: a" for i in range(1000)]),
        "ten thousand headers": http("GET /health", *[f"X-{i}: a" for i in range(10_000)]),
        "a line of 100 KB": http("GET /" + "a" * 100_000),
        "a long query": http("GET /models?" + "a=b&" * 5000),
        "an upgrade": http("GET /health", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: x"),
        "expect": http("POST /forecast", "Expect: 100-continue", f"Content-Type: {CSV}", body=b"x"),
        "expect nonsense": http("POST /forecast", "Expect: nonsense", f"Content-Type: {CSV}", body=b"x"),
        "negative length": http("POST /forecast", f"Content-Type: {CSV}", "Content-Length: -1", length=False),
        "length of letters": http("POST /forecast", f"Content-Type: {CSV}", "Content-Length: abc", length=False),
        "two lengths": http("POST /forecast", f"Content-Type: {CSV}", "Content-Length: 1", body=b"ab"),
        "length and chunks": http(
            "POST /forecast", f"Content-Type: {CSV}", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"
        ),
        "a chunk of letters": http("POST /forecast", "Transfer-Encoding: chunked", body=b"zz\r\n", length=False),
        "waits: a huge chunk": http(
            "POST /forecast", "Transfer-Encoding: chunked", body=b"ffffffffffffffff\r\nx", length=False
        ),
        "chunk twice": http("POST /forecast", "Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n", length=False),
        "a huge length": http("POST /forecast", f"Content-Type: {CSV}", f"Content-Length: {10**15}", length=False),
        "a length of 5,000 digits": http("POST /forecast", f"Content-Length: {'9' * 5000}", length=False),
        "a smuggled request": post(table) + b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "text of letters in encoding": post(table, CSV, "", "Content-Encoding: \xff\xfe"),
        "charset nonsense": post(table, "text/csv; charset=../../x"),
        "id with a line break": http("GET /health", "X-Request-ID: a\x0bb"),
        "id of 10 KB": http("GET /health", "X-Request-ID: " + "a" * 10_000),
        "an id in JSON": http("GET /health", 'X-Request-ID: "},{"'),
        "forwarded": http("GET /models", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: evil.example"),
        "origin": post(table, CSV, "", "Origin: http://evil.example"),
        "origin null": post(table, CSV, "", "Origin: null"),
        "two origins": post(table, CSV, "", "Origin: http://127.0.0.1", "Origin: http://evil.example"),
        "authorization": http("GET /models", "Authorization: Bearer " + "x" * 10_000),
        "a range": http("GET /openapi.json", "Range: bytes=0-1,1-2,2-3"),
        "accept": http("GET /models", "Accept: " + "a/b;q=0.1," * 1000),
        "a cookie": http("GET /models", "Cookie: " + "a=b; " * 5000),
    }
    for host in ("evil.example", "127.0.0.1.evil.example", "[::", "\xff", "localhost:99999", "a" * 1000):
        line = f"Host: {host}\r\n".encode("latin-1")
        found[f"host {host[:20]!r}"] = http("GET /models", host=line)
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "OPTIONS", "HEAD", "BREW", "A" * 500):
        for path in ("/forecast", "/models"):
            found[f"{method[:8]} {path}"] = http(f"{method} {path}", body=b"x")
    paths = [
        *(
            "/../../etc/passwd",
            "/..%2f..%2fetc/passwd",
            "/%2e%2e/%2e%2e/etc/passwd",
            "//evil.example",
            "/models/../forecast",
        ),
        *(
            "/models/demand",
            "/models/demand/config.json",
            "/static/../app.py",
            "/static/%2e%2e/app.py",
            "/%00",
            "/%0d%0aX: y",
        ),
        *(
            "/forecast/",
            "/forecast%2f",
            "/FORECAST",
            "/docs",
            "/redoc",
            "/openapi.json/x",
            "/.git/config",
            "/%ff%fe",
            "*",
        ),
        *("http://evil.example/models", "/models?name=../..", "/models#x", "/health?%00", "/" + "%61" * 5000),
    ]
    found |= {f"path {path[:40]}": http(f"GET {path}") for path in paths}
    names = [
        *(
            "../demand",
            "..%2fdemand",
            "%2e%2e%2fdemand",
            "/etc/passwd",
            "demand%00",
            "demand/../other",
            "demand%0a",
            ".",
        ),
        *(
            "%ff%fe",
            "demand/",
            "~root",
            "C:%5cmodels",
            "%5c%5chost%5cshare",
            "a" * 2000,
            "notes.txt",
            "empty",
            "*",
            "$HOME",
        ),
        *("file:%2f%2f%2fetc", "http:%2f%2fevil.example", "demand;ls", "%7b%7b7*7%7d%7d", "%3cscript%3e"),
    ]
    found |= {f"model {name[:30]}": post(table, CSV, f"?model={name}") for name in names}
    queries = [
        *("levels=1e999", "levels=-1", "levels=100", "levels=0", "levels=nan", "levels=inf", "levels=" + "9" * 5000),
        *(
            "levels=80," * 100,
            "quantiles=0",
            "quantiles=1",
            "quantiles=1e-320",
            "quantiles=x",
            "levels=0x50",
            "levels=８０",
        ),
        *("fill=__import__", "fill=linear&fill=zero", "frequency=1e9999h", "frequency=-1h", "frequency=99999999999Y"),
        *("frequency=" + "h" * 999, "date_format=%25", "date_format=%25" + "Y" * 900, "date_format=" + "%25q" * 300),
        *(
            "time_column=demand",
            "id_column=demand",
            "target=date",
            "id_column=date,demand",
            "samples=100000",
            "device=cuda",
        ),
        *("backbone=/etc", "memory_limit=999999", "%ff=%fe", "&&&&", "=", "model", "short=pad", "columns=demand"),
    ]
    found |= {f"query {query[:30]}": post(table, CSV, f"?{query}") for query in queries}
    bodies = {
        "empty": b"",
        "blank": b" \n\n ",
        "zeros": b"\x00" * 1000,
        "not UTF-8": b"ds,y\n\xff\xfe,1\n",
        "UTF-16": table.encode("utf-16"),
        "UTF-16 cut": b"\xff\xfe\x00",
        "a header alone": b"ds,y\n",
        "one row": b"ds,y\n2024-01-01,1\n",
        "no time": b"a,b\n1,2\n3,4\n",
        "a million blank lines": b"ds,y\n" + b"\n" * 400_000,
        "a hundred thousand columns": b"," * 200_000 + b"\n1",
        "ragged": b"ds,y\n1,2,3,4\n",
        "an open quotation mark": b'ds,y\n"2024-01-01,1\n' + b"x" * 10_000,
        "a cell of 400 KB": b"ds,y\n" + b"x" * 400_000 + b",1\n",
        "repeated names": b"ds,y,y\n2024-01-01,1,2\n",
        "far years": b"ds,y\n0001-01-01,1\n9999-12-31,2\n",
        "past the years": b"date,demand\n" + b"\n".join(b"9999-12-31 %02d:00:00,%d" % (i % 24, i) for i in range(24)),
        "huge numbers": b"date,demand\n" + b"\n".join(b"2024-01-01 %02d:00:00,1e308" % i for i in range(24)),
        "infinite": table.replace("\n", ",inf\n").encode(),
        "formulas": b"date,demand\n=cmd|' /C calc'!A0,1\n",
        "a script": b"date,<script>alert(1)</script>\n2024-01-01,1\n",
        "digits": b"date,demand\n2024-01-01," + b"9" * 100_000 + b"\n",
        "decimal commas": b"date;demand\n2024-01-01;1,5\n2024-01-02;1,5\n",
        "a pickle": b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94\x8c\x04exec\x94\x93\x94.",
        "a zip": b"PK\x03\x04" + b"\x00" * 100,
        "an Excel file": b"PK\x03\x04[Content_Types].xml" + b"\x00" * 100,
        "old Excel": bytes.fromhex("d0cf11e0a1b11ae1") + b"\x00" * 600,
        "gzip without a header": gzip.compress(table.encode()),
        "xz": b"\xfd7zXZ\x00" + b"\x00" * 50,
        "JSON": json.dumps({"table": {}}).encode(),
        "Parquet": parquet(hourly(100)),
    }
    found |= {f"CSV: {name}": post(body) for name, body in bodies.items()}
    times = [f"2024-01-01T{i % 24:02}:00:00" for i in range(24)]
    tables = {
        "empty": b"",
        "cut": b'{"table": {"ds": ["2024',
        "NaN": b'{"table": {"ds": [NaN]}}',
        "deep": b'{"table": ' + b"[" * 50_000,
        "deep and closed": b'{"table": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        "wide": b'{"table": {' + b",".join(b'"%d":[1]' % i for i in range(30_000)) + b"}}",
        "sparse rows": b'{"table": [' + b",".join(b'{"%d":1}' % i for i in range(30_000)) + b"]}",
        "digits": b'{"table": {"ds": [' + b"9" * 100_000 + b"]}}",
        "an exponent": b'{"table": {"ds": ["2024-01-01"], "y": [1e99999]}}',
        "surrogates": b'{"table": {"ds": ["\\ud800"], "\\udfff": [1]}}',
        "a null character": b'{"table": {"\\u0000": ["\\u0000"], "y": [1]}}',
        "repeated": b'{"table": 1, "table": 2}',
        "prototype": b'{"__proto__": {}, "table": {"__class__": [1]}}',
        "text": b'"table"',
        "bytes": bytes(range(256)),
        "UTF-16": '{"table": {}}'.encode("utf-16"),
    }
    found |= {f"JSON: {name}": post(body, JSON) for name, body in tables.items()}
    values = {
        "a number": 1,
        "text": "ds,y",
        "false": False,
        "an empty array": [],
        "empty rows": [{}, {}],
        "empty columns": {},
        "mixed cells": {"ds": times, "y": [1, "a", None, True] * 6},
        "all null": {"ds": [None] * 24, "y": [None] * 24},
        "true and false": {"ds": times, "y": [True, False] * 12},
        "cells of text": {"ds": times, "y": ["x" * 1000] * 24},
        "no name": {"": times, " ": [1] * 24},
        "equal times": {"ds": [times[0]] * 24, "y": list(range(24))},
        "rows that differ": [{"ds": one} if i % 2 else {"y": i} for i, one in enumerate(times)],
        "ids of all kinds": {"unique_id": [1, "1", 1.0, True] * 6, "ds": times, "y": list(range(24))},
        "times that are numbers": {"ds": [1e308] * 24, "y": list(range(24))},
        "negative times": {"ds": list(range(-(10**18), -(10**18) + 24)), "y": list(range(24))},
        "zones of all kinds": {"ds": [f"{one}+{i:02}:00" for i, one in enumerate(times)], "y": list(range(24))},
        "names of answers": {"yhat": times, "cutoff": list(range(24))},
    }
    found |= {f"table: {name}": post(json.dumps({"table": one}), JSON) for name, one in values.items()}
    good = {"date": [str(one) for one in hourly(100)["date"]], "demand": hourly(100)["demand"].tolist()}
    extras = {
        "future": [1, "x", [], {}, [{"date": "x"}], good],
        "notes": [1, [], [{"ds": 1}], {"ds": ["2024"], "text": [1]}, {"ds": ["x" * 9999], "text": ["x" * 9999]}],
        "static": [1, [{}], {"unique_id": [[]]}, good],
        "levels": ["80", {"a": 1}, [[80]], [None], [1e308], [10**400], [-5], list(range(1000))],
        "quantiles": [0.5, ["0.5"], [2], [True]],
        "model": [1, [], {}, "../demand", "\x00", "x" * 10_000, True],
    }
    for name, many in extras.items():
        for i, one in enumerate(many):
            found[f"{name} {i}"] = post(json.dumps({"table": good, name: one}), JSON)
    whole = parquet(hourly(100))
    files = {
        "empty": b"",
        "a magic alone": b"PAR1",
        "two magics": b"PAR1PAR1",
        "cut": whole[:-50],
        "a footer that lies": whole[:-8] + b"\xff\xff\xff\x7fPAR1",
        "nested": parquet(pd.DataFrame({"ds": pd.date_range("2024", periods=3), "y": [[1], [2], [3]]})),
        "a bomb": parquet(pd.DataFrame({"ds": np.zeros(10**6), "y": np.zeros(10**6)}), compression="gzip"),
        "text that repeats": parquet(hourly(4000).assign(text="x" * 9999), use_dictionary=True),
        "CSV": table.encode(),
    }
    chance = random.Random(0)
    for i in range(20):
        damaged = bytearray(whole)
        for _ in range(5):
            damaged[chance.randrange(4, len(damaged) - 4)] = chance.randrange(256)
        files[f"damaged {i}"] = bytes(damaged)
    found |= {f"Parquet: {name}": post(body, PARQUET) for name, body in files.items()}
    for kind, content in (
        (CSV, b"ds,y\n" + b"0" * 2**26),
        (JSON, b'{"table": "' + b" " * 2**26),
        (PARQUET, b"PAR1" + b"0" * 2**26),
    ):
        found[f"a gzip bomb as {kind}"] = post(gzip.compress(content), kind, "", "Content-Encoding: gzip")
        found[f"no gzip as {kind}"] = post(content[:1000], kind, "", "Content-Encoding: gzip")
        found[f"cut gzip as {kind}"] = post(gzip.compress(content[:9999])[:-9], kind, "", "Content-Encoding: gzip")
    return found


def send(port, raw, seconds=60):
    """Send bytes as they are; return one answer, or what came until the connection ended or ``seconds`` had passed."""
    answer = b""
    ends = (ConnectionResetError, BrokenPipeError, TimeoutError)
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection, contextlib.suppress(*ends):
        connection.sendall(raw)
        while not _is_whole(answer) and (part := connection.recv(2**16)):
            answer += part
    return answer


def _is_whole(answer):
    head, end, content = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\ncontent-length: (\d+)", head)
    return bool(end) and length is not None and len(content) >= int(length[1])
