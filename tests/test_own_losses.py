"""Losses of one's own: `backward` gives exact gradients, which of the network's own loss are those to the bit."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import ElmanRNN, JordanRNN
from cases import INPUTS, OUTPUTS, Options, cycled, each
from core import DTYPES, ISAS
from refusals import refuses
from results import same_bits

KINDS: list[Options] = [
    {},
    {"activation": "relu"},
    {"readout": "last"},
    {"n_hidden": (7, 5)},
    {"n_hidden": (6, 4), "readout": "last"},
    {"bidirectional": True},
    {"bidirectional": True, "readout": "last"},
    {"n_hidden": (6, 4), "bidirectional": True},
    {"leak": 0.3},
    {"n_hidden": (6, 4), "bidirectional": True, "leak": [0.3, 0.6]},
    {"n_hidden": (6, 4), "readout": "last", "leak": 0.6},
    {"feedback": "y_hat"},
    {"feedback": "o"},
    {"feedback": "y_hat", "teacher_forcing": 1.0},
    {"feedback": "o", "teacher_forcing": 0.5},
]
FORMS = ("single", "batch", "lengths", "list")
TAU, BATCH = 23, 6


class Problem:
    """A network, arguments in a form, and how to go through its results sequence by sequence."""

    def __init__(self, options: Options, form: str, tau: int = TAU, batch: int = BATCH, width: int = 9) -> None:
        options = dict(options)
        self.random = np.random.default_rng(3)
        forcing = options.pop("teacher_forcing", None)
        kind = JordanRNN if "feedback" in options else ElmanRNN
        self.rnn: Any = kind(3, options.pop("n_hidden", width), 4, seed=1, **options)
        rnn, random = self.rnn, self.random
        self.last = getattr(rnn, "readout", "all") == "last"
        self.form, self.lengths = form, random.integers(1, tau + 1, batch)
        x = random.standard_normal((tau, batch, 3)).astype(rnn.dtype)
        self.x = self.cut(random.integers(0, 3, (tau, batch)) if rnn.input == "token" else x)
        leading = (batch,) if self.last else (tau, batch)
        if rnn.output == "softmax":
            y: Any = random.integers(-1, 4, leading)
        else:
            y = random.random((*leading, 4)).astype(rnn.dtype)
        self.y = self.cut(y, self.last)
        self.more = {"reset": self.cut(random.random((tau, batch)) < 0.1)}
        if form == "lengths":
            self.more["lengths"] = self.lengths
        self.initial = "r0" if kind is JordanRNN else "v0" if "leak" in options else "h0"
        if kind is JordanRNN:
            self.of_loss = {"teacher_forcing": forcing or 0.0, "seed": 5}
            self.of_forward = {} if forcing is None else {"y": self.y, "teacher_forcing": forcing, "seed": 5}
        else:
            self.of_loss, self.of_forward = {}, {}

    def cut(self, array: Any, one_row: bool = False) -> Any:
        if self.form == "list" and not one_row:
            return [array[:length, i].copy() for i, length in enumerate(self.lengths)]
        if self.form == "single":
            return array[0] if one_row else array[:, 0].copy()
        return array

    def run(self) -> Any:
        return self.rnn.forward(self.x, gradient=True, **self.more, **self.of_forward)

    def random_like(self, result: Any) -> Any:
        if isinstance(result, list):
            return [self.random.standard_normal(part.shape) for part in result]
        return self.random.standard_normal(result.shape)


def dot(a: Any, b: Any, lengths: Any = None) -> float:
    if isinstance(a, list):
        return sum(float((u * v).sum()) for u, v in zip(a, b, strict=True))
    if lengths is not None and a.ndim == 3:
        return sum(float((a[:n, i] * b[:n, i]).sum()) for i, n in enumerate(lengths))
    return float((a * b).sum())


def own_gradient(rnn: Any, o: Any, y: Any) -> Any:
    """dL/do of the network's own loss (10.18), as a user would write it."""
    if isinstance(o, list):
        return [own_gradient(rnn, o_i, y_i) for o_i, y_i in zip(o, y, strict=True)]
    if rnn.output == "linear":
        return o - y
    y_hat = np.empty_like(o)
    bptt._core.output_unit(output=rnn.output, o=np.ascontiguousarray(o), y_hat=y_hat)
    if rnn.output == "sigmoid":
        return y_hat - y
    for place in np.ndindex(np.shape(y)):
        if y[place] >= 0:
            y_hat[place][y[place]] -= 1
        else:
            y_hat[place] = 0
    return y_hat


@cycled(isa=ISAS, dtype=DTYPES, options=KINDS, input=INPUTS, output=OUTPUTS, form=FORMS, batch=[1, 6, 40])
def test_the_networks_own_loss_has_the_bits_of_loss_and_gradients(
    isa: str, dtype: str, options: Options, input: str, output: str, form: str, batch: int
) -> None:
    p = Problem({**options, "dtype": dtype, "input": input, "output": output}, form, batch=batch)
    wrt_x = input == "real"
    _, expected = p.rnn.loss_and_gradients(p.x, p.y, wrt_x=wrt_x, **p.more, **p.of_loss)
    run = p.run()
    d_o = own_gradient(p.rnn, run.o, p.y)
    got = run.backward(d_o, wrt_x=wrt_x)
    assert same_bits(got.flat, expected.flat)
    assert same_bits(got.x, expected.x)
    assert same_bits(getattr(got, p.initial), getattr(expected, p.initial))
    assert same_bits(run.backward(d_o).flat, expected.flat), "a second time"


@pytest.mark.parametrize("threads_of_call", [1, 2, 3])
@each(KINDS)
def test_large_networks_and_threads_have_them_too(options: Options, threads_of_call: int, threads: None) -> None:
    bptt.set_num_threads(threads_of_call)
    options = {**options, **({"n_hidden": (170, 150)} if isinstance(options.get("n_hidden"), tuple) else {})}
    for form, batch in (("batch", 3), ("lengths", 60)):
        p = Problem(options, form, tau=60, batch=batch, width=170)
        _, expected = p.rnn.loss_and_gradients(p.x, p.y, **p.more, **p.of_loss)
        run = p.run()
        assert same_bits(run.backward(own_gradient(p.rnn, run.o, p.y)).flat, expected.flat)


@each(KINDS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("of", ["o", "h", "both"])
def test_gradients_are_central_differences(options: Options, form: str, of: str) -> None:
    """Of L = sum(A o) + sum(B h) + sum(C o^2) / 2: its error is of the order step^2 and rounding / step, in float64."""
    output = "linear" if options.get("feedback") != "y_hat" else "sigmoid"
    p = Problem({**options, "dtype": "float64", "output": output, "activation": "tanh"}, form)
    first = p.run()
    A, B, lengths = p.random_like(first.o), p.random_like(first.h), p.more.get("lengths")

    def loss() -> float:
        run = p.run()
        squares = [0.5 * o * o for o in run.o] if isinstance(run.o, list) else 0.5 * run.o * run.o
        ones = [np.ones_like(o) for o in run.o] if isinstance(run.o, list) else np.ones_like(run.o)
        of_o = dot(A, run.o, lengths) + dot(squares, ones, lengths) if of != "h" else 0.0
        return of_o + (dot(B, run.h, lengths) if of != "o" else 0.0)

    d_o = [a + o for a, o in zip(A, first.o, strict=True)] if isinstance(first.o, list) else A + first.o
    g = first.backward(d_o if of != "h" else None, B if of != "o" else None, wrt_x=True)
    places: list[tuple[Any, Any]] = [(p.rnn.parameters, g.flat)]
    places += [(p.x[0], g.x[0])] if isinstance(p.x, list) else [(p.x.reshape(-1), np.asarray(g.x).reshape(-1))]
    for values, gradients in places:
        flat = values.reshape(-1)
        for i in range(0, flat.size, 1 + flat.size // 25):
            before, step = flat[i], 1e-6
            flat[i] = before + step
            above = loss()
            flat[i] = before - step
            below = loss()
            flat[i] = before
            assert gradients.reshape(-1)[i] == pytest.approx((above - below) / (2 * step), rel=1e-6, abs=1e-6)


def test_the_parameters_of_the_run_count() -> None:
    """An optimizer may step between: and gradients are what an optimizer takes."""
    p = Problem({}, "batch")
    run = p.run()
    before = run.backward(run.o)
    bptt.Adam(0.1).step(p.rnn, before)
    assert same_bits(run.backward(run.o).flat, before.flat)
    assert not same_bits(p.run().backward(run.o).flat, before.flat)


def test_a_forced_run_sees_its_targets() -> None:
    p = Problem({"feedback": "y_hat", "teacher_forcing": 1.0}, "batch")
    run = p.rnn.forward(p.x, y=p.y, **p.more)
    one_step = [p.rnn.forward(p.x[:1], r0=np.zeros((BATCH, 4)), reset=p.more["reset"][:1])]
    for t in range(1, TAU):
        r = np.zeros((BATCH, 4), np.float32)
        r[np.arange(BATCH)[p.y[t - 1] >= 0], p.y[t - 1][p.y[t - 1] >= 0]] = 1
        one_step.append(p.rnn.forward(p.x[t : t + 1], r0=r, reset=p.more["reset"][t : t + 1]))
    np.testing.assert_allclose(run.o, np.concatenate([one.o for one in one_step]), rtol=0, atol=2e-6)
    assert same_bits(p.rnn.forward(p.x, y=p.y, teacher_forcing=0.0, **p.more).o, p.rnn.forward(p.x, **p.more).o)


def test_what_is_refused() -> None:
    rnn, jordan = ElmanRNN(3, 6, 2, seed=0), JordanRNN(3, 6, 2, seed=0)
    x = np.zeros((5, 4, 3), np.float32)
    run, plain = rnn.forward(x, gradient=True), rnn.forward(x)
    last = ElmanRNN(3, 6, 2, readout="last").forward(x, gradient=True)
    tokens = ElmanRNN(3, 6, 2, input="token").forward(np.zeros((5, 4), int), gradient=True)
    refuses(lambda: plain.backward(plain.o), ValueError,
            "gradient: expected a run of forward(..., gradient=True), which keeps what the way back needs")  # fmt: skip
    refuses(run.backward, ValueError, "d_o: expected dL/do, or dL/dh as d_h, got neither")
    refuses(lambda: run.backward(run.o[:4]), ValueError, "d_o: expected [5, 4, 2], got (4, 4, 2)")
    refuses(lambda: run.backward(d_h=run.o), ValueError, "d_h: expected [5, 4, 6], got (5, 4, 2)")
    refuses(lambda: last.backward(run.o), ValueError, "d_o: expected [4, 2], got (5, 4, 2)")
    refuses(lambda: run.backward(run.o * 1j), TypeError,
            "d_o: expected float32 or what converts to it safely, got complex64")  # fmt: skip
    refuses(lambda: run.backward(run.o, wrt_x=1), TypeError, "wrt_x: expected True or False, got 1")  # type: ignore[arg-type]
    refuses(lambda: tokens.backward(tokens.o, wrt_x=True), ValueError,
            "wrt_x: expected False, as a token has no gradient")  # fmt: skip
    refuses(lambda: rnn.forward(x, gradient=1), TypeError, "gradient: expected True or False, got 1")  # type: ignore[arg-type]
    refuses(lambda: jordan.forward(x, teacher_forcing=0.5), ValueError,
            "y: expected targets for the steps to see, as teacher_forcing is 0.5, got None")  # fmt: skip


def test_runs_are_pickled_with_what_they_keep() -> None:
    p = Problem({}, "list")
    run = p.run()
    d_o = [np.ones_like(o) for o in run.o]
    assert same_bits(pickle.loads(pickle.dumps(run)).backward(d_o).flat, run.backward(d_o).flat)
