"""How the documentation becomes a site: `make docs`. docs/reference/ is generated."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import generate  # noqa: E402

from amlc import __version__  # noqa: E402

project = "amlc"
author = "the authors of amlc"
version = release = __version__
extensions = ["myst_parser"]
html_theme = "furo"
html_title = f"amlc {__version__}"
html_show_copyright = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
myst_heading_anchors = 3
exclude_patterns = ["**/.*"]
nitpicky = True

generate.write(HERE / "reference")
