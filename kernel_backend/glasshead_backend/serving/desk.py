"""Where the questions about one model come in, wait for their turn and are answered."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import logging
import pkgutil
import threading
import time
from typing import TYPE_CHECKING, Any

from glasshead_backend import frames, questions, statistics, tracing
from glasshead_backend.answering import name_of
from glasshead_backend.progress import Cancelled, Step, reporting
from glasshead_backend.served.connection import frame
from glasshead_backend.served.errors import ERRORS, ServerError, told
from glasshead_backend.serving.answers import Answers
from glasshead_backend.serving.queue import FairQueue, Job
from glasshead_backend.serving.traces import KeptTraces
from glasshead_backend.tracing.many_texts import run_each
from glasshead_backend.tracing.reading import read
from glasshead_backend.tracing.runs import traced

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Hashable, Sequence

    from glasshead_backend.lens import Lens
    from glasshead_backend.serving.answers import Question
    from glasshead_backend.serving.limits import Limits
    from glasshead_backend.text.sequences import Sides

_log = logging.getLogger(__name__)

_TRACED = name_of(traced)

_SECONDS_BETWEEN_STEPS = 0.05
_SECONDS_OF_SILENCE = 10.0
"""Proxies close a connection that says nothing, most after a minute."""


class _Asked:
    """A question of a client, and where the pieces of its answer go."""

    def __init__(self, question: Question, send: Callable[[bytes], object], seconds: float) -> None:
        self.question, self._send, self._seconds = question, send, seconds
        self._begun_at = self._told_at = 0.0

    def step(self, step: Step) -> None:
        """Say how far the work has come, now and then; end it when it takes too long."""
        now = time.monotonic()
        self._begun_at = self._begun_at or now
        if now - self._begun_at > self._seconds:
            raise ServerError(
                f"This took longer than the {self._seconds:g} seconds that the server has for one "
                "question. Ask for less at a time, or load the model in this notebook."
            )
        if now - self._told_at >= _SECONDS_BETWEEN_STEPS:
            self._told_at = now
            self._send(step_frame(step))

    def answer(self, answer: bytes) -> None:
        """Say what came of it."""
        self._send(frame("a", answer))

    def fail(self, error: Exception) -> None:
        """Say that nothing came of it, and why."""
        self._send(error_frame(error))


class Desk:
    """Answers questions about one lens: several clients, a few threads, one model.

    Parameters
    ----------
    lens : Lens
    limits : Limits
    n_threads : int
        Questions that are answered at the same time.
    """

    def __init__(self, lens: Lens, limits: Limits, n_threads: int = 4) -> None:
        know_all_questions()
        lens.most_tokens = limits.tokens
        self.traces = KeptTraces(limits.memory, limits.idle)
        self._lens, self._limits = lens, limits
        self._answers = Answers(lens, self.traces)
        self._facts = self._answers.hello()
        self._queue = FairQueue(self._do, n_threads)
        self._closed = threading.Event()
        threading.Thread(target=self._sweep, name="glasshead-sweep", daemon=True).start()

    async def facts(self) -> dict[str, Any]:
        """Return what a client has to know of the model before it asks."""
        return self._facts

    async def ask(self, body: bytes, client: str) -> AsyncGenerator[bytes, None]:
        """Yield the pieces of an answer as they come; whoever stops listening ends the work."""
        try:
            # In a thread: megabytes take a while to read, and others want to be heard.
            question = await asyncio.to_thread(self._answers.read, body, client)
        except Exception as error:  # noqa: BLE001  it is raised again where it was asked
            yield error_frame(error)
            return
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[bytes] = asyncio.Queue()

        def send(piece: bytes) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody listens
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        job = Job(client, _Asked(question, send, self._limits.seconds), _kind(question))
        self._queue.put(job)
        coming = asyncio.ensure_future(pieces.get())
        last = step_frame(Step("waiting for its turn"))
        try:
            while last[:1] == b"s":
                if (await asyncio.wait({coming}, timeout=_SECONDS_OF_SILENCE))[0]:
                    last = coming.result()
                    coming = asyncio.ensure_future(pieces.get())
                yield last  # what was said last once more, if nothing came
        finally:
            coming.cancel()
            self._queue.give_up(job)

    async def drop(self, ids: Sequence[str], client: str) -> None:
        """Let go of a client's traces."""
        self.traces.drop(ids, client)

    def close(self) -> None:
        """Answer what is under way, and nothing more."""
        self._closed.set()
        self._queue.close()

    # ---- in the threads of the queue ----------------------------------------------------------

    def _do(self, jobs: Sequence[Job]) -> None:
        jobs = [job for job in jobs if not job.given_up.is_set()]
        if len(jobs) > 1:
            self._trace_together(jobs)
        elif jobs:
            self._answer(jobs[0])
        for client in {job.client for job in jobs}:
            self.traces.answered(client)

    def _answer(self, job: Job) -> None:
        asked: _Asked = job.task
        try:
            with reporting(lambda step: _tell([job], step)):
                found = asked.question.run()
        except Exception as error:  # noqa: BLE001  the same
            asked.fail(error)
        else:
            self._say(job, found)

    def _trace_together(self, jobs: Sequence[Job]) -> None:
        """Trace texts of several clients in one forward pass; what is wrong with one is its own."""
        fit: list[tuple[Job, Sides]] = []
        for job in jobs:
            question: Question = job.task.question
            try:
                with reporting(lambda step, job=job: _tell([job], step)):
                    fit.append((job, read(*question.args, **question.kwargs)))
            except Exception as error:  # noqa: BLE001  the same
                job.task.fail(error)
        waiting = [job for job, _ in fit]
        try:
            with reporting(lambda step: _tell(waiting, step)):
                runs = run_each(self._lens, [sides for _, sides in fit]) if fit else []
        except Exception:  # noqa: BLE001  too much together, say: each of them finds out
            for job in waiting:
                self._answer(job)
            return
        for job, run in zip(waiting, runs, strict=True):
            self._say(job, run)

    def _say(self, job: Job, found: object) -> None:
        asked: _Asked = job.task
        try:
            asked.answer(self._answers.said(asked.question, found))
        except Exception as error:  # noqa: BLE001  the same
            asked.fail(error)

    def _sweep(self) -> None:
        while not self._closed.wait(min(60.0, self._limits.idle / 4)):
            self.traces.drop_idle()


def know_all_questions() -> None:
    """Import what answers questions: a question is known once its module is."""
    for folder in (frames, questions, statistics, tracing):
        for module in pkgutil.iter_modules(folder.__path__, f"{folder.__name__}."):
            importlib.import_module(module.name)


def step_frame(step: Step) -> bytes:
    """Return how far the work has come, as it travels."""
    return frame("s", json.dumps({"what": step.what, "share": step.share}).encode())


def error_frame(error: Exception) -> bytes:
    """Return an error as it travels; what is none of a question's is noted down here."""
    if type(error) not in ERRORS.values():
        _log.error("a question could not be answered", exc_info=error)
    return frame("e", json.dumps(told(error)).encode())


def _kind(question: Question) -> Hashable:
    """Which texts are traced in one pass: those of about one length, for short ones are padded."""
    if question.name != _TRACED or len(question.args) < 2:  # noqa: PLR2004  model and text
        return None
    text = question.args[1]
    return (_TRACED, len(text).bit_length()) if hasattr(text, "__len__") else None


def _tell(jobs: Sequence[Job], step: Step) -> None:
    """Tell those who still listen; nobody left ends the work."""
    listening = [job for job in jobs if not job.given_up.is_set()]
    if not listening:
        raise Cancelled
    for job in listening:
        job.task.step(step)
