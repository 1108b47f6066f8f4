"""``swt-time serve``."""

import os
from pathlib import Path
from typing import Annotated

from swt_time.cli.options import ModelOptions, expand_groups, option
from swt_time.errors import ConfigError, MissingDependencyError
from swt_time.files import MEBIBYTE

TOKEN_VARIABLE = "SWT_TIME_TOKEN"
"""Environment variable with a bearer token."""

ACCESS, LIMITS = "Access", "Limits"
"""Panels of the help."""


@expand_groups
def serve(
    port: Annotated[int, option("--port", help="Port to listen on; 0 takes a free one.", min=0, max=65535)],
    options: ModelOptions,
    model: Annotated[
        Path | None,
        option("--model", help="Checkpoint folder made by train, or owner/name of the hub; its name is the last part."),
    ] = None,
    models: Annotated[
        Path | None, option("--models", help="Folder with checkpoint folders, each named as its model.")
    ] = None,
    host: Annotated[
        str, option("--host", help="Address to listen on; another than this machine's own needs a token.", panel=ACCESS)
    ] = "127.0.0.1",
    token_file: Annotated[
        Path | None,
        option(
            "--token-file",
            help=f"File with bearer tokens, one on each line, of which a request must have one. {TOKEN_VARIABLE} in "
            "the environment gives one too.",
            panel=ACCESS,
        ),
    ] = None,
    origin: Annotated[
        list[str] | None,
        option(
            "--cors",
            help="Origin of a site whose pages may ask, such as https://example.org; may be repeated. None by default.",
            panel=ACCESS,
        ),
    ] = None,
    body_limit: Annotated[int, option("--body-limit", help="MiB of a body as it is sent.", panel=LIMITS, min=1)] = 16,
    memory_limit: Annotated[
        int, option("--memory-limit", help="MiB that a table may take while it is read.", panel=LIMITS, min=1)
    ] = 256,
    rows_limit: Annotated[int, option("--rows-limit", help="Rows of a table.", panel=LIMITS, min=1)] = 1_000_000,
    timeout: Annotated[
        float, option("--timeout", help="Seconds after which a forecast must be ready.", panel=LIMITS, min=0.001)
    ] = 60.0,
    threads: Annotated[int, option("--threads", help="Threads that forecast.", panel=LIMITS, min=1)] = 4,
    queue: Annotated[
        int,
        option("--queue", help="Requests that may wait for a thread; further ones get 503.", panel=LIMITS, min=0),
    ] = 256,
    fits: Annotated[int, option("--fits", help="Fits of the page at / at once.", panel=LIMITS, min=1)] = 1,
    fit_timeout: Annotated[
        float, option("--fit-timeout", help="Seconds after which a fit of the page is ended.", panel=LIMITS, min=1)
    ] = 900.0,
    fit_memory: Annotated[
        int, option("--fit-memory", help="MiB of memory that a fit of the page may take.", panel=LIMITS, min=1)
    ] = 4096,
) -> None:
    """Answer forecasts over HTTP: POST /forecast takes a table as JSON, CSV or Parquet and answers in kind.

    A page at / forecasts a table that is dropped on it, and needs no model. Also GET /models, /health, /metrics and
    /openapi.json. SIGTERM and Ctrl-C finish the requests that were begun, and end the fits of the page.
    """
    try:
        import fastapi  # noqa: F401  whether it is installed
        import uvicorn  # noqa: F401  whether it is installed
    except ImportError as error:
        raise MissingDependencyError("serving needs FastAPI and uvicorn: pip install 'swt-time[serve]'") from error
    from swt_time.hub import find_checkpoint
    from swt_time.serve.jobs import JobLimits
    from swt_time.serve.server import serve as listen
    from swt_time.serve.settings import Limits, Settings, read_tokens

    if options.allow_backbone_change:
        raise ConfigError("a service uses a model with its own backbone only; leave out --allow-backbone-change")
    tokens = () if token_file is None else read_tokens(token_file)
    given = os.environ.get(TOKEN_VARIABLE)
    listen(
        Settings(
            model=None if model is None else find_checkpoint(model.as_posix()),
            models=models,
            host=host,
            port=port,
            tokens=tokens if given is None else (*tokens, given),
            origins=tuple(origin or ()),
            backbone=options.backbone,
            device=options.device or "auto",
            limits=Limits(
                body_bytes=body_limit * MEBIBYTE,
                table_mib=memory_limit,
                rows=rows_limit,
                request_seconds=timeout,
                threads=threads,
                waiting=queue,
            ),
            jobs=JobLimits(fits=fits, seconds=fit_timeout, memory_mib=fit_memory),
        )
    )
