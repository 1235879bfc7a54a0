"""Streams: a network that goes on one step after another, as its inputs come."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bptt import _core
from bptt._arrays import BOOL, Array, as_array, as_indices, check_shape, shape_text
from bptt._checks import number, size
from bptt.networks.base import RecurrentNetwork

_SETTLED = 16  # rounding errors: what a state at rest may still change from one step to the next


class Stream(_core.Stream):
    """A network that reads one step at a time and carries its state along: ``rnn.stream()`` makes one.

    For every step (equations 10.8-10.10; of several layers as in `ElmanRNN`)::

        a(t) = b + W r(t-1) + U x(t)
        h(t) = f(a(t))
        o(t) = c + V h(t)

    where r(t-1) is the h(t-1) of the step before or, in a `JordanRNN`, what it fed back. (Leaky units carry v(t) beside
    it, from which h(t) follows.) The outputs have the same bits as those of `forward`, however the steps are cut into
    calls. The weights are those that the network had when the stream was made, until `refresh`.

    A stream belongs to one thread at a time, else `RuntimeError`. Several streams go on side by side. A call of less
    than about 20 microseconds holds Python's lock. It takes no other, asks the system for nothing and, with `out`,
    allocates nothing.

    Examples
    --------
    >>> import numpy as np
    >>> import bptt
    >>> rnn = bptt.ElmanRNN(3, 8, 2, seed=0)
    >>> stream = rnn.stream()
    >>> for x_t in np.ones((5, 3), np.float32):
    ...     o = stream.step(x_t)
    >>> bool((o == rnn.forward(np.ones((5, 3), np.float32)).o[-1]).all())
    True
    """

    __slots__ = ("_batch", "_initial", "_network")

    def __init__(self, network: RecurrentNetwork, initial: Any, batch: int | None) -> None:
        if batch is not None:
            size("batch", batch, 1)
        states = network._states
        name = states.name
        options = network._options
        if options.bidirectional:
            raise ValueError("bidirectional: expected False for a stream, as the reverse direction begins at the end")
        if initial is None:
            rows = batch or 1
            self._initial: list[Array] = states.zeros(rows, options.dtype)
        else:
            arrays, single = states.read_alone(initial, options.dtype)
            rows = len(arrays[0])
            if single and batch is not None:
                raise ValueError(f"{name}: expected a row for each of the {batch} sequences, got one without that axis")
            if not single and batch not in (None, rows):
                raise ValueError(f"{name}: expected {batch} rows, as batch says, got {rows}")
            batch = None if single else rows
            self._initial = [array.copy() for array in arrays]
        if hasattr(self, "_network"):
            raise TypeError("stream: expected one call of __init__, got a second one")
        super().__init__(network=network._core, parameters=network._flat, rows=rows, has_batch_axis=batch is not None)
        self._network = network
        self._batch = batch
        self._write_state(self._initial)

    @property
    def network(self) -> RecurrentNetwork:
        """Whose stream it is."""
        return self._network

    @property
    def batch(self) -> int | None:
        """How many sequences go side by side; None for a single one, without a batch axis."""
        return self._batch

    # ---- Steps: what the core's `step` and `run` do not read as it is comes here ----

    def _step(self, x_t: Any, y: Any, out: Any) -> Array:
        return self._checked(self._step_plain, "x_t", x_t, y, out, ())

    def _run(self, x: Any, y: Any, out: Any) -> Array:
        with contextlib.suppress(TypeError):  # it has no axis, as `_plain` will say
            if len(x) == 0:
                raise ValueError("x: expected at least one time step, got none")
        return self._checked(self._run_plain, "x", x, y, out, ("steps",))

    def _checked(
        self, call: Callable[..., Array], x_name: str, x: Any, y: Any, out: Any, steps: tuple[int | str, ...]
    ) -> Array:
        options = self.network._options
        leading = steps if self.batch is None else (*steps, self.batch)
        tokens, classes = options.input == "token", options.output == "softmax"
        read = _plain(x_name, x, leading if tokens else (*leading, options.n_in), None if tokens else options.dtype)
        if steps:
            leading = (len(read), *leading[1:])
        fed = None
        if y is not None:
            if options.recurrence == "h":
                raise ValueError("y: expected None, as what the steps of an ElmanRNN see is their state")
            fed = _plain("y", y, leading if classes else (*leading, options.n_out), None if classes else options.dtype)
        if out is None:
            return call(read, y=fed)
        shape = (*leading, options.n_out)
        if not isinstance(out, np.ndarray):
            raise TypeError(f"out: expected an array, got {type(out).__name__}")
        if out.dtype != options.dtype:
            raise TypeError(f"out: expected {options.dtype}, got {out.dtype}")
        check_shape("out", out, shape)
        if not out.flags.writeable:
            raise ValueError("out: expected an array that can be written, got a read-only one")
        out[...] = call(read, y=fed)
        return out

    # ---- The state ----

    @property
    def state(self) -> Any:
        """What the next step sees, in the form of h0 (v0 of leaky units, r0 of a `JordanRNN`): a copy.

        Assigning one copies it in.
        """
        return self._in_users_form(self._read_state()[:-1])

    @state.setter
    def state(self, value: Any) -> None:
        states, dtype = self.network._states, self.network._dtype
        arrays, single = states.read_alone(value, dtype, name="state")
        if single != (self.batch is None) or (not single and len(arrays[0]) != self.batch):
            rows = "one sequence" if self.batch is None else f"{self.batch} sequences"
            raise ValueError(f"state: expected that of {rows}, got {np.shape(arrays[0][0] if single else arrays[0])}")
        self._write_state([np.ascontiguousarray(array) for array in arrays])

    def _in_users_form(self, arrays: list[Array]) -> Any:
        return self.network._states.nested([array[0] if self.batch is None else array for array in arrays])

    def reset(self, mask: ArrayLike | None = None) -> None:
        """Go back to the state in which the stream began, or which `settle` has found.

        Parameters
        ----------
        mask : array_like of bool, optional
            ``[batch]``: the sequences that go back; all by default.

        Raises
        ------
        TypeError, ValueError
            If `mask` is not of that form, or the stream has no batch axis.
        """
        if mask is None:
            return self._write_state(self._initial)
        if self.batch is None:
            raise ValueError("mask: expected None, as the stream has a single sequence")
        chosen = as_array("mask", mask, BOOL)
        check_shape("mask", chosen, (self.batch,))
        self._write_state(
            [
                np.where(chosen[:, None], first, now)
                for first, now in zip(self._initial, self._read_state()[:-1], strict=True)
            ]
        )
        return None

    def settle(self, x: Any, *, tolerance: float | None = None, most_steps: int = 100_000) -> int:
        """Run on a constant input until the state stands still, and keep that state for `reset`.

        A network that begins with h(0) = 0 takes some steps until its output is at rest. A listener hears them.

        Parameters
        ----------
        x : array_like
            The input, in the form of the `x_t` of `step`.
        tolerance : float, optional
            The state stands still when no number in it changes by more than this from one step to the next, nor by more
            than this part of a layer's largest number. By default 16 times the rounding error of 1: 1.9e-6 in float32,
            3.6e-15 in float64.
        most_steps : int
            After so many steps it is given up.

        Returns
        -------
        int
            How many steps were taken. The stream is in the state that they led to.

        Raises
        ------
        ValueError
            If the state does not stand still, as a network may oscillate for ever; or if it is not finite. The stream
            is as it was.
        """
        if tolerance is None:
            tolerance = _SETTLED * float(np.finfo(self.network.dtype).eps)
        number("tolerance", tolerance, 0, np.inf)
        size("most_steps", most_steps, 1)
        begin = self._read_state()
        try:
            before, change = begin[:-1], 0.0
            for step in range(1, most_steps + 1):
                try:
                    self.step(x)
                except (TypeError, ValueError) as error:  # which names the argument of `step`
                    raise type(error)(str(error).replace("x_t: ", "x: ", 1)) from None
                now = self._read_state()[:-1]
                if not all(np.isfinite(layer).all() for layer in now):
                    raise ValueError(f"x: expected a finite state, got NaN or infinity after step {step}")
                change = max(_change(a, b) for a, b in zip(now, before, strict=True))
                if change <= tolerance:
                    self._initial = now
                    return step
                before = now
            raise ValueError(
                f"tolerance: expected a state that stands still within {most_steps} steps, "
                f"got one that still changes by {change:g} a step, more than {tolerance:g}"
            )
        except BaseException:
            self._write_state(begin)
            raise

    def y_hat(self) -> Array:
        """Return the output units' values of the last o(t) (equation 10.11).

        Returns
        -------
        ndarray
            ``[n_out]`` or ``[batch, n_out]``; of o = 0 before the first step.
        """
        o = self._read_state()[-1]
        y_hat = np.empty_like(o)
        _core.output_unit(output=self.network.output, o=o, y_hat=y_hat)
        return y_hat[0] if self.batch is None else y_hat

    def refresh(self) -> None:
        """Read the network's parameters again. The state stays."""
        self._refresh(self.network._flat)

    def __repr__(self) -> str:
        batch = "" if self.batch is None else f", batch={self.batch}"
        return f"Stream({self.network!r}{batch})"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("stream: expected no copy and no pickle of it; make another one, and assign its state")


def _change(now: Array, before: Array) -> float:
    """The largest change of a number, or the part of the largest number that it is, where that is less."""
    return float(np.abs(now - before).max()) / max(1.0, float(np.abs(now).max()))


def _plain(name: str, value: Any, shape: tuple[int | str, ...], dtype: np.dtype[Any] | None) -> Array:
    """`value` as an array that the core reads as it is: of numbers, or of indices where dtype is None."""
    array = as_indices(name, value) if dtype is None else as_array(name, value, dtype)
    if array.ndim != len(shape):
        expected = shape_text(shape) if shape else "one number"
        raise ValueError(f"{name}: expected {expected}, got {array.shape}")
    check_shape(name, array, shape)
    dtype = dtype or np.dtype(array.dtype.str)  # NumPy's own, where there are two of a width
    plain = np.empty(array.shape, dtype)  # a copy: what is not plain may also overlap `out`
    plain[...] = array
    return plain
