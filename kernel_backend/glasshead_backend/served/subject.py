"""A model that is with a server: what is known of it, and words where it would have to be here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from glasshead_backend.anatomy.contributions import Contributions
from glasshead_backend.anatomy.examine import Anatomy
from glasshead_backend.anatomy.padding import Padding
from glasshead_backend.anatomy.structure import Structure
from glasshead_backend.answering import NotServedError, Server
from glasshead_backend.tracing.given_run import Missing
from glasshead_backend.tracing.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from glasshead_backend.served.facts import Facts


class Line(Server, Protocol):
    """A way to a server: see :class:`glasshead_backend.served.connection.Connection`."""

    url: str
    hello: Facts

    def dropper(self) -> Callable[[str], None]:
        """Return what tells the server that nobody needs a run."""
        ...


class ServedSubject(Subject):
    """A model and its tokenizer that are with a server.

    Parameters
    ----------
    server : Line
    """

    def __init__(self, server: Line) -> None:
        known = server.hello
        self.server, self.where = server, server.url
        self.name, self.notice, self.words = known["model"], known["notice"], None
        self._memory_budget = None
        self._of_server = anatomy_of(known)
        self._spelled: dict[int, str] = {}
        lacks = elsewhere(self.name, server.url)
        self.model = lacks
        self.tokenizer = lacks

    @property
    def anatomy(self) -> Anatomy:
        """What the server told of it."""
        return self._of_server

    @property
    def memory_budget(self) -> int | None:
        """What one answer may take is up to the server; here it is half of what is free."""
        return None

    @memory_budget.setter
    def memory_budget(self, n_bytes: int | None) -> None:
        del n_bytes
        raise NotServedError(
            f"{self.name}: how much memory an answer may take is up to whoever runs the server. "
            "Load the model in this notebook to set it."
        )

    def spelled(self, ids: Sequence[int]) -> list[str]:
        """Return the text of single tokens; those that were asked for before are known."""
        ids = list(map(int, ids))
        new = [one for one in dict.fromkeys(ids) if one not in self._spelled]
        if new:
            self._spelled.update(zip(new, super().spelled(new), strict=True))
        return [self._spelled[one] for one in ids]


def elsewhere(name: str, url: str) -> Any:
    """Return what stands where a model would: asked for anything, it says where the model is."""
    return Missing(
        f"{name} is with the server at {url}, and this takes the model itself: it is not answered "
        "by a server. Load the model in this notebook for it: Lens.from_pretrained(...).",
        NotServedError,
    )


def anatomy_of(known: Facts) -> Anatomy:
    """Return as much of a model's anatomy as is known without it."""
    structure = Structure(
        stacks={},
        cross_modules=frozenset(),
        readers=(),
        unreadable=known.get("unreadable", {}),
        contributions=Contributions([], [], {}, {}),
        layers={},
        token_bytes=0,
    )
    return Anatomy(
        structure=structure,
        family=known["family"],
        plain_unembedding=False,
        window=known["window"],
        target_window=known["target_window"],
        padding=Padding([]),
    )
