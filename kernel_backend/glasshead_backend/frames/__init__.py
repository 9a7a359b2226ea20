"""What travels to a view: small headers with binary arrays, quantised where a picture allows it.

A frame is a dictionary ``{key, kind, ...}``. ``key`` repeats the state that it answers, so that a
late frame is recognised. Arrays are never JSON: each is a :class:`Packed`, whose bytes travel as a
binary buffer of the message.
"""

from glasshead_backend.frames.pack import Packed, pack, quantise_rows
from glasshead_backend.frames.scene import axes, scene

__all__ = ["Packed", "axes", "pack", "quantise_rows", "scene"]
