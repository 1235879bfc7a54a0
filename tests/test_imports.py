"""What `import bptt` brings into a process, and what waits until it is asked for."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from interpreter import run_python

AT_ONCE = {
    "bptt",
    "bptt._arrays",
    "bptt._checks",
    "bptt._core",
    "bptt._threads",
    "bptt._version",
    "bptt._whole_file",
    "bptt.networks",
    "bptt.networks.base",
    "bptt.networks.beams",
    "bptt.networks.chance",
    "bptt.networks.docstrings",
    "bptt.networks.drawing",
    "bptt.networks.elman",
    "bptt.networks.initial_weights",
    "bptt.networks.jordan",
    "bptt.networks.leak",
    "bptt.networks.load",
    "bptt.networks.model_file",
    "bptt.networks.options",
    "bptt.networks.parameters",
    "bptt.networks.results",
    "bptt.networks.sequences",
    "bptt.networks.states",
    "bptt.networks.stream",
    "bptt.networks.trainable",
    "bptt.schedules",
    "bptt.training",
    "bptt.training.batches",
    "bptt.training.history",
    "bptt.training.optimizer",
    "bptt.training.optimizers",
    "bptt.training.protocol",
    "bptt.training.schedules",
}


def imported(program: str) -> set[str]:
    """The modules that a program imports beyond those of NumPy, and of the programs that start Python here."""
    code = f"import sys, numpy, numpy.random\nbefore = set(sys.modules)\n{program}\nprint(*set(sys.modules) - before)"
    done = run_python(code)
    assert done.returncode == 0, done
    return set(done.stdout.split())


def test_import_brings_the_networks_and_nothing_else() -> None:
    modules = imported("import bptt")
    assert {name for name in modules if name.partition(".")[0] == "bptt"} == AT_ONCE
    others = {"safetensors", "tqdm", "argparse", "json", "keras", "onnx", "sklearn", "torch", "matplotlib", "pandas"}
    assert {name.partition(".")[0] for name in modules} & others == set()


def test_computing_imports_nothing_more() -> None:
    program = """
import bptt
rnn = bptt.ElmanRNN(2, 3, 2)
rnn.forward(numpy.zeros((4, 2)))
rnn.loss_and_gradients(numpy.zeros((4, 2)), [0, 1, 0, -1])
"""
    assert {name for name in imported(program) if name.startswith("bptt")} == AT_ONCE


def test_each_command_of_the_command_line_starts_without_pytorch_and_the_reference() -> None:
    modules = imported("import bptt.app.options")
    assert "bptt.app.commands.train" in modules
    others = {"bptt.reference", "bptt.networks.gradcheck", "onnx", "sklearn", "torch", "matplotlib", "pandas"}
    assert modules.isdisjoint(others)


def test_tasks_need_nothing_but_numpy() -> None:
    modules = imported("import bptt.tasks")
    assert {name for name in modules if name.partition(".")[0] == "bptt"} == AT_ONCE | {
        "bptt.tasks",
        *(f"bptt.tasks.{name}" for name in ("decision", "decisions", "epochs", "grammar", "ideal", "intervals")),
        *(f"bptt.tasks.{name}" for name in ("memory", "task")),
    }
    assert {name.partition(".")[0] for name in modules} - {"bptt"} <= sys.stdlib_module_names | {"numpy"}


@pytest.mark.parametrize(("name", "package"), [("torch", "PyTorch"), ("onnx", "ONNX"), ("sklearn", "scikit-learn")])
def test_an_optional_part_without_its_package_is_one_clear_line(name: str, package: str) -> None:
    done = run_python(f"import sys\nsys.modules[{name!r}] = None\nimport bptt\nimport bptt.{name}")
    expected = f'ImportError: bptt.{name}: expected {package} to be installed: pip install "bptt[{name}]"'
    assert done.stderr.splitlines()[-1] == expected
    assert "halted" not in done.stderr, "the error alone, and not what led to it"


def test_bptt_keras_without_keras_is_one_clear_line() -> None:
    program = "import sys\nsys.modules['keras'] = None\nimport bptt.keras\n"
    done = run_python(f"{program}bptt.keras.to_keras(bptt.ElmanRNN(2, 3, 2))")
    expected = 'ImportError: bptt.keras: expected Keras to be installed: pip install "bptt[keras]"'
    assert done.stderr.splitlines()[-1] == expected
    assert "halted" not in done.stderr


def test_bptt_forecast_without_pandas_is_one_clear_line() -> None:
    done = run_python("import sys\nsys.modules['pandas'] = None\nimport bptt\nimport bptt.forecast")
    expected = 'ImportError: bptt.forecast: expected pandas to be installed: pip install "bptt[tables]"'
    assert done.stderr.splitlines()[-1] == expected
    assert "halted" not in done.stderr, "the error alone, and not what led to it"


def test_bptt_plot_without_matplotlib_is_one_clear_line() -> None:
    done = run_python("import sys\nsys.modules['matplotlib'] = None\nimport bptt.analysis\nimport bptt.plot")
    expected = 'ImportError: bptt.plot: expected matplotlib to be installed: pip install "bptt[plot]"'
    assert done.stderr.splitlines()[-1] == expected
    assert "halted" not in done.stderr, "the error alone, and not what led to it"


def test_bptt_analysis_needs_numpy_alone() -> None:
    assert {name.partition(".")[0] for name in imported("import bptt.analysis")} & {
        "matplotlib",
        "scipy",
        "torch",
    } == set()


SUB_INTERPRETERS = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

def shared_lock():  # as the C API makes one by default; NumPy can be imported there
    if sys.version_info < (3, 12):
        return interpreters.create()
    return interpreters.create("legacy") if sys.version_info >= (3, 13) else interpreters.create(isolated=False)

code = "try: import bptt\\nexcept ImportError as error: print(error, flush=True)"
kinds = interpreters.create, shared_lock
before = [create() for create in kinds]
for own in before:
    interpreters.run_string(own, code)
import bptt
for own in before + [create() for create in kinds]:
    interpreters.run_string(own, code)
import numpy as np
print(bptt.ElmanRNN(2, 3, 2).forward(np.ones((1, 2))).y_hat.sum())
"""


@pytest.mark.skipif(
    not any(map(importlib.util.find_spec, ("_interpreters", "_xxsubinterpreters"))),
    reason="this Python does not offer sub-interpreters",
)
def test_import_in_a_sub_interpreter_is_an_error_at_once() -> None:
    done = run_python(SUB_INTERPRETERS)
    *messages, total = done.stdout.splitlines()
    assert done.returncode == 0, done
    assert len(messages) == 6, "before and after the import in the main interpreter, which goes on"
    for message in messages:
        assert "sub-interpreter" in message or "subinterpreter" in message, "ours, or Python's own"
    assert abs(float(total) - 1) < 1e-6
