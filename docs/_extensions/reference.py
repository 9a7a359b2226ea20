"""The reference: traits of views with what they take, and names found where they are documented."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

import traitlets
from docutils import nodes
from sphinx import addnodes
from sphinx.util.nodes import make_refnode

from glasshead.names import settable_traits
from glasshead.view import View

if TYPE_CHECKING:
    from sphinx.application import Sphinx

OURS = ("glasshead", "glasshead_backend")
# Names in signatures that are other libraries', of which no list is fetched, or that the text
# of the parameter describes.
_OTHERS = """
    Any Bool Callable Float GenerationConfig Generator Int Iterable Iterator Literal Mapping
    PathLike PreTrainedModel PreTrainedTokenizerBase Self Sequence Server SupportsIndex
    Target Tensor callable mapping
"""
ELSEWHERE = frozenset(_OTHERS.split())
LIBRARIES = (
    *("collections.", "np.", "numpy.", "pd.", "t.", "torch.", "traitlets.", "transformers."),
    *("os.", "typing."),
)
# Classes that users are handed: how they are made is no affair of theirs.
ONLY_MET = ("Trace", "AttentionMap")
# What a module calls it, where another name is taken there.
ALSO = {"TokenSequence": "glasshead_backend.Sequence"}


def values_of(trait: Any) -> str:
    """Say in words which values a trait takes."""
    if isinstance(trait, traitlets.Enum):
        return ", ".join(f"``{value!r}``" for value in trait.values)
    if isinstance(trait, traitlets.Union):
        return " or ".join(values_of(one) for one in trait.trait_types)
    if isinstance(trait, traitlets.List):
        inner = getattr(trait, "_trait", None)
        return "list" if inner is None else f"list of {values_of(inner)}"
    names = {
        traitlets.Bool: "bool",
        traitlets.Int: "int",
        traitlets.Float: "float",
        traitlets.Unicode: "str",
        traitlets.Dict: "dict",
    }
    name = next((words for kind, words in names.items() if isinstance(trait, kind)), "any value")
    return f"{name} or None" if trait.allow_none else name


def trait_list(cls: type[View]) -> list[str]:
    """Return the traits that users set and a class adds to those of its bases, as a list."""
    base = next(one for one in cls.__mro__[1:] if issubclass(one, traitlets.HasTraits))
    added = settable_traits(cls, View) - settable_traits(base, View)
    own: dict[str, Any] = {n: t for n, t in vars(cls).items() if n in added}
    if not own:
        return []
    lines = [".. rubric:: Traits", ""]
    for name, trait in own.items():
        default = trait.default_value
        begins = "" if default is traitlets.Undefined else f"; at first ``{default!r}``"
        lines += [f"``{name}`` : {values_of(trait)}{begins}", f"   {trait.help}", ""]
    return [*lines, ""]


def _add_traits(_: Sphinx, what: str, __: str, thing: Any, ___: Any, lines: list[str]) -> None:
    if what == "class" and isinstance(thing, type) and issubclass(thing, View):
        lines += ["", *trait_list(thing)]


def _sign(_: Sphinx, what: str, name: str, thing: Any, *__: Any) -> Any:
    """Sign views as they are written: what makes traits from keywords hides the constructor."""
    if what != "class":
        return None
    if name.endswith(ONLY_MET):
        return "", None
    if not (isinstance(thing, type) and issubclass(thing, View)):
        return None
    signature = inspect.signature(thing.__init__)
    own = list(signature.parameters.values())[1:]
    return str(signature.replace(parameters=own, return_annotation="")).replace("'", ""), None


def _leave_others(_: Sphinx, doctree: nodes.document) -> None:
    """Leave other libraries' names as they are: some of ours end like them."""
    for node in list(doctree.findall(addnodes.pending_xref)):
        if node.get("refdomain") == "py" and _is_others(node["reftarget"]):
            node.replace_self(node.children)


def _is_others(target: str) -> bool:
    return target in ELSEWHERE or target.startswith(LIBRARIES)


def _skip(_: Sphinx, __: str, ___: str, thing: Any, skip: bool, ____: Any) -> bool | None:
    """Leave traits to their list, and what the page asks its view to the page."""
    asked_by_page = getattr(thing, "__glasshead_question__", False)
    return True if isinstance(thing, traitlets.TraitType) or asked_by_page else skip or None


def _is_ours(name: str) -> bool:
    """Whether a name without dots, or with the whole path, is something of our own code."""
    if name.startswith(tuple(f"{package}." for package in OURS)):
        return True  # a test holds that it exists
    modules = [module for path, module in sys.modules.items() if path.split(".")[0] in OURS]
    return any(hasattr(module, name) for module in modules)


def _shortened(words: nodes.Element, target: str) -> nodes.Element:
    """Leave the package out of a name that is shown as it is looked for."""
    said = words.astext()
    if not (target.startswith(OURS) and said.removesuffix("()") == target):
        return words
    names = [part for part in said.split(".") if not part.startswith(OURS)]
    short = words.deepcopy()
    short.children = [nodes.Text(".".join(names[-2:]))]
    return short


def _find(app: Sphinx, env: Any, node: Any, words: nodes.Element) -> nodes.Element | None:
    """Find a name by its end: docstrings name things by the module that they are made in."""
    if node.get("refdomain") != "py":
        return None
    target = ALSO.get(node["reftarget"], node["reftarget"])
    domain = env.get_domain("py")
    parts = target.split(".")
    for start in range(len(parts)):
        found = domain.find_obj(env, None, None, ".".join(parts[start:]), None, 1)
        documented = [entry for _, entry in found if not entry.aliased]
        if documented:
            entry = documented[0]
            where = app.builder, node["refdoc"], entry.docname, entry.node_id
            return make_refnode(*where, _shortened(words, target), target)
    # Inside, and not described here: the words alone.
    of_class = domain.objects.get(f"{node.get('py:module')}.{node.get('py:class')}")
    return words if (of_class is not None and "." not in target) or _is_ours(target) else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Add what autodoc does not know of traits and of names."""
    app.connect("autodoc-process-docstring", _add_traits)
    app.connect("autodoc-process-signature", _sign)
    app.connect("autodoc-skip-member", _skip)
    app.connect("doctree-read", _leave_others)
    app.connect("missing-reference", _find)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
