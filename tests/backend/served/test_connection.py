"""A student connects, asks, stops, closes; and what is wrong on the way is said in words."""

from __future__ import annotations

import gc
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import torch

from glasshead import (
    Cancelled,
    Lens,
    MemoryBudgetError,
    NotServedError,
    ServerError,
    Step,
    Trace,
    fit_lens,
    head_atlas,
    over_texts,
    patch,
    probe,
)
from glasshead_backend.lens import ServedLens
from glasshead_backend.served.connection import Connection, frame, glasshead_version
from glasshead_backend.served.errors import (
    ERRORS,
    BusyError,
    TokenRefusedError,
    TraceDroppedError,
    UnreachableError,
    VersionError,
    as_raised,
    told,
)
from glasshead_backend.served.values import encode
from support.in_process import InProcess, connected
from support.same import require_same

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = "The white whale, the white whale and the sea"
HELLO = {
    "version": glasshead_version(),
    "model": "far",
    "family": "decoder",
    "window": 512,
    "target_window": 512,
    "notice": "",
    "limits": {},
}


@pytest.fixture(scope="module")
def lens() -> Lens:
    return Lens.demo("decoder")


@pytest.fixture
def wire(lens: Lens) -> InProcess:
    return InProcess(lens)


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not done():
        assert time.monotonic() < end, "not within five seconds"
        time.sleep(0.01)


# ---- traces come and go --------------------------------------------------------------------------


def test_a_trace_that_is_closed_is_forgotten_by_the_server(wire: InProcess) -> None:
    trace = connected(wire.answers.lens, wire).trace(TEXT)
    assert len(wire.kept.runs) == 1
    trace.close()
    until(lambda: not wire.kept.runs)
    with pytest.raises(ValueError, match="closed"):
        trace.attention(0)
    assert trace.text == TEXT
    assert repr(trace) == "Trace(demo decoder; closed)"


def test_a_trace_that_nobody_has_any_more_is_forgotten_by_the_server(wire: InProcess) -> None:
    student = connected(wire.answers.lens, wire)
    kept, dropped = student.trace(TEXT), student.trace("a whale")
    assert len(wire.kept.runs) == 2
    del dropped
    gc.collect()
    until(lambda: len(wire.kept.runs) == 1)
    assert kept.attention(0).shape[0] == kept.n_heads(0)


def test_a_trace_that_the_server_dropped_says_so(wire: InProcess) -> None:
    trace = connected(wire.answers.lens, wire).trace(TEXT)
    wire.kept.runs.clear()
    with pytest.raises(TraceDroppedError, match="Trace the text again"):
        trace.attention(0)
    assert isinstance(trace.tokens[1].text, str)


def test_another_client_cannot_ask_about_a_trace(wire: InProcess) -> None:
    one, other = connected(wire.answers.lens, wire), connected(wire.answers.lens, wire)
    trace = one.trace(TEXT)
    guessed = {"is": "handle", "run": next(iter(wire.kept.runs))[1]}
    with pytest.raises(NotServedError, match="made elsewhere"):
        patch(trace, other.trace(TEXT))
    assert other.server is not None
    with pytest.raises(TraceDroppedError):
        wire.kept.get(guessed["run"], "somebody else")


def test_traces_that_went_to_the_server_come_back_as_themselves(wire: InProcess) -> None:
    student = connected(wire.answers.lens, wire)
    clean, corrupted = student.trace("the white whale"), student.trace("the white ship")
    n_runs = wire.kept.n_added
    found = patch(clean, corrupted)
    assert found.clean is clean
    assert found.corrupted is corrupted
    assert wire.kept.n_added == n_runs
    here = wire.answers.lens
    same = patch(here.trace("the white whale"), here.trace("the white ship"))
    require_same(same.to_frame(), found.to_frame())
    require_same(same.values, found.values)


def test_words_are_those_into_which_the_server_cuts_a_text(wire: InProcess) -> None:
    model, tokenizer = wire.answers.lens.model, wire.answers.lens.tokenizer
    teacher = Lens(model, tokenizer, words=lambda text: text.split())
    here, there = (
        lens.trace("a well-known whale's tail") for lens in (teacher, connected(teacher))
    )
    assert [word.text for word in there.words()] == ["<s>", "a", "well-known", "whale's", "tail"]
    require_same(here.words(), there.words())
    require_same(here.attention(1, unit="word"), there.attention(1, unit="word"))


# ---- long work -----------------------------------------------------------------------------------


def test_progress_is_reported_while_the_server_works(wire: InProcess) -> None:
    seen: list[Step] = []
    trace = connected(wire.answers.lens, wire).trace(TEXT, progress=seen.append)
    assert {step.what for step in seen} == {"running the model"}
    assert seen[-1].share == 1.0
    seen.clear()
    trace.head_effects(progress=seen.append)
    shares = [step.share for step in seen if step.share is not None]
    assert shares == sorted(shares)
    assert len(shares) > 1


def test_many_traces_report_as_one_piece_of_work(wire: InProcess) -> None:
    seen: list[str] = []
    student = connected(wire.answers.lens, wire)
    traces = student.trace_many(
        [TEXT, "a whale", "the sea"], batch_size=2, progress=lambda step: seen.append(step.what)
    )
    assert len([trace.close() for trace in traces]) == 3
    assert set(seen) == {"running the model on texts 0-2"}


def test_a_callback_that_stops_the_work_stops_it(wire: InProcess) -> None:
    def stop(_: Step) -> None:
        raise Cancelled

    student = connected(wire.answers.lens, wire)
    with pytest.raises(Cancelled):
        student.trace(TEXT, progress=stop)
    assert student.trace(TEXT).kinds == ("self",)


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ask",
    [
        lambda lens: lens.trace(""),
        lambda lens: lens.trace("half of a character: \ud83d"),
        lambda lens: lens.trace("whale " * 600),
        lambda lens: lens.trace(3),
        lambda lens: lens.trace("a", target="b"),
        lambda lens: lens.trace(TEXT).attention(7),
        lambda lens: lens.trace(TEXT).attention(0, kind="cross"),
        lambda lens: lens.trace(TEXT).top_k(0),
        lambda lens: lens.trace(TEXT).continue_with(3, "no such token"),
        lambda lens: lens.trace_many(["a whale", ""]).__next__() and 1 / 0,
        lambda lens: lens.generate("a whale", max_new_tokens=0),
        lambda lens: lens.score_continuation("a whale", []),
    ],
)
def test_errors_read_as_those_of_a_model_that_is_here(
    ask: Callable[[Lens], object], lens: Lens
) -> None:
    with pytest.raises((ValueError, TypeError)) as here:
        ask(lens)
    with pytest.raises((ValueError, TypeError)) as there:
        ask(connected(lens))
    assert type(there.value) is type(here.value)
    assert str(there.value) == str(here.value)


def test_an_answer_that_takes_too_much_memory_says_how_much(wire: InProcess) -> None:
    teacher = Lens(wire.answers.lens.model, wire.answers.lens.tokenizer)
    trace = connected(teacher).trace(TEXT)
    teacher.memory_budget = 100
    with pytest.raises(MemoryBudgetError, match="more than the 100 bytes that one answer may take"):
        trace.attention(0)


@pytest.mark.parametrize("name", ERRORS)
def test_each_error_is_raised_as_what_it_was(name: str) -> None:
    error = as_raised(told(ERRORS[name]("why it went wrong")))
    assert type(error) is ERRORS[name]
    assert error.args == ("why it went wrong",)


def test_an_error_of_the_servers_own_does_not_tell_what_is_on_its_disk() -> None:
    said = told(FileNotFoundError("/home/teacher/exam.txt"))
    assert said["type"] == "ServerError"
    assert "exam" not in said["words"]
    assert "FileNotFoundError" in said["words"]


def test_an_error_of_a_type_that_does_not_travel_is_one_of_the_server() -> None:
    assert type(as_raised({"type": "SystemExit", "words": "no"})) is ServerError


# ---- what is not served --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ask",
    [
        lambda lens: fit_lens(lens, ["a whale"]),
        lambda lens: head_atlas(lens, ["a whale"]),
        lambda lens: probe(lens, ["a whale", "a ship"] * 8, [0, 1] * 8, unit="text"),
        lambda lens: lens.trace(TEXT).activations(0, torch.nn.Linear(2, 2)),
        lambda lens: lens.generate("a whale", custom_generate="somebody/code"),
        lambda lens: lens.generate("a whale", trust_remote_code=True),
        lambda lens: lens.generate("a whale", num_beams=1000),
        lambda lens: lens.trace(
            [{"role": "user", "content": "hi"}], template_options={"chat_template": "{{ 1 }}"}
        ),
    ],
)
def test_what_takes_the_model_or_would_run_code_there_is_refused(
    ask: Callable[[Lens], object], wire: InProcess
) -> None:
    with pytest.raises(NotServedError):
        ask(connected(wire.answers.lens, wire))


def test_a_lens_fitted_to_the_model_does_not_travel(wire: InProcess) -> None:
    here = wire.answers.lens
    fitted = fit_lens(here, [TEXT, "a whale and a ship"], n_steps=2, n_tokens=20)
    trace = connected(here, wire).trace(TEXT)
    with pytest.raises(NotServedError, match="Load the model in this notebook"):
        trace.layer_readings(3, fitted=fitted)


def test_only_what_is_on_the_list_can_be_asked(wire: InProcess) -> None:
    student = connected(wire.answers.lens, wire)
    assert student.server is not None
    for name in ("os.system", "lens.Lens.from_pretrained", "running.loading.load", "builtins.eval"):
        with pytest.raises(NotServedError, match="not answered by a server"):
            student.server.answer(name, student, (), {})


@pytest.mark.parametrize("metric", ["entropy", "norm", "logit_lens"])
def test_a_corpus_is_measured_by_the_server_part_by_part(wire: InProcess, metric: str) -> None:
    texts = [TEXT, "the sea and the whale", "", "a white ship"] * 20
    here, there = (
        over_texts(lens, texts, metric, batch_size=4)
        for lens in (wire.answers.lens, connected(wire.answers.lens, wire))
    )
    require_same(here.to_frame(), there.to_frame())
    require_same(here.skipped, there.skipped)
    assert not wire.kept.runs
    assert len(wire.sizes) < 6


def test_a_function_of_ones_own_is_not_sent_to_the_texts_of_a_corpus(wire: InProcess) -> None:
    student = connected(wire.answers.lens, wire)
    with pytest.raises(NotServedError, match="functions and models never"):
        over_texts(student, [TEXT, "a whale"], lambda _, layer: float(layer))


# ---- the way there -------------------------------------------------------------------------------


def answering(status: int, **json_or_text: Any) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(status, **json_or_text))


def refusal(kind: str) -> dict[str, str]:
    return {"type": kind, "words": "said by the server"}


@pytest.mark.parametrize("url", ["", "127.0.0.1:8765", "ftp://host", "http://", None, "a b"])
def test_what_is_no_address_says_how_one_looks(url: Any) -> None:
    with pytest.raises(ValueError, match=r"http://127\.0\.0\.1:8765"):
        Lens.connect(url)


def test_no_server_there_says_so() -> None:
    with pytest.raises(UnreachableError, match=r"No server answers at http://127\.0\.0\.1:9"):
        Lens.connect("http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, "TokenRefusedError"), (409, "VersionError"), (429, "BusyError"), (503, "BusyError")],
)
def test_a_refusal_of_the_server_is_raised_in_its_words(status: int, kind: str) -> None:
    with pytest.raises(ServerError, match="said by the server") as raised:
        Connection("http://test", transport=answering(status, json=refusal(kind)))
    assert type(raised.value) is ERRORS[kind]


@pytest.mark.parametrize(
    ("status", "kind"), [(401, TokenRefusedError), (503, BusyError), (502, ServerError)]
)
def test_a_proxy_that_answers_in_the_place_of_the_server_is_told_apart(
    status: int, kind: type[Exception]
) -> None:
    transport = answering(status, text="<h1>nginx</h1>")
    with pytest.raises(kind, match=f"answers {status}.*[Pp]roxy"):
        Connection("http://test", transport=transport)


def test_something_else_at_the_address_is_no_glasshead_server() -> None:
    for known in ({"json": {"hello": "world"}}, {"json": [1]}, {"text": "hello"}):
        with pytest.raises(ServerError, match="no Glasshead server"):
            Connection("http://test", transport=answering(200, **known))


def test_another_version_names_both() -> None:
    transport = answering(200, json={**HELLO, "version": "9.9.9"})
    with pytest.raises(VersionError, match=rf"9\.9\.9.*{glasshead_version()}.*pip install"):
        Connection("http://test", transport=transport)


def test_the_token_travels_in_a_header_and_nowhere_else() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.url.path == "/v1/hello":
            return httpx.Response(200, json=HELLO)
        return httpx.Response(200, content=frame("a", encode(["a"])))

    transport = httpx.MockTransport(answer)
    student = ServedLens(Connection("http://test", "secret", transport=transport))
    student.tokenize("a whale")
    assert {one.headers["authorization"] for one in seen} == {"Bearer secret"}
    assert len({one.headers["glasshead-client"] for one in seen}) == 1
    assert "secret" not in f"{student!r}{[one.url for one in seen]}{seen[-1].content!r}"


def test_an_answer_that_breaks_off_says_so() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/hello":
            return httpx.Response(200, json=HELLO)
        step = frame("s", json.dumps({"what": "running", "share": 0.5}).encode())
        return httpx.Response(200, content=step + frame("a", encode(["a"]))[:-2])

    student = ServedLens(Connection("http://test", transport=httpx.MockTransport(answer)))
    with pytest.raises(UnreachableError, match="broke off"):
        student.tokenize("a whale")


def test_a_server_that_dies_is_said_to_be_gone_and_the_trace_keeps_its_text(
    wire: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace: Trace = connected(wire.answers.lens, wire).trace(TEXT)

    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    monkeypatch.setattr(wire, "handle_request", gone)
    with pytest.raises(UnreachableError, match="Is it running"):
        trace.attention(0)
    assert trace.text == TEXT
    trace.close()
