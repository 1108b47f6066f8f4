"""The page at ``/``: static files of the package, and the jobs behind them.

Scripts of other sites can neither start a job nor see one: `swt_time.serve.access` compares host and origin, a request
that changes something has a header that a form cannot send, and ids of jobs cannot be guessed.
"""

import asyncio
import hashlib
import itertools
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from swt_time.files import MEBIBYTE
from swt_time.serve.jobs import BusyError, Job, JobLimits, Jobs, Task, UnknownJobError
from swt_time.serve.problems import Problem

SCRIPT, STYLE = "text/javascript; charset=utf-8", "text/css; charset=utf-8"

STATIC = {
    "index.html": ("swt_time.serve", "text/html; charset=utf-8"),
    "icon.svg": ("swt_time.serve", "image/svg+xml"),
    "page.css": ("swt_time.serve", STYLE),
    **{
        f"{name}.js": ("swt_time.serve", SCRIPT)
        for name in ("page", "server", "elements", "form", "progress", "result", "chart")
    },
    "uPlot.min.css": ("swt_time.report", STYLE),
    "uPlot.iife.min.js": ("swt_time.report", SCRIPT),
}
"""Files of the page: the room whose folder ``static`` holds each, and its type."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""No script and no style but those of the package, and no text that becomes markup."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}

REPORT_POLICY = "sandbox allow-scripts allow-downloads allow-modals"
"""A report runs the scripts of its own policy, apart from the page and what it may do."""

OWN_HEADER = "X-SWT-Time"
"""A header that only a script of the page sends: those of other sites need a permission that is never given."""

Text = Annotated[str, Field(max_length=1000)]


FileName = Annotated[str, Query(max_length=255, alias="name")]


class Options(BaseModel):
    """The form of the page: keys of the section ``data`` of the configuration."""

    model_config = ConfigDict(extra="forbid")

    time_column: Text | None = None
    id_column: Text | None = None
    target: Text | None = None
    known: list[Text] = Field(default=[], max_length=500)
    calendar: bool = False
    fill: Text | None = None
    frequency: Text | None = None
    date_format: Text | None = None
    encoding: Text | None = None
    horizon: int | None = None


def page_router(jobs: Jobs) -> APIRouter:
    """Routes of the page and of its jobs; they are not part of the OpenAPI document."""
    router = APIRouter(include_in_schema=False)
    for name, (package, kind) in STATIC.items():
        path = "/" if name == "index.html" else f"/static/{name}"
        router.add_api_route(path, _static(package, name, kind), methods=["GET", "HEAD"])
    guarded = APIRouter(prefix="/jobs", include_in_schema=False, dependencies=[Depends(_from_page)])
    _add_jobs(guarded, jobs)
    router.include_router(guarded)
    return router


def _static(package: str, name: str, kind: str) -> Callable[[Request], Any]:
    content = (files(package) / "static" / name).read_bytes()
    headers = {**HEADERS, "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"'}

    async def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)

    return answer


async def _from_page(request: Request) -> None:
    """Refuse what a form or a script of another site could ask for."""
    if request.method not in ("GET", "HEAD") and OWN_HEADER not in request.headers:
        raise Problem(403, "Page", f"only a page of this server may ask for this, with the header {OWN_HEADER}")


def _add_jobs(router: APIRouter, jobs: Jobs) -> None:
    def find(name: Annotated[str, PathParameter(max_length=64)]) -> Job:
        try:
            return jobs.get(name)
        except UnknownJobError as error:
            raise Problem(404, "UnknownJob", str(error)) from None

    Found = Annotated[Job, Depends(find)]

    def state(job: Job) -> JSONResponse:
        run = job.runs.get("forecast")
        ahead = {} if run is None or run.state != "waiting" else {"ahead": jobs.ahead(run)}
        return JSONResponse({**job.as_json(), **ahead}, headers=HEADERS)

    def start(job: Job, task: Task, options: Options) -> JSONResponse:
        try:
            jobs.start(job, task, options.model_dump())
        except BusyError as error:
            raise _busy(error) from None
        return state(job)

    @router.post("")
    async def send(request: Request, name: FileName = "table") -> JSONResponse:
        try:
            job = jobs.create()
        except BusyError as error:
            raise _busy(error) from None
        try:
            await _receive(request, job, "table", name, jobs.limits)
        except BaseException:
            jobs.remove(job.id)
            raise
        return start(job, "read", Options())

    @router.get("")
    async def limits() -> JSONResponse:
        """Return what the page says of the server; the first request, by which it learns whether a token is needed."""
        found = {"upload_bytes": jobs.limits.upload_bytes, "idle_seconds": jobs.limits.idle_seconds}
        return JSONResponse(found, headers=HEADERS)

    @router.get("/{name}")
    async def look(job: Found) -> JSONResponse:
        return state(job)

    @router.delete("/{name}")
    async def remove(job: Found) -> JSONResponse:
        jobs.remove(job.id)
        return JSONResponse({}, headers=HEADERS)

    @router.put("/{name}/future")
    async def send_future(job: Found, request: Request, future: FileName = "table") -> JSONResponse:
        await _receive(request, job, "future", future, jobs.limits)
        return state(job)

    @router.delete("/{name}/future")
    async def remove_future(job: Found) -> JSONResponse:
        job.names.pop("future", None)
        return state(job)

    @router.post("/{name}/read")
    async def read(job: Found, options: Options) -> JSONResponse:
        return start(job, "read", options)

    @router.post("/{name}/forecast")
    async def forecast(job: Found, options: Options) -> JSONResponse:
        return start(job, "forecast", options)

    @router.post("/{name}/cancel")
    async def cancel(job: Found) -> JSONResponse:
        jobs.cancel(job)
        return state(job)

    @router.get("/{name}/charts/{index}")
    def chart(job: Found, index: Annotated[int, PathParameter(ge=0)]) -> Response:
        with open(_result(job, "charts.jsonl"), "rb") as file:
            line = next(itertools.islice(file, index, None), None)
        if line is None:
            raise Problem(404, "UnknownSeries", "the forecast has no such series")
        return Response(line, media_type="application/json", headers=HEADERS)

    @router.get("/{name}/forecast.csv")
    async def table(job: Found) -> FileResponse:
        return FileResponse(_result(job, "forecast.csv"), media_type="text/csv; charset=utf-8", headers=HEADERS)

    @router.get("/{name}/report.html")
    async def report(job: Found) -> FileResponse:
        headers = {**HEADERS, "Content-Security-Policy": REPORT_POLICY}
        return FileResponse(_result(job, "report.html"), media_type="text/html; charset=utf-8", headers=headers)


def _result(job: Job, name: str) -> Path:
    run = job.runs.get("forecast")
    if run is None or run.state != "done" or not (run.folder / name).is_file():
        raise Problem(404, "NoForecast", "there is no forecast of this table yet")
    return run.folder / name


def _busy(error: BusyError) -> Problem:
    return Problem(503, "Busy", str(error), {"Retry-After": "30"})


async def _receive(request: Request, job: Job, key: str, name: str, limits: JobLimits) -> None:
    """Write a body to a file of a job; it takes its place when it is complete."""
    part, size = job.folder / f"{key}.part", 0
    with job.receiving(), open(part, "wb") as file:
        try:
            async with asyncio.timeout(limits.upload_seconds):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > limits.upload_bytes:
                        most = f"{limits.upload_bytes // MEBIBYTE} MiB"
                        raise Problem(413, "TooLarge", f"the table is larger than {most}; send a part of it")
                    file.write(chunk)
        except TimeoutError:
            raise Problem(408, "Timeout", f"the table did not arrive within {limits.upload_seconds:g} s") from None
        except ClientDisconnect:
            raise Problem(400, "Disconnected", "the connection ended before the table did") from None
    try:
        part.replace(job.folder / key)
    except FileNotFoundError:
        raise Problem(404, "UnknownJob", "the table was removed while this one arrived") from None
    job.names[key] = name or "table"
