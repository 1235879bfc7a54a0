"""Random problems for the networks, in words and in numbers, and the reference's answers to them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bptt import ElmanRNN, JordanRNN, reference
from bptt.reference import feedback
from bptt.reference.readout import step_weights

Array = NDArray[Any]
Form = Literal["single", "batch", "padded", "list"]

INPUTS: tuple[reference.Input, ...] = ("real", "token")
OUTPUTS: tuple[reference.Output, ...] = ("softmax", "sigmoid", "linear")
READOUTS: tuple[reference.Readout, ...] = ("all", "last")
FEEDBACKS: tuple[reference.Feedback, ...] = ("y_hat", "o")
LETTERS = ("U", "W", "b", "V", "c")

# Sizes 1, odd, and a vector's width (2 to 16) or two of them, less one and plus one; batches around the heights of a
# tile, 6 and 8, and around twice that.
SHAPES: list[tuple[int, int, int, tuple[int, ...]]] = [
    (1, 1, 1, (1,)),
    (3, 7, 1, (1,)),
    (7, 3, 17, (1,)),
    (65, 17, 31, (1,)),
    (0, 5, 3, (4,)),
    (0, 3, 7, (3,) * 9),
    (1, 17, 7, (3,) * 5),
    (17, 31, 3, (5,) * 2),
    (31, 17, 33, (3,) * 3),
    (33, 65, 31, (2,) * 2),
    (65, 33, 65, (2,) * 3),
    (17, 65, 17, (4,)),
    (3, 9, 8, (4,) * 4),
    (3, 33, 7, (2,) * 5),
    (3, 31, 1, (2,) * 6),
    (7, 7, 3, (3,) * 7),
    (3, 17, 3, (3,) * 8),
    (7, 3, 7, (3,) * 9),
    (3, 3, 3, (2,) * 12),
    (1, 7, 7, (2,) * 13),
    (5, 1, 2, (2,) * 14),
    (3, 5, 5, (2,) * 15),
    (3, 7, 3, (2,) * 16),
    (7, 3, 3, (2,) * 17),
    # One to three rows take tiles of up to 7 vectors, and begin every other step with the last one
    (3, 129, 5, (3,)),
    (1, 115, 117, (3,) * 2),
    (3, 97, 5, (3,) * 3),
    # Several windows of some 400 rows
    (3, 7, 3, (450,)),
    (3, 7, 7, (60,) * 9),
    # Different lengths; where many end at once, in one window after another, and where a window begins with few rows
    (7, 3, 17, (1, 2)),
    (3, 7, 3, (4, 1, 7, 3, 7, 2)),
    (3, 3, 7, tuple(range(1, 20))),
    (5, 9, 3, (1,) * 8 + (5,)),
    (2, 5, 3, (120, 200, 30, 120, 1, 119)),
]


@dataclass(frozen=True)
class Case:
    """A problem in words: the same case is the same numbers."""

    n_in: int
    n_hidden: int
    n_out: int
    lengths: tuple[int, ...]
    input: reference.Input = "real"
    output: reference.Output = "softmax"
    readout: reference.Readout = "all"
    extras: bool = True  # h0 or r0, and weights with zeros among them
    reset: bool = False  # one step in four begins a new sequence
    feedback: reference.Feedback | None = None  # of an output-recurrent network; None: the recurrence is between h
    teacher_forcing: float = 1.0  # of an output-recurrent network
    seed: int = 2**63 + 5  # of its draws

    @property
    def initial(self) -> str:
        """What the network's arguments call what its first step sees."""
        return "h0" if self.feedback is None else "r0"

    def network(self, dtype: str, **more: Any) -> Any:
        """The network, its parameters 0 if `more` does not say otherwise."""
        options: dict[str, Any] = {"input": self.input, "output": self.output, "dtype": dtype, "init": None, **more}
        if self.feedback is None:
            return ElmanRNN(self.n_in, self.n_hidden, self.n_out, readout=self.readout, **options)
        return JordanRNN(self.n_in, self.n_hidden, self.n_out, feedback=self.feedback, **options)

    @property
    def form(self) -> Form:
        """The form in which to pass it, where a test does not care."""
        if len(set(self.lengths)) > 1:
            return "padded"
        return "single" if len(self.lengths) == 1 else "batch"

    def __str__(self) -> str:
        sizes = f"{self.n_in}-{self.n_hidden}-{self.n_out}"
        equal = len(set(self.lengths)) == 1
        time = f"{self.lengths[0]}x{len(self.lengths)}" if equal else "ragged" + "_".join(map(str, self.lengths[:4]))
        kind = self.readout if self.feedback is None else f"{self.feedback}-{self.teacher_forcing}"
        marks = ("" if self.extras else "-plain") + ("-reset" if self.reset else "")
        return f"{self.input}-{self.output}-{kind}-{sizes}-{time}{marks}"


@dataclass(frozen=True)
class Problem:
    """Numbers for a network and its arguments, one array a sequence; every one of them is a float32 exactly."""

    case: Case
    parameters: Array
    x: list[Array]
    y: Any  # a list with an array a sequence, or an array where the readout is the last step's
    initial: Array | None  # h0 or r0
    weight: Any
    reset: list[Array] | None

    def network(self, dtype: str) -> Any:
        rnn = self.case.network(dtype)
        rnn.parameters = self.parameters
        return rnn

    def inputs(self, form: Form | None = None, beyond: float = 7.0) -> dict[str, Any]:
        """The arguments of `forward`. Beyond the lengths of a padded batch lies the number `beyond`."""
        form = form or self.case.form
        initial = self.initial[0] if form == "single" and self.initial is not None else self.initial
        given = {
            "x": in_form(form, self.x, beyond),
            self.case.initial: initial,
            "lengths": self.case.lengths if form == "padded" else None,
        }
        return given if self.reset is None else given | {"reset": in_form(form, self.reset, beyond)}

    def arguments(self, form: Form | None = None, beyond: float = 7.0) -> dict[str, Any]:
        """The arguments of `loss`."""
        form = form or self.case.form

        def targets(values: Any) -> Any:
            if values is None:
                return None
            if self.case.readout == "all":
                return in_form(form, values, beyond)
            return values[0] if form == "single" else values

        given = {**self.inputs(form, beyond), "y": targets(self.y), "weight": targets(self.weight)}
        if self.case.feedback is not None:
            given |= {"teacher_forcing": self.case.teacher_forcing, "seed": self.case.seed}
        return given

    def part(self, i: int) -> Problem:
        """Sequence i alone."""
        last = self.case.readout == "last"

        def one(values: Any) -> Any:
            return None if values is None else (values[i : i + 1] if last else [values[i]])

        case = Case(**{**vars(self.case), "lengths": self.case.lengths[i : i + 1]})
        initial = None if self.initial is None else self.initial[i : i + 1]
        reset = None if self.reset is None else [self.reset[i]]
        return Problem(case, self.parameters, [self.x[i]], one(self.y), initial, one(self.weight), reset)


def in_form(form: Form, sequences: list[Array], beyond: float) -> Any:
    """One array a sequence, as the argument that a user passes."""
    if form == "list":
        return list(sequences)
    if form == "single":
        return sequences[0]
    tau = max(map(len, sequences))
    dtype = sequences[0].dtype
    fill = beyond if dtype.kind != "i" else 10**9 if math.isnan(beyond) else int(beyond)
    padded = np.full((tau, len(sequences), *sequences[0].shape[1:]), fill, dtype)
    for i, sequence in enumerate(sequences):
        padded[: len(sequence), i] = sequence
    return padded


def representable(values: Array) -> Array:
    """Rounded to float32, kept as float64: both dtypes then compute the same problem."""
    return values.astype(np.float32).astype(np.float64)


@cache
def problem(case: Case, seed: int = 0) -> Problem:
    """Random numbers for a case, the same ones every time."""
    random = np.random.default_rng([seed, case.n_in, case.n_hidden, case.n_out, *case.lengths])
    batch, tau = len(case.lengths), max(case.lengths)
    # A state forgets the faster the farther from 0 it is, and where all is forgotten gradients are 0 in float32. So
    # long sequences are driven more gently. The spectral radius of W is 0.999.
    drive = min(1.0, 10.0 / tau)
    rnn = case.network("float64", init="orthogonal", seed=random, input="real")
    rnn.W *= 0.999
    rnn.b = drive * random.uniform(-0.5, 0.5, case.n_hidden)
    rnn.c = random.uniform(-0.5, 0.5, case.n_out)
    token = case.input == "token"
    x = [
        random.integers(0, case.n_in, n) if token else representable(drive * random.standard_normal((n, case.n_in)))
        for n in case.lengths
    ]
    if token:
        rnn.U *= drive

    counts = case.lengths if case.readout == "all" else (1,) * batch
    y, weight = [], []
    for n in counts:
        w = representable(random.choice([0.0, 0.5, 1.0, 2.3], n))
        if case.output == "softmax":
            y_i: Array = np.where(random.random(n) < 0.2, -1, random.integers(0, case.n_out, n))
            y_i[0] = random.integers(0, case.n_out)
        elif case.output == "sigmoid":
            y_i = representable(random.random((n, case.n_out)))
            y_i[random.random((n, case.n_out)) < 0.3] = 1.0
        else:
            y_i = representable(2.0 * random.standard_normal((n, case.n_out)))
        w[0] = 1.5
        if case.extras:  # where the weight is 0, the target is not read
            y_i[w == 0.0] = case.n_out + 5 if case.output == "softmax" else math.nan
        y.append(y_i)
        weight.append(w)
    # Where W is made for the probabilities of classes, r0 is no longer than such a vector.
    longest = 0.9 / case.n_out if (case.output, case.feedback) == ("softmax", "y_hat") else 0.9
    initial = representable(random.uniform(-longest, longest, (batch, rnn.W.shape[1])))
    reset = [random.random(n) < 0.25 for n in case.lengths]
    if batch > 1:
        reset[0][0], reset[1][0] = True, False
    return Problem(
        case,
        representable(rnn.parameters),
        x,
        y if case.readout == "all" else np.concatenate(y),
        initial if case.extras else None,
        (weight if case.readout == "all" else np.concatenate(weight)) if case.extras else None,
        reset if case.reset else None,
    )


def reference_parameters(rnn: Any) -> reference.Parameters:
    """A network's parameters as the reference takes them."""
    letters = {letter: getattr(rnn, letter).astype(np.float64).tolist() for letter in LETTERS}
    return reference.Parameters(**letters)


def solve(p: Problem) -> dict[str, Any]:
    """The reference's results, under the names of `everything` and in the form of `by_sequence`."""
    case = p.case
    rnn = p.network("float64")
    arguments: dict[str, Any] = {
        "parameters": reference_parameters(rnn),
        "xs": [x.tolist() for x in p.x],
        "ys": [y.tolist() for y in p.y],
        "initials": [None] * len(p.x) if p.initial is None else p.initial.tolist(),
        "weights": [None] * len(p.x) if p.weight is None else [w.tolist() for w in p.weight],
        "resets": [None] * len(p.x) if p.reset is None else [flags.tolist() for flags in p.reset],
    }
    solver = solve_elman if case.feedback is None else solve_jordan
    runs, loss, gradients, last, last_of_gradients = solver(case, **arguments)

    def outputs(results: list[Any]) -> list[Array] | Array:
        return [np.array(o) for o in results] if case.readout == "all" else np.array(results)

    return {
        "loss alone": loss,
        "loss": loss,
        **{letter: np.array(getattr(gradients, letter)).reshape(getattr(rnn, letter).shape) for letter in LETTERS},
        case.initial: np.array(getattr(gradients, case.initial)),
        "x": None if gradients.x is None else [np.array(x).reshape(len(x), case.n_in) for x in gradients.x],
        "h": [np.array(run.h) for run in runs],
        "o": outputs([run.o for run in runs]),
        "y_hat": outputs([run.y_hat for run in runs]),
        "last": np.array(last),
        "last of the gradients": np.array(last_of_gradients),
    }


def solve_elman(
    case: Case, parameters: reference.Parameters, xs: Any, ys: Any, initials: Any, weights: Any, resets: Any
) -> tuple[Any, ...]:
    options: dict[str, Any] = {"input": case.input, "output": case.output, "readout": case.readout}
    runs = [
        reference.forward(parameters, x, h0, **options, reset=reset)
        for x, h0, reset in zip(xs, initials, resets, strict=True)
    ]
    solved = reference.batch_loss_and_gradients(parameters, xs, ys, initials, weights, **options, resets=resets)
    last = [run.h[-1] for run in runs]
    return runs, *solved, last, last


def solve_jordan(
    case: Case, parameters: reference.Parameters, xs: Any, ys: Any, initials: Any, weights: Any, resets: Any
) -> tuple[Any, ...]:
    assert case.feedback is not None
    options: dict[str, Any] = {"input": case.input, "output": case.output, "feedback": case.feedback}
    runs = [
        reference.jordan_forward(parameters, x, r0, **options, reset=reset)
        for x, r0, reset in zip(xs, initials, resets, strict=True)
    ]
    draws: dict[str, Any] = {"teacher_forcing": case.teacher_forcing, "seed": case.seed}
    solved = reference.jordan_batch_loss_and_gradients(
        parameters, xs, ys, initials, weights, **options, **draws, resets=resets
    )
    free = [getattr(run, case.feedback)[-1] for run in runs]
    seen = []  # what one step more would see
    for i, (x, y, r0, weight, reset) in enumerate(zip(xs, ys, initials, weights, resets, strict=True)):
        forced = reference.forced_steps(case.teacher_forcing, case.seed, i, len(x) + 1)
        weight = step_weights([*y, y[0]], None if weight is None else [*weight, 1.0], len(x) + 1, case.output)
        fed = feedback.fed_targets([*y, y[0]], weight, forced, case.n_out, case.output)
        unit = feedback.unit_before_feedback(case.output, case.feedback)
        flags = [*(reset or [False] * len(x)), False]
        r, _, _ = feedback.unfold(parameters, [*x, x[0]], r0, fed, flags, case.input, unit)
        seen.append(r[-1])
    return runs, *solved, free, seen


@cache
def answer(case: Case) -> dict[str, Any]:
    """The reference's results for a case, computed once for all instruction sets and dtypes."""
    return solve(problem(case))
