"""Read the kernel messages that JupyterLab receives over its websocket.

JupyterLab speaks ``v1.kernel.websocket.jupyter.org``: one binary frame a message, which starts with
the number of offsets and the offsets themselves (little-endian u64), then channel, header, parent
header, metadata, content and the message's binary buffers.
"""

from __future__ import annotations

import itertools
import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARTS_BEFORE_BUFFERS = 5


@dataclass(frozen=True)
class KernelMessage:
    """One message from the kernel."""

    channel: str
    kind: str
    """Its ``msg_type``: ``comm_open``, ``comm_msg``, ``stream`` …"""
    parent: str
    """Id of the message that caused it."""
    content: dict[str, Any]
    n_buffers: int
    n_bytes: int
    """Size of the whole frame, buffers included."""

    @property
    def is_comm(self) -> bool:
        """Does it belong to a widget?"""
        return self.kind.startswith("comm_")


def parse_frame(frame: bytes) -> KernelMessage | None:
    """Read one binary websocket frame; None when it is not a kernel message."""
    if len(frame) < struct.calcsize("<Q"):
        return None
    (count,) = struct.unpack_from("<Q", frame)
    if count <= _PARTS_BEFORE_BUFFERS or 8 * (count + 1) > len(frame):
        return None
    offsets = struct.unpack_from(f"<{count}Q", frame, 8)
    parts = [frame[start:end] for start, end in itertools.pairwise(offsets)]
    channel, header, parent, _, content = parts[:_PARTS_BEFORE_BUFFERS]
    return KernelMessage(
        channel=channel.decode(),
        kind=json.loads(header)["msg_type"],
        parent=json.loads(parent).get("msg_id", ""),
        content=json.loads(content),
        n_buffers=len(parts) - _PARTS_BEFORE_BUFFERS,
        n_bytes=len(frame),
    )


def number_lists(value: object, path: str = "") -> Iterator[tuple[str, int]]:
    """Every JSON list of numbers in a message's content: where it is, and how long.

    >>> list(number_lists({"state": {"heads": [1, 2], "names": ["a"], "rows": [[1], [2]]}}))
    [('/state/heads', 2), ('/state/rows/0', 1), ('/state/rows/1', 1)]
    """
    if isinstance(value, dict):
        for name, item in value.items():
            yield from number_lists(item, f"{path}/{name}")
    elif isinstance(value, list):
        if value and all(isinstance(item, (int, float)) for item in value):
            yield path, len(value)
        else:
            for index, item in enumerate(value):
                yield from number_lists(item, f"{path}/{index}")
