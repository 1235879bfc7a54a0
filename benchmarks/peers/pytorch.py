"""PyTorch: nn.RNN, nn.Linear and cross_entropy; eager, because torch.compile leaves nn.RNN to eager by default.

Time-major, which is nn.RNN's default and its fastest layout; different lengths are packed, and the readout and the
loss then work on the packed steps alone. The second bias, which nn.RNN always has, is 0.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from problem import Answer, Contender, Problem


def build(problem: Problem, threads: int) -> Contender:
    torch.set_num_threads(threads)
    _, _, n_in, n_hidden, n_out = problem.line.sizes
    ragged = problem.line.ragged
    dtype = torch.from_numpy(problem.x).dtype
    rnn, readout = nn.RNN(n_in, n_hidden, dtype=dtype), nn.Linear(n_hidden, n_out, dtype=dtype)
    model = nn.ModuleList([rnn, readout])
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(torch.from_numpy(problem.U))
        rnn.weight_hh_l0.copy_(torch.from_numpy(problem.W))
        rnn.bias_ih_l0.copy_(torch.from_numpy(problem.b))
        rnn.bias_hh_l0.zero_()
        readout.weight.copy_(torch.from_numpy(problem.V))
        readout.bias.copy_(torch.from_numpy(problem.c))
    x, y, lengths = torch.from_numpy(problem.x), torch.from_numpy(problem.y), torch.from_numpy(problem.lengths)
    targets = pack_padded_sequence(y, lengths, enforce_sorted=False).data if ragged else y.flatten()

    def states() -> tuple[torch.Tensor | PackedSequence, torch.Tensor]:
        """The states as nn.RNN returns them, and as rows for the readout."""
        if ragged:
            packed, _ = rnn(pack_padded_sequence(x, lengths, enforce_sorted=False))
            return packed, packed.data
        h, _ = rnn(x)
        return h, h.flatten(0, 1)

    def gradient() -> torch.Tensor:
        model.zero_grad()
        _, rows = states()
        loss = cross_entropy(readout(rows), targets, reduction="sum")
        loss.backward()
        return loss

    def read_gradient(loss: torch.Tensor) -> Answer:
        return {
            "loss": loss.detach().numpy(),
            "U": rnn.weight_ih_l0.grad.numpy(),
            "W": rnn.weight_hh_l0.grad.numpy(),
            "b": rnn.bias_ih_l0.grad.numpy(),
            "V": readout.weight.grad.numpy(),
            "c": readout.bias.grad.numpy(),
        }

    @torch.inference_mode()
    def forward() -> tuple[torch.Tensor, torch.Tensor]:
        h, rows = states()
        o = readout(rows)
        if ragged:
            pair = (h, h._replace(data=o))
            return tuple(pad_packed_sequence(packed, total_length=len(x))[0] for packed in pair)
        return h, o.unflatten(0, h.shape[:2])

    def read_forward(result: tuple[torch.Tensor, torch.Tensor]) -> Answer:
        return {"h": result[0].numpy(), "o": result[1].numpy()}

    return Contender(gradient, forward, read_gradient, read_forward)
