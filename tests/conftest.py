"""Shared by all tests: a quiet, offline, single-threaded torch and reproducible random numbers."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
