"""One layer as PyTorch's autograd sees it: the core's forward pass, and its way back. Knows no modules."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bptt import _core
from bptt._arrays import Array, rows_in_place


class How(NamedTuple):
    """What a layer is beside its tensors."""

    activation: str
    bidirectional: bool
    lengths: list[int] | None  # of a padded batch whose lengths differ

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1


@functools.lru_cache(maxsize=256)
def _network(n_in: int, n_hidden: int, activation: str, bidirectional: bool) -> _core.Network:
    """The layer as a network of the core. Its readout is not used: read at the last step alone, it costs nothing."""
    return _core.Network(
        n_in=n_in,
        n_hidden=(n_hidden,),
        n_out=1,
        input="real",
        output="linear",
        readout="last",
        recurrence="h",
        activation=activation,
        bidirectional=bidirectional,
    )


def _flat(weights: tuple[Tensor, ...], directions: int) -> Tensor:
    """The parameters as the core has them: U, W, b of each direction, then V and c, which are 0."""
    per_direction = len(weights) // directions
    parts: list[Tensor] = []
    n_hidden = len(weights[0])
    for first in range(0, len(weights), per_direction):
        U, W, *biases = weights[first : first + per_direction]
        b = biases[0] + biases[1] if biases else U.new_zeros(n_hidden)
        parts += [U.reshape(-1), W.reshape(-1), b]
    return torch.cat([*parts, weights[0].new_zeros(directions * n_hidden + 1)])


def _rows(tensor: Tensor) -> Array:
    """A tensor ``[tau, batch, n]`` or ``[batch, n]`` as the core reads it: in place wherever its rows have no gaps."""
    return rows_in_place(tensor.detach().numpy(), tensor.dim() - 1)


def _with_last(d_h: Tensor | None, d_last: Tensor, h: Tensor, lengths: list[int] | None) -> Tensor:
    """dL/dh(t) where the last states of each direction have a gradient of their own, ``[directions, batch, n]``."""
    n = d_last.shape[2]
    d_h = torch.zeros_like(h) if d_h is None else d_h.clone(memory_format=torch.contiguous_format)
    if lengths is None:
        d_h[-1, :, :n] += d_last[0]
    else:
        d_h[torch.tensor(lengths) - 1, torch.arange(len(lengths)), :n] += d_last[0]
    if len(d_last) == 2:
        d_h[0, :, n:] += d_last[1]  # the reverse direction ends at t = 1
    return d_h


class RecurrentLayer(torch.autograd.Function):
    """h(t) of a layer, and the last state of each direction (equations 10.8 and 10.9).

    Its arguments are what the layer is; x ``[tau, batch, n_in]``; h(0) ``[directions, batch, n]`` or None; and for each
    direction weight_ih, weight_hh and, where there are biases, bias_ih and bias_hh. It gives h
    ``[tau, batch, directions * n]`` and the last states ``[directions, batch, n]``. What the way back needs is saved as
    PyTorch saves it. So a tensor that is overwritten before the way back is an error, and memory is freed after it.
    """

    @staticmethod
    def forward(ctx: Any, how: How, x: Tensor, h0: Tensor | None, *weights: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        tau, batch, n_in = x.shape
        n_hidden = len(weights[0])
        flat = _flat(weights, how.directions)
        new = x.new_empty if how.lengths is None else x.new_zeros  # 0 beyond a length, where the core does not write
        h = new((tau, batch, how.directions * n_hidden))
        last = x.new_empty((how.directions, batch, n_hidden))
        _core.forward(
            network=_network(n_in, n_hidden, how.activation, how.bidirectional),
            parameters=flat.numpy(),
            lengths=how.lengths or [tau] * batch,
            x=_rows(x),
            y=None,
            r0=None if h0 is None else [_rows(state) for state in h0],
            reset=None,
            chance=(0.0, 0.0, 0.0, 0),
            h=[h.numpy()],
            v=None,
            o=x.new_empty((batch, 1)).numpy(),
            r_last=list(last.numpy()),
        )
        ctx.how, ctx.shapes = how, [weight.shape for weight in weights]
        ctx.save_for_backward(x, h0, h, flat)
        return h, last

    @staticmethod
    def backward(ctx: Any, d_h: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        if d_h is None and d_last is None:
            return (None,) * len(ctx.needs_input_grad)
        with torch.no_grad():
            gradients = RecurrentLayer._gradients(ctx, d_h, d_last)
        if torch.is_grad_enabled():  # create_graph=True: whoever goes back through these gradients is told
            h = ctx.saved_tensors[2]
            gradients = [None if tensor is None else _NoWayBack.apply(tensor, h, d_h, d_last) for tensor in gradients]
        return None, *gradients

    @staticmethod
    def _gradients(ctx: Any, d_h: Tensor | None, d_last: Tensor | None) -> list[Tensor | None]:
        """dL/dx, dL/dh(0) and dL/d(each weight)."""
        x, h0, h, flat = ctx.saved_tensors
        how, shapes = ctx.how, ctx.shapes
        tau, batch, n_in = x.shape
        n_hidden = shapes[0][0]
        if d_last is not None:
            d_h = _with_last(d_h, d_last, h, how.lengths)
        assert d_h is not None
        d_flat = torch.empty_like(flat)
        d_h0 = x.new_empty((how.directions, batch, n_hidden))
        d_x = None
        if ctx.needs_input_grad[1]:
            d_x = (x.new_empty if how.lengths is None else x.new_zeros)((tau, batch, n_in))
        _core.backward(
            network=_network(n_in, n_hidden, how.activation, how.bidirectional),
            parameters=flat.numpy(),
            lengths=how.lengths or [tau] * batch,
            x=_rows(x),
            y=None,
            r0=None if h0 is None else [_rows(state) for state in h0],
            reset=None,
            chance=(0.0, 0.0, 0.0, 0),
            h=[h.detach().numpy()],
            d_o=None,
            d_h=_rows(d_h),
            flat=d_flat.numpy(),
            dr0=list(d_h0.numpy()),
            dx=None if d_x is None else d_x.numpy(),
        )
        return [d_x, None if h0 is None else d_h0, *_by_weight(d_flat, shapes, how.directions)]


class _NoWayBack(torch.autograd.Function):
    """A gradient as it is. Its own gradient, which would need second derivatives of the layer, is an error."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, *depends_on: Tensor | None) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise RuntimeError("bptt.torch.RNN: expected one way back, got a second one through its gradients")


def _by_weight(d_flat: Tensor, shapes: list[torch.Size], directions: int) -> list[Tensor]:
    """The gradient of each weight: views of the flat one. The second bias has its own copy, as each may be changed."""
    per_direction = len(shapes) // directions
    gradients: list[Tensor] = []
    end = 0
    for first in range(0, len(shapes), per_direction):
        of_U, of_W = shapes[first : first + 2]
        sizes = (of_U.numel(), of_W.numel(), of_W[0])
        U, W, b = d_flat[end : end + sum(sizes)].split(sizes)
        end += sum(sizes)
        gradients += [U.view(of_U), W.view(of_W)]
        if per_direction == 4:
            gradients += [b, b.clone()]
    return gradients
