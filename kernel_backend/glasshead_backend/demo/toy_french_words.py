"""The words of the toy grammar: what `toy_french` builds its sentences from.

Words stand in plain tables, a few to a line, read once at import. Kinds keep the sentences from
being too silly: books are read, not eaten. Colours describe everything but people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS: tuple[str, ...] = ("person", "animal", "food", "drink", "thing", "text", "place")
_GROUPS: dict[str, tuple[str, ...]] = {
    "-": (),
    "any": KINDS,
    "living": ("person", "animal"),
    "coloured": KINDS[1:],
    "goods": ("animal", "food", "drink", "thing", "text"),
}

# Every row: kind, English, masculine or feminine, French.
_NOUNS = """
animal cat m chat          animal dog m chien         animal bird m oiseau
animal mouse f souris      animal horse m cheval      animal cow f vache
animal fox m renard        animal bear m ours         animal rabbit m lapin
animal owl m hibou         animal spider f araignée   animal bee f abeille
person woman f femme       person man m homme         person girl f fille
person boy m garçon        person child m enfant      person student m étudiant
person doctor m médecin    person king m roi          person queen f reine
food apple f pomme         food orange f orange       food pear f poire
food banana f banane       food cheese m fromage      food bread m pain
food soup f soupe          food cake m gâteau         food egg m œuf
food fish m poisson        food salad f salade        drink milk m lait
drink water f eau          drink coffee m café        drink juice m jus
drink tea m thé            thing house f maison       thing car f voiture
thing tree m arbre         thing flower f fleur       thing boat m bateau
thing chair f chaise       thing table f table        thing star f étoile
thing hat m chapeau        thing key f clé            thing plane m avion
text book m livre          text letter f lettre       text story f histoire
place garden m jardin      place forest f forêt       place city f ville
place park m parc          place kitchen f cuisine    place school f école
place street f rue         place hotel m hôtel        place church f église
"""

# Every row: position in French, what it describes, English, masculine, feminine.
_ADJECTIVES = """
before any beautiful beau belle        before any big grand grande
before any small petit petite          before any old vieux vieille
before any good bon bonne              before any new nouveau nouvelle
before living young jeune jeune        after coloured black noir noire
after coloured white blanc blanche     after coloured brown brun brune
after coloured green vert verte        after coloured red rouge rouge
after coloured yellow jaune jaune      after coloured grey gris grise
after living happy heureux heureuse    after living tired fatigué fatiguée
after living hungry affamé affamée     after living intelligent intelligent intelligente
"""

# Every row: auxiliary, English base, third person, past, French present, participle, objects.
_VERBS = """
avoir eat eats ate mange mangé food              avoir drink drinks drank boit bu drink
avoir see sees saw voit vu any                   avoir love loves loved aime aimé any
avoir want wants wanted veut voulu goods         avoir buy buys bought achète acheté goods
avoir find finds found trouve trouvé any         avoir draw draws drew dessine dessiné any
avoir paint paints painted peint peint any       avoir hear hears heard entend entendu living
avoir follow follows followed suit suivi animal  avoir carry carries carried porte porté goods
avoir lose loses lost perd perdu thing           avoir wash washes washed lave lavé thing
avoir read reads read lit lu text                avoir write writes wrote écrit écrit text
avoir sleep sleeps slept dort dormi -            avoir run runs ran court couru -
avoir sing sings sang chante chanté -            avoir dance dances danced danse dansé -
avoir laugh laughs laughed rit ri -              avoir swim swims swam nage nagé -
avoir cry cries cried pleure pleuré -            avoir work works worked travaille travaillé -
avoir wait waits waited attend attendu -         avoir jump jumps jumped saute sauté -
être leave leaves left part parti -              être arrive arrives arrived arrive arrivé -
être fall falls fell tombe tombé -               être come comes came vient venu -
"""

DETERMINERS = {
    "the": ("le", "la"),
    "a": ("un", "une"),
    "this": ("ce", "cette"),
    "my": ("mon", "ma"),
}
PRONOUNS = {"he": "il", "she": "elle"}
PREPOSITIONS = {"in": "dans", "behind": "derrière", "under": "sous", "with": "avec"}
PREPOSITION_KINDS = {
    "in": ("place",),
    "behind": ("thing", "place"),
    "under": ("thing",),
    "with": ("person", "animal"),
}
ADVERBS = {"often": "souvent", "always": "toujours"}
TIMES = {"today": "aujourd'hui", "yesterday": "hier", "now": "maintenant"}
AUXILIARIES = {"avoir": "a", "être": "est"}
BEFORE_VOWEL = {
    "le": "l'", "la": "l'", "ne": "n'", "de": "d'",
    "ce": "cet", "ma": "mon", "beau": "bel", "vieux": "vieil", "nouveau": "nouvel",
}  # fmt: skip
"""Forms that change when the next French word starts with a vowel sound."""

_OTHER_ENGLISH = ("an", "does", "did", "not", "never", ".")
_OTHER_FRENCH = ("ne", "pas", "jamais", "de", ".")
_FRENCH_VOWELS = "aeiouéèêâîœ"
_ASPIRATED = frozenset({"hibou"})  # "le hibou" but "l'homme": this h counts as a consonant


@dataclass(frozen=True)
class Noun:
    """A noun with its gender; `kind` says which words may go with it."""

    kind: str
    english: str
    gender: Literal["m", "f"]
    french: str


@dataclass(frozen=True)
class Adjective:
    """An adjective; `position` is where French puts it, before or after the noun."""

    position: Literal["before", "after"]
    describes: tuple[str, ...]
    english: str
    masculine: str
    feminine: str

    def agree(self, noun: Noun) -> str:
        """The form that agrees with `noun`."""
        return self.feminine if noun.gender == "f" else self.masculine


@dataclass(frozen=True)
class Verb:
    """A verb in both languages, third person singular; `objects` are the kinds it takes."""

    auxiliary: Literal["avoir", "être"]
    base: str
    third: str
    past: str
    present: str
    participle: str
    objects: tuple[str, ...]

    def agree(self, *, feminine: bool) -> str:
        """The participle as it stands behind its auxiliary: only "être" makes it agree."""
        return self.participle + ("e" if feminine and self.auxiliary == "être" else "")


def _rows(table: str, width: int) -> Iterator[list[str]]:
    words = table.split()
    for start in range(0, len(words), width):
        yield words[start : start + width]


def _kinds(name: str) -> tuple[str, ...]:
    return _GROUPS.get(name, (name,))


NOUNS = tuple(
    Noun(kind, english, "f" if gender == "f" else "m", french)
    for kind, english, gender, french in _rows(_NOUNS, 4)
)
ADJECTIVES = tuple(
    Adjective("before" if position == "before" else "after", _kinds(describes), *forms)
    for position, describes, *forms in _rows(_ADJECTIVES, 5)
)
VERBS = tuple(
    Verb("être" if auxiliary == "être" else "avoir", *forms, objects=_kinds(objects))
    for auxiliary, *forms, objects in _rows(_VERBS, 7)
)


def starts_with_vowel_sound(french: str) -> bool:
    """Whether a word in front of `french` elides ("l'homme", "l'arbre", but "le hibou")."""
    return french[0] in _FRENCH_VOWELS or (french[0] == "h" and french not in _ASPIRATED)


def vocabulary() -> list[str]:
    """All words of both languages that the grammar can write, sorted."""
    words = {*DETERMINERS, *PRONOUNS, *PREPOSITIONS, *ADVERBS, *TIMES, *_OTHER_ENGLISH}
    for table in (PRONOUNS, PREPOSITIONS, ADVERBS, TIMES, AUXILIARIES, BEFORE_VOWEL):
        words |= {*table.values()}
    words |= {*_OTHER_FRENCH, *(form for forms in DETERMINERS.values() for form in forms)}
    for noun in NOUNS:
        words |= {noun.english, noun.french}
    for adjective in ADJECTIVES:
        words |= {adjective.english, adjective.masculine, adjective.feminine}
    for verb in VERBS:
        words |= {verb.base, verb.third, verb.past, verb.present}
        words |= {verb.agree(feminine=False), verb.agree(feminine=True)}
    return sorted(words)
