"""A student asks a server what a teacher asks the model: every method, the same answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from glasshead import NotServedError
from glasshead_backend import Lens, Trace
from support.in_process import connected
from support.same import require_same

if TYPE_CHECKING:
    from collections.abc import Callable

    Asked = Callable[[Trace], object]

TEXT = "The white whale, the white whale and the sea. The white"
SOURCE, TARGET = "the big black dog sees the small cat", "le grand chien noir voit le petit chat"

OF_ANY: dict[str, list[Asked]] = {
    "layers": [lambda t: t.layers()],
    "n_heads": [lambda t: t.n_heads(1)],
    "path": [lambda t: t.path(0)],
    "queries": [lambda t: t.queries()],
    "keys": [lambda t: t.keys()],
    "words": [lambda t: t.words(), lambda t: t.words("key")],
    "sequence": [lambda t: t.sequence(t.sequences[0].name)],
    "family": [lambda t: t.family],
    "kinds": [lambda t: t.kinds],
    "default_kind": [lambda t: t.default_kind],
    "text": [lambda t: t.text],
    "tokens": [lambda t: t.tokens],
    "sequences": [lambda t: t.sequences],
    "labels": [lambda t: t.labels],
    "ablated": [lambda t: t.ablated],
    "nbytes": [lambda t: t.nbytes > 1000],
    "attention": [
        lambda t: t.attention(0),
        lambda t: t.attention(1, 0, rows=[1, -1], unit="word"),
        lambda t: t.attention(1, torch.tensor([0, 1]), scores=True),
        lambda t: t.attention(0, (i for i in [1, 0]), aggregate="mean", rows=range(3)),
    ],
    "attention_map": [
        lambda t: t.attention_map(1, unit="word", aggregate="max"),
        lambda t: t.attention_map(0, 1, precision="float32").column([0]),
        lambda t: repr(t.attention_map(0)),
    ],
    "pooled_attention": [lambda t: t.pooled_attention(0, queries=(1, 6), size=3)],
    "strongest_keys": [lambda t: t.strongest_keys(1, 2)],
    "sinks": [lambda t: t.sinks(1)],
    "token_attention": [
        lambda t: t.token_attention(2),
        lambda t: t.token_attention(2, direction="to", unit="word"),
    ],
    "notable_pairs": [lambda t: t.notable_pairs(1, 0.2)],
    "mean_attention": [lambda t: t.mean_attention(unit="word")],
    "rollout": [lambda t: t.rollout(kind=t.kinds[0])],
    "flow": [lambda t: t.flow(3, kind=t.kinds[0])],
    "moved_norms": [lambda t: t.moved_norms(1), lambda t: t.moved_norms(0, aggregate="sum")],
    "query_key": [
        lambda t: t.query_key(1, 3),
        lambda t: t.query_key(1, 3, heads=[1]).to_frame(),
    ],
    "norms": [lambda t: t.norms()],
    "unclear_blocks": [lambda t: t.unclear_blocks()],
    "activations": [
        lambda t: t.activations(1, "mlp"),
        lambda t: t.activations(1, "attention", heads=[0]),
    ],
    "hidden_states": [lambda t: t.hidden_states(0)],
    "layers_with": [lambda t: t.layers_with("residual")],
    "ablate": [
        lambda t: t.ablate({0: [1]}),
        lambda t: t.ablate(blocks=[(1, "mlp")], how="mean").ablated,
    ],
    "head_effects": [lambda t: t.head_effects(), lambda t: t.head_effects(position=3).to_frame()],
    "head_outputs": [lambda t: t.head_outputs(1, [0, 1], rows=[2])],
    "logit_contributions": [lambda t: t.logit_contributions()],
    "attribution": [
        lambda t: t.attribution(),
        lambda t: t.attribution("integrated_gradients", position=4, steps=8).to_frame(),
    ],
    "attributions": [lambda t: t.attributions([3, 4])],
    "attention_gradient": [lambda t: t.attention_gradient(1)],
    "predictions": [lambda t: t.predictions(), lambda t: t.predictions().to_frame()],
    "perplexity": [lambda t: t.perplexity],
    "top_k": [lambda t: t.top_k(3, 4)],
    "continue_with": [lambda t: t.continue_with(3, t.tokens[4].id, max_new_tokens=4)],
    "distribution": [
        lambda t: t.distribution(3, temperature=0.5, top_k=9),
        lambda t: t.distribution(3).to_frame(7),
    ],
    "layer_readings": [
        lambda t: t.layer_readings(3),
        lambda t: t.layer_readings(3, followed=[5, 6]).followed_frame(),
    ],
    "compare_predictions": [lambda t: t.compare_predictions(t.ablate({1: [0]}))],
    "logits": [lambda t: t.logits([1, -1])],
    "to_bertviz": [
        # its page has a number of its own, new each time
        lambda t: len(t.to_bertviz("head", kind=t.kinds[0], html_action="return").data)
    ],
}
"""What is asked of a trace of any model, by the name of the method."""

OF_A_DECODER: dict[str, list[Asked]] = {"next_token": [lambda t: t.next_token(3)]}

HERE = {
    "close": "tests/backend/served/test_connection.py",
    "from_attentions": "makes a trace without a lens",
    "from_cache": "makes a trace without a lens",
    "lens": "the lens itself",
    "server": "says where the model is",
}
"""Methods that ask nobody, and why, or where they are tested."""

REFUSED: dict[str, Asked] = {"store_activations": lambda t: t.store_activations()}

LENS_HERE = {
    "connect": "tests/backend/served/test_connection.py",
    "demo": "loads a model",
    "from_pretrained": "loads a model",
    "anatomy": "the model's own; what is asked of it comes with a trace",
    "lent": "says that a server's lens is one",
    "most_tokens": "a limit that a server sets for its own lens",
}
LENS_REFUSED: dict[str, Callable[[Lens], object]] = {
    "memory_budget": lambda lens: setattr(lens, "memory_budget", 5),
    "vocabulary": lambda lens: lens.vocabulary.piece(3),
}
OF_A_LENS: dict[str, list[Callable[[Lens], object]]] = {
    "tokenize": [
        lambda lens: lens.tokenize("A white whale"),
        lambda lens: lens.tokenize("A white whale", add_special_tokens=False),
    ],
    "trace": [lambda lens: lens.trace("the dog"), lambda lens: lens.trace([5, 6, 7])],
    "trace_many": [
        lambda lens: list(lens.trace_many(["the dog", "the big dog", "a cat"], batch_size=2))
    ],
    "score": [lambda lens: lens.score("the big dog sees").predictions()],
    "score_continuation": [lambda lens: lens.score_continuation("the big", [" dog", " cat"])],
    "generate": [
        lambda lens: lens.generate("the big", max_new_tokens=4),
        lambda lens: lens.generate("the big", max_new_tokens=4, num_beams=2),
    ],
    "family": [lambda lens: lens.family],
    "window": [lambda lens: lens.window],
    "target_window": [lambda lens: lens.target_window],
    "spelled": [lambda lens: lens.spelled([3, 9, 3])],
    "server": [lambda lens: type(lens).__name__.removeprefix("Served")],
}


@pytest.fixture(scope="module", params=["decoder", "encoder-decoder"])
def lenses(request: pytest.FixtureRequest) -> tuple[Lens, Lens]:
    lens = Lens.demo(request.param)
    return lens, connected(lens)


@pytest.fixture(scope="module")
def traces(lenses: tuple[Lens, Lens]) -> tuple[Trace, Trace]:
    here, there = lenses
    asked = (TEXT,) if here.family == "decoder" else (SOURCE, TARGET)
    return here.trace(*asked), there.trace(*asked)


def public(of: type) -> set[str]:
    # Not what a library hangs onto `object` itself (nnsight: `save`).
    own = (vars(kind) for kind in of.__mro__ if kind is not object)
    return {name for names in own for name in names if not name.startswith("_")}


def test_every_method_is_answered_or_says_that_it_is_not() -> None:
    asked = {*OF_ANY, *OF_A_DECODER, *HERE, *REFUSED}
    assert public(Trace) == asked
    assert public(Lens) == {*OF_A_LENS, *LENS_HERE, *LENS_REFUSED}


@pytest.mark.parametrize("name", [*OF_ANY, *OF_A_DECODER])
def test_a_trace_at_a_server_answers_as_one_that_is_here(
    name: str, traces: tuple[Trace, Trace]
) -> None:
    here, there = traces
    if name in OF_A_DECODER and here.family != "decoder":
        pytest.skip("a target has no next token")
    for ask in {**OF_ANY, **OF_A_DECODER}[name]:
        require_same(ask(here), ask(there), name)


@pytest.mark.parametrize("name", OF_A_LENS)
def test_a_lens_at_a_server_answers_as_one_that_is_here(
    name: str, lenses: tuple[Lens, Lens]
) -> None:
    for ask in OF_A_LENS[name]:
        require_same(*map(ask, lenses), name)


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_server_answers_says_so(name: str, traces: tuple[Trace, Trace]) -> None:
    with pytest.raises(NotServedError, match=r"[Ll]oad the model in this notebook"):
        REFUSED[name](traces[1])


@pytest.mark.parametrize("name", LENS_REFUSED)
def test_what_takes_the_model_itself_says_where_it_is(name: str, lenses: tuple[Lens, Lens]) -> None:
    with pytest.raises(NotServedError, match="Load the model in this notebook"):
        LENS_REFUSED[name](lenses[1])
