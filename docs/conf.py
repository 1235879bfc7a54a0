"""How these pages are built: `pip install ".[docs]" && sphinx-build -W docs docs/_build`."""

from __future__ import annotations

import sys
from pathlib import Path

import bptt

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
sys.path.append(str(Path(__file__).parent.parent / "examples"))  # some pages show their pictures

project = "bptt"
author = "the bptt authors"
release = version = bptt.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "numpydoc",
    "sphinx_copybutton",
    "examples",
    "equations",
    "public_names",
]
exclude_patterns = ["_build", "benchmark_*.md"]
html_theme = "furo"
html_title = f"bptt {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_copyright = False

# ---- Pages ----

myst_enable_extensions = ["colon_fence", "dollarmath", "attrs_block"]
myst_heading_anchors = 3
myst_links_external_new_tab = False
html_math_renderer = "mathml"  # made when a page is built: no script, no other site, any colour
copybutton_exclude = ".linenos, .gp, .go"
copybutton_selector = "div.highlight:not(.output *) > pre"  # what is printed is not copied

# ---- Docstrings ----

default_role = "literal"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings tell types, shapes and units
numpydoc_show_class_members = False  # they follow, each with its docstring

# ---- Examples and equations ----

equations_in = {  # of several files that have an equation, the first is shown
    "reference": [
        f"../python/bptt/reference/{name}.py"
        for name in ("layer", "readout", "stack", "feedback", "leak", "disturbance", "activity")
    ],
    "core": [
        f"../cpp/network/{name}"
        for name in (
            "step.hpp",
            "layer.hpp",
            "disturbance.hpp",
            "activity.hpp",
            "readout.cpp",
            "readout.hpp",
            "gradient_sums.hpp",
            "feedback.cpp",
            "bptt.hpp",
        )
    ],
}
examples_in_files = ["../README.md"]
examples_in_docstrings = "bptt"
examples_before_docstrings = """
import numpy as np
import bptt
from bptt import *
from bptt.schedules import *

rnn = bptt.ElmanRNN(3, 8, 2, seed=0)
x, y, i = np.ones((5, 3), np.float32), np.array([0, 1, 1, 0, -1]), 0
optimizer = bptt.Adam(1e-3)
_, gradients = rnn.loss_and_gradients(x, y)
"""
