"""Lines from every token to the tokens it looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import traitlets

from glasshead.code import asking
from glasshead.lines_code import lines_code
from glasshead.map_view import MapView
from glasshead.messages import question
from glasshead.view import N_SENTENCES, bundle
from glasshead_backend.frames import pack
