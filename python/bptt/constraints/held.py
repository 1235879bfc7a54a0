"""The constraints of a network: what each update goes through, exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, overload

import numpy as np

from bptt._arrays import Array, as_array, check_shape
from bptt.constraints.kinds import Constraint
from bptt.constraints.rules import Entry, Part, Rules, norm


class Layout(Protocol):
    """How the parameters of a network lie in the flat vector."""

    @property
    def entries(self) -> Sequence[Entry]:
        """In their order."""


class Constrained(Protocol):
    """What constraints know of a network."""

    @property
    def parameters(self) -> Array:
        """All parameters in one writable vector."""

    @property
    def feeds_outputs_back(self) -> bool:
        """Whether the columns of W are outputs."""

    _layout: Any
    _constraints: Any


def checked_list(value: Any) -> tuple[Constraint, ...]:
    """What a user gives as constraints: one or several."""
    if value is None:
        return ()
    if isinstance(value, Constraint):
        return (value,)
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"constraints: expected a list of bptt.constraints, got {type(value).__name__}")
    given = tuple(value)
    for i, one in enumerate(given):
        if not isinstance(one, Constraint):
            what = (
                f"the function {one.__name__}: call it"
                if callable(one) and hasattr(one, "__name__")
                else type(one).__name__
            )
            raise TypeError(f"constraints[{i}]: expected a constraint of bptt.constraints, got {what}")
    return given


class _Bound:
    """A bound on norms, as an update applies it."""

    def __init__(self, part: Part, axis: int | None, most: float, dtype: np.dtype[Any]) -> None:
        self.part, self.most = part, most
        self.axis = None if len(part.shape) == 1 else axis
        self.frozen = part.frozen if part.frozen is not None and part.frozen.any() else None
        count = part.end - part.begin if self.axis is None else part.shape[self.axis]
        # Rounding of the scaled entries, and of sums of squares in any order, must not lead above the bound again.
        self.scaled_to = most * (1 - float(np.finfo(dtype).eps) - (count + 8) * 2.0**-52)
        # Sums in the dtype itself are off by less: below this, no exact norm is needed.
        info = np.finfo(dtype)
        surely = most**2 * (1 - 2 * (count + 8) * float(info.eps)) - 2 * count * float(info.tiny)
        self.surely = min(surely, float(info.max))  # which an infinite sum is above

    def apply(self, flat: Array) -> None:
        values = self.part.of(flat)
        with np.errstate(all="ignore"):  # of what is infinite comes NaN, which training tells
            if self.surely > 0 and self._is_surely_below(values):
                return
            norms = norm(values, self.axis)
            if (norms > self.most).any():
                self._scale(values, norms)

    def _scale(self, values: Array, norms: Array) -> None:
        if self.frozen is None:
            factor = np.where(norms > self.most, self.scaled_to / np.maximum(norms, self.most), 1.0)
        else:  # what is frozen takes its part of the bound
            still = norm(np.where(self.frozen, values, 0), self.axis)
            room = np.sqrt(np.maximum(self.scaled_to**2 - still**2, 0.0))
            free = norm(np.where(self.frozen, 0, values), self.axis)
            factor = np.where((norms > self.most) & (free > room), room / np.where(free > 0, free, 1.0), 1.0)
        if self.axis is not None:
            factor = np.expand_dims(factor, self.axis)
        where: Any = True if self.frozen is None else ~self.frozen
        np.multiply(values, factor, out=values, where=where, casting="same_kind")

    def _is_surely_below(self, values: Array) -> bool:
        if self.axis is None:
            flat = values.reshape(-1)
            return bool(np.einsum("i,i->", flat, flat) <= self.surely)
        return bool((np.einsum("ij,ij->i" if self.axis == 1 else "ij,ij->j", values, values) <= self.surely).all())


class Held:
    """Constraints as an update applies them to the parameters of one network. It does not change."""

    def __init__(self, constraints: tuple[Constraint, ...], network: Constrained) -> None:
        self.constraints = constraints
        rules = Rules(network._layout.entries, not network.feeds_outputs_back)
        for i, one in enumerate(constraints):
            try:
                one._put(rules)
            except ValueError as error:
                raise ValueError(f"constraints[{i}], {one}: {error}") from None
        dtype = network.parameters.dtype
        self.parts, self.excitatory = rules.parts, rules.excitatory
        fixed, frozen = np.zeros(rules.size, bool), np.zeros(rules.size, bool)
        for part in rules.parts:
            if part.zero is not None:
                part.of(fixed)[part.zero] = True
            if part.frozen is not None:
                part.of(frozen)[part.frozen] = True
        fixed |= frozen
        fixed.flags.writeable = False
        self.fixed = fixed
        self.token = np.packbits(fixed).tobytes()  # tells whether an optimizer has seen it before
        # What is fixed is set by its bits: whatever a number is, and in a fraction of the time of an assignment there.
        self._integer = np.dtype(f"u{dtype.itemsize}")
        self._any_frozen, self._span = bool(frozen.any()), _span(fixed)
        self._free_bits, self._frozen_bits = self._bits(~fixed), self._bits(frozen)
        self._least = _limits(rules, 1, dtype)
        self._most = _limits(rules, -1, dtype)
        self._bounds = [_Bound(part, axis, most, dtype) for part in rules.parts for axis, most in part.bounds]

    def _bits(self, where: Array) -> Array:
        """All bits of the numbers that are there, of those in the span."""
        bits: Array = np.where(where[self._span], np.iinfo(self._integer).max, 0).astype(self._integer)
        return bits

    def __reduce__(self) -> Any:
        raise TypeError("the constraints of a network are pickled with it")

    def __deepcopy__(self, memo: dict[int, Any]) -> Held:
        return self

    # ---- Updates ----

    def update(self, parameters: Array, gradient: Array, update: Callable[[Array, Array], float]) -> float:
        """Make an update of what is free, bring it into the constraints, and have it: all at once, or not at all.

        `update` gets parameters, which it changes, and their gradient: both are 0 where parameters are fixed. So weight
        decay does not move these, and momenta of theirs stay 0.
        """
        moved = self.masked(parameters)
        result = update(moved, self.masked(gradient))
        self._move_inside(moved, parameters)
        parameters[:] = moved
        return result

    def masked(self, flat: Array) -> Array:
        """A copy of parameters or of a gradient, 0 where parameters are fixed, whatever it is there."""
        masked: Array = flat.copy()
        self._clear_fixed(masked)
        return masked

    def _clear_fixed(self, flat: Array) -> None:
        bits = flat[self._span].view(self._integer)
        np.bitwise_and(bits, self._free_bits, out=bits)

    def _move_inside(self, moved: Array, before: Array) -> None:
        """Have what is frozen as before, and bring signs and norms into their bounds beside it."""
        self._clear_fixed(moved)  # of -0 too
        if self._any_frozen:
            bits = moved[self._span].view(self._integer)
            np.bitwise_or(bits, before[self._span].view(self._integer) & self._frozen_bits, out=bits)
        for limit, (span, limits) in ((np.maximum, self._least), (np.minimum, self._most)):
            if limits.size:
                view = moved[span]
                limit(view, limits, out=view)
        for bound in self._bounds:
            bound.apply(moved)

    def violation(self, parameters: Array) -> str:
        """Say what is not as it has to be, at the first place; empty where all is."""
        return next((text for part in self.parts if (text := part.violation(parameters))), "")

    def projected(self, parameters: Array) -> Array:
        """Parameters brought into the constraints, or ValueError where frozen ones cannot be."""
        inside = self.masked(parameters)
        self._move_inside(inside, parameters)
        if text := self.violation(inside):
            raise ValueError(f"constraints: {text}")
        return inside


def _span(where: Array) -> slice:
    """From the first to behind the last."""
    places = np.flatnonzero(where)
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)


def _limits(rules: Rules, sign: int, dtype: np.dtype[Any]) -> tuple[slice, Array]:
    """A span of the flat vector, and its limits: 0 where entries have this sign, else none.

    What is frozen is not limited, so that it stays what it is.
    """
    has = np.zeros(rules.size, bool)
    for part in rules.parts:
        if part.sign is not None:
            part.of(has)[...] = part.sign == sign if part.frozen is None else (part.sign == sign) & ~part.frozen
    span = _span(has)
    return span, np.where(has[span], 0.0, -sign * np.inf).astype(dtype)


class Constraints(Sequence[Constraint]):
    """The constraints of one network, as ``rnn.constraints`` has them: a sequence that does not change.

    >>> from bptt.constraints import dale, frozen, no_self_connections
    >>> rnn.constraints = [dale(0.8), no_self_connections()]
    >>> rnn.constraints = [*rnn.constraints, frozen("U")]
    >>> len(rnn.constraints)
    3
    """

    def __init__(self, network: Constrained) -> None:
        self._network, self._held = network, network._constraints

    def __len__(self) -> int:
        return 0 if self._held is None else len(self._held.constraints)

    @overload
    def __getitem__(self, index: int) -> Constraint: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Constraint, ...]: ...

    def __getitem__(self, index: int | slice) -> Constraint | tuple[Constraint, ...]:
        own: tuple[Constraint, ...] = () if self._held is None else self._held.constraints
        return own[index]

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self))

    @property
    def excitatory(self) -> Any:
        """Which units `dale` has as excitatory: booleans ``[n_hidden]``, of several layers a list with one a layer.

        None where it says nothing.
        """
        if self._held is None:
            return None
        told = [None if units is None else units.copy() for units in self._held.excitatory]
        return told[0] if len(told) == 1 else told

    @property
    def fixed(self) -> Array:
        """Which parameters no update moves, masked or frozen: booleans laid out like ``rnn.parameters``."""
        fixed: Array = np.zeros(self._network.parameters.size, bool) if self._held is None else self._held.fixed.copy()
        return fixed

    def apply(self) -> None:
        """Bring the network's parameters into the constraints, as after an update.

        What is masked becomes 0, what has the wrong sign becomes 0, what has too large a norm is scaled. What is frozen
        stays. `fit` and ``optimizer.step`` do this by themselves; it is for updates of your own, and after assignments.

        Raises
        ------
        ValueError
            If what is frozen is against another constraint. No parameter has changed then.
        """
        if self._held is not None:
            self._network.parameters[:] = self._held.projected(self._network.parameters)

    def gradient(self, gradients: Any) -> Array:
        """Return a copy of a gradient in which what is fixed has 0, for updates of your own.

        Parameters
        ----------
        gradients : Gradients or array_like [n]
            What ``rnn.loss_and_gradients`` gave, or a vector laid out like ``rnn.parameters``.

        Returns
        -------
        ndarray
            ``[n]``, in the dtype of the network.
        """
        parameters = self._network.parameters
        flat = gradients if isinstance(gradients, np.ndarray) else getattr(gradients, "flat", gradients)
        array = as_array("gradients", flat, parameters.dtype)
        check_shape("gradients", array, parameters.shape)
        free: Array = array.copy() if self._held is None else self._held.masked(array)
        return free
