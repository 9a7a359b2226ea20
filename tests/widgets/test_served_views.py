"""Views of a model that is with a server: what a student sees is what the teacher sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from glasshead import (
    ActivationMap,
    AttentionLines,
    AttributionStrip,
    FusedAttentionMatrix,
    HeadFinder,
    LayerStatsChart,
    Lens,
    MutualInformation,
    OwnMetric,
    PatchGrid,
    PerplexityStrip,
    QueryKeyView,
    TokenTable,
    Trace,
    explore,
)
from glasshead_backend.statistics.by_name import METRICS
from support.in_process import InProcess, connected
from support.same import require_same
from widgets.frames import ask
from widgets.test_long_work import until

if TYPE_CHECKING:
    from collections.abc import Callable

TEXTS = {
    "decoder": [
        ("The white whale, the white whale and the sea. The white",),
        ("The white whale, the white ship and the sea. The white",),
    ],
    "encoder-decoder": [
        ("the big black dog sees the small cat", "le grand chien voit un chat petit"),
        ("the big black cat sees the small dog", "le grand chien voit un chat petit"),
    ],
}

VIEWS: dict[str, Callable[[Trace, Trace], Any]] = {
    "AttentionLines": lambda one, _: AttentionLines(one, layer=1, sinks="hidden"),
    "FusedAttentionMatrix": lambda one, _: FusedAttentionMatrix(one, unit="word"),
    "FusedAttentionMatrix compared": lambda one, _: FusedAttentionMatrix(one, compare={"layer": 1}),
    "PerplexityStrip": lambda one, _: PerplexityStrip(one),
    "PerplexityStrip compared": lambda one, other: PerplexityStrip(one, compare=other),
    "HeadFinder": lambda one, _: HeadFinder(one),
    "QueryKeyView": lambda one, _: QueryKeyView(one),
    "AttributionStrip": lambda one, _: AttributionStrip(one, targets=[4], show="strip"),
    "ActivationMap": lambda one, _: ActivationMap(one),
    "TokenTable": lambda one, _: TokenTable(one.lens, "A white whale"),  # type: ignore[arg-type]
    "PatchGrid": PatchGrid,
    "explore": lambda one, _: explore(one),
    "LayerStatsChart": lambda one, _: LayerStatsChart(one, "norm"),
}

QUESTIONS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "AttentionLines": [("fans", {"position": 3, "side": "query"})],
    "FusedAttentionMatrix": [("cell", {"query": 3, "key": 1})],
    "PerplexityStrip": [
        (
            "distribution",
            {"position": 3, "temperature": 0.7, "sample_k": 5, "sample_p": 0.9},
        ),
        ("layer_readings", {"position": 3, "followed": ""}),
    ],
    "PatchGrid": [("expected", {"position": 3, "k": 4})],
}


@dataclass
class Pair:
    """Two traces of each text: of a model that is here, and of the same at a server."""

    here: tuple[Trace, Trace]
    there: tuple[Trace, Trace]
    wire: InProcess


@pytest.fixture(scope="module", params=["decoder", "encoder-decoder"])
def pair(request: pytest.FixtureRequest) -> Pair:
    lens = Lens.demo(request.param)
    wire = InProcess(lens)
    student = connected(lens, wire)
    one, other = TEXTS[request.param]
    return Pair(
        (lens.trace(*one), lens.trace(*other)), (student.trace(*one), student.trace(*other)), wire
    )


def shown(view: Any) -> dict[str, Any]:
    """What a page gets of a view."""
    if hasattr(view, "_finish"):
        view._finish()
    names = ("frame", "axes", "scene", "error", "busy", "catalogue", "metric", "fixed")
    return {name: getattr(view, name) for name in names if view.has_trait(name)}


@pytest.mark.parametrize("name", VIEWS)
def test_the_first_picture_is_the_one_of_a_model_that_is_here(name: str, pair: Pair) -> None:
    here, there = VIEWS[name](*pair.here), VIEWS[name](*pair.there)
    first = shown(there)
    assert first.get("error", "") == ""
    require_same(shown(here), first, name)
    if hasattr(there, "to_frame"):
        require_same(here.to_frame(), there.to_frame(), name)
        require_same(here.in_words(), there.in_words(), name)
    for question, args in QUESTIONS.get(name, []):
        require_same(ask(here, question, **args), ask(there, question, **args), question)


@pytest.mark.parametrize("name", [*METRICS, "mutual_information"])
def test_a_chart_of_every_statistic_is_the_same(name: str, pair: Pair) -> None:
    metric: Any = MutualInformation(target=(1, 3, 5)) if name == "mutual_information" else name
    kind: Any = "decoder" if len(pair.here[0].kinds) > 1 else None
    state = {} if kind is None else {"kind": kind}
    refused: Exception | None = None
    try:
        here = LayerStatsChart(pair.here[0], metric, **state)
    except ValueError as error:
        refused = error
    if refused is not None:
        with pytest.raises(type(refused)) as raised:
            LayerStatsChart(pair.there[0], metric, **state)
        assert str(raised.value) == str(refused)
        return
    there = LayerStatsChart(pair.there[0], metric, **state)
    require_same(shown(here), shown(there), name)
    require_same(here.to_frame(), there.to_frame(), name)


def test_a_function_of_the_students_own_runs_in_the_notebook_on_answers_of_the_server(
    pair: Pair,
) -> None:
    def most(trace: Trace, layer: int) -> float:
        return float(trace.attention(layer).max())

    here, there = (
        LayerStatsChart(one[0], OwnMetric(function=most)) for one in (pair.here, pair.there)
    )
    require_same(shown(here), shown(there))


def test_an_explorer_switches_heads_off_and_takes_other_texts_at_the_server(pair: Pair) -> None:
    seen: list[list[Any]] = []
    for one, other in (pair.here, pair.there):
        explorer = explore(one)
        pictures: list[Any] = []
        for name, value in (("off", [(0, 1)]), ("off", []), ("trace", other)):
            setattr(explorer, name, value)
            until(lambda: not (explorer.busy or explorer.is_drawing))  # noqa: B023  at once
            pictures += [*map(shown, explorer.views), explorer.error, explorer.frame]
        seen.append(pictures)
        explorer.close()
    require_same(*seen)


def test_what_is_saved_of_a_view_is_the_same_page(pair: Pair) -> None:
    kept = [AttentionLines(one[0]).to_html() for one in (pair.here, pair.there)]
    assert kept[0] == kept[1]


def test_a_click_sends_a_small_question_and_gets_what_is_drawn(pair: Pair) -> None:
    view = AttentionLines(pair.there[0])
    shown(view)
    before = len(pair.wire.sizes)
    view.layer = 1
    shown(view)
    ((asked, answered),) = pair.wire.sizes[before:]
    drawn = sum(len(one["data"]) for one in arrays(view.frame))
    assert asked < 1000
    assert answered < drawn + 6000


def arrays(frame: Any) -> list[dict[str, Any]]:
    """All packed arrays in a frame."""
    if not isinstance(frame, dict):
        return []
    if "data" in frame and "dtype" in frame:
        return [frame]
    return [one for inner in frame.values() for one in arrays(inner)]
