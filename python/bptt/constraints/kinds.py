"""The kinds of constraints, each with the function that makes it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from bptt._arrays import Array, as_array, shape_text
from bptt._checks import generator, number, size, truth
from bptt.constraints.rules import Rules, checked_booleans

_FLOAT64 = np.dtype(np.float64)
_NORMS = 1e-30, 1e30  # whose squares are neither 0 nor infinite


@dataclass(frozen=True, eq=False, repr=False)
class Constraint:
    """One constraint, as the functions of `bptt.constraints` make it. Constraints can be compared and printed."""

    NAME: ClassVar[str]  # of its function

    def _put(self, rules: Rules) -> None:
        """Say what it says about a network, or raise."""
        raise NotImplementedError

    def _arguments(self) -> dict[str, Any]:
        """What its function was given, without defaults."""
        told = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in told.items() if value is not None}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Constraint):
            return NotImplemented
        mine, theirs = self._arguments(), other._arguments()
        return (
            type(self) is type(other)
            and mine.keys() == theirs.keys()
            and all(np.array_equal(value, theirs[name]) for name, value in mine.items())
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        told = []
        for name, value in self._arguments().items():
            if isinstance(value, np.ndarray):
                value = value.item() if value.ndim == 0 else f"<{value.dtype} {shape_text(value.shape)}>"
            elif name == "letters":
                told.append(repr(value[0] if len(value) == 1 else value))
                continue
            told.append(f"{name}={value}")
        return f"{self.NAME}({', '.join(told)})"


@dataclass(frozen=True, eq=False, repr=False)
class _Chosen(Constraint):
    """One about the parameters under some letters."""

    letters: tuple[str, ...]
    layer: int | None
    reverse: bool | None


@dataclass(frozen=True, eq=False, repr=False)
class _Mask(_Chosen):
    NAME: ClassVar[str] = "mask"
    connected: Array

    def _put(self, rules: Rules) -> None:
        for part in rules.chosen(self.letters, self.layer, self.reverse):
            part.add_zeros(~part.broadcast("connected", self.connected))


@dataclass(frozen=True, eq=False, repr=False)
class _NoSelfConnections(Constraint):
    NAME: ClassVar[str] = "no_self_connections"
    layer: int | None
    reverse: bool | None

    def _put(self, rules: Rules) -> None:
        if not rules.hidden:
            raise ValueError("expected an ElmanRNN, as the columns of W are outputs here")
        for part in rules.chosen(("W",), self.layer, self.reverse):
            part.add_zeros(np.eye(*part.shape, dtype=bool))


@dataclass(frozen=True, eq=False, repr=False)
class _Signs(_Chosen):
    NAME: ClassVar[str] = "signs"
    signs: Array

    def _put(self, rules: Rules) -> None:
        for part in rules.chosen(self.letters, self.layer, self.reverse):
            part.add_signs(part.broadcast("signs", self.signs))


@dataclass(frozen=True, eq=False, repr=False)
class _Dale(Constraint):
    NAME: ClassVar[str] = "dale"
    excitatory: float | Array
    layer: int | None

    def _put(self, rules: Rules) -> None:
        if not rules.hidden:
            raise ValueError("expected an ElmanRNN, as the columns of W are outputs here")
        rules.check_layer(self.layer)
        for layer in range(rules.layers) if self.layer is None else (self.layer,):
            n = rules.units(layer)
            if isinstance(self.excitatory, float):
                excitatory = np.arange(n) < math.floor(self.excitatory * n + 0.5)
            elif self.excitatory.shape == (n,):
                excitatory = self.excitatory
            else:
                whose = "the network" if rules.layers == 1 else f"layer {layer}"
                raise ValueError(f"excitatory: expected [{n}], as {whose} has {n} units, got {self.excitatory.shape}")
            rules.excitatory[layer] = excitatory
            for part in rules.projections(layer):
                columns = np.tile(excitatory, part.shape[1] // n)
                part.add_signs(part.broadcast("excitatory", np.where(columns, 1, -1).astype(np.int8)))


@dataclass(frozen=True, eq=False, repr=False)
class _Frozen(_Chosen):
    NAME: ClassVar[str] = "frozen"
    where: Array | None

    def _put(self, rules: Rules) -> None:
        for part in rules.chosen(self.letters, self.layer, self.reverse):
            part.freeze(part.broadcast("where", np.array(True) if self.where is None else self.where))


@dataclass(frozen=True, eq=False, repr=False)
class _MaxNorm(_Chosen):
    NAME: ClassVar[str] = "max_norm"
    most: float
    axis: int | None

    def _put(self, rules: Rules) -> None:
        for part in rules.chosen(self.letters, self.layer, self.reverse):
            part.add_bound(self.axis, self.most)


# ---- What users call ----


def mask(
    letters: str | Sequence[str], connected: ArrayLike, *, layer: int | None = None, reverse: bool | None = None
) -> Constraint:
    """Fixed zeros: entries that are 0 and stay so.

    Parameters
    ----------
    letters : str or sequence of str
        Of the parameters: ``"U"``, ``"W"``, ``"V"``, or the biases ``"b"``, ``"c"``.
    connected : array_like of bool, or of 0 and 1
        In the shape of the parameter, or a row of it that stands for all rows, or a single value: where an entry may be
        other than 0. A column is a unit that sends, a row one that receives: ``mask("V", excitatory)`` lets the
        excitatory units alone be read, ``mask("b", False)`` is a network without a bias.
    layer : int, optional
        Of several layers the one, from 0, as in ``rnn.layers``; by default all of them. Not for V and c.
    reverse : bool, optional
        Of two directions the one; by default both.

    Returns
    -------
    Constraint
        For ``rnn.constraints`` or `fit`, which raise ValueError where the shape is another.
    """
    return _Mask(**_places(letters, layer, reverse), connected=checked_booleans("connected", connected))


def no_self_connections(*, layer: int | None = None, reverse: bool | None = None) -> Constraint:
    """No unit reads itself (no autapses): the diagonal of W is 0.

    Parameters
    ----------
    layer, reverse
        As for `mask`.

    Returns
    -------
    Constraint
        For ``rnn.constraints`` or `fit`.
    """
    return _NoSelfConnections(_layer(layer), _reverse(reverse))


def blocks(
    letters: str | Sequence[str],
    connected: ArrayLike,
    rows: Sequence[int],
    columns: Sequence[int] | None = None,
    *,
    seed: int | np.random.Generator | None = None,
    layer: int | None = None,
    reverse: bool | None = None,
) -> Constraint:
    """Connections between groups of units (areas, populations): a `mask` made of blocks.

    Parameters
    ----------
    letters
        As for `mask`.
    connected : array_like
        ``[groups of rows, groups of columns]``, each from 0 to 1: the share of the connections from a group (column) to
        a group (row) that exist. Where it is neither 0 nor 1, each exists with this probability.
    rows : sequence of int
        How many units each group has that receives; together the rows of the parameter.
    columns : sequence of int, optional
        How many each group has that sends; by default as `rows`.
    seed : int or numpy.random.Generator, optional
        Of what is drawn.
    layer, reverse
        As for `mask`.

    Returns
    -------
    Constraint
        The mask: what is drawn is drawn here, once.
    """
    share = as_array("connected", connected, _FLOAT64)
    sizes = _sizes("rows", rows), _sizes("columns", rows if columns is None else columns)
    if share.shape != (len(sizes[0]), len(sizes[1])):
        raise ValueError(
            f"connected: expected {[len(sizes[0]), len(sizes[1])]}, a row for each group, got {share.shape}"
        )
    if not ((share >= 0) & (share <= 1)).all():
        raise ValueError(f"connected: expected numbers in [0, 1], got {share[~((share >= 0) & (share <= 1))][0]}")
    each = share.repeat(sizes[0], 0).repeat(sizes[1], 1)
    return _Mask(**_places(letters, layer, reverse), connected=generator(seed).random(each.shape) < each)


def signs(
    letters: str | Sequence[str], signs: ArrayLike, *, layer: int | None = None, reverse: bool | None = None
) -> Constraint:
    """Signs of entries: those of sign 1 are at least 0, those of sign -1 at most 0.

    Parameters
    ----------
    letters
        As for `mask`.
    signs : array_like of int
        1, -1, or 0 where both are allowed: in the shape of the parameter, or a row of it, which holds for each column,
        or one number. ``signs("U", 1)`` has excitatory inputs alone.
    layer, reverse
        As for `mask`.

    Returns
    -------
    Constraint
        For ``rnn.constraints`` or `fit`. An update that would cross 0 ends there.
    """
    array = as_array("signs", signs, _FLOAT64)
    wrong = array[~np.isin(array, (-1, 0, 1))]
    if wrong.size:
        raise ValueError(f"signs: expected 1, 0 or -1, got {wrong.flat[0]:g}")
    return _Signs(**_places(letters, layer, reverse), signs=array.astype(np.int8))


def dale(excitatory: float | ArrayLike = 0.8, *, layer: int | None = None) -> Constraint:
    """Dale's law: all that a unit sends has one sign.

    Excitatory units have columns of at least 0, inhibitory ones of at most 0: those of W, those of V and, in a stack,
    those of U of the layer above. U of the lowest layer is free: its columns are inputs.

    Parameters
    ----------
    excitatory : float or array_like of bool
        The share of excitatory units, in ``[0, 1]`` (the field's Dale ratio): the first units of a layer, to the
        nearest whole number. Or which units are excitatory, ``[n_hidden]``. ``rnn.constraints.excitatory`` tells.
    layer : int, optional
        Of several layers the one, from 0; by default each. Both directions are alike.

    Returns
    -------
    Constraint
        For ``rnn.constraints`` or `fit` of an `ElmanRNN`. See `initialize` for weights to begin with.
    """
    which: Any = excitatory
    of_each = isinstance(which, Iterable)
    told = checked_booleans("excitatory", which) if of_each else number("excitatory", which, 0.0, 1.0, "[]")
    return _Dale(told, _layer(layer))


def frozen(
    letters: str | Sequence[str],
    where: ArrayLike | None = None,
    *,
    layer: int | None = None,
    reverse: bool | None = None,
) -> Constraint:
    """Entries that no update moves: they stay what they are, to the bit. Assigning to them is up to you.

    Parameters
    ----------
    letters
        As for `mask`.
    where : array_like of bool, or of 0 and 1, optional
        Which entries, in the shape of the parameter or a row of it; by default all.
    layer, reverse
        As for `mask`.

    Returns
    -------
    Constraint
        For ``rnn.constraints`` or `fit`.
    """
    return _Frozen(
        **_places(letters, layer, reverse), where=None if where is None else checked_booleans("where", where)
    )


def max_norm(
    letters: str | Sequence[str],
    most: float,
    *,
    axis: int | None = None,
    layer: int | None = None,
    reverse: bool | None = None,
) -> Constraint:
    """A bound on norms: ``np.linalg.norm(W, axis=axis) <= most``, with the norm in double precision.

    What is above is scaled down to it. A whole matrix never multiplies a state by more than its norm.

    Parameters
    ----------
    letters
        As for `mask`.
    most : float
        The bound, from 1e-30 to 1e30.
    axis : {None, 0, 1}
        None: the norm of all entries (Frobenius). 1: of each row, which is what a unit receives. 0: of each column,
        which is what a unit sends.
    layer, reverse
        As for `mask`.

    Returns
    -------
    Constraint
        For ``rnn.constraints`` or `fit`.
    """
    if axis is not None:
        size("axis", axis, 0, 1)
    return _MaxNorm(**_places(letters, layer, reverse), most=number("most", most, *_NORMS, "[]"), axis=axis)


def _places(letters: str | Sequence[str], layer: int | None, reverse: bool | None) -> dict[str, Any]:
    """Which parameters, checked as far as this can be without a network."""
    several = isinstance(letters, list | tuple)
    for letter in letters if several else (letters,):
        if not isinstance(letter, str):
            raise TypeError(f"letters: expected a letter or a list of them, got {type(letter).__name__}")
    if not letters:
        raise ValueError(f"letters: expected at least one, got {letters!r}")
    return {
        "letters": tuple(letters) if several else (letters,),
        "layer": _layer(layer),
        "reverse": _reverse(reverse),
    }


def _layer(value: int | None) -> int | None:
    return None if value is None else size("layer", value, 0)


def _reverse(value: bool | None) -> bool | None:
    return None if value is None else truth("reverse", value)


def _sizes(name: str, value: Sequence[int]) -> list[int]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray):
        raise TypeError(f"{name}: expected a list of ints, got {type(value).__name__}")
    return [size(f"{name}[{i}]", n, 1) for i, n in enumerate(value)]
