"""Which transformers the tests run on: what older ones lack is skipped with these words."""

from __future__ import annotations

import transformers
from packaging.version import Version


def older_than(version: str) -> bool:
    """Whether the transformers that is installed is older than a version."""
    return Version(transformers.__version__) < Version(version)
