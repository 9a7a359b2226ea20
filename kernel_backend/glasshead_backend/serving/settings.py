"""What ``glasshead serve`` is told, checked before anything is started."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast

import torch

from glasshead_backend.demo import demo_path
from glasshead_backend.lens import Lens
from glasshead_backend.running.loading import require_known
from glasshead_backend.serving.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from glasshead_backend.demo import DemoName


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
        return partial(_lens_of, self)

    @property
    def demo(self) -> DemoName | None:
        """Which of the models that ship with the package it is, if it is one."""
        first, _, which = self.model.partition(" ")
        return cast("DemoName", which or "decoder") if first == "demo" else None

    @property
    def n_gpus(self) -> int:
        """GPUs that each copy has for itself; one that is named, and "auto", are not set apart."""
        return 1 if self.device == "cuda" else 0

    def require_there(self) -> None:
        """Refuse a model that there is not, and more GPUs than there are.

        Raises
        ------
        OSError, ValueError
        """
        if self.demo is None:
            require_known(self.model)
        else:
            demo_path(self.demo)
        there = torch.cuda.device_count()
        if (needed := self.n_gpus * self.replicas) > there:
            raise ValueError(f"{needed} GPUs are needed, one for each copy; here are {there}.")


def _lens_of(settings: Settings) -> Lens:
    device = settings.device
    if settings.demo is not None:
        lens = Lens.demo(settings.demo)
        if device not in (None, "auto"):
            lens.model.to(device)
        return lens
    if device == "auto":  # over all devices, as accelerate spreads it
        return Lens.from_pretrained(settings.model, dtype=settings.dtype, device_map="auto")
    return Lens.from_pretrained(settings.model, device=device, dtype=settings.dtype)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
