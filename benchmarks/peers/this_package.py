"""This package: one call, as its users write it."""

from __future__ import annotations

import bptt
from bptt import ElmanRNN, Gradients, Run
from problem import PARAMETERS, Answer, Contender, Problem


def build(problem: Problem, threads: int) -> Contender:
    bptt.set_num_threads(threads)
    _, _, n_in, n_hidden, n_out, ragged = problem.line
    rnn = ElmanRNN(n_in, n_hidden, n_out, dtype=problem.dtype, init=None)
    for name in PARAMETERS:
        setattr(rnn, name, getattr(problem, name))
    x, y, lengths = problem.x, problem.y, problem.lengths if ragged else None

    def read_gradient(result: tuple[float, Gradients]) -> Answer:
        loss, gradients = result
        return {"loss": loss, **{name: getattr(gradients, name) for name in PARAMETERS}}

    def read_forward(run: Run) -> Answer:
        return {"h": run.h, "o": run.o}

    return Contender(
        lambda: rnn.loss_and_gradients(x, y, lengths=lengths),
        lambda: rnn.forward(x, lengths=lengths),
        read_gradient,
        read_forward,
    )
