"""What was made of a run and is kept for the next time."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    Made = TypeVar("Made")

_REMEMBERED_BYTES = 64 << 20


class Store:
    """Everything that is derived from a run and kept; counted, and safe for many threads.

    What can be made again is *remembered*: the oldest goes when it takes more than 64 MB. What
    cannot, because the model may have changed by then, is *kept* until the store is closed. A
    closed store holds nothing, and takes nothing more.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}
        self._remembered: dict[Hashable, Any] = {}
        self._lock = threading.Lock()
        self._closed = False

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors in it."""
        with self._lock:
            return bytes_of(self._kept) + bytes_of(self._remembered)

    def get(self, key: Hashable) -> Any:
        """Return what is kept under a name; None if there is nothing."""
        return self._kept.get(key)

    def keep(self, key: Hashable, value: Made) -> Made:
        """Keep something until the store is closed, and return it."""
        with self._lock:
            if not self._closed:
                self._kept[key] = value
        return value

    def remember(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what is remembered under a name, made now if there is nothing."""
        if (known := self._remembered.get(key)) is not None:
            return known
        made = make()
        with self._lock:
            if not self._closed:
                self._remembered[key] = made
            while bytes_of(self._remembered) > _REMEMBERED_BYTES:
                del self._remembered[next(iter(self._remembered))]
        return made

    def close(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._kept, self._remembered, self._closed = {}, {}, True


def bytes_of(value: object) -> int:
    """Bytes of the tensors in something: what says so itself, and what holds such things."""
    if isinstance(value, Mapping):
        return sum(map(bytes_of, cast("Mapping[object, object]", value).values()))
    if isinstance(value, (tuple, list)):
        return sum(map(bytes_of, cast("tuple[object, ...]", value)))
    return getattr(value, "nbytes", 0)
