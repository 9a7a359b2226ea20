"""Parts of a corpus through any executor, and what comes of them merged in their order."""

from __future__ import annotations

from collections import deque
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Generic

from glasshead_backend.corpora.checkpoint import Checkpoint, Done
from glasshead_backend.corpora.crew import crew_of
from glasshead_backend.corpora.fingerprint import fingerprint
from glasshead_backend.corpora.given import corpus_of, size_of
from glasshead_backend.corpora.parts import Digest, parts
from glasshead_backend.corpora.task import T
from glasshead_backend.progress import count, reporting

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from concurrent.futures import Executor
    from os import PathLike

    from glasshead_backend.corpora.crew import Crew
    from glasshead_backend.corpora.elsewhere import MakeLens
    from glasshead_backend.corpora.given import Texts
    from glasshead_backend.corpora.parts import Part
    from glasshead_backend.corpora.task import Task
    from glasshead_backend.lens import Lens
    from glasshead_backend.progress import Progress


def map_reduce(
    task: Task[T],
    lens: Lens,
    texts: Texts,
    targets: Texts | None = None,
    *,
    executor: Executor | None = None,
    make_lens: MakeLens | None = None,
    part_size: int = 64,
    checkpoint: str | PathLike[str] | None = None,
    progress: Progress | bool | None = None,
    result: Callable[[T], object] | None = None,
) -> T:
    """Do a task with every part of a corpus, and merge what comes of the parts in their order.

    The parts do not depend on who works on them, and are merged by their numbers: any number of
    workers gives the same result.

    Parameters
    ----------
    task : Task
    lens : Lens
        Workers in this process share it.
    texts, targets : iterable, path or dataset
        As for :func:`~glasshead_backend.corpora.parts.parts`.
    executor : concurrent.futures.Executor, optional
        Who does the work; None = this thread. Threads share the lens; the workers of any other
        executor make one for themselves.
    make_lens : callable, optional
        Makes a worker's lens. Left out: as the lens was loaded.
    part_size : int
        Texts in a part.
    checkpoint : path, optional
        A file that is written every few seconds, from which the same call goes on.
    progress : callable or bool, optional
        As for :meth:`Lens.trace`.
    result : callable, optional
        Makes of a tally what ``step.partial()`` returns.

    Returns
    -------
    Tally
        Of all texts.

    Raises
    ------
    ValueError
        When there is no text; when the checkpoint is of other work or other texts; and when nobody
        knows how workers get their lens.
    RuntimeError
        When a worker process ends by itself.
    """
    corpus = corpus_of(texts)
    cut = parts(corpus, targets, size=part_size)
    work = _Work(
        crew_of(task, lens, executor, make_lens), _checkpoint(task, lens, part_size, checkpoint)
    )
    if work.file is not None:
        work.resumed = work.file.read(task.tally)
    n_texts = size_of(corpus)

    def partial() -> object:
        so_far = work.so_far()
        return so_far if so_far is None or result is None else result(so_far)

    with reporting(progress), closing(work.through(cut)) as done:
        count(done, lambda n: _words(n, n_texts), n_texts, partial)
    tally = work.so_far()
    if tally is None:
        raise ValueError("There is no text. (A stream can be read only once: give a list.)")
    return tally


def _checkpoint(
    task: Task[T], lens: Lens, part_size: int, path: str | PathLike[str] | None
) -> Checkpoint[T] | None:
    if path is None:
        return None
    model = f"{lens.name} ({fingerprint(lens)[:12]})"
    about = {"task": task.key(), "model": model, "part size": f"{part_size} texts"}
    return Checkpoint(path, about)


def _words(n_done: int, n_texts: int | None) -> str:
    return f"texts {n_done:,}" if n_texts is None else f"texts {n_done:,} of {n_texts:,}"


@dataclass
class _Work(Generic[T]):
    """What is done, and what came of it so far."""

    crew: Crew[T]
    file: Checkpoint[T] | None
    resumed: Done[T] | None = None
    merged: Done[T] | None = None
    growing: Callable[[], T] | None = None
    """Returns what came so far of the part that is next in order."""

    def so_far(self) -> T | None:
        """Return what came of all texts that are done."""
        merged = None if self.merged is None else self.merged.tally
        if self.growing is None:
            return merged
        return self.growing() if merged is None else merged.merged(self.growing())

    def through(self, cut: Iterator[Part]) -> Generator[int, None, None]:
        """Work, and yield how many more texts are done."""
        digest = Digest()
        flying: deque[tuple[Part, str, Iterator[tuple[int, Callable[[], T] | None]]]] = deque()
        try:
            if self.resumed is not None:
                yield from self._again(cut, self.resumed, digest)
            for part in cut:
                of_texts = "" if self.file is None else digest.add(part)
                flying.append((part, of_texts, self.crew.start(part)))
                if len(flying) > self.crew.n_ahead:
                    yield from self._land(*flying.popleft())
            while flying:
                yield from self._land(*flying.popleft())
        finally:
            self.crew.stop()
            if self.merged is not self.resumed:
                self._keep(now=True)

    def _again(
        self, cut: Iterator[Part], done: Done[T], digest: Digest
    ) -> Generator[int, None, None]:
        """Read the texts that are done once more: another corpus must not go on from here."""
        found = ""
        self.merged = done
        for part in islice(cut, done.n_parts):
            found = digest.add(part)
            yield len(part.texts)
        if found != done.digest:
            where = "" if self.file is None else f" {self.file.path}"
            raise ValueError(
                f"The checkpoint{where} is of other texts: its first {done.n_parts:,} parts are "
                "not those of this corpus. Delete it, or give another file."
            )

    def _land(
        self, part: Part, of_texts: str, job: Iterator[tuple[int, Callable[[], T] | None]]
    ) -> Generator[int, None, None]:
        """Wait for a part and merge what came of it."""
        told = 0
        for n_done, tally in job:
            self.growing = tally if tally is not None else self.growing
            yield n_done - told
            told = n_done
        tally = self.so_far()
        assert tally is not None
        self.growing, self.merged = None, Done(part.number + 1, of_texts, tally)
        self._keep()

    def _keep(self, *, now: bool = False) -> None:
        if self.file is not None and self.merged is not None:
            self.file.keep(self.merged, now=now)
