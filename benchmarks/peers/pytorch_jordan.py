"""PyTorch, the output-recurrent network: nn.Linear, nn.Embedding and cross_entropy; where it runs free, in a loop.

Forced, W y(t-1) is an nn.Embedding, whose padding row is what the first step sees. Eager, because torch.compile gains
less than a tenth with one thread, and with two it loses more.

Free, the loop over the steps is tried in eager mode and in TorchScript, and the faster is kept: TorchScript is
deprecated, but takes a third less time at batch 1. torch.compile unrolls such a loop, which takes minutes for 200 steps
and makes them no faster; of the body alone it makes a function that costs more to enter than it saves. U x(t) is
computed for all steps before the loop, and in the loop each product takes along what is added to it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy, linear, pad

from peers.fastest import fastest
from problem import Answer, Array, Contender, Problem

Unfold = Callable[..., tuple[torch.Tensor, torch.Tensor]]


def unfold(
    x: torch.Tensor, U: torch.Tensor, W: torch.Tensor, b: torch.Tensor, V: torch.Tensor, c: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """h and o for all steps, in what TorchScript understands too."""
    W_T, V_T = W.t(), V.t()
    r = torch.zeros([x.size(1), c.size(0)], dtype=x.dtype)
    h, o = [], []
    for a_t in linear(x, U, b).unbind():
        h_t = torch.addmm(a_t, r, W_T).tanh()
        o_t = torch.addmm(c, h_t, V_T)
        r = torch.softmax(o_t, -1)
        h.append(h_t)
        o.append(o_t)
    return torch.stack(h), torch.stack(o)


def ways_to_unfold() -> list[Unfold]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is deprecated
        return [unfold, torch.jit.script(unfold)]


def layer(weight: Array, bias: Array | None = None) -> nn.Linear:
    n_out, n_in = weight.shape
    result = nn.Linear(n_in, n_out, bias=bias is not None, dtype=torch.from_numpy(weight).dtype)
    with torch.no_grad():
        result.weight.copy_(torch.from_numpy(weight))
        if bias is not None:
            result.bias.copy_(torch.from_numpy(bias))
    return result


def embedding(weight: Array) -> nn.Embedding:
    """Of the columns of a weight, and of the padding: one more, of zeros."""
    rows = pad(torch.from_numpy(weight.T), (0, 0, 0, 1))
    return nn.Embedding.from_pretrained(rows, freeze=False, padding_idx=weight.shape[1])


def build(problem: Problem, threads: int) -> Contender:
    torch.set_num_threads(threads)
    forced, n_out = problem.line.network == "forced", problem.line.n_out
    U, V = layer(problem["U"], problem["b"]), layer(problem["V"], problem["c"])
    W = embedding(problem["W"]) if forced else layer(problem["W"])
    model = nn.ModuleList([U, W, V])
    x, y_before, targets = (torch.from_numpy(array) for array in (problem.x, problem.y_before, problem.y.flatten()))

    def outputs_forced() -> torch.Tensor:
        return V(torch.tanh(U(x) + W(y_before)))

    def run_free(way: Unfold) -> tuple[torch.Tensor, torch.Tensor]:
        return way(x, U.weight, W.weight, U.bias, V.weight, V.bias)

    def gradient(outputs: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        def call() -> torch.Tensor:
            model.zero_grad()
            loss = cross_entropy(outputs().flatten(0, 1), targets, reduction="sum")
            loss.backward()
            return loss

        return call

    def read_gradient(loss: torch.Tensor) -> Answer:
        dW = W.weight.grad.numpy()
        return {
            "loss": loss.detach().numpy(),
            "U": U.weight.grad.numpy(),
            "W": dW[:n_out].T if forced else dW,
            "b": U.bias.grad.numpy(),
            "V": V.weight.grad.numpy(),
            "c": V.bias.grad.numpy(),
        }

    if forced:
        return Contender(gradient(outputs_forced), None, read_gradient)

    def forward(way: Unfold) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
        return torch.inference_mode()(lambda: run_free(way))

    def read_forward(result: tuple[torch.Tensor, torch.Tensor]) -> Answer:
        return {"h": result[0].numpy(), "o": result[1].numpy()}

    ways = ways_to_unfold()
    return Contender(
        fastest([gradient(lambda way=way: run_free(way)[1]) for way in ways]),
        fastest([forward(way) for way in ways]),
        read_gradient,
        read_forward,
    )
