"""Still pictures of views from the numbers of their frames: no browser draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from glasshead.saving.svg import (
    LETTER,
    WIDTH,
    between,
    css,
    image,
    inert,
    n_letters,
    sheet,
    shortened,
    text,
)
from glasshead.saying import is_written, names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from glasshead.view import View

_BLUE, _ORANGE, _RED = (23, 78, 166), (176, 84, 0), (222, 84, 54)
_SERIES = ("#1f66c2", "#b35400", "#1b7f5c", "#8a3ea8", "#596069")
_LINE = 17
_MOST_ROWS = 40
_MOST_LINES = 200
_MOST_IMAGE = 128
"""Pixels of a map on an axis; larger ones are pooled to the largest."""
_PALEST = 0.1
"""Opacity of the weakest line, of 1."""
_EDGE = 4
"""Pixels around a text."""
_MOST_PATTERNS = 27_000
"""Pixels of all heads' patterns together; fewer for each where there are many heads."""
_LABEL = 12
"""Letters of a label."""


def still_pictures(view: View, most_tokens: int = 400) -> list[tuple[str, str]]:
    """Return the pictures of a view as SVG, each after a few words on what it shows.

    Empty where nothing is drawn yet. Of a text at most so many tokens are written.
    """
    panes: list[Any] | None = getattr(view, "in_view", None)
    found: list[tuple[str, str]] = []
    for pane in [view] if panes is None else panes:
        draw = _DRAW.get(str(pane.frame.get("kind")))
        if draw is not None:
            found.append(draw(pane))
        elif write := _WRITE.get(str(pane.frame.get("kind"))):
            found.append(write(pane, most_tokens))
    return found


def _array(packed: Any) -> NDArray[Any]:
    return np.frombuffer(packed["data"], packed["dtype"]).reshape(packed["shape"])


def _labels(view: Any, side: str) -> list[str]:
    return [shortened(name, _LABEL) for name in names(view.axes[side])]


def _lines(view: Any) -> tuple[str, str]:
    queries, keys = _labels(view, "query"), _labels(view, "key")
    table = view.to_frame()
    near = table[
        (table["source_position"] < _MOST_ROWS) & (table["target_position"] < _MOST_ROWS)
    ].head(_MOST_LINES)
    left, right = 8 + _LABEL * LETTER, WIDTH - 8 - _LABEL * LETTER
    parts = [_column(left, queries, "end"), _column(right, keys, "start")]
    parts.append('<g stroke="#174ea6" stroke-width="1.5">')
    most = float(near["weight"].max()) if len(near) else 1.0
    for row, key, weight in zip(
        near["source_position"], near["target_position"], near["weight"], strict=True
    ):
        a, b = _middle(row), _middle(key)
        parts.append(
            f'<line x1="{left + 8:.0f}" y1="{a:.0f}" x2="{right - 8:.0f}" y2="{b:.0f}" '
            f'stroke-opacity="{max(_PALEST, weight / most):.2f}"/>'
        )
    parts.append("</g>")
    rows = min(_MOST_ROWS, max(len(queries), len(keys)))
    what = f"{view.unit} that is written" if is_written(view.axes["query"]) else view.unit
    words = f"Each line goes from a {what} to one it looks at: the darkest is {most:.2g}"
    if len(near) < len(table):
        words += f". {len(near)} of {len(table):,} lines are drawn"
    if max(len(queries), len(keys)) > _MOST_ROWS:
        words += f", among the first {_MOST_ROWS} {view.unit}s"
    return words, sheet(rows * _LINE + 8, *parts)


def _middle(row: int) -> float:
    return 4 + (row + 0.5) * _LINE


def _column(x: float, labels: Sequence[str], anchor: str) -> str:
    shown = labels[:_MOST_ROWS]
    return "".join(text(x, _middle(i) + 4, one, anchor=anchor) for i, one in enumerate(shown))


def _matrix(view: Any) -> tuple[str, str]:
    frame = view.frame
    numbers = (_array(frame["values"]).astype(np.float32) - frame["zero"]) * _array(
        frame["row_scale"]
    )[:, None]
    n_rows, n_columns = numbers.shape
    pooled = _pooled(numbers)
    most = float(np.abs(numbers).max(initial=0)) or 1.0
    share = np.sqrt(np.abs(pooled) / most)
    colours = between(share, _BLUE)
    if frame["zero"]:
        colours = np.where((pooled > 0)[..., None], between(share, _ORANGE), colours)
    has_labels = max(n_rows, n_columns) <= _MOST_ROWS
    cell = _LINE if has_labels else 440 / max(n_rows, n_columns)
    left = 8 + _LABEL * LETTER if has_labels else 4
    top = left - 2 if has_labels else 4
    parts = [image(left, top, n_columns * cell, n_rows * cell, colours)]
    if has_labels:
        for i, label in enumerate(_labels(view, "query")):
            parts.append(text(left - 4, top + (i + 0.5) * cell + 4, label, anchor="end"))
        for i, label in enumerate(_labels(view, "key")):
            x = left + (i + 0.5) * cell + 4
            turned = f'<g transform="rotate(-90 {x:.1f} {top - 4:.1f})">'
            parts.append(f"{turned}{text(x, top - 4, label)}</g>")
    sign = "blue below 0, orange above; full" if frame["zero"] else "the darkest"
    rows = "Rows, by the word written," if is_written(view.axes["query"]) else "Rows"
    words = f"{rows} look at columns: {sign} is {most:.2g} ({frame['title']})"
    return words, sheet(top + n_rows * cell + 6, *parts)


def _pooled(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return a map with at most so many pixels on an axis, each the largest in size of its own."""
    for axis in (0, 1):
        step = -(-numbers.shape[axis] // _MOST_IMAGE)
        if step > 1:
            starts = np.arange(0, numbers.shape[axis], step)
            high = np.maximum.reduceat(numbers, starts, axis)
            low = np.minimum.reduceat(numbers, starts, axis)
            numbers = np.where(high >= -low, high, low)
    return numbers


def _heads(view: Any) -> tuple[str, str]:
    frame = view.frame
    patterns = _array(frame["patterns"])
    each = int((_MOST_PATTERNS / max(1, patterns.shape[0] * patterns.shape[1])) ** 0.5)
    step = -(-max(patterns.shape[2:]) // min(24, max(4, each)))
    small = patterns
    for axis in (2, 3):
        small = np.maximum.reduceat(small, np.arange(0, small.shape[axis], step), axis)
    small = small // 16 * 17  # 16 shades: a third of the bytes
    layers, heads, rows, columns = small.shape
    left = 8 + 9 * LETTER
    width = min(48.0, (WIDTH - left - 4) / heads)
    spaced = np.full((layers, heads, rows + 1, columns + 1, 3), 255, np.uint8)
    spaced[:, :, :rows, :columns] = between(small / 255, _BLUE, (238, 240, 243))
    sheet_of = spaced.transpose(0, 2, 1, 3, 4).reshape(
        layers * (rows + 1), heads * (columns + 1), 3
    )
    numbers = _array(frame["layers"]).tolist()
    parts = [image(left, 20, heads * width, layers * width, sheet_of)]
    parts += [
        text(left - 6, 20 + (i + 0.5) * width + 4, f"layer {number}", anchor="end")
        for i, number in enumerate(numbers)
        if width >= _LINE or i % 2 == 0
    ]
    parts.append(text(left, 14, f"heads 0-{heads - 1}"))
    return "A pattern of every head, each on a scale of its own", sheet(26 + layers * width, *parts)


def _products(view: Any) -> tuple[str, str]:
    """Draw the products of the first head with the keys that are strongest, in the text's order."""
    frame = view.frame
    score = _array(frame["score"])[0]
    seen = np.argsort(-score, kind="stable")[: min(_MOST_ROWS, np.isfinite(score).sum())]
    shown = np.sort(seen)
    numbers = _array(view.chosen_products(shown.tolist())[1]["products"])[0]
    if view.sort == "largest":
        numbers = numbers[:, _array(frame["order"])[0]]
    bound = float(_array(frame["bound"])[0]) or 1.0
    share = np.sqrt(np.abs(_pooled(numbers)) / bound)
    colours = np.where(
        (_pooled(numbers) > 0)[..., None], between(share, _ORANGE), between(share, _BLUE)
    )
    left, right = 8 + _LABEL * LETTER, WIDTH - 170
    labels, weight = _labels(view, "key"), _array(frame["weight"])[0]
    parts = [text(right + 8, 14, "score"), text(right + 78, 14, "weight")]
    if len(shown):
        parts.append(image(left, 20, right - left, len(shown) * _LINE, colours))
    for row, key in enumerate(shown.tolist()):
        y = 20 + row * _LINE
        parts.append(text(left - 4, y + 13, labels[key], anchor="end"))
        parts.append(text(right + 58, y + 13, f"{score[key]:.2f}", anchor="end"))
        width = 84 * float(np.nan_to_num(weight[key]))
        parts.append(
            f'<rect x="{right + 78}" y="{y + 3}" width="{width:.1f}" height="{_LINE - 6}" '
            'fill="#596069"/>'
        )
    some = f"; the {len(shown)} strongest keys" if len(shown) < frame["n_keys"] else ""
    looking = names(view.axes["query"])[view.query]
    words = (
        f"What makes “{looking}” look at each token in head {frame['heads'][0]}: products of query "
        f"and key by dimension, blue below 0, orange above, full at {bound:.2g}{some}"
    )
    return words, sheet(26 + len(shown) * _LINE, *parts)


def _patches(view: Any) -> tuple[str, str]:
    """Draw what patched runs recover, layers from top to bottom."""
    frame = view.frame
    shares, layers = _array(frame["recovered"]), _array(frame["layers"]).tolist()
    places = _array(frame["places"]).tolist()
    pooled = _pooled(np.nan_to_num(shares))
    sizes = np.abs(pooled)
    colours = np.where(
        (pooled > 0)[..., None], between(sizes, _ORANGE), between(sizes, _BLUE)
    ).astype(np.uint8)
    is_head = frame["columns"] == "head"
    labels = [str(place) for place in places] if is_head else _both(frame, places)
    has_labels = len(places) <= _MOST_ROWS
    left = 8 + 9 * LETTER
    top = 20.0 if is_head else 6 + has_labels * LETTER * max(map(n_letters, labels))
    cell = min(40.0, (WIDTH - left - 4) / len(places))
    height = _LINE if len(layers) <= _MOST_ROWS else _MOST_ROWS * _LINE / len(layers)
    width, depth = len(places) * cell, len(layers) * height
    parts = [image(left, top, width, depth, colours)]
    parts.append(
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{depth:.1f}" '
        'fill="none" stroke="#c9ced5"/>'
    )
    for i, layer in enumerate(layers):
        if height == _LINE:
            parts.append(text(left - 6, top + i * height + 13, f"layer {layer}", anchor="end"))
    for i, label in enumerate(labels if has_labels else []):
        x = left + (i + 0.5) * cell
        if is_head:
            parts.append(text(x, top - 6, label, anchor="middle"))
        else:
            turned = f'<g transform="rotate(-90 {x + 4:.1f} {top - 4:.1f})">'
            parts.append(f"{turned}{text(x + 4, top - 4, label)}</g>")
    column = "head" if is_head else "token"
    words = (
        f"Of the clean run, put into the corrupted one by layer (rows) and {column}: "
        f"{frame['what_words']}. Full orange brings back all of the answer, white none of it, "
        f"blue the opposite. Asked: {frame['target']}"
    )
    return words, sheet(top + depth + 6, *parts)


def _both(frame: dict[str, Any], places: Sequence[int]) -> list[str]:
    """Name tokens of both runs where they differ."""
    differs = _array(frame["differs"])
    clean, corrupted = frame["clean"]["texts"], frame["corrupted"]["texts"]
    return [
        shortened(clean[at].strip() or clean[at], _LABEL)
        + (f" → {shortened(corrupted[at].strip(), _LABEL)}" if differs[at] else "")
        for at in places
    ]


def _chart(view: Any) -> tuple[str, str]:
    frame = view.frame
    mean = _array(frame["mean"]).astype(float)
    layers = _array(frame["layers"]).tolist()
    is_log = frame["scale"] == "log" and bool((mean[np.isfinite(mean)] > 0).all())
    height = np.log10(mean) if is_log else mean
    known = height[np.isfinite(height)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    span = (high - low) or 1.0
    left, right, top, bottom = 70, WIDTH - 12, 24 + _LINE * len(frame["series"]), 320

    def at(i: int, value: float) -> tuple[float, float]:
        x = left + (right - left) * (i / max(1, len(layers) - 1))
        return x, bottom - (bottom - top) * (value - low) / span

    parts = [f'<path d="M{left} {top}V{bottom}H{right}" stroke="#8a919b" fill="none"/>']
    for value, y in ((high, top), (low, bottom)):
        said = f"{10**value if is_log else value:.3g}"
        parts.append(text(left - 6, y + 4, said, anchor="end"))
    parts.append(text(left, bottom + 18, f"layer {layers[0]}"))
    parts.append(text(right, bottom + 18, str(layers[-1]), anchor="end"))
    for number, (series, row) in enumerate(zip(frame["series"], height, strict=True)):
        colour = _SERIES[number % len(_SERIES)]
        places = [at(i, value) for i, value in enumerate(row.tolist()) if np.isfinite(value)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places)
        parts.append(f'<g fill="{colour}">{dots}</g>')
        parts.append(text(left, 16 + number * _LINE, series["label"], fill=colour))
    unit = f", {frame['unit']}" if frame["unit"] else ""
    scale = ", log scale" if is_log else ""
    return f"{frame['title']}{unit}, by layer{scale}", sheet(bottom + 28, *parts)


def _strip(view: Any, most: int) -> tuple[str, str]:
    frame = view.frame
    bits = _array(frame["surprisal"]) / np.log(2)
    texts = frame["texts"][:most]
    grounds = [css(one) for one in between(bits / 12, _RED)[: len(texts)]]
    more = f"; the first {most} of {len(bits):,} tokens" if len(bits) > len(texts) else ""
    words = f"The redder a token, the more it surprised the model: white 0, full 12 bits{more}"
    return words, _flow(texts, grounds, frame["gaps"])


def _attribution(view: Any, most: int) -> tuple[str, str]:
    """Write the inputs on the colours of the current target."""
    frame = view.frame
    target, bound = frame["targets"][frame["current"]], frame["bound"] or 1.0
    texts: list[str] = []
    grounds: list[str] = []
    gaps: list[str] = []
    for part in frame["inputs"]:
        values = _array(part["values"])[frame["current"]]
        # A token may be of no unit.
        shares = np.append(values, 0.0)[_array(part["unit_of_token"])] / bound
        colours = np.where(
            (shares > 0)[:, None],
            between(np.sqrt(np.abs(shares)), _ORANGE),
            between(np.sqrt(np.abs(shares)), _BLUE),
        )
        gaps += ["\n" if texts else part["gaps"][0], *part["gaps"][1 : len(part["texts"])]]
        texts += part["texts"]
        grounds += [css(one) for one in colours]
    more = f"; the first {most} of {len(texts):,} tokens" if len(texts) > most else ""
    words = (
        f"What moved the {target['words']} ({target['value']:.3g} {target['unit']}) up, orange, "
        f"and down, blue: full {bound:.2g} {target['unit']}; {frame['how']}{more}"
    )
    return words, _flow(texts[:most], grounds[:most], gaps)


def _tokens(view: Any, most: int) -> tuple[str, str]:
    texts = view.frame["texts"]
    shown = texts[:most]
    grounds = [("#dce8fb", "#fdebd3")[i % 2] for i in range(len(shown))]
    more = f"; the first {most} of {len(texts):,}" if len(texts) > len(shown) else ""
    return f"Tokens, each on a ground of its own{more}", _flow(shown, grounds, view.frame["gaps"])


def _flow(texts: Sequence[str], grounds: Sequence[str], gaps: Sequence[str]) -> str:
    """Write a text, each token on its ground, with the gaps that a tokenizer drops."""
    most = int((WIDTH - 2 * _EDGE) / LETTER)
    parts: list[str] = []
    lines, used = [""], 0
    for token, ground, gap in zip(texts, grounds, gaps, strict=False):
        said = shortened(inert(token), 80)
        width = max(1, n_letters(said))
        space = shortened(gap.strip("\n"), 4)
        if "\n" in gap or used + n_letters(space) + width > most:
            lines, used, space = [*lines, ""], 0, ""
        used += n_letters(space)
        x, y = _EDGE + used * LETTER, _top(len(lines) - 1)
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.0f}" width="{width * LETTER:.1f}" height="{_LINE}" '
            f'fill="{ground}"/>'
        )
        lines[-1] += space + (said or " ")
        used += width
        if "\n" in token:
            lines, used = [*lines, ""], 0
    # A text element for each line: one for each token takes three times the bytes.
    parts += [text(_EDGE, _top(n) + 13, line) for n, line in enumerate(lines) if line]
    return sheet(_top(len(lines)) + 5, *parts)


def _top(line: int) -> float:
    return _EDGE + line * (_LINE + 3)


_DRAW: dict[str, Callable[[Any], tuple[str, str]]] = {
    "lines": _lines,
    "matrix": _matrix,
    "heads": _heads,
    "chart": _chart,
    "query_key": _products,
    "patches": _patches,
}
_WRITE: dict[str, Callable[[Any, int], tuple[str, str]]] = {
    "strip": _strip,
    "tokens": _tokens,
    "attribution": _attribution,
}
