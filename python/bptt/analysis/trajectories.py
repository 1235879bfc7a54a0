"""The sequences of a call in one padded batch, in float64: what the steps of each layer and direction saw, and gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt._arrays import INT64, Array
from bptt.analysis.dynamics import ACTIVATION, FLOAT64, alphas, in_float64, product
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
    state: Array  # the state that each step saw: `before`, or v of leaky units
    alpha: Array | None = None  # of leaky units
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
    """A pass of a network over sequences: the arguments are those of its `forward`; `weight` says which y are read."""

    def __init__(self, rnn: Any, x: Any, arguments: dict[str, Any], weight: Any = None) -> None:
        self.rnn = in_float64(rnn)
        self.is_jordan = isinstance(self.rnn, JordanRNN)
        rest = {**arguments, **fixed_seed(arguments)}
        tokens = self.rnn.input == "token"
        self.s = sequences(x, rest.pop("lengths", None), *((None, None) if tokens else (self.rnn.n_in, FLOAT64)))
        self.lengths = np.array(self.s.lengths)
        self.exists = np.arange(self.s.tau)[:, None] < self.lengths
        self.x = self.padded(self.s.data)
        flags = self.s.flags("reset", rest.pop("reset", None))
        self.reset = np.zeros_like(self.exists) if flags is None else self.padded(flags).astype(bool)
        alpha = None if self.is_jordan else alphas(self.rnn)
        name = "r0" if self.is_jordan else "h0" if alpha is None else "v0"
        widths = (self.rnn.n_out,) if self.is_jordan else tuple(len(layer.b) for layer in self.rnn.layers)
        self.states = States(name, widths, not self.is_jordan and self.rnn.bidirectional)
        given = self.states.read(self.s, rest.pop(name, None), FLOAT64)
        self.initial = self.rnn._first_state(self.batch) if given is None else given

        rest |= {name: self.states.nested(self.initial), "lengths": self.lengths, "reset": self.reset}
        y = rest.pop("y", None)
        if y is not None:
            vectors, weights = self.targets(y, weight)
            seen = np.where(weights != 0.0, vectors, 0.0)  # 0 where there is no target, or it is not read
            rest["y"] = seen if self.rnn.output != "softmax" else np.where(seen.any(axis=2), seen.argmax(axis=2), -1)
        if not self.is_jordan:
            self.run = self.rnn.forward(self.x, **rest, all_layers=True, v=alpha is not None)
            self.parts = self._stack(alpha)
        else:
            self.run = self.rnn.forward(self.x, **rest)
            forcing: dict[str, Any] = {key: rest[key] for key in ("teacher_forcing", "seed") if key in rest}
            self.parts = [[self._output_recurrent(None if y is None else seen, forcing)]]

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

    @property
    def last(self) -> dict[str, Any]:
        """The argument of `forward` with which the next window goes on."""
        name = self.states.name
        state = getattr(self.run, name.replace("0", "_last"))
        return {name: self.states.give_back(self.s, [array for _, array in self.states.arrays_of(state)])}

    def _stack(self, alpha: list[Array] | None) -> list[list[Part]]:
        below, tokens = self.x, self.rnn.input == "token"
        parts: list[list[Part]] = []
        initial = iter(self.initial)
        first = iter(self.rnn._first_state(1))
        f = ACTIVATION[self.rnn.activation]
        for k, (layer, h) in enumerate(zip(self.rnn.layers, self.run.layers, strict=True)):
            directions = [layer] if layer.reverse is None else [layer, layer.reverse]
            states = np.split(h if alpha is None else self.run.v_layers[k], len(directions), axis=2)
            of_directions = []
            for d, (letters, h_d) in enumerate(zip(directions, np.split(h, len(directions), axis=2), strict=True)):
                state, is_cut = self._before(states[d], next(initial), d == 1, next(first))
                before = state if alpha is None else f(state)  # 0 where the state is
                alpha_k = None if alpha is None else alpha[k]
                of_directions.append(Part(letters, below, tokens, before, h_d, is_cut, state, alpha_k, d == 1))
            parts.append(of_directions)
            below, tokens = h, False
        return parts

    def _before(self, h: Array, h0: Array, reverse: bool, first: Array | float = 0.0) -> tuple[Array, Array]:
        """What each step of a direction sees, and where a new sequence begins in its order, with `first`."""
        before, is_cut = np.zeros_like(h), np.zeros_like(self.exists)
        ends = self.lengths - 1, np.arange(self.batch)
        if reverse:  # a new sequence that starts at t + 1 ends another at t
            before[:-1] = h[1:]
            before[ends] = h0
            is_cut[:-1] = self.reset[1:]
        else:
            before[1:], before[0] = h[:-1], h0
            is_cut[:] = self.reset
        before[~self.exists] = 0.0
        before[is_cut & self.exists] = first
        if reverse:
            is_cut[ends] = True  # beyond a length there is no step
        return before, is_cut

    def _output_recurrent(self, seen: Array | None, forcing: dict[str, Any]) -> Part:
        fed = self.run.y_hat if self.rnn.feedback == "y_hat" else self.run.o
        is_forced = np.zeros_like(self.exists)
        if seen is not None:
            is_forced = self._forced(forcing)
            fed = fed.copy()
            fed[:-1] = np.where(is_forced[1:, :, None], seen[:-1], fed[:-1])
        before, is_cut = self._before(fed, self.initial[0], False)
        return Part(self.rnn, self.x, self.rnn.input == "token", before, self.run.h, is_cut | is_forced, before)

    def _forced(self, forcing: dict[str, Any]) -> Array:
        """Which steps see the target before them, as the core draws them.

        A network of one unit, whose own output is 0, shows it: a step that sees the target 1 is not at 0.
        """
        probe = JordanRNN(0, 1, 1, output="linear", dtype="float64", init=None)
        probe.W = [[1.0]]
        x, y = np.zeros((self.tau, self.batch, 0)), np.ones((self.tau, self.batch, 1))
        seen: Array = probe.forward(x, y=y, lengths=self.lengths, **forcing).h[..., 0] != 0.0
        return seen

    # ---- Targets, and forms ----

    def targets(self, y: Any, weight: Any) -> tuple[Array, Array]:
        """y(t) as vectors ``[..., n_out]``, and the weight of each of their numbers, 0 where there is no target."""
        rnn, s = self.rnn, self.s
        per_target = s.every_step if self.every_step else s.one_row
        classes = rnn.output == "softmax"
        kind: tuple[int | None, Any] = (None, None) if classes else (rnn.n_out, FLOAT64)
        given: Any = per_target("y", y, *kind)
        weights: Any = np.ones(())
        if weight is not None:
            width = rnn.n_out if not classes and s.has_row_for_each_target(weight, self.every_step) else None
            weights = per_target("weight", weight, width, FLOAT64)
        if self.every_step:
            given = self.padded(given)
            weights = weights if weight is None else self.padded(weights)
        vectors = one_hot(given.astype(INT64), rnn.n_out) if classes else np.asarray(given)
        if np.ndim(weights) == vectors.ndim - 1 or weight is None:
            weights = weights[..., None]
        is_target = given[..., None] != -1 if classes else ~np.isnan(vectors)
        if self.every_step:
            is_target = is_target & self.exists[..., None]
        return vectors, np.where(is_target, weights, 0.0)

    def padded(self, rows: Any) -> Array:
        """What the core reads, in one array ``[tau, batch, ...]``; 0 beyond a length."""
        if isinstance(rows, list):
            whole = np.zeros((self.tau, self.batch, *rows[0].shape[1:]), rows[0].dtype)
            for i, one in enumerate(rows):
                whole[: len(one), i] = one
            return whole
        padded: Array = np.array(rows)
        padded[~self.exists] = 0
        return padded

    def give_back(self, steps: Array) -> Any:
        """An array ``[tau, batch, ...]`` in the form that x has."""
        if self.s.form == "list":
            return [steps[:n, i] for i, n in enumerate(self.s.lengths)]
        return self.s.give_back(steps)

    def give_back_outputs(self, o: Array) -> Any:
        """The same of what there is for every output."""
        return self.give_back(o) if self.every_step else self.s.give_back_one(o)


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
