"""The usual loops and the one line give the same numbers: docs/from-your-loops.md."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from support.pages import DOCS
from test_code_blocks import blocks_of

PAGE = DOCS / "from-your-loops.md"


def test_loops_by_hand_and_the_one_line_give_the_same_numbers() -> None:
    names: dict[str, Any] = {}
    compared = 0
    blocks = [block.code for block in blocks_of(PAGE) if block.language == "python"]
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102  our own words
        if "one_line" not in block:
            continue
        by_hand, one_line = (
            one.detach().numpy() if isinstance(one, Tensor) else np.asarray(one)
            for one in (names["by_hand"], names["one_line"])
        )
        np.testing.assert_allclose(one_line, by_hand, rtol=1e-5, atol=1e-5, err_msg=block)
        compared += 1
    assert compared == sum("by_hand = " in block for block in blocks)
    assert compared > 5
