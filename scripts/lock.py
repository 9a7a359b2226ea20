"""Write constraints.txt: one exact version of everything that development installs.

Asks pip, without installing anything, what it would choose today for ``.[dev]`` under each Python
named, and writes the union: one line where all agree, lines with a marker where a package no longer
supports the older Python. torch's own accelerator packages are left to torch, which pins them.

    python scripts/lock.py python3.11 python3.10
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import tomllib

ROOT = Path(__file__).parents[1]
TORCH = "torch==2.13.0"
_ACCELERATOR = re.compile(r"^(nvidia|cuda|triton|intel|rocm)\b")
_HEADER = """\
# The development lock: what `make test` and `make demo` install, exactly.
# Written by scripts/lock.py; what the package itself asks for stands in pyproject.toml.
"""


def wanted() -> list[str]:
    """Requirements of the package and its extras, torch pinned."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [name for extra in project["optional-dependencies"].values() for name in extra]
    return [TORCH, *project["dependencies"], *extras]


def resolve(python: str, requirements: list[str]) -> tuple[str, dict[str, str]]:
    """Python's version ("3.11") and the version pip chooses for each package."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        inner = f"{folder}/bin/python"
        upgrade = [inner, "-m", "pip", "install", "--quiet", "--upgrade", "pip"]
        subprocess.run(upgrade, check=True)
        report = Path(folder, "report.json")
        install = [inner, "-m", "pip", "install", "--quiet", "--dry-run", "--report", str(report)]
        subprocess.run([*install, *requirements], check=True, stdout=sys.stderr)
        found = json.loads(report.read_text(encoding="utf-8"))
    version = ".".join(found["environment"]["python_full_version"].split(".")[:2])
    chosen = {
        item["metadata"]["name"].lower().replace("_", "-"): item["metadata"]["version"]
        for item in found["install"]
    }
    return version, {
        name: number.partition("+")[0]
        for name, number in chosen.items()
        if not _ACCELERATOR.match(name)
    }


def merge(locks: dict[str, dict[str, str]]) -> list[str]:
    """Lines of the constraints file, from the newest Python's lock to the oldest's."""
    versions = sorted(locks, key=lambda v: tuple(map(int, v.split("."))), reverse=True)
    newest, older = versions[0], versions[1:]
    lines: list[str] = []
    for name in sorted({name for lock in locks.values() for name in lock}):
        pins = {v: locks[v][name] for v in versions if name in locks[v]}
        if len(set(pins.values())) == 1:
            lines.append(f"{name}=={next(iter(pins.values()))}")
            continue
        if newest in pins:
            lines.append(f'{name}=={pins[newest]}; python_version >= "{newest}"')
        lines += [f'{name}=={pins[v]}; python_version == "{v}"' for v in older if v in pins]
    return lines


def main() -> None:
    """Resolve for every Python named on the command line and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pythons", nargs="+", help="interpreters, e.g. python3.11 python3.10")
    requirements = wanted()
    locks = dict(resolve(python, requirements) for python in parser.parse_args().pythons)
    lines = merge(locks)
    (ROOT / "constraints.txt").write_text(_HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"constraints.txt: {len(lines)} packages for Python {', '.join(locks)}")


if __name__ == "__main__":
    main()
