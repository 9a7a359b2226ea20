"""Parts of a corpus in other processes, each with a lens of its own that is made once."""

from __future__ import annotations

import hashlib
import pickle
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

import torch

from glasshead_backend.corpora.fingerprint import fingerprint
from glasshead_backend.corpora.task import T

if TYPE_CHECKING:
    from glasshead_backend.corpora.parts import Part
    from glasshead_backend.corpora.task import Task
    from glasshead_backend.lens import Lens

MakeLens = Callable[[], "Lens"]
"""Makes a worker's own lens, e.g. ``partial(Lens.from_pretrained, "gpt2", device="cuda")``."""


class OtherModelError(ValueError):
    """A worker's own model is not the one that it should work with."""


@dataclass(frozen=True)
class Elsewhere(Generic[T]):
    """What a worker has to know beside the part: it travels with every part.

    Attributes
    ----------
    task : Task
    make_lens : callable
    model : str
        Fingerprint of the model that it is about.
    memory_budget : int or None
        Of the lens that it stands for.
    n_threads : int
        As many intra-op threads as who asks has: sums of float32 numbers may hang on it.
    key : str
        Stands for `make_lens`: a process keeps the lens that it made last.
    """

    task: Task[T]
    make_lens: MakeLens
    model: str
    memory_budget: int | None
    n_threads: int
    key: str

    @classmethod
    def of(cls, task: Task[T], lens: Lens, make_lens: MakeLens | None) -> Elsewhere[T]:
        """Prepare a task to be done without this lens.

        Raises
        ------
        ValueError
            When nobody can say how to make such a lens.
        """
        make = make_lens or lens.source
        if make is None:
            raise ValueError(
                "Workers in other processes load the model themselves, and this lens was made of a "
                "model in memory: say how, e.g. make_lens=partial(Lens.from_pretrained, "
                '"gpt2"), or use a ThreadPoolExecutor, whose workers share the lens.'
            )
        # An executor may know more ways to send a function than pickle.
        unknown = _unpicklable(make)
        key = uuid.uuid4().hex if unknown else hashlib.sha256(pickle.dumps(make)).hexdigest()
        return cls(task, make, fingerprint(lens), lens.memory_budget, torch.get_num_threads(), key)

    def require_picklable(self) -> None:
        """Refuse what cannot be sent to another process, in words."""
        for what, one, way_out in (
            ("make_lens", self.make_lens, "use functools.partial(Lens.from_pretrained, ...)"),
            ("What is measured", self.task, "take a ThreadPoolExecutor, or none"),
        ):
            if why := _unpicklable(one):
                raise TypeError(
                    f"{what} cannot be sent to another process ({why}). Define functions in a "
                    f"module, no lambda or function inside another; or {way_out}."
                )

    def of_part(self, part: Part) -> T:
        """Do the task, in whatever process this is."""
        lens = _own_lens(self)
        found = torch.get_num_threads()
        torch.set_num_threads(self.n_threads)
        try:
            return self.task.of_part(lens, part)
        finally:
            torch.set_num_threads(found)


def _unpicklable(thing: object) -> str:
    """Why something cannot be pickled; "" = it can."""
    try:
        pickle.dumps(thing)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        return str(error)
    return ""


def of_part_elsewhere(elsewhere: Elsewhere[Any], part: Part) -> Any:
    """Do the task of :class:`Elsewhere`: what executors are given."""
    return elsewhere.of_part(part)


_lock = threading.Lock()
_made: dict[str, Lens] = {}


def _own_lens(asked: Elsewhere[Any]) -> Lens:
    """Return this process' lens, made if it is not there yet; the last one only is kept."""
    key = f"{asked.key} {asked.model}"
    with _lock:
        if key not in _made:
            _made.clear()
            lens = asked.make_lens()
            if fingerprint(lens) != asked.model:
                raise OtherModelError(
                    f"make_lens makes another model than the lens at hand ({lens!r}): other "
                    "weights, another dtype, or hooks that the worker's model does not have. Give "
                    "a make_lens that loads this one, or a ThreadPoolExecutor."
                )
            _made[key] = lens
        lens = _made[key]
    lens.memory_budget = asked.memory_budget
    return lens
