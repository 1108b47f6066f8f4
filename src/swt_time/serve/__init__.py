"""A service that forecasts over HTTP (FastAPI and uvicorn; extra ``serve``)."""

from typing import TYPE_CHECKING

from swt_time.lazily import exports

if TYPE_CHECKING:
    from swt_time.serve.app import create_app
    from swt_time.serve.server import serve
    from swt_time.serve.settings import Settings

__all__ = ["Settings", "create_app", "serve"]

__getattr__ = exports(__name__, {"Settings": "settings", "create_app": "app", "serve": "server"})
