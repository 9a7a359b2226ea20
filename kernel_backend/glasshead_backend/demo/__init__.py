"""Two tiny trained models that ship with Glasshead, and texts to try them on.

They load in a second, offline, and show the textbook pictures: a decoder with an induction head,
and an English-to-French model whose cross attention finds the right source word. They are toys;
their model cards (`README.md` beside the weights) say what they can do and how they were trained.

>>> from transformers import AutoModelForCausalLM, AutoTokenizer
>>> folder = demo_path("decoder")
>>> model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
>>> tokenizer = AutoTokenizer.from_pretrained(folder)
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

DemoName = Literal["decoder", "encoder-decoder"]

DEMO_NAMES: Final[tuple[DemoName, ...]] = ("decoder", "encoder-decoder")

TOY_NOTICE: Final[dict[DemoName, str]] = {
    "decoder": (
        "This is a toy: a tiny language model that has read only Moby-Dick and repeated random "
        "tokens, small enough to see whole, not to write well."
    ),
    "encoder-decoder": (
        "This is a toy: a tiny translation model that knows only the few hundred words of its own "
        "English-to-French grammar."
    ),
}
"""One plain sentence per model, to show wherever the model is used."""

DECODER_TEXT: Final = (
    "Captain Ahab saw the white whale at sunrise, far away under the burning sky. "
    "Queequeg only laughed. "
    "Captain Ahab saw the white whale at sunrise, far away under the burning sky. "
    "Queequeg only laughed."
)
"""About 60 tokens in which whole sentences come back, so that the induction head lights up."""

DECODER_LONG_TEXT: Final = (
    "Call me Ishmael. Some years ago, having little or no money in my purse, and nothing "
    "particular to interest me on shore, I thought I would sail about a little and see the watery "
    "part of the world. The sea was calm that morning, and the captain walked the deck alone. "
    "He looked at the sea, and the sea was calm; he looked at the sky, and the sky was grey. "
    "Then a voice cried from the mast-head, and all the men ran to the boats."
)
"""About 128 tokens, for views of longer texts."""

SOURCE_TEXT: Final = "the black cat does not eat the beautiful white apple today ."
TARGET_TEXT: Final = "le chat noir ne mange pas la belle pomme blanche aujourd'hui ."


def demo_path(name: DemoName) -> Path:
    """The folder of a demo model, for `from_pretrained`.

    Parameters
    ----------
    name
        "decoder" or "encoder-decoder".

    Raises
    ------
    ValueError
        When there is no such model; the message says which there are.
    """
    if name not in DEMO_NAMES:
        known = " and ".join(f'"{known}"' for known in DEMO_NAMES)
        raise ValueError(f"There is no demo model {name!r}. The demo models are {known}.")
    return Path(__file__).parent / name.replace("-", "_")
