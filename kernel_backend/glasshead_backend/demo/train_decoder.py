"""Train the decoder demo model, in which an induction head forms.

Run with ``python -m glasshead_backend.demo.train_decoder --out DIR``. Takes some CPU minutes on
one thread, and npm to fetch the text. Everything in the output folder comes from here, nothing is
edited by hand.

A batch has three kinds of rows. *Text* is what the model is for. *Repeats* are random tokens
followed by the same tokens again: nothing but copying predicts the second copy, and copying takes
two heads in two layers, one that notes for every token which token stood before it, and one that
looks for "the token that had my token before it". They form suddenly, after some minutes in which
nothing seems to happen. *Echoes* are texts in which a phrase comes back later on: without them the
heads copy random tokens only, and keep still on text.

Text alone does not make the heads form in a model this small; nor do repeats that are only a
quarter of the batch. Once they are there, less is enough to keep them.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

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

from . import DECODER_TEXT, TOY_NOTICE, scores, training
from .moby_dick import PACKAGE, Book, Excerpts, fetch_book

if TYPE_CHECKING:
    from pathlib import Path

STEPS = 2200
WARMUP = 150
RATE = 3e-3
DECAY = 0.1
TOKENS_PER_BATCH = 2048
VOCABULARY = 1536
LAYERS, HEADS, SIZE = 2, 12, 192
POSITIONS = 512
SHORT, MIXED = (64,), (64, 64, 64, 128, 288)
SETTLED = 0.45
SHARES = {
    "forming": {"repeats": 0.5, "echoes": 0.125},
    "settled": {"repeats": 0.1875, "echoes": 0.1875},
}
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
PROMPT = "The captain looked at the sea, and"


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
    tokens: dict[str, Any] = {
        "bos_token_id": tokenizer.bos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": None,
    }
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=SIZE,
        intermediate_size=2 * SIZE,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        **tokens,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(max_new_tokens=64, do_sample=False, **tokens)
    return model


def start_id(tokenizer: PreTrainedTokenizerFast) -> int:
    """The id of the start token."""
    return tokenizer.get_vocab()[START]


def ordinary_ids(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """All token ids but the special ones."""
    return [i for i in range(len(tokenizer)) if i not in tokenizer.all_special_ids]


class Batches:
    """Endless batches of text, repeats and echoes.

    At first half of a batch is repeats, and contexts are short: that is cheap, and enough to learn
    copying. When the heads have settled, most rows are text, and some contexts are longer. One text
    in eight comes without the start token, so that a window cut out of a long text is no surprise
    to the model.
    """

    def __init__(self, book: Book, tokenizer: PreTrainedTokenizerFast, *, seed: int) -> None:
        self._tokenizer = tokenizer
        self._excerpts = Excerpts(book.train)
        self._rng = random.Random(seed)
        self._start = start_id(tokenizer)
        self._ids = ordinary_ids(tokenizer)

    def draw(self, progress: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and labels; `progress` runs from 0 to 1 over the training."""
        settled = progress >= SETTLED
        length = self._rng.choice(MIXED if settled else SHORT)
        shares = SHARES["settled" if settled else "forming"]
        count = TOKENS_PER_BATCH // length
        repeats, echoes = (int(count * shares[kind]) for kind in ("repeats", "echoes"))
        rows = [self._repeats(length) for _ in range(repeats)]
        rows += [self._echoes(length) for _ in range(echoes)]
        rows += [self._text(length) for _ in range(count - repeats - echoes)]
        tokens, labels = zip(*rows, strict=True)
        return torch.tensor(tokens), torch.tensor(labels)

    def _text(self, length: int) -> tuple[list[int], list[int]]:
        row: list[int] = []
        while len(row) < length:  # near the end of the book an excerpt can be too short
            text = self._excerpts.draw(self._rng, 8 * length)
            row = self._tokenizer.encode(
                text, add_special_tokens=self._rng.random() > 1 / 8, verbose=False
            )
        return row[:length], row[:length]

    def _repeats(self, length: int) -> tuple[list[int], list[int]]:
        # Periods of many lengths: else a head could just look a fixed way back.
        period = self._rng.randint(length // 6, length // 2)
        once = self._rng.choices(self._ids, k=period)
        row = [self._start, *(once * (length // period + 1))][:length]
        return row, [IGNORE] * (period + 2) + row[period + 2 :]

    def _echoes(self, length: int) -> tuple[list[int], list[int]]:
        row, _ = self._text(length)
        labels = list(row)
        for _ in range(self._rng.randint(1, 3)):
            span = self._rng.randint(4, length // 3)
            start = self._rng.randrange(1, length - 2 * span)
            to = self._rng.randint(start + span, length - span)
            phrase = row[start : start + span]
            # Where the echo starts and where the text goes on, nobody could know.
            labels[to : to + 1] = [IGNORE, *phrase[1:], IGNORE]
            row[to:to] = phrase
        return row[:length], labels[:length]


def held_out_windows(
    chapters: tuple[str, ...], tokenizer: PreTrainedTokenizerFast, length: int
) -> torch.Tensor:
    """The texts cut into windows of `length` tokens, a start token before each."""
    start = start_id(tokenizer)
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
        start=start_id(tokenizer),
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
    trainer = training.Trainer(model, rate=RATE, decay=DECAY, steps=steps, warmup=WARMUP)
    while not trainer.done:
        tokens, labels = batches.draw(trainer.step / steps)
        trainer.learn(model(tokens, labels=labels, use_cache=False).loss)
        if trainer.step % 50 == 0 or trainer.done:
            trainer.pause()
            watched = scores.decoder_scores(model, repeats, REPEAT_LENGTHS[0], windows=windows)
            trainer.note(watched.as_row())
    return trainer


def model_card(
    saved: Any,
    tokenizer: Any,
    book: Book,
    trainer: training.Trainer,
    *,
    seed: int,
) -> str:
    """The README beside the weights, with the scores of what was saved."""
    measured = [
        scores.decoder_scores(
            saved, fresh_repeats(tokenizer, length=length, count=64, seed=seed + 2), length
        )
        for length in REPEAT_LENGTHS
    ]
    length, main = REPEAT_LENGTHS[0], measured[0]
    with scores.without_head(saved, main.previous_token_head):
        repeats = fresh_repeats(tokenizer, length=length, count=64, seed=seed + 2)
        cut = scores.decoder_scores(saved, repeats, length).second_copy_accuracy
    whole = main.second_copy_accuracy
    induction = scores.head_name(main.induction_head)
    previous = scores.head_name(main.previous_token_head)
    score_rows = [
        (name, *(f"{getattr(one, key):.4f}" for one in measured))
        for name, key in (
            ("induction", "induction"),
            ("previous token", "previous_token"),
            ("second copy accuracy", "second_copy_accuracy"),
        )
    ]
    head_rows = [
        (f"{name}, layer {layer}", *(f"{value:.2f}" for value in row))
        for name, by_head in (
            ("induction", main.induction_by_head),
            ("previous", main.previous_token_by_head),
        )
        for layer, row in enumerate(by_head)
    ]
    on_text, on_text_head = scores.echo(saved, tokenizer, DECODER_TEXT)
    everyday = torch.tensor([tokenizer.encode(EVERYDAY_TEXT)])
    text_rows = [
        (name, f"{scores.perplexity(saved, windows):.1f}", f"{bits:.2f}")
        for name, windows in (
            ("held-out chapters", held_out_windows(book.held_out, tokenizer, 256)),
            ("everyday English", everyday),
        )
        for bits in (scores.bits_per_byte(saved, tokenizer, windows),)
    ]
    prompt = tokenizer(PROMPT, return_tensors="pt")
    continued = tokenizer.decode(saved.generate(**prompt)[0], skip_special_tokens=True)
    return f"""# Demo model: decoder

{TOY_NOTICE["decoder"]}

A Llama model with {LAYERS} layers of {HEADS} heads, {SIZE} dimensions. It was made to be looked at:
induction heads can be seen in it plainly. When a token comes back, head {induction} looks at the
token that came *after* it the last time, and the model predicts that one. Most heads of its layer
do the same, for the model learned little else that needs two layers; large models have a few such
heads among many others. They can do so because one head, {previous}, looks at the previous token
everywhere. Without head {previous}, the accuracy on the second copy drops from
{whole:.2f} to {cut:.2f}.

## Scores

On 64 fresh sequences of uniformly random tokens, each followed by itself:

{training.table(("score", *(f"2 x {n} tokens" for n in REPEAT_LENGTHS)), score_rows)}

*Induction*: mean weight of the best head ({induction}) on the token after the earlier occurrence.
*Previous token*: mean weight of the best head ({previous}) on the token before. *Second copy
accuracy*: how often the arg-max is the right next token, from the second token of the copy. All
heads, on 2 x {length} tokens:

{training.table(("head", *map(str, range(HEADS))), head_rows)}

On text, phrases that come back are looked up more softly: in the example text `DECODER_TEXT`, head
{scores.head_name(on_text_head)} has a mean weight of {on_text:.2f} on the token after the earlier
occurrence.

On text, a start token before every window of 256 tokens:

{training.table(("text", "perplexity per token", "bits per byte"), text_rows)}

The held-out chapters are the twentieth, the fortieth and so on; the everyday English is a short
paragraph in `train_decoder.py`. This is far from what a real language model reaches. Its most
likely continuation of "{PROMPT}":

> {" ".join(continued.split())}

## Data

Herman Melville's Moby-Dick from the npm package `{PACKAGE}` (contents
CC0 1.0), as it is and with phrases that come back, and random tokens that come back. The text is
fetched for training and is not part of the package.

## Tokens

Byte-level BPE of {VOCABULARY:,} tokens learned from the training chapters; any text can be written
in it. The tokenizer puts the start token `{START}` before every text, so the text's first token has
a surprisal too. `{PAD}` only pads. There is no end token: generation goes on until it is stopped.

## Training

{training.how_trained(trainer, module="train_decoder", seed=seed)}

The heads form suddenly: `induction` and `second_copy_accuracy` in the curve.

## Limits

It has read one novel and random tokens. It knows nothing about the world, follows no instructions
and loops when it generates. Training saw at most {max(MIXED)} tokens at once; {POSITIONS} run.
Scores on random tokens are cleaner than on text, where heads have more than one thing to do.
"""


def main() -> None:
    """Train, save, load again, score what was saved and write the model card."""
    arguments = training.parse_arguments("Train the decoder demo model.", steps=STEPS)
    out: Path = arguments.out
    training.prepare(arguments.seed)
    book = fetch_book()
    tokenizer = build_tokenizer(book)
    model = build_model(tokenizer)
    trainer = train(model, tokenizer, book, seed=arguments.seed, steps=arguments.steps)
    training.save(model, tokenizer, out)
    training.write_curve(trainer.curve, out / "training_curve.csv")

    saved = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    loaded = AutoTokenizer.from_pretrained(out)
    card = model_card(saved, loaded, book, trainer, seed=arguments.seed)
    (out / "README.md").write_text(card, encoding="utf-8")
    print(card)


if __name__ == "__main__":
    main()
