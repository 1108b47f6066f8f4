"""The application: routes, and what stands around all of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from swt_time import __version__
from swt_time.serve.access import Access
from swt_time.serve.collected import hooked
from swt_time.serve.forecasting import MODEL_HEADER, NOTES_HEADER, forecast_router
from swt_time.serve.gate import ID_HEADER, Gate
from swt_time.serve.jobs import Jobs
from swt_time.serve.metrics import CONTENT_TYPE, Metrics
from swt_time.serve.models import Models
from swt_time.serve.openapi import problems
from swt_time.serve.page import page_router
from swt_time.serve.problems import Problem
from swt_time.serve.settings import Settings
from swt_time.serve.workers import Workers


def create_app(settings: Settings) -> FastAPI:
    """Make the application of a service.

    Its ``state`` holds ``settings``, ``models``, ``workers``, ``metrics``, and ``stopping``, for the routes.

    Raises
    ------
    CheckpointError
        The folder of ``settings.model`` or ``settings.models`` does not exist, or holds no checkpoint.
    """
    metrics = Metrics()
    models = Models(settings, metrics.batch)
    workers = Workers(settings.limits.threads, settings.limits.waiting)
    jobs = Jobs(settings.jobs)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with hooked():
            yield
            workers.close()
            jobs.close()

    # no page of documentation, whose scripts would come from another site; the OpenAPI document is at /openapi.json
    app = FastAPI(
        title="swt-time",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.settings, app.state.models, app.state.workers, app.state.metrics = settings, models, workers, metrics
    app.state.stopping = False
    app.include_router(_facts(app))
    app.include_router(forecast_router(models, workers, settings.limits))
    app.include_router(page_router(jobs))
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)
    app.add_middleware(Gate, access=Access(settings), metrics=metrics, state=app.state)
    if settings.origins:  # outermost, since a browser asks whether it may ask without a token
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Content-Encoding", ID_HEADER],
            expose_headers=[ID_HEADER, MODEL_HEADER, NOTES_HEADER],
        )
    return app


def _facts(app: FastAPI) -> APIRouter:
    """Routes that say how the service is; none of them waits for a thread that forecasts."""
    router = APIRouter()
    models, workers, metrics = app.state.models, app.state.workers, app.state.metrics

    @router.get(
        "/health",
        summary="Whether the server answers",
        responses={200: _example({"status": "ok"}), **problems(421, 503)},
    )
    async def health() -> JSONResponse:
        stopping = app.state.stopping
        return JSONResponse({"status": "stopping" if stopping else "ok"}, 503 if stopping else 200)

    @router.get(
        "/models",
        summary="The models that a forecast may name",
        responses={200: _example(EXAMPLE_MODELS), **problems(401, 421)},
    )
    def list_models() -> dict[str, Any]:
        loaded = models.loaded()
        return {"models": [_described(name, loaded.get(name)) for name in models.names()]}

    @router.get(
        "/metrics", summary="Counts for Prometheus", response_class=PlainTextResponse, responses=problems(401, 421)
    )
    async def show_metrics() -> Response:
        now = {"waiting_requests": workers.waiting, "running_requests": workers.running}
        return Response(metrics.text({**now, "loaded_models": len(models.loaded())}), media_type=CONTENT_TYPE)

    return router


EXAMPLE_MODELS = {
    "models": [
        {
            "name": "demand",
            "loaded": True,
            "sha256": "7cd8...",
            "horizon": 24,
            "context": 168,
            "frequency": "h",
            "known": [],
            "past": [],
            "static": [],
        }
    ]
}


def _described(name: str, served: Any) -> dict[str, Any]:
    if served is None:
        return {"name": name, "loaded": False}
    checkpoint = served.trained.checkpoint
    data = checkpoint.config.data
    return {
        "name": name,
        "loaded": True,
        "sha256": served.sha256,
        "horizon": data.horizon,
        "context": data.steps,
        "frequency": checkpoint.trained_on.frequency,
        "known": list(data.known or ()),
        "past": list(data.past or ()),
        "static": list(data.static or ()),
    }


def _example(content: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"example": content}}}


async def _http_problem(request: Request, error: Any) -> Response:
    """Answer a request for an address or method that does not exist."""
    reasons = {404: "there is no such address; GET /openapi.json lists them", 405: "the address has another method"}
    problem = Problem(error.status_code, "HTTP", reasons.get(error.status_code, str(error.detail)), error.headers)
    return JSONResponse(problem.content(request.state.request_id), problem.status, problem.headers)


async def _validation_problem(request: Request, error: Any) -> Response:
    """Answer a request with a parameter that FastAPI refuses."""
    first = error.errors()[0]
    problem = Problem(422, "WrongField", f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}")
    return JSONResponse(problem.content(request.state.request_id), problem.status)
