"""This package: one call, as its users write it."""

from __future__ import annotations

from typing import Any

import bptt
from bptt import ElmanRNN, Gradients, JordanRNN, Run
from problem import Answer, Contender, Problem


def build(problem: Problem, threads: int) -> Contender:
    bptt.set_num_threads(threads)
    line = problem.line
    network = ElmanRNN if line.network == "elman" else JordanRNN
    n_hidden = line.n_hidden if line.layers == 1 else (line.n_hidden,) * line.layers
    directions: dict[str, Any] = {"bidirectional": True} if line.both else {}
    rnn = network(line.n_in, n_hidden, line.n_out, dtype=problem.dtype, init=None, **directions)
    rnn.parameters = problem.flat
    x, y, lengths = problem.x, problem.y, problem.lengths if line.ragged else None
    options = {} if line.network == "elman" else {"teacher_forcing": 1.0 if line.network == "forced" else 0.0}

    def read_gradient(result: tuple[float, Gradients]) -> Answer:
        loss, gradients = result
        return {"loss": loss, **problem.named(gradients.flat)}

    def read_forward(run: Run) -> Answer:
        return {"h": run.h, "o": run.o}

    return Contender(
        lambda: rnn.loss_and_gradients(x, y, lengths=lengths, **options),
        (lambda: rnn.forward(x, lengths=lengths)) if "forward" in line.modes else None,
        read_gradient,
        read_forward,
    )
