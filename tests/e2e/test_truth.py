# ruff: noqa: RUF001  names are quoted as the views quote them
"""What the views say where the pointer stands, in a real browser, against the models themselves.

The right values are those of ``transformers``: the weights that the model itself returns with its
eager attention, in float64. Words are added up and averaged here, token by token.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from e2e.serving import ROOT
from e2e.test_real_model import FOLDER, NEEDS_SMOLLM2
from e2e.views import EXPLORER, LINES, MATRIX, view
from widgets.aloud import holds

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from e2e.lab import LabServer, Notebook

N_PICTURES = 6
"""Of each model: random kinds, layers, heads and units ..."""
N_CELLS = 12
"""... with so many cells pointed at in the matrix of each: over two hundred of three models ..."""
N_FANS = 3
"""... and so many units that look in the lines."""

_TRUTH = """
import copy
import torch
from glasshead import Lens, explore

shown = {}

def eager(**inputs):
    model = copy.deepcopy(trace.lens.model).double().eval()
    model.set_attn_implementation("eager")
    with torch.no_grad():
        return model(**inputs, output_attentions=True)

def ids(tokens):
    return torch.tensor([[token.id for token in tokens]])

def units(side, kind, unit):
    "Tokens of every unit of a side, and how it is written."
    if unit == "word":
        return [(list(word.tokens), word.text) for word in trace.words(side, kind=kind)]
    tokens = trace.queries(kind) if side == "query" else trace.keys(kind)
    return [([i], token.text) for i, token in enumerate(tokens)]

def true(kind, layer, heads, unit):
    "Mean of some heads, of words: summed over those looked at, averaged over those that look."
    weights = outputs[kind][layer][0]
    mean = (weights[heads] if heads else weights).mean(dim=0)
    rows, columns = ([of for of, _ in units(side, kind, unit)] for side in ("query", "key"))
    by_row = torch.stack([mean[row].mean(dim=0) for row in rows])
    return torch.stack([by_row[:, column].sum(dim=1) for column in columns], dim=1)
"""
_MODELS = {
    "decoder": """
trace = Lens.demo("decoder").trace(
    "The white whale, the white whale! All the men ran to the boats, and the sea took the boats.")
outputs = {"self": eager(input_ids=ids(trace.tokens)).attentions}
""",
    "encoder-decoder": """
trace = Lens.demo("encoder-decoder").trace(
    "the black dog sees the old cat", "le chien noir voit le vieux chat")
found = eager(input_ids=ids(trace.keys("cross")), decoder_input_ids=ids(trace.queries("cross")))
outputs = {"encoder": found.encoder_attentions, "decoder": found.decoder_attentions,
           "cross": found.cross_attentions}
""",
    "encoder": f"""
import sys

sys.path.insert(0, {str(ROOT / "tests")!r})
from support.tiny_models import TEXT, build, tokenizer
trace = Lens(build("bert"), tokenizer()).trace(TEXT)
outputs = {{"self": eager(input_ids=ids(trace.tokens)).attentions}}
""",
}
_SMOLLM2 = f"""
trace = Lens.from_pretrained({str(FOLDER)!r}, dtype="float32").trace(
    "The keeper of the old lighthouse wrote down the wind, the tide and the weather. " * 8)
outputs = {{"self": eager(input_ids=ids(trace.tokens)).attentions}}
"""
_SHOW = """
view = explore(trace, panes=['lines', 'matrix'])
shown[{name!r}] = trace, outputs, view
view
"""

_LISTEN = """(root) => {
  const read = () => {
    const words = (selector) => [...root.querySelectorAll(selector)].map((e) => e.textContent);
    return {
      pair: words('.fm-pair')[0] ?? '', value: words('.fm-value')[0] ?? '',
      facts: words('.fm-cell .gh-caption').join('; '), status: words('.gh-status').join(' '),
      tag: words('.gh-map-tag')[0] ?? '',
    };
  };
  window.said = [];
  new MutationObserver(() => window.said.push(read()))
    .observe(root, {subtree: true, childList: true, characterData: true});
}"""
"""Keeps everything that is said in an explorer, however shortly it stands there."""

_NAME = "‘\u2068(.*?)\u2069([₀-₉]*)’([₀-₉]*)"
_NUMBER = r"([<>] )?\d[\d.]*"
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@dataclass
class Picture:
    """What an explorer shows, and what is right."""

    notebook: Notebook
    kind: str
    layer: int
    heads: list[int]
    unit: str
    names: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def __post_init__(self) -> None:
        for side in ("query", "key"):
            units = self.notebook.kernel_eval(f"units({side!r}, {self.kind!r}, {self.unit!r})")
            texts = [text.strip() or text for _, text in units]
            self.names[side] = [
                text + (str(of[0]).translate(_SUBSCRIPTS) if texts.count(text) > 1 else "")
                for (of, _), text in zip(units, texts, strict=True)
            ]

    def names_row(self, words: str, row: int) -> bool:
        """Whether words begin with the name of a row."""
        # Words of cross attention are those that are predicted: "input → predicted".
        predicted = self.kind == "cross" and self.unit == "word"
        name = self.names["query"][row]
        if predicted:
            return words.partition(" → ")[2].startswith(name.rstrip("₀₁₂₃₄₅₆₇₈₉"))
        return words.startswith(name)

    @property
    def asked(self) -> str:
        return f"{self.kind!r}, {self.layer}, {self.heads}, {self.unit!r}"

    def rows(self, rows: list[int]) -> list[list[float]]:
        return self.notebook.kernel_eval(f"true({self.asked})[{rows}].tolist()")

    def sinks(self) -> list[int]:
        code = (
            f"trace.sinks({self.layer}, heads={self.heads or None}, kind={self.kind!r},"
            f" unit={self.unit!r}, aggregate='mean')['position'].tolist()"
        )
        return self.notebook.kernel_eval(code)

    def turn_to(self, root: Locator) -> None:
        kind, heads = self.kind, self.heads
        self.notebook.kernel_run(
            f"view.set(kind={kind!r}, layer={self.layer}, heads={heads}, unit={self.unit!r})"
        )
        frame = f"{self.layer}:{','.join(map(str, heads))}:{self.unit}:{kind}"
        for name in (LINES, MATRIX):
            expect(view(root, name)).to_have_attribute("data-frame", frame)


def shown_in(notebook: Notebook, cell: int, name: str) -> Locator:
    """Turn to one of the models."""
    notebook.kernel_run(f"trace, outputs, view = shown[{name!r}]")
    root = view(notebook.output(cell), EXPLORER)
    root.scroll_into_view_if_needed()
    root.evaluate(_LISTEN)
    return root


@pytest.fixture(scope="module")
def small(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    cells = [code + _SHOW.format(name=name) for name, code in _MODELS.items()]
    notebook = open_notebook(lab.add_notebook("truth.ipynb", [_TRUTH, *cells]))
    notebook.run_all()
    assert notebook.errors() == []
    return notebook


@pytest.mark.parametrize("name", _MODELS)
def test_what_is_said_under_the_pointer_is_what_the_model_computes(
    name: str, small: Notebook
) -> None:
    assert_true(small, shown_in(small, 1 + list(_MODELS).index(name), name))


@pytest.mark.real_model
@NEEDS_SMOLLM2
def test_what_is_said_under_the_pointer_is_what_smollm2_computes(
    lab: LabServer, open_notebook: Callable[[str], Notebook]
) -> None:
    cells = [_TRUTH, _SMOLLM2 + _SHOW.format(name="SmolLM2")]
    notebook = open_notebook(lab.add_notebook("truth-smollm2.ipynb", cells))
    notebook.run_all()
    assert notebook.errors() == []
    assert_true(notebook, shown_in(notebook, 1, "SmolLM2"))


def assert_true(notebook: Notebook, root: Locator) -> None:
    """Point at random cells and units of random pictures, and check what is said of them."""
    dice = random.Random(11)  # noqa: S311  no secrets here
    kinds = notebook.kernel_eval(
        "{kind: [[layer, trace.n_heads(layer, kind)] for layer in trace.layers(kind)]"
        " for kind in trace.kinds}"
    )
    for _ in range(N_PICTURES):
        kind = dice.choice(list(kinds))
        layer, n_heads = dice.choice(kinds[kind])
        heads = sorted(dice.sample(range(n_heads), dice.randint(0, min(2, n_heads))))
        picture = Picture(notebook, kind, layer, heads, dice.choice(["token", "word"]))
        picture.turn_to(root)
        rows = [dice.randrange(len(picture.names["query"])) for _ in range(N_CELLS)]
        weights = picture.rows(rows)
        point = matrix_pointer(view(root, MATRIX), picture)
        for row, of_row in zip(rows, weights, strict=True):
            column = dice.choice([i for i, weight in enumerate(of_row) if weight > 0])
            point(row, column)
            assert_cell(notebook, picture, of_row, row, column)
        sinks = picture.sinks()
        for row, of_row in zip(rows[:N_FANS], weights, strict=False):
            notebook.page.mouse.move(0, 0)
            view(root, LINES).locator(f'[data-side="query"][data-unit="{row}"]').hover()
            assert_fan(notebook, picture, of_row, row, sinks)


def matrix_pointer(matrix: Locator, picture: Picture) -> Callable[[int, int], None]:
    """Move the pointer to cells, by where the plot is on the page."""
    figure = matrix.locator(".gh-map-figure")
    figure.scroll_into_view_if_needed()
    figure.locator("canvas").last.hover()  # so that the cross is there to be measured
    size = len(picture.names["query"]), len(picture.names["key"])
    cross = matrix.locator(".gh-cross").bounding_box()
    assert cross is not None
    # The cross reaches three pixels beyond the plot.
    left, top = cross["x"] + 3, cross["y"] + 3
    down, across = (cross["height"] - 6) / size[0], (cross["width"] - 6) / size[1]

    def point(row: int, column: int) -> None:
        mouse = picture.notebook.page.mouse
        mouse.move(left - 20, top - 20)
        picture.notebook.page.evaluate("() => { window.said.length = 0; }")
        mouse.move(left + (column + 0.5) * across, top + (row + 0.5) * down)

    return point


_WAIT = """async () => {{
  for (let i = 0; i < 1000; i++) {{
    const last = window.said.at(-1);
    if (last && ({condition})) break;
    await new Promise((done) => setTimeout(done, 10));
  }}
  return window.said;
}}"""


def all_said(notebook: Notebook, condition: str) -> list[dict[str, str]]:
    """Everything that was said since the pointer went away, up to what fulfils a condition."""
    return notebook.page.evaluate(_WAIT.format(condition=condition))


def plain(words: str) -> str:
    return re.sub("[\u2068\u2069‘’]", "", words)


def assert_cell(
    notebook: Notebook, picture: Picture, weights: list[float], row: int, column: int
) -> None:
    said = all_said(notebook, "last.facts.includes('rank') && last.tag.includes('rank')")
    column_name = picture.names["key"][column]
    where = (picture.asked, row, column, weights[column])
    for one in said:  # what stood there before the kernel's answer was true as well
        if not one["value"]:
            continue
        pair = plain(one["pair"])
        assert picture.names_row(pair, row), where
        assert pair.endswith(f" looks at {column_name}"), where
        assert states(one["value"], weights[column]), (one["value"], where)
    last = said[-1]
    assert re.fullmatch(_NUMBER, last["value"]), (last["value"], where)
    rank, n = map(int, re.findall(r"rank (\d+) of (\d+) in its row", last["facts"])[0])
    # In float64 two weights that float32 cannot tell apart may stand the other way round.
    near = 1e-6
    above = [sum(w > weights[column] + d for w in weights) + 1 for d in (near, -near)]
    assert above[0] <= rank <= max(above), (last, where)
    assert n == sum(weight > 0 for weight in weights), (last, where)
    total = re.findall(r"row sums to (.*?)(?:;|$)", last["facts"])[0]
    assert holds(total, sum(weights)), (total, where)
    for text in (last["tag"], last["status"]):
        assert f"{last['value']} · rank {rank} of {n}" in text.replace(", rank", " · rank"), where


def states(words: str, true: float) -> bool:
    """Whether "0.4123", "≈ 0.412 ± 0.003" or "≤ 0.41 (largest nearby)" holds."""
    if about := re.fullmatch(r"≈ ([\d.]+) ± ([\d.]+)", words):
        return abs(true - float(about[1])) <= float(about[2]) + 1e-6
    return holds(words.partition(" (")[0], true)


def assert_fan(
    notebook: Notebook, picture: Picture, weights: list[float], row: int, sinks: list[int]
) -> None:
    begins = f"last.status.startsWith('Attention lines: {picture.unit} {row} ')"
    said = all_said(notebook, f"{begins} && !last.status.includes('or more')")
    words: str = said[-1]["status"]
    subject, _, rest = re.split("( looks most at | looks at nothing else)", words)
    assert picture.names_row(plain(subject).split(f"{picture.unit} {row} ")[1], row), words
    most, _, beside = rest.partition(", beside the sinks ")
    named: list[int] = []
    for text, inside, behind, number, _ in re.findall(rf"{_NAME} ({_NUMBER})", most + beside):
        unit = picture.names["key"].index(text + inside + behind)
        assert holds(number, weights[unit]), (number, weights[unit], words)
        named.append(unit)
    assert named, words
    if "beside" in words:
        assert {u for u in named if u in sinks} == set(named[most.count("‘") :])
        others = [w for unit, w in enumerate(weights) if unit not in sinks]
    else:
        others = weights
    if " looks most at " in words:
        assert abs(weights[named[0]] - max(others)) < 1e-6, words
