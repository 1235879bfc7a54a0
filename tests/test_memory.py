"""Memory: arguments in any layout, read where they lie, and results that nobody else holds."""

from __future__ import annotations

import copy
import itertools
import math
import re
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bptt import ElmanRNN
from conftest import by_sequence, everything, same_bits
from problems import INPUTS, OUTPUTS, READOUTS, Array, Case, Form, problem


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
    "batch first": lambda a: np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1),
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


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("feedback", [None, "y_hat"])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", INPUTS)
def test_any_memory_layout(input: Any, output: Any, feedback: Any, layout: str, dtype: str) -> None:
    p = problem(Case(4, 11, 5, (6,) * 5, input, output, feedback=feedback, teacher_forcing=0.5))
    rnn = p.network(dtype)
    arguments = p.arguments()
    for name, value in arguments.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            arguments[name] = value.astype(dtype)
    expected = everything(rnn, arguments)
    arrays = {name: LAYOUTS[layout](value) for name, value in arguments.items() if isinstance(value, np.ndarray)}
    others = {name: value for name, value in arguments.items() if name not in arrays}
    before = {name: value.tobytes() for name, value in arrays.items()}
    assert same_bits(everything(rnn, others | arrays), expected)
    assert before == {name: value.tobytes() for name, value in arrays.items()}
    parts = {name: [*value.swapaxes(0, 1)] for name, value in arrays.items()}
    as_list = everything(rnn, others | parts | {p.case.initial: arrays[p.case.initial]})
    assert same_bits(by_sequence(as_list, "list", p.case), by_sequence(expected, "batch", p.case))


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
    exact = {name: value.astype(np.float32) for name, value in arguments.items()} | {"lengths": None}
    converted = {name: value.astype(other) for name, value in arguments.items()} | {"lengths": None}
    assert same_bits(everything(rnn, converted), everything(rnn, exact))


@pytest.mark.parametrize(
    "options",
    [{"readout": "all"}, {"readout": "last"}, {"feedback": "y_hat"}, {"feedback": "o", "teacher_forcing": 0.0}],
)
@pytest.mark.parametrize("form", ["single", "batch", "padded", "list"])
def test_results_belong_to_the_caller(form: Form, options: Any) -> None:
    lengths = {"single": (6,), "batch": (6,) * 3}.get(form, (6, 2, 4))
    p = problem(Case(4, 11, 5, lengths, "real", "linear", **options))
    rnn = p.network("float32")
    results = everything(rnn, p.arguments(form))
    kept = copy.deepcopy(results)
    arrays = [a for value in results.values() for a in (value if isinstance(value, list) else [value])]
    arrays = [a for a in arrays if isinstance(a, np.ndarray)]
    assert all(a.flags.writeable for a in arrays)
    for a, b in itertools.combinations([*arrays, rnn.parameters], 2):
        assert not np.shares_memory(a, b)
    everything(problem(p.case, seed=1).network("float32"), problem(p.case, seed=1).arguments(form))
    rnn.parameters = 0 * rnn.parameters
    everything(rnn, p.arguments(form))
    assert same_bits(results, kept)


# ---- States that are not kept ----


@pytest.mark.parametrize(
    "lengths", [(4,), (3000,), (300,) * 9, (40,) * 64, tuple(range(1, 90)), (2000, 3, 500, 1)], ids=len
)
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("input", INPUTS)
def test_a_memory_limit_changes_no_bit(input: Any, readout: Any, lengths: tuple[int, ...], dtype: str) -> None:
    p = problem(Case(3, 5, 2, lengths, input, "softmax", readout))
    rnn, arguments = p.network(dtype), p.arguments()

    def results(limit: int | None) -> dict[str, Any]:
        loss, gradients = rnn.loss_and_gradients(**arguments, wrt_x=input == "real", memory_limit=limit)
        letters = {letter: getattr(gradients, letter) for letter in (*"UWbVcx", "h0", "h_last")}
        return {"loss": loss, **letters}

    with pytest.raises(ValueError, match=r"^memory_limit: expected at least ") as raised:
        rnn.loss_and_gradients(**arguments, memory_limit=0)
    found = re.fullmatch(r"memory_limit: expected at least (\d+) bytes for these sequences, got 0", str(raised.value))
    assert found is not None
    least = int(found[1])
    everything_kept = (sum(lengths) + len(lengths)) * 5 * rnn.dtype.itemsize
    assert least <= everything_kept
    if len(lengths) == 1:  # windows of 400 rows: of n, about 2 sqrt(n) kept states and one window's
        assert least <= (3 * math.sqrt(lengths[0]) + 402) * 5 * rnn.dtype.itemsize
    with pytest.raises(ValueError, match=rf"^memory_limit: expected at least {least} bytes .*, got {least - 1}$"):
        rnn.loss_and_gradients(**arguments, memory_limit=least - 1)
    expected = results(None)
    middle = (least + everything_kept) // 2
    for limit in (least, least + 40, middle, everything_kept - 1, everything_kept, 10**12):
        assert same_bits(results(max(limit, least)), expected), limit


@pytest.mark.parametrize(
    ("limit", "error", "message"),
    [
        (-1, ValueError, "memory_limit: expected at least 0, got -1"),
        (1e6, TypeError, "memory_limit: expected an int, got float"),
        (True, TypeError, "memory_limit: expected an int, got bool"),
    ],
)
def test_memory_limits_that_are_none(limit: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}$"):
        ElmanRNN(3, 5, 2).loss_and_gradients(np.zeros((4, 3)), np.zeros(4, int), memory_limit=limit)
