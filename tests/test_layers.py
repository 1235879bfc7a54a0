"""Several layers, two directions and relu: their letters, states and forms, and what they equal by construction.

Their numbers are compared with the reference in test_results.py and with PyTorch in test_torch.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bptt import Adam, ElmanRNN, JordanRNN
from cases import LAYERS, OUTPUTS, Options, cycled, each, make
from core import DTYPES, ISAS
from laws import learned_state, least_memory, names_of_learned
from problems import joined_state, letters, problem, state_names
from results import assert_near, differing, everything, same_bits, tolerances

rnn_of: Any = ElmanRNN  # its arguments are checked when it is called


# ---- Letters ----


@pytest.mark.parametrize(
    ("n_hidden", "bidirectional", "shapes"),
    [
        (5, False, {"U": (5, 3), "W": (5, 5), "b": (5,), "V": (2, 5), "c": (2,)}),
        ((5,), False, {"U": (5, 3), "W": (5, 5), "b": (5,), "V": (2, 5), "c": (2,)}),
        (
            5,
            True,
            {
                **{"U": (5, 3), "W": (5, 5), "b": (5,)},
                **{"U_reverse": (5, 3), "W_reverse": (5, 5), "b_reverse": (5,)},
                **{"V": (2, 10), "c": (2,)},
            },
        ),
        (
            (5, 4),
            False,
            {"U1": (5, 3), "W1": (5, 5), "b1": (5,), "U2": (4, 5), "W2": (4, 4), "b2": (4,), "V": (2, 4), "c": (2,)},
        ),
        (
            (5, 4),
            True,
            {
                **{"U1": (5, 3), "W1": (5, 5), "b1": (5,)},
                **{"U1_reverse": (5, 3), "W1_reverse": (5, 5), "b1_reverse": (5,)},
                **{"U2": (4, 10), "W2": (4, 4), "b2": (4,)},
                **{"U2_reverse": (4, 10), "W2_reverse": (4, 4), "b2_reverse": (4,)},
                **{"V": (2, 8), "c": (2,)},
            },
        ),
    ],
)
def test_letters_are_views_in_the_flat_order(n_hidden: Any, bidirectional: bool, shapes: Any, dtype: str) -> None:
    rnn = rnn_of(3, n_hidden, 2, bidirectional=bidirectional, dtype=dtype, seed=0)
    x, y = np.ones((4, 3)), np.zeros(4, int)
    for of, flat in ((rnn, rnn.parameters), *((g, g.flat) for g in [rnn.loss_and_gradients(x, y)[1]])):
        found = letters(of)
        assert [(name, a.shape) for name, a in found.items()] == [*shapes.items()]
        assert same_bits(np.concatenate([a.ravel() for a in found.values()]), flat)
        assert all(np.shares_memory(a, flat) for a in found.values())
    letters(rnn)["c"][...] = 7
    assert (rnn.parameters[-2:] == 7).all()


def test_the_only_layer_has_the_letters_of_the_network() -> None:
    rnn: Any
    for rnn in (rnn_of(3, 5, 2, seed=0), JordanRNN(3, 5, 2, seed=0)):
        _, gradients = rnn.loss_and_gradients(np.ones((4, 3)), np.zeros(4, int))
        for of in (rnn, gradients):
            (layer,) = of.layers
            assert layer.reverse is None
            for letter in "UWb":
                assert getattr(layer, letter).shape == getattr(of, letter).shape
                assert np.shares_memory(getattr(layer, letter), getattr(of, letter))
    rnn.layers[0].W = np.ones((5, 2))
    assert (rnn.W == 1).all()


@pytest.mark.parametrize("letter", "UWb")
@pytest.mark.parametrize("options", [{"n_hidden": (5, 4)}, {"n_hidden": 5, "bidirectional": True}])
def test_letters_of_one_layer_alone_are_refused(options: Any, letter: str) -> None:
    rnn = rnn_of(3, n_out=2, **options)
    _, gradients = rnn.loss_and_gradients(np.ones((4, 3)), np.zeros(4, int))
    for of in (rnn, gradients):
        with pytest.raises(AttributeError, match=rf"layers\[k\]\.{letter}"):
            getattr(of, letter)
    with pytest.raises(AttributeError, match=r"layers\[k\]"):
        setattr(rnn, letter, 0)


def test_assigning_letters_of_a_layer() -> None:
    rnn = rnn_of(3, (5, 4), 2, bidirectional=True, seed=0)
    value = np.arange(40.0).reshape(4, 10)
    rnn.layers[1].reverse.U = value
    assert (letters(rnn)["U2_reverse"] == value).all()
    before = rnn.parameters.copy()
    for of, letter, wrong in [(rnn.layers[1], "U", (4, 5)), (rnn.layers[0].reverse, "W", (4, 4)), (rnn, "V", (2, 4))]:
        with pytest.raises(ValueError, match=rf"{letter}: expected \["):
            setattr(of, letter, np.ones(wrong))
    assert same_bits(rnn.parameters, before)


# ---- Construction ----


@pytest.mark.parametrize(("n_hidden", "expected"), [(5, 5), ([5], 5), ((5, 4), (5, 4)), ([np.int64(3)] * 3, (3, 3, 3))])
def test_sizes(n_hidden: Any, expected: Any) -> None:
    rnn = rnn_of(3, n_hidden, 2, activation="relu", bidirectional=True)
    assert rnn.n_hidden == expected
    assert (rnn.activation, rnn.bidirectional) == ("relu", True)
    assert (rnn_of(3, 4, 2).activation, rnn_of(3, 4, 2).bidirectional) == ("tanh", False)
    assert len(rnn.layers) == (1 if isinstance(expected, int) else len(expected))


@pytest.mark.parametrize(
    ("kind", "n_hidden", "options", "error", "message"),
    [
        (ElmanRNN, (), {}, ValueError, "^n_hidden: "),
        (ElmanRNN, (5, 0), {}, ValueError, "^n_hidden.*: expected at least 1, got 0$"),
        (ElmanRNN, (5, 2.0), {}, TypeError, "^n_hidden.*: expected an int.*, got float$"),
        (ElmanRNN, 5, {"activation": "gelu"}, ValueError, "^activation: expected one of 'tanh', 'relu', got 'gelu'$"),
        (JordanRNN, 5, {"activation": None}, ValueError, "^activation: expected one of 'tanh', 'relu', got None$"),
        (ElmanRNN, 5, {"bidirectional": 1}, TypeError, "^bidirectional: "),
        (JordanRNN, (5, 4), {}, (TypeError, ValueError), "^n_hidden: "),
        (JordanRNN, 5, {"bidirectional": True}, TypeError, "unexpected keyword argument"),
    ],
)
def test_networks_that_are_none(kind: Any, n_hidden: Any, options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        kind(3, n_hidden, 2, **options)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("init", ["orthogonal", "identity", "uniform"])
def test_initial_weights_of_every_layer(init: str, bidirectional: bool) -> None:
    rnn = rnn_of(3, (6, 4), 2, init=init, seed=0, bidirectional=bidirectional, dtype="float64")
    for name, values in letters(rnn).items():
        if init == "uniform":
            assert values.min() < 0 < values.max(), name
        elif name[0] in "bc":
            assert not values.any(), name
        elif name[0] == "W":
            found = values if init == "identity" else values @ values.T
            assert np.abs(found - np.eye(len(values))).max() <= 1e-14, name  # sums of 6 terms, each within eps / 2
        else:
            assert 0 < np.abs(values).max() <= 1 / math.sqrt(values.shape[1]), name
    every = list(letters(rnn).values())
    drawn = np.concatenate([a.ravel() for a in every if len(np.unique(a)) == a.size > 2])
    assert len(np.unique(drawn)) == drawn.size, "no two layers or directions have the same numbers"


def test_one_layer_draws_the_same_numbers_however_it_is_said() -> None:
    assert same_bits(rnn_of(3, (6,), 2, seed=4).parameters, ElmanRNN(3, 6, 2, seed=4).parameters)
    assert same_bits(rnn_of(3, 6, 2, seed=4, activation="relu").parameters, ElmanRNN(3, 6, 2, seed=4).parameters)


# ---- States ----


@each([options for options in LAYERS if "feedback" not in options])
def test_states_have_an_entry_a_layer_and_a_pair_for_two_directions(options: Options, dtype: str) -> None:
    for form, rows in (("single", ()), ("batch", (3,)), ("list", (3,))):
        p = problem(make(3, 5, 2, (4,) if form == "single" else (4,) * 3, **options))
        rnn = p.network(dtype)
        run, (_, gradients) = rnn.forward(**p.inputs(form)), rnn.loss_and_gradients(**p.arguments(form))  # type: ignore[arg-type]
        both = p.case.bidirectional
        last, of_each = p.case.last, p.case.of_each
        for state in (getattr(run, last), getattr(gradients, last), getattr(gradients, of_each)):
            if p.case.simple:
                assert state.shape == (*rows, 5)
                continue
            assert isinstance(state, list)
            assert len(state) == len(p.case.sizes)
            for of_layer, n in zip(state, p.case.sizes, strict=True):
                assert isinstance(of_layer, tuple) == both
                for one in of_layer if both else (of_layer,):
                    assert one.shape == (*rows, n)
                    assert one.dtype == np.dtype(dtype)
        wide = p.case.sizes[-1] * (2 if both else 1)
        h = run.h if form != "list" else run.h[0]
        assert h.shape == ((4, wide) if form != "batch" else (4, 3, wide))


STATES: list[tuple[dict[str, Any], Callable[[], Any]]] = [
    ({"n_hidden": (5, 4)}, lambda: np.zeros((2, 5))),
    ({"n_hidden": (5, 4)}, lambda: [np.zeros((2, 5))]),
    ({"n_hidden": (5, 4)}, lambda: [np.zeros((2, 5)), np.zeros((2, 4)), np.zeros((2, 4))]),
    ({"n_hidden": (5, 4)}, lambda: [np.zeros((2, 5)), np.zeros((2, 5))]),
    ({"n_hidden": (5, 4)}, lambda: [np.zeros((2, 5)), np.zeros(4)]),
    ({"n_hidden": (5, 4)}, lambda: [np.zeros((2, 5)), np.zeros((2, 4), complex)]),
    ({"n_hidden": 5, "bidirectional": True}, lambda: np.zeros((2, 5))),
    ({"n_hidden": 5, "bidirectional": True}, lambda: [np.zeros((2, 5))]),
    ({"n_hidden": 5, "bidirectional": True}, lambda: [(np.zeros((2, 5)),)]),
    ({"n_hidden": 5, "bidirectional": True}, lambda: [(np.zeros((2, 5)), np.zeros((2, 4)))]),
    ({"n_hidden": 5}, lambda: [np.zeros((2, 4))]),
]


@pytest.mark.parametrize(("options", "state"), STATES)
def test_states_that_are_none(options: Any, state: Callable[[], Any]) -> None:
    rnn = rnn_of(3, n_out=2, **options)
    x, y = np.zeros((4, 2, 3)), np.zeros((4, 2), int)
    calls: list[Callable[[], object]] = [
        lambda: rnn.forward(x, h0=state()),
        lambda: rnn.loss(x, y, h0=state()),
        lambda: rnn.loss_and_gradients(x, y, h0=state()),
    ]
    for call in calls:
        with pytest.raises((ValueError, TypeError), match=r"^h0.*: expected "):
            call()


@each(LAYERS)
def test_no_initial_state_is_0_or_what_is_learned(options: Options) -> None:
    p = problem(make(3, 5, 2, (4, 2), **options))
    rnn, arguments = p.network("float32"), p.arguments()
    assert p.initial is not None
    names = state_names(p.case, p.case.initial)
    first = [np.zeros_like(state) + learned_state(p, name) for name, state in zip(names, p.initial, strict=True)]
    given = everything(rnn, arguments | {p.case.initial: joined_state(p.case, first)})
    learned = names_of_learned(rnn)
    assert bool(learned) == p.case.learn_h0
    assert differing(everything(rnn, arguments | {p.case.initial: None}), given) == learned
    assert not any(given[name].any() for name in learned)


def test_the_top_layer_is_h() -> None:
    rnn = rnn_of(3, (5, 4), 2, seed=0, bidirectional=True)
    run = rnn.forward(np.ones((6, 2, 3)), lengths=[6, 3], all_layers=True)
    assert [h.shape for h in run.layers] == [(6, 2, 10), (6, 2, 8)]
    assert same_bits(run.layers[1], run.h)
    assert not run.layers[0][3:, 1].any(), "beyond a length, a state is 0"


# ---- What they equal ----


@cycled(lengths=[(7,), (5, 2, 5), (60,) * 9], dtype=DTYPES, isa=ISAS)
def test_identities_on_top_of_relu_are_the_lowest_layer(lengths: tuple[int, ...], dtype: str, isa: str) -> None:
    lowest = problem(make(3, 7, 4, lengths, activation="relu"))
    one, stack = lowest.network(dtype), make(3, 7, 4, lengths, upper=(7, 7), activation="relu").network(dtype)
    for letter in "UWb":
        setattr(stack.layers[0], letter, getattr(one, letter))
    stack.layers[1].U = stack.layers[2].U = np.eye(7)
    stack.V, stack.c = one.V, one.c
    arguments = lowest.arguments()
    h0 = arguments["h0"]
    found = everything(stack, arguments | {"h0": [h0, np.zeros_like(h0), np.zeros_like(h0)]})
    expected = everything(one, arguments)
    for name in ("h", "o", "y_hat", "loss alone", "loss"):
        assert same_bits(found[name], expected[name]), name
    assert same_bits(found["h of layer 0"], expected["h"])
    tolerance = tolerances(dtype).gradients  # windows of several layers may end elsewhere
    for name in ("U", "W", "b", "V", "c", "h0_each", "x"):
        same = {"h0_each": "h0_each[0]"}.get(name, f"{name}1" if name in "UWb" else name)
        assert_near(found[same], expected[name], tolerance, name)


def halves(p: Any, dtype: str) -> tuple[Any, Any]:
    """The two networks of one direction that a network of one layer in two consists of; the second has no c."""
    rnn, n = p.network(dtype), p.case.sizes[0]
    networks = []
    for layer, columns in ((rnn.layers[0], slice(n)), (rnn.layers[0].reverse, slice(n, None))):
        options = {"output": "linear", "readout": p.case.readout, "activation": p.case.activation, "dtype": dtype}
        one = rnn_of(p.case.n_in, n, p.case.n_out, init=None, **options)
        one.U, one.W, one.b, one.V = layer.U, layer.W, layer.b, rnn.V[:, columns]
        networks.append(one)
    networks[0].c = rnn.c
    return networks[0], networks[1]


@cycled(readout=["all", "last"], activation=["tanh", "relu"], n_hidden=[7, 33], dtype=DTYPES, isa=ISAS)
def test_two_directions_are_two_networks(readout: str, activation: str, n_hidden: int, dtype: str, isa: str) -> None:
    case = make(4, n_hidden, 5, (9, 6, 1), readout=readout, activation=activation, bidirectional=True)
    p = problem(case)
    rnn, (ahead, back) = p.network(dtype), halves(p, dtype)
    run = rnn.forward(**p.inputs("list"))
    assert p.initial is not None
    one = ahead.forward(p.x, h0=p.initial[0])
    other = back.forward([x[::-1] for x in p.x], h0=p.initial[1])
    eps = tolerances(dtype).forward
    for i in range(3):
        assert same_bits(run.h[i], np.concatenate([one.h[i], other.h[i][::-1]], axis=1))
        o = other.o[i] if readout == "last" else other.o[i][::-1]
        assert_near(run.o[i], one.o[i].astype(np.float64) + o, eps, "o")
    assert same_bits(run.h_last, [(one.h_last, other.h_last)])


@cycled(dtype=DTYPES, isa=ISAS, activation=["tanh", "relu"])
def test_two_directions_meet_at_any_step(dtype: str, isa: str, activation: str) -> None:
    """A sequence in two parts: each direction goes on with the state that it left the other part with."""
    p = problem(make(4, 9, 5, (11,), bidirectional=True, activation=activation))
    rnn, (ahead, back), x = p.network(dtype), halves(p, dtype), p.x[0]
    assert p.initial is not None
    first, last = (state[0] for state in p.initial)
    whole = rnn.forward(x, h0=[(first, last)])
    middle = ahead.forward(x[:4], h0=first).h_last, back.forward(x[4:][::-1], h0=last).h_last
    parts = rnn.forward(x[:4], h0=[(first, middle[1])]), rnn.forward(x[4:], h0=[(middle[0], last)])
    assert same_bits(np.concatenate([part.h for part in parts]), whole.h)
    assert same_bits(np.concatenate([part.o for part in parts]), whole.o)
    assert same_bits(whole.h_last, [(parts[1].h_last[0][0], parts[0].h_last[0][1])])


@cycled(activation=["tanh", "relu"], bidirectional=[False, True], dtype=DTYPES, isa=ISAS)
def test_a_layer_reads_the_states_of_the_one_below(activation: str, bidirectional: bool, dtype: str, isa: str) -> None:
    options = {"activation": activation, "bidirectional": bidirectional}
    p = problem(make(4, 9, 5, (8, 3, 8), upper=(6,), **options))
    rnn = p.network(dtype)
    below, above = (
        rnn_of(n, m, 5, init=None, dtype=dtype, **options) for n, m in ((4, 9), (18 if bidirectional else 9, 6))
    )
    for layer, one in zip(rnn.layers, (below, above), strict=True):
        for to, of in zip((one.layers[0], one.layers[0].reverse), (layer, layer.reverse), strict=True):
            for letter in "UWb" if of is not None else "":
                setattr(to, letter, getattr(of, letter))
    above.V, above.c = rnn.V, rnn.c
    given = p.inputs("list")
    run = rnn.forward(**given, all_layers=True)
    states = [[state] if bidirectional else state for state in given["h0"]]
    lower = below.forward(given["x"], h0=states[0])
    upper = above.forward(lower.h, h0=states[1])
    assert same_bits(run.layers[0], lower.h)
    tolerance = tolerances(dtype).forward
    for name in ("h", "o", "y_hat"):
        for found, expected in zip(getattr(run, name), getattr(upper, name), strict=True):
            assert_near(found, expected, tolerance, name)


@pytest.mark.parametrize("output", OUTPUTS)
def test_one_layer_may_be_given_as_a_sequence(output: Any) -> None:
    p = problem(make(3, 5, 4, (6, 2), output=output))
    rnn = rnn_of(3, (5,), 4, output=output, init=None)
    rnn.parameters = p.parameters
    assert same_bits(everything(rnn, p.arguments()), everything(p.network("float32"), p.arguments()))


def test_small_states_of_relu_are_those_of_its_line() -> None:
    """Where all pre-activations are positive, relu is the identity, and the states have a closed form."""
    rnn = rnn_of(1, 2, 1, activation="relu", output="linear", init=None, dtype="float64")
    rnn.W = [[0.5, 0.0], [0.25, 0.5]]
    rnn.U, rnn.b, rnn.V = [[1.0], [0.0]], [0.0, 1.0], [[1.0, 1.0]]
    run = rnn.forward(np.array([[1.0], [0.0], [0.0], [-9.0]]))
    assert run.h.tolist() == [[1.0, 1.0], [0.5, 1.75], [0.25, 2.0], [0.0, 2.0625]]
    loss, gradients = rnn.loss_and_gradients(np.array([[1.0], [0.0]]), np.array([[2.0], [1.25]]))
    assert loss == 0.5  # the second output is 2.25, its target 1.25
    assert gradients.layers[0].W.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert gradients.layers[0].U.tolist() == [[0.75], [0.5]]


# ---- What cannot be ----


def test_what_must_know_the_end_is_refused() -> None:
    rnn = rnn_of(5, 4, 5, bidirectional=True)
    x, y = np.zeros((6, 2, 5), np.float32), np.zeros((6, 2), int)
    with pytest.raises(ValueError, match=r"^bidirectional: expected False to generate, "):
        rnn.generate(3)
    before = rnn.parameters.copy()
    with pytest.raises(ValueError, match=r"^truncate: .*(bidirectional|two directions)"):
        rnn.fit(x, y, optimizer=Adam(), epochs=1, truncate=2, progress=False)
    assert same_bits(rnn.parameters, before)


@cycled(upper=[(), (6,), (6, 4)], lengths=[(40,), (9, 30, 2)], dtype=DTYPES)
def test_what_lies_between_stages_is_part_of_the_least_memory(
    upper: tuple[int, ...], lengths: tuple[int, ...], dtype: str
) -> None:
    """Every layer of two directions but the top one is kept whole, for the one above reads it in both."""
    p = problem(make(3, 5, 2, lengths, upper=upper, bidirectional=True))
    kept = sum(lengths) * 2 * sum(p.case.sizes[:-1]) * np.dtype(dtype).itemsize
    assert least_memory(p.network(dtype), p.arguments()) >= kept
