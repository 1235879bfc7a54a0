"""The pure Python chapter against central differences and values worked out by hand; it must not know the C++ core."""

from __future__ import annotations

import ast
import copy
import math
import random
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest

from bptt import reference
from bptt.reference import Input, Output, Parameters, Readout
from differences import ROUNDING, assert_central_differences, assert_sum_of, flat, matrix, vector

N_IN, N_HIDDEN, N_OUT, TAU = 3, 2, 4, 5  # all different, so that no matrix can be transposed unseen, save W

INPUTS: tuple[Input, ...] = get_args(Input)
OUTPUTS: tuple[Output, ...] = get_args(Output)
READOUTS: tuple[Readout, ...] = get_args(Readout)


class Problem(NamedTuple):
    """The arguments of `reference.loss`, and its options."""

    parameters: Parameters
    x: Any
    y: Any
    h0: list[float]
    weight: Any
    options: dict[str, Any]

    def loss(self) -> float:
        return reference.loss(self.parameters, self.x, self.y, self.h0, self.weight, **self.options)

    def loss_and_gradients(self) -> tuple[float, reference.Gradients]:
        return reference.loss_and_gradients(self.parameters, self.x, self.y, self.h0, self.weight, **self.options)


def random_parameters(rng: random.Random) -> Parameters:
    return Parameters(
        U=matrix(rng, N_HIDDEN, N_IN),
        W=matrix(rng, N_HIDDEN, N_HIDDEN),
        b=vector(rng, N_HIDDEN),
        V=matrix(rng, N_OUT, N_HIDDEN),
        c=vector(rng, N_OUT),
    )


def random_problem(input: Input, output: Output, readout: Readout, *, seed: int = 0, tau: int = TAU) -> Problem:
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
    weight: Any = [1.0, 0.5, 0.0, 2.0, 1.5][:tau]
    if readout == "last":
        y, weight = y[-1], weight[-1]
    options = {"input": input, "output": output, "readout": readout}
    return Problem(random_parameters(rng), x, y, vector(rng, N_HIDDEN), weight, options)


def still(c: list[float], tau: int = 1) -> tuple[Parameters, list[list[float]]]:
    """A network whose every output is c, and an input for it."""
    zeros = Parameters(U=[[0.0]], W=[[0.0]], b=[0.0], V=[[0.0] for _ in c], c=c)
    return zeros, [[0.0]] * tau


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", INPUTS)
@pytest.mark.parametrize(
    ("tau", "reset"),
    [
        (1, None),
        (TAU, None),
        (1, [True]),
        (TAU, [True, False, False, False, False]),
        (TAU, [False, True, False, True, False]),
    ],
)
def test_gradients_are_central_differences(
    input: Input, output: Output, readout: Readout, tau: int, reset: list[bool] | None
) -> None:
    problem = random_problem(input, output, readout, tau=tau)
    problem.options["reset"] = reset
    value, gradients = problem.loss_and_gradients()
    assert value == problem.loss()
    zero = set()  # what nothing depends on
    if reset is not None:
        zero |= {"h0"} if reset[0] or readout == "last" else set()
        zero |= {"W"} if tau == 1 else set()
    variables = {**vars(problem.parameters), "h0": problem.h0, "x": problem.x}
    if input == "token":
        assert gradients.x is None
        del variables["x"]
    assert_central_differences(problem.loss, variables, vars(gradients), zero)


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
        run = reference.forward(parameters, [[2.0], [-1.0]], h0, **every)
        assert flat(run.h) == pytest.approx([*h1, *h2], rel=ROUNDING)
        assert run.o[1] == pytest.approx(o2, rel=ROUNDING)
        assert run.y_hat[1] == pytest.approx(y_hat, rel=ROUNDING)
        assert reference.forward(parameters, [[2.0], [-1.0]], h0, **last) == (run.h, run.o[1], run.y_hat[1])


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


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("unread", [None, math.nan, -7])
def test_target_of_weight_zero_is_not_read(output: Output, unread: float | None) -> None:
    problem = random_problem("real", output, "all")
    y = copy.deepcopy(problem.y)
    y[2] = 1 if output == "softmax" else [0.25] * N_OUT
    read = problem._replace(y=y)
    y = copy.deepcopy(problem.y)
    y[2] = unread if output == "softmax" else [unread] * N_OUT
    assert problem._replace(y=y).loss_and_gradients() == read.loss_and_gradients()
    weight = [*problem.weight[:2], 1.0, *problem.weight[3:]]
    assert read._replace(weight=weight).loss() != read.loss()  # with any other weight it is


def test_missing_target_is_weight_zero() -> None:
    problem = random_problem("token", "softmax", "all")
    y = [3 if y_t == -1 else y_t for y_t in problem.y]
    skipped = problem._replace(y=y, weight=[1.0, 0.0, 0.0, 2.0, 1.5])
    assert problem.loss_and_gradients() == skipped.loss_and_gradients()
    assert problem._replace(y=y).loss() > problem.loss()


@pytest.mark.parametrize(("y", "readout"), [([-1] * TAU, "all"), (-1, "last")])
def test_without_any_target_all_is_zero(y: Any, readout: Readout) -> None:
    loss, gradients = random_problem("real", "softmax", readout)._replace(y=y).loss_and_gradients()
    assert loss == 0.0
    assert not any(flat([getattr(gradients, letter) for letter in ("U", "W", "b", "V", "c", "h0", "x")]))


@pytest.mark.parametrize("output", OUTPUTS)
def test_no_weight_is_weight_one(output: Output) -> None:
    problem = random_problem("real", output, "last")
    assert problem._replace(weight=None).loss_and_gradients() == problem._replace(weight=1.0).loss_and_gradients()
    problem = random_problem("real", output, "all", tau=2)
    assert problem._replace(weight=None).loss_and_gradients() == problem._replace(weight=[1.0] * 2).loss_and_gradients()


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_token_is_a_one_hot_vector(output: Output, readout: Readout) -> None:
    token = random_problem("token", output, readout)
    one_hot = token._replace(
        x=[[float(i == x_t) for i in range(N_IN)] for x_t in token.x], options={**token.options, "input": "real"}
    )
    loss, gradients = one_hot.loss_and_gradients()
    gradients.x = None
    assert token.loss_and_gradients() == (loss, gradients)  # products with 1 and 0 are exact: the same bits


def test_states_can_be_carried_on() -> None:
    problem = random_problem("real", "softmax", "all")
    whole = reference.forward(problem.parameters, problem.x, problem.h0)
    first = reference.forward(problem.parameters, problem.x[:2], problem.h0)
    second = reference.forward(problem.parameters, problem.x[2:], first.h[-1])
    assert first.h + second.h == whole.h
    assert reference.forward(problem.parameters, problem.x) == reference.forward(
        problem.parameters, problem.x, [0.0] * 2
    )


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", INPUTS)
def test_reset_is_the_start_of_another_sequence(input: Input, output: Output) -> None:
    whole = random_problem(input, output, "all")
    first, second = (
        whole._replace(x=whole.x[part], y=whole.y[part], weight=whole.weight[part], h0=h0)
        for part, h0 in ((slice(3), whole.h0), (slice(3, TAU), [0.0] * N_HIDDEN))
    )
    runs = [reference.forward(p.parameters, p.x, p.h0, **p.options) for p in (first, second)]
    parts = [p.loss_and_gradients() for p in (first, second)]
    whole.options["reset"] = [False, False, False, True, False]
    run = reference.forward(whole.parameters, whole.x, whole.h0, **whole.options)
    loss, gradients = whole.loss_and_gradients()
    assert run == tuple(a + b for a, b in zip(*runs, strict=True))
    assert_sum_of(parts, loss, gradients)
    assert gradients.h0 == parts[0][1].h0
    assert (gradients.x or []) == [dx_t for _, g in parts for dx_t in g.x or []]


def test_reset_forgets_even_what_is_not_a_number() -> None:
    problem = random_problem("real", "linear", "all")
    problem.x[0][0] = math.nan
    run = reference.forward(problem.parameters, problem.x, problem.h0, reset=[False, True, False, False, False])
    assert all(map(math.isnan, run.h[0]))
    assert all(map(math.isfinite, flat(run.h[1:])))


def test_reset_nowhere_is_no_reset() -> None:
    problem = random_problem("real", "sigmoid", "all")
    nowhere = problem._replace(options={**problem.options, "reset": [False] * TAU})
    assert nowhere.loss_and_gradients() == problem.loss_and_gradients()


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", INPUTS)
def test_batch_is_the_sum_of_its_sequences(input: Input, output: Output, readout: Readout) -> None:
    parameters = random_parameters(random.Random(1))
    problems = [
        random_problem(input, output, readout, seed=tau, tau=tau)._replace(parameters=parameters) for tau in (4, 1, 5)
    ]
    _, xs, ys, h0s, weights, _ = map(list, zip(*problems, strict=True))
    resets = [[False, False, True, False], None, [False, False, False, True, False]]
    options = problems[0].options.copy()
    loss, gradients = reference.batch_loss_and_gradients(parameters, xs, ys, h0s, weights, **options, resets=resets)
    for problem, reset in zip(problems, resets, strict=True):
        problem.options["reset"] = reset
    each = [problem.loss_and_gradients() for problem in problems]
    assert_sum_of(each, loss, gradients)
    assert gradients.h0 == [g.h0 for _, g in each]
    assert gradients.x == ([g.x for _, g in each] if input == "real" else None)


def test_batch_defaults() -> None:
    problem = random_problem("real", "linear", "last")._replace(h0=[0.0] * N_HIDDEN, weight=1.0)
    loss, gradients = problem.loss_and_gradients()
    batch_loss, batch = reference.batch_loss_and_gradients(
        problem.parameters, [problem.x], [problem.y], output="linear", readout="last"
    )
    assert batch_loss == loss
    assert [getattr(batch, letter) for letter in "UWbVc"] == [getattr(gradients, letter) for letter in "UWbVc"]
    assert (batch.h0, batch.x) == ([gradients.h0], [gradients.x])


def test_no_features_is_no_input() -> None:
    parameters = Parameters(U=[[], []], W=[[0.5, -0.3], [0.2, 0.1]], b=[0.1, 0.2], V=[[1.0, 2.0]], c=[0.3])
    _, gradients = reference.loss_and_gradients(parameters, [[], []], [[1.0], [0.5]], output="linear")
    assert (gradients.U, gradients.x) == ([[], []], [[], []])


@pytest.mark.parametrize("readout", READOUTS)
def test_arguments_are_left_alone(readout: Readout) -> None:
    problem = random_problem("real", "softmax", readout)
    before = copy.deepcopy(problem)
    reference.forward(problem.parameters, problem.x, problem.h0, readout=readout)
    problem.loss_and_gradients()
    assert problem == before


def test_nonsense_is_refused() -> None:
    parameters = random_parameters(random.Random(0))
    x = [[0.0] * N_IN] * 2
    with pytest.raises(ValueError, match="at least one step"):
        reference.forward(parameters, [])
    with pytest.raises(ValueError, match="at least one sequence"):
        reference.batch_loss_and_gradients(parameters, [], [])
    for tokens in ([0, -1], [0, N_IN]):
        with pytest.raises(IndexError):
            reference.forward(parameters, tokens, input="token")
    for y in ([0, -2], [0, N_OUT]):
        with pytest.raises(IndexError):
            reference.loss(parameters, x, y)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        reference.loss(parameters, x, [0, 0, 0])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        reference.loss(parameters, x, [0, 0], weight=[1.0])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        reference.forward(parameters, [[0.0] * (N_IN + 1)])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        reference.forward(parameters, x, [0.0] * (N_HIDDEN + 1))
    with pytest.raises(ValueError, match=r"shorter|longer"):
        reference.forward(parameters, x, reset=[False])
    with pytest.raises(ValueError, match='expected "all" or "last"'):
        reference.forward(parameters, x, readout="first")  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="one-hot"):
        reference.forward(parameters, x, input="one-hot")  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="tanh"):
        reference.forward(parameters, x, output="tanh")  # type: ignore[arg-type]


def test_imports_nothing_but_the_language() -> None:
    assert reference.__file__ is not None
    files = list(Path(reference.__file__).parent.glob("*.py"))
    own = {f".{file.stem}" for file in files}
    assert own == {".__init__", ".elman", ".jordan", ".philox", ".shared"}
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imported = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add("." * node.level + (node.module or ""))
        assert imported <= own | {"__future__", "collections.abc", "dataclasses", "math", "typing"}
        names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        assert not {"__import__", "importlib", "eval", "exec"} & names
