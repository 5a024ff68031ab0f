"""Sphinx configuration of the documentation site.

Build: ``sphinx-build -W -b html docs work_dirs/site``.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sphinx.util.nodes import make_refnode  # noqa: E402

from mim_plugins import __version__  # noqa: E402

project = "mim_plugins"
author = "the mim_plugins authors"
copyright = author
version = release = __version__
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]

html_theme = "furo"
html_title = f"mim_plugins {release}"
html_theme_options = {"top_of_page_buttons": []}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"

myst_heading_anchors = 4  # named as on GitHub, so one link works in both places

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autodoc_member_order = "groupwise"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_preserve_defaults = True
maximum_signature_line_length = 60
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True


def link_by_last_name(app, env, node, contnode):
    """Resolve ``:class:`Name``` of a docstring wherever the API reference documents ``Name``."""
    if node.get("refdomain") != "py":
        return None
    python = env.domains["py"]
    last_name = node["reftarget"].rsplit(".", 1)[-1]
    found = sorted(name for name in python.objects if name.rsplit(".", 1)[-1] == last_name)
    if not found:
        return None
    page = python.objects[found[0]].docname
    return make_refnode(app.builder, node["refdoc"], page, found[0], contnode, found[0])


def setup(app):
    """Register :func:`link_by_last_name`."""
    app.connect("missing-reference", link_by_last_name)
