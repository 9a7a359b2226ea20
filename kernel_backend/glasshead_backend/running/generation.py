"""What the model is told when it writes: how many tokens, and how they are chosen."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import transformers

from glasshead_backend.checks import at_least_one
from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.forward import inputs_of
from glasshead_backend.running.reporting import each_token_reported

if TYPE_CHECKING:
    from collections.abc import Sequence

NEW_TOKENS = 50
"""Most tokens that ``Lens.generate`` writes where nobody says otherwise."""


@dataclass(frozen=True)
class Writing:
    """What a model's ``generate`` is told.

    Attributes
    ----------
    options : dict
        Its keyword arguments.
    counts : dict
        What the options say, or else the model's own configuration, of "max_new_tokens" and of
        "max_length", prompt included; the first counts where there are both, 20 where neither.
    """

    options: dict[str, Any]
    counts: dict[str, int | None]

    def n_new(self, n_prompt: int) -> int:
        """Return the most tokens that may be written behind a prompt."""
        new, total = self.counts["max_new_tokens"], self.counts["max_length"]
        if new is not None:
            return new
        return 20 if total is None else max(0, total - n_prompt)


def writing(
    model: Any,
    *,
    max_new_tokens: int | None = None,
    do_sample: bool | None = None,
    generation_config: object = None,
    **kwargs: Any,
) -> Writing:
    """Put together what ``generate`` is told on behalf of a user.

    Without a configuration the model writes 50 tokens, the most probable ones. One that is handed
    over counts as it is, completed by the model's own as in transformers.

    Raises
    ------
    TypeError
        When `generation_config` is none.
    ValueError
        When `max_new_tokens` is no positive number, or several sequences are asked for.
    """
    options = dict(kwargs)
    if max_new_tokens is not None:
        options["max_new_tokens"] = at_least_one(max_new_tokens, "max_new_tokens", "token")
    if do_sample is not None:
        options["do_sample"] = do_sample
    if generation_config is None:
        options = {"do_sample": False, **options}
        if options.get("max_new_tokens") is None and options.get("max_length") is None:
            options["max_new_tokens"] = NEW_TOKENS
        return of_options(model, options)
    if not isinstance(generation_config, transformers.GenerationConfig):
        raise TypeError(
            "generation_config is a transformers.GenerationConfig; got "
            f"{type(generation_config).__name__}. Give single options as keywords of generate()."
        )
    # Keywords beside a configuration are deprecated: they are written into a copy of it.
    config = copy.deepcopy(generation_config)
    options = {**config.update(**options), "generation_config": config}
    if not any(of_options(model, options).counts.values()):
        config.max_new_tokens = NEW_TOKENS
    return of_options(model, options)


def of_options(model: Any, options: dict[str, Any]) -> Writing:
    """Say what options of ``generate`` amount to.

    Raises
    ------
    ValueError
        When several sequences are asked for.
    """
    # Older versions of transformers fill in what nobody has said.
    nothing = transformers.GenerationConfig()

    def said(name: str, *sources: Any) -> int | None:
        values = (s.get(name) if isinstance(s, dict) else getattr(s, name, None) for s in sources)
        return next((v for v in values if v not in (None, getattr(nothing, name, None))), None)

    asked = (options, options.get("generation_config"))
    if said("num_return_sequences", *asked) not in (None, 1):
        raise ValueError(
            "A trace is of one text: leave out num_return_sequences. For several continuations "
            "call generate several times, with do_sample=True."
        )
    own = getattr(model, "generation_config", None)
    names = ("max_new_tokens", "max_length")
    return Writing(options, {name: said(name, *asked, own) for name in names})


def generate(
    model: Any, ids: list[int], told: Writing, token_types: Sequence[int] | None = None
) -> list[int]:
    """Run the model's own generation; return all ids that the decoder saw or wrote.

    Raises
    ------
    ValueError
        When the model has nothing to write with.
    """
    if not hasattr(model, "generate"):
        raise ValueError(
            f"{type(model).__name__} has no head to write text with. Load the model with "
            "AutoModelForCausalLM or AutoModelForSeq2SeqLM, or give the text: trace(text), "
            "trace(source, target)."
        )
    inputs = inputs_of(model, ids, token_types=token_types)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    total = max(1, told.n_new(1 if model.config.is_encoder_decoder else len(ids)))
    with for_a_trace(model), each_token_reported(told.options, total) as reported:
        written = model.generate(**inputs, **reported)
    return getattr(written, "sequences", written)[0].tolist()
