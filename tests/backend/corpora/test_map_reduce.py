"""Work on a corpus with threads and processes; ended in the middle, by whatever; gone on with."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import torch
from datasets import Dataset

from backend.running.test_model_left_as_found import assert_same, snapshot
from glasshead_backend import Cancelled, Lens, LogitLens, Step, Trace, over_texts
from glasshead_backend.corpora import checkpoint as checkpoint_file
from glasshead_backend.corpora.fingerprint import fingerprint
from glasshead_backend.corpora.given import column
from glasshead_backend.corpora.map_reduce import map_reduce
from glasshead_backend.demo import DECODER_LONG_TEXT
from support.corpora import TEXTS, MakeChanged, NoteTexts, Texts
from support.tiny_models import build, tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

N = len(TEXTS)
ASKED: dict[str, Any] = {"batch_size": 2}  # parts of 16 texts


def new_pool(n: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("spawn"))


@pytest.fixture(scope="module")
def lens() -> Lens:
    return Lens.demo("decoder")


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with new_pool(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def in_one_go(lens: Lens) -> pd.DataFrame:
    return over_texts(lens, TEXTS, "norm", **ASKED).to_frame()


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the checkpoint after every part."""
    monkeypatch.setattr(checkpoint_file, "_SECONDS_BETWEEN", 0.0)


def stop_at(n: int) -> Callable[[Step], None]:
    def stop(step: Step) -> None:
        if step.what == f"texts {n} of {N}":
            raise Cancelled

    return stop


# --- anybody's work -------------------------------------------------------------------------------
def test_a_corpus_is_the_same_in_processes_threads_and_by_itself(
    lens: Lens, processes: Executor, in_one_go: pd.DataFrame
) -> None:
    with ThreadPoolExecutor(3) as threads:
        for executor in (processes, threads):
            found = over_texts(lens, TEXTS, "norm", executor=executor, **ASKED)
            pd.testing.assert_frame_equal(found.to_frame(), in_one_go, check_exact=True)


def test_every_text_is_worked_on_once_by_workers_that_are_not_this_process(
    lens: Lens, processes: Executor
) -> None:
    steps: list[Step] = []
    found = map_reduce(
        NoteTexts(), lens, TEXTS, executor=processes, part_size=4, progress=steps.append
    )
    assert found.numbers == tuple(range(N))
    assert found.texts == tuple(TEXTS)
    assert os.getpid() not in found.processes
    assert steps[-1].what == f"texts {N} of {N}"
    assert steps[-1].share == 1


def test_parts_that_are_done_early_wait_for_those_before_them_and_few_are_in_flight(
    lens: Lens,
) -> None:
    class LastFirst(Executor):
        """Does what waits longest last, when there are four."""

        _max_workers = 2

        def __init__(self) -> None:
            self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []
            self.most = 0

        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            self.waiting.append((future, partial(fn, *args, **kwargs)))
            self.most = max(self.most, len(self.waiting))
            if len(self.waiting) == 4:
                while self.waiting:
                    waiting, work = self.waiting.pop()
                    waiting.set_result(work())
            return future

    read: list[int] = []
    stream = (read.append(n) or TEXTS[n] for n in range(40))
    executor = LastFirst()
    reads: list[tuple[int, str]] = []
    found = map_reduce(
        NoteTexts(),
        lens,
        stream,
        executor=executor,
        part_size=2,
        progress=lambda step: reads.append((len(read), step.what)),
    )
    assert found.numbers == tuple(range(40))
    assert executor.most == 4
    assert max(n for n, what in reads if what == "texts 2") == 8


def test_a_corpus_is_a_file_or_a_column_as_well(
    lens: Lens, tmp_path: Path, in_one_go: pd.DataFrame
) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("\n\n".join(TEXTS), encoding="utf-8")
    dataset = Dataset.from_dict({"body": TEXTS})
    for corpus in (file, column(dataset, "body"), dataset.rename_column("body", "text")):
        found = over_texts(lens, corpus, "norm", **ASKED)
        pd.testing.assert_frame_equal(found.to_frame(), in_one_go, check_exact=True)


# --- single texts ---------------------------------------------------------------------------------
def test_texts_that_cannot_be_read_are_counted_and_said_and_change_nothing_else(
    lens: Lens, processes: Executor, in_one_go: pd.DataFrame
) -> None:
    wrong: dict[int, Any] = {0: "", 17: None, 18: "too long " * 2000, 40: "half \ud800"}
    texts: list[Any] = [*TEXTS]
    for number, text in wrong.items():
        texts.insert(number, text)
    for executor in (None, processes):
        found = over_texts(lens, texts, "norm", executor=executor, **ASKED)
        assert (found.n_skipped, found.n_measured) == (4, N)
        assert [number for number, _ in found.skipped] == [*wrong]
        why = dict(found.skipped)
        assert "empty" in why[0]
        assert "a str; got NoneType" in why[17]
        assert f"{lens.window:,}" in why[18]
        assert "surrogate" in why[40]
        assert found.chart().note.startswith("4 texts left out. Text 0: The text is empty")
        # Other texts share their batches: rounding.
        pd.testing.assert_frame_equal(found.to_frame(), in_one_go, rtol=1e-4)


def test_a_text_too_large_for_the_budget_is_left_out_and_not_its_batch() -> None:
    lens = Lens(build("llama"), tokenizer())
    texts = ["the old whale", "a fox ran " * 8, "a dog at sea"]
    alone = over_texts(lens, [texts[0], texts[2]], "norm").to_frame()
    lens.memory_budget = 6_000
    found = over_texts(lens, texts, "norm")
    assert [number for number, _ in found.skipped] == [1]
    assert "one answer may take" in found.skipped[0][1]
    pd.testing.assert_frame_equal(found.to_frame(), alone, rtol=1e-4)


def test_no_text_at_all_is_an_error(lens: Lens) -> None:
    with pytest.raises(ValueError, match="There is no text"):
        over_texts(lens, [], "norm")
    with pytest.raises(ValueError, match=r"None of the 2 texts .* Text 0: The text is empty"):
        over_texts(lens, ["", ""], "norm")


# --- ended in the middle --------------------------------------------------------------------------
KILLED = """
import os, signal, sys
from glasshead_backend import Lens, over_texts
from glasshead_backend.corpora import checkpoint
from support.corpora import TEXTS

checkpoint._SECONDS_BETWEEN = 0.0

def kill(step):
    if step.what == "texts 41 of 60":
        os.kill(os.getpid(), signal.SIGKILL)

lens = Lens.demo("decoder")
over_texts(lens, TEXTS, "norm", batch_size=2, checkpoint=sys.argv[1], progress=kill)
"""


def test_what_was_killed_goes_on_and_comes_to_the_same(
    lens: Lens, tmp_path: Path, in_one_go: pd.DataFrame
) -> None:
    path = tmp_path / "corpus.safetensors"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, str(path)]
    killed = subprocess.run(command, env=environment, check=False)
    assert killed.returncode == -9
    steps: list[str] = []
    measured: list[int] = []

    def watch(step: Step) -> None:
        steps.append(step.what)
        partial_result: Any = step.partial()
        if partial_result is not None:
            measured.append(partial_result.n_measured)

    found = over_texts(lens, TEXTS, "norm", checkpoint=path, progress=watch, **ASKED)
    assert measured[0] == 32  # two parts of 16 were written down
    assert f"texts 33 of {N}" in steps
    assert "texts 20 of 60" not in steps
    pd.testing.assert_frame_equal(found.to_frame(), in_one_go, check_exact=True)
    assert found.n_measured == N
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_finished_checkpoint_is_the_result(
    lens: Lens, tmp_path: Path, in_one_go: pd.DataFrame
) -> None:
    path = tmp_path / "corpus.safetensors"
    first = over_texts(lens, [*TEXTS, ""], "norm", checkpoint=path, **ASKED)
    written = path.read_bytes()
    steps: list[str] = []
    again = over_texts(
        lens,
        [*TEXTS, ""],
        "norm",
        checkpoint=path,
        progress=lambda step: steps.append(step.what),
        **ASKED,
    )
    pd.testing.assert_frame_equal(again.to_frame(), first.to_frame(), check_exact=True)
    pd.testing.assert_frame_equal(again.to_frame(), in_one_go, check_exact=True)
    assert again.skipped == first.skipped != ()
    for quantity, _ in first.quantities:
        one, other = (result.chart(quantity) for result in (first, again))
        assert (one.title, one.unit, one.note) == (other.title, other.unit, other.note)
        assert torch.equal(one.mean, other.mean)
    assert repr(again.detail(1)) == repr(first.detail(1))
    assert not any("running" in what for what in steps)
    assert path.read_bytes() == written


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("n_workers", [0, 2])
def test_what_was_cancelled_goes_on_and_the_model_is_as_found(
    tmp_path: Path, in_one_go: pd.DataFrame, n_workers: int
) -> None:
    lens = Lens.demo("decoder")
    before = snapshot(lens.model)
    path = tmp_path / "corpus.safetensors"
    asked: dict[str, Any] = {"checkpoint": path, **ASKED}
    if n_workers:
        with ThreadPoolExecutor(n_workers) as threads, pytest.raises(Cancelled):
            over_texts(lens, TEXTS, "norm", executor=threads, progress=stop_at(32), **asked)
    else:
        with pytest.raises(Cancelled):
            over_texts(lens, TEXTS, "norm", progress=stop_at(41), **asked)
    assert_same(before, snapshot(lens.model))
    found = over_texts(lens, TEXTS, "norm", **asked)
    pd.testing.assert_frame_equal(found.to_frame(), in_one_go, check_exact=True)


@pytest.mark.usefixtures("often")
def test_a_worker_that_dies_is_told_and_the_work_goes_on_with_others(
    lens: Lens, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"part_size": 2, "checkpoint": tmp_path / "corpus.safetensors"}
    task = NoteTexts(ends_at=50, mark=str(tmp_path / "ended"))
    with (
        new_pool(1) as pool,
        pytest.raises(RuntimeError, match=r"A worker ended by itself .* fewer workers .* goes on"),
    ):
        map_reduce(task, lens, TEXTS, executor=pool, **asked)
    found: Texts = map_reduce(task, lens, TEXTS, **asked)
    assert found.numbers == tuple(range(N))
    assert found.texts == tuple(TEXTS)
    assert len(found.processes) == 2
    assert os.getpid() in found.processes


# --- another's checkpoint -------------------------------------------------------------------------
def changed(lens: Lens) -> Lens:
    other = MakeChanged(1e-3)()
    other.name = lens.name
    return other


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": LogitLens()}, "its task is"),
        ({"batch_size": 4}, "its task is"),
        ({"texts": [*TEXTS[:20], "another", *TEXTS[21:]]}, "is of other texts"),
        ({"texts": TEXTS[:20]}, "is of other texts"),
        ({}, "its model is"),
    ],
)
def test_the_checkpoint_of_other_work_is_refused_and_stays(
    lens: Lens, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    path = tmp_path / "corpus.safetensors"
    asked: dict[str, Any] = {"texts": TEXTS, "metric": "norm", "checkpoint": path, **ASKED}
    over_texts(lens, **asked)
    written = path.read_bytes()
    other = changed(lens) if words == "its model is" else lens
    with pytest.raises(ValueError, match=f"{words}.* Delete it, or give another file"):
        over_texts(other, **asked | changes)
    assert path.read_bytes() == written


def last_norm(trace: Trace, layer: int, k: float = 1.0) -> float:
    return k * float(trace.norms()["mlp"][layer][-1])


class TimesNorm:
    def __init__(self, k: float) -> None:
        self.k = k

    def __call__(self, trace: Trace, layer: int) -> float:
        return self.k * last_norm(trace, layer)


def times_norm(k: float) -> Callable[[Trace, int], float]:
    return lambda trace, layer: k * last_norm(trace, layer)


def defined(source: str) -> Callable[[Trace, int], float]:
    """Return what a cell of a notebook defines under the name `measure`."""
    cell: dict[str, Any] = {}
    exec(source, cell)  # noqa: S102  our own
    return cell["measure"]


MLP, HALF = "    return trace.norms()['mlp'][layer][-1]\n", "    return k * share()\n"
HEAD = "def measure(trace, layer):\n"
OTHER_FUNCTIONS = {
    "lambda": (
        lambda trace, layer: trace.norms()["mlp"][layer][-1],
        lambda trace, layer: trace.norms()["attention"][layer][-1],
    ),
    "partial": (partial(last_norm, k=1), partial(last_norm, k=100)),
    "closure": (times_norm(1), times_norm(100)),
    "object": (TimesNorm(1), TimesNorm(100)),
    "method": (TimesNorm(1).__call__, TimesNorm(100).__call__),
    "edited": (defined(HEAD + MLP), defined(HEAD + MLP.replace("mlp", "attention"))),
    "default": (
        defined(HEAD.replace("layer", "layer, k=1") + "    return k\n"),
        defined(HEAD.replace("layer", "layer, k=2") + "    return k\n"),
    ),
    "keyword default": (
        defined(HEAD.replace("layer", "layer, *, k=1") + "    return k\n"),
        defined(HEAD.replace("layer", "layer, *, k=2") + "    return k\n"),
    ),
    "inner function": (
        defined(HEAD + "    return (lambda: 1)()\n"),
        defined(HEAD + "    return (lambda: 2)()\n"),
    ),
    "value of the notebook": (
        defined("k = 1\n" + HEAD + "    return k\n"),
        defined("k = 2\n" + HEAD + "    return k\n"),
    ),
    "helper of the notebook": (
        defined("k = 1\ndef share():\n    return 1\n" + HEAD + HALF),
        defined("k = 1\ndef share():\n    return 2\n" + HEAD + HALF),
    ),
}


@pytest.mark.parametrize("of", OTHER_FUNCTIONS)
def test_the_checkpoint_of_another_function_is_refused(lens: Lens, tmp_path: Path, of: str) -> None:
    first, other = OTHER_FUNCTIONS[of]
    asked: dict[str, Any] = {"checkpoint": tmp_path / "own.safetensors", **ASKED}
    found = over_texts(lens, TEXTS[:3], first, **asked).to_frame()
    again = over_texts(lens, TEXTS[:3], first, **asked).to_frame()
    pd.testing.assert_frame_equal(again, found, check_exact=True)
    with pytest.raises(ValueError, match="is of other work: its task is"):
        over_texts(lens, TEXTS[:3], other, **asked)


def test_a_function_that_is_written_again_goes_on(lens: Lens, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"checkpoint": tmp_path / "own.safetensors", **ASKED}
    cell = "import torch\nnames = {'mlp', 'a', 'b'}\n" + HEAD + "    assert names\n" + MLP
    over_texts(lens, TEXTS[:3], defined(cell), **asked)
    over_texts(lens, TEXTS[:3], defined("# a line above\n" + cell), **asked)
    without_gradients = torch.no_grad()(last_norm)
    other: dict[str, Any] = {"checkpoint": tmp_path / "other.safetensors", **ASKED}
    for _ in range(2):
        over_texts(lens, TEXTS[:3], without_gradients, **other)


WRITES = """
from functools import partial
import numpy
from glasshead_backend.corpora.written import written_out
scale = {"a", "mlp", "whale"}
table = numpy.arange(3.0)
def measure(trace, layer, k=1):
    return table.sum() if layer in {"a", "b", "mlp"} else measure(trace, "a") + len(scale)
print(written_out(partial(measure, k=2)))
"""


def test_every_process_writes_a_function_alike() -> None:
    written = {
        subprocess.run(
            [sys.executable, "-c", WRITES],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(written) == 1


def test_what_cannot_be_told_is_refused_for_checkpoints_in_words(
    lens: Lens, tmp_path: Path
) -> None:
    numbers = (float(n) for n in range(1000))

    def next_number(trace: Trace, layer: int) -> float:  # noqa: ARG001
        return next(numbers)

    with pytest.raises(TypeError, match=r"cannot tell what a .*generator holds .* plain values"):
        over_texts(lens, TEXTS[:3], next_number, checkpoint=tmp_path / "own.safetensors")
    assert over_texts(lens, TEXTS[:3], next_number).n_measured == 3


def test_files_have_the_mode_that_any_new_file_has(lens: Lens, tmp_path: Path) -> None:
    plain, path = tmp_path / "plain", tmp_path / "corpus.safetensors"
    plain.touch()
    over_texts(lens, TEXTS[:3], "norm", checkpoint=path)
    assert path.stat().st_mode == plain.stat().st_mode


def test_a_file_that_is_no_checkpoint_is_refused_before_any_work(
    lens: Lens, tmp_path: Path
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes", encoding="utf-8")
    with pytest.raises(ValueError, match=r"notes\.txt is no checkpoint"):
        over_texts(lens, TEXTS, "norm", checkpoint=path)
    assert path.read_text(encoding="utf-8") == "my notes"
    with pytest.raises(ValueError, match="no folder"):
        over_texts(lens, TEXTS, "norm", checkpoint=tmp_path / "none" / "corpus.safetensors")


# --- who makes the workers' lens ------------------------------------------------------------------
def test_a_lens_knows_how_it_was_loaded(tmp_path: Path) -> None:
    lens = Lens.demo("encoder-decoder")
    assert lens.source is not None
    assert lens.source().name == lens.name
    lens.model.save_pretrained(tmp_path)
    lens.tokenizer.save_pretrained(tmp_path)
    loaded = Lens.from_pretrained(tmp_path, dtype=torch.float64)
    assert loaded.source is not None
    assert loaded.source().model.dtype == torch.float64
    assert Lens(lens.model, lens.tokenizer).source is None


def test_a_model_in_memory_cannot_be_made_elsewhere_and_the_way_out_is_said(
    processes: Executor,
) -> None:
    lens = Lens(build("llama"), tokenizer())
    with pytest.raises(ValueError, match=r"make_lens=partial\(Lens\.from_pretrained"):
        over_texts(lens, TEXTS, "norm", executor=processes)


def test_workers_that_make_another_model_are_refused(lens: Lens, processes: Executor) -> None:
    with pytest.raises(ValueError, match="make_lens makes another model"):
        over_texts(lens, TEXTS, "norm", executor=processes, make_lens=MakeChanged(1e-3))
    tuned = MakeChanged(1e-3)()  # and it says that it was loaded as the demo was
    with pytest.raises(ValueError, match="make_lens makes another model"):
        over_texts(tuned, TEXTS, "norm", executor=processes)


def test_a_function_that_cannot_travel_is_refused(lens: Lens, processes: Executor) -> None:
    with pytest.raises(TypeError, match=r"What is measured cannot be sent .* ThreadPoolExecutor"):
        over_texts(lens, TEXTS, lambda _, layer: float(layer), executor=processes)
    with pytest.raises(TypeError, match=r"make_lens cannot be sent .* functools\.partial"):
        over_texts(lens, TEXTS, "norm", executor=processes, make_lens=lambda: lens)


def test_processes_that_would_hang_are_refused(lens: Lens) -> None:
    context = multiprocessing.get_context("fork")
    with (
        ProcessPoolExecutor(2, mp_context=context) as pool,
        pytest.raises(ValueError, match=r'get_context\("spawn"\)'),
    ):
        over_texts(lens, TEXTS, "norm", executor=pool)
    nobody: Any = 4
    with pytest.raises(TypeError, match=r"concurrent\.futures\.Executor"):
        over_texts(lens, TEXTS, "norm", executor=nobody)


# --- many texts -----------------------------------------------------------------------------------
def test_of_more_texts_than_are_kept_the_histogram_is_a_samples(
    lens: Lens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glasshead_backend.statistics.texts_tally.MOST_KEPT", 20)
    panels: list[Any] = [over_texts(lens, TEXTS, "norm", seed=s).detail(1)[0] for s in (0, 0, 1)]
    assert {panel.title for panel in panels} == {f"Layer 1: 20 of its {N} texts"}
    assert panels[0].values[0].sum() == 20
    assert torch.equal(panels[0].values, panels[1].values)
    assert not torch.equal(panels[0].values, panels[2].values)


def test_the_first_tokens_of_a_book_are_measured_though_it_is_one_long_line(lens: Lens) -> None:
    found = over_texts(lens, [DECODER_LONG_TEXT[:200], DECODER_LONG_TEXT * 50], "norm")
    assert (found.n_measured, found.n_skipped) == (1, 1)


def test_a_large_weight_is_looked_at_as_well() -> None:
    """Its places are beyond what float32 can count: 2 ** 24 + 4 made one that is not there."""
    lens = Lens.demo("decoder")
    before = fingerprint(lens)
    large = torch.zeros(2**24 + 4, dtype=torch.int8)
    lens.model.register_buffer("large", large)
    named = fingerprint(lens)
    large[-1] = 1
    assert len({before, named, fingerprint(lens)}) == 3
