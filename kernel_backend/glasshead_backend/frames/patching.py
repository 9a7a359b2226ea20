"""Patched runs as a view draws them: a grid of layers by tokens or heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import torch

from glasshead_backend.answering import answered
from glasshead_backend.checks import at_least_one
from glasshead_backend.frames.pack import pack
from glasshead_backend.frames.strip import pieces, split_characters, unwritten
from glasshead_backend.questions.patching import What, in_words, sites_of
from glasshead_backend.questions.patching_target import patching_target
from glasshead_backend.questions.predictions import predictions
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from glasshead_backend.asking import Kind
    from glasshead_backend.frames.pack import Packed
    from glasshead_backend.statistics.patching import Patched
    from glasshead_backend.text.sequences import Sequence
    from glasshead_backend.trace import Trace


def patches_frame(patched: Patched, key: dict[str, Any], *, partial: str = "") -> dict[str, Any]:
    """Make the frame of PatchGrid.

    Parameters
    ----------
    patched : Patched
    key : dict
        The traits that it answers.
    partial : str
        How far it is; "" = complete.

    Returns
    -------
    dict
        ``layers`` ``[rows]`` and ``places`` ``[columns]`` (positions, or heads: ``columns`` says
        which); ``patched`` and ``recovered`` ``[rows, columns]``, NaN where there is none (yet);
        ``f_clean``, ``f_corrupted``, ``unit``, and the ``target`` in words; ``about`` it, and where
        other targets could be: places ``places_asked[0]`` to ``places_asked[1]`` of the last
        sequence, whose position is theirs plus ``offset``; the tokens of both texts and where
        they differ; ``whats`` could be put in, each with a reason where it cannot.
    """
    clean, corrupted = run_of(patched.clean), run_of(patched.corrupted)
    target = patched.target
    one, *other = patched.clean.lens.spelled(
        [id_ for id_ in (target.token, target.against) if id_ is not None]
    )
    texts = [patched.sequence, corrupted.sequence_of(corrupted.stack(patched.kind))]
    ids = [torch.tensor(text.ids) for text in texts]
    offset = clean.shift - 1
    n_rows = len(predictions(clean).tokens)
    return {
        "kind": "patches",
        "key": key,
        "what": patched.what,
        "what_words": in_words(patched.what, patched.kind),
        "layers": pack(torch.tensor(patched.layers), torch.int32),
        "columns": "position" if patched.heads is None else "head",
        "places": pack(torch.tensor(patched.columns), torch.int32),
        "recovered": pack(patched.recovered, torch.float32),
        "patched": pack(patched.values, torch.float32),
        "f_clean": patched.f_clean,
        "f_corrupted": patched.f_corrupted,
        "unit": patched.unit,
        "target": patched.target_in_words,
        "about": {
            "position": target.position,
            "place": target.position - offset,
            "row": target.row,
            "token": {"id": target.token, "text": one},
            "against": {"id": target.against, "text": other[0]} if other else None,
            "quantity": target.quantity,
        },
        "offset": offset,
        "places_asked": [1, n_rows],
        "side": patched.sequence.name,
        "clean": _tokens(texts[0]),
        "corrupted": _tokens(texts[1]),
        "differs": pack(ids[0] != ids[1], torch.uint8),
        "whats": whats(patched.corrupted, patched.kind),
        "partial": partial,
        "note": patched.note,
    }


@answered
def whats(trace: Trace, kind: Kind) -> list[dict[str, str]]:
    """Return all that can be put into some model, each with the reason why not into this one."""
    found: list[dict[str, str]] = []
    for what in get_args(What):
        sites = sites_of(run_of(trace), what, kind)
        reasons = [one for one in sites.values() if isinstance(one, str)]
        can_be = len(reasons) < len(sites)
        why = "" if can_be else next(iter(reasons), "No layer has it.")
        found.append({"name": what, "reason": why})
    return found


@answered
def expected_tokens(
    clean: Trace, corrupted: Trace, position: int | None, k: int
) -> tuple[dict[str, Any], dict[str, Packed]]:
    """Return what the two runs expect at one place: the answer to a question."""
    k = at_least_one(k, "k", "token")
    target, _ = patching_target(run_of(clean), run_of(corrupted), position)
    result: dict[str, Any] = {"position": position}
    arrays: dict[str, Packed] = {}
    for name, trace in (("clean", clean), ("corrupted", corrupted)):
        top = trace.top_k(target.position, k)
        result[name] = {"tokens": top["token"].tolist(), "ids": top["id"].tolist()}
        arrays[name] = pack(torch.tensor(top["probability"].to_numpy()), torch.float32)
    return result, arrays


def _tokens(text: Sequence) -> dict[str, Any]:
    texts, gaps = pieces(text.tokens, text.text)
    return {
        "texts": texts,
        "gaps": gaps,
        "split": split_characters(text.tokens, text.text),
        "unwritten": unwritten(text.tokens),
        "special": pack(torch.tensor([token.special for token in text.tokens]), torch.uint8),
    }
