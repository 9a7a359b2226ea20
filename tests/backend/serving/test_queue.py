"""Who waits for the model takes turns with the others, whatever one of them asks."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasshead_backend.serving.queue import FairQueue, Job

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Work:
    """Does jobs when it is let, and notes in which order they came."""

    def __init__(self, n_threads: int = 1, most_together: int = 8) -> None:
        self.done: list[list[Job]] = []
        self._let = threading.Semaphore(0)
        self._begun = threading.Semaphore(0)
        self._over = threading.Semaphore(0)
        self.queue = FairQueue(self._do, n_threads, most_together)

    def _do(self, jobs: Sequence[Job]) -> None:
        self.done.append(list(jobs))
        self._begun.release()
        assert self._let.acquire(timeout=10)
        self._over.release()
        if jobs[0].task == "breaks":
            raise RuntimeError(jobs[0].client)

    def wait_for_begun(self, n: int) -> None:
        for _ in range(n):
            assert self._begun.acquire(timeout=10)

    def let(self, n: int) -> None:
        for _ in range(n):
            self._let.release()

    def wait_for_over(self, n: int) -> None:
        for _ in range(n):
            assert self._over.acquire(timeout=10)

    @property
    def clients(self) -> list[str]:
        return ["".join(job.client for job in jobs) for jobs in self.done]


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.let(100)
    work.queue.close()


def put(work: Work, clients: str, kind: str | None = None) -> list[Job]:
    jobs = [Job(client, None, kind) for client in clients]
    for job in jobs:
        work.queue.put(job)
    return jobs


def test_one_who_asks_a_hundred_things_does_not_keep_another_waiting(work: Work) -> None:
    put(work, "a")
    work.wait_for_begun(1)
    put(work, "aaaaaabbc")
    work.let(10)
    work.wait_for_over(10)
    assert "".join(work.clients) == "a" + "abcab" + "aaaa"


def test_a_client_has_several_under_way_only_while_nobody_else_waits() -> None:
    work = Work(n_threads=4)
    put(work, "aaaaaa")
    work.wait_for_begun(3)  # the fourth thread stays for whoever comes
    put(work, "b")
    work.wait_for_begun(1)
    assert Counter("".join(work.clients)) == {"a": 3, "b": 1}
    put(work, "c")
    work.let(1)  # whichever ends, c is next: it has nothing under way
    work.wait_for_begun(1)
    assert work.clients[-1] == "c"
    work.let(100)
    work.queue.close()


def test_texts_of_several_clients_are_traced_together_one_of_each(work: Work) -> None:
    put(work, "x")
    work.wait_for_begun(1)
    put(work, "aabcd", "text")
    put(work, "e", "longer text")
    work.let(3)
    work.wait_for_over(3)
    work.wait_for_begun(2)
    work.let(10)
    assert work.clients[:3] == ["x", "abcd", "e"]


def test_no_more_go_together_than_fit() -> None:
    work = Work(most_together=2)
    put(work, "x")
    work.wait_for_begun(1)
    put(work, "abc", "text")
    work.let(3)
    work.wait_for_over(3)
    assert work.clients == ["x", "ab", "c"]
    work.queue.close()


def test_what_nobody_waits_for_is_not_begun(work: Work) -> None:
    put(work, "x")
    work.wait_for_begun(1)
    _, second, _ = put(work, "aaa")
    work.queue.give_up(second)
    work.let(3)
    work.wait_for_over(3)
    assert [job for jobs in work.done for job in jobs].count(second) == 0
    assert work.clients == ["x", "a", "a"]


def test_a_mishap_does_not_end_the_thread(work: Work, caplog: pytest.LogCaptureFixture) -> None:
    work.queue.put(Job("a", "breaks"))
    work.wait_for_begun(1)
    put(work, "b")
    work.let(2)
    work.wait_for_over(2)
    assert work.clients == ["a", "b"]
    assert "could not be answered" in caplog.text


@given(st.text("abcd", min_size=1, max_size=30))
def test_of_those_who_wait_none_is_served_twice_before_all_are_served_once(clients: str) -> None:
    work = Work()
    put(work, "x")
    work.wait_for_begun(1)
    put(work, clients)
    work.let(len(clients) + 1)
    work.wait_for_over(len(clients) + 1)
    work.queue.close()
    left = Counter(clients)
    served: Counter[str] = Counter()
    for client in work.clients[1:]:
        served[client] += 1
        left[client] -= 1
        behind = [other for other in left if left[other] > 0]
        assert all(served[other] >= served[client] - 1 for other in behind)
    assert served == Counter(clients)
