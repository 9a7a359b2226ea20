"""The attention matrix over words: rows look, columns are looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
import traitlets

from glasshead.map_view import MapView
from glasshead.matrix_code import matrix_code
from glasshead.messages import question
from glasshead.view import N_SENTENCES, bundle
