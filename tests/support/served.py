"""A real server of a lens on loopback, in a thread of this process."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from e2e.serving import free_port
from glasshead import Lens
from glasshead_backend.served.connection import glasshead_version
from glasshead_backend.serving.app import app_of
from glasshead_backend.serving.desk import Desk
from glasshead_backend.serving.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Server:
    """A server that runs.

    Attributes
    ----------
    url : str
    desk : Desk
        What answers behind it.
    token : str or None
        What it wants.
    """

    url: str
    desk: Desk
    token: str | None = None

    def connect(self) -> Lens:
        """Connect as another student does."""
        return Lens.connect(self.url, token=self.token)


@contextmanager
def served(
    lens: Lens,
    limits: Limits | None = None,
    *,
    port: int | None = None,
    token: str | None = None,
    version: str | None = None,
    n_threads: int = 4,
) -> Iterator[Server]:
    """Serve a lens until the block ends."""
    limits = limits or Limits()
    desk = Desk(lens, limits, n_threads)
    app = app_of(desk, token=token, limits=limits, version=version or glasshead_version())
    port = port or free_port()
    config = uvicorn.Config(app, "127.0.0.1", port, log_level="error", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield Server(f"http://127.0.0.1:{port}", desk, token)
    finally:
        server.should_exit = True
        thread.join()
        desk.close()
