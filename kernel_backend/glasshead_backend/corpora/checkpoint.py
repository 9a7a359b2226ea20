"""What a corpus has come to so far, in a file from which the work goes on."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from safetensors import SafetensorError, safe_open

from glasshead_backend.corpora.task import T
from glasshead_backend.files import save_tensors

if TYPE_CHECKING:
    from os import PathLike

_FORMAT = "glasshead corpus checkpoint 1"
_SECONDS_BETWEEN = 5.0


@dataclass(frozen=True)
class Done(Generic[T]):
    """How far the work had come.

    Attributes
    ----------
    n_parts : int
        Parts whose sums are in the tally: the first so many.
    digest : str
        Of the texts of these parts.
    tally : Tally
    """

    n_parts: int
    digest: str
    tally: T


@dataclass
class Checkpoint(Generic[T]):
    """A file that always holds a whole state: it is written beside its place and moved there.

    Parameters
    ----------
    path : path
    about : dict
        What the work is: the file of other work is refused. The values are said in the refusal.
    """

    path: str | PathLike[str]
    about: dict[str, str]
    _written_at: float = field(default=-float("inf"))

    def read(self, tally: type[T]) -> Done[T] | None:
        """Return the state in the file; None where there is no file.

        Raises
        ------
        ValueError
            When the file is none of these, or of other work; and when there is no such folder.
        """
        path = Path(self.path)
        if not path.parent.is_dir():
            raise ValueError(f"There is no folder {path.parent} for the checkpoint: make it first.")
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path} is no checkpoint of Glasshead's: {error}.") from error
        if metadata.get("format") != _FORMAT:
            raise ValueError(f"{path} is no checkpoint of this version of Glasshead.")
        self._require_same_work(json.loads(metadata["about"]))
        state: dict[str, Any] = json.loads(metadata["state"])
        done = json.loads(metadata["done"])
        return Done(done["n_parts"], done["digest"], tally.from_state(tensors, state))

    def _require_same_work(self, about: dict[str, str]) -> None:
        for name, own in self.about.items():
            if about.get(name) != own:
                raise ValueError(
                    f"The checkpoint {self.path} is of other work: its {name} is "
                    f"{about.get(name)}, here it is {own}. Delete it, or give another file."
                )

    def keep(self, done: Done[T], *, now: bool = False) -> None:
        """Write a state down, unless the last one is some seconds old only."""
        if not now and time.monotonic() - self._written_at < _SECONDS_BETWEEN:
            return
        path = Path(self.path)
        tensors, state = done.tally.to_state()
        metadata = {
            "format": _FORMAT,
            "about": json.dumps(self.about),
            "state": json.dumps(state),
            "done": json.dumps({"n_parts": done.n_parts, "digest": done.digest}),
        }
        beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            save_tensors(tensors, beside, metadata)
            # What the system has only in memory would be empty after a power cut.
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(beside, path)  # noqa: PTH105  the atomic one, said as such
        finally:
            with suppress(FileNotFoundError):
                beside.unlink()
        self._written_at = time.monotonic()
