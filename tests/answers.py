"""The reference's answers to problems, in the names and forms of `results.by_sequence`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from bptt import reference
from problems import LETTERS, Case, Problem, problem
from results import is_of_steps


@dataclass(frozen=True)
class Answer:
    """Results, and what an error of each is measured by.

    That is the largest magnitude of an array; where an array is a sum over sequences, that of the sum of its terms'
    magnitudes, as what cancels in it was rounded before.
    """

    results: dict[str, Any]
    scales: dict[str, float]


@cache
def answer(case: Case) -> Answer:
    """The reference's results for a case, computed once for all instruction sets and dtypes."""
    return solve(problem(case))


def solve(p: Problem) -> Answer:
    """One sequence after another, put together."""
    each = [solve_sequence(p, i) for i in range(len(p.x))]
    results, scales = {}, {}
    for name in each[0]:
        terms = [one[name] for one in each]
        sums = name.startswith("loss") or name in p.parameter_shapes
        if terms[0] is None:
            results[name], scales[name] = None, 0.0
        elif name.startswith("loss"):
            results[name] = math.fsum(terms)
            scales[name] = results[name]
        elif sums:
            results[name] = np.sum(terms, axis=0)
            scales[name] = float(np.abs(terms).sum(axis=0).max(initial=0.0))
        else:
            of_steps = is_of_steps(name, p.case)
            results[name] = terms if of_steps else np.array(terms)
            scales[name] = max(float(np.abs(term).max(initial=0.0)) for term in terms)
    return Answer(results, scales)


def solve_sequence(p: Problem, i: int) -> dict[str, Any]:
    """All results of sequence i, under the names of `results.everything`."""
    return solve_elman(p, i) if p.case.feedback is None else solve_jordan(p, i)


def numbers(p: Problem, i: int) -> tuple[Any, ...]:
    """x, y, initial state, weight and reset of one sequence, as the reference takes them."""
    return (
        p.x[i].tolist(),
        p.y[i].tolist(),
        None if p.initial is None else p.initial[0][i].tolist(),
        None if p.weight is None else p.weight[i].tolist(),
        None if p.reset is None else p.reset[i].tolist(),
    )


def named(p: Problem, loss: float, gradients: Any, run: Any) -> dict[str, Any]:
    """What the reference gives back, under our names."""
    shapes = p.parameter_shapes
    return {
        "loss alone": loss,
        "loss": loss,
        **{name: np.array(getattr(gradients, name)).reshape(shape) for name, shape in shapes.items()},
        p.case.initial: np.array(getattr(gradients, p.case.initial)),
        "x": None if gradients.x is None else np.array(gradients.x).reshape(len(run.h), p.case.n_in),
        "h": np.array(run.h),
        "o": np.array(run.o),
        "y_hat": np.array(run.y_hat),
    }


def solve_elman(p: Problem, i: int) -> dict[str, Any]:
    case, parameters = p.case, reference_parameters(p.network("float64"))
    x, y, h0, weight, reset = numbers(p, i)
    options: dict[str, Any] = {"input": case.input, "output": case.output, "readout": case.readout, "reset": reset}
    run = reference.forward(parameters, x, h0, **options)
    loss, gradients = reference.loss_and_gradients(parameters, x, y, h0, weight, **options)
    last = np.array(run.h[-1])
    return {**named(p, loss, gradients, run), "last": last, "last of the gradients": last}


def solve_jordan(p: Problem, i: int) -> dict[str, Any]:
    case, parameters = p.case, reference_parameters(p.network("float64"))
    assert case.feedback is not None
    x, y, r0, weight, reset = numbers(p, i)
    options: dict[str, Any] = {"input": case.input, "output": case.output, "feedback": case.feedback}
    forced = reference.forced_steps(case.teacher_forcing, case.seed, i, len(x) + 1)
    run = reference.jordan_forward(parameters, x, r0, **options, reset=reset)
    loss, gradients = reference.jordan_loss_and_gradients(
        parameters, x, y, r0, weight, **options, forced=forced[:-1], reset=reset
    )
    # What one step more would see, where targets are seen: the last one, or the output of the steps since the last one
    # whose r(t-1) is known without those before it. Those run free.
    seen = [
        None,
        *(as_seen(case, y_t, 1.0 if weight is None else w_t) for y_t, w_t in zip(y, weight or y, strict=True)),
    ]
    if forced[len(x)]:
        last: Any = seen[-1]
    else:
        begin, r = 0, r0
        for t in range(len(x)):
            if reset is not None and reset[t]:
                begin, r = t, None
            elif t > 0 and forced[t]:
                begin, r = t, seen[t]
        last = getattr(reference.jordan_forward(parameters, x[begin:], r, **options), case.feedback)[-1]
    free = np.array(getattr(run, case.feedback)[-1])
    return {**named(p, loss, gradients, run), "last": free, "last of the gradients": np.array(last)}


def reference_parameters(rnn: Any) -> reference.Parameters:
    """A network's parameters as the reference takes them."""
    letters = {letter: getattr(rnn, letter).astype(np.float64).tolist() for letter in LETTERS}
    return reference.Parameters(**letters)


def as_seen(case: Case, y: Any, weight: float) -> list[float]:
    """A target as the next step sees it: a class as its one-hot vector, and 0 where there is none."""
    if case.output == "softmax":
        return [float(weight != 0.0 and k == y) for k in range(case.n_out)]
    return [0.0] * case.n_out if weight == 0.0 else list(y)
