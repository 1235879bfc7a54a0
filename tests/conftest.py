"""What the tests share: instruction sets, dtypes, a network's results and their comparison."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import JordanRNN, _core
from problems import LETTERS, Array, Case, Form, Problem

ISAS = _core.supported_isas()
DTYPES = ("float32", "float64")


def pytest_report_header() -> str:
    here = bptt.config()
    return (
        f"bptt {here['version']}: instruction sets tested: {', '.join(ISAS)} ({here['isa']} by default); "
        f"{here['threads']} threads; NumPy {np.__version__}, {platform.machine()}"
    )


# ---- Fixtures ----


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set that this machine runs; the one in use before is in use afterwards."""
    before = _core.isa()
    _core.set_isa(request.param)
    yield request.param
    _core.set_isa(before)


@pytest.fixture(params=DTYPES)
def dtype(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def threads() -> Iterator[None]:
    """For tests that change the number of threads: it is as before afterwards."""
    before = bptt.get_num_threads()
    yield
    bptt.set_num_threads(before)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder with other people's test vectors, which are not part of this project."""
    folder = os.environ.get("BPTT_DATA")
    if not folder:
        pytest.skip("BPTT_DATA names no folder with test vectors")
    return Path(folder)


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, with warnings as errors; of the variables that this package reads it has those given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BPTT_")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


# ---- A network's results, and comparison ----


def everything(rnn: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """All that a network computes of the arguments of `loss`."""
    initial, last = ("r0", "r_last") if isinstance(rnn, JordanRNN) else ("h0", "h_last")
    of_forward = ("x", initial, "lengths", "reset")
    run = rnn.forward(**{name: value for name, value in arguments.items() if name in of_forward})
    loss, gradients = rnn.loss_and_gradients(**arguments, wrt_x=rnn.input == "real")
    return {
        "loss alone": rnn.loss(**arguments),
        "loss": loss,
        **{letter: getattr(gradients, letter) for letter in (*LETTERS, initial)},
        "x": gradients.x,
        "h": run.h,
        "o": run.o,
        "y_hat": run.y_hat,
        "last": getattr(run, last),
        "last of the gradients": getattr(gradients, last),
    }


def by_sequence(results: dict[str, Any], form: Form, case: Case) -> dict[str, Any]:
    """The same results whatever the form: of steps, a list with an array a sequence; else an array with a row each."""
    of_steps = {"x", "h"} | ({"o", "y_hat"} if case.readout == "all" else set())
    of_sequences = {"h0", "r0", "o", "y_hat", "last", "last of the gradients"} - of_steps
    changed = dict(results)
    for name, result in results.items():
        if result is not None and name in of_steps:
            changed[name] = [*steps_by_sequence(result, form, case.lengths)]
        elif name in of_sequences and form == "single":
            changed[name] = result[None]
    return changed


def steps_by_sequence(result: Any, form: Form, lengths: tuple[int, ...]) -> Iterator[Array]:
    if form in ("single", "list"):
        sequences = [result] if form == "single" else result
        assert isinstance(sequences, list)
        yield from sequences
        return
    assert result.shape[:2] == (max(lengths), len(lengths))
    for i, length in enumerate(lengths):
        assert not result[length:, i].any(), "beyond a length, a result is 0"
        yield result[:length, i]


def deviation(actual: Any, expected: Any) -> float:
    """The largest difference as a fraction of the largest magnitude expected; infinite for NaN and where 0 is not 0."""
    if isinstance(expected, list):
        assert len(actual) == len(expected)
        shapes = [a.shape for a in actual], [e.shape for e in expected]
        actual, expected = (np.concatenate([np.ravel(part) for part in both]) for both in (actual, expected))
    else:
        shapes = np.shape(actual), np.shape(expected)
    assert shapes[0] == shapes[1]
    if np.size(expected) == 0:
        return 0.0
    difference = float(np.abs(np.asarray(actual, np.float64) - expected).max())
    scale = float(np.abs(expected).max())
    if difference == 0.0:
        return 0.0
    return difference / scale if scale > 0.0 and math.isfinite(difference) else math.inf


def assert_close(actual: dict[str, Any], expected: dict[str, Any], *, forward: float, gradients: float) -> None:
    """Two results by sequence agree within these fractions of each array's largest magnitude."""
    assert list(actual) == list(expected)
    for name in actual:
        if expected[name] is None:
            assert actual[name] is None
            continue
        tolerance = gradients if name in (*LETTERS, "h0", "r0", "x") else forward
        found = deviation(actual[name], expected[name])
        assert found <= tolerance, f"{name}: off by {found:.3g} of the largest magnitude, more than {tolerance:.3g}"


def same_bits(a: Any, b: Any) -> bool:
    """Whether two results have the same shapes, dtypes and bits."""
    if isinstance(a, dict):
        return list(a) == list(b) and all(same_bits(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same_bits, a, b))
    if isinstance(a, float):
        return isinstance(b, float) and a.hex() == b.hex()
    if a is None:
        return b is None
    assert isinstance(a, np.ndarray)
    assert isinstance(b, np.ndarray)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def check_forms(p: Problem, dtype: str, tolerance: float) -> None:
    """A list, a padded batch, a batch, one sequence after another: equal bits, save where sums have another order."""
    case, rnn = p.case, p.network(dtype)
    together = by_sequence(everything(rnn, p.arguments("list")), "list", case)
    forms: list[Form] = ["padded"] if len(set(case.lengths)) > 1 else ["padded", "batch"]
    for form in forms:
        assert same_bits(by_sequence(everything(rnn, p.arguments(form)), form, case), together), form

    alone = []
    for i in range(len(case.lengths)):
        part = p.part(i)
        alone.append(by_sequence(everything(rnn, part.arguments("single")), "single", part.case))
        for form in ("batch", "list", "padded") if i < 2 else ():
            assert same_bits(by_sequence(everything(rnn, part.arguments(form)), form, part.case), alone[i]), form
    for name in ("h", "o", "y_hat", "last"):
        one_by_one = [results[name][0] for results in alone]
        assert all(map(same_bits, one_by_one, together[name])), name
    if case.feedback is not None and 0 < case.teacher_forcing < 1:
        return  # what a step draws depends on its sequence's place
    # The sum over sequences has another order, and what cancels in it was larger: measured by its terms, not by itself.
    for name in ("loss", *LETTERS):
        terms = np.array([results[name] for results in alone], np.float64)
        scale = np.abs(terms).sum(axis=0).max(initial=0.0)
        assert np.abs(together[name] - terms.sum(axis=0)).max(initial=0.0) <= tolerance * scale, name
    for name in (case.initial, "x"):
        if together[name] is not None:
            for i, results in enumerate(alone):
                scale = np.abs(results[name][0]).max(initial=0.0)
                assert np.abs(together[name][i] - results[name][0]).max(initial=0.0) <= tolerance * scale, name


def central_differences(rnn: Any, arguments: dict[str, Any], name: str) -> Array:
    """The gradient of the loss with respect to one of its arguments, an array, in float64."""
    values = arguments[name].copy()
    differences: Array = np.empty_like(values)
    for place in np.ndindex(*values.shape):
        middle = values[place]
        losses = []
        for step in (-1e-5, 1e-5):
            values[place] = middle + step
            losses.append(rnn.loss(**{**arguments, name: values}))
        values[place] = middle
        differences[place] = (losses[1] - losses[0]) / 2e-5
    return differences
