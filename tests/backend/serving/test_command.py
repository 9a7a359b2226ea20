"""``glasshead serve``: a class on the demo model, by Ray Serve, from the first line to Ctrl+C."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import pytest

from e2e.serving import free_port
from glasshead import Lens
from glasshead_backend.served.errors import TokenRefusedError
from glasshead_backend.serving.command import main
from glasshead_backend.serving.limits import Limits
from glasshead_backend.serving.settings import Settings
from support.students import ask_together, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "open sesame"


@dataclass
class Command:
    """The command while it runs, and what it said."""

    process: subprocess.Popen[str]
    url: str
    said: list[str]

    @property
    def family(self) -> list[psutil.Process]:
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]


@contextlib.contextmanager
def command(*options: str) -> Iterator[Command]:
    port = free_port()
    line = [sys.executable, "-m", "glasshead_backend.serving", "serve", "demo"]
    process = subprocess.Popen(
        [*line, "--port", str(port), *options],
        env={**os.environ, "GLASSHEAD_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    running = Command(process, f"http://127.0.0.1:{port}", [])
    assert process.stdout is not None
    try:
        for text in process.stdout:
            running.said.append(text)
            if "Ctrl+C" in text:
                break
        assert process.poll() is None, "".join(running.said)
        reading = threading.Thread(target=lambda: running.said.extend(process.stdout))
        reading.start()
        yield running
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    reading.join()


@pytest.mark.slow
def test_a_class_asks_and_is_answered_as_if_each_had_the_model() -> None:
    with command("--max-tokens", "300") as running:
        (line,) = (one for one in running.said if "Lens.connect" in one)
        assert line.strip() == f'lens = Lens.connect("{running.url}", token="{TOKEN}")'
        many = ask_together(running.url, 6, 8, TOKEN)
        assert wrong(Lens.demo("decoder"), many) == []
        assert len(many) == 48

        with pytest.raises(TokenRefusedError):
            Lens.connect(running.url)

        lens = Lens.connect(running.url, token=TOKEN)
        with pytest.raises(ValueError, match="read at most 300"):
            lens.trace("whale " * 301)
        require_only_loopback(running.family)
        family = running.family
    assert running.process.returncode == 0
    _, alive = psutil.wait_procs(family, 20)
    assert alive == []
    assert "Traceback" not in "".join(running.said)


def is_loopback(ip: str) -> bool:
    return ipaddress.ip_address(ip.removeprefix("::ffff:")).is_loopback


def require_only_loopback(family: list[psutil.Process]) -> None:
    """What Ray's processes listen on beyond loopback wants the token of this run."""
    for process in family:
        with contextlib.suppress(psutil.Error):
            assert process.environ().get("RAY_AUTH_MODE", "token") == "token"
            open_to_all = [
                one.laddr
                for one in process.net_connections("tcp")
                if one.status == psutil.CONN_LISTEN and not is_loopback(one.laddr.ip)
            ]
            serves = "ServeReplica" in " ".join(process.cmdline())
            assert serves or open_to_all == [], process.cmdline()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("serve demo --host 0.0.0.0", r"On 0\.0\.0\.0 everybody.*--token"),
        ("serve demo nobody", "There is no demo model 'nobody'"),
        ("serve demo --rate 0", "--rate 0 is too small"),
        ("serve demo --replicas 0", "--replicas 0 is too small"),
        ("serve /nowhere/at/all", "nowhere"),
        ("serve demo --memory lots", "'lots' is no amount of memory"),
        ("serve demo --max-tokens 0", "0 is too small"),
    ],
)
def test_what_cannot_be_served_is_refused_in_words(
    line: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GLASSHEAD_TOKEN", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    try:
        status = main(line.split())
    except SystemExit as ended:  # argparse's own way out
        status = ended.code
    assert status == 2
    assert re.search(words, capsys.readouterr().err)


def test_an_address_that_is_taken_is_refused_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "demo", "--port", str(port)]) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


def test_without_ray_the_command_says_how_to_install_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["serve", "demo"]) == 2
    assert 'pip install "glasshead[serve]"' in capsys.readouterr().err


def test_a_student_is_told_an_address_that_works() -> None:
    line = 'lens = Lens.connect("http://127.0.0.1:8765", token="x")'
    assert Settings("demo", host="0.0.0.0", token="x").line == line  # noqa: S104
    assert Settings("demo", host="::1").url == "http://[::1]:8765"
    assert Settings("demo", host="localhost").url == "http://localhost:8765"
    assert Settings("demo").limits == Limits()
