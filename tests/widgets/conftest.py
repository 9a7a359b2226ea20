"""Traces that several tests look at, traced once."""

from __future__ import annotations

import pytest

from glasshead import Lens, Trace
from glasshead_backend.demo import DECODER_TEXT
from support.tiny_models import TEXT, build, tokenizer


@pytest.fixture(scope="session")
def decoder_trace() -> Trace:
    return Lens(build("llama"), tokenizer()).trace(TEXT)


@pytest.fixture(scope="session")
def translation() -> Trace:
    return Lens(build("marian"), tokenizer()).trace(TEXT, "a lazy fox runs over the old sea")


@pytest.fixture(scope="session")
def encoder_trace() -> Trace:
    return Lens(build("bert"), tokenizer()).trace(TEXT)


@pytest.fixture(scope="session")
def demo_decoder_trace() -> Trace:
    return Lens.demo("decoder").trace(DECODER_TEXT)
