"""The application: routes, and what stands around all of them."""

from fastapi import FastAPI

from swt_time import __version__
from swt_time.serve.models import Models
from swt_time.serve.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Make the application of a service.

    Its ``state`` holds ``settings`` and ``models`` for the routes.

    Raises
    ------
    CheckpointError
        The folder of ``settings.model`` or ``settings.models`` does not exist, or holds no checkpoint.
    """
    # no page of documentation, whose scripts would come from another site; the OpenAPI document is at /openapi.json
    app = FastAPI(title="swt-time", version=__version__, docs_url=None, redoc_url=None)
    app.state.settings = settings
    app.state.models = Models(settings)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    # Further routers are included here.
    return app
