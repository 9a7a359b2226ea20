"""The server as an ASGI application: who may ask, how much, and how an answer travels.

``GET /v1/hello`` says what is served. ``POST /v1/ask`` takes a question as bytes and streams the
pieces of its answer: a byte that says what the piece is, eight that say how long, then the piece.
``POST /v1/drop`` lets go of traces. What is refused before any work is done has a status of its own
and says why, as JSON. Nothing that comes in is ever run, unpickled or taken for a name to import.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol, cast

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from glasshead_backend.served.errors import (
    BusyError,
    ServerError,
    TokenRefusedError,
    VersionError,
)
from glasshead_backend.serving.limits import RefusedError, Turnstile

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from glasshead_backend.serving.limits import Limits

_KINDS = {
    401: TokenRefusedError,
    409: VersionError,
    413: ValueError,
    429: BusyError,
    503: BusyError,
}
"""What a refusal is raised as in the notebook, by its status."""

_MOST_DROPPED = 10_000
_LONGEST_NAME = 100


class Model(Protocol):
    """What is served: one model here, or one of several elsewhere."""

    async def facts(self) -> dict[str, Any]:
        """Return what a client has to know before it asks."""
        ...

    def ask(self, body: bytes, client: str) -> AsyncGenerator[bytes, None]:
        """Yield the pieces of an answer."""
        ...

    async def drop(self, ids: Sequence[str], client: str) -> None:
        """Let go of a client's traces."""


class _Streamed(StreamingResponse):
    """Pieces of an answer; says when it is over, however it ends."""

    def __init__(self, pieces: AsyncGenerator[bytes, None], over: Callable[[], None]) -> None:
        # The last header asks nginx to hand on what comes as it comes.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(pieces, media_type="application/octet-stream", headers=headers)
        self._pieces, self._over = pieces, over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces until all are sent or nobody listens."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._over()
            await self._pieces.aclose()


class _Reception:
    """What is checked of every request, and what becomes of it."""

    def __init__(self, model: Model, token: str | None, limits: Limits, version: str) -> None:
        self._model, self._limits, self._version = model, limits, version
        self._token = None if token is None else token.encode()
        self._turnstile = Turnstile(limits)

    async def hello(self, request: Request) -> Response:
        """Say what is served, and by which version."""
        self._require_token(request)
        facts = await self._model.facts()
        limits = {"tokens": self._limits.tokens, "body": self._limits.body}
        return JSONResponse({"version": self._version, **facts, "limits": limits})

    async def ask(self, request: Request) -> Response:
        """Let a question in, and stream what comes of it."""
        client = self._client(request)
        body = await self._body(request)
        wait = self._turnstile.enter(client, len(body))
        pieces = self._pieces(body, client, wait)
        return _Streamed(pieces, lambda: self._turnstile.leave(client))

    async def drop(self, request: Request) -> Response:
        """Let go of traces."""
        client = self._client(request)
        try:
            found = cast("object", json.loads(await self._body(request)))
        except ValueError:
            found = None
        ids = found.get("ids") if isinstance(found, dict) else None
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            raise RefusedError(400, 'Give the traces to let go of as {"ids": ["...", ...]}.')
        await self._model.drop(ids[:_MOST_DROPPED], client)
        return Response(status_code=204)

    async def _pieces(self, body: bytes, client: str, wait: float) -> AsyncGenerator[bytes, None]:
        await asyncio.sleep(wait)
        async with aclosing(self._model.ask(body, client)) as pieces:
            async for piece in pieces:
                yield piece

    def _require_token(self, request: Request) -> None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
        if self._token is not None and not hmac.compare_digest(given, self._token):
            said = "The server does not take this token" if given else "The server needs a token"
            raise RefusedError(
                401, f'{said}. Ask whoever runs it, and give it: Lens.connect(url, token="...").'
            )

    def _client(self, request: Request) -> str:
        """Return whose question it is, if it may ask."""
        self._require_token(request)
        version = request.headers.get("Glasshead-Version", "")
        if version != self._version:
            raise RefusedError(
                409,
                f"The server runs Glasshead {self._version}, this notebook Glasshead "
                f"{version or '(unknown)'}: both have to be the same. Install "
                f"glasshead=={self._version} here, or ask for the server to be brought up to date.",
            )
        client = request.headers.get("Glasshead-Client", "")
        if not 0 < len(client) <= _LONGEST_NAME:
            raise RefusedError(400, "The question does not say whose it is: Glasshead-Client.")
        return client

    async def _body(self, request: Request) -> bytes:
        """Read what was sent, no further than it may go."""
        said = request.headers.get("Content-Length", "")
        self._turnstile.require_size(int(said) if said.isdecimal() else 0)
        body = bytearray()
        async for part in request.stream():
            body += part
            self._turnstile.require_size(len(body))
        return bytes(body)


def app_of(model: Model, *, token: str | None, limits: Limits, version: str) -> Starlette:
    """Return the application that serves a model.

    Parameters
    ----------
    model : Model
        Who answers.
    token : str or None
        What every request has to bring; None = nothing (on loopback).
    limits : Limits
        What one client may ask.
    version : str
        Glasshead's version: a client has to have the same.
    """
    reception = _Reception(model, token, limits, version)
    return Starlette(
        routes=[
            Route("/v1/hello", _said(reception.hello), methods=["GET"]),
            Route("/v1/ask", _said(reception.ask), methods=["POST"]),
            Route("/v1/drop", _said(reception.drop), methods=["POST"]),
        ]
    )


def _said(
    handle: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Answer with the words of what is refused."""

    async def handled(request: Request) -> Response:
        try:
            return await handle(request)
        except RefusedError as refused:
            wait = refused.seconds
            headers = None if wait is None else {"Retry-After": str(max(1, round(wait)))}
            said = {"type": _KINDS.get(refused.status, ServerError).__name__, "words": str(refused)}
            return JSONResponse(said, status_code=refused.status, headers=headers)

    return handled
