"""What a package imports, read from its sources: nothing is run."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from importlib.util import resolve_name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Import:
    """One imported module, and where it stands.

    Attributes
    ----------
    importer, imported : str
        Full names, as ``package.folder.module``.
    place : str
        File and line.
    is_for_types : bool
        Whether it stands under ``if TYPE_CHECKING``.
    """

    importer: str
    imported: str
    place: str
    is_for_types: bool


def imports(package: Path) -> list[Import]:
    """Read all imports of the package in a folder, those for types and in functions too."""
    return [one for path in sorted(package.rglob("*.py")) for one in _of_file(path, package)]


def _of_file(path: Path, package: Path) -> Iterator[Import]:
    inside = path.relative_to(package.parent)
    importer = ".".join(inside.with_suffix("").parts).removesuffix(".__init__")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        part
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for part in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            place = f"{path.relative_to(package.parents[1])}:{node.lineno}"
            for imported in dict.fromkeys(_modules(node, inside.parent.parts, package.parent)):
                yield Import(importer, imported, place, node in for_types)


def _modules(
    node: ast.Import | ast.ImportFrom, folder: tuple[str, ...], source: Path
) -> Iterator[str]:
    """Full names: ``from a import b`` is of ``a.b`` where that is a module, else of ``a``."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = resolve_name("." * node.level + (node.module or ""), ".".join(folder))
    for alias in node.names:
        path = source.joinpath(*base.split("."), alias.name)
        is_module = path.is_dir() or path.with_suffix(".py").exists()
        yield f"{base}.{alias.name}" if is_module else base
