"""Several layers, two directions and relu in pure Python: networks that must be equal; it must not know the C++ core.

Central differences, and what holds for every network, are in test_reference.py.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

from bptt import reference
from bptt.reference import Activation, Layer, Output, Parameters, Readout, Stack
from bptt.reference.layer import relu, relu_gradient
from pairs import pairwise
from reference_problems import (
    INPUTS,
    OUTPUTS,
    READOUTS,
    RESETS,
    ROUNDING,
    TAU,
    Problem,
    flat,
    random_problem,
    words,
)

COMMON: dict[str, Any] = {"input": INPUTS, "output": OUTPUTS, "readout": READOUTS, "reset": RESETS}


def identity(n: int, *, left: int = 0, right: int = 0) -> list[list[float]]:
    """The identity between columns of zeros."""
    return [[0.0] * left + [float(i == j) for j in range(n)] + [0.0] * right for i in range(n)]


def zeros(n: int) -> list[list[float]]:
    return [[0.0] * n for _ in range(n)]


# ---- Several layers ----


@pytest.mark.parametrize(
    "case",
    pairwise({"bidirectional": (False, True), **COMMON}),
    ids=words,
)
def test_upper_layers_that_are_the_identity_change_nothing(case: dict[str, Any]) -> None:
    """For relu: h^2(t) = relu(h^1(t)) = h^1(t). A product with 1 or 0 is exact, so all results have the same bits."""
    one = random_problem(n_hidden=(3,), activation="relu", **case)
    if case["bidirectional"]:
        upper = Layer(identity(3, right=3), zeros(3), [0.0] * 3, Layer(identity(3, left=3), zeros(3), [0.0] * 3))
        states: list[Any] = [([0.5, -0.5, 2.0], [1.0, -1.0, 0.25])]
        initial = one.initial + states * 2
    else:
        upper = Layer(identity(3), zeros(3), [0.0] * 3)
        initial = [one.initial, [0.5, -0.5, 2.0], [1.0, 0.0, -1.0]]  # W = 0: of no effect
    lowest = one.parameters
    three = one.but(parameters=Stack([*lowest.layers, upper, upper], lowest.V, lowest.c), initial=initial)
    run, expected = three.forward(), one.forward()
    assert any(flat(run.h))
    assert run.layers == [expected.h] * 3
    assert (run.o, run.y_hat) == (expected.o, expected.y_hat)
    (loss, gradients), (expected_loss, expected_gradients) = three.loss_and_gradients(), one.loss_and_gradients()
    assert loss == expected_loss
    assert (gradients.layers[0], gradients.V, gradients.c) == (
        expected_gradients.layers[0],
        expected_gradients.V,
        expected_gradients.c,
    )
    assert gradients.x == expected_gradients.x
    assert gradients.h0[0] == (expected_gradients.h0[0] if case["bidirectional"] else expected_gradients.h0)
    assert any(flat(gradients.layers[0].U))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("reset", RESETS)
def test_layers_are_networks_one_upon_the_other(activation: Activation, reset: Any) -> None:
    """Each layer is a network of one layer whose x(t) is h(t) of the one below."""
    problem = random_problem(n_hidden=(2, 5, 3), activation=activation, reset=reset)
    run = problem.forward()
    below = problem.x
    for layer, h0, h, h_last in zip(problem.parameters.layers, problem.initial, run.layers, run.h_last, strict=True):
        one = reference.forward(Stack([layer], [[0.0] * len(h0)], [0.0]), below, h0, activation=activation, reset=reset)
        assert (h, h_last) == (one.h, one.h_last)
        below = h
    assert run.h == below


# ---- Two directions ----


def reversed_boundaries(reset: Any) -> Any:
    """Where new sequences start among the same steps in the opposite order: after each of the old starts."""
    return None if reset is None else [False] + [reset[t] for t in range(TAU - 1, 0, -1)]


def alone(problem: Problem, direction: int, y: Any, output: Output = "linear") -> Problem:
    """One direction of a layer as a network of its own, over reversed steps if it is the second; with its half of V."""
    layer = problem.parameters.layers[0]
    n = len(layer.b)
    reverse = layer.reverse
    assert reverse is not None
    part = [layer, reverse][direction]
    V = [row[:n] if direction == 0 else row[n:] for row in problem.parameters.V]
    order = slice(None, None, -1) if direction == 1 else slice(None)
    last = problem.options["readout"] == "last"
    return problem.but(
        parameters=Parameters(part.U, part.W, part.b, V, [0.0] * len(V)),
        x=problem.x[order],
        y=y if last else y[order],
        weight=None,
        initial=problem.initial[0][direction],
        reset=reversed_boundaries(problem.options["reset"]) if direction == 1 else problem.options["reset"],
        output=output,
    )


@pytest.mark.parametrize(
    "case",
    pairwise({"activation": ("tanh", "relu"), **COMMON}),
    ids=words,
)
def test_two_directions_are_two_networks(case: dict[str, Any]) -> None:
    """Run by hand: o(t) = c + V_1 h_forward(t) + V_2 h_reverse(t), and both networks get dL/do(t)."""
    both = random_problem(n_hidden=(3,), bidirectional=True, **case)
    last = case["readout"] == "last"
    unknown = [0.0] * len(both.parameters.c)
    each = [alone(both, d, unknown if last else [unknown] * TAU) for d in (0, 1)]
    run = both.forward()
    forward, reverse = (part.forward() for part in each)
    assert run.h == [f + r for f, r in zip(forward.h, reverse.h[::-1], strict=True)]
    assert run.h_last == [(forward.h_last, reverse.h_last)]
    o_forward, o_reverse = ([forward.o], [reverse.o]) if last else (forward.o, reverse.o[::-1])
    o = [
        [c + f + r for c, f, r in zip(both.parameters.c, f_t, r_t, strict=True)]
        for f_t, r_t in zip(o_forward, o_reverse, strict=True)
    ]
    assert flat([run.o] if last else run.o) == pytest.approx(flat(o), rel=ROUNDING, abs=ROUNDING)

    # A linear network of the target o(t) - dL/do(t) has that dL/do(t).
    _, gradients = both.loss_and_gradients()
    do = gradients_of_outputs(both, run)
    dx = []
    for d, o_d in enumerate((o_forward, o_reverse)):
        y = [[o_i - do_i for o_i, do_i in zip(o_t, do_t, strict=True)] for o_t, do_t in zip(o_d, do, strict=True)]
        _, expected = alone(both, d, y[0] if last else y).loss_and_gradients()
        found = [gradients.layers[0], gradients.layers[0].reverse][d]
        half = [row[:3] if d == 0 else row[3:] for row in gradients.V]
        for name, gradient in {**vars(found), "V": half, "h0": gradients.h0[0][d]}.items():
            if name != "reverse":
                # That dL/do(t) is a difference of numbers of order 1, rounded to eps.
                difference = pytest.approx(flat(getattr(expected, name)), rel=0.0, abs=10 * ROUNDING)
                assert flat(gradient) == difference, name
        dx.append(expected.x)
    if case["input"] == "real":
        sums = [a + b for a, b in zip(flat(dx[0]), flat(dx[1][::-1]), strict=True)]
        assert flat(gradients.x) == pytest.approx(sums, rel=0.0, abs=10 * ROUNDING)


def gradients_of_outputs(problem: Problem, run: Any) -> list[list[float]]:
    """dL/do(t) = weight (y_hat(t) - y(t)), with a list of one where only the last states are read."""
    last = problem.options["readout"] == "last"
    steps = [(run.y_hat, problem.y, problem.weight)] if last else zip(run.y_hat, problem.y, problem.weight, strict=True)
    do = []
    for y_hat, y, weight in steps:
        if weight == 0.0 or y == -1:
            do.append([0.0] * len(y_hat))
            continue
        target = [float(i == y) for i in range(len(y_hat))] if problem.options["output"] == "softmax" else y
        do.append([weight * (a - b) for a, b in zip(y_hat, target, strict=True)])
    return do


def mirrored(layer: Layer, n_below: int) -> Layer:
    """The two directions of a layer exchanged; of what it reads, the halves exchanged (``n_below`` numbers each)."""

    def exchanged(part: Layer) -> Layer:
        return Layer([row[n_below:] + row[:n_below] for row in part.U], part.W, part.b)

    assert layer.reverse is not None
    return Layer(**{**vars(exchanged(layer.reverse)), "reverse": exchanged(layer)})


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_time_runs_the_other_way_in_a_mirrored_network(activation: Activation, readout: Readout) -> None:
    problem = random_problem(
        n_hidden=(2, 3), bidirectional=True, activation=activation, readout=readout, reset=RESETS[2]
    )
    first, second = problem.parameters.layers
    V = [row[3:] + row[:3] for row in problem.parameters.V]
    mirror = problem.but(
        parameters=Stack([mirrored(first, 0), mirrored(second, 2)], V, problem.parameters.c),
        x=problem.x[::-1],
        y=problem.y if readout == "last" else problem.y[::-1],
        weight=problem.weight if readout == "last" else problem.weight[::-1],
        initial=[(reverse, forward) for forward, reverse in problem.initial],
        reset=reversed_boundaries(RESETS[2]),
    )
    run, expected = mirror.forward(), problem.forward()
    assert run.o == (expected.o if readout == "last" else expected.o[::-1])
    assert run.h_last == [(reverse, forward) for forward, reverse in expected.h_last]
    loss, gradients = mirror.loss_and_gradients()
    expected_loss, wanted = problem.loss_and_gradients()
    assert loss == expected_loss  # every sum is rounded once, in whatever order: the same bits
    assert gradients.layers == [mirrored(wanted.layers[0], 0), mirrored(wanted.layers[1], 2)]
    assert [row[3:] + row[:3] for row in wanted.V] == gradients.V
    assert gradients.h0 == [(reverse, forward) for forward, reverse in wanted.h0]
    assert gradients.x == wanted.x[::-1]


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("n_hidden", [(3,), (2, 3)])
def test_the_last_states_of_two_directions_lie_in_the_first_and_the_last_part(
    n_hidden: tuple[int, ...], activation: Activation
) -> None:
    """With a reset, the readout "last" sees the reverse state of the first part and the forward state of the last."""
    options: dict[str, Any] = {"bidirectional": True, "activation": activation, "output": "linear"}
    whole = random_problem(n_hidden=n_hidden, readout="last", **options)
    n = n_hidden[-1]
    run = whole.but(reset=[False, True, False, True, False]).forward()
    zero = [([0.0] * m, [0.0] * m) for m in n_hidden]
    first = whole.but(x=whole.x[:1], initial=[(f, z) for (f, _), (z, _) in zip(whole.initial, zero, strict=True)])
    last = whole.but(x=whole.x[3:], initial=[(z, r) for (_, r), (z, _) in zip(whole.initial, zero, strict=True)])
    h = [*last.forward().h_last[-1][0], *first.forward().h_last[-1][1]]
    assert len(h) == 2 * n
    V, c = whole.parameters.V, whole.parameters.c
    o = [c_i + sum(v * h_j for v, h_j in zip(row, h, strict=True)) for row, c_i in zip(V, c, strict=True)]
    assert flat(run.o) == pytest.approx(o, rel=ROUNDING, abs=ROUNDING)


def test_the_second_directions_initial_state_is_never_masked() -> None:
    """It enters at t = tau, and reset[0] says what stands between t = 0 and t = 1."""
    for tau in (1, TAU):
        problem = random_problem(n_hidden=(2, 3), bidirectional=True, tau=tau, reset=[True] + [False] * (tau - 1))
        _, gradients = problem.loss_and_gradients()
        for forward, reverse in gradients.h0:
            assert not any(forward)
            assert all(reverse)
        free = problem.but(reset=None)
        assert free.forward().h != problem.forward().h
        assert [h[3:] for h in problem.forward().h] != [h[3:] for h in problem.but(initial=None).forward().h]


# ---- Activations ----


def test_relu_of_what_is_not_finite() -> None:
    assert relu([math.inf, -math.inf, 2.0, -2.0]) == [math.inf, 0.0, 2.0, 0.0]
    assert math.isnan(relu([math.nan])[0])
    assert relu_gradient([math.inf, 0.0, 2.0], [3.0, 4.0, 5.0]) == [3.0, 0.0, 5.0]
