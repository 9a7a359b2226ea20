"""Linear probes, each tested on texts that it was not fitted to.

scikit-learn's models take a while to load: only who probes waits for them.
"""

from __future__ import annotations

import warnings
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from glasshead_backend.progress import steps

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from jaxtyping import Float, Int
    from numpy.typing import NDArray
    from torch import Tensor

    Fold = tuple[NDArray[np.int64], NDArray[np.int64]]

_MOST_ITERATIONS = 1000
_NAMED = 5
"""Labels that an error names."""


class Held(NamedTuple):
    """What probes said of texts that they were not fitted to.

    Attributes
    ----------
    predicted : Tensor
        ``[units]`` int64: classes.
    settled : bool
        Whether every fit had come to its end.
    """

    predicted: Int[Tensor, " unit"]
    settled: bool


def folds_of(
    classes: Int[Tensor, " unit"],
    groups: Int[Tensor, " unit"],
    names: Sequence[Hashable],
    *,
    folds: int,
    seed: int,
) -> list[Fold]:
    """Cut the units into folds, with those of a group in one, and as many of each class in each.

    Returns
    -------
    list of tuple
        Indices of the units to fit to, and of those to test on.

    Raises
    ------
    ValueError
        For a single class, and where a class or all of them are in fewer groups than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415

    _require_groups(classes, groups, names, folds)
    cut = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    nothing = np.zeros(len(classes))
    return list(cut.split(nothing, classes.numpy(), groups.numpy()))


def _require_groups(
    classes: Int[Tensor, " unit"], groups: Int[Tensor, " unit"], names: Sequence[Hashable], n: int
) -> None:
    if len(names) < 2:  # noqa: PLR2004
        found = f"all labels are {names[0]!r}" if names else "there is no label"
        raise ValueError(f"A probe tells classes apart, and {found}: two or more are needed.")
    pairs = torch.stack([classes, groups]).unique(dim=1)
    in_texts = torch.bincount(pairs[0], minlength=len(names)).tolist()
    few = {name: k for name, k in zip(names, in_texts, strict=True) if k < n}
    if not few:
        return
    named = ", ".join(f"{name!r} is in {k}" for name, k in [*few.items()][:_NAMED])
    more = f", and {len(few) - _NAMED} other labels" if len(few) > _NAMED else ""
    most = min(in_texts)
    fewer = f"take folds={most}, or " if most > 1 else ""
    raise ValueError(
        f"Too few different texts for folds={n}: {named}{more}. Each of {n} parts of the texts is "
        f"tested with probes of the others, so every label has to be in {n} texts (or groups of "
        f"texts): {fewer}give more texts, or None in the place of a rare label."
    )


def predict_held_out(
    activations: Float[Tensor, "unit hidden"],
    classes: Int[Tensor, " unit"],
    folds: Sequence[Fold],
    *,
    strength: float,
) -> Held:
    """Fit a probe to all folds but one, and let it say the classes of that one; for each fold.

    Logistic regression on components that have mean 0 and variance 1 in what it is fitted to.

    Parameters
    ----------
    activations : Tensor
    classes : Tensor
    folds : list
        As :func:`folds_of` makes them.
    strength : float
        scikit-learn's ``C``: the smaller, the more weights are held near 0.
    """
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    values, known = activations.numpy(), classes.numpy()
    predicted = np.empty_like(known)
    unsettled = 0
    for fitted, tested in steps(folds, "fitting probes", len(folds)):
        if len(np.unique(known[fitted])) == 1:  # shuffled labels of very few units
            predicted[tested] = known[fitted][0]
            continue
        model = LogisticRegression(C=strength, max_iter=_MOST_ITERATIONS)
        probe = make_pipeline(StandardScaler(), model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            probe.fit(values[fitted], known[fitted])
        unsettled += int(model.n_iter_.max() >= _MOST_ITERATIONS)
        predicted[tested] = probe.predict(values[tested])
    return Held(torch.from_numpy(predicted), unsettled == 0)


def classes_of(labels: Sequence[Hashable]) -> tuple[tuple[Hashable, ...], Int[Tensor, " unit"]]:
    """Number the labels; in their order, where they have one."""
    found = Counter(labels)
    try:
        names = tuple(sorted(found))  # type: ignore[type-var]
    except TypeError:
        names = tuple(sorted(found, key=str))
    number = {name: i for i, name in enumerate(names)}
    return names, torch.tensor([number[label] for label in labels])
