"""What optimizers share: hyper-parameters that are checked, the step, and the state."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from bptt import _core
from bptt._arrays import INT64, Array, aligned, as_array, check_shape, rows_in_place
from bptt._checks import choice, number, shown, size, truth
from bptt.training.protocol import HasFlat, HasParameters

Self = TypeVar("Self", bound="Optimizer")

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
_LEAST_EPS = 1e-30  # where float32 still divides by it
_SCALES = 1e-30, 1e30  # beyond them a float32 gradient, once divided, would be infinite or 0
_MOST_UPDATES = 2**53
_LETTERS = ("U", "W", "b", "h0", "v0", "V", "c")
_NO_RULE = "sgd"  # keeps nothing; with a rate of 0 it moves nothing
_BESIDE_THE_NORM = 1e-6  # as in the core's clipping


class Rates(NamedTuple):
    """The numbers of the core's equations."""

    rate: float
    decay: float = 0.0
    keep: float = 1.0
    beta1: float = 0.0
    beta2: float = 0.0
    root: float = 1.0
    eps: float = 0.0


def _at_least_0(name: str, value: float) -> float:
    return number(name, value, 0.0, math.inf)


def _below_1(name: str, value: float) -> float:
    return number(name, value, 0.0, 1.0)


def _eps(name: str, value: float) -> float:
    return number(name, value, _LEAST_EPS, math.inf)


def _betas(name: str, value: tuple[float, float]) -> tuple[float, float]:
    if not isinstance(value, tuple | list):
        raise TypeError(f"{name}: expected two numbers, got {type(value).__name__}")
    if len(value) != 2:
        raise ValueError(f"{name}: expected two numbers, got {len(value)}")
    return _below_1(f"{name}[0]", value[0]), _below_1(f"{name}[1]", value[1])


def _decay(name: str, value: float | Mapping[str, float]) -> float | dict[str, float]:
    """Of all parameters, or by letters."""
    if not isinstance(value, Mapping):
        return _at_least_0(name, value)
    if not value:
        raise ValueError(f"{name}: expected a number, or numbers for some letters, got {value}")
    for letter in value:
        choice(f"{name}: letter", letter, _LETTERS)
    return {letter: _at_least_0(f"{name}[{letter!r}]", decay) for letter, decay in value.items()}


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "lr": _at_least_0,
    "momentum": _below_1,
    "nesterov": truth,
    "alpha": _below_1,
    "betas": _betas,
    "eps": _eps,
    "lr_decay": _at_least_0,
    "weight_decay": _decay,
    "initial_accumulator_value": _at_least_0,
}


class Optimizer:
    """What the optimizers share: a base, not an optimizer itself.

    >>> optimizer = bptt.Adam(1e-3)
    >>> loss, gradients = rnn.loss_and_gradients(x, y)
    >>> norm = optimizer.step(rnn, gradients, scale=y.size, clip_norm=1.0)  # follows the mean loss per target

    An optimizer serves one network: with the first step it begins to keep what its rule needs of earlier gradients, in
    the dtype of the network and with one number a parameter.

    Attributes
    ----------
    lr : float
        The learning rate. The other hyper-parameters are attributes too. Each may be changed between steps, and is
        checked as it is when the optimizer is made: what is refused changes nothing. A momentum that becomes 0 forgets
        the v of earlier gradients; one that is 0 no more begins with v = 0, as at the first update.
    """

    lr: float
    weight_decay: float | Mapping[str, float]
    _updates: int = 0
    _state: Mapping[str, Array] = MappingProxyType({})  # what its rule keeps, by name; what is absent is as it begins
    _kind: tuple[int, np.dtype[Any]] | None = None  # how many parameters the network has, and its dtype
    _fixed: Any = None  # the token of the constraints under which what it keeps is as it begins where they fix

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
            return
        if not hasattr(type(self), name):  # nobody would notice a slip of the pen
            raise AttributeError(f"{name}: expected one of {', '.join(self._options())}")
        object.__setattr__(self, name, self._checked(name, value))
        self._state = {name: array for name, array in self._state.items() if name in self._names()}

    def _checked(self, name: str, value: Any) -> Any:
        """Return what an attribute is to be, or raise."""
        return _CHECKS[name](name, value) if name in _CHECKS else value

    def _options(self) -> dict[str, Any]:
        """Its hyper-parameters by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    # ---- What each optimizer says of itself ----

    def _names(self) -> tuple[str | None, str | None]:
        """What it calls the two vectors that the core's rules keep, v or s, and r; None: its rule keeps none."""
        raise NotImplementedError

    def _rule(self, lr: float, update: int, decay: float) -> tuple[str, Rates]:
        """The core's name of its rule, and the rule's numbers in the update of this number, from 1.

        `decay` is the weight decay of some or all parameters.
        """
        raise NotImplementedError

    @property
    def _initial(self) -> float:
        """What its rule keeps before the first update."""
        return 0.0

    # ---- Updates ----

    @property
    def updates(self) -> int:
        """How many updates were made."""
        return self._updates

    def step(
        self,
        rnn: HasParameters,
        gradients: HasFlat | ArrayLike,
        *,
        scale: float = 1.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        lr: float | None = None,
    ) -> float:
        """Update the parameters of a network, all of them, in place.

        The gradient is divided by `scale`, then clipped by its norm, then by its values; then the optimizer's own rule
        follows. `gradients` itself stays as it is. The result has the same bits for every number of threads and every
        instruction set. The `constraints` of the network are kept: of what they fix, masked or frozen, the gradient is
        taken as 0 first.

        Parameters
        ----------
        rnn : ElmanRNN or JordanRNN
            The network. All steps are for the same one (or for one of the same size and dtype).
        gradients : Gradients or array_like [n]
            What ``rnn.loss_and_gradients`` gave, or a vector laid out like ``rnn.parameters``.
        scale : float
            From 1e-30 to 1e30. The number of targets makes the sum of the losses their mean.
        clip_norm : float, optional
            A gradient whose 2-norm is larger is scaled to this one (section 10.11.1), by
            ``clip_norm / (norm + 1e-6)`` where that is below 1.
        clip_value : float, optional
            Then each element is brought into ``[-clip_value, clip_value]``.
        lr : float, optional
            The learning rate of this step, in place of `lr` of the optimizer: ``optimizer.lr * schedule(i)``.

        Returns
        -------
        float
            The norm of ``gradients / scale`` before clipping, summed in double precision in one fixed order.

        Raises
        ------
        FloatingPointError
            If that norm is not finite. Parameters and optimizer are as before.
        TypeError, ValueError
            If an argument is none of the above, the gradients are laid out otherwise, or the network is another one
            than before.
        """
        parameters = getattr(rnn, "parameters", None)
        if not isinstance(parameters, np.ndarray):
            raise TypeError(f"rnn: expected an ElmanRNN or a JordanRNN, got {type(rnn).__name__}")
        theirs, own = getattr(gradients, "_layout", None), getattr(rnn, "_layout", None)
        if theirs is not own and theirs is not None and own is not None:  # else it is the network's, as in every loop
            _check_layout(theirs, own)
        vector, held = _vector(gradients), getattr(rnn, "_constraints", None)
        if held is None:
            self._fixed = None
            return self._step(parameters, vector, scale, clip_norm, clip_value, lr, own)
        vector = as_array("gradients", vector, parameters.dtype)
        check_shape("gradients", vector, parameters.shape)
        self._forget(held.fixed, held.token)
        norm: float = held.update(
            parameters, vector, lambda theta, g: self._step(theta, g, scale, clip_norm, clip_value, lr, own)
        )
        return norm

    def _forget(self, fixed: Array, token: Any) -> None:
        """Of parameters that have become fixed, keep what there is before the first update."""
        if token != self._fixed:
            for array in self._state.values():
                if array.shape == fixed.shape:
                    array[fixed] = self._initial
            self._fixed = token

    def _step(
        self,
        parameters: Array,
        gradients: ArrayLike,
        scale: float = 1.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        lr: float | None = None,
        layout: Any = None,
    ) -> float:
        gradient = as_array("gradients", gradients, parameters.dtype)
        check_shape("gradients", gradient, parameters.shape)
        scale = number("scale", scale, *_SCALES, "[]")
        norm_bound = math.inf if clip_norm is None else number("clip_norm", clip_norm, 0.0, math.inf, "(]")
        value_bound = math.inf if clip_value is None else number("clip_value", clip_value, 0.0, math.inf, "(]")
        rate = number("lr", self.lr if lr is None else lr, 0.0, math.inf)
        kind = self._check_serves(parameters)
        state = self._kept(*kind)
        first, second = (None if name is None else state[name] for name in self._names())
        gradient = rows_in_place(gradient, 0)

        def update(span: slice, rule: str, rates: Rates, scale: float, clip_norm: float, clip_value: float) -> float:
            return _core.update(
                rule=rule,
                parameters=parameters[span],
                gradient=gradient[span],
                first=None if first is None or rule == _NO_RULE else first[span],
                second=None if second is None or rule == _NO_RULE else second[span],
                scale=scale,
                clip_norm=clip_norm,
                clip_value=clip_value,
                **rates._asdict(),
            )

        if not isinstance(self.weight_decay, Mapping):
            rule, rates = self._rule(rate, self._updates + 1, self.weight_decay)
            norm = update(slice(None), rule, rates, scale, norm_bound, value_bound)
        else:
            norm = update(slice(None), _NO_RULE, Rates(0.0), scale, math.inf, 0.0)  # the norm alone: nothing moves
            clipped_to = min(1.0, norm_bound / (norm + _BESIDE_THE_NORM))
            scale = scale / clipped_to if clipped_to > 0.0 else math.inf
            for span, decay in _spans(layout, self.weight_decay) if math.isfinite(norm) else ():
                rule, rates = self._rule(rate, self._updates + 1, decay)
                update(span, rule, rates, scale, math.inf, value_bound)
        if not math.isfinite(norm):
            raise FloatingPointError(f"gradients: expected a finite norm, got {norm} after {self._updates} updates")
        vars(self).update(_updates=self._updates + 1, _state=state, _kind=kind)  # no assignments that are checked
        return norm

    def _check_serves(self, parameters: Array) -> tuple[int, np.dtype[Any]]:
        """Return how many parameters there are, and their dtype, or raise where they were others before."""
        kind = parameters.size, parameters.dtype
        if self._kind is not None and self._kind != kind:
            before = f"{self._kind[0]} parameters in {self._kind[1]}"
            raise ValueError(f"rnn: expected a network of {before}, as before, got {kind[0]} in {kind[1]}")
        return kind

    def _kept(self, size: int, dtype: np.dtype[Any]) -> dict[str, Array]:
        """What its rule keeps for so many parameters."""
        state = {}
        for name in self._names():
            if name is not None:
                if (array := self._state.get(name)) is None:
                    array = aligned(size, dtype)
                    array.fill(self._initial)
                state[name] = array
        return state

    # ---- State and configuration ----

    def state(self) -> dict[str, Array]:
        """Return all that later updates depend on, beside the hyper-parameters.

        Returns
        -------
        dict of str to ndarray
            ``"updates"``, how many updates were made (int64, shape ``[]``), and, once there was one, what the rule
            keeps, each ``[n]`` in the network's dtype. Copies: no later step changes them.
        """
        kept = {} if self._kind is None else self._kept(*self._kind)
        return {"updates": np.array(self._updates, INT64)} | {name: array.copy() for name, array in kept.items()}

    def load_state(self, state: Mapping[str, ArrayLike]) -> None:
        """Go on from what `state` returned: the updates that follow have the same bits as those that followed there.

        Parameters
        ----------
        state : mapping of str to array_like
            The `state` of an optimizer of the same class and hyper-parameters (compare `configuration`). It is copied
            in, and replaces what was kept so far.

        Raises
        ------
        TypeError, ValueError
            If an entry is missing, one too many, or not what it should be. The optimizer is as before.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state: expected a dict, got {type(state).__name__}")
        updates = as_array("state['updates']", state["updates"], INT64) if "updates" in state else np.array(0)
        check_shape("state['updates']", updates, ())
        count = size("state['updates']", int(updates), 0, _MOST_UPDATES)
        names = [name for name in self._names() if name is not None]
        begun = count > 0 or any(name in state for name in names)
        expected = {"updates", *(names if begun else ())}
        if set(state) != expected:
            raise ValueError(f"state: expected {_listed(expected)}, got {_listed(set(state))}")
        arrays: dict[str, Array] = {}
        for name in names if begun else ():
            array = np.asarray(state[name])
            if array.dtype not in _DTYPES:
                raise TypeError(f"state[{name!r}]: expected float32 or float64, got {array.dtype}")
            check_shape(f"state[{name!r}]", array, ("n",))
            for other, earlier in arrays.items():
                if (array.size, array.dtype) != (earlier.size, earlier.dtype):
                    wanted = f"{earlier.size} numbers in {earlier.dtype}, as in {other!r}"
                    raise ValueError(f"state[{name!r}]: expected {wanted}, got {array.size} in {array.dtype}")
            arrays[name] = array
        kept, kind = {}, None
        for name, array in arrays.items():
            kind = array.size, array.dtype
            kept[name] = aligned(*kind)
            kept[name][:] = array
        self._updates, self._state, self._kind, self._fixed = count, kept, kind, None

    def _resumed(self: Self, options: Mapping[str, Any], state: Mapping[str, ArrayLike], parameters: Array) -> Self:
        """A copy that has other hyper-parameters, and this state of a network with these parameters."""
        if set(options) != set(self._options()):
            raise ValueError(f"optimizer: expected {', '.join(self._options())}, got {shown(sorted(options))}")
        other = copy.deepcopy(self)
        vars(other).update(options)  # all at once first: some go together only
        for name, value in options.items():
            setattr(other, name, value)
        other.load_state(state)
        other._check_serves(parameters)
        return other

    def configuration(self) -> dict[str, Any]:
        """Return what the optimizer is, as JSON can hold it.

        Returns
        -------
        dict
            ``"optimizer"``, the name of the class, and its hyper-parameters by name: two that are equal here make the
            same updates from the same state.
        """
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in self._options().items()}
        return {"optimizer": type(self).__name__} | plain

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self._options().items() if name != "lr")
        return f"{type(self).__name__}({self.lr!r}{options})"

    def __copy__(self: Self) -> Self:
        return copy.deepcopy(self)  # an update changes what is kept in place


def _spans(layout: Any, decay_of: Mapping[str, float]) -> list[tuple[slice, float]]:
    """The parts of the flat vector, each with its weight decay."""
    if layout is None:
        raise TypeError("rnn: expected an ElmanRNN or a JordanRNN where weight_decay has letters, got another network")
    letters = [*dict.fromkeys(entry.letter for entry in layout.entries)]
    for letter in decay_of:
        if letter not in letters:
            there = ", ".join(map(repr, letters))
            raise ValueError(f"weight_decay: letter: expected one of {there}, as the network has, got {letter!r}")
    spans: list[tuple[slice, float]] = []
    end = 0
    for entry in layout.entries:
        begin, end, decay = end, end + math.prod(entry.shape), decay_of.get(entry.letter, 0.0)
        if spans and spans[-1][1] == decay:
            begin = spans.pop()[0].start
        spans.append((slice(begin, end), decay))
    return spans


def _vector(gradients: Any) -> Any:
    """The vector of gradients; an array is one itself, and its own attribute `flat` is something else."""
    flat = None if isinstance(gradients, np.ndarray) else getattr(gradients, "flat", None)
    return flat if isinstance(flat, np.ndarray) else gradients


def _check_layout(layout: Any, expected: Any) -> None:
    """Raise ValueError where vectors of the same size hold other parameters."""
    if layout.size != expected.size:
        return  # the vector's own check says so
    for one, other in zip(expected.entries, layout.entries, strict=False):
        if one != other:
            there, here = (f"{entry.name} {list(entry.shape)}" for entry in (one, other))
            raise ValueError(f"gradients: expected {there}, as the network has, got {here}")


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(map(repr, names))) or "nothing"
