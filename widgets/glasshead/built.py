"""The built front end: modules and style sheets that are shipped with the package."""

from __future__ import annotations

from pathlib import Path

_STATIC = Path(__file__).parent / "static"


def built_file(name: str) -> Path:
    """Return where a built file lies.

    Raises
    ------
    ImportError
        Where the front end has not been built.
    """
    path = _STATIC / name
    if not path.exists():
        raise ImportError(
            f"Glasshead's front end is not built ({name} is missing). In a clone of the repository "
            "run: npm ci && npm run build"
        )
    return path
