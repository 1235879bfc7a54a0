"""Figures 10.4 and 10.6 in pure Python: what is fed back, teacher forcing, draws; it must not know the C++ core.

What holds for every network is in test_reference.py.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest

from bptt import reference
from bptt.reference import Feedback, Input, Output, Parameters
from pairs import pairwise
from reference_problems import (
    FEEDBACKS,
    FORCED,
    INPUTS,
    N_OUT,
    OUTPUTS,
    RESETS,
    ROUNDING,
    TAU,
    Problem,
    assert_sum_of,
    flat,
    letters,
    random_problem,
    words,
)

N_HIDDEN = 2  # of `random_problem`


def jordan_problem(**options: Any) -> Problem:
    return random_problem(**{"feedback": "y_hat", **options})


def target(y_t: Any, output: Output) -> list[float]:
    return [float(i == y_t) for i in range(N_OUT)] if output == "softmax" else list(y_t)


def assert_made_of(parts: list[Problem], whole: Problem) -> None:
    """The sequence has the loss and gradients of its parts, one after the other."""
    loss, gradients = whole.loss_and_gradients()
    each = [part.loss_and_gradients() for part in parts]
    assert_sum_of(each, loss, gradients)
    assert gradients.r0 == each[0][1].r0
    assert (gradients.x or []) == [dx_t for _, g in each for dx_t in g.x or []]


# ---- What is fed back ----


@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("reset", RESETS)
def test_free_loss_is_the_loss_of_the_free_run(feedback: Feedback, reset: tuple[bool, ...] | None) -> None:
    problem = jordan_problem(feedback=feedback, reset=reset)
    o = problem.forward().o
    terms = [1.0 * reference.softmax_loss(o[0], 3), 2.0 * reference.softmax_loss(o[3], 0)]
    terms.append(1.5 * reference.softmax_loss(o[4], 3))
    assert problem.but(forced=0.0).loss() == pytest.approx(sum(terms), rel=ROUNDING)


def test_a_linear_output_is_its_own_unit() -> None:
    free = [jordan_problem(output="linear", feedback=feedback, forced=0.0) for feedback in FEEDBACKS]
    assert free[0].loss_and_gradients() == free[1].loss_and_gradients()


@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_own_outputs_can_be_carried_on(output: Output, feedback: Feedback) -> None:
    problem = jordan_problem(output=output, feedback=feedback)
    first = problem.but(x=problem.x[:2]).forward()
    assert first.r_last == (first.y_hat[-1] if feedback == "y_hat" else first.o[-1])
    second = problem.but(x=problem.x[2:], initial=first.r_last).forward()
    assert first.o + second.o == problem.forward().o


# ---- Teacher forcing ----


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", INPUTS)
@pytest.mark.parametrize("forced", [0.0, 1.0])
def test_one_step_is_that_of_the_elman_network_without_recurrence(input: Input, output: Output, forced: float) -> None:
    problem = jordan_problem(input=input, output=output, tau=1, forced=forced).but(initial=None)
    loss, gradients = problem.loss_and_gradients()
    no_recurrence = [[0.0] * N_HIDDEN for _ in range(N_HIDDEN)]
    parameters = Parameters(**{**letters(problem.parameters), "W": no_recurrence})
    elman_loss, elman = reference.loss_and_gradients(
        parameters, problem.x, problem.y, None, problem.weight, input=input, output=output
    )
    assert loss == elman_loss
    assert [getattr(gradients, letter) for letter in "UbVcx"] == [getattr(elman, letter) for letter in "UbVcx"]
    assert not any(flat(gradients.W))
    assert any(gradients.r0)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", INPUTS)
def test_forced_steps_decouple(input: Input, output: Output) -> None:
    """Every step is a sequence of its own, whose r(0) is the target of the step before; 0 where there is none."""
    whole = jordan_problem(input=input, output=output)
    r: list[Any] = [whole.initial, *(None if y_t is None else target(y_t, output) for y_t in whole.y[:-1])]
    r[2] = [0.0] * N_OUT if output == "softmax" else r[2]  # a target of -1
    r[3] = [0.0] * N_OUT  # a weight of 0
    assert_made_of([whole.part(slice(t, t + 1), r[t]) for t in range(TAU)], whole)


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_forced_step_sees_the_target_and_a_free_one_its_own_output(output: Output) -> None:
    """A sequence is cut in two where a step is forced, and in no other place."""
    forced = [False, False, False, False, True]
    whole = jordan_problem(output=output, forced=forced)
    parts = [
        whole.part(slice(4), whole.initial),
        whole.part(slice(4, TAU), target(whole.y[3], output)).but(forced=[False]),
    ]
    assert_made_of(parts, whole)
    losses = {whole.but(forced=[t == k for t in range(TAU)]).loss() for k in range(1, TAU)}
    assert len(losses | {whole.but(forced=0.0).loss()}) == TAU  # every choice matters


@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_one_choice_for_all_steps_is_the_same_choice_for_each(output: Output, feedback: Feedback) -> None:
    problem = jordan_problem(output=output, feedback=feedback)
    for choice in (True, False):
        each = problem.but(forced=[choice] * TAU).loss_and_gradients()
        assert problem.but(forced=float(choice)).loss_and_gradients() == each
        assert problem.but(forced=choice).loss_and_gradients() == each
        first = problem.but(forced=[not choice] + [choice] * (TAU - 1)).loss_and_gradients()
        assert first == each  # the first step sees r(0)
    assert problem.loss_and_gradients() == problem.but(forced=1.0).loss_and_gradients()


@pytest.mark.parametrize("output", OUTPUTS)
def test_forced_steps_ignore_what_runs_free(output: Output) -> None:
    by_feedback = [jordan_problem(output=output, feedback=feedback).loss_and_gradients() for feedback in FEEDBACKS]
    assert by_feedback[0] == by_feedback[1]


@pytest.mark.parametrize("forced", FORCED)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("unread", [None, math.nan, -7])
def test_forced_step_sees_0_where_the_target_is_not_read(output: Output, unread: float | None, forced: Any) -> None:
    problem = jordan_problem(output=output, forced=forced)
    read, other = copy.deepcopy(problem), copy.deepcopy(problem)
    read.y[2] = 1 if output == "softmax" else [0.25] * N_OUT
    other.y[2] = unread if output == "softmax" else [unread] * N_OUT
    assert other.loss_and_gradients() == read.loss_and_gradients()


@pytest.mark.parametrize(
    "case",
    pairwise(
        {
            "activation": ("tanh", "relu"),
            "input": INPUTS,
            "output": OUTPUTS,
            "feedback": FEEDBACKS,
            "forced": ((True,) * TAU, (False,) * TAU, *FORCED[2:]),
        }
    ),
    ids=words,
)
def test_reset_is_the_start_of_another_sequence(case: dict[str, Any]) -> None:
    """Whether the step is forced to see a target or not: the patterns have both."""
    whole = random_problem(**case)
    parts = [whole.part(slice(4), whole.initial), whole.part(slice(4, TAU), None)]
    assert_made_of(parts, whole.but(reset=[False, False, False, False, True]))


def test_what_is_forced_is_said_for_every_step() -> None:
    problem = jordan_problem(tau=2)
    for forced in ([True], [False] * 3, []):
        for function in (problem.but(forced=forced).loss, problem.but(forced=forced).loss_and_gradients):
            with pytest.raises(ValueError, match=r"shorter|longer"):
                function()
    with pytest.raises(ValueError, match="forced: expected 0 or 1 for all steps"):
        problem.but(forced=0.5).loss()


# ---- Draws ----


# The known answers that the generator's authors publish with it (Random123, kat_vectors).
@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_known_answers(counter: Any, key: Any, expected: tuple[int, ...]) -> None:
    assert reference.philox4x32(counter, key) == expected


def test_draws_are_named_by_seed_sequence_and_step() -> None:
    # The 53 leading bits of the known answer's 6627e8d5 and e169c58d, without the lowest 5 and 6 bits of the words.
    assert reference.draws(0, 0, 1) == [((0x6627E8D5 >> 5 << 26) + (0xE169C58D >> 6)) * 2.0**-53]
    u = reference.draws((2 << 32) + 5, (1 << 32) + 7, 4)
    word_0, word_1, _, _ = reference.philox4x32((3, 0, 7, 1), (5, 2))
    assert u[3] == ((word_0 >> 5 << 26) + (word_1 >> 6)) * 2.0**-53
    assert reference.draws((2 << 32) + 5, (1 << 32) + 7, 2) == u[:2]
    assert len({*u, *reference.draws(5, (1 << 32) + 7, 4), *reference.draws((2 << 32) + 5, 7, 4)}) == 12
    for seed, sequence in ((-1, 0), (2**64, 0), (0, -1), (0, 2**64)):
        with pytest.raises(ValueError, match=r"expected an int in \[0, 2\^64\)"):
            reference.draws(seed, sequence, 1)


def test_a_step_is_forced_with_its_probability() -> None:
    u = reference.draws(3, 1, 2000)
    assert 0.0 <= min(u) < max(u) < 1.0
    for p in (0.0, 0.25, 1.0):
        forced = reference.forced_steps(p, 3, 1, 2000)
        assert forced == [u_t < p for u_t in u]
        assert sum(forced) == pytest.approx(2000 * p, abs=4 * math.sqrt(2000 * p * (1 - p)))  # 4 standard deviations
    assert reference.forced_steps(u[0], 3, 1, 1) == [False]  # below it, not at it
    for p in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="teacher_forcing: expected a number from 0 to 1"):
            reference.forced_steps(p, 0, 0, 1)
