"""A toy grammar that writes English sentences, their French translations and the true alignment.

A trained translation model gives an attention pattern, but nobody knows which source word a target
word *really* came from. Here we do: the grammar builds both sentences at once and notes, for every
French token, the English tokens it stands for. That makes "the head aligns" a number, not a matter
of taste.

The grammar is small but has what makes French and English differ in word order and in length:

=====================  ==============================  ======================================
adjectives move        the small brown dog             le petit chien brun
gender agreement       the white apple                 la pomme blanche
negation wraps         does not eat, never eats        ne mange pas, ne mange jamais
passé composé          ran, did not run                a couru, n'a pas couru
participles agree      the girl left                   la fille est partie
adverbs move           often eats                      mange souvent
elision                the tree, does not love         l'arbre, n'aime pas
special forms          this old tree, my spider        ce vieil arbre, mon araignée
"un" under negation    does not see a bird             ne voit pas d'oiseau
=====================  ==============================  ======================================

Everything is singular and in the third person. Nothing here needs torch.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from . import toy_french_words as words

if TYPE_CHECKING:
    from collections.abc import Iterator

Split = Literal["train", "held-out"]

TOKEN_PATTERN = r"aujourd'hui|\w+'|\w+|[^\w\s]"
"""What one token is, in both languages: "l'" and "arbre" are two, "aujourd'hui" is one."""

EXAMPLES: tuple[str, ...] = (
    "the black cat does not eat the beautiful white apple today .",
    "the brown dog ran",
    "the brown dog ran .",
    "the happy girl did not see the old tree yesterday .",
    "this small spider never sleeps under the old tree .",
    "the young woman often paints a red flower in the garden .",
    "she does not want an orange .",
    "my old cow left yesterday .",
)
"""Sentences that notebooks show: always held out, so that what they show is never recall."""

_BARE_EXAMPLES = frozenset(example.removesuffix(" .") for example in EXAMPLES)


@dataclass(frozen=True)
class SentencePair:
    """An English sentence, its French translation, and which token came from which.

    Attributes
    ----------
    source, target
        The sentences as one writes them ("l'arbre" in one piece, a space before the full stop).
    source_tokens, target_tokens
        The same as tokens, exactly as the demo model's tokenizer splits them.
    alignment
        For every target token the indices of the source tokens it stands for (one or two: the "a"
        of "a couru" stands for "ran", the "a" of "n'a pas couru" for "did" or "run").
    """

    source: str
    target: str
    source_tokens: tuple[str, ...]
    target_tokens: tuple[str, ...]
    alignment: tuple[frozenset[int], ...]

    def reordered(self) -> tuple[bool, ...]:
        """Which target tokens stand in another order than their source tokens.

        A token counts when its link crosses another one: "chat noir" / "black cat" are both
        reordered. These are the tokens that a head cannot align by walking from left to right.
        """
        links = self.alignment
        return tuple(
            any(max(links[i]) < min(earlier) for earlier in links[:i])
            or any(max(later) < min(links[i]) for later in links[i + 1 :])
            for i in range(len(links))
        )


@dataclass
class _Builder:
    """Collects both sentences; French words carry the English positions they stand for."""

    rng: random.Random
    source: list[str] = field(default_factory=list[str])
    target: list[tuple[str, frozenset[int]]] = field(
        default_factory=list[tuple[str, frozenset[int]]]
    )

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def say(self, english: str) -> int:
        """Append an English word and return its position."""
        self.source.append(english)
        return len(self.source) - 1

    def write(self, french: str, *positions: int) -> None:
        """Append a French word that stands for the English words at `positions`."""
        self.target.append((french, frozenset(positions)))

    def word(self, table: dict[str, str], english: str) -> None:
        """Say a word and write its translation: for everything that neither moves nor agrees."""
        self.write(table[english], self.say(english))

    def finish(self) -> SentencePair:
        french: list[str] = []
        following = [word for word, _ in self.target[1:]] + ["."]
        for (word, _), after in zip(self.target, following, strict=True):
            contracts = word in words.BEFORE_VOWEL and words.starts_with_vowel_sound(after)
            french.append(words.BEFORE_VOWEL[word] if contracts else word)
        return SentencePair(
            source=" ".join(self.source),
            target=" ".join(french).replace("' ", "'"),
            source_tokens=tuple(self.source),
            target_tokens=tuple(french),
            alignment=tuple(positions for _, positions in self.target),
        )


def _noun_phrase(build: _Builder, kinds: tuple[str, ...], *, negated: bool = False) -> words.Noun:
    """Determiner, perhaps adjectives, noun; `negated` objects take "de" for "un"."""
    noun = build.rng.choice([noun for noun in words.NOUNS if noun.kind in kinds])
    fitting = [adjective for adjective in words.ADJECTIVES if noun.kind in adjective.describes]
    # English puts size, age and beauty before colour and mood, so there is one order only.
    adjectives = [
        build.rng.choice([a for a in fitting if a.position == position])
        for position, probability in (("before", 0.3), ("after", 0.4))
        if build.chance(probability)
    ]
    # Nobody drinks "a water".
    choices = ["the", "the", "this", "my"] + (["a"] * 2 if noun.kind != "drink" else [])
    determiner = build.rng.choice(choices)
    first = (adjectives[0] if adjectives else noun).english
    french_determiner = words.DETERMINERS[determiner][noun.gender == "f"]
    if determiner == "a":
        french_determiner = "de" if negated else french_determiner
        determiner = "an" if first[0] in "aeiou" else "a"

    build.write(french_determiner, build.say(determiner))
    said = [(adjective, build.say(adjective.english)) for adjective in adjectives]
    noun_position = build.say(noun.english)
    for adjective, position in said:
        if adjective.position == "before":
            build.write(adjective.agree(noun), position)
    build.write(noun.french, noun_position)
    for adjective, position in said:
        if adjective.position == "after":
            build.write(adjective.agree(noun), position)
    return noun


def _verb_group(build: _Builder, verb: words.Verb, *, feminine: bool, past: bool) -> bool:
    """The verb with its negation and adverb; returns whether it was negated."""
    negation = "not" if build.chance(0.25) else ("never" if build.chance(0.1) else None)
    adverb = build.rng.choice(list(words.ADVERBS)) if build.chance(0.12) else None
    if negation == "never":
        adverb = None

    helper = build.say("did" if past else "does") if negation == "not" else None
    negation_at = build.say(negation) if negation else None
    adverb_at = build.say(adverb) if adverb else None
    bare = verb.past if past else verb.third
    verb_at = build.say(verb.base if helper is not None else bare)

    if negation_at is not None:
        build.write("ne", negation_at, *(() if helper is None else (helper,)))
    if past:
        build.write(
            words.AUXILIARIES[verb.auxiliary], verb_at, *(() if helper is None else (helper,))
        )
    else:
        build.write(verb.present, verb_at)
    if negation_at is not None:
        build.write("pas" if negation == "not" else "jamais", negation_at)
    if adverb is not None and adverb_at is not None:
        build.write(words.ADVERBS[adverb], adverb_at)
    if past:
        build.write(verb.agree(feminine=feminine), verb_at)
    return negation is not None


def random_pair(rng: random.Random) -> SentencePair:
    """One random sentence pair.

    Three quarters end with a full stop; one in twenty is only a noun phrase ("the black cat"),
    so that the model also copes with what people type.
    """
    build = _Builder(rng)
    if build.chance(0.05):
        _noun_phrase(build, words.KINDS)
    else:
        if build.chance(0.15):
            pronoun = rng.choice(list(words.PRONOUNS))
            build.write(words.PRONOUNS[pronoun], build.say(pronoun))
            feminine = pronoun == "she"
        else:
            feminine = _noun_phrase(build, ("person", "animal")).gender == "f"
        verb = rng.choice(words.VERBS)
        past = build.chance(0.45)
        negated = _verb_group(build, verb, feminine=feminine, past=past)
        if verb.objects:
            _noun_phrase(build, verb.objects, negated=negated)
        if build.chance(0.2):
            preposition = rng.choice(list(words.PREPOSITIONS))
            build.word(words.PREPOSITIONS, preposition)
            _noun_phrase(build, words.PREPOSITION_KINDS[preposition])
        if build.chance(0.25):
            build.word(words.TIMES, rng.choice(["today", "yesterday" if past else "now"]))
    if build.chance(0.75):
        build.word({".": "."}, ".")
    return build.finish()


def split_of(source: str) -> Split:
    """Which side an English sentence is on: one in twenty is held out, by its checksum.

    The side depends on nothing but the words, with or without the full stop. So fresh held-out
    sentences can be drawn at any time, with any seed, and the model was never trained on them.
    """
    bare = " ".join(source.lower().replace(".", " ").split())
    if bare in _BARE_EXAMPLES:
        return "held-out"
    return "held-out" if zlib.crc32(bare.encode()) % 20 == 0 else "train"


def pairs(split: Split, *, seed: int) -> Iterator[SentencePair]:
    """Endless random pairs of one side of the split (short sentences come back now and then)."""
    rng = random.Random(seed)
    while True:
        pair = random_pair(rng)
        if split_of(pair.source) == split:
            yield pair


def distinct_pairs(split: Split, count: int, *, seed: int) -> list[SentencePair]:
    """The first `count` pairs of `pairs` without repetitions."""
    found: dict[str, SentencePair] = {}
    for pair in pairs(split, seed=seed):
        found.setdefault(pair.source, pair)
        if len(found) == count:
            break
    return list(found.values())
