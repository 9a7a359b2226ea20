"""One recorded run of a model, and every question that can be asked about it."""

from __future__ import annotations

from glasshead_backend.questions.activations import ActivationQuestions
from glasshead_backend.questions.prediction_questions import PredictionQuestions


class Trace(ActivationQuestions, PredictionQuestions):
    """A recorded run: tokens, queries and keys of every attention call, predictions, block norms.

    Made by :meth:`glasshead_backend.Lens.trace`. Attention weights are not stored: each question
    computes the rows it needs. A trace keeps queries, keys and the last hidden states alive until
    it is closed (``trace.close()``, or use it as a context manager).

    In an encoder-decoder model the rows of "decoder" and "cross" attention belong to the decoder's
    *inputs*; row ``i`` predicts label ``i``. ``trace.labels`` has what each row predicts.
    """
