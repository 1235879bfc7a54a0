"""The reference's answers to problems, in the names and forms of `results.by_sequence`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from bptt import reference
from problems import Array, Case, Problem, joined_state, letters, smooth_problem, state_names
from results import is_of_steps, named_state


@dataclass(frozen=True)
class Answer:
    """Results, and what an error of each is measured by.

    That is the largest magnitude of an array; of outputs, and where an array is a sum over sequences, that of the sum
    of the terms' magnitudes, as what cancels in it was rounded before.
    """

    results: dict[str, Any]
    scales: dict[str, float]


@cache
def answer(case: Case) -> Answer:
    """The reference's results for a case, computed once for all instruction sets and dtypes."""
    return solve(smooth_problem(case))


def solve(p: Problem) -> Answer:
    """One sequence after another, put together."""
    rnn = p.network("float64")
    parameters = reference_parameters(rnn, p.case)
    shapes = {name: values.shape for name, values in letters(rnn).items()}
    solver = solve_elman if p.case.feedback is None else solve_jordan
    each = [solver(p, i, parameters, shapes) for i in range(len(p.x))]
    V, c = np.abs(parameters.V), np.abs(parameters.c)
    results: dict[str, Any] = {}
    scales: dict[str, float] = {}
    for name in each[0]:
        terms = [one[name] for one in each]
        if terms[0] is None:
            results[name] = None
        elif name.startswith("loss"):
            results[name] = scales[name] = math.fsum(terms)
        elif name in shapes:
            results[name] = np.sum(terms, axis=0)
            scales[name] = float(np.abs(terms).sum(axis=0).max(initial=0.0))
        else:
            results[name] = terms if is_of_steps(name, p.case) else np.array(terms)
            scales[name] = max(float(np.abs(term).max(initial=0.0)) for term in terms)
        if name == "o" or (name == "y_hat" and p.case.output == "linear"):  # sums over the hidden units
            scales[name] = max(float((c + np.abs(read_out(p.case, one)) @ V.T).max()) for one in each)
    return Answer(results, scales)


def read_out(case: Case, results: dict[str, Any]) -> Array:
    """The states of one sequence that outputs are made of."""
    if case.readout == "all":
        return np.asarray(results["h"])
    directions = 2 if case.bidirectional else 1
    last: Array = np.concatenate([results[name] for name in state_names(case, "last")[-directions:]])
    if case.leak == 1.0:
        return last
    return np.asarray(np.tanh(last) if case.activation == "tanh" else np.maximum(last, 0.0))


def reference_parameters(rnn: Any, case: Case) -> reference.Stack:
    """A network's parameters as the reference takes them."""

    def layer(of: Any, reverse: reference.Layer | None = None) -> reference.Layer:
        return reference.Layer(
            of.U.astype(np.float64).tolist(),
            of.W.astype(np.float64).tolist(),
            of.b.astype(np.float64).tolist(),
            reverse,
            getattr(of, case.initial).astype(np.float64).tolist() if case.learn_h0 else None,
        )

    of_layers = [rnn] if case.simple else rnn.layers
    layers = [layer(one, layer(one.reverse) if case.bidirectional else None) for one in of_layers]
    return reference.Stack(layers, rnn.V.tolist(), rnn.c.tolist())


def numbers(p: Problem, i: int) -> tuple[Any, ...]:
    """x, y, initial state, weight and reset of one sequence, as the reference takes them."""
    return (
        p.x[i].tolist(),
        p.y[i].tolist(),
        None if p.initial is None else joined_state(p.case, [state[i].tolist() for state in p.initial]),
        None if p.weight is None else p.weight[i].tolist(),
        None if p.reset is None else p.reset[i].tolist(),
    )


def named(case: Case, shapes: dict[str, tuple[int, ...]], loss: float, gradients: Any, run: Any) -> dict[str, Any]:
    """What the reference gives back, under our names."""
    values_of = letters(gradients)
    if case.leak != 1.0:  # the reference has one name for both
        values_of = {re.sub("^h0", "v0", name): values for name, values in values_of.items()}
    parameters = {name: np.array(values).reshape(shapes[name]) for name, values in values_of.items()}
    assert list(parameters) == list(shapes)
    results = {
        "loss alone": loss,
        "loss": loss,
        **parameters,
        **states(case, case.of_each, getattr(gradients, case.initial)),
        "x": None if gradients.x is None else np.array(gradients.x).reshape(len(run.h), case.n_in),
        "h": np.array(run.h),
        "o": np.array(run.o),
        "y_hat": np.array(run.y_hat),
        **states(case, "last", getattr(run, case.last)),
        **states(case, "last of the gradients", getattr(run, case.last)),
    }
    if not case.simple:
        results |= {f"h of layer {k}": np.array(h) for k, h in enumerate(run.layers)}
    if case.leak != 1.0:
        results["v"] = np.array(run.v)
        results |= {} if case.simple else {f"v of layer {k}": np.array(v) for k, v in enumerate(run.v_layers)}
    return results


def states(case: Case, name: str, state: Any) -> dict[str, Any]:
    return {name: np.array(one) for name, one in named_state(case, name, state).items()}


def solve_elman(p: Problem, i: int, parameters: reference.Stack, shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    case = p.case
    x, y, initial, weight, reset = numbers(p, i)
    options: dict[str, Any] = {name: getattr(case, name) for name in ("input", "output", "readout", "activation")}
    options |= {"leak": case.leaks, case.initial: initial, "reset": reset, **disturbance(case, i, len(x))}
    run = reference.forward(parameters, x, **options)
    loss, gradients = reference.loss_and_gradients(parameters, x, y, weight=weight, **options, kappa=kappa(p))
    return named(case, shapes, loss, gradients, run)


def kappa(p: Problem) -> float:
    """What the loss of the whole batch has of each h(t)^2: the cost of activity, of its mean, for every target."""
    case, targets = p.case, 0.0
    if not case.activity:
        return 0.0
    for i, y in enumerate(p.y):
        there = y != -1 if case.output == "softmax" else np.ones(y.shape[:-1])  # NaN stands where the weight is 0
        targets += float(np.sum(there * (1.0 if p.weight is None else p.weight[i])))
    units = sum(case.sizes) * (2 if case.bidirectional else 1)
    return case.activity * targets / (units * sum(case.lengths))


def disturbance(case: Case, sequence: int, tau: int) -> dict[str, Any]:
    """Noise and dropout of one sequence, as the reference takes them."""
    both = 2 if case.bidirectional else 1

    def each(draw: Callable[[int, int], Any]) -> list[list[Any]]:
        """Of each layer and direction, by its number of units and its place among the chains."""
        return [[draw(n, both * k + d) for d in range(both)] for k, n in enumerate(case.sizes)]

    def noise(n: int, chain: int) -> Any:
        return reference.noise_draws(case.seed, sequence, tau, n, chain)

    def dropout(n: int, chain: int) -> Any:
        return reference.dropout_draws(case.seed, sequence, tau, n, case.dropout, chain)

    return {
        "noise": each(noise) if case.noise else None,
        "sigma": case.noise,
        "dropout": each(dropout) if case.dropout else None,
    }


def solve_jordan(p: Problem, i: int, parameters: reference.Stack, shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    case = p.case
    x, y, r0, weight, reset = numbers(p, i)
    options: dict[str, Any] = {name: getattr(case, name) for name in ("input", "output", "feedback", "activation")}
    forced = reference.forced_steps(case.teacher_forcing, case.seed, i, len(x) + 1)
    run = reference.jordan_forward(parameters, x, r0, **options, reset=reset)
    loss, gradients = reference.jordan_loss_and_gradients(
        parameters, x, y, r0, weight, **options, forced=forced[:-1], reset=reset, kappa=kappa(p)
    )
    # What one step more would see where targets are seen: the last target; or the output of the steps since the last
    # one whose r(t-1) is known without those before it. They run free.
    seen = [as_seen(case, y_t, 1.0 if weight is None else weight[t]) for t, y_t in enumerate(y)]
    last = seen[-1]
    if not forced[len(x)]:
        begin, r = 0, r0
        for t in range(len(x)):
            if reset is not None and reset[t]:
                begin, r = t, None
            elif t > 0 and forced[t]:
                begin, r = t, seen[t - 1]
        last = reference.jordan_forward(parameters, x[begin:], r, **options).r_last
    return {**named(case, shapes, loss, gradients, run), "last of the gradients": np.array(last)}


def as_seen(case: Case, y: Any, weight: Any) -> list[float]:
    """A target as the next step sees it: a class as its one-hot vector, and 0 where there is none."""
    if case.output == "softmax":
        return [float(weight != 0.0 and k == y) for k in range(case.n_out)]
    weights = weight if isinstance(weight, list) else [weight] * case.n_out
    return [0.0 if w_i == 0.0 or math.isnan(y_i) else y_i for y_i, w_i in zip(y, weights, strict=True)]
