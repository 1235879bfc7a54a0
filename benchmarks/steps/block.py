"""This package's core without Python between the steps: `stream.run` takes them all in one call."""

from __future__ import annotations

from functools import partial

import numpy as np

import bptt
from problem import Array, Problem
from steps import Stepper
from steps.stream import inputs, network


class Block(Stepper):
    """One call for all steps. No step has a time of its own."""

    def __call__(self) -> None:
        self.step(self.inputs)

    def outputs(self) -> Array:
        self.reset()
        return np.array(self.step(self.inputs))

    def samples(self, count: int) -> Array:
        return np.empty(0)


def build(problem: Problem, quick: bool) -> Stepper:
    bptt.set_num_threads(1)
    x = inputs(problem)
    stream = network(problem).stream(batch=None if x.ndim == 2 else problem.line.batch)
    o = np.empty((*x.shape[:-1], problem.line.n_out), problem.dtype)
    return Block("", partial(stream.run, out=o), x, stream.reset)
