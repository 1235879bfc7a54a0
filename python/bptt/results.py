"""What calls give back: runs, and gradients under the book's letters. Knows no equations."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from bptt import _core
from bptt._inputs import Array

LETTERS = ("U", "W", "b", "V", "c")


class Letters:
    """Views of one flat vector under the book's letters: U, W, b, V, c in this order, each in C order, without gaps."""

    __slots__ = ("_shapes", "_views", "flat")

    def __init__(self, flat: Array, shapes: dict[str, tuple[int, ...]]) -> None:
        self.flat = flat
        self._shapes = shapes
        self._views: dict[str, Array] = {}  # made when first asked for: a training loop needs `flat` alone

    def _view(self, letter: str) -> Array:
        if not self._views:
            views, end = {}, 0
            for name, shape in self._shapes.items():
                begin, end = end, end + math.prod(shape)
                views[name] = self.flat[begin:end].reshape(shape)
            self._views = views  # in one step: another thread may be reading
        return self._views[letter]

    @property
    def U(self) -> Array:
        """Input to hidden, ``[n_hidden, n_in]``."""
        return self._view("U")

    @property
    def W(self) -> Array:
        """The recurrence, ``[n_hidden, n_hidden]``, or ``[n_hidden, n_out]`` of a `JordanRNN`."""
        return self._view("W")

    @property
    def b(self) -> Array:
        """Bias of the hidden units, ``[n_hidden]``."""
        return self._view("b")

    @property
    def V(self) -> Array:
        """Hidden to output, ``[n_out, n_hidden]``."""
        return self._view("V")

    @property
    def c(self) -> Array:
        """Bias of the outputs, ``[n_out]``."""
        return self._view("c")


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

    __slots__ = ("x",)
    _INITIAL: ClassVar[str]

    def __init__(self, flat: Array, shapes: dict[str, tuple[int, ...]], x: Any) -> None:
        super().__init__(flat, shapes)
        self.x = x

    def __repr__(self) -> str:
        letters = ", ".join((*LETTERS, self._INITIAL, *(() if self.x is None else ("x",))))
        return f"Gradients({letters}: norm {np.linalg.norm(self.flat):.6g})"


class ElmanGradients(Gradients):
    """`Gradients` of an `ElmanRNN`.

    Attributes
    ----------
    U, W, b, V, c, flat, x
        As for `Gradients`.
    h0 : ndarray
        dL/dh(0), ``[batch, n_hidden]`` (``[n_hidden]`` for a single sequence).
    h_last : ndarray
        No gradient: the last state of each sequence, ``[batch, n_hidden]``, from which the next window of a stream
        goes on.
    """

    __slots__ = ("h0", "h_last")
    _INITIAL: ClassVar[str] = "h0"

    def __init__(self, flat: Array, shapes: dict[str, tuple[int, ...]], x: Any, h0: Array, h_last: Array) -> None:
        super().__init__(flat, shapes, x)
        self.h0 = h0
        self.h_last = h_last


class JordanGradients(Gradients):
    """`Gradients` of a `JordanRNN`.

    Attributes
    ----------
    U, W, b, V, c, flat, x
        As for `Gradients`.
    r0 : ndarray
        dL/dr(0), ``[batch, n_out]`` (``[n_out]`` for a single sequence).
    r_last : ndarray
        No gradient: what a step after the last would see, ``[batch, n_out]``, from which the next window of a stream
        goes on. Where that step is forced it is the last target, as a vector, 0 where there is none; where it is free
        it is the network's own last output.
    """

    __slots__ = ("r0", "r_last")
    _INITIAL: ClassVar[str] = "r0"

    def __init__(self, flat: Array, shapes: dict[str, tuple[int, ...]], x: Any, r0: Array, r_last: Array) -> None:
        super().__init__(flat, shapes, x)
        self.r0 = r0
        self.r_last = r_last


class Run:
    """What a forward pass computed. All arrays have the form of x: no batch axis for a single sequence, a list for a
    list.

    Attributes
    ----------
    h : ndarray or list of ndarray
        h(1), ..., h(tau), ``[tau, batch, n_hidden]``; 0 beyond a length.
    o : ndarray or list of ndarray
        o(t), ``[tau, batch, n_out]``, 0 beyond a length; ``[batch, n_out]`` for ``readout="last"``.

    See Also
    --------
    ElmanRun, JordanRun : what each network adds.
    """

    __slots__ = ("_lengths", "_output", "_y_hat", "h", "o")

    def __init__(self, output: str, h: Any, o: Any, lengths: list[int] | None) -> None:
        self.h = h
        self.o = o
        self._output = output
        self._lengths = lengths  # of a padded batch with an output at every step
        self._y_hat: Any = None

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
        _core.output_unit(self._output, o, y_hat)
        return y_hat

    def __repr__(self) -> str:
        if isinstance(self.h, list):
            return f"Run({len(self.h)} sequences of {min(map(len, self.h))} to {max(map(len, self.h))} steps)"
        return f"Run(h {list(self.h.shape)}, o {list(self.o.shape)}, {self.h.dtype})"


class ElmanRun(Run):
    """The `Run` of an `ElmanRNN`.

    Attributes
    ----------
    h, o, y_hat
        As for `Run`.
    h_last : ndarray
        The last state of each sequence, ``[batch, n_hidden]`` (``[n_hidden]`` for a single sequence).
    """

    __slots__ = ("h_last",)

    def __init__(self, output: str, h: Any, o: Any, lengths: list[int] | None, h_last: Array) -> None:
        super().__init__(output, h, o, lengths)
        self.h_last = h_last


class JordanRun(Run):
    """The `Run` of a `JordanRNN`.

    Attributes
    ----------
    h, o, y_hat
        As for `Run`.
    r_last : ndarray
        What a step after the last would see, ``[batch, n_out]`` (``[n_out]`` for a single sequence): each sequence's
        last y_hat(t) or o(t), whichever is fed back.
    """

    __slots__ = ("r_last",)

    def __init__(self, output: str, h: Any, o: Any, lengths: list[int] | None, r_last: Array) -> None:
        super().__init__(output, h, o, lengths)
        self.r_last = r_last
