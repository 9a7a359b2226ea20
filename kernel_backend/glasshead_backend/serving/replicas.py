"""Copies of a model in processes of their own, by Ray Serve; one reception before them all."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from glasshead_backend.serving.desk import Desk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from glasshead_backend.serving.settings import Settings

_MOST_CLIENTS = 10_000


class Replica:
    """One copy of the model, in a process of its own.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self._desk = Desk(settings.maker(), settings.limits, settings.threads)

    async def facts(self) -> dict[str, Any]:
        """Return what a client has to know."""
        return await self._desk.facts()

    async def ask(self, body: bytes, client: str) -> AsyncGenerator[bytes, None]:
        """Yield the pieces of an answer."""
        async with aclosing(self._desk.ask(body, client)) as pieces:
            async for piece in pieces:
                yield piece

    async def drop(self, ids: Sequence[str], client: str) -> None:
        """Let go of a client's traces."""
        await self._desk.drop(ids, client)


class Replicas:
    """Sends each client to one copy: there its traces are, and two of them can be compared.

    Parameters
    ----------
    handles : sequence
        Ray Serve's handles of the copies.
    """

    def __init__(self, handles: Sequence[Any]) -> None:
        self._handles = handles
        self._of_client: OrderedDict[str, int] = OrderedDict()
        self._n_clients = [0] * len(handles)

    async def facts(self) -> dict[str, Any]:
        """Return what a client has to know: all copies are of one model."""
        return await self._handles[0].facts.remote()

    async def ask(self, body: bytes, client: str) -> AsyncGenerator[bytes, None]:
        """Yield the pieces of an answer."""
        handle = self._handles[self._place(client)]
        pieces = handle.options(stream=True).ask.remote(body, client)
        try:
            async for piece in pieces:
                yield piece
        finally:
            pieces.cancel()

    async def drop(self, ids: Sequence[str], client: str) -> None:
        """Let go of a client's traces."""
        await self._handles[self._place(client)].drop.remote(ids, client)

    def _place(self, client: str) -> int:
        """Return a client's copy: at first the one with the fewest clients."""
        if client not in self._of_client:
            self._of_client[client] = self._n_clients.index(min(self._n_clients))
            self._n_clients[self._of_client[client]] += 1
            if len(self._of_client) > _MOST_CLIENTS:
                _, left = self._of_client.popitem(last=False)
                self._n_clients[left] -= 1
        self._of_client.move_to_end(client)
        return self._of_client[client]
