"""How the documentation is built: Sphinx, Markdown by MyST, the reference from docstrings.

Nothing is fetched, neither while it is built nor while it is read: formulas are typeset while
building, fonts are the reader's own.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [
    str(HERE / "_extensions"),
    *(str(HERE.parent / root) for root in ("widgets", "kernel_backend")),
]

from glasshead import __version__  # noqa: E402

project = "Glasshead"
author = copyright = "The Glasshead contributors"  # noqa: A001  Sphinx's own name for it
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "formulas",
    "live",
    "outside_links",
    "reference",
]
exclude_patterns = ["_build"]
nitpicky = True

# --- Markdown -------------------------------------------------------------------------------------
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

# --- the reference, from docstrings ---------------------------------------------------------------
autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
numpydoc_show_class_members = False  # autodoc lists them
numpydoc_class_members_toctree = False
python_maximum_signature_line_length = 72
toc_object_entries_show_parents = "hide"

# --- the pages ------------------------------------------------------------------------------------
html_title = "Glasshead"
html_theme = "furo"
html_favicon = "_static/mark.svg"
html_static_path = ["_static"]
html_extra_path = ["_live"]  # what gallery.py has saved
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#1f5fb4",
        "color-brand-content": "#1f5fb4",
        "color-brand-visited": "#6a4fb3",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7fb2ff",
        "color-brand-content": "#7fb2ff",
        "color-brand-visited": "#b9a2f2",
    },
}
# Code in colours that can be read on either paper (WCAG AA).
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
