"""Arguments as arrays in any layout, read where they lie; results that nobody else holds."""

from __future__ import annotations

import copy
import itertools
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bptt import SGD, ElmanRNN
from cases import INPUTS, NETWORKS, OUTPUTS, Options, cycled, each, make
from core import DTYPES
from problems import Array, Form, joined_state, problem, split_state
from results import by_sequence, everything, same_bits


def with_gaps(array: Array, *steps: int) -> Array:
    """The same numbers in memory with other numbers between them; a negative step turns the order in memory round."""
    shape = [abs(step) * n for step, n in zip(steps, array.shape, strict=True)]
    wide = np.full(shape, 99 if array.dtype.kind == "i" else np.nan, array.dtype)
    view: Array = wide[tuple(slice(None, None, step) for step in steps)]
    view[...] = array
    return view


def unaligned(array: Array) -> Array:
    memory = np.empty(array.nbytes + 1, np.uint8)
    view: Array = np.ndarray(array.shape, array.dtype, memory.data, offset=1)
    view[...] = array
    return view


def in_records(array: Array) -> Array:
    """One field of records: strides that are no multiple of the element's size."""
    records = np.zeros(array.shape, np.dtype([("other", np.uint8), ("value", array.dtype)]))
    records["value"] = array
    values: Array = records["value"]
    return values


def read_only(array: Array) -> Array:
    fixed: Array = array.copy()
    fixed.flags.writeable = False
    return fixed


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "batch first": lambda a: np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1) if a.ndim > 1 else a,
    "Fortran order": np.asfortranarray,
    "negative strides": lambda a: with_gaps(a, *[-1, -1, 1][: a.ndim]),
    "every other row": lambda a: with_gaps(a, *[2, 2, 1][: a.ndim]),
    "gaps everywhere": lambda a: with_gaps(a, *[3, -2, 2][: a.ndim]),
    "last axis turned round": lambda a: with_gaps(a, *[1, 1, -1][3 - a.ndim :]),
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "read-only": read_only,
    "not aligned": unaligned,
    "a field of records": in_records,
}


@cycled(layout=[*LAYOUTS], options=NETWORKS, input=INPUTS, output=OUTPUTS, dtype=DTYPES)
def test_any_memory_layout(layout: str, options: Options, input: str, output: str, dtype: str) -> None:
    p = problem(make(4, 11, 5, (6,) * 5, input=input, output=output, **options))
    case, rnn, arguments = p.case, p.network(dtype), p.arguments()
    states = split_state(case, arguments.pop(case.initial))
    arrays = {name: value for name, value in arguments.items() if isinstance(value, np.ndarray)}
    arrays |= {f"state {k}": state for k, state in enumerate(states)}
    arrays = {name: value.astype(dtype) if value.dtype.kind == "f" else value for name, value in arrays.items()}

    def given(values: dict[str, Any]) -> dict[str, Any]:
        state = joined_state(case, [values[f"state {k}"] for k in range(len(states))])
        named = {name: value for name, value in values.items() if name in arguments}
        return arguments | named | {case.initial: state}

    expected = everything(rnn, given(arrays))
    laid_out = {name: LAYOUTS[layout](value) for name, value in arrays.items()}
    before = {name: value.tobytes() for name, value in laid_out.items()}
    assert same_bits(everything(rnn, given(laid_out)), expected)
    assert before == {name: value.tobytes() for name, value in laid_out.items()}
    of_steps = ("x", "y", "weight") if case.readout == "all" else ("x",)
    as_list = {name: [*value.swapaxes(0, 1)] if name in of_steps else value for name, value in laid_out.items()}
    found = by_sequence(everything(rnn, given(as_list)), "list", case)
    assert same_bits(found, by_sequence(expected, "batch", case))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_memory_layout_of_a_gradient(layout: str, dtype: str) -> None:
    rnn, gradient = ElmanRNN(3, 5, 2, dtype=dtype, seed=0), np.linspace(-1, 1, 57).astype(dtype)
    other = copy.deepcopy(rnn)
    SGD(0.1).step(rnn, gradient)
    SGD(0.1).step(other, LAYOUTS[layout](gradient))
    assert same_bits(other.parameters, rnn.parameters)


FLAGS: dict[str, Callable[[Array], Any]] = {
    "batch first": lambda a: np.ascontiguousarray(a.T).T,
    "every other": lambda a: np.repeat(np.repeat(a, 2, axis=0), 2, axis=1)[::2, ::2],
    "turned round": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "a list of rows": lambda a: a.tolist(),
}


@pytest.mark.parametrize("layout", FLAGS)
@each(NETWORKS)
def test_any_memory_layout_of_flags(layout: str, options: Options) -> None:
    p = problem(make(3, 7, 5, (6,) * 5, **options, reset=True))
    rnn, arguments = p.network("float32"), p.arguments()
    flags = FLAGS[layout](arguments["reset"])
    assert same_bits(everything(rnn, arguments | {"reset": flags}), everything(rnn, arguments))


def test_one_input_for_all_rows_and_steps() -> None:
    rnn = ElmanRNN(3, 5, 2, seed=0)
    row = np.array([1, -2, 0.5], np.float32)
    broadcast = np.broadcast_to(row, (7, 4, 3))
    assert same_bits(rnn.forward(broadcast).h, rnn.forward(broadcast.copy()).h)


@pytest.mark.parametrize("layout", ["batch first", "negative strides", "every other row"])
def test_outer_strides_are_read_without_a_copy(layout: str) -> None:
    rnn = ElmanRNN(64, 1, 1, seed=0)
    x = LAYOUTS[layout](np.ones((1000, 8, 64), np.float32))
    tracemalloc.start()
    rnn.forward(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < x.nbytes / 4, "the results take 1/32 of what x takes"


@pytest.mark.parametrize("other", ["float16", "int8", "int64", "bool", "float64"])
def test_other_dtypes_are_converted(other: str) -> None:
    rnn = ElmanRNN(3, 5, 2, output="linear", seed=0)
    random = np.random.default_rng(0)
    arguments: dict[str, Any] = {
        "x": random.integers(0, 2, (4, 6, 3)),
        "y": random.integers(0, 2, (4, 6, 2)),
        "h0": random.integers(0, 2, (6, 5)),
        "weight": random.integers(0, 2, (4, 6)),
    }
    exact = {name: value.astype(np.float32) for name, value in arguments.items()}
    converted = {name: value.astype(other) for name, value in arguments.items()}
    assert same_bits(everything(rnn, converted), everything(rnn, exact))


@cycled(
    options=[o for o in NETWORKS if o.get("teacher_forcing") != 0.4 or "activation" in o],
    form=["single", "batch", "padded", "list"],
)
def test_results_belong_to_the_caller(options: Options, form: Form) -> None:
    lengths = {"single": (6,), "batch": (6,) * 3}.get(form, (6, 2, 4))
    p = problem(make(4, 11, 5, lengths, output="linear", **options))
    rnn = p.network("float32")
    results = everything(rnn, p.arguments(form))
    kept = copy.deepcopy(results)
    arrays = [a for value in results.values() for a in (value if isinstance(value, list) else [value])]
    arrays = [a for a in arrays if isinstance(a, np.ndarray)]
    assert all(a.flags.writeable for a in arrays)
    for a, b in itertools.combinations([*arrays, rnn.parameters], 2):
        # With several layers the top one's h is asked for twice: as the top layer's, and as the network's.
        assert not np.shares_memory(a, b) or (a is b and not p.case.simple)
    other = problem(p.case, seed=1)
    everything(other.network("float32"), other.arguments(form))
    rnn.parameters = 0 * rnn.parameters
    everything(rnn, p.arguments(form))
    assert same_bits(results, kept)


@each(NETWORKS)
def test_what_is_too_large_for_float32_is_infinite(options: Options) -> None:
    """Without a warning, whatever the user has told NumPy: it may lie where nothing is read."""
    p = problem(make(4, 11, 3, (6,) * 2, **options))
    rnn, x = p.network("float32"), p.arguments()["x"].astype(np.float64)
    as_float32 = x.astype(np.float32)
    x[2, 1, 3], as_float32[2, 1, 3] = 1e300, np.inf
    with np.errstate(all="raise"):
        found = rnn.forward(x)
    assert same_bits(found.h, rnn.forward(as_float32).h)


def test_a_signalling_nan_is_one_like_the_others() -> None:
    signalling = np.array([0x7F800001], np.uint32).view(np.float32).reshape(1, 1)
    assert np.isnan(ElmanRNN(1, 2, 1, dtype="float64", seed=0).forward(signalling).h).all()
