"""The wire: questions over HTTP, answers as a stream of frames, errors as they were raised there.

A question is ``POST {url}/v1/ask`` with :func:`encode`d ``{"question", "of", "args", "kwargs"}``.
What comes back is a row of frames, each a letter, eight bytes of length (big end first) and as many
bytes: ``s`` a step of the work (JSON ``what``, ``share``), ``a`` the answer, ``e`` an error (JSON
``type``, ``words``). What is refused before any work is answered with a status and such an error.
"""

from __future__ import annotations

import json
import threading
import weakref
from contextlib import closing, suppress
from importlib.metadata import PackageNotFoundError, version
from ipaddress import ip_address
from queue import SimpleQueue
from secrets import token_urlsafe
from types import MethodType
from typing import TYPE_CHECKING, Any

import httpx

from glasshead_backend.answering import NotServedError
from glasshead_backend.progress import Step, pass_on
from glasshead_backend.served.errors import (
    BusyError,
    ServerError,
    TokenRefusedError,
    UnreachableError,
    VersionError,
    as_raised,
)
from glasshead_backend.served.run import RunAtServer, run_at
from glasshead_backend.served.values import decode, encode
from glasshead_backend.tracing.run import Run
from glasshead_backend.tracing.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from glasshead_backend.served.facts import Facts

HEAD = 9
"""Bytes in front of a frame: its letter, its length."""

_CONNECT, _SILENCE = 10.0, 600.0
"""Seconds until a server counts as unreachable: while nobody takes the call, between two frames."""

_IDLE = 2.0
"""Seconds that an idle connection is kept: servers close theirs after five."""

_TRIES = 2


def glasshead_version() -> str:
    """Return the version of Glasshead that is installed here."""
    try:
        return version("glasshead")
    except PackageNotFoundError:
        return "unknown"


def frame(letter: str, payload: bytes) -> bytes:
    """Return a frame of an answer."""
    return letter.encode("ascii") + len(payload).to_bytes(HEAD - 1, "big") + payload


class Connection:
    """A client's way to a server.

    Parameters
    ----------
    url : str
        Where the server is: ``http://127.0.0.1:8765``.
    token : str, optional
        What it lets this client in with.
    transport : httpx.BaseTransport, optional
        What carries the questions; default the network.

    Attributes
    ----------
    hello : dict
        What the server says of itself: ``version``, ``model``, ``family``, ``window``,
        ``target_window``, ``notice``, ``limits``.
    subject : Subject or None
        What its runs are of; whoever makes the connection sets it.

    Raises
    ------
    ValueError
        For what is no address.
    UnreachableError, TokenRefusedError, VersionError
        Where the server does not let it in.
    """

    def __init__(
        self, url: str, token: str | None = None, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url = _address(url)
        self.subject: Subject | None = None
        self._runs: weakref.WeakValueDictionary[str, Run] = weakref.WeakValueDictionary()
        own = glasshead_version()
        headers = {"Glasshead-Client": token_urlsafe(16), "Glasshead-Version": own}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        local = _is_loopback(self.url)
        self._http = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=httpx.Timeout(_SILENCE, connect=_CONNECT),
            limits=httpx.Limits(keepalive_expiry=_IDLE),
            # A proxy of the environment's is no way to one's own machine.
            transport=transport or (httpx.HTTPTransport(retries=_TRIES) if local else None),
            trust_env=not local,
        )
        self._dropped: SimpleQueue[str | None] = SimpleQueue()
        self._dropping: list[threading.Thread] = []
        weakref.finalize(self, _end, self._http, self._dropped, self._dropping)
        self.hello: Facts = self._hello(own)

    def _hello(self, own: str) -> Facts:
        with self._in_words():
            response = self._http.get("/v1/hello")
            self._require_ok(response)
            try:
                known: Facts = response.json()
                theirs = known["version"]
            except (ValueError, LookupError, TypeError):
                raise ServerError(f"What answers at {self.url} is no Glasshead server.") from None
        if theirs != own:
            raise VersionError(
                f"The server at {self.url} has Glasshead {theirs}, this notebook {own}: they have "
                f"to be the same. Here: pip install glasshead=={theirs}"
            )
        return known

    # ---- questions ----------------------------------------------------------------------------

    def answer(
        self, question: str, of: object, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> Any:
        """Ask the server, report the steps of its work, and return what it answers.

        Raises
        ------
        NotServedError
            When an argument does not travel.
        ServerError
            When the server cannot be asked; else what it raised.
        """
        asked = {"question": question, "of": of, "args": args, "kwargs": kwargs}
        body = encode(asked, self)
        with self._in_words(), self._http.stream("POST", "/v1/ask", content=body) as response:
            if not response.is_success:
                response.read()
                self._require_ok(response)
            last: tuple[bytes, bytes] | None = None
            # Read to its end: the connection is then used again for the next question.
            for letter, payload in _frames(response.iter_bytes()):
                if letter == b"s":
                    said = json.loads(payload)
                    pass_on(Step(str(said["what"]), said["share"]))
                else:
                    last = letter, payload
        if last is not None:
            if last[0] == b"e":
                raise as_raised(json.loads(last[1]))
            return decode(last[1], self)
        raise UnreachableError(
            f"The server at {self.url} broke off in the middle of its answer. Ask again; if it was "
            "started anew, trace the text again."
        )

    def _in_words(self) -> _InWords:
        return _InWords(self.url)

    def _require_ok(self, response: httpx.Response) -> None:
        """Raise what a server refuses with."""
        if response.is_success:
            return
        try:
            said = response.json()
            error = as_raised(said) if "words" in said else None
        except (ValueError, TypeError):
            error = None
        if error is not None:
            raise error
        kinds: dict[int, type[ServerError]] = {
            401: TokenRefusedError,
            403: TokenRefusedError,
            409: VersionError,
            429: BusyError,
            503: BusyError,
        }
        raise kinds.get(response.status_code, ServerError)(
            f"{self.url} answers {response.status_code} {response.reason_phrase}, and not as a "
            "Glasshead server would. A proxy may stand between: ask whoever runs the server."
        )

    # ---- what does not travel -----------------------------------------------------------------

    def name(self, value: object) -> dict[str, Any] | None:
        """Return what the server calls a run or its model; None = the value itself travels.

        Raises
        ------
        NotServedError
            For what is not with this server.
        """
        if isinstance(value, (Run, RunAtServer)):
            at = value.server
            if isinstance(at, RunAtServer) and at.connection is self:
                return {"run": at.id}
            raise NotServedError(
                f"A trace that was made elsewhere cannot be asked about at {self.url}: trace both "
                "texts with the same lens."
            )
        if isinstance(value, Subject):
            if value.server is self:
                return {"subject": True}
            raise NotServedError(f"{value.name} is not the model at {self.url}.")
        if isinstance(value, MethodType) and value.__self__ is self.subject:
            return {"spelled": True}
        return None

    def named(self, handle: dict[str, Any]) -> object:
        """Return what the server calls so."""
        assert self.subject is not None
        if "run" not in handle:
            return self.subject.spelled if "spelled" in handle else self.subject
        id_ = str(handle["run"])
        known = self._runs.get(id_)
        if known is None:
            known = self._runs[id_] = run_at(self, self.subject, id_, handle["facts"])
        return known

    def close(self, run: object) -> None:
        """Models are not forgotten."""

    @property
    def nbytes(self) -> int:
        """Nothing is kept."""
        return 0

    # ---- runs that nobody has any more --------------------------------------------------------

    def dropper(self) -> Callable[[str], None]:
        """Return what tells the server, some time soon, that nobody needs a run.

        It is safe to call while Python cleans up.
        """
        if not self._dropping:
            told = self._http, self._dropped
            thread = threading.Thread(
                target=_drop, args=told, name="glasshead-dropping", daemon=True
            )
            self._dropping.append(thread)
            thread.start()
        return self._dropped.put


def _end(
    http: httpx.Client, dropped: SimpleQueue[str | None], dropping: list[threading.Thread]
) -> None:
    """Nobody has the connection any more: close it, behind what is still to be told."""
    dropped.put(None)
    if not dropping:
        http.close()


def _drop(http: httpx.Client, dropped: SimpleQueue[str | None]) -> None:
    """Tell the server of runs that are needed no longer, all that there are at once."""
    with closing(http):
        while (first := dropped.get()) is not None:
            ids: list[str] = [first]
            while not dropped.empty():
                another = dropped.get()
                if another is None:
                    dropped.put(None)  # the last word, behind these
                    break
                ids.append(another)
            with suppress(httpx.HTTPError):  # it drops them by itself after a while
                http.post("/v1/drop", json={"ids": ids})


class _InWords:
    """Says what went wrong on the way in words."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
            raise UnreachableError(
                f"No server answers at {self._url}. Is it running, and is the address right?"
            ) from error
        if isinstance(error, httpx.TimeoutException):
            raise UnreachableError(
                f"The server at {self._url} said nothing for {_SILENCE:.0f} seconds. Try again "
                "later."
            ) from error
        if isinstance(error, httpx.HTTPError):
            raise UnreachableError(
                f"The connection to the server at {self._url} broke off. If it was started anew, "
                "trace the text again."
            ) from error


def _frames(parts: Iterator[bytes]) -> Generator[tuple[bytes, bytes], None, None]:
    """The frames of an answer, as they come."""
    held = bytearray()
    for part in parts:
        held += part
        while len(held) >= HEAD:
            end = HEAD + int.from_bytes(held[1:HEAD], "big")
            if len(held) < end:
                break
            yield bytes(held[:1]), bytes(held[HEAD:end])
            del held[:end]


def _address(url: str) -> str:
    try:
        found = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        found = httpx.URL("")
    if found.scheme not in ("http", "https") or not found.host:
        raise ValueError(
            f"{url!r} is no address of a server: give it as glasshead serve prints it, such as "
            '"http://127.0.0.1:8765".'
        )
    return str(url).rstrip("/")


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
