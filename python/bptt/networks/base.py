"""What every network has: its options, its parameters, and the calls of the core."""

from __future__ import annotations

import copy
import functools
import math
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from bptt import _core
from bptt._arrays import INT64, Array, aligned, new_array, shape_text
from bptt._checks import a_path, choice, generator, number, size, truth
from bptt.networks import initial_weights, model_file
from bptt.networks.beams import NOT_FINITE, Beams, Step, search
from bptt.networks.chance import CALM, Chance
from bptt.networks.drawing import Drawing, Start, one_hot
from bptt.networks.leak import told_leak
from bptt.networks.options import Options
from bptt.networks.parameters import STATES, Layout, Letters, copy_in
from bptt.networks.results import Parts, WayBack
from bptt.networks.sequences import Sequences, sequences
from bptt.networks.states import States
from bptt.training.batches import Data

if TYPE_CHECKING:
    from bptt.constraints.held import Constraints, Held

Self = TypeVar("Self", bound="RecurrentNetwork")
_FLOAT64 = np.dtype(np.float64)


class RecurrentNetwork(Letters):
    """What the networks share: a base, not a network itself. In here r(t) is what a step lets the next one see."""

    KIND: ClassVar[str]  # in a file
    KEYS: ClassVar[tuple[str, ...]]  # of its configuration
    LATER_KEYS: ClassVar[dict[str, Any]]  # those that format 1 of files does not know, with what its networks have
    LEFT_OUT: ClassVar[dict[str, Any]] = {}  # those of them that no file tells of a network that has this
    _INITIAL: ClassVar[str]  # what users call r(0)
    _INITS: ClassVar[tuple[str, ...]]  # its ways to choose initial weights
    _CHANCE: ClassVar[Chance] = CALM  # by default
    _constraints: Held | None = None  # None: no constraints
    metadata: dict[str, Any]

    def __init__(self, configuration: dict[str, Any], seed: int | np.random.Generator | None, init: str | None) -> None:
        options = self.options_of(**configuration)
        self._options = options
        self._core = options.core()
        layout = Layout(self._core.layout)
        super().__init__(aligned(layout.size, options.dtype), layout)
        widths = options.n_hidden if options.recurrence == "h" else (options.n_out,)
        self._states = States("v0" if options.leak else self._INITIAL, widths, options.bidirectional)
        # What every call reads.
        self._dtype, self._n_in, self._n_out = options.dtype, options.n_in, options.n_out
        self._tokens, self._every_step = options.input == "token", options.readout == "all"
        self._classes = options.output == "softmax"
        self._h_widths = [n * options.directions for n in options.n_hidden]
        self.metadata = {}
        if init is not None:
            choice("init", init, self._INITS)
            initial_weights.draw(self, layout, options, init, generator(seed))

    @classmethod
    def options_of(cls, **configuration: Any) -> Options:
        """Check the `configuration` of a network."""
        raise NotImplementedError

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self._options.n_in

    @property
    def n_hidden(self) -> int | tuple[int, ...]:
        """Number of hidden units; of several layers a tuple, from the bottom to the top."""
        n_hidden = self._options.n_hidden
        return n_hidden[0] if len(n_hidden) == 1 else n_hidden

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
    def activation(self) -> str:
        """What makes h(t) of a(t): ``"tanh"`` or ``"relu"``."""
        return self._options.activation

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self._options.dtype

    @property
    def parameters(self) -> Array:
        """All parameters in one writable vector: U, W, b (and h0, or v0, if it is learned) of each layer, then V, c.

        Each is in C order, without gaps.
        """
        return self._flat

    @parameters.setter
    def parameters(self, value: ArrayLike) -> None:
        copy_in("parameters", self._flat, value)

    @property
    def constraints(self) -> Constraints:
        """What its parameters are held to by `fit`, ``optimizer.step`` and files: see `bptt.constraints`.

        Assigning a list brings the parameters into it; ``[]`` lifts all constraints. What is assigned to parameters
        afterwards has to respect them: `fit` raises ValueError where it does not, and a step brings it in.
        """
        from bptt.constraints.held import Constraints

        return Constraints(self)

    @constraints.setter
    def constraints(self, value: Any) -> None:
        from bptt.constraints.held import Held, checked_list

        given = checked_list(value)
        held = Held(given, self) if given else None
        if held is not None:
            self._flat[:] = held.projected(self._flat)
        self._constraints = held

    def _hold(self, constraints: tuple[Any, ...]) -> None:
        """Have constraints that the parameters already keep."""
        from bptt.constraints.held import Held

        self._constraints = Held(constraints, self) if constraints else None

    @property
    def h0(self) -> Array:
        """With ``learn_h0=True``: h(0), ``[n_hidden]``, of one layer in one direction; else see `layers`."""
        return self._only_layer("h0").h0

    @h0.setter
    def h0(self, value: ArrayLike) -> None:
        copy_in("h0", self.h0, value)

    @property
    def v0(self) -> Array:
        """Of leaky units with ``learn_h0=True``: v(0), as `h0`."""
        return self._only_layer("v0").v0

    @v0.setter
    def v0(self, value: ArrayLike) -> None:
        copy_in("v0", self.v0, value)

    # ---- Arguments ----

    def _sequences(self, x: Any, lengths: Any) -> Sequences:
        if self._tokens:
            return sequences(x, lengths, None, None)
        return sequences(x, lengths, self._n_in, self._dtype)

    def _targets(self, s: Sequences, y: Any, weight: Any) -> tuple[Any, Any]:
        per_target = s.every_step if self._every_step else s.one_row
        width, dtype = (None, None) if self._classes else (self._n_out, self._dtype)
        try:
            targets = per_target("y", y, width, dtype)
        except (TypeError, ValueError) as error:
            if hint := self._what_to_do(s, y):
                raise type(error)(f"{error}; {hint}") from None
            raise
        if weight is None:
            return targets, None
        width = self._n_out if not self._classes and s.has_row_for_each_target(weight, self._every_step) else None
        weights = per_target("weight", weight, width, self._dtype)
        s.check_weights(weights, self._every_step)
        return targets, weights

    def _kappa(self, activity: float, s: Sequences, targets: Any, weights: Any) -> float:
        """What the loss has of h(t)^2 of every unit and step, so that it has `activity` times the mean a target."""
        if activity.__class__ is float and activity == 0.0:
            return 0.0
        activity = number("activity", activity, 0, math.inf)
        how = {"padded": s.padded and s.form == "batch", "every_step": self._every_step, "classes": self._classes}
        of = Data(s.data, targets, weights, None, s.lengths, **how)
        return activity * of.targets / (of.steps * sum(self._h_widths))

    def _what_to_do(self, s: Sequences, y: Any) -> str:
        """What to do about targets that do not fit, where their shape tells."""
        shape, tail = tuple(getattr(y, "shape", ())), () if self._classes else (self._n_out,)
        sequence = (s.batch,) if s.form != "single" else ()
        expected = (s.tau, *sequence) if self._every_step else sequence
        if self._classes and shape == (*expected, self._n_out):
            form = shape_text((*["tau"][: self._every_step], *["batch"][: len(sequence)]))
            return f"of one-hot rows take the class numbers {form}: y.argmax(-1)"
        if s.form == "batch" and s.tau != s.batch:
            swapped = (s.batch, s.tau, *tail) if self._every_step else (s.tau, *tail)
            if shape == swapped:
                return "time is the first axis: x.swapaxes(0, 1) where the batch is"
            if self._every_step and not self.feeds_outputs_back and shape in ((s.batch, *tail), (s.tau, *tail)):
                first = "" if shape[0] == s.batch else ", and time is the first axis: x.swapaxes(0, 1)"
                return f"one target for each sequence is readout='last'{first}"
        return ""

    @property
    def feeds_outputs_back(self) -> bool:
        """Whether its steps see outputs, and so targets under teacher forcing."""
        return self._options.recurrence != "h"

    def _forced(self, teacher_forcing: float, seed: int | np.random.Generator | None) -> Chance:
        """Check what a user of teacher forcing gives."""
        raise NotImplementedError

    def _first_state(self, batch: int) -> list[Array]:
        """What so many sequences begin with where no state is given, as the core has it: 0, or what is learned."""
        learned = [array for entry, array in self._entries() if entry.letter in STATES]
        if not learned:
            return self._states.zeros(batch, self._dtype)
        return [np.tile(array, (batch, 1)) for array in learned]

    # ---- Calls of the core ----

    def _forward(
        self,
        x: Any,
        r0: Any,
        lengths: Any,
        reset: Any,
        all_layers: bool = False,
        gradient: bool = False,
        y: Any = None,
        chance: Chance = CALM,
        v: bool = False,
    ) -> tuple[str, list[Any], bool, Any, list[int] | None, Any, str, WayBack | None, list[Any] | None]:
        """What a `Run` is made of."""
        truth("all_layers", all_layers)
        keeps_all = truth("gradient", gradient) or all_layers
        s = self._sequences(x, lengths)
        targets = None if y is None else self._targets(s, y, None)[0]
        every_step, dtype, states, widths = self._every_step, self._dtype, self._states, self._h_widths
        below: list[Any] = [s.empty(n, dtype) if keeps_all else None for n in widths[:-1]] if len(widths) > 1 else []
        top = s.empty(widths[-1], dtype)
        o = s.empty(self._n_out, dtype) if every_step else np.empty((s.batch, self._n_out), dtype)
        r_last = states.empty(len(s.lengths), dtype)
        r = None if r0 is None else states.read(s, r0, dtype)
        flags = None if reset is None else s.flags("reset", reset)
        h = [*below, top]
        all_v = [s.empty(n, dtype) if all_layers else None for n in widths[:-1]] if v else []
        if v:
            all_v.append(s.empty(widths[-1], dtype))
        _core.forward(
            network=self._core,
            parameters=self._flat,
            lengths=s.lengths,
            x=s.data,
            y=targets,
            r0=r,
            reset=flags,
            chance=chance,
            h=h,
            v=all_v or None,
            o=o,
            r_last=r_last,
        )
        way_back = None
        if gradient:
            parameters = self._flat.copy()  # an optimizer may step before the way back
            given = {"lengths": s.lengths, "x": s.data, "y": targets, "r0": r, "reset": flags, "chance": chance, "h": h}
            way_back = functools.partial(self._backward, s, {"parameters": parameters, **given})
        return (
            self._options.output,
            [*(s.give_back(h) for h in below), s.give_back(top)] if all_layers else [s.give_back(top)],
            all_layers,
            s.give_back(o) if every_step else s.give_back_one(np.asarray(o)),
            s.lengths if s.padded and every_step and s.form == "batch" else None,
            states.give_back(s, r_last),
            states.name,
            way_back,
            [s.give_back(one) for one in all_v if one is not None] or None,
        )

    def _backward(self, s: Sequences, given: dict[str, Any], d_o: Any, d_h: Any, wrt_x: bool) -> Parts:
        """What `Gradients` are made of, for a loss of the user's own."""
        if d_o is None and d_h is None:
            raise ValueError("d_o: expected dL/do, or dL/dh as d_h, got neither")
        if truth("wrt_x", wrt_x) and self._tokens:
            raise ValueError("wrt_x: expected False, as a token has no gradient")
        dtype, states = self._dtype, self._states
        per_output = s.every_step if self._every_step else s.one_row
        flat, dr0 = np.empty(self._layout.size, dtype), states.empty(len(s.lengths), dtype)
        dx = s.empty(self._n_in, dtype) if wrt_x else None
        _core.backward(
            network=self._core,
            **given,
            d_o=None if d_o is None else per_output("d_o", d_o, self._n_out, dtype),
            d_h=None if d_h is None else s.every_step("d_h", d_h, self._h_widths[-1], dtype),
            flat=flat,
            dr0=dr0,
            dx=dx,
        )
        return flat, self._layout, None if dx is None else s.give_back(dx), states.give_back(s, dr0), None, states.name

    def _loss(
        self,
        x: Any,
        y: Any,
        r0: Any,
        lengths: Any,
        weight: Any,
        reset: Any,
        chance: Chance = CALM,
        activity: float = 0.0,
    ) -> float:
        s = self._sequences(x, lengths)
        targets, weights = self._targets(s, y, weight)
        return _core.loss(
            network=self._core,
            parameters=self._flat,
            lengths=s.lengths,
            x=s.data,
            y=targets,
            r0=self._states.read(s, r0, self._dtype),
            weight=weights,
            reset=s.flags("reset", reset),
            chance=chance,
            activity=self._kappa(activity, s, targets, weights),
            each=None,
        )

    def _loss_and_gradients(
        self,
        x: Any,
        y: Any,
        r0: Any,
        lengths: Any,
        weight: Any,
        reset: Any,
        chance: Chance = CALM,
        activity: float = 0.0,
        wrt_x: bool = False,
        memory_limit: int | None = None,
    ) -> tuple[float, Parts]:
        """The loss, and what `Gradients` are made of."""
        s = self._sequences(x, lengths)
        targets, weights = self._targets(s, y, weight)
        if truth("wrt_x", wrt_x) and self._tokens:
            raise ValueError("wrt_x: expected False, as a token has no gradient")
        limit = -1  # none
        if memory_limit is not None:
            limit = min(size("memory_limit", memory_limit, 0, sys.maxsize**2), sys.maxsize)
        parameters, dtype, states, batch = self._flat, self._dtype, self._states, len(s.lengths)
        flat = np.empty(self._layout.size, dtype)
        dr0, r_last = states.empty(batch, dtype), states.empty(batch, dtype)
        dx = s.empty(self._n_in, dtype) if wrt_x else None
        loss = _core.loss_and_gradients(
            network=self._core,
            parameters=parameters,
            lengths=s.lengths,
            x=s.data,
            y=targets,
            r0=None if r0 is None else states.read(s, r0, dtype),
            weight=weights,
            reset=None if reset is None else s.flags("reset", reset),
            chance=chance,
            activity=self._kappa(activity, s, targets, weights),
            flat=flat,
            dr0=dr0,
            dx=dx,
            r_last=r_last,
            memory_limit=limit,
        )
        given_back = None if dx is None else s.give_back(dx)
        last = states.give_back(s, r_last)
        return loss, (flat, self._layout, given_back, states.give_back(s, dr0), last, states.name)

    def _log_prob(
        self, x: Any, y: Any, r0: Any, lengths: Any, reset: Any, chance: Chance = CALM
    ) -> Array | list[Array] | np.float64:
        """Minus the loss of each step, or of each sequence where only the last step is read out."""
        s = self._sequences(x, lengths)
        targets, _ = self._targets(s, y, None)
        losses = s.empty(1, _FLOAT64) if self._every_step else np.empty((s.batch, 1))
        _core.loss(
            network=self._core,
            parameters=self._flat,
            lengths=s.lengths,
            x=s.data,
            y=targets,
            r0=self._states.read(s, r0, self._dtype),
            weight=None,
            reset=s.flags("reset", reset),
            chance=chance,
            activity=0.0,
            each=losses,
        )
        if isinstance(losses, list):
            return [0.0 - one[:, 0] for one in losses]
        minus: Array = 0.0 - losses[..., 0]  # where there is no target it is 0, and not -0
        return s.give_back(minus) if self._every_step else s.give_back_one(minus)

    def _draw(self, n_steps: int, start: Start, how: Drawing) -> Array:
        """Draw all steps in one call."""
        return next(self._draw_in_parts(n_steps, n_steps, start, how))

    def _draw_in_parts(self, n_steps: int, steps_per_part: int, start: Start, how: Drawing) -> Iterator[Array]:
        """Draw so many steps at a time."""
        batch, n_out, dtype = start.batch, self._n_out, self._dtype
        r = [state.astype(dtype, order="C") for state in start.r]  # copies: the core overwrites them
        o = np.zeros((batch, n_out), dtype) if start.o is None else start.o.astype(dtype, order="C")
        interruptions = _core.interruptions()
        for first in range(0, n_steps, steps_per_part):
            if _core.interruptions() != interruptions:  # since the first part was asked for
                raise KeyboardInterrupt
            steps = min(steps_per_part, n_steps - first)
            y = new_array((steps, batch), INT64) if self._classes else new_array((steps, batch, n_out), dtype)
            drawn = _core.generate(
                network=self._core,
                parameters=self._flat,
                x=None if start.x is None else start.x[first : first + steps],
                r=r,
                o=o,
                temperature=how.temperature,
                top_k=how.top_k,
                top_p=how.top_p,
                seed=how.seed,
                first_step=first,
                from_state=start.o is None and first == 0,
                goes_on=first + steps < n_steps,
                y=y,
            )
            if not drawn:
                raise ValueError(NOT_FINITE)
            if self.feeds_outputs_back:
                r = [one_hot(y[-1], n_out, dtype) if self._classes else y[-1].copy()]
            yield y[:, 0] if start.single else y

    def _search(self, n_steps: int, k: int, start: Start, first: Array, step: Step) -> Beams:
        """Search from the outputs `first` ``[batch, n_out]`` on, see `beams.search`."""
        y, log_prob = search(n_steps, k, first, step)
        return Beams(y[:, 0], log_prob[0]) if start.single else Beams(y, log_prob)

    # ---- Copies and files ----

    def configuration(self) -> dict[str, Any]:
        """Return the sizes and options that make a network like this one.

        Returns
        -------
        dict
            ``type(rnn)(**rnn.configuration())`` is a new network of the same kind.
        """
        o = self._options
        told = {
            "n_in": o.n_in,
            "n_hidden": self.n_hidden,
            "n_out": o.n_out,
            "input": o.input,
            "output": o.output,
            "readout": o.readout,
            "feedback": o.recurrence,
            "activation": o.activation,
            "bidirectional": o.bidirectional,
            "leak": told_leak(o.leak),
            "learn_h0": o.learn_h0,
            "dtype": o.dtype.name,
        }
        return {key: told[key] for key in self.KEYS}

    def __repr__(self) -> str:
        later = self.LATER_KEYS  # told where they are used
        told = {key: told for key, told in self.configuration().items() if key not in later or told != later[key]}
        sizes = [repr(told.pop(key)) for key in ("n_in", "n_hidden", "n_out")]
        return f"{type(self).__name__}({', '.join([*sizes, *(f'{key}={value!r}' for key, value in told.items())])})"

    def __reduce__(self) -> tuple[Any, ...]:
        constraints = () if self._constraints is None else (self._constraints.constraints,)
        return _rebuild, (type(self), self.configuration(), self._flat, self.metadata, *constraints)

    def __copy__(self: Self) -> Self:
        return self._copied(copy.copy(self.metadata))

    def __deepcopy__(self: Self, memo: dict[int, Any]) -> Self:
        return self._copied(copy.deepcopy(self.metadata, memo))

    def _copied(self: Self, metadata: dict[str, Any]) -> Self:
        other = _rebuild(type(self), self.configuration(), self._flat, metadata)
        other._constraints = self._constraints  # they do not change
        return other

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
            If `path` is no path, or `metadata` nothing that JSON can hold.
        """
        left_out = self.LEFT_OUT
        told = {key: value for key, value in self.configuration().items() if left_out.get(key) != value}
        if self._constraints is not None:
            from bptt.constraints import plain

            told["constraints"] = plain.told(self._constraints.constraints)
        model_file.write(a_path("path", path), self.KIND, told, self.metadata, self.by_name())


def _rebuild(
    kind: type[Self],
    configuration: dict[str, Any],
    parameters: Array,
    metadata: dict[str, Any],
    constraints: tuple[Any, ...] = (),
) -> Self:
    network = kind(**configuration, init=None)
    network.parameters = parameters
    network.metadata = metadata
    if constraints:
        network._hold(constraints)
    return network
