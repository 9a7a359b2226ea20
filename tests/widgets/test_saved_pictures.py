"""``save_svg`` and ``save_png`` from a cell: the answer comes while the cell waits for it.

A real kernel, and in place of a page a front end of a few lines that says what a page would.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import KernelManager

from glasshead import AttentionLines, Lens

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jupyter_client.blocking.client import BlockingKernelClient

MAKE = """
from glasshead import Lens, TokenTable
view = TokenTable(Lens.demo("decoder"), "The white whale")
order = []
"""


class FrontEnd:
    """What a page does, over the same channels: plain ones, as of a page without subshells."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client
        self.drawn = True
        self.asked: list[dict[str, Any]] = []

    def run(self, code: str, *, seconds: float = 60, meanwhile: str = "") -> str:
        """Run a cell and draw what it asks for; return its error, "" for none."""
        request = self.client.execute(code)
        errors = ""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            message = self.client.get_iopub_msg(timeout=seconds)
            content = message["content"]
            if message["msg_type"] == "comm_msg" and content["data"].get("method") == "custom":
                if meanwhile and not self.asked:
                    self.client.execute(meanwhile)
                self._draw(content["comm_id"], content["data"]["content"])
            mine = message["parent_header"].get("msg_id") == request
            if mine and message["msg_type"] == "error":
                errors = content["evalue"]
            if mine and content.get("execution_state") == "idle":
                return errors
        raise TimeoutError(code)

    def value(self, expression: str) -> str:
        """Return what an expression is in the kernel."""
        reply: Any = self.client.execute_interactive(
            "", user_expressions={"value": expression}, timeout=30
        )
        return reply["content"]["user_expressions"]["value"]["data"]["text/plain"]

    def _draw(self, comm_id: str, wish: dict[str, Any]) -> None:
        if wish["kind"] != "draw" or not self.drawn:
            return
        self.asked.append(wish)
        if len([one for one in self.asked if one["id"] == wish["id"]]) > 1:
            return
        self._say(comm_id, {"kind": "drawing", "id": wish["id"], "by": "page"})
        # Of another display of the same view, which was too late.
        late = {"kind": "drawn", "id": wish["id"], "by": "other", "part": 0, "parts": 1}
        self._say(comm_id, late, b"not this")
        for part, data in enumerate((b"<svg", b"/>")):
            answer = {"kind": "drawn", "id": wish["id"], "by": "page", "part": part, "parts": 2}
            self._say(comm_id, answer, data)

    def _say(self, comm_id: str, content: dict[str, Any], *buffers: bytes) -> None:
        data = {"method": "custom", "content": content}
        message = self.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        self.client.session.send(self.client.shell_channel.socket, message, buffers=list(buffers))


@pytest.fixture(scope="module")
def front_end() -> Iterator[FrontEnd]:
    manager = KernelManager()
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        front_end = FrontEnd(client)
        assert front_end.run(MAKE) == ""
        yield front_end
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture(autouse=True)
def drawn_anew(front_end: FrontEnd) -> None:
    front_end.drawn, front_end.asked = True, []


def test_a_cell_that_saves_waits_and_has_the_file(front_end: FrontEnd, tmp_path: Path) -> None:
    path = tmp_path / "table.svg"
    assert front_end.run(f"there = view.save_svg({str(path)!r}).exists()") == ""
    assert front_end.value("there") == "True"
    assert path.read_bytes() == b"<svg/>"
    (wish,) = front_end.asked
    assert (wish["format"], wish["theme"], wish["transparent"]) == ("svg", "light", False)


def test_a_png_is_asked_for_with_its_scale(front_end: FrontEnd, tmp_path: Path) -> None:
    path = tmp_path / "table.png"
    code = f"view.save_png({str(path)!r}, scale=3, theme='dark', transparent=True)"
    assert front_end.run(code) == ""
    (wish,) = front_end.asked
    assert [wish[name] for name in ("format", "scale", "theme", "transparent")] == [
        "png",
        3,
        "dark",
        True,
    ]


def test_a_cell_run_while_another_waits_comes_after_it(front_end: FrontEnd, tmp_path: Path) -> None:
    code = f"view.save_svg({str(tmp_path / 'a.svg')!r}); order.append('saved')"
    assert front_end.run(code, meanwhile="order.append('next')") == ""
    assert front_end.run("order.append('last')") == ""
    assert front_end.value("order") == "['saved', 'next', 'last']"


def test_without_waiting_the_file_is_there_after_the_cell(
    front_end: FrontEnd, tmp_path: Path
) -> None:
    path = tmp_path / "later.svg"
    assert front_end.run(f"view.save_svg({str(path)!r}, wait=False)") == ""
    assert front_end.run("1") == ""
    assert path.read_bytes() == b"<svg/>"


def test_where_no_page_shows_the_view_the_error_names_the_way(
    front_end: FrontEnd, tmp_path: Path
) -> None:
    front_end.drawn = False
    path = tmp_path / "nobody.svg"
    error = front_end.run(f"view.save_svg({str(path)!r}, timeout=1.2)")
    assert "No page has answered in 1.2 s" in error
    assert "show the view in a notebook" in error
    assert not path.exists()
    # The kernel is as before: it answers the next page.
    front_end.drawn = True
    assert front_end.run(f"view.save_svg({str(path)!r})") == ""


def test_outside_a_notebook_it_fails_at_once(tmp_path: Path) -> None:
    view = AttentionLines(Lens.demo("decoder").trace("The white whale"))
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=r"no notebook here\. The picture of AttentionLines"):
        view.save_svg(tmp_path / "lines.svg")
    assert time.monotonic() - started < 1
    view.close()


def test_a_folder_that_is_not_there_and_a_wrong_name_are_said_before_anything_is_drawn(
    tmp_path: Path,
) -> None:
    view = AttentionLines(Lens.demo("decoder").trace("The white whale"))
    with pytest.raises(FileNotFoundError, match=r"no folder .*papers"):
        view.save_svg(tmp_path / "papers" / "lines.svg")
    with pytest.raises(ValueError, match=r"ends in \.png, got .*lines\.svg"):
        view.save_png(tmp_path / "lines.svg")
    with pytest.raises(ValueError, match="above 0 and up to 10, got 0"):
        view.save_png(tmp_path / "lines.png", scale=0)
    with pytest.raises(ValueError, match='"light" or "dark", got \'pink\''):
        view.save_png(tmp_path / "lines.png", theme="pink")  # pyright: ignore[reportArgumentType]
    view.close()
