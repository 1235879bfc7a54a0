"""Figures 10.4 and 10.6 in pure Python against central differences and by hand; it must not know the C++ core."""

from __future__ import annotations

import copy
import math
import random
from typing import Any, NamedTuple, get_args

import pytest

from bptt import reference
from bptt.reference import Feedback, Input, Output, Parameters
from differences import ROUNDING, assert_central_differences, assert_sum_of, flat, matrix, vector

N_IN, N_HIDDEN, N_OUT, TAU = 3, 2, 4, 5  # all different, so that no matrix can be transposed unseen

INPUTS: tuple[Input, ...] = get_args(Input)
OUTPUTS: tuple[Output, ...] = get_args(Output)
FEEDBACKS: tuple[Feedback, ...] = get_args(Feedback)

# Among the steps: forced ones that see a target, none (its weight is 0, or it is -1), and 0 after a reset; free ones.
FORCED = [1.0, 0.0, [True, True, False, True, False], [False, False, True, False, True]]
RESETS = [None, [True, False, False, False, False], [False, True, False, False, True]]


class Problem(NamedTuple):
    """The arguments of `reference.jordan_loss`, and its options."""

    parameters: Parameters
    x: Any
    y: Any
    r0: list[float] | None
    weight: Any
    options: dict[str, Any]

    def loss(self) -> float:
        return reference.jordan_loss(*self[:5], **self.options)

    def loss_and_gradients(self) -> tuple[float, reference.JordanGradients]:
        return reference.jordan_loss_and_gradients(*self[:5], **self.options)

    def with_options(self, **options: Any) -> Problem:
        return self._replace(options={**self.options, **options})

    def part(self, steps: slice, r0: list[float] | None) -> Problem:
        return self._replace(x=self.x[steps], y=self.y[steps], weight=self.weight[steps], r0=r0)


def random_parameters(rng: random.Random) -> Parameters:
    return Parameters(
        U=matrix(rng, N_HIDDEN, N_IN),
        W=matrix(rng, N_HIDDEN, N_OUT),
        b=vector(rng, N_HIDDEN),
        V=matrix(rng, N_OUT, N_HIDDEN),
        c=vector(rng, N_OUT),
    )


def random_problem(
    input: Input = "real", output: Output = "softmax", *, seed: int = 0, tau: int = TAU, **options: Any
) -> Problem:
    """Everything random; the third step has the weight 0 and nothing for a target, the second (softmax) a -1."""
    rng = random.Random(seed)
    x: Any = matrix(rng, tau, N_IN) if input == "real" else [0, 2, 2, 1, 0][:tau]  # tokens that occur twice
    y: Any
    if output == "softmax":
        y = [3, -1, None, 0, 3][:tau]
    else:
        y = [[0.0, 1.0, rng.random(), rng.random()] for _ in range(tau)]
        if tau > 2:
            y[2] = [math.nan] * N_OUT
    weight = [1.0, 0.5, 0.0, 2.0, 1.5][:tau]
    options = {"input": input, "output": output, **options}
    return Problem(random_parameters(rng), x, y, vector(rng, N_OUT), weight, options)


def target(y_t: Any, output: Output) -> list[float]:
    return [float(i == y_t) for i in range(N_OUT)] if output == "softmax" else list(y_t)


def assert_made_of(parts: list[Problem], whole: Problem) -> None:
    """The sequence has the loss and gradients of its parts, one after the other."""
    loss, gradients = whole.loss_and_gradients()
    each = [part.loss_and_gradients() for part in parts]
    assert_sum_of(each, loss, gradients)
    assert gradients.r0 == each[0][1].r0
    assert (gradients.x or []) == [dx_t for _, g in each for dx_t in g.x or []]


# ---- Gradients ----


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("forced", FORCED)
@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", INPUTS)
@pytest.mark.parametrize("tau", [1, TAU])
def test_gradients_are_central_differences(
    input: Input, output: Output, feedback: Feedback, forced: Any, reset: list[bool] | None, tau: int
) -> None:
    forced = forced[:tau] if isinstance(forced, list) else forced
    reset = reset and reset[:tau]
    problem = random_problem(input, output, tau=tau, feedback=feedback, forced=forced, reset=reset)
    value, gradients = problem.loss_and_gradients()
    assert value == problem.loss()
    zero = set()  # what nothing depends on
    if reset is not None and reset[0]:
        zero |= {"r0", "W"} if tau == 1 else {"r0"}
    variables = {**vars(problem.parameters), "r0": problem.r0, "x": problem.x}
    if input == "token":
        assert gradients.x is None
        del variables["x"]
    assert_central_differences(problem.loss, variables, vars(gradients), zero)


# One unit everywhere, two steps, and inputs chosen to make h(1) = 1/2 and h(2) = -1/4, so o(1) = 1 and o(2) = 5/2, from
# r(0) = 1/2; y = 0, 2 and weights 1, 2, so the losses' own do = 1, 2 * 1/2 = 1; dh(2) = -2, da(2) = 15/16 * -2 = -15/8.
@pytest.mark.parametrize(
    ("forced", "r_1", "do_1", "dh_1", "da_1"),
    [
        (0.0, 1.0, 1 + 3 * -15 / 8, 37 / 4, 111 / 16),  # r(1) = o(1), to which 3 * da(2) goes back
        (1.0, 0.0, 1.0, -2.0, -3 / 2),  # r(1) = y(1), to which nothing does
    ],
)
def test_one_unit_by_hand(forced: float, r_1: float, do_1: float, dh_1: float, da_1: float) -> None:
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


# ---- What is fed back ----


@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_two_units_written_out(output: Output, feedback: Feedback) -> None:
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


@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_own_outputs_can_be_carried_on(output: Output, feedback: Feedback) -> None:
    problem = random_problem(output=output)
    options: dict[str, Any] = {"output": output, "feedback": feedback}
    whole = reference.jordan_forward(problem.parameters, problem.x, problem.r0, **options)
    first = reference.jordan_forward(problem.parameters, problem.x[:2], problem.r0, **options)
    r: Any = first.y_hat[-1] if feedback == "y_hat" else first.o[-1]
    second = reference.jordan_forward(problem.parameters, problem.x[2:], r, **options)
    assert whole == tuple(a + b for a, b in zip(first, second, strict=True))
    zero = [0.0] * N_OUT
    assert reference.jordan_forward(problem.parameters, problem.x, **options) == reference.jordan_forward(
        problem.parameters, problem.x, zero, **options
    )


@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("reset", RESETS)
def test_free_loss_is_the_loss_of_the_free_run(feedback: Feedback, reset: list[bool] | None) -> None:
    problem = random_problem(feedback=feedback, reset=reset)
    run = reference.jordan_forward(problem.parameters, problem.x, problem.r0, **problem.options)
    o: Any = run.o
    terms = [1.0 * reference.softmax_loss(o[0], 3), 2.0 * reference.softmax_loss(o[3], 0)]
    terms.append(1.5 * reference.softmax_loss(o[4], 3))
    assert problem.with_options(forced=0.0).loss() == pytest.approx(sum(terms), rel=ROUNDING)


def test_a_linear_output_is_its_own_unit() -> None:
    free = [
        random_problem(output="linear", feedback=feedback, forced=0.0).loss_and_gradients() for feedback in FEEDBACKS
    ]
    assert free[0] == free[1]


# ---- Teacher forcing ----


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", INPUTS)
@pytest.mark.parametrize("forced", [0.0, 1.0])
def test_one_step_is_that_of_the_elman_network_without_recurrence(input: Input, output: Output, forced: float) -> None:
    problem = random_problem(input, output, tau=1, forced=forced)._replace(r0=None)
    loss, gradients = problem.loss_and_gradients()
    no_recurrence = [[0.0] * N_HIDDEN for _ in range(N_HIDDEN)]
    parameters = Parameters(**{**vars(problem.parameters), "W": no_recurrence})
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
    whole = random_problem(input, output)
    r = [whole.r0] + [target(y_t, output) if y_t is not None else None for y_t in whole.y[:-1]]
    r[2] = [0.0] * N_OUT if output == "softmax" else r[2]  # a target of -1
    r[3] = [0.0] * N_OUT  # a weight of 0
    assert_made_of([whole.part(slice(t, t + 1), r[t]) for t in range(TAU)], whole)


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_forced_step_sees_the_target_and_a_free_one_its_own_output(output: Output) -> None:
    """A sequence is cut in two where a step is forced, and in no other place."""
    forced = [False, False, False, False, True]
    whole = random_problem(output=output, forced=forced)
    parts = [
        whole.part(slice(4), whole.r0).with_options(forced=forced[:4]),
        whole.part(slice(4, TAU), target(whole.y[3], output)).with_options(forced=[False]),
    ]
    assert_made_of(parts, whole)
    losses = {whole.with_options(forced=[t == k for t in range(TAU)]).loss() for k in range(1, TAU)}
    assert len(losses | {whole.with_options(forced=0.0).loss()}) == TAU  # every choice matters


@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_one_choice_for_all_steps_is_the_same_choice_for_each(output: Output, feedback: Feedback) -> None:
    problem = random_problem(output=output, feedback=feedback)
    for choice in (True, False):
        each = problem.with_options(forced=[choice] * TAU).loss_and_gradients()
        assert problem.with_options(forced=float(choice)).loss_and_gradients() == each
        assert problem.with_options(forced=choice).loss_and_gradients() == each
        first = problem.with_options(forced=[not choice] + [choice] * (TAU - 1)).loss_and_gradients()
        assert first == each  # the first step sees r(0)
    assert problem.loss_and_gradients() == problem.with_options(forced=1.0).loss_and_gradients()


@pytest.mark.parametrize("output", OUTPUTS)
def test_forced_steps_ignore_what_runs_free(output: Output) -> None:
    by_feedback = [random_problem(output=output, feedback=feedback).loss_and_gradients() for feedback in FEEDBACKS]
    assert by_feedback[0] == by_feedback[1]


@pytest.mark.parametrize("forced", FORCED)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("unread", [None, math.nan, -7])
def test_target_of_weight_zero_is_not_read(output: Output, unread: float | None, forced: Any) -> None:
    problem = random_problem(output=output, forced=forced)
    y = copy.deepcopy(problem.y)
    y[2] = 1 if output == "softmax" else [0.25] * N_OUT
    read = problem._replace(y=y)
    y = copy.deepcopy(problem.y)
    y[2] = unread if output == "softmax" else [unread] * N_OUT
    assert problem._replace(y=y).loss_and_gradients() == read.loss_and_gradients()


def test_missing_target_is_weight_zero() -> None:
    problem = random_problem("token")
    y = [3 if y_t == -1 else y_t for y_t in problem.y]
    skipped = problem._replace(y=y, weight=[1.0, 0.0, 0.0, 2.0, 1.5])
    assert problem.loss_and_gradients() == skipped.loss_and_gradients()
    assert problem._replace(y=y).loss() != problem.loss()


# ---- Resets ----


@pytest.mark.parametrize("forced", FORCED)
@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", INPUTS)
def test_reset_is_the_start_of_another_sequence(input: Input, output: Output, feedback: Feedback, forced: Any) -> None:
    """Whether the step is forced to see a target or not: the patterns have both."""
    forced = forced if isinstance(forced, list) else [bool(forced)] * TAU
    whole = random_problem(input, output, feedback=feedback)
    parts = [
        whole.part(slice(4), whole.r0).with_options(forced=forced[:4]),
        whole.part(slice(4, TAU), None).with_options(forced=forced[4:]),
    ]
    whole = whole.with_options(forced=forced, reset=[False, False, False, False, True])
    assert_made_of(parts, whole)


def test_reset_forgets_even_what_is_not_a_number() -> None:
    problem = random_problem()
    problem.x[0][0] = math.nan
    run = reference.jordan_forward(problem.parameters, problem.x, problem.r0, reset=[False, True, False, False, False])
    assert all(map(math.isnan, run.h[0]))
    assert all(map(math.isfinite, flat(run.h[1:])))


@pytest.mark.parametrize("forced", FORCED)
def test_reset_nowhere_is_no_reset(forced: Any) -> None:
    problem = random_problem(forced=forced)
    assert problem.with_options(reset=[False] * TAU).loss_and_gradients() == problem.loss_and_gradients()


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


# ---- Batches ----


@pytest.mark.parametrize("teacher_forcing", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", INPUTS)
def test_batch_is_the_sum_of_its_sequences(
    input: Input, output: Output, feedback: Feedback, teacher_forcing: float
) -> None:
    parameters = random_parameters(random.Random(1))
    problems = [random_problem(input, output, seed=tau, tau=tau)._replace(parameters=parameters) for tau in (4, 1, 5)]
    _, xs, ys, r0s, weights, _ = map(list, zip(*problems, strict=True))
    resets = [[False, False, True, False], None, [False, False, False, True, False]]
    options: dict[str, Any] = {"input": input, "output": output, "feedback": feedback}
    loss, gradients = reference.jordan_batch_loss_and_gradients(
        parameters, xs, ys, r0s, weights, **options, teacher_forcing=teacher_forcing, seed=9, resets=resets
    )
    draws = [reference.draws(9, i, len(x)) for i, x in enumerate(xs)]
    problems = [
        problem.with_options(feedback=feedback, reset=reset, forced=[u_t < teacher_forcing for u_t in u])
        for problem, reset, u in zip(problems, resets, draws, strict=True)
    ]
    each = [problem.loss_and_gradients() for problem in problems]
    assert_sum_of(each, loss, gradients)
    assert gradients.r0 == [g.r0 for _, g in each]
    assert gradients.x == ([g.x for _, g in each] if input == "real" else None)


def test_batch_defaults() -> None:
    problem = random_problem(output="linear")._replace(r0=[0.0] * N_OUT)
    loss, gradients = problem.loss_and_gradients()
    batch_loss, batch = reference.jordan_batch_loss_and_gradients(
        problem.parameters, [problem.x], [problem.y], weights=[problem.weight], output="linear"
    )
    assert batch_loss == loss
    assert [getattr(batch, letter) for letter in "UWbVc"] == [getattr(gradients, letter) for letter in "UWbVc"]
    assert (batch.r0, batch.x) == ([gradients.r0], [gradients.x])


# ---- Arguments ----


@pytest.mark.parametrize("forced", FORCED)
@pytest.mark.parametrize("output", OUTPUTS)
def test_token_is_a_one_hot_vector(output: Output, forced: Any) -> None:
    token = random_problem("token", output, forced=forced)
    one_hot = token._replace(x=[[float(i == x_t) for i in range(N_IN)] for x_t in token.x])
    loss, gradients = one_hot.with_options(input="real").loss_and_gradients()
    gradients.x = None
    assert token.loss_and_gradients() == (loss, gradients)  # products with 1 and 0 are exact: the same bits


def test_no_weight_is_weight_one() -> None:
    problem = random_problem(output="sigmoid", tau=2)
    assert problem._replace(weight=None).loss_and_gradients() == problem._replace(weight=[1.0] * 2).loss_and_gradients()


@pytest.mark.parametrize("forced", FORCED)
def test_no_features_is_no_input(forced: Any) -> None:
    """The same as features that are all 0."""
    zeros = random_problem(output="linear", forced=forced)._replace(x=[[0.0]] * TAU)
    U_of = {n: Parameters(**{**vars(zeros.parameters), "U": [[0.0] * n] * N_HIDDEN}) for n in (0, 1)}
    loss, gradients = zeros._replace(parameters=U_of[0], x=[[]] * TAU).loss_and_gradients()
    expected_loss, expected = zeros._replace(parameters=U_of[1]).loss_and_gradients()
    assert (gradients.U, gradients.x) == ([[]] * N_HIDDEN, [[]] * TAU)
    assert loss == expected_loss
    assert [getattr(gradients, k) for k in ("W", "r0")] == [getattr(expected, k) for k in ("W", "r0")]


@pytest.mark.parametrize("forced", FORCED)
def test_arguments_are_left_alone(forced: Any) -> None:
    problem = random_problem(output="sigmoid", forced=forced, reset=RESETS[2])
    problem.y[2] = [0.5] * N_OUT  # NaN is not equal to itself
    before = copy.deepcopy(problem)
    reference.jordan_forward(problem.parameters, problem.x, problem.r0, output="sigmoid", reset=RESETS[2])
    problem.loss_and_gradients()
    assert problem == before


def test_nonsense_is_refused() -> None:
    problem = random_problem(tau=2)
    parameters, x, y = problem[:3]
    with pytest.raises(ValueError, match="at least one step"):
        reference.jordan_forward(parameters, [])
    with pytest.raises(ValueError, match="at least one step"):
        reference.jordan_loss(parameters, [], [])
    with pytest.raises(ValueError, match="at least one sequence"):
        reference.jordan_batch_loss_and_gradients(parameters, [], [])
    for wrong in ([0, -2], [0, N_OUT], [-2, 0], [N_OUT, 0]):
        with pytest.raises(IndexError):
            reference.jordan_loss(parameters, x, wrong)
    for changed in (
        problem._replace(y=[*y, 0]),
        problem._replace(weight=[1.0]),
        problem._replace(r0=[0.0] * (N_OUT + 1)),
        problem.with_options(reset=[False]),
        problem.with_options(forced=[True]),
        problem.with_options(forced=[False] * 3),
        problem.part(slice(1), None).with_options(forced=[]),
        random_problem(output="linear", tau=2)._replace(y=[[0.0] * (N_OUT - 1)] * 2),
    ):
        for function in (changed.loss, changed.loss_and_gradients):
            with pytest.raises(ValueError, match=r"shorter|longer"):
                function()
    with pytest.raises(ValueError, match="forced: expected 0 or 1 for all steps"):
        reference.jordan_loss(parameters, x, y, forced=0.5)
    with pytest.raises(ValueError, match='expected "y_hat" or "o"'):
        reference.jordan_forward(parameters, x, feedback="h")  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="one-hot"):
        reference.jordan_forward(parameters, x, input="one-hot")  # type: ignore[arg-type]
    for feedback in FEEDBACKS:
        with pytest.raises(KeyError, match="tanh"):
            reference.jordan_forward(parameters, x, output="tanh", feedback=feedback)  # type: ignore[arg-type]
