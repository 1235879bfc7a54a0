"""The directive `equation`: an equation of the book, and the lines of code that carry its number in a comment.

So the page cannot drift away from the code: an equation whose number no line carries is a warning, and with `-W` an error.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)
COMMENT = {".py": "#", ".cpp": "//", ".hpp": "//"}
LANGUAGE = {".py": "python", ".cpp": "cpp", ".hpp": "cpp"}
NUMBERS = re.compile(r"(?<![\d.])(\d+)\.(\d+)(?:-\1\.(\d+))?(?![\d.])")  # 10.8, or 10.19-10.21


def numbers_in(comment: str) -> set[str]:
    """All equations that a comment names."""
    found = set()
    for chapter, first, last in NUMBERS.findall(comment):
        found |= {f"{chapter}.{n}" for n in range(int(first), int(last or first) + 1)}
    return found


def statement(lines: list[str], at: int) -> list[str]:
    """The line that a comment stands beside; or, of a comment by itself, that comment and the statement below it."""
    chosen = [lines[at]]
    if lines[at].lstrip().startswith("//"):
        while at + 1 < len(lines) and len(chosen) < 6 and not re.search(r"[;{]\s*(//.*)?$", chosen[-1]):
            at += 1
            chosen.append(lines[at])
    margin = min(len(line) - len(line.lstrip()) for line in chosen)
    return [line[margin:].rstrip() for line in chosen]


def lines_with(numbers: set[str], paths: list[Path]) -> dict[Path, str]:
    """Files, and the lines in them whose comments name these equations: those that name the fewest others."""
    found: list[tuple[int, Path, list[str]]] = []
    for path in paths:
        mark, lines = COMMENT[path.suffix], path.read_text().splitlines()
        for at, line in enumerate(lines):
            code, _, comment = line.partition(mark)
            named = numbers_in(comment)
            # In Python a comment by itself is a remark; docstrings have no mark.
            if named & numbers and (code.strip() or mark == "//"):
                found.append((len(named ^ numbers), path, statement(lines, at)))
    nearest = min((distance for distance, _, _ in found), default=0)
    chosen: dict[Path, str] = {}
    for distance, path, texts in found:
        if distance == nearest:
            chosen[path] = "\n".join([*([chosen[path]] if path in chosen else []), *texts])
    return chosen


class Equation(SphinxDirective):
    """An equation in TeX, and its lines.

    The arguments are its numbers, which are sought in the code; the content is TeX. Option `note`: a few words before the number.
    """

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"note": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        numbers = self.arguments[0].split()
        tex = "\n".join(self.content)
        head = nodes.container(classes=["equation-head"])
        head += nodes.math_block(tex, tex, nowrap=False, number=None)
        head += nodes.inline("", ", ".join(f"({number})" for number in numbers), classes=["equation-number"])
        card = nodes.container("", head, classes=["equation"])
        for name, pattern in self.config.equations_in.items():
            paths = sorted(Path(self.env.srcdir).glob(pattern))
            for path in paths:
                self.env.note_dependency(str(path))
            shown = lines_with(set(numbers), paths)
            if not shown and name not in self.config.equations_missing_in:
                logger.warning("equation %s: no line of the %s carries its number", numbers, name, location=self.get_location())
            for path, text in shown.items():
                card += nodes.inline("", f"{name}: {path.name}", classes=["equation-file"])
                card += nodes.literal_block(text, text, language=LANGUAGE[path.suffix])
        return [card]


# ---- Equations as MathML ----


def visit_math(self: Any, node: nodes.math) -> None:
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def visit_math_block(self: Any, node: nodes.math_block) -> None:
    self.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("equations_in", {}, "env", dict)
    app.add_config_value("equations_missing_in", [], "env", list)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.add_directive("equation", Equation)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
