"""What calls give back: runs, and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bptt import _core
from bptt._arrays import Array
from bptt.networks.docstrings import shared_paragraphs
from bptt.networks.parameters import Layout, Letters

Parts = tuple[Array, Layout, Any, Any, Any, str]  # what Gradients are made of
WayBack = Callable[[Any, Any, bool], Parts]  # from d_o, d_h, wrt_x


class Gradients(Letters):
    """Gradients of the loss, each under the letter of what it belongs to (equations 10.22-10.28).

    Attributes
    ----------
    U, W, b, V, c : ndarray
        dL/dU and so on, with the shape and dtype of the parameter.
    flat : ndarray
        All of them in one vector, laid out like ``rnn.parameters``.
    x : ndarray, list of ndarray, or None
        dL/dx(t) in the form of x, 0 beyond a length; None unless ``wrt_x=True``.

    See Also
    --------
    ElmanGradients, JordanGradients : what each network adds.
    """

    __slots__ = ("_initial", "_last", "_name", "x")

    def __init__(self, flat: Array, layout: Layout, x: Any, initial: Any, last: Any, name: str) -> None:
        self._flat, self._layout, self._made = flat, layout, None  # as `Letters` begins, at half the cost
        self.x = x
        self._initial = initial  # dL/dr(0)
        self._last = last  # what a step after the last would see
        self._name = name  # of r(0), as users call it

    @property
    def flat(self) -> Array:
        """All gradients in one vector, laid out like ``rnn.parameters``."""
        return self._flat

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._flat, self._layout, self.x, self._initial, self._last, self._name)

    def __repr__(self) -> str:
        names = ", ".join((*self._layout.shapes, self._name, *(() if self.x is None else ("x",))))
        return f"Gradients({names}: norm {np.linalg.norm(self._flat):.6g})"


def _only_with(letter: str, name: str, asked: str) -> None:
    """Raise AttributeError unless the state whose initial value users call `name` has this letter."""
    if name[0] != letter:
        units = "leaky units, whose state is v" if name == "v0" else "units without a leak, whose state is h"
        other = asked.replace(letter, name[0], 1)
        raise AttributeError(f"{asked}: expected {other}, as the network has {units}")


class ElmanGradients(Gradients):
    """`Gradients` of an `ElmanRNN`, with ``h0`` and ``h_last``; of leaky units with ``v0`` and ``v_last`` instead."""

    __slots__ = ()

    @property
    def h0(self) -> Any:
        """dL/dh(0), ``[batch, n_hidden]`` (``[n_hidden]`` for a single sequence), or a list: in the form of h0."""
        _only_with("h", self._name, "h0")
        return self._initial

    @property
    def h_last(self) -> Any:
        """No gradient: the last state of each sequence, in the form of h0, from which the next window goes on."""
        _only_with("h", self._name, "h_last")
        return self._last

    @property
    def v0(self) -> Any:
        """Of leaky units: dL/dv(0), in the form of v0."""
        _only_with("v", self._name, "v0")
        return self._initial

    @property
    def v_last(self) -> Any:
        """Of leaky units, and no gradient: the last v(t) of each sequence, from which the next window goes on."""
        _only_with("v", self._name, "v_last")
        return self._last


class JordanGradients(Gradients):
    """`Gradients` of a `JordanRNN`, with ``r0`` and ``r_last``."""

    __slots__ = ()

    @property
    def r0(self) -> Array:
        """dL/dr(0), ``[batch, n_out]`` (``[n_out]`` for a single sequence)."""
        array: Array = self._initial
        return array

    @property
    def r_last(self) -> Array:
        """No gradient: what a step after the last would see, ``[batch, n_out]``, from which the next window goes on.

        Where that step is forced it is the last target, as a vector, 0 where there is none; where it is free it is the
        network's own last output.
        """
        array: Array = self._last
        return array


class Run:
    """What a forward pass computed. All arrays have the form of x: no batch axis for a single sequence, a list for a
    list.

    Attributes
    ----------
    h : ndarray or list of ndarray
        h(1), ..., h(tau) of the top layer, ``[tau, batch, n_hidden]``, or ``[tau, batch, 2 n_hidden]`` with two
        directions, the forward one first; 0 beyond a length.
    layers : list or None
        The same for each layer, from the bottom to the top; None unless ``all_layers=True``.
    o : ndarray or list of ndarray
        o(t), ``[tau, batch, n_out]``, 0 beyond a length; ``[batch, n_out]`` for ``readout="last"``.

    See Also
    --------
    ElmanRun, JordanRun : what each network adds.
    """

    __slots__ = ("_last", "_lengths", "_name", "_output", "_v", "_way_back", "_y_hat", "h", "layers", "o")

    def __init__(
        self,
        output: str,
        h: list[Any],
        all_layers: bool,
        o: Any,
        lengths: list[int] | None,
        last: Any,
        name: str,
        way_back: WayBack | None,
        v: list[Any] | None,
    ) -> None:
        self.h = h[-1]
        self.layers = h if all_layers else None
        self.o = o
        self._output = output
        self._lengths = lengths  # of a padded batch with an output at every step
        self._last = last
        self._name = name  # of the state before the first step, as users call it
        self._way_back = way_back
        self._v = v
        self._y_hat: Any = None

    def _gradients(self, d_o: Any, d_h: Any, wrt_x: bool) -> Parts:
        if self._way_back is None:
            raise ValueError(
                "gradient: expected a run of forward(..., gradient=True), which keeps what the way back needs"
            )
        return self._way_back(d_o, d_h, wrt_x)

    @property
    def y_hat(self) -> Any:
        """The output units' values of o (equation 10.11), computed when first asked for; 0 beyond a length."""
        if self._y_hat is None:
            if isinstance(self.o, list):
                self._y_hat = [self._unit(o) for o in self.o]
            else:
                y_hat = self._unit(self.o)
                for i, length in enumerate(self._lengths or ()):
                    y_hat[length:, i] = 0
                self._y_hat = y_hat
        return self._y_hat

    def _unit(self, o: Array) -> Array:
        o = np.ascontiguousarray(o)
        y_hat = np.empty_like(o)
        _core.output_unit(output=self._output, o=o, y_hat=y_hat)
        return y_hat

    def __repr__(self) -> str:
        if isinstance(self.h, list):
            return f"Run({len(self.h)} sequences of {min(map(len, self.h))} to {max(map(len, self.h))} steps)"
        return f"Run(h {list(self.h.shape)}, o {list(self.o.shape)}, {self.h.dtype})"


class ElmanRun(Run):
    """The `Run` of an `ElmanRNN`, with ``h_last``; of leaky units with ``v_last`` instead, and ``v`` on request."""

    __slots__ = ()

    @shared_paragraphs
    def backward(self, d_o: Any = None, d_h: Any = None, wrt_x: bool = False) -> ElmanGradients:
        """{backward}

        Parameters
        ----------
        {d_o, d_h}
        {wrt_x}

        Returns
        -------
        ElmanGradients
            As from `loss_and_gradients`, with ``h0`` (``v0`` of leaky units), without ``h_last``.
        """
        return ElmanGradients(*self._gradients(d_o, d_h, wrt_x))

    @property
    def h_last(self) -> Any:
        """The last state of each sequence, ``[batch, n_hidden]`` (``[n_hidden]`` for a single sequence).

        Of several layers it is a list with an entry a layer, of two directions a list of pairs (forward, reverse). The
        reverse direction ends at t = 1.
        """
        _only_with("h", self._name, "h_last")
        return self._last

    @property
    def v_last(self) -> Any:
        """Of leaky units: the last v(t) of each sequence, in the form of v0."""
        _only_with("v", self._name, "v_last")
        return self._last

    @property
    def v(self) -> Any:
        """Of leaky units: v(1), ..., v(tau) of the top layer, in the form of ``h``; None unless ``v=True``."""
        _only_with("v", self._name, "v")
        return None if self._v is None else self._v[-1]

    @property
    def v_layers(self) -> Any:
        """The same for each layer, from the bottom to the top; None unless ``v=True`` and ``all_layers=True``."""
        _only_with("v", self._name, "v_layers")
        return self._v if self.layers is not None else None


class JordanRun(Run):
    """The `Run` of a `JordanRNN`, with ``r_last``."""

    __slots__ = ()

    @shared_paragraphs
    def backward(self, d_o: Any = None, d_h: Any = None, wrt_x: bool = False) -> JordanGradients:
        """{backward}

        What a step saw of the network's own output sends its gradient back through that output. A target sends none.

        Parameters
        ----------
        {d_o, d_h}
        {wrt_x}

        Returns
        -------
        JordanGradients
            As from `loss_and_gradients`, with ``r0``, without ``r_last``.
        """
        return JordanGradients(*self._gradients(d_o, d_h, wrt_x))

    @property
    def r_last(self) -> Array:
        """What a step after the last would see, ``[batch, n_out]`` (``[n_out]`` for a single sequence).

        It is each sequence's last y_hat(t) or o(t), whichever is fed back.
        """
        array: Array = self._last
        return array
