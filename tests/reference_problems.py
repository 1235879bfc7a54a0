"""Random problems for the reference, in nested lists; central differences; sums. It calls the reference alone."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args
from unittest import mock

import pytest

from bptt import reference
from bptt.reference import Feedback, Input, Layer, Output, Readout, Stack
from bptt.reference.layer import ACTIVATION, relu

N_IN, N_OUT, TAU = 3, 4, 5

INPUTS: tuple[Input, ...] = get_args(Input)
OUTPUTS: tuple[Output, ...] = get_args(Output)
READOUTS: tuple[Readout, ...] = get_args(Readout)
FEEDBACKS: tuple[Feedback, ...] = get_args(Feedback)

# Among the steps: forced ones that see a target, none (its weight is 0, or it is -1), and 0 after a reset; free ones.
FORCED = (1.0, 0.0, (True, True, False, True, False), (False, False, True, False, True))
RESETS = (None, (True, False, False, False, False), (False, True, False, False, True))

# What `random_problem` takes. No two sizes that a matrix could be transposed by are equal, save those of W.
NETWORKS: dict[str, dict[str, Any]] = {
    "one layer": {},
    "relu": {"activation": "relu"},
    "two layers": {"n_hidden": (2, 5)},
    "both directions": {"bidirectional": True},
    "three relu layers in both directions": {"n_hidden": (2, 3, 2), "bidirectional": True, "activation": "relu"},
    "y_hat fed back": {"feedback": "y_hat", "forced": (False, True, False, False, True)},
    "o fed back, relu": {"feedback": "o", "forced": 0.0, "activation": "relu"},
}

# Values worked out by hand: an expression of some tens of operations, each off by half of eps = 2.2e-16 at most.
ROUNDING = 1e-14


# ---- Nested lists ----


def vector(rng: random.Random, n: int) -> list[float]:
    return [rng.uniform(-1.0, 1.0) for _ in range(n)]


def matrix(rng: random.Random, rows: int, columns: int) -> list[list[float]]:
    return [vector(rng, columns) for _ in range(rows)]


def entries(nested: Any) -> Iterator[tuple[list[float], int]]:
    """The place of every float in nested lists."""
    for i, element in enumerate(nested):
        if isinstance(element, list | tuple):
            yield from entries(element)
        else:
            yield nested, i


def flat(nested: Any) -> list[float]:
    return [row[i] for row, i in entries(nested)]


def letters(stack: Stack) -> dict[str, Any]:
    """Every matrix and bias under its name, in the flat order."""
    named: dict[str, Any] = {}
    for k, layer in enumerate(stack.layers, 1):
        number = str(k) if len(stack.layers) > 1 else ""
        for part, end in ((layer, ""), (layer.reverse, "_reverse")):
            if part is not None:
                named |= {f"{letter}{number}{end}": getattr(part, letter) for letter in "UWb"}
    return {**named, "V": stack.V, "c": stack.c}


# ---- Problems ----


@dataclass
class Problem:
    """The arguments of `reference.loss` or `reference.jordan_loss`; ``initial`` is h0 or r0."""

    parameters: Stack
    x: Any
    y: Any
    initial: Any
    weight: Any
    options: dict[str, Any]

    @property
    def feedback(self) -> bool:
        return "feedback" in self.options

    def forward(self) -> Any:
        """The run, without teacher forcing."""
        function = reference.jordan_forward if self.feedback else reference.forward
        options = {name: value for name, value in self.options.items() if name != "forced"}
        return function(self.parameters, self.x, self.initial, **options)

    def loss(self) -> float:
        function: Any = reference.jordan_loss if self.feedback else reference.loss
        return float(function(self.parameters, self.x, self.y, self.initial, self.weight, **self.options))

    def loss_and_gradients(self) -> tuple[float, Any]:
        function: Any = reference.jordan_loss_and_gradients if self.feedback else reference.loss_and_gradients
        loss, gradients = function(self.parameters, self.x, self.y, self.initial, self.weight, **self.options)
        return loss, gradients

    def but(self, **changes: Any) -> Problem:
        """With other arguments or options."""
        arguments = {name: value for name, value in changes.items() if name in vars(self)}
        options = {name: value for name, value in changes.items() if name not in vars(self)}
        return replace(self, **arguments, options={**self.options, **options})

    def part(self, steps: slice, initial: Any) -> Problem:
        """Some of the steps as a sequence of its own, of their flags too where these are given a step."""
        flags = {name: self.options.get(name) for name in ("reset", "forced")}
        options = {name: flag[steps] for name, flag in flags.items() if isinstance(flag, list | tuple)}
        return self.but(x=self.x[steps], y=self.y[steps], weight=self.weight[steps], initial=initial, **options)

    def variables(self) -> dict[str, Any]:
        """All that the loss can be differentiated by."""
        real = {"x": self.x} if self.options["input"] == "real" else {}
        return {**letters(self.parameters), "initial": self.initial, **real}


def initial_of(gradients: Any) -> Any:
    """dL/dh(0), or dL/dr(0)."""
    return gradients.r0 if isinstance(gradients, reference.JordanGradients) else gradients.h0


def random_layer(rng: random.Random, n_below: int, n: int, n_recurrent: int, bidirectional: bool) -> Layer:
    layer = Layer(matrix(rng, n, n_below), matrix(rng, n, n_recurrent), vector(rng, n))
    layer.reverse = random_layer(rng, n_below, n, n_recurrent, False) if bidirectional else None
    return layer


def random_initial(rng: random.Random, n_hidden: Sequence[int], bidirectional: bool) -> Any:
    if bidirectional:
        return [(vector(rng, n), vector(rng, n)) for n in n_hidden]
    return vector(rng, n_hidden[0]) if len(n_hidden) == 1 else [vector(rng, n) for n in n_hidden]


def random_problem(
    *,
    n_hidden: Sequence[int] = (2,),
    bidirectional: bool = False,
    input: Input = "real",
    output: Output = "softmax",
    readout: Readout = "all",
    tau: int = TAU,
    seed: int = 0,
    **options: Any,
) -> Problem:
    """Everything random; the third step has the weight 0 and nothing for a target, the second (softmax) a -1.

    ``options`` go to the reference; flags of steps beyond ``tau`` are left out.
    """
    rng = random.Random(seed)
    feedback = "feedback" in options
    layers = []
    n = N_IN
    for n_l in n_hidden:
        layers.append(random_layer(rng, n, n_l, N_OUT if feedback else n_l, bidirectional))
        n = 2 * n_l if bidirectional else n_l
    parameters = Stack(layers, matrix(rng, N_OUT, n), vector(rng, N_OUT))
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
    initial = vector(rng, N_OUT) if feedback else random_initial(rng, n_hidden, bidirectional)
    options = {name: value[:tau] if isinstance(value, tuple) else value for name, value in options.items()}
    options |= {"input": input, "output": output} | ({} if feedback else {"readout": readout})
    return Problem(parameters, x, y, initial, weight, options)


def distance_from_kinks(problem: Problem) -> float:
    """How far from 0, where relu has no derivative, every pre-activation is."""
    distances = [math.inf]

    def recorded(a: list[float]) -> list[float]:
        distances.extend(map(abs, a))
        return relu(a)

    with mock.patch.dict(ACTIVATION, relu=recorded):
        problem.loss()
    return min(distances)


def smooth_problem(**options: Any) -> Problem:
    """The first random problem that can be differentiated by differences: they change no pre-activation by 1/100."""
    problems = (random_problem(**options, seed=seed) for seed in itertools.count())
    return next(problem for problem in problems if distance_from_kinks(problem) > 0.01)


def words(options: dict[str, Any]) -> str:
    """The name of a test with these options."""

    def word(value: Any) -> str:
        flags = isinstance(value, tuple) and isinstance(value[0], bool)
        return "".join("FT"[flag] for flag in value) if flags else str(value).replace(" ", "")

    return "-".join(word(value) for value in options.values())


# ---- Comparison ----


def central_differences(loss: Callable[[], float], nested: Any) -> list[float]:
    """Of fourth order: two central differences, combined so that the third derivative cancels."""
    step = 3e-4
    differences = []
    for row, i in entries(nested):
        kept = row[i]
        at = {}
        for k in (-2, -1, 1, 2):
            row[i] = kept + k * step
            at[k] = loss()
        row[i] = kept
        differences.append((8.0 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12.0 * step))
    return differences


def assert_central_differences(problem: Problem) -> set[str]:
    """The gradients are the loss's. Returns the names of those of which the loss does not depend on a single entry."""
    loss, gradients = problem.loss_and_gradients()
    assert loss == problem.loss()
    assert loss > 0.1  # there is something to differentiate
    found = {**letters(gradients), "initial": initial_of(gradients), "x": gradients.x}
    zero = set()
    for name, variable in problem.variables().items():
        gradient = flat(found[name])
        expected = central_differences(problem.loss, variable)
        if not any(expected):
            assert not any(gradient), name
            zero.add(name)
            continue
        assert max(map(abs, expected)) > 1e-5, name  # far above the tolerance, or nothing would be tested
        # A loss below 40 is rounded to 4e-15, which over the step, 3e-4, is 1e-11, and more in proportion for larger
        # ones; what the differences leave out is step^4 / 30 times a fifth derivative, of which the largest here, near
        # 2e5, makes 5e-11. Twice that is allowed.
        assert gradient == pytest.approx(expected, rel=0.0, abs=1e-10 * max(1.0, loss / 40.0)), name
    return zero


def assert_sum_of(parts: Sequence[tuple[float, Stack]], loss: float, gradients: Stack) -> None:
    """A loss, and its gradients of all parameters, are the sums of those of the parts."""
    losses, each = zip(*parts, strict=True)
    assert loss == pytest.approx(sum(losses), rel=ROUNDING)
    for name, gradient in letters(gradients).items():
        terms = zip(*(flat(letters(g)[name]) for g in each), strict=True)
        # Sums of a few: entries of order 1 to 10 that may cancel, hence absolute.
        assert flat(gradient) == pytest.approx([sum(t) for t in terms], rel=0.0, abs=10 * ROUNDING), name
