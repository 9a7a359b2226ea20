"""The console command: ``glasshead serve MODEL``."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
from typing import TYPE_CHECKING

from glasshead_backend.serving.limits import Limits
from glasshead_backend.serving.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    told = _parser().parse_args(arguments)
    try:
        settings = _settings(told)
        return _serve(settings)
    except (ValueError, OSError, ImportError) as error:
        print(f"glasshead serve: {error}", file=sys.stderr)  # noqa: T201  a command
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="glasshead", description="See inside transformer language models."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser(
        "serve",
        help="one model for many notebooks",
        description="Load one model, and let many notebooks look into it: Lens.connect(url).",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = serve.add_argument
    add("model", nargs="+", help='name on the hub, folder, "demo" or "demo encoder-decoder"')
    add("--host", default="127.0.0.1", help="where to listen; beyond loopback needs a token")
    add("--port", type=int, default=8765)
    add("--token", help="what students have to give (default: the variable GLASSHEAD_TOKEN)")
    add("--device", help='"cuda", "cuda:1", "auto" = spread over all (default: as transformers)')
    add("--dtype", default="auto", help="of the weights")
    add("--replicas", type=int, default=1, help="copies of the model, a GPU each with cuda")
    add("--threads", type=int, default=Settings.threads, help="answers at a time, of each copy")
    add("--memory", type=_bytes, default=Limits.memory, help='for all traces of a copy: "8GB"')
    add("--max-tokens", type=_positive, default=Limits.tokens, help="of a text")
    add("--rate", type=float, default=Limits.rate, help="questions a second of one student")
    add("--clients", type=_positive, default=Limits.clients, help="students at a time")
    add("--idle", type=float, default=Limits.idle / 60, help="minutes until a trace goes")
    return parser


def _settings(told: argparse.Namespace) -> Settings:
    for name in ("rate", "idle"):
        if not getattr(told, name) > 0:
            raise ValueError(f"--{name} {getattr(told, name):g} is too small: above 0.")
    limits = Limits(
        tokens=told.max_tokens,
        memory=told.memory,
        idle=told.idle * 60,
        rate=told.rate,
        clients=told.clients,
    )
    return Settings(
        " ".join(told.model),
        host=told.host,
        port=told.port,
        token=told.token or os.environ.get("GLASSHEAD_TOKEN") or None,
        device=told.device,
        dtype=told.dtype,
        replicas=told.replicas,
        threads=told.threads,
        limits=limits,
    )


def _serve(settings: Settings) -> int:
    from glasshead_backend.serving.ray_serve import serving  # noqa: PLC0415  Ray takes a second

    print(f"Loading {settings.model} …", flush=True)  # noqa: T201
    with serving(settings):
        ended = threading.Event()

        def end(_: int, __: object) -> None:
            ended.set()

        for number in (signal.SIGINT, signal.SIGTERM):  # in place of Ray's own
            signal.signal(number, end)
        print(  # noqa: T201
            f"Serving {settings.model} at {settings.url}. In a notebook:\n\n"
            f"    from glasshead import Lens\n\n    {settings.line}\n\n"
            "Ctrl+C ends it.",
            flush=True,
        )
        ended.wait()
        print("Ending …", flush=True)  # noqa: T201
    return 0


def _bytes(said: str) -> int:
    found = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*([A-Za-z]*)", said.strip())
    if found is None or (unit := found[2].upper()) not in _UNITS:
        raise argparse.ArgumentTypeError(f'{said!r} is no amount of memory: "8GB", "500MB".')
    return int(float(found[1]) * _UNITS[unit])


def _positive(said: str) -> int:
    if not said.isdecimal() or int(said) < 1:
        raise argparse.ArgumentTypeError(f"{said} is too small: at least 1.")
    return int(said)
