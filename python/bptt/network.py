"""What every network has: sizes, options, parameters, initial values, calls of the core. Knows no equations."""

from __future__ import annotations

import copy
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from bptt import _core, files
from bptt._inputs import INT64, Array, Sequences, as_array, check_shape, choice, generator, sequences, size
from bptt._sampling import Drawing
from bptt.results import Letters

if TYPE_CHECKING:
    from bptt.history import History
    from bptt.optimizers import Optimizer

_ALIGNMENT = 64  # bytes, a cache line and the widest vector

Self = TypeVar("Self", bound="RecurrentNetwork")


def aligned(count: int, dtype: DTypeLike) -> Array:
    """`count` zeros that begin at a cache line."""
    itemsize = np.dtype(dtype).itemsize
    memory = np.zeros(count * itemsize + _ALIGNMENT, np.uint8)
    offset = -memory.ctypes.data % _ALIGNMENT
    return memory[offset : offset + count * itemsize].view(dtype)


def orthogonal(rows: int, columns: int, random: np.random.Generator) -> Array:
    """A random matrix whose columns are orthonormal, or its rows where those are fewer; no direction is preferred."""
    q, r = np.linalg.qr(random.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)  # the signs make it uniform over all such matrices
    return q if rows >= columns else q.T


class RecurrentNetwork:
    """What the networks share: a base, not a network itself. In here r(t) is what a step lets the next one see."""

    _KIND: ClassVar[str]  # in a file
    _OPTIONS: ClassVar[tuple[str, ...]]  # the keyword arguments that, beside sizes and dtype, tell what network it is
    _INITS: ClassVar[tuple[str, ...]]  # its ways to choose initial weights
    _RECURRENT: ClassVar[Literal["n_hidden", "n_out"]]  # how many numbers r(t) has
    _INITIAL: ClassVar[str]  # what users call r(0)
    metadata: dict[str, Any]

    def __init__(
        self,
        n_in: int,
        n_hidden: int,
        n_out: int,
        *,
        input: str,
        output: str,
        readout: str,
        recurrence: str,
        dtype: DTypeLike,
        seed: int | np.random.Generator | None,
        init: str | None,
    ) -> None:
        # What the core is built for is read-only from here on, since it would not notice a change.
        self._input = choice("input", input, ("real", "token"))
        self._output = choice("output", output, ("softmax", "sigmoid", "linear"))
        self._every_step = readout == "all"
        self._n_in = size("n_in", n_in, 0 if input == "real" else 1)
        self._n_hidden = size("n_hidden", n_hidden, 1)
        self._n_out = size("n_out", n_out, 1)
        try:
            dtype_name = "None" if dtype is None else np.dtype(dtype).name
        except TypeError:
            dtype_name = str(dtype)
        choice("dtype", dtype_name, ("float32", "float64"))
        self._core = _core.Network(self.n_in, self.n_hidden, self.n_out, input, output, readout, recurrence)
        self._shapes = self.shapes(self.n_in, self.n_hidden, self.n_out)
        self._letters = Letters(aligned(sum(map(math.prod, self._shapes.values())), dtype_name), self._shapes)
        self._dtype = self._letters.flat.dtype
        self._n_recurrent: int = getattr(self, self._RECURRENT)
        self.metadata = {}
        if init is not None:
            self._initialise(choice("init", init, self._INITS), generator(seed))

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self._n_in

    @property
    def n_hidden(self) -> int:
        """Number of hidden units."""
        return self._n_hidden

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self._n_out

    @property
    def input(self) -> str:
        """What x(t) holds: ``"real"`` or ``"token"``."""
        return self._input

    @property
    def output(self) -> str:
        """The output unit: ``"softmax"``, ``"sigmoid"`` or ``"linear"``."""
        return self._output

    @classmethod
    def shapes(cls, n_in: int, n_hidden: int, n_out: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter, in the order in which `parameters` holds them."""
        return {
            "U": (n_hidden, n_in),
            "W": (n_hidden, n_hidden if cls._RECURRENT == "n_hidden" else n_out),
            "b": (n_hidden,),
            "V": (n_out, n_hidden),
            "c": (n_out,),
        }

    def _initialise(self, init: str, random: np.random.Generator) -> None:
        if init == "uniform":
            bound = 1 / math.sqrt(self.n_hidden)
            self.parameters = random.uniform(-bound, bound, self.parameters.shape)
            return
        active_inputs = 1 if self.input == "token" else max(self.n_in, 1)
        for letter, fan_in in (("U", active_inputs), ("V", self.n_hidden)):
            bound = 1 / math.sqrt(fan_in)
            setattr(self, letter, random.uniform(-bound, bound, getattr(self, letter).shape))
        self.W = self._initial_W(init, random)

    def _initial_W(self, init: str, random: np.random.Generator) -> Array:
        raise NotImplementedError

    # ---- Parameters ----

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self._dtype

    @property
    def parameters(self) -> Array:
        """All parameters in one writable vector: U, W, b, V, c in this order, each in C order, without gaps."""
        return self._letters.flat

    @parameters.setter
    def parameters(self, value: ArrayLike) -> None:
        self._copy_in("parameters", self.parameters, value)

    def _copy_in(self, name: str, to: Array, value: ArrayLike) -> None:
        array = as_array(name, value, to.dtype)
        check_shape(name, array, to.shape)
        to[...] = array

    @property
    def U(self) -> Array:
        """Input to hidden, ``[n_hidden, n_in]``: a writable view of `parameters`."""
        return self._letters.U

    @U.setter
    def U(self, value: ArrayLike) -> None:
        self._copy_in("U", self.U, value)

    @property
    def W(self) -> Array:
        """The recurrence, ``[n_hidden, n_hidden]`` or ``[n_hidden, n_out]``: a writable view of `parameters`."""
        return self._letters.W

    @W.setter
    def W(self, value: ArrayLike) -> None:
        self._copy_in("W", self.W, value)

    @property
    def b(self) -> Array:
        """Bias of the hidden units, ``[n_hidden]``: a writable view of `parameters`."""
        return self._letters.b

    @b.setter
    def b(self, value: ArrayLike) -> None:
        self._copy_in("b", self.b, value)

    @property
    def V(self) -> Array:
        """Hidden to output, ``[n_out, n_hidden]``: a writable view of `parameters`."""
        return self._letters.V

    @V.setter
    def V(self, value: ArrayLike) -> None:
        self._copy_in("V", self.V, value)

    @property
    def c(self) -> Array:
        """Bias of the outputs, ``[n_out]``: a writable view of `parameters`."""
        return self._letters.c

    @c.setter
    def c(self, value: ArrayLike) -> None:
        self._copy_in("c", self.c, value)

    # ---- Arguments ----

    def _sequences(self, x: Any, lengths: Any) -> Sequences:
        if self._input == "real":
            return sequences(x, lengths, self._n_in, self._dtype)
        return sequences(x, lengths, None, INT64)

    def _targets(self, s: Sequences, y: Any, weight: Any) -> tuple[Any, Any]:
        per_target = s.every_step if self._every_step else s.one_row
        width, dtype = (None, INT64) if self._output == "softmax" else (self._n_out, self._dtype)
        return (
            per_target("y", y, width, dtype),
            None if weight is None else per_target("weight", weight, None, self._dtype),
        )

    def _initial(self, s: Sequences, r0: Any) -> Array | None:
        return None if r0 is None else s.one_row(self._INITIAL, r0, self._n_recurrent, self._dtype)

    # ---- Calls of the core. Networks without teacher forcing leave it at 0 ----

    def _forward(self, x: Any, r0: Any, lengths: Any, reset: Any) -> tuple[str, Any, Any, list[int] | None, Array]:
        """What a `Run` is made of, and r(t) after the last step."""
        s = self._sequences(x, lengths)
        initial, resets = self._initial(s, r0), s.flags("reset", reset)
        every_step = self._every_step
        h = s.empty(self._n_hidden, self._dtype)
        o = s.empty(self._n_out, self._dtype) if every_step else np.empty((s.batch, self._n_out), self._dtype)
        r_last = np.empty((s.batch, self._n_recurrent), self._dtype)
        _core.forward(self._core, self.parameters, s.lengths, s.data, initial, resets, h, o, r_last)
        return (
            self._output,
            s.give_back(h),
            s.give_back(o) if every_step else s.give_back_one(np.asarray(o)),
            s.lengths if s.padded and every_step and s.form == "batch" else None,
            s.give_back_one(r_last),
        )

    def _loss(
        self, x: Any, y: Any, r0: Any, lengths: Any, weight: Any, reset: Any, forcing: float = 0.0, seed: int = 0
    ) -> float:
        s = self._sequences(x, lengths)
        targets, weights = self._targets(s, y, weight)
        initial, resets = self._initial(s, r0), s.flags("reset", reset)
        return _core.loss(
            self._core, self.parameters, s.lengths, s.data, targets, initial, weights, resets, forcing, seed
        )

    def _loss_and_gradients(
        self,
        x: Any,
        y: Any,
        r0: Any,
        lengths: Any,
        weight: Any,
        wrt_x: bool,
        memory_limit: int | None,
        reset: Any,
        forcing: float = 0.0,
        seed: int = 0,
    ) -> tuple[float, tuple[Array, dict[str, tuple[int, ...]], Any, Array, Array]]:
        """The loss, and what `Gradients` are made of, with dL/dr(0), and r(t) after the last step."""
        s = self._sequences(x, lengths)
        targets, weights = self._targets(s, y, weight)
        initial, resets = self._initial(s, r0), s.flags("reset", reset)
        if wrt_x and self._input == "token":
            raise ValueError("wrt_x: expected False, as a token has no gradient")
        limit = -1  # none
        if memory_limit is not None:
            limit = min(size("memory_limit", memory_limit, 0, sys.maxsize**2), sys.maxsize)
        flat = np.empty(self.parameters.shape, self._dtype)
        rows = (s.batch, self._n_recurrent)
        dr0, r_last = np.empty(rows, self._dtype), np.empty(rows, self._dtype)
        dx = s.empty(self._n_in, self._dtype) if wrt_x else None
        loss = _core.loss_and_gradients(
            self._core,
            self.parameters,
            s.lengths,
            s.data,
            targets,
            initial,
            weights,
            resets,
            forcing,
            seed,
            flat,
            dr0,
            dx,
            r_last,
            limit,
        )
        given_back = None if dx is None else s.give_back(dx)
        return loss, (flat, self._shapes, given_back, s.give_back_one(dr0), s.give_back_one(r_last))

    def _generate(self, n_steps: int, x: Array | None, r: Array, o: Array | None, how: Drawing, single: bool) -> Array:
        """Draw from the state r ``[batch, ...]`` on, and from the outputs o ``[batch, n_out]``; None: those of r."""
        batch, from_state = len(r), o is None
        classes = self._output == "softmax"
        y = np.empty((n_steps, batch) if classes else (n_steps, batch, self._n_out), INT64 if classes else self._dtype)
        r = r.astype(self._dtype, order="C")  # copies: the core overwrites them
        o = np.zeros((batch, self._n_out), self._dtype) if o is None else o.astype(self._dtype, order="C")
        if not _core.generate(self._core, self.parameters, x, r, o, *how, from_state, y):
            raise ValueError("o: expected finite outputs to draw from, got NaN or infinity; are the parameters finite?")
        return y[:, 0] if single else y

    # ---- Training ----

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        optimizer: Optimizer,
        epochs: int,
        batch_size: int | None = None,
        truncate: int | None = None,
        updates_per_epoch: int | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        schedule: Callable[[int], float] | None = None,
        validation: Any = None,
        patience: int | None = None,
        shuffle: bool = True,
        seed: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        progress: bool = True,
        callbacks: Sequence[Callable[[History], Any]] = (),
        weight: Any = None,
        lengths: ArrayLike | None = None,
        reset: Any = None,
        teacher_forcing: float | Callable[[int], float] | None = None,
    ) -> History:
        """Train the parameters: an update follows the gradient of the mean loss per target of a batch or window.

        Parameters
        ----------
        x, y, weight, lengths, reset
            As for `loss`. The sequences of a batch, or of a list, are the examples; a batch is made of some of them,
            of similar length where they differ, and no arithmetic is spent on padding. With `truncate`, they are
            streams.
        optimizer : Optimizer
            `SGD`, `RMSProp`, `Adam`, `AdamW` or `Adagrad`.
        epochs : int
            How many times the data are seen, unless `updates_per_epoch` is given.
        batch_size : int, optional
            Sequences per update; 32 by default, and all of them with `truncate`.
        truncate : int, optional
            Truncated back-propagation through time: the streams are cut into windows of so many steps, the state is
            carried from window to window, the parameters are updated after each, and no gradient crosses.
        updates_per_epoch : int, optional
            An epoch ends (with validation, checkpoint and callbacks) after so many updates, wherever that is in the
            data, and the next one goes on from there: for data too long to wait for, or so short that every pass need
            not be validated.
        clip_norm, clip_value : float, optional
            The gradient is scaled down to this norm, or cut off at this magnitude.
        schedule : callable, optional
            Of the update (from 0): the factor of the optimizer's learning rate. See `bptt.schedules`.
        validation : tuple or dict, optional
            ``(x, y)``, ``(x, y, weight)`` or a dict with x, y and, if need be, weight, lengths and reset: data whose
            mean loss is taken after every epoch.
        patience : int, optional
            Stop after so many epochs without a better validation loss; the parameters are then, and at the end of all
            epochs, those with the best one (after Ctrl-C they are the last, and `History.best_parameters` has the
            best). A validation loss that is not finite is an error.
        shuffle : bool
            Whether each epoch has its own order of examples.
        seed : int, optional
            In ``[0, 2**64)``, of all that is random; by default a new one.
        checkpoint : path-like, optional
            A file from which training can go on: written at the beginning, after every epoch, about every half minute
            and at the end, each time as a whole. What stands there is replaced, unless `resume` goes on from it.
        resume : bool
            Whether to go on from the checkpoint, if there is one. A run that was killed at any moment and resumed ends
            with the same bits as one that was not, for any number of threads. Data and settings must be the same, save
            for `epochs`; a run that a callback has ended is over.
        progress : bool
            Whether to show progress on standard error.
        callbacks : sequence of callable
            Each is called with the history after every epoch, and ends training by returning True.
        teacher_forcing : float or callable, optional
            Of a `JordanRNN`: as for its `loss`, 1 by default, or a function of the update (from 0) that tells it, as
            scheduled sampling does. See `bptt.schedules`. Validation is fed with targets, unless this is 0.

        Returns
        -------
        History
            With losses (nats per target), gradient norms, learning rates and seconds. Ctrl-C ends training after the
            update under way, and the history tells so.

        Raises
        ------
        FloatingPointError
            If a loss, a gradient or an updated parameter is not finite; the parameters are those before that update.
        ValueError, TypeError
            As for `loss`; and if the checkpoint is damaged or belongs to another run.
        OSError
            If the checkpoint cannot be written; the one before is whole.
        """
        from bptt import training
        from bptt._batches import Data

        return training.fit(
            self,
            Data(self, x, y, weight=weight, lengths=lengths, reset=reset),
            training.Settings(
                optimizer,
                epochs,
                batch_size,
                truncate,
                updates_per_epoch,
                clip_norm,
                clip_value,
                schedule,
                patience,
                shuffle,
                callbacks,
                teacher_forcing,
            ),
            validation=validation,
            seed=seed,
            checkpoint=checkpoint,
            resume=resume,
            progress=progress,
        )

    # ---- Copies and files ----

    def _configuration(self) -> dict[str, Any]:
        sizes = {"n_in": self.n_in, "n_hidden": self.n_hidden, "n_out": self.n_out}
        return sizes | {name: getattr(self, name) for name in self._OPTIONS} | {"dtype": self.dtype.name}

    def __repr__(self) -> str:
        sizes = ("n_in", "n_hidden", "n_out")
        options = ", ".join(f"{name}={value!r}" for name, value in self._configuration().items() if name not in sizes)
        return f"{type(self).__name__}({self.n_in}, {self.n_hidden}, {self.n_out}, {options})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._configuration(), self.parameters, self.metadata)

    def __copy__(self: Self) -> Self:
        return _rebuild(type(self), self._configuration(), self.parameters, copy.copy(self.metadata))

    def __deepcopy__(self: Self, memo: dict[int, Any]) -> Self:
        return _rebuild(type(self), self._configuration(), self.parameters, copy.deepcopy(self.metadata, memo))

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
        files.save(self, path)


def _rebuild(
    kind: type[Self], configuration: dict[str, Any], parameters: NDArray[Any], metadata: dict[str, Any]
) -> Self:
    network = kind(**configuration, init=None)
    network.parameters = parameters
    network.metadata = metadata
    return network
