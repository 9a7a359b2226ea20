"""The pages that are written by hand: what is built or made is not among them."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def _is_made(page: Path) -> bool:
    """Whether a page is built, or made of a notebook: these have tests of their own."""
    parts = page.relative_to(DOCS).parts
    return parts[0] == "_build" or (parts[0] == "lessons" and page.name[0].isdigit())


PAGES = sorted(page for page in DOCS.rglob("*.md") if not _is_made(page))
