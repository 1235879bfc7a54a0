"""PyTorch in inference mode: RNNCell and Linear, eager, traced and compiled; and addmm into given memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from peers.fastest import fastest
from problem import Problem
from steps import Stepper


class Cell(nn.Module):
    """One step; the second bias, which RNNCell always has, is 0."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        _, _, n_in, n_hidden, n_out = problem.line.sizes
        self.cell, self.readout = nn.RNNCell(n_in, n_hidden), nn.Linear(n_hidden, n_out)
        weights = (self.cell.weight_ih, self.cell.weight_hh, self.cell.bias_ih, self.readout.weight, self.readout.bias)
        with torch.no_grad():
            nn.init.zeros_(self.cell.bias_hh)
            for weight, letter in zip(weights, "UWbVc", strict=True):
                weight.copy_(torch.from_numpy(problem[letter]))

    def forward(self, h: Tensor, x_t: Tensor) -> tuple[Tensor, Tensor]:
        h = self.cell(x_t, h)
        return h, self.readout(h)


def stepper(way: str, problem: Problem, cell: Callable[[Tensor, Tensor], Any]) -> Stepper:
    inputs = list(torch.from_numpy(problem.x))
    zero = torch.zeros(problem.line.batch, problem.line.n_hidden)
    h = zero

    def step(x_t: Tensor) -> Tensor:
        nonlocal h
        h, o = cell(h, x_t)
        return o

    def reset() -> None:
        nonlocal h
        h = zero

    return Stepper(way, step, inputs, reset)


def in_place(problem: Problem) -> Stepper:
    batch, n_hidden, n_out = problem.line.batch, problem.line.n_hidden, problem.line.n_out
    U, W, b, V, c = (torch.from_numpy(problem[name]) for name in "UWbVc")
    U, W, V = U.t(), W.t(), V.t()
    h, a, o = torch.zeros(batch, n_hidden), torch.empty(batch, n_hidden), torch.empty(batch, n_out)
    addmm, tanh = torch.addmm, torch.tanh

    def step(x_t: Tensor) -> Tensor:
        addmm(b, x_t, U, out=a)
        tanh(addmm(a, h, W, out=a), out=h)
        return addmm(c, h, V, out=o)

    return Stepper("addmm into given memory", step, list(torch.from_numpy(problem.x)), lambda: h.fill_(0))


def build(problem: Problem, quick: bool) -> Stepper:
    torch.set_num_threads(1)
    torch.inference_mode().__enter__()  # for as long as the process lives: entering costs more than a step should
    cell = Cell(problem).eval()
    ways = [stepper("RNNCell, eager", problem, cell), in_place(problem)]
    example = torch.zeros(problem.line.batch, problem.line.n_hidden), torch.from_numpy(problem.x[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that tracing is deprecated
        traced = torch.jit.optimize_for_inference(torch.jit.trace(cell, example))
        ways.append(stepper("RNNCell, traced", problem, traced))
        if not quick:  # it compiles C++ for half a minute
            try:
                compiled = torch.compile(cell, fullgraph=True, dynamic=False)
                compiled(*example)
                ways.append(stepper("RNNCell, torch.compile", problem, compiled))
            except Exception as error:
                print(f"torch.compile is left out: {error}")
    return fastest(ways)
