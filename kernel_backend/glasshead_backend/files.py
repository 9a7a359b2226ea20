"""Files of tensors that are written as any other file is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from torch import Tensor


def save_tensors(
    tensors: Mapping[str, Tensor], path: str | PathLike[str], metadata: dict[str, str]
) -> None:
    """Write a file of safetensors that may be read by whom any new file, or the old one, may be."""
    # Loaded where it is needed, as transformers does.
    from safetensors.torch import save_file  # noqa: PLC0415

    file, is_new = Path(path), not Path(path).exists()
    # safetensors moves a temporary file here, which only its owner may read.
    with file.open("ab"):
        mode = file.stat().st_mode
    try:
        save_file({name: one.contiguous() for name, one in tensors.items()}, file, metadata)
    except BaseException:
        if is_new:
            file.unlink()
        raise
    file.chmod(mode & 0o7777)
