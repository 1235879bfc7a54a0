"""Parameters and gradients under the book's letters: views of one flat vector, laid out as the core says."""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy.typing import ArrayLike

from bptt._arrays import Array, as_array, check_shape


class Entry(NamedTuple):
    """One parameter in the flat vector."""

    name: str  # in files
    letter: str
    layer: int  # from 0; -1 for V and c
    reverse: bool
    shape: tuple[int, ...]


STATES = ("h0", "v0")  # the letters of a state that is learned


class Layout:
    """The parameters of a network in the order of its flat vector, each in C order, without gaps."""

    def __init__(self, entries: list[tuple[str, str, int, bool, tuple[int, ...]]]) -> None:
        self.entries = [Entry(*entry) for entry in entries]
        self.shapes = {entry.name: entry.shape for entry in self.entries}
        self.size = sum(map(math.prod, self.shapes.values()))
        self.learns_h0 = any(entry.letter in STATES for entry in self.entries)

    def views(self, flat: Array) -> list[Array]:
        """A view of the vector for each entry."""
        views, end = [], 0
        for entry in self.entries:
            begin, end = end, end + math.prod(entry.shape)
            views.append(flat[begin:end].reshape(entry.shape))
        return views


def copy_in(name: str, to: Array, value: ArrayLike) -> None:
    """Copy `value` into an array of the same shape, or raise and leave the array as it was."""
    array = as_array(name, value, to.dtype)
    check_shape(name, array, to.shape)
    to[...] = array


class Layer:
    """One layer in one direction, under the book's letters: an entry of ``rnn.layers``, or of ``gradients.layers``."""

    __slots__ = ("_reverse", "_views")

    def __init__(self, views: dict[str, Array], reverse: Layer | None) -> None:
        self._views = views
        self._reverse = reverse

    @property
    def reverse(self) -> Layer | None:
        """The same layer in the second direction; None without one."""
        return self._reverse

    @property
    def U(self) -> Array:
        """From the layer below, ``[n_l, numbers in h^(l-1)(t)]``: a writable view. Assigning copies in."""
        return self._views["U"]

    @U.setter
    def U(self, value: ArrayLike) -> None:
        copy_in("U", self.U, value)

    @property
    def W(self) -> Array:
        """The recurrence, ``[n_l, n_l]``, or ``[n_hidden, n_out]`` of a `JordanRNN`: a writable view."""
        return self._views["W"]

    @W.setter
    def W(self, value: ArrayLike) -> None:
        copy_in("W", self.W, value)

    @property
    def b(self) -> Array:
        """Bias of the hidden units, ``[n_l]``: a writable view."""
        return self._views["b"]

    @b.setter
    def b(self, value: ArrayLike) -> None:
        copy_in("b", self.b, value)

    @property
    def h0(self) -> Array:
        """With ``learn_h0=True``: h(0), ``[n_l]``, a writable view. Assigning copies in."""
        return self._learned("h0", "v0", "leaky units, whose state is v")

    @h0.setter
    def h0(self, value: ArrayLike) -> None:
        copy_in("h0", self.h0, value)

    @property
    def v0(self) -> Array:
        """Of leaky units with ``learn_h0=True``: v(0), ``[n_l]``, a writable view. Assigning copies in."""
        return self._learned("v0", "h0", "units without a leak, whose state is h")

    @v0.setter
    def v0(self, value: ArrayLike) -> None:
        copy_in("v0", self.v0, value)

    def _learned(self, letter: str, other: str, units: str) -> Array:
        if letter in self._views:
            return self._views[letter]
        if other in self._views:
            raise AttributeError(f"{letter}: expected {other}, as the network has {units}")
        raise AttributeError(f"{letter}: expected a network with learn_h0=True, of which it is a parameter")

    def __repr__(self) -> str:
        shapes = ", ".join(f"{letter} {list(view.shape)}" for letter, view in self._views.items())
        return f"Layer({shapes}{'' if self.reverse is None else ', reverse'})"


class _Views(NamedTuple):
    by_name: dict[str, Array]
    layers: tuple[Layer, ...]


class Letters:
    """What networks and gradients share: one flat vector, and views of it under the book's letters."""

    __slots__ = ("_flat", "_layout", "_made")

    def __init__(self, flat: Array, layout: Layout) -> None:
        self._flat = flat
        self._layout = layout
        self._made: _Views | None = None  # the views, when first asked for: a training loop needs `_flat` alone

    def _views(self) -> _Views:
        made = self._made
        if made is None:
            views = self._layout.views(self._flat)
            of: dict[tuple[int, bool], dict[str, Array]] = {}
            for entry, view in zip(self._layout.entries, views, strict=True):
                of.setdefault((entry.layer, entry.reverse), {})[entry.letter] = view
            layers = []
            for k in range(1 + max(layer for layer, _ in of)):
                layers.append(Layer(of[k, False], Layer(of[k, True], None) if (k, True) in of else None))
            made = _Views(dict(zip(self._layout.shapes, views, strict=True)), tuple(layers))
            self._made = made  # in one step: another thread may be reading
        return made

    def _entries(self) -> list[tuple[Entry, Array]]:
        """All views, each with what the layout says of it."""
        return list(zip(self._layout.entries, self._views().by_name.values(), strict=True))

    def by_name(self) -> dict[str, Array]:
        """Return all views under their names in files, in the flat order."""
        return dict(self._views().by_name)

    def _only_layer(self, letter: str) -> Layer:
        layers = self.layers
        if len(layers) > 1 or layers[0].reverse is not None:
            got = f"{len(layers)} layers" if len(layers) > 1 else "two directions"
            where = f"layers[k].{letter}" + ("" if layers[0].reverse is None else f" and layers[k].reverse.{letter}")
            raise AttributeError(f"{letter}: expected one layer in one direction, got {got}: use {where}")
        return layers[0]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers from the bottom to the top: ``layers[k].U``, ``W``, ``b``, and ``layers[k].reverse``."""
        return self._views().layers

    @property
    def U(self) -> Array:
        """Input to hidden, ``[n_hidden, n_in]``, of a network of one layer in one direction; else see `layers`."""
        return self._only_layer("U").U

    @U.setter
    def U(self, value: ArrayLike) -> None:
        copy_in("U", self.U, value)

    @property
    def W(self) -> Array:
        """The recurrence, ``[n_hidden, n_hidden]``, or ``[n_hidden, n_out]`` of a `JordanRNN`; else see `layers`."""
        return self._only_layer("W").W

    @W.setter
    def W(self, value: ArrayLike) -> None:
        copy_in("W", self.W, value)

    @property
    def b(self) -> Array:
        """Bias of the hidden units, ``[n_hidden]``, of a network of one layer in one direction; else see `layers`."""
        return self._only_layer("b").b

    @b.setter
    def b(self, value: ArrayLike) -> None:
        copy_in("b", self.b, value)

    @property
    def V(self) -> Array:
        """Top layer to output, ``[n_out, n_hidden]``, or ``[n_out, 2 n_hidden]`` with two directions."""
        return self._views().by_name["V"]

    @V.setter
    def V(self, value: ArrayLike) -> None:
        copy_in("V", self.V, value)

    @property
    def c(self) -> Array:
        """Bias of the outputs, ``[n_out]``."""
        return self._views().by_name["c"]

    @c.setter
    def c(self, value: ArrayLike) -> None:
        copy_in("c", self.c, value)
