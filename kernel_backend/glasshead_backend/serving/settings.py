"""What ``glasshead serve`` is told, checked before anything is started."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from glasshead_backend.lens import Lens
from glasshead_backend.serving.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Settings:
    """A server: which model, where, for whom, and how much.

    Attributes
    ----------
    model : str
        A name on the hub, a folder, ``"demo"`` or ``"demo encoder-decoder"``.
    host, port : str, int
        Where it listens.
    token : str or None
        What every client has to bring; None = nothing, on loopback.
    device, dtype : str or None, str
        Of the model; None = where transformers puts it.
    replicas : int
        How many copies of the model there are, each in a process of its own.
    threads : int
        Questions that a copy answers at the same time.
    limits : Limits
        What one client may ask.
    """

    model: str
    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = None
    device: str | None = None
    dtype: str = "auto"
    replicas: int = 1
    threads: int = 4
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.token and not _is_loopback(self.host):
            raise ValueError(
                f"On {self.host} everybody who reaches this machine could ask. Give a token that "
                'the students get as well: --token "...", or the variable GLASSHEAD_TOKEN.'
            )
        for name in ("replicas", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} {getattr(self, name)} is too small: at least 1.")

    @property
    def url(self) -> str:
        """Address for a notebook on this machine."""
        here = self.host if _is_loopback(self.host) else "127.0.0.1"
        return f"http://{f'[{here}]' if ':' in here else here}:{self.port}"

    @property
    def line(self) -> str:
        """What a student types."""
        token = "" if self.token is None else f', token="{self.token}"'
        return f'lens = Lens.connect("{self.url}"{token})'

    @property
    def maker(self) -> Callable[[], Lens]:
        """What loads the model, in whichever process it is called."""
        demo, _, which = self.model.partition(" ")
        if demo == "demo":
            return lambda: _placed(Lens.demo(cast("_Demo", which or "decoder")), self.device)
        return lambda: Lens.from_pretrained(self.model, device=self.device, dtype=self.dtype)


_Demo = Literal["decoder", "encoder-decoder"]


def _placed(lens: Lens, device: str | None) -> Lens:
    if device is not None:
        lens.model.to(device)
    return lens


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
