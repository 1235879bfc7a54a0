"""How near a problem comes to the kink of relu. Numbers for the choice of problems, which prove nothing themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from bptt import reference

if TYPE_CHECKING:
    from problems import Array, Problem


def clear_of_kinks(p: Problem) -> bool:
    """Whether every a(t) is farther from 0 than what rounding in float32, or a central difference, moves it by.

    A result in float32 is off by some 24 eps of the largest, 3e-6. The parameters of small problems are moved by 1e-5
    for central differences, which moves a(t) by a few times that.
    """
    a = [np.abs(part).ravel() for part in preactivations(p)]
    small = sum(part.size for part in a) <= 2000 and max(p.case.lengths) <= 10
    nearest, largest = min(part.min() for part in a), max(part.max() for part in a)
    return bool(nearest > max(4e-6 * largest, 1e-4 if small else 0.0))


def preactivations(p: Problem) -> Iterator[Array]:
    """a(t) of every layer, direction, step and sequence; v(t) of leaky units."""
    rnn = p.network("float64")
    for i, x in enumerate(p.x):
        below = np.eye(p.case.n_in)[x] if p.case.input == "token" else x
        flags = np.zeros(len(x), bool) if p.reset is None else p.reset[i]
        if p.case.feedback is not None:
            yield from output_recurrent(p, rnn, i, below, flags)
            continue
        initial = None if p.initial is None else [state[i] for state in p.initial]
        layers = [rnn] if p.case.simple else rnn.layers
        leaks = p.case.leaks if p.case.leak == "mixed" and not isinstance(p.case.n_hidden, int) else None
        for k, layer in enumerate(layers):
            directions = [layer] if p.case.simple else [layer, *([layer.reverse] if p.case.bidirectional else [])]
            above = []
            for d, one in enumerate(directions):
                h0 = np.zeros(len(one.b)) if initial is None else initial[k * len(directions) + d]
                # What step t - 1 of the reverse direction sees is what stands before it in reversed order.
                here = flags if d == 0 else np.concatenate([[False], flags[:0:-1]])
                alpha = np.array(p.case.leaks if leaks is None else leaks[k])
                a, h = recurrence(one, below if d == 0 else below[::-1], here, h0, alpha)
                yield a
                above.append(h if d == 0 else h[::-1])
            below = np.concatenate(above, axis=1)


def recurrence(layer: Any, x: Array, flags: Array, initial: Array, alpha: Array) -> tuple[Array, Array]:
    a = layer.b + x @ layer.U.T
    states = []
    v, h = initial, np.maximum(initial, 0.0) if (alpha != 1.0).any() else initial
    for t, flag in enumerate(flags):
        if not flag:
            a[t] += layer.W @ h
        v = a[t] = (0.0 if flag else (1.0 - alpha) * v) + alpha * a[t]
        h = np.maximum(v, 0.0)
        states.append(h)
    return a, np.array(states)


def output_recurrent(p: Problem, rnn: Any, i: int, x: Array, flags: Array) -> Iterator[Array]:
    """Of the pass that runs free, and of the one that sees targets."""
    case = p.case
    forced = reference.forced_steps(case.teacher_forcing, case.seed, i, len(x))
    weight = np.ones(len(x)) if p.weight is None else p.weight[i]
    for sees_targets in (False, True):
        r = np.zeros(case.n_out) if p.initial is None else p.initial[0][i]
        for t, x_t in enumerate(x):
            if t > 0 and sees_targets and forced[t]:
                target = np.eye(case.n_out + 1)[p.y[i][t - 1], :-1] if case.output == "softmax" and weight[t - 1] else 0
                r = np.zeros(case.n_out) + (target if case.output == "softmax" else p.y[i][t - 1])
                r = np.where(weight[t - 1] == 0, 0.0, r)
            a = rnn.b + rnn.U @ x_t + (0.0 if flags[t] else rnn.W @ r)
            yield a
            o = rnn.c + rnn.V @ np.maximum(a, 0.0)
            r = o if case.feedback == "o" else output_unit(case.output, o)


def output_unit(output: str, o: Array) -> Array:
    if output == "softmax":
        e = np.exp(o - o.max())
        return np.asarray(e / e.sum())
    return o if output == "linear" else np.asarray(1.0 / (1.0 + np.exp(-o)))
