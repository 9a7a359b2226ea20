"""Reads arrays back from frames, as a view does."""

from __future__ import annotations

from typing import Any

import numpy as np


def unpack(packed: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(packed["data"], packed["dtype"]).reshape(packed["shape"])
