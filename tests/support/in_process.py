"""A server in this process: what travels is real, only the network is not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from glasshead_backend.lens import ServedLens
from glasshead_backend.served.connection import Connection, frame, glasshead_version
from glasshead_backend.served.errors import TraceDroppedError, told
from glasshead_backend.serving.answers import Answers

if TYPE_CHECKING:
    from glasshead_backend import Lens, Step
    from glasshead_backend.tracing.run import Run


@dataclass
class Kept:
    """Keeps runs as a server does, by name."""

    runs: dict[tuple[str, str], Run] = field(default_factory=dict)
    n_added: int = 0

    def get(self, id_: str, client: str) -> Run:
        try:
            return self.runs[client, id_]
        except KeyError:
            raise TraceDroppedError(
                "The server dropped this trace. Trace the text again."
            ) from None

    def add(self, run: Run, client: str) -> str:
        self.n_added += 1
        self.runs[client, str(self.n_added)] = run
        return str(self.n_added)

    def drop(self, ids: list[str], client: str) -> None:
        for id_ in ids:
            self.runs.pop((client, id_), None)


class InProcess(httpx.BaseTransport):
    """Carries questions to a lens of this process.

    Attributes
    ----------
    sizes : list
        Of every question: its name in the body, bytes of question and of answer.
    """

    def __init__(self, lens: Lens) -> None:
        self.kept = Kept()
        self.answers = Answers(lens, self.kept)
        self.sizes: list[tuple[int, int]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        client = request.headers["Glasshead-Client"]
        if request.url.path == "/v1/hello":
            known = {"version": glasshead_version(), "limits": {}, **self.answers.hello()}
            return httpx.Response(200, json=known)
        body = request.read()
        if request.url.path == "/v1/drop":
            self.kept.drop(json.loads(body)["ids"], client)
            return httpx.Response(200, json={})
        return httpx.Response(200, content=self._frames(body, client))

    def _frames(self, body: bytes, client: str) -> list[bytes]:
        steps: list[bytes] = []

        def tell(step: Step) -> None:
            said = {"what": step.what, "share": step.share}
            steps.append(frame("s", json.dumps(said).encode()))

        try:
            last = frame("a", self.answers.answer(body, client, tell))
        except Exception as error:  # noqa: BLE001  they travel
            last = frame("e", json.dumps(told(error)).encode())
        self.sizes.append((len(body), len(last)))
        return [*steps, last]


def connected(lens: Lens, through: InProcess | None = None) -> Lens:
    """Connect to a server of a lens, as a student does."""
    return ServedLens(Connection("http://test", transport=through or InProcess(lens)))
