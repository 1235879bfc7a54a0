"""The output-recurrent network: the same bits in every form, from any threads, in any memory, window after window."""

from __future__ import annotations

import dataclasses
import itertools
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bptt
from bptt import JordanRNN, _core
from conftest import DTYPES, ISAS, check_forms, everything, same_bits
from problems import FEEDBACKS, INPUTS, OUTPUTS, Case, problem
from test_jordan import FORCING, ragged, tolerances

kinds = pytest.mark.parametrize("output", OUTPUTS)
inputs = pytest.mark.parametrize("input", INPUTS)
feedbacks = pytest.mark.parametrize("feedback", FEEDBACKS)
forcings = pytest.mark.parametrize("p", FORCING)


# ---- Forms ----


@forcings
@feedbacks
@kinds
@inputs
def test_forms_agree(input: Any, output: Any, feedback: Any, p: float, dtype: str, isa: str) -> None:
    check_forms(ragged(input, output, feedback, p), dtype, tolerances(dtype)["gradients"])


# Too large for the reference: in windows of some 400 rows that do not fit near memory. Those of one sequence do.
@forcings
@pytest.mark.parametrize(
    ("dtype", "sizes", "lengths", "output", "feedback"),
    [
        ("float64", (170, 260, 130), (20,) * 40, "softmax", "y_hat"),
        ("float32", (301, 450, 70), (20,) * 25 + (8,) * 15, "linear", "o"),
        ("float32", (20, 300, 500), (20,) * 40, "sigmoid", "y_hat"),
        ("float32", (20, 300, 500), (9,) * 40, "softmax", "o"),
    ],
)
def test_forms_agree_at_large_sizes(
    dtype: str, sizes: tuple[int, int, int], lengths: tuple[int, ...], output: Any, feedback: Any, p: float, isa: str
) -> None:
    case = Case(*sizes, lengths, "real", output, feedback=feedback, teacher_forcing=p)
    check_forms(problem(case), dtype, tolerances(dtype)["gradients"])


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40)),
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=20).map(tuple),
    input=st.sampled_from(INPUTS),
    output=st.sampled_from(OUTPUTS),
    feedback=st.sampled_from(FEEDBACKS),
    p=st.sampled_from(FORCING),
    extras=st.booleans(),
    reset=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    isa=st.sampled_from(ISAS),
)
def test_forms_agree_whatever_the_shape(
    sizes: tuple[int, int, int],
    lengths: tuple[int, ...],
    input: Any,
    output: Any,
    feedback: Any,
    p: float,
    extras: bool,
    reset: bool,
    dtype: str,
    isa: str,
) -> None:
    before = _core.isa()
    _core.set_isa(isa)
    try:
        case = Case(*sizes, lengths, input, output, "all", extras, reset, feedback, p)
        check_forms(problem(case), dtype, tolerances(dtype)["gradients"])
    finally:
        _core.set_isa(before)


@feedbacks
@inputs
def test_a_row_has_the_same_bits_in_every_batch(input: Any, feedback: Any, dtype: str, isa: str) -> None:
    ours = problem(Case(6, 71, 5, (14,) * 40, input, feedback=feedback))
    rnn, arguments = ours.network(dtype), ours.inputs("batch")
    x, r0 = arguments["x"], arguments["r0"]
    alone = [rnn.forward(x[:, i], r0=r0[i]) for i in range(40)]
    for batch in range(2, 41):  # beyond 28 rows, 14 steps are two windows of 7
        run = rnn.forward(x[:, :batch], r0=r0[:batch])
        for i in range(batch):
            assert same_bits(run.h[:, i], alone[i].h), (batch, i)
            assert same_bits(run.o[:, i], alone[i].o), (batch, i)
            assert same_bits(run.y_hat[:, i], alone[i].y_hat), (batch, i)
            assert same_bits(run.r_last[i], alone[i].r_last), (batch, i)


def test_results_have_the_form_that_went_in() -> None:
    rnn = JordanRNN(3, 4, 2)
    x, y = np.zeros((5, 6, 3), np.float32), np.zeros((5, 6), int)
    run, (loss, gradients) = rnn.forward(x), rnn.loss_and_gradients(x, y, wrt_x=True)
    assert type(loss) is type(rnn.loss(x, y)) is float
    assert (run.h.shape, run.o.shape, run.y_hat.shape, run.r_last.shape) == ((5, 6, 4), (5, 6, 2), (5, 6, 2), (6, 2))
    assert (gradients.r0.shape, gradients.x.shape, gradients.r_last.shape) == ((6, 2), (5, 6, 3), (6, 2))
    assert (gradients.U.shape, gradients.W.shape, gradients.b.shape) == ((4, 3), (4, 2), (4,))
    assert (gradients.V.shape, gradients.c.shape, gradients.flat.shape) == ((2, 4), (2,), rnn.parameters.shape)
    run, (_, gradients) = rnn.forward(x[:, 0]), rnn.loss_and_gradients(x[:, 0], y[:, 0], wrt_x=True)
    assert (run.h.shape, run.o.shape, run.y_hat.shape, run.r_last.shape) == ((5, 4), (5, 2), (5, 2), (2,))
    assert (gradients.r0.shape, gradients.x.shape, gradients.r_last.shape) == ((2,), (5, 3), (2,))
    assert rnn.loss_and_gradients(x, y)[1].x is None
    run, (_, gradients) = rnn.forward([x[:2, 0], x[:, 0]]), rnn.loss_and_gradients([x[:2, 0]], [y[:2, 0]], wrt_x=True)
    assert [[len(a) for a in steps] for steps in (run.h, run.o, run.y_hat)] == [[2, 5]] * 3
    assert run.r_last.shape == (2, 2)
    assert [dx.shape for dx in gradients.x] == [(2, 3)]
    for array in (run.r_last, run.y_hat[0], gradients.flat, gradients.r0, gradients.r_last, gradients.x[0]):
        assert array.dtype == np.float32
    for result in (run, gradients):
        assert not hasattr(result, "h_last")
        assert not hasattr(result, "h0")


@forcings
@feedbacks
def test_without_inputs_there_are_outputs(feedback: Any, p: float, dtype: Any) -> None:
    """n_in = 0: what the network does follows from r(0), and from what it is fed."""
    rnn = JordanRNN(0, 7, 3, output="linear", feedback=feedback, dtype=dtype, seed=0)
    y, r0 = np.random.default_rng(0).normal(size=(6, 2, 3)), np.ones((2, 3))
    rest = {"teacher_forcing": p, "seed": 5}
    batch = everything(rnn, {"x": np.zeros((6, 2, 0)), "y": y, "r0": r0, **rest})
    as_list = everything(rnn, {"x": [np.zeros((6, 0))] * 2, "y": [*y.swapaxes(0, 1)], "r0": r0, **rest})
    single = everything(rnn, {"x": np.zeros((6, 0), np.float32), "y": y[:, 0], "r0": r0[0], **rest})
    assert single["h"].shape == (6, 7)
    assert single["x"].shape == (6, 0)
    assert batch["x"].shape == (6, 2, 0)
    assert batch["U"].shape == (7, 0)
    for key in ("h", "o", "y_hat"):
        assert same_bits(batch[key][:, 0], single[key])
        assert same_bits(as_list[key][0], single[key])
    assert same_bits(batch["last"][0], single["last"])
    assert same_bits(batch["W"], as_list["W"])


# ---- Streams ----


@feedbacks
@kinds
@inputs
def test_a_stream_goes_on_in_windows(input: Any, output: Any, feedback: Any, dtype: str, isa: str) -> None:
    for batch, n_hidden in ((1, 5), (1, 33), (3, 70), (9, 17)):
        ours = problem(Case(4, n_hidden, 6, (41,) * batch, input, output, feedback=feedback))
        rnn, arguments = ours.network(dtype), ours.arguments("batch")
        x, y, weight, r0 = (arguments[key] for key in ("x", "y", "weight", "r0"))
        whole = rnn.forward(x, r0=r0)
        free, forced = r0, r0
        loss = {0.0: 0.0, 1.0: 0.0}
        gradients = {p: rnn.loss_and_gradients(x, y, r0=r0, weight=weight, teacher_forcing=p)[1] for p in loss}
        for t, steps in ((0, 1), (1, 1), (2, 7), (9, 32)):
            window = slice(t, t + steps)
            run = rnn.forward(x[window], r0=free)
            assert same_bits(run.h, whole.h[window])
            assert same_bits(run.o, whole.o[window])
            assert same_bits(run.y_hat, whole.y_hat[window])
            for p, before in ((0.0, free), (1.0, forced)):
                part, after = rnn.loss_and_gradients(
                    x[window], y[window], r0=before, weight=weight[window], teacher_forcing=p
                )
                loss[p] += part
                if p == 0.0:
                    assert same_bits(after.r_last, run.r_last)
                    free = after.r_last
                else:
                    forced = after.r_last
        assert same_bits(free, whole.r_last)
        for p, last in ((0.0, free), (1.0, forced)):
            assert same_bits(last, gradients[p].r_last)
            expected = rnn.loss(x, y, r0=r0, weight=weight, teacher_forcing=p)
            # Equal terms, added up in another order, in double; where a window begins and r(0) is a class as a vector,
            # a(t) too is added up in another order.
            eps = float(np.finfo(dtype).eps) if (p, output) == (1.0, "softmax") else 0.0
            assert loss[p] == pytest.approx(expected, rel=max(1e-14, eps))
        seen = y[-1] if output != "softmax" else y[-1, :, None] == np.arange(6)
        assert same_bits(forced, np.where(weight[-1, :, None] == 0, 0, seen).astype(dtype))


@kinds
def test_forced_windows_have_the_gradients_of_the_whole(output: Any, dtype: str, isa: str) -> None:
    """With the same bits, but where a window begins and r(0) is the vector of a class: a sum in another order."""
    ours = problem(Case(4, 17, 6, (41,) * 3, "real", output, feedback="y_hat"))
    rnn, arguments = ours.network(dtype), ours.arguments("batch")
    x, y, weight, r0 = (arguments[key] for key in ("x", "y", "weight", "r0"))
    _, whole = rnn.loss_and_gradients(x, y, r0=r0, weight=weight, wrt_x=True)
    tolerance = tolerances(dtype)["gradients"]
    total: Any = 0.0
    for window in (slice(0, 1), slice(1, 9), slice(9, 41)):
        _, part = rnn.loss_and_gradients(x[window], y[window], r0=r0, weight=weight[window], wrt_x=True)
        begin = 1 if output == "softmax" and window.start > 0 else 0
        assert same_bits(part.x[begin:], whole.x[window][begin:])
        found, expected = part.x[:begin], whole.x[window][:begin]
        assert np.abs(found - expected).max(initial=0.0) <= tolerance * np.abs(expected).max(initial=0.0)
        r0 = part.r_last
        total = total + part.flat
    assert np.abs(total - whole.flat).max() <= tolerance * np.abs(whole.flat).max()


# ---- Threads ----

LARGE = [
    Case(32, 96, 40, (20,) * 33, feedback="y_hat"),
    Case(50, 96, 40, tuple(range(1, 45)), "token", "sigmoid", feedback="y_hat"),
    Case(20, 170, 120, (150,), feedback="y_hat"),
    Case(9, 200, 130, (50, 110, 40), "token", "linear", feedback="o"),
    Case(400, 370, 400, (6,) * 9, feedback="o"),
]


@forcings
@pytest.mark.parametrize("case", LARGE, ids=str)
@pytest.mark.usefixtures("threads")
def test_every_number_of_threads_gives_the_same_bits(case: Case, p: float, dtype: str, isa: str) -> None:
    ours = problem(dataclasses.replace(case, teacher_forcing=p))
    rnn, arguments = ours.network(dtype), ours.arguments()
    bptt.set_num_threads(1)
    expected = everything(rnn, arguments)
    for n in (2, 3, 8):
        bptt.set_num_threads(n)
        assert same_bits(everything(rnn, arguments), expected), n
        for _ in range(2):  # two threads that write the same place meet there now and then only
            loss, gradients = rnn.loss_and_gradients(**arguments)
            assert same_bits(loss, expected["loss"]), n
            for letter in "UWbVc":
                assert same_bits(getattr(gradients, letter), expected[letter]), (n, letter)


# ---- Memory ----


@pytest.mark.parametrize(
    "lengths", [(4,), (3000,), (300,) * 9, (40,) * 64, tuple(range(1, 90)), (2000, 3, 500, 1)], ids=len
)
@pytest.mark.parametrize("p", [0.0, 0.4])
@feedbacks
@inputs
def test_a_memory_limit_changes_no_bit(
    input: Any, feedback: Any, p: float, lengths: tuple[int, ...], dtype: str
) -> None:
    ours = problem(Case(3, 5, 2, lengths, input, "softmax", feedback=feedback, teacher_forcing=p))
    rnn, arguments = ours.network(dtype), ours.arguments()

    def results(limit: int | None) -> dict[str, Any]:
        loss, gradients = rnn.loss_and_gradients(**arguments, wrt_x=input == "real", memory_limit=limit)
        letters = {letter: getattr(gradients, letter) for letter in (*"UWbVcx", "r0", "r_last")}
        return {"loss": loss, **letters}

    with pytest.raises(ValueError, match=r"^memory_limit: expected at least ") as raised:
        rnn.loss_and_gradients(**arguments, memory_limit=0)
    found = re.fullmatch(r"memory_limit: expected at least (\d+) bytes for these sequences, got 0", str(raised.value))
    assert found is not None
    least = int(found[1])
    everything_kept = (sum(lengths) + len(lengths)) * 5 * rnn.dtype.itemsize
    assert least <= everything_kept
    with pytest.raises(ValueError, match=rf"^memory_limit: expected at least {least} bytes .*, got {least - 1}$"):
        rnn.loss_and_gradients(**arguments, memory_limit=least - 1)
    expected = results(None)
    middle = (least + everything_kept) // 2
    for limit in (least, least + 40, middle, everything_kept - 1, everything_kept, 10**12):
        assert same_bits(results(max(limit, least)), expected), limit


def test_forced_steps_need_no_memory(dtype: str) -> None:
    ours = problem(Case(3, 5, 2, (3000,), feedback="y_hat"))
    rnn, arguments = ours.network(dtype), ours.arguments()
    expected, found = rnn.loss_and_gradients(**arguments), rnn.loss_and_gradients(**arguments, memory_limit=0)
    assert same_bits(found[0], expected[0])
    assert same_bits(found[1].flat, expected[1].flat)


# ---- What is not a number, and what is not read ----


@forcings
@feedbacks
def test_nan_within_a_length_propagates(feedback: Any, p: float, dtype: str, isa: str) -> None:
    ours = problem(Case(4, 11, 3, (6,) * 9, feedback=feedback, teacher_forcing=p))
    rnn, arguments = ours.network(dtype), ours.arguments()
    arguments["y"][1:3, 1], arguments["weight"][1:3, 1] = 0, 1.5  # the step has a loss, and the one before it a class
    clean = everything(rnn, arguments)
    arguments["x"][2, 1, 3] = np.nan
    spoilt = everything(rnn, arguments)
    assert np.isnan(spoilt["loss"])
    assert np.isnan(spoilt["loss alone"])
    assert all(np.isnan(spoilt[letter]).any() for letter in "UWbVc")
    others = np.arange(9) != 1
    for key in ("h", "o", "y_hat"):
        assert np.isnan(spoilt[key][2:, 1]).all(), key  # free
        assert same_bits(spoilt[key][:2], clean[key][:2]), key
        assert same_bits(spoilt[key][:, others], clean[key][:, others]), key
    for key in ("r0", "last", "last of the gradients"):
        assert same_bits(spoilt[key][others], clean[key][others]), key
    assert same_bits(spoilt["x"][:, others], clean["x"][:, others])
    if p == 1.0:
        assert np.isnan(spoilt["x"][2, 1]).all()
        assert same_bits(np.delete(spoilt["x"][:, 1], 2, 0), np.delete(clean["x"][:, 1], 2, 0)), "steps do not meet"


@forcings
@kinds
@pytest.mark.parametrize("where", ["W", "V", "r0", "y", "weight"])
def test_nan_elsewhere_propagates(where: str, output: Any, p: float, dtype: str, isa: str) -> None:
    if where == "y" and output == "softmax":
        return  # a class is never NaN
    ours = problem(Case(4, 11, 3, (6,) * 2, "real", output, feedback="y_hat", teacher_forcing=p, extras=False))
    rnn = ours.network(dtype)
    arguments = ours.arguments() | {"r0": np.full((2, 3), 0.5), "weight": np.ones((6, 2))}
    if where in "WV":
        getattr(rnn, where)[1, 2] = np.nan
    else:
        arguments[where] = arguments[where].copy()
        arguments[where][1, 1] = np.nan
    if where == "W" and output == "softmax":
        arguments["y"][2] = 2  # the column of the class, for the next step to see
    loss, gradients = rnn.loss_and_gradients(**arguments)
    assert np.isnan(loss)
    assert np.isnan(rnn.loss(**arguments))
    assert np.isnan(gradients.flat).any()


@forcings
@kinds
@inputs
def test_nothing_beyond_a_length_is_read(input: Any, output: Any, p: float, dtype: str, isa: str) -> None:
    ours = ragged(input, output, "y_hat", p)
    rnn = ours.network(dtype)
    zeros, nothing = ours.arguments("padded", beyond=0.0), ours.arguments("padded", beyond=np.nan)
    assert not same_bits(zeros["x"], nothing["x"])
    assert same_bits(everything(rnn, zeros), everything(rnn, nothing))


@kinds
def test_a_target_of_weight_0_is_not_fed(output: Any, dtype: str) -> None:
    """What stands there is not read: it may be NaN, or no class."""
    ours = problem(Case(4, 11, 3, (6,) * 2, "real", output, feedback="y_hat", extras=False))
    rnn, arguments = ours.network(dtype), ours.arguments() | {"weight": np.ones((6, 2))}
    y, arguments["weight"][2, 1] = arguments["y"].copy(), 0
    y[2, 1] = 99 if output == "softmax" else np.nan
    found = everything(rnn, arguments | {"y": y})
    assert same_bits(found, everything(rnn, arguments))
    if output == "softmax":
        y[2, 1] = -1  # no target, no weight needed
        del arguments["weight"]
        assert same_bits(everything(rnn, arguments | {"y": y}), found)
    else:
        fed = everything(rnn, arguments | {"y": np.where(np.isnan(y), 0, y), "weight": np.ones((6, 2))})
        assert same_bits(fed["x"][3], found["x"][3]), "the next step sees 0"


@forcings
@kinds
def test_huge_logits_give_finite_losses_and_gradients(output: Any, p: float, dtype: str, isa: str) -> None:
    ours = problem(Case(3, 5, 4, (4,) * 3, "real", output, feedback="y_hat", teacher_forcing=p))
    for scale, feedback in itertools.product((1e4, -1e4), FEEDBACKS):
        rnn = JordanRNN(3, 5, 4, output=output, feedback=feedback, dtype=dtype, init=None)
        rnn.parameters = ours.parameters
        rnn.V *= scale
        loss, gradients = rnn.loss_and_gradients(**ours.arguments(), wrt_x=True)
        assert np.isfinite(loss)
        assert np.isfinite(gradients.flat).all()
        assert np.isfinite(gradients.x).all()
