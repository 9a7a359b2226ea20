"""What the documentation shows does run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def run_examples(page: str) -> dict[str, object]:
    blocks = _BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))
    assert len(blocks) > 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, f"docs/{page}", "exec"), names)  # noqa: S102  our own words
    return names


def test_every_example_of_the_page_on_statistics_runs() -> None:
    found: Any = run_examples("statistics.md")["found"]
    assert found.skipped == ()
    assert found.n_measured == 6


def test_every_example_of_the_page_on_attention_runs(capsys: pytest.CaptureFixture[str]) -> None:
    names = run_examples("attention.md")
    chinese = names["chinese"]
    assert [word.text for word in chinese.words()] == ["<s>", "北京", "大学"]  # type: ignore[attr-defined]
    said = capsys.readouterr().out
    assert "more than the 1 kB that one answer may take" in said
    assert "rolling attention out: " in said
