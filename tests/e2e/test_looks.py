"""The views look as they did when somebody last looked: see gallery/looks.py.

Without Node the gallery's page cannot be built, and the test is skipped; CI has it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from e2e.serving import ROOT

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (ROOT / "node_modules").exists(),
    reason="the gallery's page is built by Node: run npm ci",
)


@pytest.mark.slow
@pytest.mark.usefixtures("browser")
def test_every_watched_view_looks_as_it_did() -> None:
    roots = [str(ROOT / name) for name in ("tests", "widgets", "kernel_backend")]
    done = subprocess.run(
        [sys.executable, ROOT / "gallery" / "looks.py"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(roots), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"\n{done.stdout}\n{done.stderr[-2000:]}"
