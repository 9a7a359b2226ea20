"""What every view has: its place in a page, its frame, its errors, its way to the browser."""

from __future__ import annotations

import json
import os
import threading
from inspect import isfunction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import anywidget
import ipywidgets
import traitlets

from glasshead.export import Drawings, picture_path, picture_wish
from glasshead.messages import question, reply
from glasshead.names import did_you_mean, is_declared, no_such_name, settable_traits
from glasshead.saving.document import in_a_frame
from glasshead.saving.saved_page import page_of, page_path
