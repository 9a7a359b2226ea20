"""What is public reads like a manual: real keywords, nothing inherited, nothing internal."""

from __future__ import annotations

import pydoc
from pathlib import Path

from glasshead import Lens, Trace, explore
from support.signatures import signatures

GOLDEN = Path(__file__).parent / "signatures.txt"


def of_trace() -> list[str]:
    lines = GOLDEN.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("Trace.")]


def test_signatures_are_those_that_were_agreed_on() -> None:
    # Read the difference as a user would. Agreed? python tests/support/signatures.py > that file
    assert signatures() == GOLDEN.read_text(encoding="utf-8")


def test_help_on_a_trace_is_of_one_class() -> None:
    text = pydoc.plain(pydoc.render_doc(Trace))
    assert "inherited from" not in text
    # What BertViz takes is BertViz' own.
    assert [line.partition("(")[0] for line in of_trace() if "**" in line] == ["Trace.to_bertviz"]


def test_completing_a_trace_shows_what_can_be_asked_and_nothing_else() -> None:
    trace = Lens.demo("decoder").trace("the whale")
    # nnsight gives every object a name, where it is imported.
    names = set(dir(trace)) - set(dir(object))
    listed = {name for name in names if not name.startswith("_")}
    assert listed == {line.partition("(")[0].partition(".")[2] for line in of_trace()}


def test_completing_the_explorer_shows_what_its_views_share() -> None:
    explorer = explore(Lens.demo("decoder").trace("the whale"))
    assert {"layer", "heads", "kind", "unit", "lines", "chart"} <= set(dir(explorer))
    explorer.close()
