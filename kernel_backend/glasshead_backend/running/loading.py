"""Loading a checkpoint as the model that it says it is, with all of its weights."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers.utils import logging

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from os import PathLike

_OF_THE_FILES = (
    "cache_dir",
    "force_download",
    "local_files_only",
    "revision",
    "subfolder",
    "token",
    "trust_remote_code",
)
"""Arguments that say where files lie, or whether they may be run: they hold for all of them."""


def load(
    name_or_path: str | PathLike[str], dtype: str | torch.dtype, **kwargs: Any
) -> tuple[Any, Any]:
    """Load a model and its tokenizer; see :func:`load_model`."""
    of_files = {name: kwargs[name] for name in _OF_THE_FILES if name in kwargs}
    model = load_model(name_or_path, dtype, **kwargs)
    return model, transformers.AutoTokenizer.from_pretrained(name_or_path, **of_files)


def require_known(name_or_path: str | PathLike[str]) -> None:
    """Find what describes a model and its tokenizer, without its weights.

    Raises
    ------
    OSError, ValueError
        When there is no such model; transformers' words say what was looked for.
    """
    transformers.AutoConfig.from_pretrained(name_or_path)
    transformers.AutoTokenizer.from_pretrained(name_or_path)


def load_shipped(path: str | PathLike[str]) -> tuple[Any, Any]:
    """Load a small model that ships with the package, and its tokenizer."""
    # A progress bar for a megabyte of weights would be noise in a notebook.
    with _no_progress_bar():
        model = load_model(path, torch.float32)
    # Not by the model's type: that would ask for packages which its own tokenizer needs.
    return model, transformers.PreTrainedTokenizerFast.from_pretrained(path)


@contextmanager
def _no_progress_bar() -> Generator[None, None, None]:
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def load_model(name_or_path: str | PathLike[str], dtype: str | torch.dtype, **kwargs: Any) -> Any:
    """Load a model.

    A checkpoint says which class its weights belong to. A classifier that is loaded as a language
    model gets an unembedding of random numbers, and would show predictions that nobody trained.

    Parameters
    ----------
    name_or_path : str or path
    dtype : str or torch.dtype
    **kwargs
        For the model's ``from_pretrained``.

    Returns
    -------
    PreTrainedModel
    """
    of_files = {name: kwargs[name] for name in _OF_THE_FILES if name in kwargs}
    config = kwargs.get("config") or transformers.AutoConfig.from_pretrained(
        name_or_path, **of_files
    )
    first, *others = _classes(config)
    model, about = _loaded(first, name_or_path, dtype=dtype, **kwargs)
    if others and about["missing_keys"]:
        model, _ = _loaded(others[0], name_or_path, dtype=dtype, **kwargs)
    return model


def _loaded(auto: Any, name_or_path: str | PathLike[str], **kwargs: Any) -> tuple[Any, Any]:
    return auto.from_pretrained(name_or_path, output_loading_info=True, **kwargs)


def _classes(config: Any) -> Iterator[Any]:
    """Yield the classes to try, until one has all of its weights in the checkpoint."""
    name = next(iter(config.architectures or []), "")
    own = getattr(transformers, name, None)
    if own is not None and "For" in name and not _is_language_model(name):
        yield own
        return
    auto, known = transformers.AutoModelForCausalLM, transformers.MODEL_FOR_CAUSAL_LM_MAPPING
    if config.is_encoder_decoder and not name.endswith("EncoderModel"):
        auto = transformers.AutoModelForSeq2SeqLM
        known = transformers.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING
    elif "MaskedLM" in name or "PreTraining" in name:
        auto, known = transformers.AutoModelForMaskedLM, transformers.MODEL_FOR_MASKED_LM_MAPPING
    # A checkpoint of the layers alone: as a language model where the unembedding is the embedding;
    # not where there is no such class (DistilBERT's, T5's encoder).
    if own is None or type(config) in known:
        yield auto
    if own is not None:
        yield own


def _is_language_model(name: str) -> bool:
    return any(
        part in name for part in ("CausalLM", "LMHead", "MaskedLM", "Generation", "PreTraining")
    )
