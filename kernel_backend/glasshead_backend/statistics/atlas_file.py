"""An atlas as a file: tensors in safetensors, what else there is as JSON in its metadata.

Nothing in such a file is run, and whoever reads it believes nothing: a file may come from anywhere.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast, get_args

import torch

from glasshead_backend.asking import Kind
from glasshead_backend.files import save_tensors
from glasshead_backend.statistics.atlas_examples import COLUMNS, INTEGERS, WINDOW, ExampleRows
from glasshead_backend.statistics.atlas_metrics import AtlasMetric

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from torch import Tensor

_FORMAT = "glasshead head atlas "
_VERSION = "1"
_NUMBERS = ("mean", "low", "high", "n", "rows")
_TOLD = (
    *("model", "model_class", "kind", "layers", "n_heads", "n_texts", "n_tokens"),
    *("confidence", "seed", "skipped", "n_skipped"),
)


def write_atlas(path: str | PathLike[str], fields: Mapping[str, Any]) -> None:
    """Write the fields of an atlas to a file."""
    kept: ExampleRows = fields["kept"]
    metrics: tuple[AtlasMetric, ...] = fields["metrics"]
    tensors = {name: fields[name] for name in _NUMBERS}
    tensors["edges"] = torch.tensor([one.edges for one in metrics], dtype=torch.float64)
    tensors |= {f"examples.{name}": one for name, one in kept.columns().items()}
    told = {name: fields[name] for name in _TOLD}
    told["metrics"] = [[one.name, one.label, one.unit, one.max] for one in metrics]
    told["spellings"] = kept.spellings
    save_tensors(tensors, path, {"format": f"{_FORMAT}{_VERSION}", "atlas": json.dumps(told)})


def read_atlas(path: str | PathLike[str]) -> dict[str, Any]:
    """Read the fields of an atlas from a file that :func:`write_atlas` has written.

    Raises
    ------
    FileNotFoundError
    ValueError
        When the file holds something else, or was written by another version.
    """
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415

    names = (*_NUMBERS, "edges", *(f"examples.{name}" for name in COLUMNS))
    try:
        with safe_open(path, "pt") as file:
            about: dict[str, str] = file.metadata() or {}
            found = about.get("format", "")
            # Of another version or another thing it would be no wonder that tensors are missing.
            wanted = names if found == f"{_FORMAT}{_VERSION}" else ()
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in wanted}
    except SafetensorError as error:
        raise ValueError(f"{path} holds no head atlas of Glasshead's: {error}.") from None
    _require_format(path, found)
    try:
        return _fields(json.loads(about["atlas"]), tensors)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path} is a damaged head atlas ({why}). Make it anew.") from None


def _require_format(path: str | PathLike[str], found: str) -> None:
    if not found.startswith(_FORMAT):
        is_else = f" It is a {found}." if found.startswith("glasshead") else ""
        raise ValueError(f"{path} holds no head atlas of Glasshead's.{is_else}")
    version = found.removeprefix(_FORMAT)
    if version != _VERSION:
        raise ValueError(
            f"{path} is a head atlas of version {version}; this Glasshead reads version "
            f"{_VERSION}. Make it anew with head_atlas, or read it with the Glasshead that wrote "
            "it."
        )


def _fields(told: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return what an atlas consists of, if it fits together."""
    edges = tensors["edges"].tolist()
    metrics = tuple(
        AtlasMetric(
            _text(name), _text(label), _text(unit), None if most is None else float(most), at
        )
        for (name, label, unit, most), at in zip(told["metrics"], map(tuple, edges), strict=True)
    )
    fields = {
        "model": _text(told["model"]),
        "model_class": _text(told["model_class"]),
        "kind": _text(told["kind"]),
        "layers": tuple(map(_whole, told["layers"])),
        "n_heads": tuple(map(_whole, told["n_heads"])),
        "metrics": metrics,
        "n_texts": _whole(told["n_texts"]),
        "n_tokens": _whole(told["n_tokens"]),
        "confidence": float(told["confidence"]),
        "seed": _whole(told["seed"]),
        "skipped": tuple((_whole(number), _text(why)) for number, why in told["skipped"]),
        "n_skipped": _whole(told["n_skipped"]),
        "kept": ExampleRows(
            **{name: tensors[f"examples.{name}"] for name in COLUMNS},
            spellings=tuple(map(_text, told["spellings"])),
        ),
        **{name: tensors[name] for name in _NUMBERS},
    }
    _require_fits(fields, tensors["edges"])
    return fields


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.50} is no text")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r:.50} is no whole number")
    return value


def _require_fits(fields: Mapping[str, Any], edges: Tensor) -> None:
    """Refuse tensors of other shapes than the words beside them say, and numbers out of range."""
    layers, n_heads = fields["layers"], fields["n_heads"]
    if fields["kind"] not in get_args(Kind) or not layers or len(layers) != len(n_heads):
        raise ValueError("its kind of attention, layers and heads do not fit together")
    n_buckets = edges.shape[1] - 1
    cells = (len(fields["metrics"]), len(layers), max(n_heads))
    shapes = {**dict.fromkeys(("mean", "low", "high", "n"), cells), "rows": (*cells, n_buckets)}
    whole = ("n", "rows")
    for name, shape in shapes.items():
        dtype = torch.int64 if name in whole else torch.float64
        _require_like(fields[name], name, shape, dtype)
    kept = cast("ExampleRows", fields["kept"])
    n_rows = (len(kept.cell),)
    for name in INTEGERS:
        _require_like(getattr(kept, name), name, n_rows, torch.int64)
    _require_like(kept.value, "value", n_rows, torch.float32)
    _require_like(kept.weights, "weights", (*n_rows, WINDOW), torch.float32)
    _require_like(kept.tokens, "tokens", (*n_rows, WINDOW), torch.int32)
    n_cells, n_spellings = cells[0] * cells[1] * cells[2], len(kept.spellings)
    in_range = (
        _within(kept.cell, 0, n_cells) and _within(kept.bucket, 0, n_buckets),
        _within(kept.tokens, -1, n_spellings) and _within(kept.token, 0, n_spellings),
        bool((kept.tokens[:, :1] >= 0).all()) and bool((kept.cell.diff() >= 0).all()),
    )
    if not all(in_range):
        raise ValueError("its examples are of heads, buckets or tokens that there are not")


def _require_like(tensor: Tensor, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if tuple(tensor.shape) != shape or tensor.dtype != dtype:
        there = f"{list(tensor.shape)} {tensor.dtype}"
        raise ValueError(f"{name} is {there}, not {list(shape)} {dtype}")


def _within(numbers: Tensor, first: int, end: int) -> bool:
    return not numbers.numel() or (int(numbers.min()) >= first and int(numbers.max()) < end)
