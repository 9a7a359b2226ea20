"""A lens fitted to a model: what each layer's hidden state is translated by before it is read out.

The logit lens reads every layer as if it were the last. Layers need not speak the last one's
language, though: a fitted lens has a translator for each, ``h + W h + b``, and the model's own
final norm and unembedding read what it says. With ``W = 0`` and ``b = 0`` it is the logit lens.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from glasshead_backend.checks import require
from glasshead_backend.data_frames import ShownAsTable, table
from glasshead_backend.files import save_tensors

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd
    from jaxtyping import Float
    from torch import Tensor, nn
    from typing_extensions import Self

    from glasshead_backend.tracing.run import Run

LensKind = Literal["tuned", "jacobian"]
LENS_KINDS: tuple[LensKind, ...] = ("tuned", "jacobian")

LOGIT_LENS = "logit lens"
"""What reads layers where nothing was fitted."""

_NAMES: dict[LensKind, str] = {"tuned": "tuned lens", "jacobian": "Jacobian lens"}
_FORMAT = "glasshead fitted lens 1"
_TENSORS = ("change", "bias", "kl", "kl_logit_lens")
_SAMPLES = 256
"""Values of each weight by which a model is known."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class FittedLens(ShownAsTable):
    """What each layer's hidden state is translated by before the model reads it out.

    Made by :func:`glasshead.fit_lens`, or loaded. It belongs to one model: with another it is
    refused.

    Attributes
    ----------
    kind : {"tuned", "jacobian"}
    change : Tensor
        ``[layers, hidden, hidden]`` float32: the translator's matrix minus the identity. The last
        layer's is 0: it is read as it is.
    bias : Tensor
        ``[layers, hidden]`` float32.
    kl : Tensor
        ``[layers]`` float32, nats: how far what is read is from what the model predicts,
        ``KL(model || lens)``, mean over the tokens of texts that it was not fitted on; NaN where
        there were none.
    kl_logit_lens : Tensor
        ``[layers]`` float32, nats: the same of the logit lens.
    n_texts, n_tokens : int
        What it was fitted on.
    n_held_out : int
        Texts that :attr:`kl` is of.
    model : str
        Name of the model.
    fingerprint : str
        What tells the model's weights from others.
    """

    kind: LensKind
    change: Float[Tensor, "layer hidden hidden"]
    bias: Float[Tensor, "layer hidden"]
    kl: Float[Tensor, " layer"]
    kl_logit_lens: Float[Tensor, " layer"]
    n_texts: int
    n_tokens: int
    n_held_out: int
    model: str
    fingerprint: str

    def __post_init__(self) -> None:
        require(self.kind, LENS_KINDS, "kind")
        if bool(self.change[-1].any()) or bool(self.bias[-1].any()):
            raise ValueError("The last layer's translator is not the identity: it must be.")

    @property
    def label(self) -> str:
        """What it is, in words: "tuned lens, fitted on 200 texts"."""
        texts = "1 text" if self.n_texts == 1 else f"{self.n_texts:,} texts"
        return f"{_NAMES[self.kind]}, fitted on {texts}"

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors."""
        return self.change.nbytes + self.bias.nbytes

    def _what(self) -> str:
        of = f", KL on {self.n_held_out} texts held out" if self.n_held_out else ""
        return f"FittedLens: {self.label}, of {self.model}{of}"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per layer: nats between what is read and what the model predicts."""
        return table(
            {
                "layer": range(len(self.change)),
                "kl": self.kl.numpy(),
                "kl_logit_lens": self.kl_logit_lens.numpy(),
            }
        )

    def translated(self, layer: int, state: Float[Tensor, "*rows hidden"]) -> Tensor:
        """Return what the last layer would have put out, going by a layer's hidden state."""
        change, bias = (one[layer].to(state.device) for one in (self.change, self.bias))
        return translated(state, change, bias)

    def require_model(self, run: Run) -> None:
        """Refuse the run of another model than it was fitted to.

        Raises
        ------
        ValueError
            The message names both.
        ModelNeededError
            For a run without a model.
        """
        run.require_model()
        now = run.store.remember("fingerprint", lambda: fingerprint(run.subject.model))
        if now != self.fingerprint:
            raise ValueError(
                f"This {_NAMES[self.kind]} was fitted to {self.model}, and {run.subject.name} has "
                "other weights. Fit one to this model: fit_lens(lens, texts)."
            )

    # ---- files --------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str]) -> None:
        """Write it to a file of safetensors, with what model it belongs to.

        Parameters
        ----------
        path : str or path
        """
        told = {
            name: getattr(self, name)
            for name in ("kind", "n_texts", "n_tokens", "n_held_out", "model", "fingerprint")
        }
        tensors = {name: getattr(self, name) for name in _TENSORS}
        save_tensors(tensors, path, {"format": _FORMAT, "lens": json.dumps(told)})

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a lens from a file that :meth:`save` has written.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        FileNotFoundError
        ValueError
            When the file holds something else.
        """
        from safetensors import SafetensorError, safe_open  # noqa: PLC0415

        try:
            with safe_open(path, "pt") as file:
                about: dict[str, str] = file.metadata() or {}
                if about.get("format") != _FORMAT:
                    raise ValueError(f"{path} holds no fitted lens of Glasshead's.")
                tensors: dict[str, Any] = {name: file.get_tensor(name) for name in _TENSORS}
                return cls(**tensors, **json.loads(about["lens"]))
        except SafetensorError as error:
            raise ValueError(f"{path} holds no fitted lens of Glasshead's: {error}.") from None


def translated(
    state: Float[Tensor, "*rows hidden"],
    change: Float[Tensor, "hidden hidden"],
    bias: Float[Tensor, " hidden"],
) -> Float[Tensor, "*rows hidden"]:
    """Return ``h + W h + b``, computed in float32 or better; gradients flow through it."""
    wide = state.to(torch.promote_types(state.dtype, change.dtype))
    change, bias = change.to(wide), bias.to(wide)
    return (wide + wide @ change.T + bias).to(state.dtype)


def label_of(fitted: FittedLens | None) -> str:
    """Say what layers are read by."""
    return LOGIT_LENS if fitted is None else fitted.label


@torch.no_grad()
def fingerprint(model: nn.Module) -> str:
    """Return what tells a model's weights from others: a digest of some hundred of each.

    In bfloat16: a model is the same whichever of the usual dtypes its weights were loaded in.
    """
    digest = hashlib.sha256()
    for weight in model.parameters():
        digest.update(repr(tuple(weight.shape)).encode())
        if not weight.is_meta and weight.numel():
            flat = weight.detach().flatten()
            some = flat[:: max(1, flat.numel() // _SAMPLES)].to(torch.bfloat16)
            digest.update(some.contiguous().cpu().view(torch.int16).numpy().tobytes())
    return digest.hexdigest()
