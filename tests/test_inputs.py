"""Arguments as people have them: of other libraries, tables, columns, integers of any width; and what cannot be."""

from __future__ import annotations

import importlib
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from bptt import SGD, ElmanRNN, JordanRNN, Stream
from refusals import BATCH, CLASSES, N_IN, N_OUT, TAU, TOKENS, VALUES, X, network, refuses

rng = np.random.default_rng(0)
NUMBERS = rng.standard_normal((TAU, BATCH, N_IN)).astype(np.float32)
LABELS = rng.integers(-1, N_OUT, (TAU, BATCH))
WIDTHS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "longlong", ">i2", ">u4", "bool"]


def lib(name: str) -> Any:
    """A library that may not be there: then the test is skipped."""
    pytest.importorskip(name)
    return importlib.import_module(name)


class OnlyDLPack:
    """An array of which nothing is known but DLPack."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


def fit(rnn: Any, x: Any, y: Any, epochs: int = 1, **more: Any) -> Any:
    return rnn.fit(x, y, optimizer=SGD(1e-3), epochs=epochs, seed=0, progress=False, **more)


def from_torch(array: np.ndarray) -> Any:
    return lib("torch").from_numpy(array)


def from_jax(array: np.ndarray) -> Any:
    with lib("jax").enable_x64(True):
        return lib("jax.numpy").asarray(array)


# ---- Arrays: the same numbers, and so the same bits ----


@pytest.mark.parametrize("of", [from_torch, from_jax, OnlyDLPack], ids=["torch", "jax", "dlpack"])
def test_arrays_of_other_libraries(of: Callable[[np.ndarray], Any]) -> None:
    rnn = network()
    h0 = rng.standard_normal((BATCH, 6)).astype(np.float32)
    wanted = rnn.loss_and_gradients(NUMBERS, LABELS, h0=h0, weight=np.ones((TAU, BATCH), np.float32))
    got = rnn.loss_and_gradients(of(NUMBERS), of(LABELS), h0=of(h0), weight=of(np.ones((TAU, BATCH), np.float32)))
    assert got[0] == wanted[0]
    assert np.array_equal(got[1].flat, wanted[1].flat)
    sequences = [of(NUMBERS[:, 0].copy()), of(NUMBERS[:2, 1].copy())]
    assert rnn.loss(sequences, [of(LABELS[:, 0].copy()), of(LABELS[:2, 1].copy())]) == rnn.loss(
        [NUMBERS[:, 0], NUMBERS[:2, 1]], [LABELS[:, 0], LABELS[:2, 1]]
    )
    rnn.parameters = of(np.arange(rnn.parameters.size, dtype=np.float32))
    assert rnn.parameters[-1] == rnn.parameters.size - 1


def test_a_tensor_is_read_where_it_is() -> None:
    torch = lib("torch")
    x = torch.zeros(50, 1000, N_IN)
    rnn = network()
    rnn.loss(x[:1], torch.zeros(1, 1000, dtype=torch.uint8))
    y = torch.zeros(50, 1000, dtype=torch.uint8)
    tracemalloc.start()
    rnn.loss(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < y.numel()  # not even a byte a target


def test_tensors_that_are_no_arrays() -> None:
    torch = lib("torch")
    rnn = network()
    message = "x: expected an array, got a tensor that requires grad: use detach()"
    refuses(lambda: rnn.forward(torch.zeros(TAU, N_IN, requires_grad=True)), TypeError, message)
    with pytest.raises(TypeError, match=r"^x: expected an array, got Tensor \(.*BFloat16"):
        rnn.forward(torch.zeros(TAU, N_IN, dtype=torch.bfloat16))
    with pytest.raises(TypeError, match=r"^x: expected an array, got Tensor \("):
        rnn.forward(torch.zeros(TAU, N_IN, device="meta"))
    with pytest.raises(TypeError, match=r"^x\[1\]: expected an array, got a tensor that requires grad"):
        rnn.forward([torch.zeros(TAU, N_IN), torch.zeros(TAU, N_IN, requires_grad=True)])


# ---- Tables and columns ----


def test_pandas() -> None:
    pandas = lib("pandas")
    rnn = network()
    one, labels = NUMBERS[:, 0], LABELS[:, 0]
    wanted = rnn.loss(one, labels)
    frame = pandas.DataFrame(one, columns=["a", "b", "c"])
    assert rnn.loss(frame, pandas.Series(labels)) == wanted
    for dtype in ("Int64", "Int8", "int16", "category", object):
        assert rnn.loss(frame.astype("Float32"), pandas.Series(labels).astype(dtype)) == wanted
    if importlib.util.find_spec("pyarrow"):
        assert rnn.loss(frame.astype("float[pyarrow]"), pandas.Series(labels).astype("int64[pyarrow]")) == wanted
    mixed = frame.assign(a=frame.a.astype("Float64"), b=frame.b.astype(object))
    assert rnn.loss(mixed, labels) == wanted
    with_gap = frame.astype("Float64")
    with_gap.loc[2, "b"] = pandas.NA
    assert np.isnan(rnn.forward(with_gap).o[2:]).all()
    assert np.isfinite(rnn.forward(with_gap).o[:2]).all()


def test_columns_of_sequences() -> None:
    pandas = lib("pandas")
    rnn = network()
    parts = [NUMBERS[:3, 0], NUMBERS[:, 1], NUMBERS[:2, 2]]
    labels = [LABELS[:3, 0], LABELS[:, 1], LABELS[:2, 2]]
    wanted = rnn.loss(parts, labels)
    array = np.empty(3, object)
    array[:] = parts
    of_labels = np.empty(3, object)
    of_labels[:] = [one.tolist() for one in labels]
    assert rnn.loss(array, of_labels) == wanted
    frame = pandas.DataFrame({"x": [part.tolist() for part in parts], "y": labels}, index=[7, 3, 5])
    assert rnn.loss(frame.x, frame.y) == wanted
    assert isinstance(rnn.forward(frame.x).o, list)
    history = fit(rnn, frame.x, frame.y, epochs=2)
    assert len(history.updates) == 2
    tokens = network(input="token")
    assert tokens.loss(frame.y.map(abs), frame.y) == tokens.loss([abs(one) for one in labels], labels)


def test_polars() -> None:
    polars = lib("polars")
    rnn = network()
    one, labels = NUMBERS[:, 0], LABELS[:, 0]
    frame = polars.DataFrame(one, schema=["a", "b", "c"])
    assert rnn.loss(frame, polars.Series(labels)) == rnn.loss(one, labels)
    sequences = polars.Series([NUMBERS[:3, 0].tolist(), NUMBERS[:, 1].tolist()])
    targets = polars.Series([LABELS[:3, 0].tolist(), LABELS[:, 1].tolist()])
    assert rnn.loss(sequences, targets) == rnn.loss([NUMBERS[:3, 0], NUMBERS[:, 1]], [LABELS[:3, 0], LABELS[:, 1]])
    missing = polars.Series([None, *labels[1:].tolist()], dtype=polars.Int64)
    message = "y: expected integers, got float64, and a value is missing; where there is no target, a class is -1"
    refuses(lambda: rnn.loss(frame, missing), TypeError, message)
    dates = polars.DataFrame({"a": one[:, 0], "day": ["Mon"] * TAU, "c": one[:, 2]})
    message = "x: expected float32 or what converts to it safely, got <U3 in column 'day'"
    refuses(lambda: rnn.forward(dates), TypeError, message)


def test_tables_that_are_no_numbers() -> None:
    pandas = lib("pandas")
    rnn = network()
    frame = pandas.DataFrame(NUMBERS[:, 0], columns=["a", "b", "c"])
    dated = frame.assign(b=pandas.date_range("2020", periods=TAU))
    with pytest.raises(TypeError, match=r"^x: expected float32 or .*, got datetime64\[.s\] in column 'b'$"):
        rnn.forward(dated)
    named = frame.assign(c=["u", "v", "w", "x", "y"])
    with pytest.raises(TypeError, match=r"^x: expected float32 or .*, got \S+ in column 'c'$"):
        rnn.forward(named)
    labels = pandas.Series(["cat", "dog"] * 2 + ["cat"])
    with pytest.raises(TypeError, match=r"^y: expected integers, got \S+; np.unique\(labels, return_inverse=True\)"):
        rnn.loss(frame, labels)
    missing = pandas.Series([0, None, 1, 1, 0], dtype="Int64")
    message = "y: expected integers, got float64, and a value is missing; where there is no target, a class is -1"
    refuses(lambda: rnn.loss(frame, missing), TypeError, message)


# ---- Objects ----


def test_arrays_of_pythons_numbers() -> None:
    rnn = network()
    assert rnn.loss(NUMBERS.astype(object), LABELS.astype(object)) == rnn.loss(NUMBERS, LABELS)
    gap = NUMBERS.astype(object)
    gap[3, 1, 0] = None
    o = rnn.forward(gap).o
    assert np.isnan(o[3:, 1]).all()
    assert np.isnan(o).sum() == 2 * N_OUT
    for wrong in (set(), "a", 1j, object()):
        bad = NUMBERS.astype(object)
        bad[0, 0, 0] = wrong
        message = "x: expected float32 or what converts to it safely, got object"
        refuses(partial(rnn.forward, bad), TypeError, message)
    whole = np.full((TAU, BATCH), 2**70, object)
    refuses(lambda: rnn.loss(X, whole), TypeError, "y: expected integers, got object")


# ---- What is likely meant ----


def test_what_to_do_with_labels_and_one_hot_rows() -> None:
    rnn, last = network(), network(readout="last")
    one_hot = np.eye(N_OUT)[CLASSES]
    hint = "of one-hot rows take the class numbers [tau, batch]: y.argmax(-1)"
    refuses(lambda: rnn.loss(X, one_hot), TypeError, f"y: expected integers, got float64; {hint}")
    message = f"y: expected [5, 4], got (5, 4, 2); {hint}"
    refuses(lambda: rnn.loss(X, one_hot.astype(int)), ValueError, message)
    message = "y: expected [4], got (4, 2); of one-hot rows take the class numbers [batch]: y.argmax(-1)"
    refuses(lambda: last.loss(X, one_hot[0].astype(int)), ValueError, message)
    message = "y: expected [5], got (5, 2); of one-hot rows take the class numbers [tau]: y.argmax(-1)"
    refuses(lambda: fit(rnn, X[:, 0], one_hot[:, 0].astype(int)), ValueError, message)
    message = "y: expected integers, got <U3; np.unique(labels, return_inverse=True)[1] has the numbers of labels"
    refuses(lambda: rnn.loss(X, np.full((TAU, BATCH), "cat")), TypeError, message)
    refuses(lambda: rnn.loss(X, np.full((TAU, BATCH), "cat").tolist()), TypeError, message)


def test_what_to_do_when_the_batch_is_first() -> None:
    rnn, last, linear = network(), network(readout="last"), network(output="linear")
    batch_first = np.ascontiguousarray(X.swapaxes(0, 1))
    hint = "time is the first axis: x.swapaxes(0, 1) where the batch is"
    refuses(lambda: rnn.loss(batch_first, CLASSES), ValueError, f"y: expected [4, 5], got (5, 4); {hint}")
    refuses(lambda: linear.loss(batch_first, VALUES), ValueError, f"y: expected [4, 5, 2], got (5, 4, 2); {hint}")
    refuses(lambda: last.loss(batch_first, CLASSES[0]), ValueError, f"y: expected [5], got (4,); {hint}")
    one = "one target for each sequence is readout='last'"
    refuses(lambda: rnn.loss(X, CLASSES[0]), ValueError, f"y: expected [5, 4], got (4,); {one}")
    both = f"y: expected [4, 5], got (4,); {one}, and time is the first axis: x.swapaxes(0, 1)"
    refuses(lambda: fit(rnn, batch_first, CLASSES[0]), ValueError, both)
    jordan = network(JordanRNN)  # it has no readout of the last step
    refuses(lambda: jordan.loss(X, CLASSES[0]), ValueError, "y: expected [5, 4], got (4,)")


def test_fit_says_where_a_number_is_missing() -> None:
    x = NUMBERS.copy()
    x[3, 2, 1] = np.nan
    with pytest.raises(
        FloatingPointError, match=r"x: expected finite numbers, got nan at step 3 of sequence 2, column 1"
    ):
        fit(network(), x, LABELS)


# ---- Integers of any width ----


def as_width(array: np.ndarray, dtype: str) -> np.ndarray:
    return (array != 0).astype(bool) if dtype == "bool" else array.astype(dtype)


@pytest.mark.parametrize("dtype", WIDTHS)
@pytest.mark.parametrize("kind", [ElmanRNN, JordanRNN])
def test_integers_of_any_width(kind: Any, dtype: str) -> None:
    rnn = kind(2 if dtype == "bool" else 100, 6, 2 if dtype == "bool" else 90, input="token", seed=0)
    x, y = (as_width(rng.integers(0, n, (TAU, BATCH)), dtype) for n in (rnn.n_in, rnn.n_out))
    if np.dtype(dtype).kind == "i":
        y[1, 2] = -1
    # Strides of all kinds: batch first, every other step backwards.
    for a, b in ((x, y), (x.T.copy().T, y.T.copy().T), (x[::-2], y[::-2])):
        wanted, got = (rnn.loss_and_gradients(*both, wrt_x=False) for both in ((a.astype(int), b.astype(int)), (a, b)))
        assert got[0] == wanted[0]
        assert np.array_equal(got[1].flat, wanted[1].flat)
    lists = [x[:, 0], x[:3, 1]], [y[:, 0], y[:3, 1]]
    plain = [[one.astype(int) for one in part] for part in lists]
    assert rnn.loss(*lists) == rnn.loss(*plain)
    assert rnn.loss([lists[0][0], plain[0][1]], [plain[1][0], lists[1][1]]) == rnn.loss(*plain)
    weight = rng.random((TAU, BATCH))
    assert rnn.loss(x, y, weight=weight) == rnn.loss(x.astype(int), y.astype(int), weight=weight)


@pytest.mark.parametrize("dtype", WIDTHS)
def test_integers_of_any_width_in_a_stream(dtype: str) -> None:
    rnn = ElmanRNN(2 if dtype == "bool" else 100, 6, 3, input="token", seed=0)
    x = as_width(rng.integers(0, rnn.n_in, (TAU, BATCH)), dtype)
    wanted = rnn.forward(x.astype(int)).o
    a, b = rnn.stream(batch=BATCH), rnn.stream(batch=BATCH)
    assert np.array_equal(a.run(x), wanted)
    assert np.array_equal([b.step(x_t) for x_t in x], wanted)
    single: Stream = rnn.stream()
    assert np.array_equal(single.step(x[0, 0]), wanted[0, 0])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32"])
def test_integers_out_of_range_in_any_width(dtype: str) -> None:
    rnn = network(input="token")
    top = int(np.iinfo(dtype).max)
    x = TOKENS.astype(dtype)
    x[3, 1] = top
    message = f"x: expected tokens in [0, 3), got {top} at step 3 of sequence 1"
    refuses(lambda: rnn.forward(x), ValueError, message)
    refuses(lambda: rnn.stream(batch=BATCH).run(x), ValueError, message)
    refuses(lambda: fit(rnn, x, CLASSES), ValueError, f"x: expected tokens from 0 to 2, got {top}")
    y = CLASSES.astype(dtype)
    y[2, 0] = top
    message = f"y: expected classes in [0, 2), or -1 for none, got {top} at step 2 of sequence 0"
    refuses(lambda: rnn.loss(TOKENS, y), ValueError, message)
    if np.dtype(dtype).kind == "i":
        y[2, 0] = least = int(np.iinfo(dtype).min)
        refuses(lambda: rnn.loss(TOKENS, y), ValueError, message.replace(str(top), str(least)))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32"])
def test_integers_are_read_where_they_are(dtype: str) -> None:
    rnn = ElmanRNN(5, 4, 5, input="token", seed=0)
    tokens = rng.integers(0, 5, (1000, 200)).astype(dtype)
    x, y = tokens[:-1].T.copy().T, tokens[1:]
    rnn.loss_and_gradients(x[:3], y[:3])
    fit(rnn, x[:3], y[:3], truncate=3)
    tracemalloc.start()
    for call in (
        lambda: rnn.loss_and_gradients(x, y),
        lambda: fit(rnn, x, y, truncate=50, updates_per_epoch=1),
        lambda: rnn.forward(x[:, :1]).h,
    ):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        call()
        # The core's memory is not traced. What training makes of one window of 50 steps takes a twentieth of the whole.
        assert tracemalloc.get_traced_memory()[1] - before < x.size
    tracemalloc.stop()
