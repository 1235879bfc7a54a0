"""Networks as graphs of ONNX: RNN nodes with a readout, or a Scan where outputs are fed back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto

from bptt._arrays import Array
from bptt.networks.elman import ElmanRNN
from bptt.networks.jordan import JordanRNN
from bptt.onnx.graph import Graph, Shape

_ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu"}
_UNITS: dict[str, tuple[str, dict[str, Any]]] = {
    "softmax": ("Softmax", {"axis": -1}),
    "sigmoid": ("Sigmoid", {}),
    "linear": ("Identity", {}),
}


class Plan(NamedTuple):
    """How a network is written: see `export`."""

    outputs: list[str]
    sequence_lens: bool
    state: str
    dtype: np.dtype[np.floating]


class _Writer:
    """What both kinds of networks need: the inputs, and the states before the first step."""

    def __init__(self, rnn: ElmanRNN | JordanRNN, plan: Plan) -> None:
        self.plan, self.dtype = plan, plan.dtype
        g = self.graph = Graph()
        self.tokens = rnn.input == "token"
        if self.tokens:
            self.x = g.input("x", np.int64, ["tau", "batch"])
        else:
            self.x = g.input("x", self.dtype, ["tau", "batch", rnn.n_in])
        self.lengths = g.input("sequence_lens", np.int32, ["batch"]) if plan.sequence_lens else ""

    def outputs(self, h: Shape, o: Shape) -> None:
        """The outputs beside the last states."""
        for name in self.plan.outputs:
            self.graph.output(name, self.dtype, h if name == "h" else o)

    def parameter(self, name: str, values: Array, graph: Graph | None = None) -> str:
        """Parameters of the network, in the file's dtype, as numbers of this graph."""
        with np.errstate(over="ignore", invalid="ignore"):
            array = values.astype(self.dtype)
        if not np.isfinite(array).all():
            raise ValueError(f"rnn: expected parameters that are finite in {self.dtype}, got others in {name}")
        return (graph or self.graph).number(name, array, self.dtype)

    def initial(self, name: str, shape: Sequence[int | str]) -> str:
        """The state before the first step, an input if there is to be one, else no name.

        One that may be left out has a default of zeros for one sequence. What serves one sequence serves each of them.
        """
        g = self.graph
        if self.plan.state == "none":
            return ""
        if self.plan.state == "required":
            return g.input(name, self.dtype, shape)
        g.input(name, self.dtype, ["state_batch" if size == "batch" else size for size in shape])
        g.number(name, np.zeros([1 if size == "batch" else size for size in shape]), self.dtype)
        return self.for_each_sequence(name, len(shape))

    def for_each_sequence(self, state: str, axes: int) -> str:
        """A state ``[..., 1 or batch, n]``, of so many axes, as ``[..., batch, n]``."""
        g = self.graph
        one = g.number("one", [1], np.int64)
        if "batch" not in g.results:
            g.node("Gather", [g.node("Shape", [self.x], "x.shape"), one], "batch")
            g.node("Concat", [one, "batch", one][-axes:], "state.shape", axis=0)
        return g.node("Expand", [state, "state.shape"], f"{state}.expanded")

    def mask(self) -> str:
        """Whether each step is one of its sequence, ``[tau, batch, 1]``; no name if all are."""
        if not self.lengths:
            return ""
        g = self.graph
        zero, one = g.number("steps.first", 0, np.int32), g.number("steps.delta", 1, np.int32)
        tau = g.node("Gather", [g.node("Shape", [self.x], "x.shape.mask"), g.number("axis_0", 0, np.int64)], "tau")
        limit = g.node("Cast", [tau], "tau.int32", to=TensorProto.INT32)
        t = g.node("Range", [zero, limit, one], "steps")
        t = g.node("Unsqueeze", [t, g.number("axes_1_2", [1, 2], np.int64)], "steps.column")
        lengths = g.node("Unsqueeze", [self.lengths, g.number("axes_1", [1], np.int64)], "sequence_lens.column")
        return g.node("Less", [t, lengths], "mask")


class ElmanWriter(_Writer):
    """A node a layer (equations 10.8 and 10.9), then the readout (10.10 and 10.11)."""

    def __init__(self, rnn: ElmanRNN, plan: Plan) -> None:
        super().__init__(rnn, plan)
        self.rnn, self.directions = rnn, 2 if rnn.bidirectional else 1
        width, every_step = rnn.V.shape[1], rnn.readout == "all"
        self.outputs(["tau", "batch", width], ["tau", "batch", rnn.n_out] if every_step else ["batch", rnn.n_out])
        below = self.x
        for k in range(len(rnn.layers)):
            below, last = self._layer(k, below)
        if every_step:
            self._readout_of_every_step(below)
        else:
            self._readout_of_the_last(last)

    def _layer(self, k: int, below: str) -> tuple[str, str]:
        """h(t) of the layer k, from 0, and its last state ``[directions, batch, n]``."""
        rnn, g, directions = self.rnn, self.graph, self.directions
        layer, is_top = rnn.layers[k], k + 1 == len(rnn.layers)
        both = [layer] if layer.reverse is None else [layer, layer.reverse]
        number, n = "" if len(rnn.layers) == 1 else str(k + 1), len(layer.b)
        name = f"layer{number}"
        U = np.stack([one.U for one in both])
        if k == 0 and self.tokens:  # a row of the table holds U x(t) of each direction: W picks the direction's own
            table = self.parameter("embedding", np.hstack([one.U.T for one in both]))
            below = g.node("Gather", [table, below], "embedded")
            U = np.eye(directions * n).reshape(directions, n, directions * n)
        W, R = self.parameter(f"{name}.W", U), self.parameter(f"{name}.R", np.stack([one.W for one in both]))
        B = self.parameter(f"{name}.B", np.stack([np.append(one.b, np.zeros(n)) for one in both]))
        initial = self.initial(f"initial_h{number}", [directions, "batch", n])
        last = g.output(f"Y_h{number}", self.dtype, [directions, "batch", n])
        every_step = not is_top or rnn.readout == "all" or "h" in self.plan.outputs
        Y = f"{name}.Y" if every_step else ""
        g.node(
            "RNN",
            [below, W, R, B, self.lengths, initial],
            Y,
            last,
            name=name,
            hidden_size=n,
            direction="bidirectional" if rnn.bidirectional else "forward",
            activations=[_ACTIVATIONS[rnn.activation]] * directions,
        )
        return self._side_by_side(Y, 1, "h" if is_top else f"{name}.h") if every_step else "", last

    def _side_by_side(self, value: str, axis: int, name: str) -> str:
        """A value whose directions are in an axis of their own, which is 0 or 1, with them side by side in the last."""
        g = self.graph
        if self.directions == 1:
            return g.node("Squeeze", [value, g.number(f"axes_{axis}", [axis], np.int64)], name)
        turned = g.node("Transpose", [value], f"{name}.turned", perm=[1, 0, 2] if axis == 0 else [0, 2, 1, 3])
        shape = g.number(f"joined_{axis}", [0] * (axis + 1) + [-1], np.int64)
        return g.node("Reshape", [turned, shape], name)

    def _readout_of_every_step(self, h: str) -> None:
        g, mask = self.graph, self.mask()
        product = g.node("MatMul", [h, self.parameter("V.transposed", self.rnn.V.T)], "V.h")
        o = g.node("Add", [product, self.parameter("c", self.rnn.c)], "o.unmasked" if mask else "o")
        unit, how = _UNITS[self.rnn.output]
        if "y_hat" in self.plan.outputs:
            g.node(unit, [o], "y_hat.unmasked" if mask else "y_hat", **how)
        if mask:
            zero = g.number("zero", 0, self.dtype)
            for name in self.plan.outputs:
                if name != "h":  # which RNN nodes leave 0
                    g.node("Where", [mask, f"{name}.unmasked", zero], name)

    def _readout_of_the_last(self, last: str) -> None:
        g = self.graph
        h = self._side_by_side(last, 0, "h.last")
        o = g.node("Gemm", [h, self.parameter("V", self.rnn.V), self.parameter("c", self.rnn.c)], "o", transB=1)
        unit, how = _UNITS[self.rnn.output]
        if "y_hat" in self.plan.outputs:
            g.node(unit, [o], "y_hat", **how)


class JordanWriter(_Writer):
    """A Scan over b + U x(t), which carries r(t) and gives h(t), o(t) and y_hat(t) of each step."""

    def __init__(self, rnn: JordanRNN, plan: Plan) -> None:
        super().__init__(rnn, plan)
        g, n, n_out = self.graph, len(rnn.b), rnn.n_out
        self.outputs(["tau", "batch", n], ["tau", "batch", n_out])
        scanned = [self._below(rnn)]
        r0 = self.initial("r0", ["batch", n_out])
        if not r0:
            r0 = self.for_each_sequence(g.number("r0.zeros", np.zeros((1, n_out)), self.dtype), 2)
        if mask := self.mask():
            scanned.append(mask)
        step = self._step(rnn, bool(mask)).proto("step")
        last = g.output("r_last", self.dtype, ["batch", n_out])
        g.node("Scan", [r0, *scanned], last, *plan.outputs, name="recurrence", body=step, num_scan_inputs=len(scanned))

    def _below(self, rnn: JordanRNN) -> str:
        """b + U x(t), ``[tau, batch, n]``."""
        g, b = self.graph, self.parameter("b", rnn.b)
        if rnn.n_in == 0:  # old runtimes do not compute products of nothing
            steps = g.node(
                "Gather", [g.node("Shape", [self.x], "x.shape.steps"), g.number("axes_0_1", [0, 1], np.int64)], "sizes"
            )
            shape = g.node("Concat", [steps, g.number("one", [1], np.int64)], "b.shape", axis=0)
            return g.node("Expand", [b, shape], "b.U.x")
        U = self.parameter("U.transposed", rnn.U.T)
        Ux = g.node("Gather", [U, self.x], "U.x") if self.tokens else g.node("MatMul", [self.x, U], "U.x")
        return g.node("Add", [Ux, b], "b.U.x")

    def _step(self, rnn: JordanRNN, masked: bool) -> Graph:
        """The equations of one step. Its parameters are its own: not every runtime looks into the graph around it."""
        g, n, n_out = Graph(), len(rnn.b), rnn.n_out
        W, V = self.parameter("W.transposed", rnn.W.T, g), self.parameter("V.transposed", rnn.V.T, g)
        before = g.input("r.before", self.dtype, ["batch", n_out])
        Ux = g.input("b.U.x.t", self.dtype, ["batch", n])
        mask = g.input("mask.t", np.bool_, ["batch", 1]) if masked else ""
        a = g.node("Add", [g.node("MatMul", [before, W], "W.r.t"), Ux], "a.t")
        h = g.node(_ACTIVATIONS[rnn.activation], [a], "h.t")
        o = g.node("Add", [g.node("MatMul", [h, V], "V.h.t"), self.parameter("c", rnn.c, g)], "o.t")
        unit, how = _UNITS[rnn.output]
        values = {"h": h, "o": o, "y_hat": g.node(unit, [o], "y_hat.t", **how)}
        zero = g.number("zero", 0, self.dtype) if masked else ""

        def give(value: str, beyond: str, name: str, width: int) -> None:
            g.output(name, self.dtype, ["batch", width])
            if masked:
                g.node("Where", [mask, value, beyond], name)
            else:
                g.node("Identity", [value], name)

        give(values[rnn.feedback], before, "r.t", n_out)
        for name in self.plan.outputs:
            give(values[name], zero, f"{name}.of_step", n if name == "h" else n_out)
        return g
