"""What `fit` shows in a notebook: a bar, with and without the widgets, and no warning."""

from __future__ import annotations

from typing import Any

import pytest

from interpreter import run_python

TRAINING = """
import warnings
warnings.simplefilter("error")
import numpy as np, bptt
x, y = np.ones((10, 4, 3), np.float32), np.zeros((10, 4), int)
history = bptt.ElmanRNN(3, 4, 2, seed=0).fit(x, y, optimizer=bptt.SGD(0.1), epochs=3)
"""
# A kernel, as far as tqdm asks for one: IPython itself is not needed here.
KERNEL = """
import sys, types
class ZMQInteractiveShell: pass
shell = ZMQInteractiveShell()
shell.config = {"IPKernelApp": {}}
for name in ("IPython", "ipykernel", "ipykernel.zmqshell"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["IPython"].get_ipython = lambda: shell
"""
WITHOUT_WIDGETS = "import sys; sys.modules['ipywidgets'] = None\n"


def test_without_widgets_the_bar_is_that_of_a_terminal() -> None:
    done = run_python(KERNEL + WITHOUT_WIDGETS + TRAINING)
    assert done.returncode == 0, done
    assert "100%|" in done.stderr
    assert ", loss 0." in done.stderr
    assert "Warning" not in done.stderr
    assert not done.stdout


def test_the_bar_is_that_of_tqdm_auto() -> None:
    """Whichever that is, also one that finds its widgets missing when it is made."""
    seen = "class Seen:\n    n = 0\n    disable = False\n    def __init__(self, **options): print(options['total'])\n"
    methods = "    set_postfix_str = update = close = lambda self, *args, **options: None\n"
    replaced = f"import tqdm.auto\n{seen}{methods}tqdm.auto.tqdm = Seen\n"
    done = run_python(f"{WITHOUT_WIDGETS}{replaced}{KERNEL}{TRAINING}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "120\n", "")
    refuses = "def refuses(**options): raise ImportError('IProgress not found')\nimport tqdm.auto\n"
    done = run_python(f"{WITHOUT_WIDGETS}{refuses}tqdm.auto.tqdm = refuses\n{KERNEL}{TRAINING}")
    assert done.returncode == 0, done
    assert "100%|" in done.stderr


def test_a_terminal_needs_no_more_than_tqdm_itself() -> None:
    program = f"import sys\nsys.stderr.isatty = lambda: True\n{TRAINING}print(*sys.modules)"
    done = run_python(program)
    assert done.returncode == 0, done
    assert "100%|" in done.stderr
    assert {"tqdm.auto", "asyncio"}.isdisjoint(done.stdout.split())


@pytest.mark.parametrize("widgets", [True, False])
def test_in_a_kernel_of_jupyter(widgets: bool) -> None:
    pytest.importorskip("ipykernel")
    pytest.importorskip("ipywidgets")
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cell = ("" if widgets else WITHOUT_WIDGETS) + TRAINING
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    outputs: list[Any] = notebook.cells[0].outputs
    texts = [output["text"] for output in outputs if output["output_type"] == "stream"]
    shown = [output["data"] for output in outputs if output["output_type"] == "display_data"]
    if widgets:
        assert texts == []
        assert any("application/vnd.jupyter.widget-view+json" in data for data in shown)
    else:
        assert shown == []
        assert "100%|" in "".join(texts)
        assert "Warning" not in "".join(texts)
