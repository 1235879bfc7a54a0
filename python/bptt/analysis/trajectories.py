"""The sequences of a call in one padded batch, in float64: what the steps of each layer and direction saw, and gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt._arrays import INT64, Array
from bptt.analysis.dynamics import FLOAT64, in_float64, product
from bptt.networks.jordan import JordanRNN
from bptt.networks.sequences import sequences
from bptt.networks.states import States


@dataclass
class Part:
    """A layer in one direction, ``[tau, batch, n]``; 0 beyond a length."""

    letters: Any  # U, W and b
    below: Array  # what it reads: x(t), or h(t) of the layer below
    is_token: bool
    before: Array  # what each step saw of the one before it: r(t-1), of the reverse direction r(t+1)
    h: Array
    is_cut: Array  # bool [tau, batch]: where no gradient goes to the step before
    reverse: bool = False

    def preactivation(self) -> Array:
        """a(t); not yet 0 beyond a length."""
        U, W, b = self.letters.U, self.letters.W, self.letters.b
        a: Array = b + self.before @ W.T + product(U, self.below, self.is_token)  # 10.8
        return a

    def order(self) -> range:
        """The steps in the order in which this direction takes them."""
        tau = len(self.h)
        return range(tau - 1, -1, -1) if self.reverse else range(tau)


class Trajectory:
    """A pass of a network over sequences: the arguments are those of its `forward`."""

    def __init__(self, rnn: Any, x: Any, arguments: dict[str, Any]) -> None:
        self.rnn = in_float64(rnn)
        self.is_jordan = isinstance(self.rnn, JordanRNN)
        arguments = {**arguments, **fixed_seed(arguments)}
        self.run = self.rnn.forward(x, **arguments, **({} if self.is_jordan else {"all_layers": True}))
        tokens = self.rnn.input == "token"
        self.s = sequences(x, arguments.get("lengths"), *((None, INT64) if tokens else (self.rnn.n_in, FLOAT64)))
        self.lengths = np.array(self.s.lengths)
        steps = np.arange(self.s.tau)[:, None]
        self.exists = steps < self.lengths
        self.x = self.padded_sequences(self.s.data)
        self.reset = np.zeros_like(self.exists)
        if arguments.get("reset") is not None:
            self.reset = self.padded_sequences(self.s.flags("reset", arguments["reset"])).astype(bool)
        self.initial = self._initial(arguments)
        if self.is_jordan:
            self.parts = [[self._output_recurrent(arguments)]]
        else:
            self.parts = self._stack()

    @property
    def tau(self) -> int:
        return self.s.tau

    @property
    def batch(self) -> int:
        return len(self.lengths)

    @property
    def every_step(self) -> bool:
        """Whether there is an output at every step, and not at the last alone."""
        return self.is_jordan or self.rnn.readout == "all"

    def _initial(self, arguments: dict[str, Any]) -> list[Array]:
        """h(0) or r(0) of each layer and direction, ``[batch, n]``."""
        name, rnn = ("r0" if self.is_jordan else "h0"), self.rnn
        widths = (rnn.n_out,) if self.is_jordan else tuple(len(layer.b) for layer in rnn.layers)
        states = States(name, widths, not self.is_jordan and rnn.bidirectional)
        given = states.read(self.s, arguments.get(name), FLOAT64)
        return states.zeros(self.batch, FLOAT64) if given is None else given

    def _stack(self) -> list[list[Part]]:
        below, tokens = self.x, self.rnn.input == "token"
        parts: list[list[Part]] = []
        initial = iter(self.initial)
        for layer, of_layer in zip(self.rnn.layers, self.run.layers, strict=True):
            h = self.padded(of_layer)
            directions = [layer] if layer.reverse is None else [layer, layer.reverse]
            both = np.split(h, len(directions), axis=2)
            of_directions = []
            for d, (letters, h_d) in enumerate(zip(directions, both, strict=True)):
                before, is_cut = self._before(h_d, next(initial), d == 1)
                of_directions.append(Part(letters, below, tokens, before, h_d, is_cut, d == 1))
            parts.append(of_directions)
            below, tokens = h, False
        return parts

    def _before(self, h: Array, h0: Array, reverse: bool) -> tuple[Array, Array]:
        """What each step of a direction sees, and where a new sequence begins in its order."""
        before, is_cut = np.zeros_like(h), np.zeros_like(self.exists)
        ends = self.lengths - 1, np.arange(self.batch)
        if reverse:  # a new sequence that starts at t + 1 ends another at t
            before[:-1] = h[1:]
            before[ends] = h0
            is_cut[:-1] = self.reset[1:] & self.exists[1:]
        else:
            before[1:], before[0] = h[:-1], h0
            is_cut[:] = self.reset
        before[is_cut | ~self.exists] = 0.0
        if reverse:
            is_cut[ends] = True  # beyond a length there is no step
        return before, is_cut

    def _output_recurrent(self, arguments: dict[str, Any]) -> Part:
        fed = self.padded(self.run.y_hat if self.rnn.feedback == "y_hat" else self.run.o)
        is_forced = np.zeros_like(self.exists)
        if arguments.get("y") is not None:
            is_forced = self._forced(arguments)
            targets, _ = self.targets(arguments["y"], None)
            fed[:-1] = np.where(is_forced[1:, :, None], targets[:-1], fed[:-1])
        before, is_cut = self._before(fed, self.initial[0], False)
        h = self.padded(self.run.h)
        return Part(self.rnn, self.x, self.rnn.input == "token", before, h, is_cut | is_forced)

    def _forced(self, arguments: dict[str, Any]) -> Array:
        """Which steps see the target before them, as the core draws them.

        A network of one unit, whose own output is 0, shows it: a step that sees the target 1 is not at 0.
        """
        probe = JordanRNN(0, 1, 1, output="linear", dtype="float64", init=None)
        probe.W = [[1.0]]
        form = {name: arguments[name] for name in ("lengths", "teacher_forcing", "seed") if name in arguments}
        if self.s.form == "list":
            x: Any = [np.zeros((n, 0)) for n in self.s.lengths]
            y: Any = [np.ones((n, 1)) for n in self.s.lengths]
        else:
            shape = (self.tau,) if self.s.form == "single" else (self.tau, self.batch)
            x, y = np.zeros((*shape, 0)), np.ones((*shape, 1))
        seen: Array = self.padded(probe.forward(x, y=y, **form).h)[..., 0] != 0.0
        return seen

    # ---- Targets, and forms ----

    def targets(self, y: Any, weight: Any) -> tuple[Array, Array]:
        """y(t) as vectors ``[..., n_out]``, and the weight of L(t), 0 where there is no target."""
        rnn, every_step = self.rnn, self.every_step
        per_target = self.s.every_step if every_step else self.s.one_row
        classes = rnn.output == "softmax"
        kind: tuple[int | None, Any] = (None, INT64) if classes else (rnn.n_out, FLOAT64)
        given = per_target("y", y, *kind)
        weights = None if weight is None else per_target("weight", weight, None, FLOAT64)
        if every_step:
            given = self.padded_sequences(given)
            weights = self.exists.astype(FLOAT64) if weights is None else self.padded_sequences(weights)
            weights = np.where(self.exists, weights, 0.0)
        elif weights is None:
            weights = np.ones(self.batch)
        if not classes:
            return np.asarray(given), np.asarray(weights)
        weights = np.where(np.asarray(given) == -1, 0.0, weights)
        return one_hot(np.where(weights == 0.0, -1, given), rnn.n_out), weights

    def padded_sequences(self, rows: Any) -> Array:
        """What the core reads, in one array; 0 beyond a length."""
        if isinstance(rows, list):
            whole = np.zeros((self.tau, self.batch, *rows[0].shape[1:]), rows[0].dtype)
            for i, one in enumerate(rows):
                whole[: len(one), i] = one
            return whole
        padded: Array = np.array(rows)
        padded[~self.exists] = 0
        return padded

    def padded(self, steps: Any) -> Array:
        """A result with all steps, ``[tau, batch, ...]``."""
        return self.padded_sequences(steps[:, None] if self.s.form == "single" else steps)

    def outputs(self, o: Any) -> Array:
        """o(t) or y_hat(t), ``[tau, batch, n_out]`` or ``[batch, n_out]``."""
        return self.padded(o) if self.every_step else np.atleast_2d(o)

    def give_back(self, steps: Array) -> Any:
        """An array ``[tau, batch, ...]`` in the form that x has."""
        if self.s.form == "list":
            return [steps[:n, i] for i, n in enumerate(self.s.lengths)]
        return self.s.give_back(steps)


def fixed_seed(arguments: dict[str, Any]) -> dict[str, int]:
    """A seed that draws the same twice, in place of one that does not, where steps are forced by chance."""
    seed = arguments.get("seed")
    if arguments.get("teacher_forcing") in (None, 0, 1) or not (seed is None or isinstance(seed, np.random.Generator)):
        return {}
    return {"seed": int(np.random.default_rng(seed).integers(2**64, dtype=np.uint64))}


def one_hot(classes: Array, n: int) -> Array:
    """``[..., n]``; 0 for -1."""
    vectors: Array = (classes[..., None] == np.arange(n)).astype(FLOAT64)
    return vectors
