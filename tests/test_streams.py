"""Streams: a step, a block of steps and `forward` give the same bits, and a step takes nothing from the system."""

from __future__ import annotations

import copy
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import bptt
from bptt import ElmanRNN, JordanRNN, reference
from cases import INPUTS, OUTPUTS, Options, cycled, each
from core import DTYPES, ISAS
from interpreter import run_python
from refusals import refuses
from results import same_bits

STEPS = 53  # several blocks of steps that go together, and a part of one
KINDS: list[Options] = [
    {},
    {"activation": "relu"},
    {"readout": "last"},
    {"n_hidden": (9, 5)},
    {"n_hidden": (33, 17, 64), "activation": "relu"},
    {"leak": 0.3},
    {"n_hidden": (9, 5), "leak": [0.2, [1.0, 0.5, 0.05, 0.7, 0.9]], "activation": "relu"},
    {"learn_h0": True},
    {"feedback": "y_hat"},
    {"feedback": "o", "activation": "relu"},
]
BATCHES = (None, 1, 2, 5, 9, 50)


def network(n_in: int, width: int, n_out: int, **options: Any) -> Any:
    """A network of a kind: of several layers where the kind says so."""
    kind = JordanRNN if "feedback" in options else ElmanRNN
    return kind(n_in, options.pop("n_hidden", width), n_out, seed=3, **options)


def inputs(rnn: Any, steps: int, batch: int | None, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    leading = (steps,) if batch is None else (steps, batch)
    if rnn.input == "token":
        return random.integers(0, rnn.n_in, leading)
    return random.standard_normal((*leading, rnn.n_in)).astype(rnn.dtype)


def last_state(run: Any) -> Any:
    if isinstance(run, bptt.JordanRun):
        return run.r_last
    return run.v_last if hasattr(run, "v_last") else run.h_last


# ---- The same bits ----


@cycled(
    isa=ISAS,
    dtype=DTYPES,
    options=KINDS,
    input=INPUTS,
    output=OUTPUTS,
    sizes=[(1, 1, 1), (3, 7, 2), (17, 16, 33), (5, 32, 16), (0, 31, 7), (16, 65, 5), (9, 130, 31)],
    batch=BATCHES,
)
def test_steps_blocks_and_forward_have_the_same_bits(
    isa: str, dtype: str, options: Options, input: str, output: str, sizes: tuple[int, int, int], batch: int | None
) -> None:
    n_in, n_hidden, n_out = sizes
    n_in = max(n_in, 1) if input == "token" else n_in
    rnn = network(n_in, n_hidden, n_out, **{**options, "input": input, "output": output, "dtype": dtype})
    x = inputs(rnn, STEPS, batch)
    run = rnn.forward(x)
    every_step = rnn.forward(x).o if getattr(rnn, "readout", "all") == "all" else None
    stream = rnn.stream(batch=batch)
    steps = np.array([stream.step(x_t) for x_t in x])
    assert same_bits(stream.state, last_state(run))
    assert same_bits(np.asarray(stream.y_hat()), np.asarray(run.y_hat if every_step is None else run.y_hat[-1]))
    assert same_bits(steps if every_step is not None else steps[-1], every_step if every_step is not None else run.o)
    for block in (1, 16, 64, 480):
        stream.reset()
        blocks = np.concatenate([stream.run(x[t : t + block]) for t in range(0, STEPS, block)])
        assert same_bits(blocks, steps)
        assert same_bits(stream.state, last_state(run))


@each(KINDS)
def test_steps_are_those_of_the_reference(options: Options) -> None:
    """Every step's o(t), from an h(0), beside plain loops over Python's floats."""
    rnn = network(3, 6, 4, dtype="float64", **options)
    if isinstance(rnn, ElmanRNN) and rnn.readout == "last":
        return  # `forward` gives one output: the steps before it are the test's above
    x, random = inputs(rnn, 9, None), np.random.default_rng(1)
    widths = rnn.n_hidden if isinstance(rnn.n_hidden, tuple) else (rnn.n_hidden,)
    if isinstance(rnn, JordanRNN):
        state: Any = random.random(4)
        stream, run = rnn.stream(r0=state), rnn.forward(x, r0=state)
    else:
        state = [random.random(n) for n in widths]
        state = state if len(widths) > 1 else state[0]
        given = {"h0" if rnn.leak == 1.0 else "v0": state}
        stream, run = rnn.stream(**given), rnn.forward(x, **given)
    o = np.array([stream.step(x_t) for x_t in x])
    assert same_bits(o, run.o)
    # The equations themselves, in float64: sums of at most 40 terms, some units in the last place each
    h = [np.asarray(s) for s in (state if isinstance(state, list) else [state])]
    f: Callable[[Any], Any] = np.tanh if rnn.activation == "tanh" else lambda a: np.maximum(a, 0)
    leak = rnn.leak if isinstance(rnn, ElmanRNN) else 1.0
    alphas = [np.asarray(alpha) for alpha in (leak if isinstance(leak, list) else [leak] * len(h))]
    v = h
    if leak != 1.0:
        h = [f(v_k) for v_k in v]
    for t, x_t in enumerate(x):
        below = x_t
        for k, layer in enumerate(rnn.layers):
            seen = h[k]
            a = layer.b + layer.W @ seen + layer.U @ below
            v[k] = (1 - alphas[k]) * v[k] + alphas[k] * a if leak != 1.0 else a
            value = f(v[k])
            if isinstance(rnn, ElmanRNN):
                h[k] = value
            below = value
        expected = rnn.c + rnn.V @ below
        if isinstance(rnn, JordanRNN):
            e = np.exp(expected - expected.max())
            h[0] = expected if rnn.feedback == "o" else e / e.sum()
        np.testing.assert_allclose(o[t], expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("batch", [None, 3, 40])
def test_a_step_that_is_given_y_sees_it(output: reference.Output, batch: int | None) -> None:
    """Teacher forcing by hand: y(t-1) in place of what the network fed back. Of classes, its one-hot vector."""
    rnn = JordanRNN(2, 7, 4, output=output, seed=1)
    x, random = inputs(rnn, 6, batch), np.random.default_rng(2)
    leading = x.shape[:-1]
    vectors = np.zeros((*leading, 4), np.float32)
    if output == "softmax":
        y: Any = random.integers(-1, 4, leading)
        for place in np.ndindex(leading):
            if y[place] >= 0:
                vectors[place][y[place]] = 1
    else:
        y = vectors = random.random((*leading, 4)).astype(np.float32)
    expected = np.array([rnn.forward(x_t[None], r0=r).o[0] for x_t, r in zip(x, vectors, strict=True)])
    stream = rnn.stream(batch=batch)
    assert same_bits(np.array([stream.step(x_t, y=y_t) for x_t, y_t in zip(x, y, strict=True)]), expected)
    assert same_bits(stream.run(x, y=y), expected)
    if batch is None and output == "softmax":
        assert same_bits(np.array([stream.step(x_t, y=int(y_t)) for x_t, y_t in zip(x, y, strict=True)]), expected)
    free = stream.step(x[0])  # and goes on with its own
    last = rnn.forward(x[-1:], r0=vectors[-1])
    assert same_bits(free, rnn.forward(x[:1], r0=last.r_last).o[0])


# ---- Forms of arguments ----


@pytest.mark.parametrize("batch", [None, 4])
def test_any_array_is_read(batch: int | None) -> None:
    rnn = ElmanRNN(3, 8, 2, seed=0)
    x = inputs(rnn, 10, batch)
    expected = rnn.forward(x).o
    forms: list[Callable[[Any], Any]] = [
        lambda a: a.astype(np.float64),
        lambda a: a.astype(">f4"),
        lambda a: np.asfortranarray(a),
        lambda a: a.tolist(),
        lambda a: np.repeat(a, 2, -1)[..., ::2],
    ]
    for form in forms:
        stream = rnn.stream(batch=batch)
        assert same_bits(np.array([stream.step(form(x_t)) for x_t in x]), expected)
        stream.reset()
        assert same_bits(stream.run(form(x)), expected)
        assert same_bits(stream.step(x_t=form(x[0])), rnn.forward(x[:1], h0=rnn.forward(x).h_last).o[0])


def test_tokens_are_ints_or_arrays() -> None:
    rnn = ElmanRNN(5, 8, 5, input="token", seed=0)
    expected = rnn.forward(np.array([3, 1])).o
    kinds: list[Any] = [int, np.int64, np.int8, np.array]
    for kind in kinds:
        stream = rnn.stream()
        assert same_bits(stream.step(kind(3)), expected[0])
        assert same_bits(stream.step(kind(1)), expected[1])
    both = rnn.stream(batch=2)
    assert same_bits(both.step([3, 3])[1], expected[0])


def test_results_in_memory_that_is_given() -> None:
    rnn = ElmanRNN(3, 8, 3, output="linear", seed=0)
    x = inputs(rnn, 200, None)
    expected = rnn.forward(x).o
    stream, out = rnn.stream(), np.empty(3, np.float32)
    for x_t, o_t in zip(x, expected, strict=True):
        assert stream.step(x_t, out=out) is out
        assert same_bits(out, o_t)
    wide = np.full((200, 6), np.nan, np.float32)
    stream.reset()
    assert stream.run(x, out=wide[:, ::2]).base is wide
    assert same_bits(wide[:, ::2].copy(), expected)
    assert np.isnan(wide[:, 1::2]).all()
    for shift in (0, 1, 5):  # in the memory of x itself, and beside it
        memory = np.zeros((200 + shift, 3), np.float32)
        memory[shift:] = x
        stream.reset()
        assert same_bits(stream.run(memory[shift:], out=memory[:200]).copy(), expected)


@pytest.mark.parametrize("batch", [1, 16, 24])
def test_results_in_memory_that_lies_partly_on_the_input(batch: int, threads: None) -> None:
    """Also where threads share the sequences of a step."""
    rnn = ElmanRNN(200, 200, 200, output="linear", seed=0)
    x = inputs(rnn, 1, batch)[0]
    expected = rnn.forward(x[None]).o[0]
    for n, shift in ((1, 0), (2, 0), (2, 1), (2, batch // 2), (3, -1)):
        bptt.set_num_threads(n)
        memory = np.zeros((batch + batch, 200), np.float32)
        begin = max(0, -shift)
        memory[begin : begin + batch] = x
        out = memory[begin + shift : begin + shift + batch]
        assert same_bits(rnn.stream(batch=batch).step(memory[begin : begin + batch], out=out).copy(), expected)


def test_objects_that_are_not_whole() -> None:
    class Early(bptt.Stream):
        def __init__(self) -> None:
            self._read_state()

    class Never(bptt.Stream):
        def __init__(self) -> None:
            pass

    message = "stream: expected one that rnn.stream() has made"
    empty = bptt.Stream.__new__(bptt.Stream)
    refuses(lambda: empty.step(1), TypeError, message)
    refuses(lambda: empty._read_state(), TypeError, message)
    refuses(lambda: empty._write_state([]), TypeError, message)
    refuses(lambda: empty._refresh(np.zeros(3)), TypeError, message)
    refuses(lambda: empty.step(1), TypeError, message)
    refuses(Early, TypeError, message)
    with pytest.raises(TypeError):
        Never()
    stream = ElmanRNN(3, 8, 2, seed=0).stream()
    refuses(lambda: stream.__init__(ElmanRNN(3, 8, 2), None, None), TypeError,  # type: ignore[misc]
            "stream: expected one call of __init__, got a second one")  # fmt: skip
    with pytest.raises(AttributeError):
        stream.batch = 5  # type: ignore[misc]


def test_what_is_refused() -> None:
    rnn, tokens, jordan = ElmanRNN(3, 8, 2, seed=0), ElmanRNN(4, 8, 2, input="token"), JordanRNN(3, 8, 2, seed=0)
    one, four, x = rnn.stream(), rnn.stream(batch=4), np.zeros(3, np.float32)
    r: list[tuple[Callable[[], object], type[Exception], str]] = [
        (lambda: one.step(np.zeros(4, np.float32)), ValueError, "x_t: expected [3], got (4,)"),
        (lambda: one.step(np.zeros((1, 3))), ValueError, "x_t: expected [3], got (1, 3)"),
        (lambda: one.step("x"), TypeError, "x_t: expected float32 or what converts to it safely, got <U1"),
        (lambda: one.step(np.zeros(3, complex)), TypeError,
         "x_t: expected float32 or what converts to it safely, got complex128"),
        (lambda: four.step(x), ValueError, "x_t: expected [4, 3], got (3,)"),
        (lambda: one.run(x), ValueError, "x: expected [steps, 3], got (3,)"),
        (lambda: one.run(3.0), ValueError, "x: expected [steps, 3], got ()"),
        (lambda: one.run(np.zeros((0, 3))), ValueError, "x: expected at least one time step, got none"),
        (lambda: one.step(x, y=0), ValueError,
         "y: expected None, as what the steps of an ElmanRNN see is their state"),
        (lambda: one.step(x, out=np.zeros(2)), TypeError, "out: expected float32, got float64"),
        (lambda: one.step(x, out=np.zeros(3, np.float32)), ValueError, "out: expected [2], got (3,)"),
        (lambda: one.step(x, out=cast(Any, [0, 0])), TypeError, "out: expected an array, got list"),
        (lambda: one.step(), TypeError, "step(): missing argument x_t"),  # type: ignore[call-arg]
        (lambda: cast(Any, one).step(x, x), TypeError,
         "step(): expected every argument after x_t by name"),
        (lambda: one.step(x, to=x), TypeError, "step(): unexpected argument to"),  # type: ignore[call-arg]
        (lambda: one.run(), TypeError, "run(): missing argument x"),  # type: ignore[call-arg]
        (lambda: tokens.stream().step(4), ValueError, "x_t: expected tokens in [0, 4), got 4"),
        (lambda: tokens.stream().step(-1), ValueError, "x_t: expected tokens in [0, 4), got -1"),
        (lambda: tokens.stream().step(2**70), TypeError,
         "x_t: expected integers, got object"),
        (lambda: tokens.stream().step(1.0), TypeError,
         "x_t: expected integers, got float64"),
        (lambda: tokens.stream(batch=2).run([[0, 1], [2, 9]]), ValueError,
         "x: expected tokens in [0, 4), got 9 at step 1 of sequence 1"),
        (lambda: jordan.stream().step(x, y=2), ValueError, "y: expected classes in [0, 2), or -1 for none, got 2"),
        (lambda: jordan.stream().step(x, y=[1, 0]), ValueError, "y: expected one number, got (2,)"),
        (lambda: ElmanRNN(3, 8, 2, bidirectional=True).stream(), ValueError,
         "bidirectional: expected False for a stream, as the reverse direction begins at the end"),
        (lambda: rnn.stream(batch=0), ValueError, "batch: expected at least 1, got 0"),
        (lambda: rnn.stream(np.zeros(8), batch=2), ValueError,
         "h0: expected a row for each of the 2 sequences, got one without that axis"),
        (lambda: rnn.stream(np.zeros((3, 8)), batch=2), ValueError, "h0: expected 2 rows, as batch says, got 3"),
        (lambda: rnn.stream(np.zeros(7)), ValueError, "h0: expected [8] or [batch, 8], got (7,)"),
        (lambda: setattr(one, "state", np.zeros((1, 8))), ValueError,
         "state: expected that of one sequence, got (1, 8)"),
        (lambda: setattr(four, "state", np.zeros((3, 8))), ValueError,
         "state: expected that of 4 sequences, got (3, 8)"),
        (lambda: one.reset([True]), ValueError, "mask: expected None, as the stream has a single sequence"),
        (lambda: four.reset([True]), ValueError, "mask: expected [4], got (1,)"),
        (lambda: four.reset(np.zeros(4)), TypeError, "mask: expected bool or what converts to it safely, got float64"),
        (lambda: copy.copy(one), TypeError,
         "stream: expected no copy and no pickle of it; make another one, and assign its state"),
        (lambda: pickle.dumps(one), TypeError,
         "stream: expected no copy and no pickle of it; make another one, and assign its state"),
    ]  # fmt: skip
    before = one.step(x)
    state = one.state
    for call, error, message in r:
        refuses(call, error, message)
    assert same_bits(one.state, state)
    read_only = np.zeros(2, np.float32)
    read_only.flags.writeable = False
    refuses(lambda: one.step(x, out=read_only), ValueError,
            "out: expected an array that can be written, got a read-only one")  # fmt: skip
    one.reset()
    assert same_bits(one.step(x), before)


# ---- The state ----


@each(KINDS)
@pytest.mark.parametrize("batch", [None, 3])
def test_the_state_is_read_and_written(options: Options, batch: int | None) -> None:
    rnn = network(3, 8, 2, **options)
    x = inputs(rnn, 20, batch)
    stream, other = rnn.stream(batch=batch), rnn.stream(batch=batch)
    stream.run(x[:10])
    kept = stream.state
    other.state = kept
    assert same_bits(other.run(x[10:]), stream.run(x[10:]))
    assert not same_bits(stream.state, kept), "a copy, which later steps do not change"
    given = {"r0" if isinstance(rnn, JordanRNN) else "v0" if "leak" in options else "h0": kept}
    begun = rnn.stream(**given)
    assert begun.batch == batch
    steps = rnn.stream(**given)
    assert same_bits(begun.run(x[10:]), np.array([steps.step(x_t) for x_t in x[10:]]))
    begun.reset()
    assert same_bits(begun.state, kept)


def test_some_sequences_begin_anew() -> None:
    rnn = ElmanRNN(3, (8, 5), 2, seed=0)
    x = inputs(rnn, 12, 4)
    stream, mask = rnn.stream(batch=4), np.array([True, False, False, True])
    stream.run(x[:6])
    stream.reset(mask)
    reset = np.zeros((12, 4), bool)
    reset[6] = mask
    assert same_bits(stream.run(x[6:]), rnn.forward(x, reset=reset).o[6:])


def test_weights_are_read_when_asked_for() -> None:
    rnn = ElmanRNN(3, 8, 2, seed=0)
    x = inputs(rnn, 5, None)
    before, stream = rnn.forward(x).o, rnn.stream()
    rnn.parameters[:] *= 2
    assert same_bits(stream.run(x), before)
    stream.reset()
    stream.refresh()
    assert same_bits(stream.run(x), rnn.forward(x).o)
    kept = stream.state
    stream.refresh()
    assert same_bits(stream.state, kept)


def test_a_stream_at_rest() -> None:
    rnn = ElmanRNN(1, (8, 5), 1, output="linear", seed=0)
    rnn.layers[0].W[:] *= 0.5
    rnn.layers[1].W[:] *= 0.5
    rnn.layers[0].b[:] = 0.3
    silence = np.zeros(1, np.float32)
    stream = rnn.stream()
    first = float(stream.step(silence)[0])
    stream.reset()
    steps = stream.settle(silence)
    at_rest = stream.state
    o = stream.step(silence).copy()
    assert abs(first - float(o[0])) > 1e-3, "what a listener would hear"
    assert 1 < steps < 100
    stream.reset()
    assert same_bits(stream.state, at_rest)
    assert abs(float(stream.step(silence)[0]) - float(o[0])) < 1e-5
    assert stream.settle(silence, tolerance=1.0) == 1
    refuses(lambda: stream.settle(np.zeros(2)), ValueError, "x: expected [1], got (2,)")
    large = ElmanRNN(1, 16, 1, output="linear", activation="relu", seed=1)
    large.W[:] *= 0.9
    large.b[:] = np.linspace(0, 1000, 16)
    assert large.stream().settle(silence) > 1, "its largest numbers change by their last place for ever"
    ring = ElmanRNN(1, 2, 1, init=None, output="linear", activation="relu")
    ring.W[:] = [[0, 1], [1, 0]]  # h goes to and fro
    there = ring.stream(np.array([1.0, 0.0]))
    refuses(lambda: there.settle(silence, most_steps=7), ValueError,
            "tolerance: expected a state that stands still within 7 steps, got one that still changes by 1 a step, "
            "more than 1.90735e-06")  # fmt: skip
    assert there.state.tolist() == [1.0, 0.0]
    assert there.y_hat().tolist() == [0.0], "nor have its outputs changed"
    ring.W[:] = np.nan
    there.refresh()
    refuses(lambda: there.settle(silence), ValueError, "x: expected a finite state, got NaN or infinity after step 1")
    assert there.state.tolist() == [1.0, 0.0]
    refuses(lambda: there.settle(silence, tolerance=-1), ValueError, "tolerance: expected a number in [0, inf), got -1")


# ---- Several threads ----


def test_streams_of_several_threads_go_side_by_side() -> None:
    rnn = ElmanRNN(3, 40, 2, seed=0)
    x = inputs(rnn, 3000, None)
    expected = rnn.forward(x).o

    def steps(_: int) -> Any:
        stream = rnn.stream()
        return np.concatenate([np.array([stream.step(x_t) for x_t in x[:1500]]), stream.run(x[1500:])])

    with ThreadPoolExecutor(8) as pool:
        for o in pool.map(steps, range(16)):
            assert same_bits(o, expected)


@pytest.mark.parametrize("kind", [{"n_hidden": (160, 130)}, {"feedback": "y_hat"}, {"input": "token"}])
def test_threads_that_share_the_sequences_change_no_bit(kind: Options, threads: None) -> None:
    rnn = network(40, 160, 40, **kind)
    x = inputs(rnn, 40, 70)
    results = []
    for n in (1, 2, 3):
        bptt.set_num_threads(n)
        stream = rnn.stream(batch=70)
        results.append((stream.run(x[:37]), stream.step(x[37]), stream.run(x[38:]), stream.state))
    assert same_bits(results[0][0], rnn.forward(x[:37]).o)
    assert same_bits(results[0], results[1])
    assert same_bits(results[0], results[2])


def test_one_stream_serves_one_thread_at_a_time() -> None:
    rnn = ElmanRNN(3, 192, 2, seed=0)
    x = np.zeros((400_000, 3), np.float32)
    stream, begun, errors = rnn.stream(), threading.Event(), []

    def long() -> None:
        begun.set()
        stream.run(x)

    thread = threading.Thread(target=long)
    thread.start()
    begun.wait()
    while thread.is_alive():
        try:
            stream.step(x[0])
        except RuntimeError as error:
            errors.append(str(error))
            break
    thread.join()
    assert errors == [
        "stream: expected one call at a time, and another thread's is under way; give each its own stream"
    ]
    stream.step(x[0])


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
def test_a_long_run_can_be_stopped_and_leaves_the_stream_as_it_was() -> None:
    class Stop(Exception):
        pass

    def handler(*_: Any) -> None:
        raise Stop

    rnn = ElmanRNN(3, 192, 2, seed=0)
    x, stream = np.zeros((3_000_000, 3), np.float32), rnn.stream()
    stream.run(np.ones((10, 3), np.float32))
    before, former = (stream.state, stream.y_hat()), signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        begin = time.perf_counter()
        with pytest.raises(Stop):
            stream.run(x)
        assert time.perf_counter() - begin < 2  # all of it takes 10 s
    finally:
        signal.signal(signal.SIGALRM, former)
    assert same_bits((stream.state, stream.y_hat()), before)


# ---- Nothing is asked of the system ----

COUNTING = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
static unsigned long calls;
unsigned long counted(void) { return calls; }
#define COUNT(result, name, parameters, arguments) \
  result name parameters { \
    static result (*next) parameters; \
    if (!next) next = (result (*) parameters)dlsym(RTLD_NEXT, #name); \
    ++calls; \
    return next arguments; \
  }
COUNT(void*, malloc, (size_t n), (n))
COUNT(void*, realloc, (void* p, size_t n), (p, n))
COUNT(int, posix_memalign, (void** p, size_t a, size_t n), (p, a, n))
COUNT(void*, aligned_alloc, (size_t a, size_t n), (a, n))
COUNT(void*, mmap, (void* p, size_t n, int a, int b, int c, long o), (p, n, a, b, c, o))
COUNT(int, madvise, (void* p, size_t n, int a), (p, n, a))
"""

COUNT_STEPS = """
import ctypes, itertools, sys
import numpy as np
import bptt
counted = ctypes.CDLL(sys.argv[1]).counted
counted.restype = ctypes.c_ulong
def of(call):
    for _ in itertools.repeat(None, 100):
        call()
    before = counted()
    for _ in itertools.repeat(None, 1000):
        call()
    return counted() - before
x, one, many = np.ones(3, np.float32), np.empty(2, np.float32), np.empty((100, 2), np.float32)
xs = np.ones((100, 3), np.float32)
numbers = []
for rnn in (bptt.ElmanRNN(3, 32, 2), bptt.ElmanRNN(3, (32, 17), 2), bptt.JordanRNN(3, 32, 2)):
    stream = rnn.stream()
    step, run = stream.step, stream.run
    numbers += [of(lambda: step(x, out=one)), of(lambda: run(xs, out=many))]
tokens = bptt.ElmanRNN(3, 32, 2, input="token").stream().step
numbers.append(of(lambda: tokens(1, out=one)))
print(*(n - of(lambda: None) for n in numbers), of(lambda: np.empty(100_000)) > 999)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="calls are counted by a library that Linux's linker puts in front")
def test_a_step_allocates_nothing(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler here")
    source, library = tmp_path / "counting.c", tmp_path / "counting.so"
    source.write_text(COUNTING)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", str(source), "-o", str(library), "-ldl"], check=True)
    counts = run_python(COUNT_STEPS, [str(library)], LD_PRELOAD=str(library), PYTHONMALLOC="malloc")
    assert counts.stdout.split() == ["0"] * 7 + ["True"], counts.stderr


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_step_makes_no_system_call(tmp_path: Path) -> None:
    code = (
        "import itertools, os, numpy as np, bptt\n"
        "x, out, stream = np.ones(3, np.float32), np.empty(2, np.float32), bptt.ElmanRNN(3, 32, 2).stream()\n"
        "xs, outs = np.ones((100, 3), np.float32), np.empty((100, 2), np.float32)\n"
        "for _ in range(2):\n"
        "    os.getppid()\n"
        "    for _ in itertools.repeat(None, 10_000): stream.step(x, out=out)\n"
        "    for _ in itertools.repeat(None, 100): stream.run(xs, out=outs)\n"
        "os.getppid()\n"
    )
    log = tmp_path / "calls"
    traced = subprocess.run(
        ["strace", "-f", "-o", str(log), sys.executable, "-c", code], capture_output=True, text=True
    )
    if traced.returncode != 0 and "ptrace" in traced.stderr:
        pytest.skip("this system lets no process be traced")
    assert traced.returncode == 0, traced.stderr
    calls = [line.split(maxsplit=1)[1].split("(")[0] for line in log.read_text().splitlines()]
    marks = [i for i, call in enumerate(calls) if call == "getppid"]
    assert len(marks) == 3
    assert calls[marks[1] + 1 : marks[2]] == []


def test_numbers_too_small_for_a_normal_float_count_as_zero() -> None:
    """And the thread's own mode is as before after a step."""
    rnn = ElmanRNN(1, 4, 1, init=None, output="linear", activation="relu")
    rnn.U[:], rnn.V[:] = 1e-20, 1
    stream = rnn.stream()
    assert float(stream.step(np.array([1e-20], np.float32))[0]) == 0
    assert float(np.float32(1e-20) * np.float32(1e-20)) > 0, "which NumPy itself still has"


# ---- What it says of itself ----


def test_what_a_stream_says_of_itself() -> None:
    rnn = ElmanRNN(3, 8, 2, seed=0)
    assert repr(rnn.stream()) == f"Stream({rnn!r})"
    assert repr(rnn.stream(batch=4)) == f"Stream({rnn!r}, batch=4)"
    assert rnn.stream(batch=4).network is rnn
    assert rnn.stream().y_hat().tolist() == [0.5, 0.5]
