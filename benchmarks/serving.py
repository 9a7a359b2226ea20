"""What a class costs a server: 1, 10 and 50 students who ask at random, all at once.

Run with ``PYTHONPATH=tests python benchmarks/serving.py [students ...]``. ``glasshead serve demo``
is started in processes of its own (``--replicas N`` for several copies; ``--url URL`` asks a server
that runs already, of the demo decoder). Every student is a thread of this process with a
connection of its own, and asks ``--questions`` (20) one after the other without a pause: each
fourth is a new text, the others are its attention, predictions, statistics, activations and frames
of views. Afterwards every answer is compared with that of a lens in this process; an error or a
wrong answer ends the script with status 1. Latency is what a student waits, the drawing of the
frame and the work of fifty notebooks in one process included, so it is an upper bound.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import socket
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import torch

from glasshead import Lens
from support.students import KINDS, ask_together, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.students import Asked

MEBI = 1 << 20


@contextmanager
def served(replicas: int, rate: float) -> Iterator[tuple[str, psutil.Process]]:
    """Serve the demo decoder in processes of its own; its address, and the first of them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "glasshead_backend.serving", "serve", "demo"),
        *("--port", str(port), "--replicas", str(replicas), "--rate", str(rate)),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            start = time.perf_counter()
            said = next((line for line in process.stdout if "Serving" in line), "")
            if not said:
                raise SystemExit("the server did not start")
            print(f"started in {time.perf_counter() - start:.0f} s, {replicas} copies of the model")
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)


def memory(server: psutil.Process) -> dict[str, float]:
    """MiB that the server's processes take alone, and the largest copy of the model in all."""
    alone, largest = 0, 0
    for process in (server, *server.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            alone += process.memory_full_info().uss
            if "ServeReplica:glasshead:model" in " ".join(process.cmdline()):
                largest = max(largest, process.memory_info().rss)
    return {"all": alone / MEBI, "copy": largest / MEBI}


def percentile(values: list[float], share: float) -> float:
    """Value below which a share of them lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def report(n_students: int, many: list[Asked], seconds: float) -> None:
    """Print what so many students saw."""
    waits = [asked.seconds * 1000 for asked in many]
    sent, received = ([getattr(one, name) for one in many] for name in ("sent", "received"))
    print(
        f"{n_students:9} {len(many):10} {statistics.median(waits):10.0f} "
        f"{percentile(waits, 0.95):10.0f} {len(many) / seconds:12.1f} "
        f"{statistics.median(sent):9.0f} {statistics.median(received):12.0f} "
        f"{percentile([*map(float, received)], 0.95):12.0f}",
        flush=True,
    )


def by_kind(many: list[Asked]) -> None:
    """Print latency and bytes of each kind of question."""
    print(f"\n{'question':14} {'n':>5} {'median ms':>10} {'bytes sent':>11} {'bytes back':>11}")
    for kind in KINDS:
        of_kind = [asked for asked in many if asked.kind == kind]
        if of_kind:
            waits, sent, back = (
                statistics.median(getattr(asked, name) for asked in of_kind)
                for name in ("seconds", "sent", "received")
            )
            print(f"{kind:14} {len(of_kind):5} {waits * 1000:10.1f} {sent:11.0f} {back:11.0f}")


def main() -> None:
    """Let classes of all sizes ask, and compare what they were told."""
    parser = argparse.ArgumentParser(description="What a class costs a server.")
    parser.add_argument("students", type=int, nargs="*", default=[1, 10, 50])
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--rate", type=float, default=20.0, help="as glasshead serve has it")
    parser.add_argument("--url", help="a server that runs")
    told = parser.parse_args()
    torch.set_num_threads(1)
    lens = Lens.demo("decoder")
    failures: list[str] = []
    with contextlib.ExitStack() as stack:
        url, server = told.url, None
        if url is None:
            url, server = stack.enter_context(served(told.replicas, told.rate))
        ask_together(url, 1, 20)  # the first of everything is slower
        columns = "students  questions  median ms    95 % ms  questions/s  bytes out  bytes back"
        print(f"\n{columns}  95 % bytes")
        many: list[Asked] = []
        for n_students in told.students:
            start = time.perf_counter()
            many = ask_together(url, n_students, told.questions)
            report(n_students, many, time.perf_counter() - start)
            if server is not None:
                used = memory(server)
                print(f"{'':9} MiB: all processes {used['all']:.0f}, the copy {used['copy']:.0f}")
            found = wrong(lens, many)
            print(f"{'':9} errors and wrong answers: {len(found)}")
            failures += found
        by_kind(many)
    for failure in failures[:20]:
        print(failure, file=sys.stderr)
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
