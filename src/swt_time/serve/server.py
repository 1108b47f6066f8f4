"""The process of a service: uvicorn on one address until it is told to stop."""

import uvicorn

from swt_time.serve.app import create_app
from swt_time.serve.settings import Settings


def serve(settings: Settings) -> None:
    """Listen and answer until SIGTERM or Ctrl-C."""
    uvicorn.Server(uvicorn.Config(create_app(settings), host=settings.host, port=settings.port)).run()
