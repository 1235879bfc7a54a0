"""A drop-in for `torch.nn.RNN`: the same module, whose arithmetic is the core's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from bptt.torch.layer import How, RecurrentLayer

_DTYPES = (torch.float32, torch.float64)


class RNN(torch.nn.RNN):
    """`torch.nn.RNN` on a CPU, computed by the core: the same arguments, weights, states and results, in less time.

    It is a subclass. So all that a module has works as ever: ``state_dict`` and ``load_state_dict`` (also those of an
    `nn.RNN`), ``parameters``, ``to``, ``copy.deepcopy``, ``torch.save``. The same seed draws the same weights.
    Gradients are exact. Parameters, inputs and states may be float32 or float64. The core has threads of its own
    (`bptt.set_num_threads`).

    Parameters
    ----------
    input_size : int
        Number of inputs, n_in.
    hidden_size : int
        Number of hidden units of each layer and direction.
    num_layers : int
        Number of layers (figure 10.13 (a)).
    nonlinearity : {"tanh", "relu"}
        What makes h(t) of a(t).
    bias : bool
        Whether there are biases: two for each layer and direction, whose sum is b.
    batch_first : bool
        Whether input and output are ``[batch, tau, ...]``. They are then views with other strides, and not copies.
    dropout : float
        0: there is no other yet.
    bidirectional : bool
        Whether each layer has a second direction (figure 10.11).
    device : torch.device, optional
        Where the weights are. They are on the CPU when the module is called.
    dtype : torch.dtype, optional
        Of the weights, float32 or float64 when the module is called; PyTorch's default without one.

    Raises
    ------
    ValueError
        If `dropout` is not 0.
    TypeError, ValueError
        As from `torch.nn.RNN`.

    Examples
    --------
    ``rnn = bptt.torch.RNN(64, 128, batch_first=True)`` in place of ``rnn = torch.nn.RNN(64, 128, batch_first=True)``.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        _check_dropout(dropout)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            nonlinearity,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )

    def forward(
        self, input: Tensor | PackedSequence, hx: Tensor | None = None
    ) -> tuple[Tensor | PackedSequence, Tensor]:
        """Run the layers over the sequences (equations 10.8 and 10.9).

        Parameters
        ----------
        input : Tensor or PackedSequence
            ``[tau, batch, input_size]`` (``[batch, tau, input_size]`` with `batch_first`), ``[tau, input_size]`` for
            a single sequence, or packed sequences of different lengths.
        hx : Tensor, optional
            h(0), ``[layers * directions, batch, hidden_size]`` (``[layers * directions, hidden_size]`` for a single
            sequence); 0 by default.

        Returns
        -------
        output : Tensor or PackedSequence
            h(1), ..., h(tau) of the top layer in the form of `input`, ``[tau, batch, directions * hidden_size]``. The
            way back reads it. So to overwrite it before (as ``output += x`` does) is an error: write ``output + x``.
        h_n : Tensor
            The last state of each layer and direction, in the form of `hx`.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            If what comes is no tensor, or a tensor of another dtype, device or shape. Second derivatives
            (``create_graph=True``) are a RuntimeError when they are used.
        """
        _check_dropout(self.dropout)
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        self._check("input", input)
        shape, single = tuple(input.shape), input.dim() == 2
        if input.dim() not in (2, 3):
            batch = "batch, tau" if self.batch_first else "tau, batch"
            raise ValueError(f"input: expected [{batch}, {self.input_size}] or [tau, {self.input_size}], got {shape}")
        if shape[-1] != self.input_size:
            raise RuntimeError(f"input: expected {self.input_size} in its last axis, input_size, got {shape}")
        x = input.unsqueeze(1) if single else input.transpose(0, 1) if self.batch_first else input
        if 0 in x.shape[:2]:  # PyTorch knows what no sequences give, and that no steps are an error
            result: tuple[Tensor, Tensor] = super().forward(input, hx)
            return result
        if hx is not None:
            self._check_hx(hx, None if single else x.shape[1])
            if single:
                hx = hx.unsqueeze(1)
        h, h_n = self._layers(x, hx, None)
        if single:
            return h.squeeze(1), h_n.squeeze(1)
        return h.transpose(0, 1) if self.batch_first else h, h_n

    def _forward_packed(self, input: PackedSequence, hx: Tensor | None) -> tuple[PackedSequence, Tensor]:
        data, batch_sizes, order, inverse = input
        self._check("input.data", data)
        if data.dim() != 2 or data.shape[1] != self.input_size:
            raise RuntimeError(f"input.data: expected [steps, {self.input_size}], got {tuple(data.shape)}")
        tau, batch, fewest = len(batch_sizes), int(batch_sizes[0]), int(batch_sizes[-1])
        if hx is not None:
            self._check_hx(hx, batch)
            hx = hx if order is None else hx.index_select(1, order)
        if fewest == batch:  # of one length they lie as a batch does
            h, h_n = self._layers(data.view(tau, batch, -1), hx, None)
            packed = h.flatten(0, 1)
        else:
            x, lengths = pad_packed_sequence(PackedSequence(data, batch_sizes))
            h, h_n = self._layers(x, hx, lengths.tolist())
            packed = pack_padded_sequence(h, lengths).data
        output = PackedSequence(packed, batch_sizes, order, inverse)
        return output, h_n if inverse is None else h_n.index_select(1, inverse)

    def _layers(self, x: Tensor, hx: Tensor | None, lengths: list[int] | None) -> tuple[Tensor, Tensor]:
        """The layers from the bottom to the top: h(t) of the top one, and the last states of all."""
        how = How(self.nonlinearity, self.bidirectional, lengths)
        last = []
        weights = self.all_weights
        for first in range(0, len(weights), how.directions):
            of_layer = [weight for one in weights[first : first + how.directions] for weight in one]
            h0 = None if hx is None else hx[first : first + how.directions]
            x, h_last = RecurrentLayer.apply(how, x, h0, *of_layer)
            last.append(h_last)
        return x, last[0] if len(last) == 1 else torch.cat(last)

    # ---- Checks ----

    def _check(self, name: str, tensor: Any) -> None:
        """Raise unless a tensor, and the weights, are what the core computes with."""
        weight = self.weight_ih_l0
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name}: expected a tensor, got {type(tensor).__name__}")
        if tensor.device != weight.device or tensor.dtype != weight.dtype or weight.device.type != "cpu":
            _check_place("weight_ih_l0", weight.device)
            _check_place(name, tensor.device)
        _check_dtype("weight_ih_l0", weight.dtype)
        if tensor.dtype != weight.dtype:
            raise ValueError(f"{name}: expected {weight.dtype}, as the weights are, got {tensor.dtype}")

    def _check_hx(self, hx: Tensor, batch: int | None) -> None:
        self._check("hx", hx)
        states = self.num_layers * (2 if self.bidirectional else 1)
        expected = [states, self.hidden_size] if batch is None else [states, batch, self.hidden_size]
        if list(hx.shape) != expected:
            raise RuntimeError(f"hx: expected {expected}, got {tuple(hx.shape)}")


def _check_dropout(dropout: float) -> None:
    if dropout != 0:
        raise ValueError(f"dropout: expected 0, as there is no other here, got {dropout}")


def _check_place(name: str, device: torch.device) -> None:
    if device.type != "cpu":
        raise ValueError(f"{name}: expected the CPU, got {device}")


def _check_dtype(name: str, dtype: torch.dtype) -> None:
    if dtype not in _DTYPES:
        raise ValueError(f"{name}: expected torch.float32 or torch.float64, got {dtype}")
