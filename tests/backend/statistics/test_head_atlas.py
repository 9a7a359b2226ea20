"""An atlas of heads over many texts: rows by plain loops, numpy's bootstrap, files, bad texts."""

from __future__ import annotations

import json
import math
import os
import pickle
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, reduce
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.stats import entropy

from glasshead_backend import Cancelled, HeadAtlas, Lens, Step, head_atlas, head_statistics
from glasshead_backend.corpora.parts import parts
from glasshead_backend.demo import DECODER_TEXT
from glasshead_backend.statistics.atlas_metrics import NAMES
from glasshead_backend.statistics.atlas_tally import HeadAtlasTally
from glasshead_backend.statistics.atlas_task import HeadAtlasTask
from glasshead_backend.statistics.poisson_weights import poisson_weights
from support.parity import Float64Throughout, in_float64
from support.tiny_models import TEXT, WORDS, build, tokenizer

if TYPE_CHECKING:
    from glasshead_backend import Trace
    from glasshead_backend.statistics.atlas_examples import Example

Rows = dict[tuple[int, int], float]
"""A value by text and position."""


def some_texts(n: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    words = [*WORDS, ",", ".", "!"]
    return [" ".join(rng.choice(words, int(rng.integers(4, 40)))) for _ in range(n)]


def said_by_punctuation(text: str) -> bool:
    said = text.strip()
    return said != "" and {unicodedata.category(sign)[0] for sign in said} == {"P"}


def rows_of(trace: Trace, kind: Any, layer: int, head: int) -> dict[str, dict[int, float]]:
    """Every metric of every row of a head, by loops."""
    weights = trace.attention(layer, head, kind=kind)[0].double().numpy()
    across = kind == "cross"
    causal = kind == "decoder" or (kind == "self" and trace.lens.family == "decoder")
    ids = [token.id for token in trace.queries(kind)]
    signs = [k for k, one in enumerate(trace.keys(kind)) if said_by_punctuation(one.text)]
    found: dict[str, dict[int, float]] = {
        "entropy": {q: float(entropy(row, base=2)) for q, row in enumerate(weights)},
        "sink": {q: row[0] for q, row in enumerate(weights) if across or q},
        "punctuation": {
            q: row[signs].sum()
            for q, row in enumerate(weights)
            if any(not causal or k <= q for k in signs)
        },
    }
    if across:
        return found
    before = {q: [k for k in range(q) if ids[k] == ids[q]] for q in range(len(ids))}
    return found | {
        "distance": {
            q: sum(w * abs(q - k) for k, w in enumerate(row)) for q, row in enumerate(weights)
        },
        "previous_token": {q: weights[q, q - 1] for q in range(1, len(ids))},
        "same_token": {q: weights[q, same].sum() for q, same in before.items() if same},
        "induction": {q: weights[q, same[-1] + 1] for q, same in before.items() if same},
    }


def by_loops(traces: list[Trace], kind: Any, layer: int, head: int) -> dict[str, Rows]:
    """Rows of all texts, by metric."""
    found: dict[str, Rows] = {}
    for text, trace in enumerate(traces):
        for name, rows in rows_of(trace, kind, layer, head).items():
            found.setdefault(name, {}).update({(text, q): v for q, v in rows.items()})
    return found


def text_means(rows: Rows) -> np.ndarray:
    by_text: dict[int, list[float]] = {}
    for (text, _), value in rows.items():
        by_text.setdefault(text, []).append(value)
    return np.array([np.mean(values) for values in by_text.values()])


@lru_cache
def demo() -> Lens:
    return Lens.demo("decoder")


@lru_cache
def lens_of(model_type: str, side: str = "right") -> Lens:
    words = tokenizer()
    words.padding_side = side
    return Lens(build(model_type), words)


TEXTS = some_texts(11)
SMOLLM2 = Path(
    os.environ.get(
        "GLASSHEAD_SMOLLM2", Path(__file__).parents[3] / ".models" / "smollm2-135m-instruct"
    )
)


# --- numbers --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("model_type", "side"),
    [
        *product(("llama", "gpt_oss", "gpt2"), ("right", "left")),
        ("mistral", "right"),
        ("bert", "right"),
        ("gptj", "right"),
    ],
)
def test_means_and_buckets_are_those_of_plain_loops_over_rows(model_type: str, side: str) -> None:
    lens = lens_of(model_type, side)
    atlas = head_atlas(lens, TEXTS, batch_size=4)
    assert lens.anatomy.padding.side(side) == side, "several texts in one forward pass"
    traces = [lens.trace(text) for text in TEXTS]
    assert (atlas.n_texts, atlas.n_tokens) == (11, sum(len(one.queries()) for one in traces))
    for layer, head in ((0, 0), (1, 3), (2, 2)):
        loops = by_loops(traces, atlas.kind, layer, head)
        assert set(loops) == {metric.name for metric in atlas.metrics}
        for i, metric in enumerate(atlas.metrics):
            rows, means = loops[metric.name], text_means(loops[metric.name])
            assert float(atlas.mean[i, layer, head]) == pytest.approx(means.mean(), abs=3e-6)
            assert int(atlas.n[i, layer, head]) == len(means)
            assert int(atlas.rows[i, layer, head].sum()) == len(rows)
            there = [value for value in rows.values() if not near_an_edge(value, metric.edges)]
            least = np.histogram(there, metric.edges)[0]
            assert (atlas.rows[i, layer, head].numpy() >= least).all(), metric.name


def near_an_edge(value: float, edges: tuple[float, ...]) -> bool:
    """Whether rounding decides which bucket a value falls in."""
    return min(abs(value - edge) for edge in edges) < 1e-5


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
@pytest.mark.parametrize("model_type", ["bart", "t5"])
def test_source_and_target_are_described_as_a_trace_describes_them(
    model_type: str, kind: Any
) -> None:
    lens, targets = lens_of(model_type), some_texts(5, seed=1)
    atlas = head_atlas(lens, TEXTS[:5], targets=targets, kind=kind, batch_size=3)
    traces = list(lens.trace_many(TEXTS[:5], targets))
    expected = [head_statistics(trace, kind) for trace in traces]
    for i, metric in enumerate(atlas.metrics):
        if hasattr(expected[0], metric.name):
            mean = torch.stack([getattr(one, metric.name) for one in expected]).double().nanmean(0)
            torch.testing.assert_close(atlas.mean[i], mean, rtol=0, atol=3e-6, equal_nan=True)
        rows = by_loops(traces, kind, 1, 2)[metric.name]
        assert float(atlas.mean[i, 1, 2]) == pytest.approx(text_means(rows).mean(), abs=3e-6)
    if kind == "cross":
        assert [one.name for one in atlas.metrics] == ["entropy", "sink", "punctuation"]


def test_long_texts_come_in_blocks_of_rows_and_models_in_half_precision_as_they_are() -> None:
    lens = Lens(build("llama", max_position_embeddings=1024), tokenizer())
    texts = [" ".join(some_texts(22, seed)) for seed in (1, 2, 3)]
    assert min(len(lens.tokenize(text)) for text in texts) > 400
    atlas = head_atlas(lens, texts)
    half = head_atlas(Lens(build("llama").bfloat16(), tokenizer()), TEXTS)
    for found, lens_, given in (
        (atlas, lens, texts),
        (half, Lens(build("llama").bfloat16(), tokenizer()), TEXTS),
    ):
        statistics = [head_statistics(trace) for trace in lens_.trace_many(given, batch_size=16)]
        for i, metric in enumerate(found.metrics):
            if hasattr(statistics[0], metric.name):
                each = [getattr(one, metric.name).double() for one in statistics]
                expected = torch.stack(each).nanmean(0)
                torch.testing.assert_close(found.mean[i], expected, rtol=2e-6, atol=3e-6)


def test_a_model_that_padding_changes_reads_its_texts_one_by_one() -> None:
    lens = lens_of("llama")
    padding = lens.anatomy.padding
    together = head_atlas(lens, TEXTS)
    sides, padding.sides = padding.sides, []
    try:
        alone = head_atlas(lens, TEXTS)
    finally:
        padding.sides = sides
    torch.testing.assert_close(alone.mean, together.mean, rtol=0, atol=3e-6)
    assert torch.equal(alone.n, together.n)


@pytest.mark.real_model
@pytest.mark.skipif(not SMOLLM2.exists(), reason="run scripts/fetch_smollm2.py")
def test_a_real_model_is_described_as_its_traces_describe_it() -> None:
    lens = Lens.from_pretrained(SMOLLM2, dtype=torch.float32)
    texts = [f"{DECODER_TEXT[i:]} {DECODER_TEXT}" for i in (0, 14, 40, 78)]
    atlas = head_atlas(lens, texts)
    assert atlas.n_heads == (9,) * 30
    expected = [head_statistics(trace) for trace in lens.trace_many(texts)]
    for i, metric in enumerate(atlas.metrics):
        if hasattr(expected[0], metric.name):
            mean = torch.stack([getattr(one, metric.name) for one in expected]).double().mean(dim=0)
            torch.testing.assert_close(atlas.mean[i], mean, rtol=1e-4, atol=1e-4)
    # Sentences come back: some head finds what followed last time, most of all where it does.
    frame = atlas.to_frame()
    best = frame.loc[frame["induction"].idxmax()]
    assert best["induction"] > 0.4
    top = atlas.examples(int(best["layer"]), int(best["head"]), "induction")[0]
    assert top.value > 0.8


# --- intervals ------------------------------------------------------------------------------------
def test_intervals_are_those_of_the_ordinary_bootstrap_over_texts() -> None:
    texts = some_texts(60, seed=5)
    lens = lens_of("llama")
    atlas = head_atlas(lens, texts, confidence=0.9)
    rng = np.random.default_rng(0)
    traces = list(lens.trace_many(texts))
    for layer, head in ((0, 1), (2, 3)):
        loops = by_loops(traces, "self", layer, head)
        for i, metric in enumerate(atlas.metrics):
            means = text_means(loops[metric.name])
            draws = means[rng.integers(0, len(means), (20_000, len(means)))].mean(axis=1)
            low, high = np.quantile(draws, [0.05, 0.95])
            # Percentiles of 1,000 replicates, of Poisson weights instead of 60 draws.
            tolerance = 0.2 * (high - low)
            assert float(atlas.low[i, layer, head]) == pytest.approx(low, abs=tolerance)
            assert float(atlas.high[i, layer, head]) == pytest.approx(high, abs=tolerance)


def test_one_text_has_no_interval_and_the_seed_decides_about_that_of_many() -> None:
    lens = lens_of("llama")
    single = head_atlas(lens, TEXTS[:1])
    assert single.low.isnan().all()
    assert single.high.isnan().all()
    first, again, other = (head_atlas(lens, TEXTS, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.low, again.low)
    assert torch.equal(first.mean, other.mean)
    assert not torch.equal(first.low, other.low)
    drawn = [[key_of(e) for e in one.examples(0, 0, "sink")] for one in (first, again, other)]
    assert drawn[0] == drawn[1] != drawn[2]


# --- examples -------------------------------------------------------------------------------------
def key_of(one: Example) -> tuple[int, int]:
    return one.text, one.query


@pytest.mark.parametrize("model_type", ["llama", "bert", "bart"])
def test_examples_are_rows_of_the_texts_with_the_weights_around_them(model_type: str) -> None:
    lens = lens_of(model_type)
    targets = some_texts(6, seed=2) if model_type == "bart" else None
    texts = [*some_texts(5, seed=3), " ".join(some_texts(4, seed=4))]
    atlas = head_atlas(lens, texts, targets=targets, batch_size=4)
    traces = list(lens.trace_many(texts, targets))
    kind = atlas.kind
    for layer, head in ((0, 3), (1, 0)):
        loops = by_loops(traces, kind, layer, head)
        maps = [trace.attention(layer, head, kind=kind)[0].double() for trace in traces]
        kept = [(m, one) for m in atlas.metrics for one in atlas.examples(layer, head, m.name)]
        for metric, one in kept:
            trace = traces[one.text]
            assert one.value == pytest.approx(loops[metric.name][key_of(one)], rel=1e-6, abs=1e-5)
            low, high = metric.edges[one.bucket : one.bucket + 2]
            assert low - 1e-6 <= one.value <= high + 1e-6
            keys = [token.text for token in trace.keys(kind)]
            stop = one.start + len(one.tokens)
            assert list(one.tokens) == keys[one.start : stop]
            assert len(one.tokens) == min(48, len(keys))
            row = maps[one.text][one.query]
            torch.testing.assert_close(
                one.weights.double(), row[one.start : stop], atol=5e-6, rtol=0
            )
            outside = 1 - float(row[one.start : stop].sum())
            assert one.outside == pytest.approx(outside, abs=1e-5)
            assert one.token == trace.queries(kind)[one.query].text
            if kind != "cross":
                assert one.start <= one.query < stop


def test_every_bucket_has_three_of_its_rows_and_the_highest_are_there() -> None:
    lens = lens_of("llama")
    atlas = head_atlas(lens, TEXTS)
    traces = list(lens.trace_many(TEXTS))
    for head in range(4):
        loops = by_loops(traces, "self", 1, head)
        for i, metric in enumerate(atlas.metrics):
            found = atlas.examples(1, head, metric.name)
            assert len({key_of(one) for one in found}) == len(found)
            assert [one.value for one in found] == sorted((o.value for o in found), reverse=True)
            top = sorted(loops[metric.name].values(), reverse=True)[:3]
            np.testing.assert_allclose([one.value for one in found[:3]], top, atol=1e-5)
            for bucket in range(10):
                n_rows = int(atlas.rows[i, 1, head, bucket])
                own = atlas.examples(1, head, metric.name, bucket)
                assert min(3, n_rows) <= len(own) <= min(6, n_rows)
                assert all(one.bucket == bucket for one in own)


def test_each_row_of_a_bucket_is_as_likely_an_example_as_any_other() -> None:
    lens = lens_of("llama")
    texts = some_texts(4, seed=9)
    drawn: dict[tuple[int, int], int] = {}
    for seed in range(60):
        atlas = head_atlas(lens, texts, metrics=["sink"], seed=seed)
        top = {key_of(one) for one in atlas.examples(0, 0, "sink")[:3]}
        for one in atlas.examples(0, 0, "sink", 0):
            if key_of(one) not in top:
                drawn[key_of(one)] = drawn.get(key_of(one), 0) + 1
    n_rows = int(atlas.rows[0, 0, 0, 0])
    assert n_rows > 20
    expected = 60 * 3 / n_rows
    statistic = sum((n - expected) ** 2 / expected for n in drawn.values())
    statistic += expected * (n_rows - len(drawn))
    # Chi-squared: its mean is the number of rows, its standard deviation the root of twice that.
    assert abs(statistic - n_rows) < 5 * math.sqrt(2 * n_rows)


def test_what_a_row_looks_at_is_in_the_window_where_it_is_near_enough() -> None:
    lens = demo()
    words = [f" {word}" for word in ("whale", "ship", "sea", "hand", "boat", "night", "deck")]
    text = "The" + "".join(words[i % 7] for i in range(44))
    atlas = head_atlas(lens, [text, text[:120]])
    induction = [atlas.examples(1, head, "induction")[0] for head in range(12)]
    best = max(induction, key=lambda one: one.value)
    assert best.value > 0.5
    assert float(best.weights.max()) == pytest.approx(best.value, abs=1e-6)
    assert best.tokens[int(best.weights.argmax())] == best.tokens[best.query - best.start + 1 - 7]


# --- texts that cannot be measured, and bad questions ---------------------------------------------
def test_texts_that_cannot_be_read_are_named_and_the_others_measured() -> None:
    lens = lens_of("gpt2")
    bad = [*TEXTS[:3], "", *TEXTS[3:], "the " * 500]
    bad.insert(2, None)  # type: ignore[arg-type]
    found, expected = head_atlas(lens, bad), head_atlas(lens, TEXTS)
    assert [number for number, _ in found.skipped] == [2, 4, 13]
    assert found.n_skipped == 3
    assert "is empty" in found.skipped[1][1]
    assert "its window" in found.skipped[2][1]
    torch.testing.assert_close(found.mean, expected.mean, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"None of the 2 texts.*is empty"):
        head_atlas(lens, ["", " "])
    with pytest.raises(ValueError, match="no text"):
        head_atlas(lens, [])


def test_a_text_that_takes_too_much_memory_is_left_out_alone() -> None:
    lens = Lens(build("llama"), tokenizer())
    token_bytes = lens.anatomy.structure.token_bytes
    lens.memory_budget = 45 * token_bytes
    texts = [" ".join(["fox"] * n) for n in (10, 20, 60, 30)]
    atlas = head_atlas(lens, texts)
    assert [number for number, _ in atlas.skipped] == [2]
    assert "60 tokens" in atlas.skipped[0][1]
    assert atlas.n_texts == 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metrics": "entropy"}, r"metrics=\['entropy'\]"),
        ({"metrics": []}, "no metrics"),
        ({"metrics": ["copying"]}, "no metric 'copying': there are entropy, distance"),
        ({"confidence": 1.0}, "confidence 1.0"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"seed": 0.5}, "seed 0.5"),
        ({"kind": "cross"}, "kind 'cross' is not there: llama has 'self'"),
        ({"texts": "the fox"}, "one text"),
    ],
)
def test_what_cannot_be_asked_is_said(given: dict[str, Any], said: str) -> None:
    asked = {"texts": TEXTS, **given}
    with pytest.raises((TypeError, ValueError), match=said):
        head_atlas(lens_of("llama"), asked.pop("texts"), **asked)


def test_across_texts_no_token_comes_before_another() -> None:
    with pytest.raises(ValueError, match="distance: cross attention leads from one text to"):
        head_atlas(lens_of("bart"), TEXTS, targets=TEXTS, metrics=["entropy", "distance"])


# --- tables and files -----------------------------------------------------------------------------
def test_the_table_has_every_head_with_its_intervals() -> None:
    atlas = head_atlas(lens_of("llama"), TEXTS, metrics=["induction", "sink"])
    frame = atlas.to_frame()
    names = ["induction", "induction_low", "induction_high", "sink", "sink_low", "sink_high"]
    assert list(frame.columns) == ["layer", "head", *names, "n_texts"]
    assert len(frame) == 12
    row = frame.set_index(["layer", "head"]).loc[(2, 1)]
    assert row["induction_high"] == float(atlas.high[0, 2, 1])
    assert repr(atlas).startswith("HeadAtlas of llama, self attention: 11 texts, 95 % bootstrap")
    examples = atlas.examples_frame(2, 1, "sink")
    first = atlas.examples(2, 1, "sink")[0]
    assert list(examples.loc[0, ["text", "query", "value"]]) == [*key_of(first), first.value]
    assert examples.loc[0, "from"] <= first.value <= examples.loc[0, "to"]
    with pytest.raises(ValueError, match="layer 3 is out of range: llama has layers 0-2"):
        atlas.examples(3, 0, "sink")
    with pytest.raises(ValueError, match=r"head 4 .*heads 0-3"):
        atlas.examples(0, 4, "sink")
    with pytest.raises(ValueError, match="no metric 'entropy' here: there are induction, sink"):
        atlas.examples(0, 0, "entropy")
    with pytest.raises(ValueError, match="bucket 10 is out of range"):
        atlas.examples(0, 0, "sink", 10)


def assert_same_atlas(one: HeadAtlas, other: HeadAtlas) -> None:
    for name in ("mean", "low", "high", "n", "rows"):
        torch.testing.assert_close(
            getattr(one, name), getattr(other, name), rtol=0, atol=0, equal_nan=True
        )
    for name in ("model", "kind", "layers", "n_heads", "metrics", "n_texts", "skipped", "seed"):
        assert getattr(one, name) == getattr(other, name), name
    for layer, head, metric in product(one.layers, range(max(one.n_heads)), one.metrics):
        found, expected = (a.examples(layer, head, metric.name) for a in (one, other))
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert torch.equal(a.weights, b.weights)
            assert a._replace(weights=b.weights) == b


def test_a_saved_atlas_is_the_same_without_a_model(tmp_path: Path) -> None:
    texts = [*TEXTS, "", "<b>bold</b> – “quoted” 🐋"]
    atlas = head_atlas(demo(), texts)
    atlas.save(tmp_path / "atlas.safetensors")
    (tmp_path / "plain").touch()
    modes = {one.stat().st_mode for one in tmp_path.iterdir()}
    assert len(modes) == 1  # whoever may read a new file may read it
    loaded = HeadAtlas.load(tmp_path / "atlas.safetensors")
    assert_same_atlas(loaded, atlas)
    assert loaded.to_frame().equals(atlas.to_frame())
    assert loaded.skipped[0][0] == 11


def rewritten(path: Path, *, told: dict[str, Any], tensors: dict[str, Any], format_: str) -> None:
    """Write a file anew with other contents; what is None is left out."""
    with safe_open(path, "pt") as file:
        about = file.metadata()
        own = {name: file.get_tensor(name) for name in file.keys()} | tensors  # noqa: SIM118
    words = json.loads(about["atlas"]) | told
    own = {name: one for name, one in own.items() if one is not None}
    save_file(own, path, {"format": format_ or about["format"], "atlas": json.dumps(words)})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"format_": "glasshead fitted lens 1"}, "no head atlas.*glasshead fitted lens 1"),
        ({"format_": "glasshead head atlas 2"}, "version 2; this Glasshead reads version 1"),
        ({"tensors": {"low": None}}, "no head atlas"),
        ({"tensors": {"mean": torch.zeros(2, 3)}}, "damaged.*mean"),
        ({"tensors": {"rows": torch.zeros(2, 3, 4, 10)}}, "damaged.*rows"),
        ({"told": {"layers": [0, 1]}}, "damaged"),
        ({"told": {"n_heads": [4, 4, "4"]}}, "damaged.*no whole number"),
        ({"told": {"spellings": []}}, "damaged.*tokens that there are not"),
        ({"told": {"kind": "sideways"}}, "damaged"),
        ({"told": {"metrics": []}}, "damaged"),
        ({"told": {"skipped": [[1]]}}, "damaged"),
    ],
)
def test_another_file_is_refused_in_words(
    changed: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "atlas.safetensors"
    head_atlas(lens_of("llama"), TEXTS, metrics=["sink", "entropy"]).save(path)
    rewritten(path, **{"told": {}, "tensors": {}, "format_": "", **changed})
    with pytest.raises(ValueError, match=said):
        HeadAtlas.load(path)


def test_no_file_and_no_safetensors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        HeadAtlas.load(tmp_path / "nowhere.safetensors")
    (tmp_path / "text.safetensors").write_text(TEXT)
    with pytest.raises(ValueError, match="no head atlas"):
        HeadAtlas.load(tmp_path / "text.safetensors")


# --- parts, workers, checkpoints ------------------------------------------------------------------
def tallies(lens: Lens, texts: list[str], size: int) -> list[HeadAtlasTally]:
    task = HeadAtlasTask(kind="self", metrics=NAMES, seed=0, batch_size=4)
    return [task.of_part(lens, part) for part in parts(texts, size=size)]


def test_however_a_corpus_is_cut_and_merged_the_atlas_is_the_same() -> None:
    lens = Lens(in_float64(build("llama")), tokenizer())
    texts = some_texts(12, seed=6)
    with Float64Throughout():
        whole = tallies(lens, texts, 12)[0]
        cut = tallies(lens, texts, 3)
    forwards = reduce(HeadAtlasTally.merged, cut)
    halves = [reduce(HeadAtlasTally.merged, some) for some in (cut[:2], cut[2:])]
    for found in (forwards, halves[0].merged(halves[1]), halves[1].merged(halves[0])):
        assert (found.n_texts, found.n_tokens) == (whole.n_texts, whole.n_tokens)
        assert torch.equal(found.n, whole.n)
        assert torch.equal(found.drawn, whole.drawn)
        assert torch.equal(found.rows, whole.rows)
        torch.testing.assert_close(found.total, whole.total, rtol=0, atol=1e-5)
        torch.testing.assert_close(found.weighted, whole.weighted, rtol=0, atol=1e-5)
        for name in ("cell", "text", "query", "bucket"):
            assert torch.equal(getattr(found.kept, name), getattr(whole.kept, name)), name
    same, other = forwards.interval(0.95), halves[1].merged(halves[0]).interval(0.95)
    for one, two in zip(same, other, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-10)


def test_a_tally_comes_back_from_a_pickle_and_from_its_state_as_it_was() -> None:
    first, second = tallies(lens_of("gpt2"), [*TEXTS, "", "the " * 500], 7)
    tensors, state = second.to_state()
    again = HeadAtlasTally.from_state(tensors, json.loads(json.dumps(state)))
    for other in (again, pickle.loads(pickle.dumps(second))):  # noqa: S301  our own
        expected, found = first.merged(second), first.merged(other)
        assert (found.n_texts, found.layers, found.n_heads) == (11, (0, 1, 2), (4, 4, 4))
        assert found.skipped == expected.skipped
        assert [number for number, _ in found.skipped.first] == [11, 12]
        for name in ("total", "n", "weighted", "drawn", "rows"):
            assert torch.equal(getattr(found, name), getattr(expected, name)), name
        for name, column in expected.kept.columns().items():
            assert torch.equal(getattr(found.kept, name), column), name
        assert found.kept.spellings == expected.kept.spellings
    none = HeadAtlasTally()
    assert none.merged(first).n_texts == first.merged(none).n_texts == 7
    with pytest.raises(ValueError, match="other layers or heads"):
        first.merged(tallies(demo(), TEXTS[:1], 1)[0])


def test_threads_that_share_the_lens_make_the_same_atlas_as_one() -> None:
    texts = some_texts(150, seed=7)
    lens = lens_of("llama")
    alone = head_atlas(lens, texts)
    with ThreadPoolExecutor(2) as executor:
        assert_same_atlas(head_atlas(lens, texts, executor=executor), alone)


def test_work_that_was_stopped_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    texts = some_texts(200, seed=8)
    lens, file = lens_of("llama"), tmp_path / "atlas.checkpoint"
    seen: list[HeadAtlas] = []

    def stop(step: Step) -> None:
        partial = step.partial()
        if isinstance(partial, HeadAtlas):
            seen.append(partial)
        if seen and seen[-1].n_texts >= 128:
            raise Cancelled

    with pytest.raises(Cancelled):
        head_atlas(lens, texts, checkpoint=file, progress=stop)
    assert seen[-1].n_texts == 128
    assert seen[-1].low.isfinite().any()
    measured: list[int] = []
    found = head_atlas(
        lens, texts, checkpoint=file, progress=lambda step: measured.append(count_in(step.what))
    )
    assert min(filter(None, measured[1:])) >= 64, "what was done is not done again"
    assert_same_atlas(found, head_atlas(lens, texts))
    with pytest.raises(ValueError, match="other work"):
        head_atlas(lens, texts, checkpoint=file, seed=1)


def count_in(words: str) -> int:
    """Number of texts in "texts 1,024 of 2,000"; 0 in other words."""
    said = words.split()
    return int(said[1].replace(",", "")) if said[0] == "texts" else 0


# --- random numbers by their place ----------------------------------------------------------------
def test_weights_of_the_bootstrap_are_independent_poisson_numbers_of_mean_one() -> None:
    weights = poisson_weights(11, np.arange(400), 1000)
    n = weights.size
    for count in range(6):
        share = math.exp(-1) / math.factorial(count)
        error = math.sqrt(share * (1 - share) / n)
        assert abs((weights == count).mean() - share) < 5 * error, count
    by_text, by_replicate = np.corrcoef(weights[:, :100].T), np.corrcoef(weights[:100])
    for related in (by_text, by_replicate):
        apart = related[~np.eye(100, dtype=bool)]
        assert np.abs(apart).max() < 0.3
        assert abs(apart.mean()) < 0.01
    assert np.array_equal(poisson_weights(11, np.arange(50, 90), 1000), weights[:, 50:90])
    assert not np.array_equal(poisson_weights(12, np.arange(400), 1000), weights)
