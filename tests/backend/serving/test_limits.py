"""How much one client may ask, and what it is told when that is too much."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from glasshead_backend.serving.limits import Limits, RefusedError, Turnstile

LIMITS = Limits(rate=2.0, burst=4, patience=3.0, open=100, waiting=100, clients=3, idle=60, body=10)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def ask(turnstile: Turnstile, client: str = "ann") -> float:
    wait = turnstile.enter(client, 1)
    turnstile.leave(client)
    return wait


def test_a_burst_passes_then_questions_are_held_back_then_refused() -> None:
    turnstile = Turnstile(LIMITS, Clock())
    waits = [ask(turnstile) for _ in range(10)]
    assert waits == [0, 0, 0, 0, 0.5, 1, 1.5, 2, 2.5, 3]
    with pytest.raises(RefusedError, match="2 questions a second") as refused:
        ask(turnstile)
    assert (refused.value.status, refused.value.seconds) == (429, 3.0)


def test_who_asks_at_the_rate_never_waits() -> None:
    clock = Clock()
    turnstile = Turnstile(LIMITS, clock)
    for _ in range(4):
        ask(turnstile)
    for _ in range(20):
        clock.now += 0.5
        assert ask(turnstile) == 0


def test_one_client_does_not_use_up_what_another_may_ask() -> None:
    turnstile = Turnstile(LIMITS, Clock())
    for _ in range(10):
        ask(turnstile)
    assert ask(turnstile, "bob") == 0


def test_only_so_many_may_wait_of_one_and_of_all() -> None:
    turnstile = Turnstile(replace(LIMITS, open=2, waiting=3), Clock())
    turnstile.enter("ann", 1)
    turnstile.enter("ann", 1)
    with pytest.raises(RefusedError, match="2 questions of yours wait") as refused:
        turnstile.enter("ann", 1)
    assert refused.value.status == 429
    turnstile.enter("bob", 1)
    with pytest.raises(RefusedError, match="server is full: 3 questions wait") as refused:
        turnstile.enter("cem", 1)
    assert refused.value.status == 503
    turnstile.leave("ann")
    turnstile.enter("cem", 1)


def test_a_class_is_full_until_somebody_has_left() -> None:
    clock = Clock()
    turnstile = Turnstile(LIMITS, clock)
    for name in ("ann", "bob", "cem"):
        ask(turnstile, name)
    with pytest.raises(RefusedError, match="all the 3 users"):
        ask(turnstile, "dan")
    clock.now = 61
    assert ask(turnstile, "dan") == 0


def test_a_question_that_is_too_large_says_how_large() -> None:
    with pytest.raises(RefusedError, match=r"takes 11 bytes.*at most 10 bytes") as refused:
        Turnstile(LIMITS, Clock()).enter("ann", 11)
    assert refused.value.status == 413
