"""What every network has: sizes, options, parameters, initial values, calls of the core."""

from __future__ import annotations

import copy
import math
import os
import sys
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from bptt import _core
from bptt._arrays import INT64, Array, aligned
from bptt._checks import choice, generator, size
from bptt.networks.drawing import Drawing
from bptt.networks.parameters import Layout, Letters, copy_in
from bptt.networks.sequences import Sequences, sequences

Self = TypeVar("Self", bound="RecurrentNetwork")


def orthogonal(rows: int, columns: int, random: np.random.Generator) -> Array:
    """A random matrix whose columns are orthonormal, or its rows where those are fewer; no direction is preferred."""
    q, r = np.linalg.qr(random.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)  # the signs make it uniform over all such matrices
    return q if rows >= columns else q.T


@dataclass(frozen=True)
class Options:
    """Sizes and options that make a network what it is, checked. It does not change: the core would not notice."""

    n_in: int
    n_hidden: int
    n_out: int
    input: str
    output: str
    readout: str
    recurrence: str
    dtype: np.dtype[Any]

    @classmethod
    def of(
        cls,
        n_in: int,
        n_hidden: int,
        n_out: int,
        *,
        input: str,
        output: str,
        readout: str,
        recurrence: str,
        dtype: DTypeLike,
    ) -> Options:
        """Check what a user gives."""
        choice("input", input, ("real", "token"))
        choice("output", output, ("softmax", "sigmoid", "linear"))
        choice("readout", readout, ("all", "last"))
        n_in = size("n_in", n_in, 0 if input == "real" else 1)
        n_hidden = size("n_hidden", n_hidden, 1)
        n_out = size("n_out", n_out, 1)
        try:
            dtype_name = "None" if dtype is None else np.dtype(dtype).name
        except TypeError:
            dtype_name = str(dtype)
        choice("dtype", dtype_name, ("float32", "float64"))
        return cls(n_in, n_hidden, n_out, input, output, readout, recurrence, np.dtype(dtype_name))

    def core(self) -> _core.Network:
        """The network as the core has it."""
        return _core.Network(
            n_in=self.n_in,
            n_hidden=self.n_hidden,
            n_out=self.n_out,
            input=self.input,
            output=self.output,
            readout=self.readout,
            recurrence=self.recurrence,
        )

    def layout(self) -> Layout:
        """Where each parameter stands in the flat vector."""
        n, n_recurrent = self.n_hidden, self.n_hidden if self.recurrence == "h" else self.n_out
        return Layout(
            [
                ("U", "U", 0, False, (n, self.n_in)),
                ("W", "W", 0, False, (n, n_recurrent)),
                ("b", "b", 0, False, (n,)),
                ("V", "V", -1, False, (self.n_out, n)),
                ("c", "c", -1, False, (self.n_out,)),
            ]
        )


class Forced(NamedTuple):
    """Which steps of a network see targets."""

    probability: float
    seed: int  # of the draws


NEVER = Forced(0.0, 0)


class RecurrentNetwork(Letters):
    """What the networks share: a base, not a network itself. In here r(t) is what a step lets the next one see."""

    KIND: ClassVar[str]  # in a file
    KEYS: ClassVar[tuple[str, ...]]  # of its configuration
    _INITIAL: ClassVar[str]  # what users call r(0)
    _INITS: ClassVar[tuple[str, ...]]  # its ways to choose initial weights
    _FORCED: ClassVar[Forced] = NEVER  # by default
    metadata: dict[str, Any]

    def __init__(self, options: Options, seed: int | np.random.Generator | None, init: str | None) -> None:
        self._options = options
        self._core = options.core()
        layout = options.layout()
        super().__init__(aligned(layout.size, options.dtype), layout)
        self._n_recurrent = options.n_hidden if options.recurrence == "h" else options.n_out
        # What every call reads.
        self._dtype, self._n_in = options.dtype, options.n_in
        self._tokens, self._every_step = options.input == "token", options.readout == "all"
        self._classes = options.output == "softmax"
        self.metadata = {}
        if init is not None:
            self._initialise(choice("init", init, self._INITS), generator(seed))

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self._options.n_in

    @property
    def n_hidden(self) -> int:
        """Number of hidden units."""
        return self._options.n_hidden

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self._options.n_out

    @property
    def input(self) -> str:
        """What x(t) holds: ``"real"`` or ``"token"``."""
        return self._options.input

    @property
    def output(self) -> str:
        """The output unit: ``"softmax"``, ``"sigmoid"`` or ``"linear"``."""
        return self._options.output

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self._options.dtype

    @property
    def parameters(self) -> Array:
        """All parameters in one writable vector: U, W, b, V, c in this order, each in C order, without gaps."""
        return self._flat

    @parameters.setter
    def parameters(self, value: ArrayLike) -> None:
        copy_in("parameters", self._flat, value)

    # ---- Initial values ----

    def _initialise(self, init: str, random: np.random.Generator) -> None:
        if init == "uniform":
            bound = 1 / math.sqrt(self.n_hidden)
            self.parameters = random.uniform(-bound, bound, self.parameters.shape)
            return
        active_inputs = 1 if self._tokens else max(self.n_in, 1)
        self.U = _uniform(self.U.shape, active_inputs, random)
        self.V = _uniform(self.V.shape, self.n_hidden, random)
        self.W = self._initial_W(init, random)

    def _initial_W(self, init: str, random: np.random.Generator) -> Array:
        raise NotImplementedError

    # ---- Arguments ----

    def _sequences(self, x: Any, lengths: Any) -> Sequences:
        if self._tokens:
            return sequences(x, lengths, None, INT64)
        return sequences(x, lengths, self._n_in, self._dtype)

    def _targets(self, s: Sequences, y: Any, weight: Any) -> tuple[Any, Any]:
        per_target = s.every_step if self._every_step else s.one_row
        width, dtype = (None, INT64) if self._classes else (self.n_out, self._dtype)
        return (
            per_target("y", y, width, dtype),
            None if weight is None else per_target("weight", weight, None, self._dtype),
        )

    def _initial(self, s: Sequences, r0: Any) -> Array | None:
        return None if r0 is None else s.one_row(self._INITIAL, r0, self._n_recurrent, self._dtype)

    # ---- Calls of the core ----

    def _forward(self, x: Any, r0: Any, lengths: Any, reset: Any) -> tuple[str, Any, Any, list[int] | None, Array]:
        """What a `Run` is made of."""
        s = self._sequences(x, lengths)
        every_step, n_out = self._every_step, self.n_out
        h = s.empty(self.n_hidden, self._dtype)
        o = s.empty(n_out, self._dtype) if every_step else np.empty((s.batch, n_out), self._dtype)
        r_last = np.empty((s.batch, self._n_recurrent), self._dtype)
        _core.forward(
            network=self._core,
            parameters=self._flat,
            lengths=s.lengths,
            x=s.data,
            r0=self._initial(s, r0),
            reset=s.flags("reset", reset),
            h=h,
            o=o,
            r_last=r_last,
        )
        return (
            self.output,
            s.give_back(h),
            s.give_back(o) if every_step else s.give_back_one(np.asarray(o)),
            s.lengths if s.padded and every_step and s.form == "batch" else None,
            s.give_back_one(r_last),
        )

    def _loss(self, x: Any, y: Any, r0: Any, lengths: Any, weight: Any, reset: Any, forced: Forced = NEVER) -> float:
        s = self._sequences(x, lengths)
        targets, weights = self._targets(s, y, weight)
        return _core.loss(
            network=self._core,
            parameters=self._flat,
            lengths=s.lengths,
            x=s.data,
            y=targets,
            r0=self._initial(s, r0),
            weight=weights,
            reset=s.flags("reset", reset),
            teacher_forcing=forced[0],
            seed=forced[1],
        )

    def _loss_and_gradients(
        self,
        x: Any,
        y: Any,
        r0: Any,
        lengths: Any,
        weight: Any,
        reset: Any,
        wrt_x: bool,
        memory_limit: int | None,
        forced: Forced = NEVER,
    ) -> tuple[float, tuple[Array, Layout, Any, Array, Array]]:
        """The loss, and what `Gradients` are made of."""
        s = self._sequences(x, lengths)
        targets, weights = self._targets(s, y, weight)
        if wrt_x and self._tokens:
            raise ValueError("wrt_x: expected False, as a token has no gradient")
        limit = -1  # none
        if memory_limit is not None:
            limit = min(size("memory_limit", memory_limit, 0, sys.maxsize**2), sys.maxsize)
        flat = np.empty(self._flat.shape, self._dtype)
        rows = (s.batch, self._n_recurrent)
        dr0, r_last = np.empty(rows, self._dtype), np.empty(rows, self._dtype)
        dx = s.empty(self._n_in, self._dtype) if wrt_x else None
        loss = _core.loss_and_gradients(
            network=self._core,
            parameters=self._flat,
            lengths=s.lengths,
            x=s.data,
            y=targets,
            r0=self._initial(s, r0),
            weight=weights,
            reset=s.flags("reset", reset),
            teacher_forcing=forced[0],
            seed=forced[1],
            flat=flat,
            dr0=dr0,
            dx=dx,
            r_last=r_last,
            memory_limit=limit,
        )
        given_back = None if dx is None else s.give_back(dx)
        return loss, (flat, self._layout, given_back, s.give_back_one(dr0), s.give_back_one(r_last))

    def _generate(self, n_steps: int, x: Array | None, r: Array, o: Array | None, how: Drawing, single: bool) -> Array:
        """Draw from the state r ``[batch, ...]`` on, and from the outputs o ``[batch, n_out]``; None: those of r."""
        batch, from_state, n_out = len(r), o is None, self.n_out
        y = np.empty((n_steps, batch), INT64) if self._classes else np.empty((n_steps, batch, n_out), self._dtype)
        drawn = _core.generate(
            network=self._core,
            parameters=self._flat,
            x=x,
            r=r.astype(self._dtype, order="C"),  # a copy: the core overwrites it
            o=np.zeros((batch, n_out), self._dtype) if o is None else o.astype(self._dtype, order="C"),
            temperature=how.temperature,
            top_k=how.top_k,
            seed=how.seed,
            from_state=from_state,
            y=y,
        )
        if not drawn:
            raise ValueError("o: expected finite outputs to draw from, got NaN or infinity; are the parameters finite?")
        return y[:, 0] if single else y

    @property
    def feeds_outputs_back(self) -> bool:
        """Whether its steps see outputs, and so targets under teacher forcing."""
        return self._options.recurrence != "h"

    def _forced(self, teacher_forcing: float, seed: int | np.random.Generator | None) -> Forced:
        """Check what a user of teacher forcing gives."""
        raise NotImplementedError

    # ---- Copies and files ----

    def configuration(self) -> dict[str, Any]:
        """Return what makes a network like this one, as JSON can hold it.

        Returns
        -------
        dict
            Sizes and options: ``type(rnn)(**rnn.configuration())`` is a new network of the same kind.
        """
        raise NotImplementedError

    def _sizes(self) -> dict[str, Any]:
        return {"n_in": self.n_in, "n_hidden": self.n_hidden, "n_out": self.n_out}

    def __repr__(self) -> str:
        sizes = self._sizes()
        options = (f"{name}={value!r}" for name, value in self.configuration().items() if name not in sizes)
        return f"{type(self).__name__}({', '.join([*map(repr, sizes.values()), *options])})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.configuration(), self._flat, self.metadata)

    def __copy__(self: Self) -> Self:
        return _rebuild(type(self), self.configuration(), self._flat, copy.copy(self.metadata))

    def __deepcopy__(self: Self, memo: dict[int, Any]) -> Self:
        return _rebuild(type(self), self.configuration(), self._flat, copy.deepcopy(self.metadata, memo))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a safetensors file, which `bptt.load` and any safetensors reader can read.

        The file is whole at every moment: it is written beside `path` and then renamed. Equal models give equal bytes.

        Parameters
        ----------
        path : path-like
            By convention ``*.safetensors``. What stands there is replaced.

        Raises
        ------
        OSError
            What the system says (no such folder, no permission, no space left).
        TypeError, ValueError
            If `metadata` is nothing that JSON can hold.
        """
        from bptt.networks import model_file

        model_file.write(path, self.KIND, self.configuration(), self.metadata, self._by_name())


def _uniform(shape: tuple[int, ...], fan_in: int, random: np.random.Generator) -> Array:
    bound = 1 / math.sqrt(fan_in)
    return random.uniform(-bound, bound, shape)


def _rebuild(kind: type[Self], configuration: dict[str, Any], parameters: Array, metadata: dict[str, Any]) -> Self:
    network = kind(**configuration, init=None)
    network.parameters = parameters
    network.metadata = metadata
    return network
