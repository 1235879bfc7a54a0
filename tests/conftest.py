"""What the tests share: instruction sets, dtypes, random problems and the reference's answers to them."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

import bptt
from bptt import ElmanRNN, _core, reference

Array = NDArray[Any]
Form = Literal["single", "batch", "padded", "list"]

ISAS = _core.supported_isas()
DTYPES = ("float32", "float64")
INPUTS: tuple[reference.Input, ...] = ("real", "token")
OUTPUTS: tuple[reference.Output, ...] = ("softmax", "sigmoid", "linear")
READOUTS: tuple[reference.Readout, ...] = ("all", "last")
LETTERS = ("U", "W", "b", "V", "c")


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


# ---- Random problems, and the reference's answers ----


@dataclass(frozen=True)
class Case:
    """A problem in words: the same case is the same numbers."""

    n_in: int
    n_hidden: int
    n_out: int
    lengths: tuple[int, ...]
    input: reference.Input = "real"
    output: reference.Output = "softmax"
    readout: reference.Readout = "all"
    extras: bool = True  # h0, and weights with zeros among them

    @property
    def form(self) -> Form:
        """The form in which to pass it, where a test does not care."""
        if len(set(self.lengths)) > 1:
            return "padded"
        return "single" if len(self.lengths) == 1 else "batch"

    def __str__(self) -> str:
        sizes = f"{self.n_in}-{self.n_hidden}-{self.n_out}"
        equal = len(set(self.lengths)) == 1
        time = f"{self.lengths[0]}x{len(self.lengths)}" if equal else "ragged" + "_".join(map(str, self.lengths[:4]))
        return f"{self.input}-{self.output}-{self.readout}-{sizes}-{time}{'' if self.extras else '-plain'}"


@dataclass(frozen=True)
class Problem:
    """Numbers for a network and its arguments, one array a sequence; every one of them is a float32 exactly."""

    case: Case
    parameters: Array
    x: list[Array]
    y: Any  # a list with an array a sequence, or an array where the readout is the last step's
    h0: Array | None
    weight: Any

    def network(self, dtype: str) -> ElmanRNN:
        c = self.case
        options: dict[str, Any] = {"input": c.input, "output": c.output, "readout": c.readout, "dtype": dtype}
        rnn = ElmanRNN(c.n_in, c.n_hidden, c.n_out, init=None, **options)
        rnn.parameters = self.parameters
        return rnn

    def inputs(self, form: Form | None = None, beyond: float = 7.0) -> dict[str, Any]:
        """The arguments of `forward`. Beyond the lengths of a padded batch lies the number `beyond`."""
        form = form or self.case.form
        h0 = self.h0[0] if form == "single" and self.h0 is not None else self.h0
        return {
            "x": in_form(form, self.x, beyond),
            "h0": h0,
            "lengths": self.case.lengths if form == "padded" else None,
        }

    def arguments(self, form: Form | None = None, beyond: float = 7.0) -> dict[str, Any]:
        """The arguments of `loss`."""
        form = form or self.case.form

        def targets(values: Any) -> Any:
            if values is None:
                return None
            if self.case.readout == "all":
                return in_form(form, values, beyond)
            return values[0] if form == "single" else values

        return {**self.inputs(form, beyond), "y": targets(self.y), "weight": targets(self.weight)}

    def part(self, i: int) -> Problem:
        """Sequence i alone."""
        last = self.case.readout == "last"

        def one(values: Any) -> Any:
            return None if values is None else (values[i : i + 1] if last else [values[i]])

        case = Case(**{**vars(self.case), "lengths": self.case.lengths[i : i + 1]})
        h0 = None if self.h0 is None else self.h0[i : i + 1]
        return Problem(case, self.parameters, [self.x[i]], one(self.y), h0, one(self.weight))


def in_form(form: Form, sequences: list[Array], beyond: float) -> Any:
    """One array a sequence, as the argument that a user passes."""
    if form == "list":
        return list(sequences)
    if form == "single":
        return sequences[0]
    tau = max(map(len, sequences))
    dtype = sequences[0].dtype
    fill = beyond if dtype.kind == "f" else 10**9 if math.isnan(beyond) else int(beyond)
    padded = np.full((tau, len(sequences), *sequences[0].shape[1:]), fill, dtype)
    for i, sequence in enumerate(sequences):
        padded[: len(sequence), i] = sequence
    return padded


def representable(values: Array) -> Array:
    """Rounded to float32, kept as float64: both dtypes then compute the same problem."""
    return values.astype(np.float32).astype(np.float64)


@cache
def problem(case: Case, seed: int = 0) -> Problem:
    """Random numbers for a case, the same ones every time."""
    random = np.random.default_rng([seed, case.n_in, case.n_hidden, case.n_out, *case.lengths])
    batch, tau = len(case.lengths), max(case.lengths)
    # A state forgets the faster the farther from 0 it is, and where all is forgotten gradients are 0 in float32. So
    # long sequences are driven more gently. The spectral radius of W is 0.999.
    drive = min(1.0, 10.0 / tau)
    rnn = ElmanRNN(case.n_in, case.n_hidden, case.n_out, dtype="float64", seed=random)
    rnn.W *= 0.999
    rnn.b = drive * random.uniform(-0.5, 0.5, case.n_hidden)
    rnn.c = random.uniform(-0.5, 0.5, case.n_out)
    token = case.input == "token"
    x = [
        random.integers(0, case.n_in, n) if token else representable(drive * random.standard_normal((n, case.n_in)))
        for n in case.lengths
    ]
    if token:
        rnn.U *= drive

    counts = case.lengths if case.readout == "all" else (1,) * batch
    y, weight = [], []
    for n in counts:
        w = representable(random.choice([0.0, 0.5, 1.0, 2.3], n))
        if case.output == "softmax":
            y_i: Array = np.where(random.random(n) < 0.2, -1, random.integers(0, case.n_out, n))
            y_i[0] = random.integers(0, case.n_out)
        elif case.output == "sigmoid":
            y_i = representable(random.random((n, case.n_out)))
            y_i[random.random((n, case.n_out)) < 0.3] = 1.0
        else:
            y_i = representable(2.0 * random.standard_normal((n, case.n_out)))
        w[0] = 1.5
        if case.extras:  # where the weight is 0, the target is not read
            y_i[w == 0.0] = case.n_out + 5 if case.output == "softmax" else math.nan
        y.append(y_i)
        weight.append(w)
    return Problem(
        case,
        representable(rnn.parameters),
        x,
        y if case.readout == "all" else np.concatenate(y),
        representable(random.uniform(-0.9, 0.9, (batch, case.n_hidden))) if case.extras else None,
        (weight if case.readout == "all" else np.concatenate(weight)) if case.extras else None,
    )


def reference_parameters(rnn: ElmanRNN) -> reference.Parameters:
    """A network's parameters as the reference takes them."""
    letters = {letter: getattr(rnn, letter).astype(np.float64).tolist() for letter in LETTERS}
    return reference.Parameters(**letters)


def solve(p: Problem) -> dict[str, Any]:
    """The reference's results, under the names of `everything` and in the form of `by_sequence`."""
    case = p.case
    parameters = reference_parameters(p.network("float64"))
    options: dict[str, Any] = {"input": case.input, "output": case.output, "readout": case.readout}
    xs = [x.tolist() for x in p.x]
    h0s = None if p.h0 is None else p.h0.tolist()
    ys = [y.tolist() for y in p.y]
    weights = None if p.weight is None else [w.tolist() for w in p.weight]
    runs = [reference.forward(parameters, x, h0s and h0s[i], **options) for i, x in enumerate(xs)]
    loss, gradients = reference.batch_loss_and_gradients(parameters, xs, ys, h0s, weights, **options)

    def outputs(results: list[Any]) -> list[Array] | Array:
        return [np.array(o) for o in results] if case.readout == "all" else np.array(results)

    shapes = {**ElmanRNN.shapes(case.n_in, case.n_hidden, case.n_out), "h0": (len(xs), case.n_hidden)}
    return {
        "loss alone": loss,
        "loss": loss,
        **{letter: np.array(getattr(gradients, letter)).reshape(shape) for letter, shape in shapes.items()},
        "x": None if gradients.x is None else [np.array(x).reshape(len(x), case.n_in) for x in gradients.x],
        "h": [np.array(run.h) for run in runs],
        "o": outputs([run.o for run in runs]),
        "y_hat": outputs([run.y_hat for run in runs]),
        "h_last": np.array([run.h[-1] for run in runs]),
        "last states of the gradients": np.array([run.h[-1] for run in runs]),
    }


@cache
def answer(case: Case) -> dict[str, Any]:
    """The reference's results for a case, computed once for all instruction sets and dtypes."""
    return solve(problem(case))


# ---- A network's results, and comparison ----


def everything(rnn: ElmanRNN, arguments: dict[str, Any]) -> dict[str, Any]:
    """All that a network computes of the arguments of `loss`."""
    run = rnn.forward(arguments["x"], arguments["h0"], arguments["lengths"])
    loss, gradients = rnn.loss_and_gradients(**arguments, wrt_x=rnn.input == "real")
    return {
        "loss alone": rnn.loss(**arguments),
        "loss": loss,
        **{letter: getattr(gradients, letter) for letter in (*LETTERS, "h0")},
        "x": gradients.x,
        "h": run.h,
        "o": run.o,
        "y_hat": run.y_hat,
        "h_last": run.h_last,
        "last states of the gradients": gradients.h_last,
    }


def by_sequence(results: dict[str, Any], form: Form, case: Case) -> dict[str, Any]:
    """The same results whatever the form: of steps, a list with an array a sequence; else an array with a row each."""
    of_steps = {"x", "h"} | ({"o", "y_hat"} if case.readout == "all" else set())
    of_sequences = {"h0", "o", "y_hat", "h_last", "last states of the gradients"} - of_steps
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
        tolerance = gradients if name in (*LETTERS, "h0", "x") else forward
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
