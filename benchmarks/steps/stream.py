"""This package from Python: a call of `stream.step` for each step, into a buffer."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import bptt
from problem import Problem
from steps import Stepper


def network(problem: Problem) -> bptt.ElmanRNN:
    rnn = bptt.ElmanRNN(*problem.line.sizes[2:], dtype=str(problem.dtype), init=None)
    rnn.parameters = problem.flat
    return rnn


def inputs(problem: Problem) -> Any:
    """Of a single sequence without the batch axis."""
    return problem.x[:, 0] if problem.line.batch == 1 else problem.x


def build(problem: Problem, quick: bool) -> Stepper:
    bptt.set_num_threads(1)
    x = inputs(problem)
    stream = network(problem).stream(batch=None if x.ndim == 2 else problem.line.batch)
    o = np.empty((*x.shape[1:-1], problem.line.n_out), problem.dtype)
    return Stepper("", partial(stream.step, out=o), list(x), stream.reset)
