"""One sequence, a batch, a padded batch, a list: the same bits in every form, and results in the form that went in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bptt import ElmanRNN, JordanRNN
from cases import EVERY_STEP, INPUTS, NETWORKS, OUTPUTS, Options, cycled, each, make
from core import DTYPES, ISAS, instruction_set
from laws import check_forms
from problems import joined_state, problem, split_state
from results import everything, named_state, same_bits

LENGTHS = (3, 6, 1, 6, 2)


@cycled(options=NETWORKS, input=INPUTS, output=OUTPUTS, reset=[False, True])
def test_forms_agree(options: Options, input: str, output: str, reset: bool, dtype: str, isa: str) -> None:
    check_forms(problem(make(4, 11, 5, LENGTHS, input=input, output=output, reset=reset, **options)), dtype)


# Too large for the reference: in windows of some 400 rows that do not fit L2. Those of one sequence do.
LARGE = {
    "170-260-130": ("float64", (170, 260, 130), (20,) * 40, "softmax"),
    "301-450-70": ("float32", (301, 450, 70), (20,) * 25 + (8,) * 15, "linear"),
    "20-300-500": ("float32", (20, 300, 500), (20,) * 40, "sigmoid"),
    "20-300-500-short": ("float32", (20, 300, 500), (9,) * 48, "softmax"),
}
OF_LARGE: list[Options] = [
    {"readout": "all"},
    {"feedback": "y_hat", "teacher_forcing": 1.0},
    {"feedback": "o", "teacher_forcing": 0.0},
    {"feedback": "y_hat", "teacher_forcing": 0.4},
    {"upper": (150,), "activation": "relu"},
    {"bidirectional": True},
]


@pytest.mark.slow
@cycled(large=[*LARGE], options=OF_LARGE, isa=ISAS)
def test_forms_agree_at_large_sizes(large: str, options: Options, isa: str) -> None:
    dtype, sizes, lengths, output = LARGE[large]
    p = problem(make(*sizes, lengths, output=output, **options))
    check_forms(p, dtype, [1, 2, 10, len(lengths)])  # few rows and many


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40)),
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=20).map(tuple),
    input=st.sampled_from(INPUTS),
    output=st.sampled_from(OUTPUTS),
    options=st.sampled_from(NETWORKS),
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
    options: Options,
    extras: bool,
    reset: bool,
    dtype: str,
    isa: str,
) -> None:
    with instruction_set(isa):
        case = make(*sizes, lengths, input=input, output=output, extras=extras, reset=reset, **options)
        check_forms(problem(case), dtype)


# What a forward pass computes does not depend on teacher forcing.
@cycled(options=[o for o in EVERY_STEP if o.get("teacher_forcing", 0.4) == 0.4], input=INPUTS)
def test_a_row_has_the_same_bits_in_every_batch(options: Options, input: str, dtype: str, isa: str) -> None:
    p = problem(make(6, 71, 5, (14,) * 40, input=input, **options))
    case, rnn, x = p.case, p.network(dtype), p.inputs("batch")["x"]
    alone = [rnn.forward(**p.part(i, i + 1).inputs("single")) for i in range(40)]
    lasts = [named_state(case, "last", getattr(run, case.last)) for run in alone]
    states = split_state(case, p.inputs("batch")[case.initial])
    for batch in range(2, 41):  # beyond 28 rows, 14 steps are two windows of 7
        initial = [state[:batch] for state in states]
        run = rnn.forward(x[:, :batch], **{case.initial: joined_state(case, initial)})
        last = named_state(case, "last", getattr(run, case.last))
        for i in range(batch):
            assert same_bits(run.h[:, i], alone[i].h), (batch, i)
            assert same_bits(run.o[:, i], alone[i].o), (batch, i)
            assert same_bits(run.y_hat[:, i], alone[i].y_hat), (batch, i)
            assert same_bits({name: state[i] for name, state in last.items()}, lasts[i]), (batch, i)


@cycled(options=NETWORKS, input=INPUTS, output=OUTPUTS, reset=[False, True], dtype=DTYPES, isa=ISAS)
def test_nothing_beyond_a_length_is_read(
    options: Options, input: str, output: str, reset: bool, dtype: str, isa: str
) -> None:
    p = problem(make(4, 11, 5, LENGTHS, input=input, output=output, reset=reset, **options))
    rnn = p.network(dtype)
    zeros, nothing = p.arguments("padded", beyond=0.0), p.arguments("padded", beyond=np.nan)
    assert not same_bits(zeros["x"], nothing["x"])
    assert not reset or not same_bits(zeros["reset"], nothing["reset"])
    assert same_bits(everything(rnn, zeros), everything(rnn, nothing))


@each(NETWORKS)
def test_a_tuple_is_a_list(options: Options) -> None:
    p = problem(make(3, 4, 2, (2, 5), **options))
    as_list = p.arguments("list")
    as_tuple = {
        name: tuple(value) if isinstance(value, list) and name != p.case.initial else value
        for name, value in as_list.items()
    }
    assert isinstance(as_tuple["x"], tuple)
    rnn = p.network("float32")
    assert same_bits(everything(rnn, as_tuple), everything(rnn, as_list))


# ---- The form of results ----


@pytest.mark.parametrize("kind", [ElmanRNN, JordanRNN])
def test_results_have_the_form_that_went_in(kind: Any) -> None:
    rnn = kind(3, 4, 2)
    wide = 4 if kind is ElmanRNN else 2  # what a step sees of the one before it
    initial, last = ("h0", "h_last") if kind is ElmanRNN else ("r0", "r_last")

    def shapes(of: Any, *names: str) -> list[Any]:
        found = [getattr(of, {"initial": initial, "last": last}.get(name, name)) for name in names]
        return [[a.shape for a in value] if isinstance(value, list) else value.shape for value in found]

    x, y = np.zeros((5, 6, 3), np.float32), np.zeros((5, 6), int)
    run, (loss, gradients) = rnn.forward(x), rnn.loss_and_gradients(x, y, wrt_x=True)
    assert type(loss) is type(rnn.loss(x, y)) is float
    assert shapes(run, "h", "o", "y_hat", "last") == [(5, 6, 4), (5, 6, 2), (5, 6, 2), (6, wide)]
    assert shapes(gradients, "initial", "x", "last") == [(6, wide), (5, 6, 3), (6, wide)]
    assert shapes(gradients, *"UWbVc") == [(4, 3), (4, wide), (4,), (2, 4), (2,)]
    assert gradients.flat.shape == rnn.parameters.shape
    for result in (run, gradients):
        assert not hasattr(result, "r_last" if kind is ElmanRNN else "h_last")
        assert not hasattr(result, "r0" if kind is ElmanRNN else "h0")
    run, (_, gradients) = rnn.forward(x[:, 0]), rnn.loss_and_gradients(x[:, 0], y[:, 0], wrt_x=True)
    assert shapes(run, "h", "o", "y_hat", "last") == [(5, 4), (5, 2), (5, 2), (wide,)]
    assert shapes(gradients, "initial", "x", "last") == [(wide,), (5, 3), (wide,)]
    assert rnn.loss_and_gradients(x, y)[1].x is None
    run, (_, gradients) = rnn.forward([x[:2, 0], x[:, 0]]), rnn.loss_and_gradients([x[:2, 0]], [y[:2, 0]], wrt_x=True)
    assert shapes(run, "h", "o", "y_hat", "last") == [[(2, 4), (5, 4)], [(2, 2), (5, 2)], [(2, 2), (5, 2)], (2, wide)]
    assert shapes(gradients, "initial", "x", "last") == [(1, wide), [(2, 3)], (1, wide)]
    for array in (getattr(run, last), run.y_hat[0], gradients.flat, getattr(gradients, initial), gradients.x[0]):
        assert array.dtype == np.float32
    assert getattr(gradients, last).dtype == np.float32


def test_results_of_the_last_step_have_no_axis_of_time() -> None:
    rnn = ElmanRNN(3, 4, 2, readout="last")
    x, y = np.zeros((5, 6, 3), np.float32), np.zeros(6, int)
    run, (_, gradients) = rnn.forward(x), rnn.loss_and_gradients(x, y)
    assert (run.h.shape, run.o.shape, run.y_hat.shape, run.h_last.shape) == ((5, 6, 4), (6, 2), (6, 2), (6, 4))
    assert gradients.x is None
    assert rnn.forward(x[:, 0]).o.shape == rnn.forward(x[:, 0]).y_hat.shape == (2,)
    assert rnn.forward([x[:2, 0], x[:, 0]]).o.shape == (2, 2)


def test_y_hat_is_computed_once() -> None:
    run = ElmanRNN(3, 5, 2, seed=0).forward(np.ones((4, 3)))
    assert run.y_hat is run.y_hat
    assert run.y_hat.sum(axis=1) == pytest.approx(np.ones(4), abs=4e-7)  # some eps of float32
    assert repr(run) == "Run(h [4, 5], o [4, 2], float32)"


@pytest.mark.parametrize("p", [1.0, 0.0, 0.4])
@pytest.mark.parametrize("feedback", ["y_hat", "o"])
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
