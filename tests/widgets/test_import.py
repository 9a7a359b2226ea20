"""Importing Glasshead costs a moment: what is large is loaded by what needs it."""

from __future__ import annotations

import subprocess
import sys

import glasshead
from glasshead_backend import statistics

LARGE = (
    *("pandas", "scipy", "sklearn"),
    *("transformers.modeling_utils", "transformers.models.auto.modeling_auto"),
)
CODE = f"""
import sys
import torch, transformers
before = set(sys.modules)
import glasshead
print([name for name in {LARGE} if name in set(sys.modules) - before])
"""


def test_nothing_large_is_loaded_beside_torch_and_transformers() -> None:
    paths = {"PYTHONPATH": ":".join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-c", CODE], env=paths, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_every_statistic_is_there() -> None:
    assert set(statistics.__all__) <= set(glasshead.__all__)
    assert len(glasshead.__all__) == len(set(glasshead.__all__))
    assert all(hasattr(glasshead, name) for name in glasshead.__all__)
