"""Every example runs when the pages are built: the directive `example`, code in other files, and docstrings.

An example that fails ends the build. The examples of a page share their names and a folder, which is theirs alone. What
one prints stands below it.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import doctest
import importlib
import io
import os
import pkgutil
import re
import subprocess
import sys
import tempfile
import textwrap
import traceback
import warnings
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

LANGUAGES = ("python", "sh")


class Page:
    """What the examples of a page share."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self._folder = tempfile.TemporaryDirectory(prefix="example-")

    def run(self, source: str, language: str, where: str) -> str:
        """Run an example, and return what it prints."""
        return self._python(source, where) if language == "python" else self._sh(source, where)

    def _python(self, source: str, where: str) -> str:
        path, line = where.rsplit(":", 1)
        printed = io.StringIO()
        before = os.getcwd()
        os.chdir(self._folder.name)
        try:
            tree = ast.increment_lineno(ast.parse(source, path), int(line) - 1)
            with (
                contextlib.redirect_stdout(printed),
                contextlib.redirect_stderr(io.StringIO()),  # progress
                warnings.catch_warnings(),
            ):
                warnings.simplefilter("error")
                warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)  # of Keras itself
                exec(compile(tree, path, "exec"), self.names)
        except Exception as error:
            raise ExtensionError(f"{where}: the example fails\n{traceback.format_exc()}") from error
        finally:
            os.chdir(before)
        return printed.getvalue()

    def _sh(self, source: str, where: str) -> str:
        scripts = Path(sys.executable).parent  # of the environment that the pages are built in
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", source],
            cwd=self._folder.name,
            env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise ExtensionError(f"{where}: the example ends with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout


_pages: dict[str, Page] = {}


class Example(SphinxDirective):
    """Code that runs, and what it prints.

    The argument is the language, `python` by default. Options: `hidden` runs code that is not shown; `fails` names
    the exception that the code ends with, whose message is then what is shown; `figure` says in words what is seen on
    the figure that the code draws with matplotlib, which then stands below it.
    """

    has_content = True
    optional_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {
        "hidden": directives.flag,
        "fails": directives.unchanged_required,
        "figure": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        language = self.arguments[0] if self.arguments else LANGUAGES[0]
        if language not in LANGUAGES:
            raise self.error(f"example: expected {' or '.join(LANGUAGES)}, got {language!r}")
        source = "\n".join(self.content)
        output = self._output(source, language)
        if "hidden" in self.options:
            return []
        shown: list[nodes.Node] = [nodes.literal_block(source, source, language=language)]
        if output:
            block = nodes.literal_block(output.rstrip(), output.rstrip(), language="text")
            shown.append(nodes.container("", block, classes=["output"]))
        if "figure" in self.options:
            shown.append(nodes.image(uri=self._figure(), alt=self.options["figure"]))
        return shown

    def _figure(self) -> str:
        """The one figure that was drawn since the last: as SVG, the same bytes of the same figure."""
        from matplotlib import pyplot, rc_context

        if len(pyplot.get_fignums()) != 1:
            raise self.error(f"figure: expected one figure of matplotlib, got {len(pyplot.get_fignums())}")
        drawn = io.BytesIO()
        with rc_context({"svg.hashsalt": "bptt"}):
            pyplot.gcf().savefig(drawn, format="svg", metadata={"Date": None})
        pyplot.close("all")
        return f"data:image/svg+xml;base64,{base64.b64encode(drawn.getvalue()).decode()}"

    def _output(self, source: str, language: str) -> str:
        page = _pages.setdefault(self.env.docname, Page())
        path, fence = self.get_source_info()
        where = f"{path}:{fence + 1 + len(self.options)}"
        expected = self.options.get("fails")
        if expected is None:
            return page.run(source, language, where)
        try:
            page.run(source, language, where)
        except ExtensionError as error:
            cause = error.__cause__
            if type(cause).__name__ != expected:
                raise
            return f"{expected}: {cause}"
        raise ExtensionError(f"{where}: expected {expected}, but the example does not fail")


def forget(app: Sphinx, docname: str, source: list[str]) -> None:
    """A page that is read begins anew."""
    _pages.pop(docname, None)


def reread(app: Sphinx, env: Any, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """All pages are read in every build, as the package may have changed."""
    return sorted(env.found_docs - added - changed)


def run_files(app: Sphinx) -> None:
    """Run the Python code of files that are no pages."""
    for name in app.config.examples_in_files:
        path, page = Path(app.srcdir, name).resolve(), Page()
        text = path.read_text()
        blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.M | re.S))
        if not blocks:
            raise ExtensionError(f"{path}: expected examples in Python")
        for block in blocks:
            line = text.count("\n", 0, block.start(1)) + 1
            page.run(textwrap.dedent(block[1]), "python", f"{path}:{line}")


def run_docstrings(app: Sphinx) -> None:
    """Run the examples in the docstrings of a package."""
    if not app.config.examples_in_docstrings:
        return
    package = importlib.import_module(app.config.examples_in_docstrings)
    names: dict[str, Any] = {}
    exec(app.config.examples_before_docstrings, names)
    runner, report, found = doctest.DocTestRunner(verbose=False), io.StringIO(), 0
    inside = (module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."))
    modules = (name for name in inside if not name.endswith("__main__"))
    for module in [package.__name__, *modules]:
        for test in doctest.DocTestFinder().find(importlib.import_module(module), extraglobs=names):
            found += len(test.examples)
            with contextlib.redirect_stderr(io.StringIO()):
                runner.run(test, out=report.write)
    if runner.failures:
        raise ExtensionError(f"examples in docstrings fail\n{report.getvalue()}")
    if not found:
        raise ExtensionError(f"{package.__name__}: expected examples in docstrings")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("examples_in_files", [], "", list)
    app.add_config_value("examples_in_docstrings", "", "", str)
    app.add_config_value("examples_before_docstrings", "", "", str)
    app.add_directive("example", Example)
    app.connect("source-read", forget)
    app.connect("env-get-outdated", reread)
    app.connect("builder-inited", run_files)
    app.connect("builder-inited", run_docstrings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
