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
    line = problem.line
    dtype = torch.from_numpy(problem.x).dtype
    rnn = nn.RNN(line.n_in, line.n_hidden, num_layers=line.layers, bidirectional=line.both, dtype=dtype)
    readout = nn.Linear(line.n_top, line.n_out, dtype=dtype)
    model = nn.ModuleList([rnn, readout])
    weights = {"V": readout.weight, "c": readout.bias}  # by this package's names
    for number, layer in enumerate(line.names):
        for (U, W, b), end in zip(layer, (f"l{number}", f"l{number}_reverse"), strict=False):
            weights[U], weights[W] = getattr(rnn, f"weight_ih_{end}"), getattr(rnn, f"weight_hh_{end}")
            weights[b] = getattr(rnn, f"bias_ih_{end}")
            nn.init.zeros_(getattr(rnn, f"bias_hh_{end}"))
    with torch.no_grad():
        for name, array in problem.parameters.items():
            weights[name].copy_(torch.from_numpy(array))
    x, y, lengths = torch.from_numpy(problem.x), torch.from_numpy(problem.y), torch.from_numpy(problem.lengths)
    targets = pack_padded_sequence(y, lengths, enforce_sorted=False).data if line.ragged else y.flatten()

    def states() -> tuple[torch.Tensor | PackedSequence, torch.Tensor]:
        """The states as nn.RNN returns them, and as rows for the readout."""
        if line.ragged:
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
        return {"loss": loss.detach().numpy(), **{name: weight.grad.numpy() for name, weight in weights.items()}}

    @torch.inference_mode()
    def forward() -> tuple[torch.Tensor, torch.Tensor]:
        h, rows = states()
        o = readout(rows)
        if line.ragged:
            pair = (h, h._replace(data=o))
            return tuple(pad_packed_sequence(packed, total_length=len(x))[0] for packed in pair)
        return h, o.unflatten(0, h.shape[:2])

    def read_forward(result: tuple[torch.Tensor, torch.Tensor]) -> Answer:
        return {"h": result[0].numpy(), "o": result[1].numpy()}

    return Contender(gradient, forward, read_gradient, read_forward)
