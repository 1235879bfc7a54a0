"""The pure Python chapter, all its networks alike: central differences, sequences, batches, arguments.

It must not know the C++ core. Values worked out by hand are in test_reference_by_hand.py.
"""

from __future__ import annotations

import ast
import copy
import math
from pathlib import Path
from typing import Any

import pytest

from bptt import reference
from bptt.reference import Input, Output, Parameters
from pairs import pairwise
from reference_problems import (
    FEEDBACKS,
    FORCED,
    INPUTS,
    N_IN,
    N_OUT,
    NETWORKS,
    OUTPUTS,
    READOUTS,
    RESETS,
    TAU,
    Problem,
    assert_central_differences,
    assert_sum_of,
    flat,
    initial_of,
    letters,
    random_problem,
    smooth_problem,
    words,
)


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What `random_problem` takes to make each of the networks."""
    options: dict[str, Any] = NETWORKS[request.param]
    return options


def zero_initial(problem: Problem) -> Any:
    """h(0) or r(0) that is 0, in its form."""
    zeros = copy.deepcopy(problem.initial)
    for row in zeros if isinstance(zeros[0], list | tuple) else [zeros]:
        for part in row if isinstance(row, tuple) else [row]:
            part[:] = [0.0] * len(part)
    return zeros


# ---- Gradients ----

COMMON: dict[str, Any] = {
    "activation": ("tanh", "relu"),
    "input": INPUTS,
    "output": OUTPUTS,
    "reset": RESETS,
    "tau": (1, TAU),
}
CASES = [
    *pairwise({"n_hidden": ((2,), (2, 5), (3, 2, 2)), "bidirectional": (False, True), "readout": READOUTS, **COMMON}),
    *pairwise({"feedback": FEEDBACKS, "forced": FORCED, **COMMON}),
]


@pytest.mark.parametrize("case", CASES, ids=words)
def test_gradients_are_central_differences(case: dict[str, Any]) -> None:
    zero = assert_central_differences(smooth_problem(**case))
    # Where no sequence starts anew, everything matters.
    assert not zero or case["reset"] is not None


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", INPUTS)
def test_gradients_of_the_books_network_are_central_differences(input: Input, output: Output) -> None:
    """One layer of tanh in one direction, every reset and readout; and what cannot matter after a reset is 0."""
    for readout in READOUTS:
        for tau in (1, TAU):
            for reset in RESETS:
                problem = random_problem(input=input, output=output, readout=readout, tau=tau, reset=reset)
                expected = set()
                if reset is not None:
                    expected |= {"initial"} if reset[0] or (readout == "last" and tau > 1) else set()
                    expected |= {"W"} if reset[0] and tau == 1 else set()
                    expected |= {"W"} if reset[4] and readout == "last" and tau > 1 else set()
                assert assert_central_differences(problem) == expected


# ---- Targets and weights ----


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("unread", [None, math.nan, -7])
def test_target_of_weight_zero_is_not_read(network: dict[str, Any], output: Output, unread: float | None) -> None:
    problem = random_problem(**network, output=output)
    read, other = copy.deepcopy(problem), copy.deepcopy(problem)
    read.y[2] = 1 if output == "softmax" else [0.25] * N_OUT
    other.y[2] = unread if output == "softmax" else [unread] * N_OUT
    assert other.loss_and_gradients() == read.loss_and_gradients()
    read.weight[2] = 1.0
    assert read.loss() != problem.loss()  # with any other weight it is


def test_missing_target_is_weight_zero(network: dict[str, Any]) -> None:
    problem = random_problem(**network, input="token")
    y = [3 if y_t == -1 else y_t for y_t in problem.y]
    assert -1 in problem.y
    assert problem.loss_and_gradients() == problem.but(y=y, weight=[1.0, 0.0, 0.0, 2.0, 1.5]).loss_and_gradients()
    assert problem.but(y=y).loss() != problem.loss()


def test_without_any_target_all_is_zero(network: dict[str, Any]) -> None:
    problems = [random_problem(**network).but(y=[-1] * TAU)]
    if "feedback" not in network:
        problems.append(random_problem(**network, readout="last").but(y=-1))
    for problem in problems:
        loss, gradients = problem.loss_and_gradients()
        assert loss == 0.0
        assert not any(flat([*letters(gradients).values(), initial_of(gradients), gradients.x]))


def test_no_weight_is_weight_one(network: dict[str, Any]) -> None:
    every = random_problem(**network, output="sigmoid", tau=2)
    assert every.but(weight=None).loss_and_gradients() == every.but(weight=[1.0] * 2).loss_and_gradients()
    if "feedback" not in network:
        last = random_problem(**network, output="sigmoid", readout="last")
        assert last.but(weight=None).loss_and_gradients() == last.but(weight=1.0).loss_and_gradients()


@pytest.mark.parametrize("output", OUTPUTS)
def test_token_is_a_one_hot_vector(network: dict[str, Any], output: Output) -> None:
    token = random_problem(**network, input="token", output=output)
    one_hot = token.but(x=[[float(i == x_t) for i in range(N_IN)] for x_t in token.x], input="real")
    loss, gradients = one_hot.loss_and_gradients()
    gradients.x = None
    assert token.loss_and_gradients() == (loss, gradients)  # products with 1 and 0 are exact: the same bits


# ---- Sequences ----


def test_states_can_be_carried_on(network: dict[str, Any]) -> None:
    if network.get("bidirectional"):
        network = {**network, "bidirectional": False}  # the second direction would need what is yet to come
    problem = random_problem(**network, output="sigmoid")
    whole = problem.forward()
    first = problem.but(x=problem.x[:2]).forward()
    second = problem.but(x=problem.x[2:], initial=last_of(first)).forward()
    for name in ("h", "o", "y_hat"):
        assert getattr(first, name) + getattr(second, name) == getattr(whole, name)
    assert last_of(second) == last_of(whole)
    assert problem.but(initial=None).forward() == problem.but(initial=zero_initial(problem)).forward()


def last_of(run: Any) -> Any:
    return run.r_last if isinstance(run, reference.JordanRun) else run.h_last


def initials_of_parts(problem: Problem) -> tuple[Any, Any]:
    """What the first step of each direction sees, in two parts of a sequence between which nothing passes."""
    zeros = zero_initial(problem)
    if isinstance(problem.initial[0], tuple):
        first = [(forward, zero) for (forward, _), (_, zero) in zip(problem.initial, zeros, strict=True)]
        second = [(zero, reverse) for (_, reverse), (zero, _) in zip(problem.initial, zeros, strict=True)]
        return first, second
    return problem.initial, zeros


@pytest.mark.parametrize(("input", "output"), [("real", "softmax"), ("token", "sigmoid"), ("real", "linear")])
def test_reset_is_the_start_of_another_sequence(network: dict[str, Any], input: Input, output: Output) -> None:
    whole = random_problem(**network, input=input, output=output)
    steps = slice(3), slice(3, TAU)
    parts = [whole.part(s, initial) for s, initial in zip(steps, initials_of_parts(whole), strict=True)]
    whole = whole.but(reset=[False, False, False, True, False])
    runs = [part.forward() for part in parts]
    run = whole.forward()
    for name in ("h", "o", "y_hat"):
        assert getattr(run, name) == getattr(runs[0], name) + getattr(runs[1], name)

    each = [part.loss_and_gradients() for part in parts]
    loss, gradients = whole.loss_and_gradients()
    assert_sum_of(each, loss, gradients)
    first, second = (g for _, g in each)
    assert (gradients.x or []) == (first.x or []) + (second.x or [])
    if network.get("bidirectional"):
        ends = zip(first.h0, second.h0, strict=True)
        assert gradients.h0 == [(forward, reverse) for (forward, _), (_, reverse) in ends]
        ends = zip(runs[0].h_last, runs[1].h_last, strict=True)
        assert run.h_last == [(forward, reverse) for (_, reverse), (forward, _) in ends]
    else:
        assert initial_of(gradients) == initial_of(first)
        assert last_of(run) == last_of(runs[1])


def test_reset_forgets_even_what_is_not_a_number(network: dict[str, Any]) -> None:
    problem = random_problem(**network, output="linear", reset=[False, True, False, False, False])
    problem.x[0][0] = math.nan
    run = problem.forward()
    assert all(map(math.isnan, run.o[0]))
    assert all(map(math.isfinite, flat(run.o[1:])))
    assert all(map(math.isfinite, flat(run.h[1:])))


def test_reset_nowhere_is_no_reset(network: dict[str, Any]) -> None:
    problem = random_problem(**network)
    assert problem.but(reset=[False] * TAU).loss_and_gradients() == problem.loss_and_gradients()


# ---- Batches ----


def batch_of(problems: list[Problem], **options: Any) -> tuple[float, Any]:
    """The reference's batch; of the flags of `problems` nothing but `options` is passed on."""
    arguments = [[getattr(p, name) for p in problems] for name in ("x", "y", "initial", "weight")]
    of_all = {name: value for name, value in problems[0].options.items() if name not in ("forced", "reset")}
    function: Any = (
        reference.jordan_batch_loss_and_gradients if problems[0].feedback else reference.batch_loss_and_gradients
    )
    loss, gradients = function(problems[0].parameters, *arguments, **of_all, **options)
    return loss, gradients


@pytest.mark.parametrize(("input", "output"), [("real", "softmax"), ("token", "sigmoid"), ("real", "linear")])
def test_batch_is_the_sum_of_its_sequences(network: dict[str, Any], input: Input, output: Output) -> None:
    problems = [random_problem(**network, input=input, output=output, seed=tau, tau=tau) for tau in (4, 1, 5)]
    resets = [[False, False, True, False], None, [False, False, False, True, False]]
    problems = [p.but(parameters=problems[0].parameters, reset=r) for p, r in zip(problems, resets, strict=True)]
    choices: list[dict[str, Any]] = [{}]
    if "feedback" in network:
        choices = [{"teacher_forcing": p, "seed": 9} for p in (0.0, 0.5, 1.0)]
    for choice in choices:
        loss, gradients = batch_of(problems, **choice, resets=resets)
        if choice:
            p = choice["teacher_forcing"]
            draws = [reference.draws(9, i, len(problem.x)) for i, problem in enumerate(problems)]
            problems = [pr.but(forced=[u_t < p for u_t in u]) for pr, u in zip(problems, draws, strict=True)]
        each = [problem.loss_and_gradients() for problem in problems]
        assert_sum_of(each, loss, gradients)
        assert initial_of_batch(gradients) == [initial_of(g) for _, g in each]
        assert gradients.x == ([g.x for _, g in each] if input == "real" else None)


def initial_of_batch(gradients: Any) -> Any:
    return gradients.r0 if isinstance(gradients, reference.JordanBatchGradients) else gradients.h0


def test_batch_defaults(network: dict[str, Any]) -> None:
    problem = random_problem(**{**network, "forced": 1.0} if "feedback" in network else network, output="linear", tau=2)
    problem = problem.but(initial=zero_initial(problem), weight=[1.0, 1.0])
    loss, gradients = problem.loss_and_gradients()
    batch_loss, batch = batch_of([problem.but(initial=None, weight=None)])
    assert batch_loss == loss
    assert letters(batch) == letters(gradients)
    assert (initial_of_batch(batch), batch.x) == ([initial_of(gradients)], [gradients.x])


# ---- Arguments ----


def test_no_features_is_no_input(network: dict[str, Any]) -> None:
    """The same as features that are all 0."""
    zeros = random_problem(**network, output="linear").but(x=[[0.0]] * TAU)
    problems = []
    for n in (0, 1):
        parameters = copy.deepcopy(zeros.parameters)
        for letters_of in (parameters.layers[0], parameters.layers[0].reverse):
            if letters_of is not None:
                letters_of.U = [[0.0] * n for _ in letters_of.U]
        problems.append(zeros.but(parameters=parameters, x=[[0.0] * n] * TAU))
    loss, gradients = problems[0].loss_and_gradients()
    expected_loss, expected = problems[1].loss_and_gradients()
    assert (gradients.layers[0].U, gradients.x) == ([[]] * len(gradients.layers[0].U), [[]] * TAU)
    assert loss == expected_loss
    assert initial_of(gradients) == initial_of(expected)
    assert gradients.layers[0].W == expected.layers[0].W


def test_arguments_are_left_alone(network: dict[str, Any]) -> None:
    problem = random_problem(**network, output="sigmoid", reset=RESETS[2])
    problem.y[2] = [0.5] * N_OUT  # NaN is not equal to itself
    before = copy.deepcopy(problem)
    problem.forward()
    problem.loss()
    problem.loss_and_gradients()
    assert problem == before


def test_nonsense_is_refused(network: dict[str, Any]) -> None:
    problem = random_problem(**network, tau=2)
    with pytest.raises(ValueError, match="at least one step"):
        problem.but(x=[]).forward()
    with pytest.raises(ValueError, match="at least one sequence"):
        (reference.jordan_batch_loss_and_gradients if problem.feedback else reference.batch_loss_and_gradients)(
            problem.parameters, [], []
        )
    tokens = random_problem(**network, input="token", tau=2)
    for x in ([0, -1], [0, N_IN]):
        with pytest.raises(IndexError):
            tokens.but(x=x).forward()
    for y in ([0, -2], [0, N_OUT], [-2, 0], [N_OUT, 0]):
        with pytest.raises(IndexError):
            problem.but(y=y).loss()
    linear = random_problem(**network, output="linear", tau=2)
    for changed in (
        problem.but(x=[[0.0] * (N_IN + 1)] * 2),
        problem.but(y=[*problem.y, 0]),
        problem.but(weight=[1.0]),
        problem.but(reset=[False]),
        problem.but(initial=longer(problem.initial)),
        linear.but(y=[[0.0] * (N_OUT - 1)] * 2),
    ):
        for function in (changed.loss, changed.loss_and_gradients):
            with pytest.raises(ValueError, match=r"shorter|longer"):
                function()
    for name, value in (("input", "one-hot"), ("output", "tanh"), ("activation", "gelu")):
        with pytest.raises(KeyError, match=value):
            problem.but(**{name: value}).forward()
    if "feedback" in network:
        with pytest.raises(ValueError, match='feedback: expected "y_hat" or "o", got \'h\''):
            problem.but(feedback="h").forward()
    else:
        with pytest.raises(ValueError, match='readout: expected "all" or "last", got \'first\''):
            problem.but(readout="first").forward()


def longer(initial: Any) -> Any:
    """One number more than there are units."""
    if isinstance(initial[0], float):
        return [*initial, 0.0]
    return [tuple(map(longer, part)) if isinstance(part, tuple) else longer(part) for part in initial]


def test_one_layer_has_its_letters_and_others_say_where_they_are() -> None:
    layer = reference.Layer([[1.0]], [[2.0]], [3.0])
    one = Parameters([[1.0]], [[2.0]], [3.0], [[4.0]], [5.0])
    assert one.layers == [layer]
    assert (one.U, one.W, one.b, one.V, one.c) == ([[1.0]], [[2.0]], [3.0], [[4.0]], [5.0])
    both = reference.Layer([[1.0]], [[2.0]], [3.0], reverse=layer)
    for layers in ([layer, layer], [both]):
        for letter in "UWb":
            with pytest.raises(AttributeError, match=r"use layers\[k\]"):
                getattr(reference.Stack(layers, [[4.0]], [5.0]), letter)
        with pytest.raises(AttributeError, match=r"use layers\[k\]"):  # figure 10.4 has one layer
            reference.jordan_forward(reference.Stack(layers, [[4.0]], [5.0]), [[1.0]])


ARROWS = {  # which file imports which: no circle, and none knows a network but those that make one, or go through one
    "vectors": set(),
    "philox": set(),
    "batches": set(),
    "activity": {"vectors"},
    "parameters": {"vectors"},
    "layer": {"parameters", "vectors"},
    "readout": {"vectors"},
    "drawing": {"readout", "vectors"},
    "leak": {"layer", "parameters", "vectors"},
    "disturbance": {"philox", "vectors"},
    "stack": {"activity", "batches", "disturbance", "layer", "leak", "parameters", "readout", "vectors"},
    "feedback": {"activity", "batches", "layer", "parameters", "philox", "readout", "vectors"},
    "steps": {"feedback", "layer", "leak", "parameters", "readout", "stack", "vectors"},
    "__init__": {
        "disturbance",
        "drawing",
        "feedback",
        "layer",
        "leak",
        "parameters",
        "philox",
        "readout",
        "stack",
        "steps",
        "vectors",
    },
}


def test_imports_nothing_but_the_language() -> None:
    assert reference.__file__ is not None
    files = list(Path(reference.__file__).parent.glob("*.py"))
    assert {file.stem for file in files} == set(ARROWS)
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imported = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add("." * node.level + (node.module or ""))
        own = {name for name in imported if name.startswith(".")}
        assert own == {f".{name}" for name in ARROWS[file.stem]}, file.stem
        assert imported - own <= {"__future__", "collections.abc", "dataclasses", "itertools", "math", "typing"}
        names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        assert not {"__import__", "importlib", "eval", "exec"} & names
