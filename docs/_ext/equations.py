"""The directive `equation`: an equation, and the lines of code that carry its number in a comment.

The numbers are those of the book; N.1 and so on are those of the page "Neurons".

So the page cannot drift away from the code: an equation whose number no line has is a warning, and with `-W` an error.
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
MOST_LINES = 10  # below a comment: of a longer function, the beginning
# What has numbers too: figures 10.3 and 10.5, figure 10.13 (a), section 10.2.1.
OTHERS = re.compile(r"\b(figure|section|chapter|algorithm)s?( [\d.-]+( \([a-z]\))?,?( and)?)+")
NUMBERS = re.compile(r"(?<![\d.])(\d+|\bN)\.(\d+)(?:-\1\.(\d+))?(?![\d.])")  # 10.8, or 10.19-10.21, or N.1


def numbers_in(comment: str) -> set[str]:
    """All equations that a comment names."""
    found = set()
    for chapter, first, last in NUMBERS.findall(OTHERS.sub("", comment)):
        found |= {f"{chapter}.{n}" for n in range(int(first), int(last or first) + 1)}
    return found


def statement(lines: list[str], at: int) -> list[str]:
    """The line that a comment stands beside; or, of a comment by itself, it and the declaration or function below."""
    end = at
    if lines[at].lstrip().startswith("//"):
        code, depth = "", 0
        while end + 1 < len(lines) and (depth > 0 or not re.search(r"[;}]\s*$", code)) and end - at < MOST_LINES:
            end += 1
            code = re.sub(r"//.*", "", lines[end])
            depth += code.count("{") - code.count("}")
    chosen = [line for line in lines[at : end + 1] if line.strip()]
    margin = min(len(line) - len(line.lstrip()) for line in chosen)
    return [line[margin:].rstrip() for line in chosen] + (["..."] if end - at == MOST_LINES else [])


def lines_with(numbers: set[str], paths: list[Path]) -> tuple[Path, str] | None:
    """The lines whose comments name these equations and the fewest others, of the first file that has such lines."""
    found: list[tuple[int, Path, str]] = []
    for path in paths:
        mark, lines = COMMENT[path.suffix], path.read_text().splitlines()
        for at, line in enumerate(lines):
            code, _, comment = line.partition(mark)
            named = numbers_in(comment)
            # In Python a comment by itself is a remark; docstrings have no mark.
            if named & numbers and (code.strip() or mark == "//"):
                found.append((len(named ^ numbers), path, "\n".join(statement(lines, at))))
    if not found:
        return None
    nearest, first, _ = min(found, key=lambda entry: entry[0])
    return first, "\n".join(text for distance, path, text in found if (distance, path) == (nearest, first))


def lines_of_all(groups: list[set[str]], paths: list[Path]) -> dict[Path, str] | None:
    """The lines of several equations, by file, each line once; None where one has none."""
    chosen: dict[Path, str] = {}
    for group in groups:
        if (found := lines_with(group, paths)) is None:
            return None
        path, text = found
        if text not in chosen.get(path, ""):
            chosen[path] = f"{chosen[path]}\n{text}" if path in chosen else text
    return chosen


def label(group: list[str]) -> str:
    return f"({group[0]})" if len(group) == 1 else f"({group[0]}-{group[-1]})"


class Equation(SphinxDirective):
    """An equation in TeX, and its lines in the reference and in the core.

    The arguments are its numbers, which are sought in the code: in one comment that has all of them, or with commas
    between them one by one. The content is TeX, with blank lines between equations. The option `in` names the files
    (without their endings) in which to look, instead of all.
    """

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"in": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        groups = [group.split() for group in self.arguments[0].split(",")]
        head = nodes.container(classes=["equation-head"])
        formulas = nodes.container(classes=["equation-formulas"])
        for tex in "\n".join(self.content).split("\n\n"):
            formulas += nodes.math_block(tex, tex, nowrap=False, number=None)
        head += formulas
        head += nodes.inline("", ", ".join(map(label, groups)), classes=["equation-number"])
        card = nodes.container("", head, classes=["equation"])
        for name, files in self.config.equations_in.items():
            paths = [path for path in (Path(self.env.srcdir, file).resolve() for file in files) if path.exists()]
            if "in" in self.options:
                paths = [path for path in paths if path.stem in self.options["in"].split()]
            for path in paths:
                self.env.note_dependency(str(path))
            shown = lines_of_all([set(group) for group in groups], paths)
            if shown is None:
                where = self.get_location()
                logger.warning("equation %s: no line of the %s has it", self.arguments[0], name, location=where)
            for path, text in (shown or {}).items():
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
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.add_directive("equation", Equation)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
