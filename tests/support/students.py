"""Students who ask a server at random, and what a lens of one's own answers to the same."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import httpx
import numpy as np
import pandas as pd

from glasshead import (
    AttentionLines,
    FusedAttentionMatrix,
    HeadFinder,
    LayerStatsChart,
    Lens,
    PerplexityStrip,
    Trace,
    head_statistics,
    logit_lens,
)
from glasshead_backend.demo import DECODER_LONG_TEXT
from glasshead_backend.lens import ServedLens
from glasshead_backend.served.connection import Connection

ABSOLUTE, RELATIVE = 2e-5, 1e-4
"""How far an answer may be from a local one: texts that were traced together round otherwise."""


@dataclass
class Asked:
    """One question, what came of it, and what it cost.

    Attributes
    ----------
    kind : str
    text : str
        The text that it was about.
    seed : int
        Chooses layer, heads and position.
    answer : Any
        What the server said; the error, if it was one.
    seconds : float
    sent, received : int
        Bytes over the wire.
    """

    kind: str
    text: str
    seed: int
    answer: Any = None
    seconds: float = 0.0
    sent: int = 0
    received: int = 0


class Counted(httpx.HTTPTransport):
    """A way to a server that counts what goes over it."""

    sent = received = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent += int(request.headers.get("Content-Length", 0))
        response = super().handle_request(request)
        response.stream = _Counting(response.stream, self)
        return response


class _Counting(httpx.SyncByteStream):
    def __init__(self, stream: Any, transport: Counted) -> None:
        self._stream, self._transport = stream, transport

    def __iter__(self) -> Any:
        for part in self._stream:
            self._transport.received += len(part)
            yield part

    def close(self) -> None:
        self._stream.close()


def _shown(view: Any) -> Any:
    if isinstance(view, LayerStatsChart):
        view._long_work.join(60)
    assert view.error == "", view.error
    frame = view.frame
    view.close()
    return frame


def _layer(trace: Trace, chance: random.Random) -> int:
    return chance.choice(trace.layers())


def _position(trace: Trace, chance: random.Random) -> int:
    return chance.randrange(1, len(trace.tokens))


KINDS: dict[str, Callable[[Trace, random.Random], Any]] = {
    "trace": lambda trace, _: [token.text for token in trace.tokens],
    "attention": lambda trace, chance: trace.attention(_layer(trace, chance), heads=[0, 2]),
    "words": lambda trace, chance: trace.attention(_layer(trace, chance), unit="word"),
    "token": lambda trace, chance: trace.token_attention(_position(trace, chance)),
    "pairs": lambda trace, chance: trace.notable_pairs(_layer(trace, chance), threshold=0.4),
    "predictions": lambda trace, _: trace.predictions().surprisal,
    "top": lambda trace, chance: trace.top_k(_position(trace, chance), k=5)["probability"],
    "activations": lambda trace, chance: trace.activations(_layer(trace, chance), "mlp"),
    "heads": lambda trace, _: head_statistics(trace).to_frame(),
    "lens": lambda trace, _: logit_lens(trace, k=3).to_frame().select_dtypes("number"),
    "lines": lambda trace, chance: _shown(AttentionLines(trace, layer=_layer(trace, chance))),
    "matrix": lambda trace, chance: _shown(
        FusedAttentionMatrix(trace, layer=_layer(trace, chance))
    ),
    "strip": lambda trace, _: _shown(PerplexityStrip(trace)),
    "finder": lambda trace, _: _shown(HeadFinder(trace)),
    "chart": lambda trace, _: _shown(LayerStatsChart(trace)),
}


def _chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  no secrets


def questions(student: int, n: int) -> list[Asked]:
    """What a student asks: each fourth question is a new text, the others are about it."""
    chance = _chance(student)
    words = DECODER_LONG_TEXT.split()
    others = [kind for kind in KINDS if kind != "trace"]
    found: list[Asked] = []
    text = ""
    for i in range(n):
        if i % 4 == 0:
            first, length = chance.randrange(len(words) - 20), chance.randrange(8, 60)
            text = " ".join(words[first : first + length])
        kind = "trace" if i % 4 == 0 else chance.choice(others)
        found.append(Asked(kind, text, chance.randrange(1 << 30)))
    return found


@dataclass
class Student:
    """Asks one question after the other, as fast as answers come.

    Attributes
    ----------
    number : int
    url, token : str
    n : int
        How many questions.
    """

    number: int
    url: str
    token: str | None
    n: int
    asked: list[Asked] = field(default_factory=list)

    def ask_all(self) -> None:
        way = Counted()
        lens = ServedLens(Connection(self.url, self.token, transport=way))
        trace: Trace | None = None
        for asked in questions(self.number, self.n):
            before = way.sent, way.received
            start = time.perf_counter()
            try:
                if asked.kind == "trace" or trace is None:
                    trace = lens.trace(asked.text)
                asked.answer = KINDS[asked.kind](trace, _chance(asked.seed))
            except Exception as error:  # noqa: BLE001  counted, whatever it is
                asked.answer = error
            asked.seconds = time.perf_counter() - start
            asked.sent, asked.received = way.sent - before[0], way.received - before[1]
            self.asked.append(asked)


def ask_together(url: str, n_students: int, n: int, token: str | None = None) -> list[Asked]:
    """Let students ask at the same time; all that they asked."""
    students = [Student(number, url, token, n) for number in range(n_students)]
    threads = [threading.Thread(target=student.ask_all) for student in students]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [asked for student in students for asked in student.asked]


def wrong(lens: Lens, many: list[Asked]) -> list[str]:
    """Which answers are errors, or are not those of a local lens."""
    found: list[str] = []
    traces: dict[str, Trace] = {}
    for asked in many:
        if isinstance(asked.answer, Exception):
            found.append(f"{asked.kind}: {asked.answer!r}")
            continue
        if asked.text not in traces:
            traces[asked.text] = lens.trace(asked.text)
        own = KINDS[asked.kind](traces[asked.text], _chance(asked.seed))
        found += [f"{asked.kind}{where}" for where in _differences(own, asked.answer)]
    return found


def _differences(one: Any, other: Any) -> list[str]:
    """Where two answers differ by more than rounding."""
    own, its = dict(_flat(one)), dict(_flat(other))
    if own.keys() != its.keys():
        return [f": other parts, {own.keys() ^ its.keys()}"]
    return [f"{where}: not the same" for where in own if not _same(own[where], its[where])]


def _flat(value: Any, where: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """All arrays and values in an answer, by where they are in it."""
    inside = _inside(value)
    if inside is None:
        yield where, np.asarray(value)
        return
    yield f"{where} of {len(inside)}", np.asarray(type(value).__name__)
    for name, part in inside.items():
        yield from _flat(part, f"{where}.{name}")


def _inside(value: Any) -> dict[Any, Any] | None:
    if isinstance(value, pd.DataFrame):
        return {name: value[name].to_numpy() for name in value}
    if isinstance(value, Mapping):
        if {"dtype", "shape", "data"} <= set(value):  # an array as it travels to a page
            return {"array": np.frombuffer(value["data"], value["dtype"])}
        return dict(value)
    if isinstance(value, (list, tuple)):
        return dict(enumerate(value))
    if is_dataclass(value):
        return {own.name: getattr(value, own.name) for own in fields(value)}
    return None


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape or one.dtype.kind != other.dtype.kind:
        return False
    if one.dtype == np.uint8:  # codes of weights: rounding may turn the last step
        return bool((np.abs(one.astype(int) - other.astype(int)) <= 1).all())
    if one.dtype.kind == "f":
        return np.allclose(one, other, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
    return bool((one == other).all())
