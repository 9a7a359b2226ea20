"""What a server does not do for a client, though it could for the owner of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glasshead_backend.answering import NotServedError, name_of
from glasshead_backend.tracing.given import Reading
from glasshead_backend.tracing.runs import written

if TYPE_CHECKING:
    from glasshead_backend.serving.answers import Question

_WRITTEN = name_of(written)

_OPTIONS = frozenset(
    (
        *("max_new_tokens", "min_new_tokens", "max_length", "min_length", "do_sample"),
        *("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"),
        *("num_beams", "early_stopping", "length_penalty", "guidance_scale"),
        *("repetition_penalty", "encoder_repetition_penalty", "no_repeat_ngram_size"),
        *("encoder_no_repeat_ngram_size", "bad_words_ids", "suppress_tokens"),
        *("begin_suppress_tokens", "forced_bos_token_id", "forced_eos_token_id", "eos_token_id"),
        *("exponential_decay_length_penalty", "renormalize_logits", "remove_invalid_values"),
    )
)
"""What may be said to the model's ``generate``. Others of its options load code by name
(``custom_generate``), read files or take objects."""

_MOST_BEAMS = 16


def require_harmless(question: Question) -> None:
    """Refuse what would have the server run or load what a client says.

    Raises
    ------
    NotServedError
        With the option that is not taken, and those that are.
    """
    for value in (*question.args, *question.kwargs.values()):
        # A chat template is a program, and that of the model's tokenizer will do.
        if isinstance(value, Reading) and "chat_template" in value.template_options:
            raise NotServedError(
                "A server writes messages with the chat template of its own tokenizer: leave out "
                "chat_template, or load the model in this notebook."
            )
    if question.name != _WRITTEN:
        return
    given = {name: value for name, value in question.kwargs.items() if value is not None}
    strange = sorted(given.keys() - _OPTIONS)
    if strange:
        raise NotServedError(
            f"generate({strange[0]}=...) is not answered by a server. It takes "
            f"{', '.join(sorted(_OPTIONS))}. For others load the model in this notebook."
        )
    beams = given.get("num_beams", 1)
    if not isinstance(beams, int) or not 1 <= beams <= _MOST_BEAMS:
        raise NotServedError(f"num_beams {beams!r}: a server takes 1 to {_MOST_BEAMS}.")
