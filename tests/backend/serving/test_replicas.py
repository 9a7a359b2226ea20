"""Several copies of a model: whose questions go where."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from glasshead_backend.serving.replicas import Replicas

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class Pieces:
    """What Ray hands out for an answer that streams."""

    said: list[bytes]
    cancelled: bool = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.said:
            yield piece

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Copy:
    """A handle as Ray Serve has them, of a copy that notes who asked."""

    asked: Counter[str] = field(default_factory=Counter)
    pieces: list[Pieces] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def options(self, *, stream: bool) -> Copy:
        assert stream
        return self

    @property
    def ask(self) -> Any:
        return Remote(self._ask)

    @property
    def drop(self) -> Any:
        return Remote(self._drop)

    def _ask(self, body: bytes, client: str) -> Pieces:
        self.asked[client] += 1
        self.pieces.append(Pieces([b"s", body]))
        return self.pieces[-1]

    async def _drop(self, ids: list[str], client: str) -> None:
        del client
        self.dropped += ids


@dataclass
class Remote:
    remote: Any


async def ask(replicas: Replicas, client: str) -> list[bytes]:
    return [piece async for piece in replicas.ask(b"question", client)]


def test_every_client_stays_with_one_copy_and_they_share_the_class() -> None:
    copies = [Copy(), Copy(), Copy()]
    replicas = Replicas(copies)
    for client in "abcabcdefabcdef":
        assert asyncio.run(ask(replicas, client)) == [b"s", b"question"]
    assert [set(copy.asked) for copy in copies] == [{"a", "d"}, {"b", "e"}, {"c", "f"}]


def test_traces_are_let_go_of_where_they_are() -> None:
    copies = [Copy(), Copy()]
    replicas = Replicas(copies)
    asyncio.run(ask(replicas, "ann"))
    asyncio.run(ask(replicas, "bob"))
    asyncio.run(replicas.drop(["its"], "bob"))
    assert [copy.dropped for copy in copies] == [[], ["its"]]


def test_whoever_stops_listening_ends_the_work_at_the_copy() -> None:
    copy = Copy()

    async def stop_early() -> None:
        pieces = Replicas([copy]).ask(b"question", "ann")
        await anext(pieces)
        await pieces.aclose()

    asyncio.run(stop_early())
    assert copy.pieces[0].cancelled
