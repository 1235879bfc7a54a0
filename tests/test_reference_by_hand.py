"""The pure Python chapter against values worked out by hand; it must not know the C++ core."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from bptt import reference
from bptt.reference import Feedback, Layer, Output, Parameters, Stack
from reference_problems import FEEDBACKS, OUTPUTS, ROUNDING, flat

# ---- States and gradients ----


def test_one_unit_by_hand() -> None:
    """One unit everywhere, two steps, and inputs chosen to make h(1) = 1/2 and h(2) = -1/4 from h(0) = 1/2."""
    U, W, b, V, c = 2.0, 3.0, 0.25, -2.0, 1.0
    x = [(math.atanh(h) - b - W * h_before) / U for h, h_before in [(0.5, 0.5), (-0.25, 0.5)]]
    parameters = Parameters(U=[[U]], W=[[W]], b=[b], V=[[V]], c=[c])

    run = reference.forward(parameters, [[x[0]], [x[1]]], [0.5], output="linear")
    assert flat(run.h) == pytest.approx([0.5, -0.25], rel=ROUNDING)
    assert flat(run.o) == pytest.approx([0.0, 1.5], rel=ROUNDING, abs=ROUNDING)
    assert run.y_hat == run.o

    # y = -1, 1 and weights 1, 2: do = 1, 2 * 1/2 = 1; dh(2) = -2, da(2) = 15/16 * -2 = -15/8;
    # dh(1) = -2 + 3 * -15/8 = -61/8, da(1) = 3/4 * -61/8 = -183/32.
    loss, gradients = reference.loss_and_gradients(
        parameters, [[x[0]], [x[1]]], [[-1.0], [1.0]], [0.5], [1.0, 2.0], output="linear"
    )
    da = [-183 / 32, -15 / 8]
    assert loss == pytest.approx(1 / 2 + 2 * 1 / 8, rel=ROUNDING)
    assert flat(gradients.c) == pytest.approx([2.0], rel=ROUNDING)
    assert flat(gradients.b) == pytest.approx([-243 / 32], rel=ROUNDING)
    assert flat(gradients.V) == pytest.approx([1 * 0.5 + 1 * -0.25], rel=ROUNDING)
    assert flat(gradients.W) == pytest.approx([da[0] * 0.5 + da[1] * 0.5], rel=ROUNDING)
    assert flat(gradients.U) == pytest.approx([da[0] * x[0] + da[1] * x[1]], rel=ROUNDING)
    assert flat(gradients.h0) == pytest.approx([-549 / 32], rel=ROUNDING)
    assert gradients.x is not None
    assert flat(gradients.x) == pytest.approx([-183 / 16, -15 / 4], rel=ROUNDING)


def test_two_units_written_out() -> None:
    """W is square: only an asymmetric one, in a forward pass written out, tells it from its transpose."""
    parameters = Parameters(
        U=[[0.3], [-0.7]], W=[[0.1, 0.9], [-0.4, 0.2]], b=[0.05, -0.15], V=[[1.1, -0.6], [0.2, 0.8]], c=[0.01, 0.02]
    )
    h0 = [1.2, -0.5]  # a state that no tanh gives must be taken as it is
    h1 = [
        math.tanh(0.05 + 0.1 * h0[0] + 0.9 * h0[1] + 0.3 * 2.0),
        math.tanh(-0.15 - 0.4 * h0[0] + 0.2 * h0[1] - 0.7 * 2.0),
    ]
    h2 = [
        math.tanh(0.05 + 0.1 * h1[0] + 0.9 * h1[1] + 0.3 * -1.0),
        math.tanh(-0.15 - 0.4 * h1[0] + 0.2 * h1[1] - 0.7 * -1.0),
    ]
    o2 = [0.01 + 1.1 * h2[0] - 0.6 * h2[1], 0.02 + 0.2 * h2[0] + 0.8 * h2[1]]
    for output, y_hat in {
        "softmax": [1.0 / (1.0 + math.exp(o2[1] - o2[0])), 1.0 / (1.0 + math.exp(o2[0] - o2[1]))],
        "sigmoid": [1.0 / (1.0 + math.exp(-o2[0])), 1.0 / (1.0 + math.exp(-o2[1]))],
        "linear": o2,
    }.items():
        every: dict[str, Any] = {"output": output, "readout": "all"}
        last: dict[str, Any] = {"output": output, "readout": "last"}
        run: Any = reference.forward(parameters, [[2.0], [-1.0]], h0, **every)
        assert flat(run.h) == pytest.approx([*h1, *h2], rel=ROUNDING)
        assert run.o[1] == pytest.approx(o2, rel=ROUNDING)
        assert run.y_hat[1] == pytest.approx(y_hat, rel=ROUNDING)
        of_last = dataclasses.replace(run, o=run.o[1], y_hat=run.y_hat[1])
        assert reference.forward(parameters, [[2.0], [-1.0]], h0, **last) == of_last


# One unit everywhere, two steps, and inputs chosen to make h(1) = 1/2 and h(2) = -1/4, so o(1) = 1 and o(2) = 5/2, from
# r(0) = 1/2; y = 0, 2 and weights 1, 2, so the losses' own do = 1, 2 * 1/2 = 1; dh(2) = -2, da(2) = 15/16 * -2 = -15/8.
@pytest.mark.parametrize(
    ("forced", "r_1", "do_1", "dh_1", "da_1"),
    [
        (0.0, 1.0, 1 + 3 * -15 / 8, 37 / 4, 111 / 16),  # r(1) = o(1), to which 3 * da(2) goes back
        (1.0, 0.0, 1.0, -2.0, -3 / 2),  # r(1) = y(1), to which nothing does
    ],
)
def test_one_unit_that_sees_its_output_by_hand(
    forced: float, r_1: float, do_1: float, dh_1: float, da_1: float
) -> None:
    U, W, b, V, c = 2.0, 3.0, 0.25, -2.0, 2.0
    x = [(math.atanh(h) - b - W * r) / U for h, r in [(0.5, 0.5), (-0.25, r_1)]]
    parameters = Parameters(U=[[U]], W=[[W]], b=[b], V=[[V]], c=[c])
    loss, gradients = reference.jordan_loss_and_gradients(
        parameters, [[x[0]], [x[1]]], [[0.0], [2.0]], [0.5], [1.0, 2.0], output="linear", forced=forced
    )
    assert (do_1 * V, 3 / 4 * dh_1) == (dh_1, da_1)
    da_2, do_2 = -15 / 8, 1.0
    assert loss == pytest.approx(1 / 2 + 2 * 1 / 8, rel=ROUNDING)
    assert flat(gradients.c) == pytest.approx([do_1 + do_2], rel=ROUNDING)
    assert flat(gradients.b) == pytest.approx([da_1 + da_2], rel=ROUNDING)
    assert flat(gradients.V) == pytest.approx([do_1 * 0.5 + do_2 * -0.25], rel=ROUNDING)
    assert flat(gradients.W) == pytest.approx([da_1 * 0.5 + da_2 * r_1], rel=ROUNDING)
    assert flat(gradients.U) == pytest.approx([da_1 * x[0] + da_2 * x[1]], rel=ROUNDING)
    assert flat(gradients.r0) == pytest.approx([3 * da_1], rel=ROUNDING)
    assert gradients.x is not None
    assert flat(gradients.x) == pytest.approx([2 * da_1, 2 * da_2], rel=ROUNDING)


@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_two_units_that_see_their_output_written_out(output: Output, feedback: Feedback) -> None:
    """Free, two steps: the second sees y_hat(1) or o(1)."""
    parameters = Parameters(
        U=[[0.3], [-0.7]], W=[[0.1, 0.9], [-0.4, 0.2]], b=[0.05, -0.15], V=[[1.1, -0.6], [0.2, 0.8]], c=[0.01, 0.02]
    )

    def unit(o: list[float]) -> list[float]:
        if output == "softmax":
            return [1.0 / (1.0 + math.exp(o[1] - o[0])), 1.0 / (1.0 + math.exp(o[0] - o[1]))]
        return [1.0 / (1.0 + math.exp(-o_i)) for o_i in o] if output == "sigmoid" else o

    r = [1.2, -0.5]  # what no unit gives must be taken as it is
    h, o, y_hat = [], [], []
    for x_t in (2.0, -1.0):
        h_t = [
            math.tanh(0.05 + 0.1 * r[0] + 0.9 * r[1] + 0.3 * x_t),
            math.tanh(-0.15 - 0.4 * r[0] + 0.2 * r[1] - 0.7 * x_t),
        ]
        o_t = [0.01 + 1.1 * h_t[0] - 0.6 * h_t[1], 0.02 + 0.2 * h_t[0] + 0.8 * h_t[1]]
        h.append(h_t)
        o.append(o_t)
        y_hat.append(unit(o_t))
        r = y_hat[-1] if feedback == "y_hat" else o_t
    run = reference.jordan_forward(parameters, [[2.0], [-1.0]], [1.2, -0.5], output=output, feedback=feedback)
    assert flat(run.h) == pytest.approx(flat(h), rel=ROUNDING)
    assert flat(run.o) == pytest.approx(flat(o), rel=ROUNDING)
    assert flat(run.y_hat) == pytest.approx(flat(y_hat), rel=ROUNDING)


def test_relu_by_hand() -> None:
    """One unit, three steps: a = 2, -1, 0; a unit that is off passes no gradient, and at a = 0 it is off."""
    U, W, b, V, c = 2.0, 0.5, -1.0, 3.0, 0.25
    x = [[(2.0 + 1.0 - 0.5 * 0.5) / U], [(-1.0 + 1.0 - 0.5 * 2.0) / U], [(0.0 + 1.0) / U]]
    parameters = Parameters(U=[[U]], W=[[W]], b=[b], V=[[V]], c=[c])
    options: dict[str, Any] = {"output": "linear", "activation": "relu"}
    run = reference.forward(parameters, x, [0.5], **options)
    assert run.h == [[2.0], [0.0], [0.0]]
    assert run.o == [[6.25], [0.25], [0.25]]
    # y = 4.25, -0.75, 1.25: do = 2, 1, -1; da(3) = da(2) = 0, da(1) = 3 * 2.
    loss, gradients = reference.loss_and_gradients(parameters, x, [[4.25], [-0.75], [1.25]], [0.5], **options)
    assert loss == 3.0
    assert (gradients.c, gradients.V, gradients.b, gradients.W) == ([2.0], [[4.0]], [6.0], [[3.0]])
    assert (gradients.U, gradients.x, gradients.h0) == ([[6.0 * x[0][0]]], [[12.0], [0.0], [0.0]], [3.0])


def test_two_layers_in_both_directions_written_out() -> None:
    """One unit a layer and direction, two steps, every state an expression of its own."""
    first = Layer([[0.3]], [[0.5]], [0.1], reverse=Layer([[-0.7]], [[0.9]], [-0.2]))
    second = Layer([[0.4, -1.1]], [[0.6]], [0.2], reverse=Layer([[1.3, 0.8]], [[-0.3]], [0.05]))
    stack = Stack([first, second], V=[[1.5, -0.6]], c=[0.01])
    x, h0 = [2.0, -1.0], [([0.15], [0.25]), ([-0.35], [0.45])]
    f_1 = math.tanh(0.1 + 0.5 * 0.15 + 0.3 * x[0])
    f_2 = math.tanh(0.1 + 0.5 * f_1 + 0.3 * x[1])
    g_2 = math.tanh(-0.2 + 0.9 * 0.25 - 0.7 * x[1])
    g_1 = math.tanh(-0.2 + 0.9 * g_2 - 0.7 * x[0])
    p_1 = math.tanh(0.2 + 0.6 * -0.35 + 0.4 * f_1 - 1.1 * g_1)
    p_2 = math.tanh(0.2 + 0.6 * p_1 + 0.4 * f_2 - 1.1 * g_2)
    q_2 = math.tanh(0.05 - 0.3 * 0.45 + 1.3 * f_2 + 0.8 * g_2)
    q_1 = math.tanh(0.05 - 0.3 * q_2 + 1.3 * f_1 + 0.8 * g_1)
    o = [0.01 + 1.5 * p_1 - 0.6 * q_1, 0.01 + 1.5 * p_2 - 0.6 * q_2]
    run = reference.forward(stack, [[x_t] for x_t in x], h0, output="linear")
    assert flat(run.layers) == pytest.approx([f_1, g_1, f_2, g_2, p_1, q_1, p_2, q_2], rel=ROUNDING)
    assert run.h == run.layers[1]
    assert flat(run.o) == pytest.approx(o, rel=ROUNDING)
    assert flat(run.h_last) == pytest.approx([f_2, g_1, p_2, q_1], rel=ROUNDING)
    last = reference.forward(stack, [[x_t] for x_t in x], h0, output="linear", readout="last")
    assert flat(last.o) == pytest.approx([0.01 + 1.5 * p_2 - 0.6 * q_1], rel=ROUNDING)  # the end of each direction
    assert last.h_last == run.h_last


# ---- Output units and losses ----


def still(c: list[float], tau: int = 1) -> tuple[Parameters, list[list[float]]]:
    """A network whose every output is c, and an input for it."""
    zeros = Parameters(U=[[0.0]], W=[[0.0]], b=[0.0], V=[[0.0] for _ in c], c=c)
    return zeros, [[0.0]] * tau


LOSSES: dict[Output, tuple[list[float], Any, float, list[float]]] = {  # c, y, L(t), dL/dc
    "softmax": ([0.0, math.log(3.0)], 1, math.log(4 / 3), [1 / 4, -1 / 4]),
    "sigmoid": (
        [math.log(3.0), -math.log(3.0)],
        [1.0, 0.5],
        math.log(4 / 3) + 0.5 * math.log(4.0) + 0.5 * math.log(4 / 3),
        [-1 / 4, -1 / 4],
    ),
    "linear": ([1.0, -2.0], [0.0, 1.0], 5.0, [1.0, -3.0]),
}


@pytest.mark.parametrize("output", OUTPUTS)
def test_losses_by_hand_are_sums(output: Output) -> None:
    c, y, step_loss, dc = LOSSES[output]
    parameters, x = still(c, tau=3)
    loss, gradients = reference.loss_and_gradients(parameters, x, [y] * 3, output=output)
    assert loss == pytest.approx(3 * step_loss, rel=ROUNDING)
    assert gradients.c == pytest.approx([3 * dc_i for dc_i in dc], rel=ROUNDING)
    loss, gradients = reference.loss_and_gradients(parameters, x, y, weight=0.5, output=output, readout="last")
    assert loss == pytest.approx(step_loss / 2, rel=ROUNDING)
    assert gradients.c == pytest.approx([dc_i / 2 for dc_i in dc], rel=ROUNDING)


# At logits of +-1e4 every exp is 0 or 1 in double precision, so that the expected values are exact.
@pytest.mark.parametrize(
    ("output", "c", "y", "expected", "dc"),
    [
        ("softmax", [1e4, -1e4, 0.0], 0, 0.0, [0.0, 0.0, 0.0]),
        ("softmax", [1e4, -1e4, 0.0], 1, 2e4, [1.0, -1.0, 0.0]),
        ("softmax", [-1e4, -1e4], 1, math.log(2.0), [0.5, -0.5]),
        ("softmax", [1e4, 1e4], 0, math.log(2.0), [-0.5, 0.5]),
        ("sigmoid", [1e4, -1e4], [1.0, 0.0], 0.0, [0.0, 0.0]),
        ("sigmoid", [1e4, -1e4], [0.0, 1.0], 2e4, [1.0, -1.0]),
        ("sigmoid", [1e4, -1e4], [0.5, 0.75], 12500.0, [0.5, -0.75]),
        ("linear", [1e4, -1e4], [0.0, 0.0], 1e8, [1e4, -1e4]),
    ],
)
def test_extreme_logits(output: Output, c: list[float], y: Any, expected: float, dc: list[float]) -> None:
    parameters, x = still(c)
    loss, gradients = reference.loss_and_gradients(parameters, x, [y], output=output)
    assert loss == expected
    assert gradients.c == dc
    assert all(math.isfinite(entry) for letter in "UWbV" for entry in flat(getattr(gradients, letter)))
