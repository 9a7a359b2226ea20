"""A corpus on a cluster of Dask's or Ray's: the numbers are those of this process."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from glasshead_backend import Lens, RayData, head_atlas, over_texts
from glasshead_backend.corpora.elsewhere import OtherModelError
from glasshead_backend.demo import DECODER_LONG_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

    import pandas as pd

    from glasshead_backend import HeadAtlas

TESTS = Path(__file__).parents[2]
PATHS = os.pathsep.join(map(str, (TESTS, TESTS.parent / "kernel_backend")))
TOLERANCE = 1e-10


def texts_of(n: int) -> list[str]:
    """Short texts; some of them cannot be read."""
    starts = (i * 37 % (len(DECODER_LONG_TEXT) - 90) for i in range(n))
    texts = [DECODER_LONG_TEXT[start : start + 30 + start % 50] for start in starts]
    return ["" if i % 67 == 66 else text for i, text in enumerate(texts)]


@pytest.fixture(scope="module")
def lens() -> Lens:
    return Lens.demo("decoder")


@pytest.fixture(scope="module")
def dask() -> Iterator[Executor]:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client.get_executor()


def start(ray: Any, *, attempts: int = 4) -> None:
    """Start Ray here; it gives itself half a minute, which a busy machine may miss."""
    environment = {"PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"}
    try:
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=100 << 20,
            log_to_driver=False,
            runtime_env={"env_vars": environment},
        )
    except Exception:
        ray.shutdown()
        if attempts == 1:
            raise
        start(ray, attempts=attempts - 1)


@pytest.fixture(scope="module")
def ray() -> Iterator[Executor]:
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
        start(ray)
        yield RayData(2)
        ray.shutdown()


def require_same_table(one: pd.DataFrame, other: pd.DataFrame) -> None:
    assert list(one) == list(other)
    assert one["n_texts"].equals(other["n_texts"])
    np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE)


def require_same_atlas(one: HeadAtlas, other: HeadAtlas) -> None:
    for name in ("n", "rows"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    for name in ("mean", "low", "high"):
        torch.testing.assert_close(
            getattr(one, name), getattr(other, name), rtol=0, atol=TOLERANCE, equal_nan=True
        )
    assert (one.n_texts, one.n_tokens, one.skipped) == (
        other.n_texts,
        other.n_tokens,
        other.skipped,
    )
    pairs = zip(one.examples(1, 0, "induction"), other.examples(1, 0, "induction"), strict=True)
    for own, theirs in pairs:
        assert own._replace(weights=None) == theirs._replace(weights=None)
        assert torch.equal(own.weights, theirs.weights)


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["dask", "ray"])
def test_a_corpus_on_a_cluster_has_the_numbers_of_this_process(
    cluster: str, lens: Lens, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    executor = request.getfixturevalue(cluster)
    texts = texts_of(2000)
    require_same_atlas(head_atlas(lens, texts, executor=executor), head_atlas(lens, texts))
    here = over_texts(lens, texts, "induction")
    there = over_texts(lens, texts, "induction", executor=executor, checkpoint=tmp_path / "sums")
    require_same_table(there.to_frame(), here.to_frame())
    assert there.skipped == here.skipped
    assert there.n_skipped == sum(not text for text in texts)
    assert (tmp_path / "sums").exists()


@pytest.mark.parametrize("cluster", ["dask", "ray"])
def test_a_worker_that_loads_another_model_says_so(
    cluster: str, lens: Lens, request: pytest.FixtureRequest
) -> None:
    executor = request.getfixturevalue(cluster)
    other = partial(Lens.demo, "encoder-decoder")
    with pytest.raises(OtherModelError, match="make_lens makes another model"):
        over_texts(lens, texts_of(8), "induction", executor=executor, make_lens=other)


def test_ray_takes_up_a_corpus_where_it_was_left(ray: Executor, lens: Lens, tmp_path: Path) -> None:
    texts, told = texts_of(300), list[Any]()

    def stop(step: Any) -> None:
        told.append(step.what)
        if "texts" in step.what and step.share and step.share > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        head_atlas(lens, texts, executor=ray, checkpoint=tmp_path / "sums", progress=stop)
    assert any(words.startswith("texts 64 of 300") for words in told)
    resumed = head_atlas(lens, texts, executor=ray, checkpoint=tmp_path / "sums")
    require_same_atlas(resumed, head_atlas(lens, texts))


def test_workers_are_counted_in_words() -> None:
    with pytest.raises(ValueError, match="n_workers 0 is too small"):
        RayData(0)
