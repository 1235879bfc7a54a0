"""What users get wrong in calls: every error by its type and message, before anything is computed or changed."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bptt import SGD, ElmanRNN, JordanRNN
from refusals import (
    BATCH,
    CLASSES,
    LIST,
    N_HIDDEN,
    N_IN,
    N_OUT,
    TAU,
    TOKENS,
    VALUES,
    X,
    kinds,
    network,
    passes,
    refuses,
    targets_of,
)
from results import everything, same_bits

# ---- The input ----


@passes
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((TAU, BATCH, 4)), ValueError, "x: expected [tau, batch, 3] or [tau, 3], got (5, 4, 4)"),
        (np.zeros((TAU, 4)), ValueError, "x: expected [tau, batch, 3] or [tau, 3], got (5, 4)"),
        (np.zeros(TAU), ValueError, "x: expected [tau, batch, 3] or [tau, 3], got (5,)"),
        (np.zeros((1, TAU, BATCH, N_IN)), ValueError, "x: expected [tau, batch, 3] or [tau, 3], got (1, 5, 4, 3)"),
        (1.0, ValueError, "x: expected [tau, batch, 3] or [tau, 3], got ()"),
        (None, TypeError, "x: expected float32 or what converts to it safely, got object"),
        (np.zeros((0, BATCH, N_IN)), ValueError, "x: expected at least one time step, got none"),
        (np.zeros((0, N_IN)), ValueError, "x: expected at least one time step, got none"),
        (np.zeros((TAU, 0, N_IN)), ValueError, "x: expected at least one sequence, got (5, 0, 3)"),
        (X.astype(complex), TypeError, "x: expected float32 or what converts to it safely, got complex128"),
        (X.astype(str), TypeError, "x: expected float32 or what converts to it safely, got <U32"),
        ([], ValueError, "x: expected at least one sequence, got an empty list"),
        (
            [[1.0, 2.0, 3.0]],
            ValueError,
            "x[0]: expected [tau, 3], got (3,); a list is a list of sequences: pass one sequence as an array",
        ),
        (
            [X[:, 0], 1.0],
            ValueError,
            "x[1]: expected [tau, 3], got (); a list is a list of sequences: pass one sequence as an array",
        ),
        (
            [X],
            ValueError,
            "x[0]: expected [tau, 3], got (5, 4, 3); a list is a list of sequences: pass one sequence as an array",
        ),
        ([X[:, 0], X[:, 0, :2]], ValueError, "x[1]: expected [tau, 3], got (5, 2)"),
        ([X[:, 0], X[:0, 0]], ValueError, "x[1]: expected at least one time step, got none"),
        ([X[:, 0].astype(complex)], TypeError, "x[0]: expected float32 or what converts to it safely, got complex128"),
    ],
)
def test_x(kind: Any, more: Any, x: Any, error: type[Exception], message: str) -> None:
    rnn = network(kind)
    refuses(lambda: rnn.forward(x), error, message)
    refuses(lambda: rnn.loss(x, CLASSES, **more), error, message)
    refuses(lambda: rnn.loss_and_gradients(x, CLASSES, **more), error, message)


@kinds
def test_masked_arrays_are_refused(kind: Any) -> None:
    with pytest.raises(TypeError, match=r"^x: expected an array without a mask"):
        network(kind).forward(np.ma.masked_array(np.ones((4, 3)), True))

    class Named(np.ma.MaskedArray):
        pass

    with pytest.raises(TypeError, match=r"^x: expected an array without a mask"):
        network(kind).forward(Named(np.ones((4, 3)), True))


@passes
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((TAU, BATCH, 1), int), ValueError, "x: expected [tau, batch] or [tau], got (5, 4, 1)"),
        (0, ValueError, "x: expected [tau, batch] or [tau], got ()"),
        (TOKENS * 1.0, TypeError, "x: expected integers, got float64"),
        (TOKENS[:0], ValueError, "x: expected at least one time step, got none"),
        (TOKENS[:, :0], ValueError, "x: expected at least one sequence, got (5, 0)"),
        (np.array([0, 2, 3]), ValueError, "x: expected tokens in [0, 3), got 3 at step 2 of sequence 0"),
        (np.array([[0, 1], [0, -1]]), ValueError, "x: expected tokens in [0, 3), got -1 at step 1 of sequence 1"),
        ([TOKENS[:, 0], np.array([9])], ValueError, "x: expected tokens in [0, 3), got 9 at step 0 of sequence 1"),
        (np.array([2**63], np.uint64), ValueError, "x: expected values that fit int64, got 9223372036854775808"),
        (np.array([-(2**63)]), ValueError, f"x: expected tokens in [0, 3), got {-(2**63)} at step 0 of sequence 0"),
        (
            [1, 2, 0],
            ValueError,
            "x[0]: expected [tau], got (); a list is a list of sequences: pass one sequence as an array",
        ),
        ([np.zeros((2, 2), int)], ValueError, "x[0]: expected [tau], got (2, 2); a list is a list of sequences: "),
    ],
)
def test_tokens(kind: Any, more: Any, x: Any, error: type[Exception], message: str) -> None:
    rnn = network(kind, input="token")
    y = [np.zeros(np.shape(one), int) for one in x] if isinstance(x, list) else np.zeros(np.shape(x), int)
    calls: list[Callable[[], object]] = [
        lambda: rnn.forward(x),
        lambda: rnn.loss(x, y, **more),
        lambda: rnn.loss_and_gradients(x, y, **more),
    ]
    for call in calls:
        with pytest.raises(error, match=f"^{re.escape(message)}"):
            call()


@kinds
def test_tokens_out_of_range_are_found_in_every_layout(kind: Any) -> None:
    rnn = network(kind, input="token")
    for i, t in [(0, 0), (3, 4), (2, 1)]:
        tokens = TOKENS.copy()
        tokens[t, i] = 7
        for x in (tokens, np.asfortranarray(tokens), [*tokens.T], np.repeat(tokens, 2, axis=1)[:, ::2]):
            refuses(
                lambda x=x: rnn.forward(x),  # type: ignore[misc]
                ValueError,
                f"x: expected tokens in [0, 3), got 7 at step {t} of sequence {i}",
            )


# ---- Lengths and initial states ----


@passes
@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([5, 5, 5], ValueError, "lengths: expected [4], got (3,)"),
        (5, ValueError, "lengths: expected [4], got ()"),
        ([[5, 5, 5, 5]], ValueError, "lengths: expected [4], got (1, 4)"),
        ([5, 0, 5, 5], ValueError, "lengths: expected values from 1 to 5, got 0 for sequence 1"),
        ([5, 5, 6, 5], ValueError, "lengths: expected values from 1 to 5, got 6 for sequence 2"),
        ([-1, 5, 5, 5], ValueError, "lengths: expected values from 1 to 5, got -1 for sequence 0"),
        ([5.0, 5, 5, 5], TypeError, "lengths: expected integers, got float64"),
    ],
)
def test_lengths(kind: Any, more: Any, lengths: Any, error: type[Exception], message: str) -> None:
    rnn = network(kind)
    refuses(lambda: rnn.forward(X, lengths=lengths), error, message)
    refuses(lambda: rnn.loss(X, CLASSES, lengths=lengths, **more), error, message)
    refuses(lambda: rnn.loss_and_gradients(X, CLASSES, lengths=lengths, **more), error, message)


@kinds
def test_lengths_are_for_padded_batches(kind: Any) -> None:
    rnn = network(kind)
    refuses(
        lambda: rnn.forward([X[:, 0]], lengths=[5]),
        ValueError,
        "lengths: expected None, as each sequence of a list has its own length",
    )
    refuses(lambda: rnn.forward(X[:, 0], lengths=[5]), ValueError, "lengths: expected None, as x is a single sequence")


def initial_states(name: str, n: int) -> list[tuple[Any, Any, type[Exception], str]]:
    """What is no initial state of networks whose first step sees n numbers."""
    return [
        (X, np.zeros(n), ValueError, f"{name}: expected [4, {n}], got ({n},)"),
        (X, np.zeros((1, n)), ValueError, f"{name}: expected [4, {n}], got (1, {n})"),
        (X, np.zeros((4, n + 1)), ValueError, f"{name}: expected [4, {n}], got (4, {n + 1})"),
        (X, np.zeros(4, int), ValueError, f"{name}: expected [4, {n}], got (4,)"),  # a class is a vector here
        (X, 0.0, ValueError, f"{name}: expected [4, {n}], got ()"),
        (X[:, 0], np.zeros((1, n)), ValueError, f"{name}: expected [{n}], got (1, {n})"),
        (LIST, np.zeros((4, n)), ValueError, f"{name}: expected [2, {n}], got (4, {n})"),
        (
            X,
            np.zeros((4, n), complex),
            TypeError,
            f"{name}: expected float32 or what converts to it safely, got complex128",
        ),
    ]


@pytest.mark.parametrize(
    ("kind", "x", "state", "error", "message"),
    [
        *((ElmanRNN, *one) for one in initial_states("h0", N_HIDDEN)),
        *((JordanRNN, *one) for one in initial_states("r0", N_OUT)),
    ],
)
def test_initial_states(kind: Any, x: Any, state: Any, error: type[Exception], message: str) -> None:
    rnn = network(kind, output="linear")
    given: dict[str, Any] = {"h0" if kind is ElmanRNN else "r0": state}
    y = targets_of(x, VALUES)
    refuses(lambda: rnn.forward(x, **given), error, message)
    refuses(lambda: rnn.loss(x, y, **given), error, message)
    refuses(lambda: rnn.loss_and_gradients(x, y, **given), error, message)


# ---- Targets and weights ----


@passes
@pytest.mark.parametrize(
    ("options", "x", "y", "error", "message"),
    [
        ({}, X, CLASSES[:4], ValueError, "y: expected [5, 4], got (4, 4)"),
        ({}, X, CLASSES[..., None], ValueError, "y: expected [5, 4], got (5, 4, 1)"),
        ({}, X, CLASSES[:3, 0], ValueError, "y: expected [5, 4], got (3,)"),
        ({}, X[:, 0], CLASSES, ValueError, "y: expected [5], got (5, 4)"),
        ({}, X, CLASSES * 1.0, TypeError, "y: expected integers, got float64"),
        ({}, X, None, TypeError, "y: expected integers, got object"),
        ({}, LIST, CLASSES, TypeError, "y: expected a list, as x is a list of sequences, got ndarray"),
        ({}, LIST, [CLASSES[:, 0]], ValueError, "y: expected 2 sequences, as many as x has, got 1"),
        ({}, LIST, [CLASSES[:, 0]] * 2, ValueError, "y[1]: expected [2], got (5,)"),
        ({"output": "linear"}, X, CLASSES, ValueError, "y: expected [5, 4, 2], got (5, 4)"),
        ({"output": "sigmoid"}, X[:, 0], VALUES, ValueError, "y: expected [5, 2], got (5, 4, 2)"),
        ({"output": "linear"}, LIST, [VALUES[:, 0]] * 2, ValueError, "y[1]: expected [2, 2], got (5, 2)"),
        (
            {"output": "linear"},
            X,
            VALUES * 1j,
            TypeError,
            "y: expected float32 or what converts to it safely, got complex64",
        ),
    ],
)
def test_y(kind: Any, more: Any, options: Any, x: Any, y: Any, error: type[Exception], message: str) -> None:
    rnn = network(kind, **options)
    refuses(lambda: rnn.loss(x, y, **more), error, message)
    refuses(lambda: rnn.loss_and_gradients(x, y, **more), error, message)


@pytest.mark.parametrize(
    ("options", "x", "y", "error", "message"),
    [
        ({}, X, CLASSES, ValueError, "y: expected [4], got (5, 4)"),
        ({}, X[:, 0], CLASSES[:, 0], ValueError, "y: expected [], got (5,)"),
        ({}, LIST, [0, 1, 0], ValueError, "y: expected [2], got (3,)"),
        ({"output": "linear"}, X, VALUES, ValueError, "y: expected [4, 2], got (5, 4, 2)"),
    ],
)
def test_y_of_the_last_step(options: Any, x: Any, y: Any, error: type[Exception], message: str) -> None:
    rnn = network(readout="last", **options)
    refuses(lambda: rnn.loss(x, y), error, message)
    refuses(lambda: rnn.loss_and_gradients(x, y), error, message)


@passes
@pytest.mark.parametrize("bad", [-2, 2, 2**40, -(2**63)])
def test_classes_out_of_range(kind: Any, more: Any, bad: int) -> None:
    rnn = network(kind)
    y = CLASSES.copy()
    y[3, 2] = bad
    expected = f"y: expected classes in [0, 2), or -1 for none, got {bad}"
    refuses(lambda: rnn.loss(X, y, **more), ValueError, f"{expected} at step 3 of sequence 2")
    refuses(lambda: rnn.loss_and_gradients(X[:, 2], y[:, 2], **more), ValueError, f"{expected} at step 3 of sequence 0")
    refuses(lambda: rnn.loss([*X.swapaxes(0, 1)], [*y.T], **more), ValueError, f"{expected} at step 3 of sequence 2")
    if kind is ElmanRNN:
        refuses(lambda: network(readout="last").loss(X, y[3]), ValueError, f"{expected} for sequence 2")
    # Nothing is wrong where the step does not count.
    weight = np.ones((TAU, BATCH))
    weight[3, 2] = 0
    assert rnn.loss(X, y, weight=weight, **more) == rnn.loss(X, np.where(weight == 0, -1, CLASSES), **more)
    lengths = [5, 5, 3, 5]
    assert rnn.loss(X, y, lengths=lengths, **more) == rnn.loss(X, CLASSES, lengths=lengths, **more)


@passes
@pytest.mark.parametrize("bad", [-0.5, 1.5])
def test_probabilities_out_of_range(kind: Any, more: Any, bad: float) -> None:
    rnn = network(kind, output="sigmoid")
    y = VALUES.copy()
    y[3, 2, 1] = bad
    expected = f"y: expected probabilities in [0, 1], got {bad}"
    refuses(lambda: rnn.loss(X, y, **more), ValueError, f"{expected} at step 3 of sequence 2")
    refuses(lambda: rnn.loss_and_gradients(X, y, **more), ValueError, f"{expected} at step 3 of sequence 2")
    if kind is ElmanRNN:
        last = network(output="sigmoid", readout="last")
        refuses(lambda: last.loss(X, y[3]), ValueError, f"{expected} for sequence 2")


@passes
@pytest.mark.parametrize(
    ("x", "weight", "error", "message"),
    [
        (X, np.ones(5), ValueError, "weight: expected [5, 4], got (5,)"),
        (X, 1.0, ValueError, "weight: expected [5, 4], got ()"),
        (X, np.ones((5, 4, 1)), ValueError, "weight: expected [5, 4], got (5, 4, 1)"),
        (X, np.ones((5, 4), str), TypeError, "weight: expected float32 or what converts to it safely, got <U1"),
        (LIST, np.ones((5, 2)), TypeError, "weight: expected a list, as x is a list of sequences, got ndarray"),
        (LIST, [np.ones(5), np.ones(3)], ValueError, "weight[1]: expected [2], got (3,)"),
    ],
)
def test_weight(kind: Any, more: Any, x: Any, weight: Any, error: type[Exception], message: str) -> None:
    rnn, y = network(kind), targets_of(x, CLASSES)
    refuses(lambda: rnn.loss(x, y, weight=weight, **more), error, message)
    refuses(lambda: rnn.loss_and_gradients(x, y, weight=weight, **more), error, message)


@passes
@pytest.mark.parametrize("bad", [-1, -1e-30, np.nan, np.inf])
def test_weights_that_are_none(kind: Any, more: Any, bad: float, dtype: str) -> None:
    expected = f"weight: expected finite numbers of at least 0, got {np.dtype(dtype).type(bad)}"
    rnn = network(kind, dtype=dtype)
    weight = np.ones((TAU, BATCH))
    weight[3, 2] = bad
    wide = np.ones((2 * TAU, 3 * BATCH), dtype)
    wide[::-2, ::3] = weight
    for x, y, w, sequence in (
        (X, CLASSES, weight, 2),
        (X, CLASSES, wide[::-2, ::3], 2),
        (X[:, 2], CLASSES[:, 2], weight[:, 2], 0),
        (LIST[::-1], [CLASSES[:2, 0], CLASSES[:, 0]], [np.ones(2), weight[:, 2]], 1),
    ):
        for call in (rnn.loss, rnn.loss_and_gradients):
            refuses(
                lambda call=call, x=x, y=y, w=w: call(x, y, weight=w, **more),  # type: ignore[misc]
                ValueError,
                f"{expected} at step 3 of sequence {sequence}",
            )
    weight[:, 2] = np.arange(TAU) + 1
    full = rnn.loss(X, CLASSES, weight=weight, lengths=[5, 5, 3, 5], **more)
    weight[3:, 2] = bad  # beyond the length nothing is read
    assert rnn.loss(X, CLASSES, weight=weight, lengths=[5, 5, 3, 5], **more) == full
    refuses(
        lambda: rnn.loss(X, CLASSES, weight=weight, lengths=[5, 5, 4, 5], **more),
        ValueError,
        f"{expected} at step 3 of sequence 2",
    )
    if kind is ElmanRNN:
        last = network(readout="last", dtype=dtype)
        refuses(lambda: last.loss(X, CLASSES[0], weight=[1, bad, 1, 1]), ValueError, f"{expected} for sequence 1")


def test_weight_of_the_last_step() -> None:
    rnn = network(readout="last")
    for x, weight, message in [
        (X, np.ones((5, 4)), "weight: expected [4], got (5, 4)"),
        (LIST, [1.0], "weight: expected [2], got (1,)"),
    ]:
        y = np.zeros(len(x) if isinstance(x, list) else BATCH, int)
        refuses(lambda x=x, y=y, w=weight: rnn.loss(x, y, weight=w), ValueError, message)  # type: ignore[misc]
        refuses(lambda x=x, y=y, w=weight: rnn.loss_and_gradients(x, y, weight=w), ValueError, message)  # type: ignore[misc]


# ---- Flags ----

FLAGS = np.zeros((5, 4), bool)


@kinds
@pytest.mark.parametrize(
    ("x", "reset", "error", "message"),
    [
        (X, FLAGS.astype(int), TypeError, "reset: expected bool or what converts to it safely, got int64"),
        (X, FLAGS * 1.0, TypeError, "reset: expected bool or what converts to it safely, got float64"),
        (X, [[0] * 4] * 5, TypeError, "reset: expected bool or what converts to it safely, got int64"),
        (X, "first", TypeError, "reset: expected bool or what converts to it safely, got <U5"),
        (X, FLAGS[:4], ValueError, "reset: expected [5, 4], got (4, 4)"),
        (X, FLAGS[:, :1], ValueError, "reset: expected [5, 4], got (5, 1)"),
        (X, FLAGS[:, 0], ValueError, "reset: expected [5, 4], got (5,)"),
        (X, True, ValueError, "reset: expected [5, 4], got ()"),
        (X, FLAGS[..., None], ValueError, "reset: expected [5, 4], got (5, 4, 1)"),
        (X[:, 0], FLAGS, ValueError, "reset: expected [5], got (5, 4)"),
        (LIST, FLAGS, TypeError, "reset: expected a list, as x is a list of sequences, got ndarray"),
        (LIST, [FLAGS[:, 0]], ValueError, "reset: expected 2 sequences, as many as x has, got 1"),
        (LIST, [FLAGS[:, 0]] * 2, ValueError, "reset[1]: expected [2], got (5,)"),
        (LIST, [FLAGS[:, 0], [0, 1]], TypeError, "reset[1]: expected bool or what converts to it safely, got int64"),
    ],
)
def test_flags_that_are_none(kind: Any, x: Any, reset: Any, error: type[Exception], message: str) -> None:
    rnn, y = network(kind), targets_of(x, CLASSES)
    refuses(lambda: rnn.forward(x, reset=reset), error, message)
    refuses(lambda: rnn.loss(x, y, reset=reset), error, message)
    refuses(lambda: rnn.loss_and_gradients(x, y, reset=reset), error, message)


# ---- What is asked for ----


@kinds
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"memory_limit": -1}, ValueError, "memory_limit: expected at least 0, got -1"),
        ({"memory_limit": 1e6}, TypeError, "memory_limit: expected an int, got float"),
        ({"memory_limit": True}, TypeError, "memory_limit: expected an int, got bool"),
        ({"wrt_x": True}, ValueError, "wrt_x: expected False, as a token has no gradient"),
    ],
)
def test_what_gradients_are_asked_for(kind: Any, arguments: Any, error: type[Exception], message: str) -> None:
    rnn = network(kind, input="token")
    refuses(lambda: rnn.loss_and_gradients(TOKENS, CLASSES, **arguments), error, message)


NO_TRUTH = [0, 1, "no", None, [True], np.int64(1)]


@pytest.mark.parametrize("value", NO_TRUTH)
def test_what_is_neither_true_nor_false(value: Any) -> None:
    elman, jordan = network(), network(JordanRNN)
    expected = f"expected True or False, got {value!r}"
    refuses(lambda: elman.forward(X, all_layers=value), TypeError, f"all_layers: {expected}")
    for rnn in (elman, jordan):
        refuses(lambda rnn=rnn: rnn.loss_and_gradients(X, CLASSES, wrt_x=value), TypeError, f"wrt_x: {expected}")  # type: ignore[misc]
        for name in ("progress", "shuffle", "resume"):
            given = {"optimizer": SGD(0.1), "epochs": 1, "progress": False, name: value}
            refuses(
                lambda rnn=rnn, given=given: rnn.fit(X, CLASSES, **given),  # type: ignore[misc]
                TypeError,
                f"{name}: {expected}",
            )


def test_truth_values_of_numpy_are_taken() -> None:
    rnn = network()
    assert rnn.forward(X, all_layers=np.True_).layers is not None
    assert rnn.forward(X, all_layers=np.False_).layers is None
    assert rnn.loss_and_gradients(X, CLASSES, wrt_x=np.True_)[1].x is not None
    no = np.False_
    rnn.fit(X, CLASSES, optimizer=SGD(0.1), epochs=1, progress=no, shuffle=no, resume=no)


# ---- What is left after an error, and what the error is not about ----


@passes
def test_arguments_and_parameters_are_left_as_they_are(kind: Any, more: Any) -> None:
    rnn = network(kind)
    name, wide = ("h0", N_HIDDEN) if kind is ElmanRNN else ("r0", N_OUT)
    x, y, state = np.ones_like(X), CLASSES.copy(), np.ones((BATCH, wide), np.float32)
    y[-1, -1] = 7
    before = copy.deepcopy((rnn.parameters, x, y, state))
    with pytest.raises(ValueError, match="y: expected classes"):
        rnn.loss_and_gradients(x, y, wrt_x=True, **{name: state}, **more)
    y[-1, -1] = 0
    everything(rnn, {"x": x, "y": y, name: state, **more})
    y[-1, -1] = 7
    assert same_bits((rnn.parameters, x, y, state), before)


DTYPES_TO_TRY = ["float32", "float64", "float16", "int8", "complex64", "bool", "U1", "object", "M8[s]"]


@settings(max_examples=250, deadline=None)
@given(
    shape=st.lists(st.integers(0, 4), max_size=4).map(tuple),
    dtype=st.sampled_from(DTYPES_TO_TRY),
    input=st.sampled_from(["real", "token"]),
    p=st.sampled_from([None, 0.0, 0.5, 1.0]),
    what=st.sampled_from(["x", "y", "initial", "weight", "lengths", "reset"]),
)
def test_any_array_is_taken_or_refused_by_name(
    shape: tuple[int, ...], dtype: str, input: Any, p: float | None, what: str
) -> None:
    kind: Any = ElmanRNN if p is None else JordanRNN
    rnn, initial, wide = kind(3, 4, 2, input=input, seed=0), "h0" if p is None else "r0", 4 if p is None else 2
    value = np.zeros(shape, dtype)
    real = input == "real"
    arguments: dict[str, Any] = {
        "x": np.zeros((2, 3, 3)) if real else np.zeros((2, 3), int),
        "y": np.zeros((2, 3), int),
        **({} if p is None else {"teacher_forcing": p}),
    }
    name = initial if what == "initial" else what
    arguments[name] = value
    right: tuple[str, Any] = {
        "x": ("fiub" if real else "iub", [(2, 3, 3)] if real else [(2, 3)]),
        "y": ("iub", [(2, 3)]),
        "initial": ("fiub", [(3, wide)]),
        "weight": ("fiub", [(2, 3)]),
        "lengths": ("iub", []),  # a length of 0 is an error
        "reset": ("b", [(2, 3)]),
    }[what]
    if value.dtype.kind in right[0] and shape in right[1]:
        loss, _ = rnn.loss_and_gradients(**arguments)
        assert np.isfinite(loss)
        return
    # Where x has another valid shape, it is y that does not fit.
    with pytest.raises((ValueError, TypeError), match=f"^{'[xy]' if what == 'x' else name}: expected "):
        rnn.loss_and_gradients(**arguments)
