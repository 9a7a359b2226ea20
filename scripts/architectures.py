"""Compare the attention of every architecture of transformers with eager; write the table.

Run ``make architectures``, or ``python scripts/architectures.py falcon t5`` for single model types
(which prints what they show, and changes no table). Each class is checked in a process of its own,
with a limit on time and memory. What is done is kept in ``.artifacts/architectures.jsonl``, so an
interrupted run of the same code goes on where it was; ``--again`` starts afresh.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import importlib.metadata
import json
import multiprocessing
import os
import resource
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SOURCES = [str(ROOT / "tests"), str(ROOT / "kernel_backend")]
sys.path[:0] = SOURCES

# The processes start with everything imported, and share it.
PRELOADED = ["torch", "transformers", "glasshead_backend", "support.architectures.checking"]
DONE = ROOT / ".artifacts" / "architectures.jsonl"
TABLE = ROOT / "docs" / "architectures.md"
SECONDS, GIGABYTES, PROCESSES = 300, 12, 2


def main() -> None:
    """Check what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("types", nargs="*", help="model types or model_type/Class; default: all")
    parser.add_argument("--again", action="store_true", help="forget what was done before")
    parser.add_argument(
        "--status",
        nargs="*",
        help="do only those again that ended so, whatever code it was, e.g. differs",
    )
    asked = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # The server that the processes come from reads no sys.path of its parent (Python < 3.13).
    os.environ["PYTHONPATH"] = os.pathsep.join(SOURCES)
    names = case_names()
    if asked.types:
        names = [n for n in names if n in asked.types or n.partition("/")[0] in asked.types]
    code = fingerprint()
    DONE.parent.mkdir(exist_ok=True)
    done = {} if asked.again or not DONE.exists() else read_done(None if asked.status else code)
    redo = set(asked.status or ())
    todo = [
        name for name in names if asked.types or name not in done or done[name]["status"] in redo
    ]
    for name, result in run(todo):
        done[name] = result
        print(line(result), flush=True)
        with DONE.open("a") as file:
            file.write(json.dumps({**result, "code": code}) + "\n")
    if not asked.types:
        from support.architectures.table import document  # noqa: PLC0415  after the environment

        TABLE.write_text(document([done[name] for name in names]))


def case_names() -> list[str]:
    """List all cases."""
    from support.architectures.building import all_cases  # noqa: PLC0415  after the environment

    return [case.name for case in all_cases()]


def read_done(code: str | None) -> dict[str, dict[str, Any]]:
    """Read what the same code (None: any) did before; the last word on a case holds."""
    results = [json.loads(one) for one in DONE.read_text().splitlines()]
    return {one["name"]: one for one in results if code in (None, one["code"])}


def fingerprint() -> str:
    """Return what tells whether a result is still that of the present code."""
    folders = (ROOT / "kernel_backend", ROOT / "tests" / "backend" / "architectures")
    digest = hashlib.sha256(importlib.metadata.version("transformers").encode())
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def run(names: list[str]) -> Any:
    """Yield the result of every case as it comes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with concurrent.futures.ThreadPoolExecutor(PROCESSES) as pool:
        waiting = {pool.submit(in_a_process, context, name): name for name in names}
        for future in concurrent.futures.as_completed(waiting):
            yield waiting[future], future.result()


def in_a_process(context: Any, name: str) -> dict[str, Any]:
    """Check one case in a process of its own, and end it when it takes too long."""
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(name, sending))
    process.start()
    sending.close()
    failed = {"name": name, "model_type": name.partition("/")[0], "autos": [], "status": "failed"}
    try:
        in_time = receiving.poll(SECONDS)
        return receiving.recv() if in_time else {**failed, "reason": f"took over {SECONDS} s"}
    except EOFError:
        return {**failed, "reason": f"ended by itself, exit code {process.exitcode}"}
    finally:
        process.kill()
        process.join()


def work(name: str, sending: Any) -> None:
    """Check one case; send what it showed."""
    resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))
    warnings.simplefilter("ignore")
    import torch  # noqa: PLC0415  the parent needs none of this
    from transformers import logging  # noqa: PLC0415

    from support.architectures.building import all_cases  # noqa: PLC0415
    from support.architectures.checking import check, said  # noqa: PLC0415

    logging.set_verbosity_error()
    torch.set_num_threads(1)
    case = next(case for case in all_cases() if case.name == name)
    try:
        result = check(case).to_json()
    except Exception as error:  # noqa: BLE001  a bug anywhere belongs into the table
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        result = {
            "name": name,
            "model_type": case.model_type,
            "autos": list(case.autos),
            "status": "failed",
            "reason": f"{said(error)} ({place})",
        }
    sending.send(result)


def line(result: dict[str, Any]) -> str:
    """Say a result in a line."""
    kinds = "; ".join(
        f"{kind} {'/'.join(one['paths'])} {errors(one['alone'])}"
        + ("" if one["padded"] is None else f" padded {errors(one['padded'])}")
        + ("" if one["against"] == "output_attentions" else f" ({one['against']})")
        for kind, one in result.get("kinds", {}).items()
    )
    peak = result.get("row_maximum", float("nan"))
    return f"{result['status']:9} {result['name']}: {kinds} [{peak:.2f}] {result['reason']}"


def errors(found: dict[str, float]) -> str:
    """Say largest differences: ours in float64; ours and eager's in float32."""
    return "{float64:.0e}, {float32:.1e}/{eager:.1e}".format(**found)


if __name__ == "__main__":
    main()
