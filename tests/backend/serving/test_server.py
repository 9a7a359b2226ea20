"""A server on loopback: who may ask, what it says to those who may not, and what it never does."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
import torch

from glasshead import Cancelled, Lens
from glasshead_backend.answering import QUESTIONS, NotServedError, answered
from glasshead_backend.frames.tokens import split_text
from glasshead_backend.progress import steps
from glasshead_backend.served.connection import glasshead_version
from glasshead_backend.served.errors import (
    BusyError,
    ServerError,
    TokenRefusedError,
    TraceDroppedError,
    UnreachableError,
    VersionError,
)
from glasshead_backend.served.values import encode
from glasshead_backend.serving.answers import Answers
from glasshead_backend.serving.limits import Limits
from support.served import Server, served
from support.tiny_models import TEXT, build, tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGES: Any = [{"role": "user", "content": "x"}]
LENS = Lens(build("llama"), tokenizer())


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    lens = Lens(LENS.model, LENS.tokenizer)  # the limit is of this one alone
    with served(lens, Limits(tokens=60), token="sesame") as running:
        yield running


@pytest.fixture
def long_work() -> Iterator[dict[str, Any]]:
    """A question that takes a second, and what became of it."""
    seen: dict[str, Any] = {"begun": threading.Event(), "ended": threading.Event(), "n": 0}

    def wait(subject: Any) -> int:
        del subject
        try:
            for _ in steps(range(100), "waiting", 100):
                seen["n"] += 1
                seen["begun"].set()
                time.sleep(0.02)
        finally:
            seen["ended"].set()
        return seen["n"]

    wait.__module__, wait.__qualname__ = "glasshead_backend.tests", "wait"
    seen["ask"] = answered(wait)
    yield seen
    del QUESTIONS["tests.wait"]


def headers(server: Server, client: str = "somebody") -> dict[str, str]:
    return {
        "Authorization": f"Bearer {server.token}",
        "Glasshead-Client": client,
        "Glasshead-Version": glasshead_version(),
    }


def test_a_text_is_traced_there_and_looked_at_here(server: Server) -> None:
    trace, local = server.connect().trace(TEXT), LENS.trace(TEXT)
    assert trace.tokens == local.tokens
    torch.testing.assert_close(trace.attention(1), local.attention(1), rtol=0, atol=0)


def test_many_traces_at_once_are_what_each_would_be_alone(server: Server) -> None:
    texts = [" ".join(TEXT.split()[i : i + 9]) for i in range(10)]
    found: dict[int, Any] = {}
    lenses = [server.connect() for _ in texts]

    def ask(i: int) -> None:
        found[i] = lenses[i].trace(texts[i])

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, text in enumerate(texts):
        local = LENS.trace(text)
        assert found[i].tokens == local.tokens
        # Float32, and padded together with whatever came at the same time.
        torch.testing.assert_close(found[i].attention(2), local.attention(2), rtol=0, atol=1e-5)


def test_a_wrong_token_and_none_are_refused_in_words(server: Server) -> None:
    with pytest.raises(TokenRefusedError, match="does not take this token"):
        Lens.connect(server.url, token="guess")
    with pytest.raises(TokenRefusedError, match=r"needs a token.*token="):
        Lens.connect(server.url)
    for method, path in (("POST", "/v1/ask"), ("POST", "/v1/drop"), ("GET", "/v1/hello")):
        assert httpx.request(method, server.url + path).status_code == 401


def test_another_version_is_refused_in_words() -> None:
    with served(LENS, version="9.9.9") as server:
        with pytest.raises(VersionError, match=r"9\.9\.9.*pip install glasshead==9\.9\.9"):
            server.connect()
        refused = httpx.post(server.url + "/v1/ask", headers=headers(server))
        assert refused.status_code == 409
        assert refused.json()["type"] == "VersionError"


def test_a_text_that_is_too_long_says_how_long_it_may_be(server: Server) -> None:
    lens = server.connect()
    with pytest.raises(ValueError, match=r"61 tokens, but this server.*at most 60"):
        lens.trace("fox " * 61)
    with pytest.raises(ValueError, match="61 tokens"):
        lens.score("fox " * 61)
    with pytest.raises(ValueError, match="prompt with what is to be written has 62 tokens"):
        lens.generate("fox fox", max_new_tokens=60)
    with pytest.raises(ValueError, match="text with what is to be written has 63 tokens"):
        lens.trace("fox fox").continue_with(2, "dog", max_new_tokens=60)


def test_a_source_counts_with_its_target() -> None:
    translator = Lens(build("marian"), tokenizer())
    with served(translator, Limits(tokens=30)) as server:
        lens = server.connect()
        with pytest.raises(ValueError, match=r"source with its target has 3\d tokens"):
            lens.trace("fox " * 20, "dog " * 12)
        with pytest.raises(ValueError, match="source with its target has"):
            lens.trace("fox " * 20, max_new_tokens=20)


def test_errors_of_questions_are_those_of_a_local_trace(server: Server) -> None:
    trace, local = server.connect().trace(TEXT), LENS.trace(TEXT)
    for ask in (
        lambda one: one.attention(99),
        lambda one: one.attention(0, heads=[77]),
        lambda one: one.top_k(999),
        lambda one: one.attention(0, unit="sentence"),
    ):
        with pytest.raises(Exception) as here:  # noqa: PT011  whatever it is
            ask(local)
        with pytest.raises(type(here.value)) as there:
            ask(trace)
        assert str(there.value) == str(here.value)


def test_the_server_runs_and_loads_nothing_that_a_client_names(server: Server) -> None:
    lens = server.connect()
    with pytest.raises(NotServedError, match="custom_generate"):
        lens.generate("fox", custom_generate="somebody/something", trust_remote_code=True)
    with pytest.raises(NotServedError, match=r"num_beams is 16 at most, not 1000"):
        lens.generate("fox", num_beams=1000)
    with pytest.raises(NotServedError, match=r"num_beams is 16 at most, not 64"):
        lens.generate("fox", num_beams=np.int64(64))
    with pytest.raises(NotServedError, match="template_options take no chat_template"):
        lens.trace([{"role": "user", "content": "x"}], template_options={"chat_template": "x"})
    with pytest.raises(NotServedError, match="template_options take no chat_template"):
        split_text(lens, MESSAGES, template_options={"chat_template": "the {{ 6*7 }} dog"})
    for name in ("os.system", "builtins.eval", "lens.Lens.from_pretrained"):
        asked = {"question": name, "of": None, "args": (), "kwargs": {}}
        said = httpx.post(f"{server.url}/v1/ask", content=encode(asked), headers=headers(server))
        assert said.content[:1] == b"e"
        assert json.loads(said.content[9:])["type"] == "NotServedError"


@pytest.mark.parametrize("body", [b"", b"\x80\x04\x95.", b"\xff" * 9, b"{}" * 9])
def test_what_is_no_question_is_an_error_and_ends_nothing(server: Server, body: bytes) -> None:
    said = httpx.post(f"{server.url}/v1/ask", content=body, headers=headers(server))
    assert said.content[:1] == b"e"
    assert json.loads(said.content[9:])["type"] == "MalformedError"
    assert server.connect().trace(TEXT).n_heads(0) == 4


def test_a_body_without_end_is_not_read_to_its_end(server: Server) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(64):
            yield bytes(1 << 20)

    said = httpx.post(f"{server.url}/v1/ask", content=parts(), headers=headers(server))
    assert said.status_code == 413
    assert "at most 4.19 MB" in said.json()["words"]


def test_what_to_drop_has_to_be_names(server: Server) -> None:
    for wrong in (b"x", b"[]", b'{"ids": 3}', b'{"ids": [3]}'):
        said = httpx.post(f"{server.url}/v1/drop", content=wrong, headers=headers(server))
        assert (said.status_code, said.json()["type"]) == (400, "ServerError")


def test_a_closed_trace_is_let_go_of_at_the_server(server: Server) -> None:
    lens = server.connect()
    before = len(server.desk.traces)
    trace, other = lens.trace(TEXT), lens.trace(TEXT)
    assert len(server.desk.traces) == before + 2
    trace.close()
    del other
    for _ in range(100):
        if len(server.desk.traces) == before:
            break
        time.sleep(0.05)
    assert len(server.desk.traces) == before


def test_a_trace_is_only_its_owners(server: Server) -> None:
    trace = server.connect().trace(TEXT)
    stranger: Any = server.connect()
    stranger_trace = stranger.trace(TEXT)
    stranger_trace._recorded.server.id = trace._recorded.server.id
    with pytest.raises(TraceDroppedError, match="no such trace of yours"):
        stranger_trace.attention(0)


def test_a_trace_that_nobody_asked_for_some_time_says_so() -> None:
    with served(LENS, Limits(idle=0.2)) as server:
        trace = server.connect().trace(TEXT)
        time.sleep(0.5)
        assert len(server.desk.traces) == 0
        with pytest.raises(TraceDroppedError, match=r"0\.2 seconds without a question"):
            trace.attention(0)


def test_a_server_that_is_gone_and_one_that_was_started_anew() -> None:
    with served(LENS, token="sesame") as first:
        lens = first.connect()
        trace = lens.trace(TEXT)
        port = int(first.url.rpartition(":")[2])
    with pytest.raises(UnreachableError, match="No server answers at"):
        trace.attention(0)
    with served(LENS, token="sesame", port=port):
        with pytest.raises(TraceDroppedError, match=r"started anew.*Trace the text again"):
            trace.attention(0)
        assert torch.equal(lens.trace(TEXT).attention(0), LENS.trace(TEXT).attention(0))


def test_whoever_asks_too_fast_is_slowed_down_and_then_told(server: Server) -> None:
    limits = Limits(rate=10, burst=5, patience=0.25)
    with served(LENS, limits) as slow:
        lens = slow.connect()
        start = time.monotonic()
        for _ in range(8):
            lens.tokenize("a fox")
        assert time.monotonic() - start >= 0.2  # three at ten a second
        crowd = [httpx.post(f"{slow.url}/v1/ask", headers=headers(slow, "a")) for _ in range(5)]
        assert {said.status_code for said in crowd} == {200}
        with pytest.raises(BusyError, match="10 questions a second"):
            _at_once(lens, 20)
    assert server.connect()


def _at_once(lens: Lens, n: int) -> None:
    """Ask several things at once, and raise what is raised."""
    raised: list[Exception] = []

    def ask() -> None:
        try:
            lens.tokenize("a fox")
        except ServerError as error:
            raised.append(error)

    threads = [threading.Thread(target=ask) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def test_steps_of_the_work_are_reported_and_it_ends_when_nobody_waits(
    server: Server, long_work: dict[str, Any]
) -> None:
    lens, told = server.connect(), []

    def stop(step: Any) -> None:
        told.append(step)
        if len(told) == 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        long_work["ask"](lens, progress=stop)
    assert long_work["ended"].wait(5)
    assert long_work["n"] < 90
    shares = [step.share for step in told]
    assert {step.what for step in told} == {"waiting"}
    assert shares == sorted(shares)


def test_a_connection_that_breaks_ends_the_work(server: Server, long_work: dict[str, Any]) -> None:
    asked = {"question": "tests.wait", "of": None, "args": (), "kwargs": {}}
    with (
        httpx.Client() as http,
        http.stream("POST", f"{server.url}/v1/ask", content=encode(asked), headers=headers(server)),
    ):
        assert long_work["begun"].wait(5)
    assert long_work["ended"].wait(5)
    assert long_work["n"] < 90


def test_work_that_takes_too_long_is_ended(long_work: dict[str, Any]) -> None:
    with (
        served(LENS, replace(Limits(), seconds=0.3)) as server,
        pytest.raises(ServerError, match=r"longer than the 0\.3 seconds"),
    ):
        long_work["ask"](server.connect())
    assert long_work["n"] < 90


def test_a_fault_of_the_server_says_nothing_of_its_insides(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(subject: Any) -> None:
        raise AttributeError(f"secret of {type(subject)}")

    fail.__module__, fail.__qualname__ = "glasshead_backend.tests", "fail"
    ask = answered(fail)
    try:
        with pytest.raises(ServerError, match=r"failed to answer \(AttributeError\)") as raised:
            ask(server.connect())
    finally:
        del QUESTIONS["tests.fail"]
    assert "secret" not in str(raised.value)
    assert "secret" in caplog.text


def test_while_a_long_question_is_read_others_are_heard(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    reads = Answers.read

    def slowly(answers: Answers, body: bytes, client: str) -> Any:
        begun.set()
        assert go_on.wait(10)
        return reads(answers, body, client)

    lens = server.connect()
    monkeypatch.setattr(Answers, "read", slowly)
    asking = threading.Thread(target=lens.tokenize, args=("a fox",))
    asking.start()
    try:
        assert begun.wait(5)
        assert httpx.get(f"{server.url}/v1/hello", headers=headers(server), timeout=5).is_success
    finally:
        go_on.set()
        asking.join()
