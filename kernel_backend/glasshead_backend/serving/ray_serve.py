"""The server on this machine by Ray Serve: started with as little as it takes, ended cleanly."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import os
import re
import secrets
import socket
from typing import TYPE_CHECKING, Any

from glasshead_backend.served.connection import glasshead_version
from glasshead_backend.serving.replicas import Replica, Replicas

if TYPE_CHECKING:
    from collections.abc import Generator

    from glasshead_backend.serving.settings import Settings

_APP = "glasshead"
_OBJECT_STORE_BYTES = 128 << 20
"""Nothing of ours lies there: pieces of answers go from process to process."""

_ATTEMPTS = 3

_ENVIRONMENT = {
    # Ray's processes talk to each other on loopback alone (elsewhere than on Linux they always do),
    # and let nobody in who does not know the token of this run: whoever reached them could run
    # code. Students reach the HTTP server only.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A copy that no GPU is set apart for sees them all the same: --device cuda:1, or auto.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Read when Ray is imported, so set before."""

_AT_ONCE = 10_000
"""Our own queue decides what waits: Ray's lets everything through."""


def _ray() -> Any:
    """Import Ray, with Serve; say what to install where it is not there."""
    with contextlib.suppress(ImportError, ValueError):
        if importlib.util.find_spec("ray") is not None:
            os.environ.update(_ENVIRONMENT, RAY_AUTH_TOKEN=secrets.token_hex(32))
            ray = importlib.import_module("ray")
            importlib.import_module("ray.serve")
            return ray
    raise ImportError(
        'A server for several notebooks runs by Ray Serve: pip install "glasshead[serve]".'
    )


@contextlib.contextmanager
def serving(settings: Settings) -> Generator[None, None, None]:
    """Serve a model until the block ends; it answers when the block begins.

    Raises
    ------
    ImportError
        When Ray Serve is not installed.
    OSError
        When something else listens at the address.
    """
    _require_free(settings)
    settings.require_there()
    ray = _ray()
    serve: Any = ray.serve
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    _start(ray)
    try:
        serve.start(
            proxy_location="HeadOnly",
            http_options={"host": settings.host, "port": settings.port},
            logging_config={"log_level": "ERROR", "enable_access_log": False},
        )
        try:
            serve.run(_application(serve, settings), name=_APP, route_prefix="/")
        except RuntimeError as error:
            raise OSError(f"The model could not be served. {_cause(str(error))}") from error
        yield
    finally:
        serve.shutdown()
        ray.shutdown()


def _start(ray: Any) -> None:
    """Start Ray's processes; on a busy machine they may miss each other, so try again."""
    for attempt in range(_ATTEMPTS):
        try:
            ray.init(
                num_cpus=1,  # Ray starts a process for each ahead of time
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                logging_level=logging.ERROR,
                configure_logging=False,
            )
        except Exception as error:  # noqa: PERF203  Ray raises nothing narrower
            ray.shutdown()
            if attempt + 1 == _ATTEMPTS:
                raise OSError(f"Ray could not be started: {error}") from error
        else:
            return


def _cause(said: str) -> str:
    """Return what went wrong out of Ray's report: the last line that names an error."""
    found = [line.strip() for line in said.splitlines() if re.match(r"\s*[\w.]*Error\b", line)]
    return found[-1] if found else said.strip()


def _application(serve: Any, settings: Settings) -> Any:
    """Every copy a deployment of its own, and a reception before them."""
    names = [f"model-{number}" for number in range(settings.replicas)]

    def deployed(kind: type, name: str, n_gpus: int) -> Any:
        return serve.deployment(
            kind,
            name=name,
            max_ongoing_requests=_AT_ONCE,
            ray_actor_options={"num_cpus": 0, "num_gpus": n_gpus},
            graceful_shutdown_timeout_s=2.0,
            logging_config={"log_level": "ERROR", "enable_access_log": False},
        )

    def application() -> Any:
        from glasshead_backend.serving.app import app_of  # noqa: PLC0415  Starlette comes with Ray

        # Ray calls a request that its client has left an error that nobody looked at.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        model = Replicas([serve.get_deployment_handle(name, app_name=_APP) for name in names])
        version = glasshead_version()
        return app_of(model, token=settings.token, limits=settings.limits, version=version)

    reception = deployed(serve.ingress(application)(), "reception", 0)
    return reception.bind(
        *[deployed(Replica, name, settings.n_gpus).bind(settings) for name in names]
    )


def _require_free(settings: Settings) -> None:
    """Refuse an address where something listens already."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise OSError(
                f"The server cannot listen on {settings.host}:{settings.port} "
                f"({error.strerror or error}). Choose another: --port {settings.port + 1}."
            ) from error
