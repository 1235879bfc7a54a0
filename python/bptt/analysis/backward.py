"""Back-propagation through time with every step kept: a(t), h(t), dL/do(t), dL/dh(t) and dL/da(t)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt._arrays import Array
from bptt.analysis.dynamics import FLOAT64, OUTPUT_UNIT, SLOPE, UNIT_TANGENT, fed_back_unit, in_float64
from bptt.analysis.trajectories import Part, Trajectory, fixed_seed


@dataclass(frozen=True, repr=False, eq=False)
class LayerSteps:
    """The steps of a layer in one direction: an entry of `BackwardSteps.layers`.

    Attributes
    ----------
    a, h : ndarray or list of ndarray
        a(t) and h(t), ``[tau, batch, n]`` in the form of x; 0 beyond a length.
    d_h, d_a : ndarray or list of ndarray
        dL/dh(t) and dL/da(t), of the same shape.
    reverse : LayerSteps or None
        Those of the second direction.
    """

    a: Any
    h: Any
    d_h: Any
    d_a: Any
    reverse: LayerSteps | None

    @property
    def d_h_norm(self) -> Any:
        """The Euclidean norm of dL/dh(t), ``[tau, batch]`` in the form of x."""
        return _norms(self.d_h)

    @property
    def d_a_norm(self) -> Any:
        """The Euclidean norm of dL/da(t), ``[tau, batch]`` in the form of x."""
        return _norms(self.d_a)

    def __repr__(self) -> str:
        return f"LayerSteps({_told(self.h)}{'' if self.reverse is None else ', reverse'})"


@dataclass(frozen=True, repr=False, eq=False)
class BackwardSteps:
    """What `backward_steps` gives back, in float64. All arrays have the form of x and are 0 beyond a length.

    Attributes
    ----------
    loss : float or None
        The total loss, equation 10.12; None if the gradients came as `d_o` or `d_h`.
    o, d_o : ndarray or list of ndarray
        o(t) and dL/do(t), ``[tau, batch, n_out]``; ``[batch, n_out]`` for ``readout="last"``. In a `JordanRNN` the
        latter has what comes back from the next step.
    layers : tuple of LayerSteps
        From the bottom to the top: ``layers[k].a``, ``h``, ``d_h``, ``d_a``, and ``layers[k].reverse``.
    a, h, d_h, d_a, d_h_norm, d_a_norm : ndarray or list of ndarray
        Those of ``layers[0]``, if the network has one layer in one direction.
    """

    loss: float | None
    o: Any
    d_o: Any
    layers: tuple[LayerSteps, ...]

    def _only(self, name: str) -> Any:
        if len(self.layers) > 1 or self.layers[0].reverse is not None:
            got = f"{len(self.layers)} layers" if len(self.layers) > 1 else "two directions"
            raise AttributeError(f"{name}: expected one layer in one direction, got {got}: use layers[k].{name}")
        return getattr(self.layers[0], name)

    @property
    def a(self) -> Any:
        return self._only("a")

    @property
    def h(self) -> Any:
        return self._only("h")

    @property
    def d_h(self) -> Any:
        return self._only("d_h")

    @property
    def d_a(self) -> Any:
        return self._only("d_a")

    @property
    def d_h_norm(self) -> Any:
        return self._only("d_h_norm")

    @property
    def d_a_norm(self) -> Any:
        return self._only("d_a_norm")

    def __repr__(self) -> str:
        loss = "" if self.loss is None else f", loss {self.loss:.6g}"
        return f"BackwardSteps({len(self.layers)} layers, {_told(self.layers[0].h)}{loss})"


def backward_steps(
    rnn: Any, x: Any, y: Any = None, *, d_o: Any = None, d_h: Any = None, **arguments: Any
) -> BackwardSteps:
    """Go back through time and keep what is computed of every step (equations 10.18-10.21).

    ::

        dL/do(t) = y_hat(t) - y(t)                             (10.18, times the weight)
        dL/dh(t) = V^T dL/do(t) + W^T dL/da(t+1)               (10.19-10.21)
        dL/da(t) = f'(a(t)) dL/dh(t)

    Of leaky units ``dL/dv(t) = f'(v(t)) dL/dh(t) + (1 - alpha) dL/dv(t+1)`` and ``dL/da(t) = alpha dL/dv(t)``.
    The norms of the last two show how gradients vanish or explode through time. Their sums over the steps are the
    gradients of `loss_and_gradients`: ``gradients.b`` is the sum of ``d_a``. All is computed in float64, whatever the
    dtype of the network.

    Parameters
    ----------
    rnn : ElmanRNN or JordanRNN
        The network: with any layers and directions.
    x, y
        As for ``rnn.loss``.
    d_o, d_h : array_like, or list of array_like where x is a list, optional
        In place of y, dL/do(t) and dL/dh(t) of a loss of your own, as for ``run.backward``: what comes directly from
        that loss. A `JordanRNN` may have y beside them, for its steps to see.
    **arguments
        What ``rnn.loss`` takes beside x and y: ``h0`` (``r0``), ``lengths``, ``weight``, ``reset`` and, of a
        `JordanRNN`, ``teacher_forcing`` and ``seed``. With `d_o` or `d_h` what ``rnn.forward`` takes.

    Returns
    -------
    BackwardSteps
        With ``loss``, ``o``, ``d_o`` and, of each layer, ``a``, ``h``, ``d_h``, ``d_a`` and their norms.

    Raises
    ------
    TypeError, ValueError
        As from ``rnn.loss``; and if there is neither y nor a gradient, or both.

    Examples
    --------
    >>> from bptt.analysis import backward_steps
    >>> steps = backward_steps(rnn, x, y)
    >>> steps.d_h.shape, steps.d_h_norm.shape
    ((5, 8), (5,))
    >>> bool(np.allclose(steps.d_a.sum(axis=0), gradients.b))
    True
    """
    loss = None
    if d_o is not None or d_h is not None:
        twin = in_float64(rnn)
        if y is not None and not twin.feeds_outputs_back:
            raise TypeError("y: expected None beside d_o or d_h, as the steps of an ElmanRNN see no targets")
        trajectory = Trajectory(twin, x, arguments if y is None else {**arguments, "y": y})
        direct = _own_output_gradients(trajectory, d_o)
    elif y is None:
        raise ValueError("y: expected targets, or dL/do as d_o or dL/dh as d_h, got none of them")
    else:
        twin = in_float64(rnn)
        arguments |= fixed_seed(arguments)
        loss = twin.loss(x, y, **arguments)  # which checks all arguments
        weight = arguments.pop("weight", None)
        if twin.feeds_outputs_back:
            arguments["y"] = y
        trajectory = Trajectory(twin, x, arguments, weight)
        direct = _output_gradients(trajectory, y, weight)
    top = _own_state_gradients(trajectory, d_h)
    if trajectory.is_jordan:
        (part,) = trajectory.parts[0]
        direct, dh, da = _feedback(trajectory.rnn, part, direct, top)
        layers = [_steps(trajectory, [part], [dh], [da])]
    else:
        layers = _stack(trajectory, top + _through_readout(trajectory, direct))
    o, d_o = (trajectory.give_back_outputs(array) for array in (trajectory.run.o, direct))
    return BackwardSteps(loss, o, d_o, tuple(layers))


# ---- From the loss to the outputs, and to the states of the top layer ----


def _output_gradients(trajectory: Trajectory, y: Any, weight: Any) -> Array:
    """The part of dL/do(t) that comes from L(t), ``[tau, batch, n_out]`` or ``[batch, n_out]``."""
    targets, weights = trajectory.targets(y, weight)
    y_hat = trajectory.run.y_hat
    differences = y_hat - np.where(weights != 0.0, targets, y_hat)  # a target of weight 0 is not read
    d_o: Array = np.where(weights != 0.0, weights * differences, 0.0)  # 10.18
    return d_o


def _own_output_gradients(trajectory: Trajectory, d_o: Any) -> Array:
    s, n_out = trajectory.s, trajectory.rnn.n_out
    if d_o is None:
        return np.zeros((*((trajectory.tau,) if trajectory.every_step else ()), trajectory.batch, n_out))
    if trajectory.every_step:
        return trajectory.padded(s.every_step("d_o", d_o, n_out, FLOAT64))
    return s.one_row("d_o", d_o, n_out, FLOAT64)


def _own_state_gradients(trajectory: Trajectory, d_h: Any) -> Array:
    """What the loss itself gives of dL/dh(t) of the top layer, ``[tau, batch, n]``."""
    width = sum(part.h.shape[-1] for part in trajectory.parts[-1])
    if d_h is None:
        return np.zeros((trajectory.tau, trajectory.batch, width))
    return trajectory.padded(trajectory.s.every_step("d_h", d_h, width, FLOAT64))


def _through_readout(trajectory: Trajectory, d_o: Array) -> Array:
    """V^T dL/do(t), ``[tau, batch, n]``; that of one output (figure 10.5) belongs to each direction's last state."""
    from_output: Array = d_o @ trajectory.rnn.V
    if trajectory.every_step:
        return from_output
    above = np.zeros((trajectory.tau, *from_output.shape))
    n = trajectory.parts[-1][0].h.shape[-1]
    above[trajectory.lengths - 1, np.arange(trajectory.batch), :n] = from_output[:, :n]
    above[0, :, n:] = from_output[:, n:]
    return above


# ---- Through the layers ----


def _stack(trajectory: Trajectory, above: Array) -> list[LayerSteps]:
    """From the top layer to the lowest."""
    layers: list[LayerSteps] = []
    slope = SLOPE[trajectory.rnn.activation]
    for k in reversed(range(len(trajectory.parts))):
        parts = trajectory.parts[k]
        from_above = np.split(above, len(parts), axis=2)
        found = [_through_time(part, above_d, slope(part.h)) for part, above_d in zip(parts, from_above, strict=True)]
        layers.insert(0, _steps(trajectory, parts, [dh for dh, _ in found], [da for _, da in found]))
        if k > 0:
            above = np.sum([da @ part.letters.U for part, (_, da) in zip(parts, found, strict=True)], axis=0)
    return layers


def _through_time(part: Part, from_above: Array, slope: Array) -> tuple[Array, Array]:
    """dL/dh(t) and dL/da(t) of a layer in one direction, of which `from_above` comes through what is above."""
    dh, da = from_above.copy(), np.zeros_like(from_above)
    from_next = np.zeros_like(from_above[0])  # W^T da(t+1); no step follows the last
    leaked = 0.0 * from_next  # (1 - alpha) dv(t+1) of leaky units
    for t in reversed(part.order()):
        dh[t] += from_next  # 10.19-10.21
        da[t] = slope[t] * dh[t] + leaked
        if part.alpha is not None:
            leaked = (1.0 - part.alpha) * da[t]
            leaked[part.is_cut[t]] = 0.0
            da[t] *= part.alpha
        from_next = da[t] @ part.letters.W
        from_next[part.is_cut[t]] = 0.0
    return dh, da


def _feedback(rnn: Any, part: Part, direct: Array, own: Array) -> tuple[Array, Array, Array]:
    """dL/do(t), dL/dh(t) and dL/da(t) of a `JordanRNN`, whose r(t) brings back what the next step has."""
    unit = fed_back_unit(rnn)
    unit_tangent, r = UNIT_TANGENT[unit], OUTPUT_UNIT[unit](rnn.c + part.h @ rnn.V.T)
    slope = SLOPE[rnn.activation](part.h)
    do, dh, da = direct.copy(), np.zeros_like(part.h), np.zeros_like(part.h)
    dr = np.zeros_like(do[0])
    for t in reversed(range(len(do))):
        do[t] += unit_tangent(r[t], dr)
        dh[t] = do[t] @ rnn.V + own[t]
        da[t] = slope[t] * dh[t]
        dr = da[t] @ rnn.W
        dr[part.is_cut[t]] = 0.0
    return do, dh, da


# ---- What is given back ----


def _steps(trajectory: Trajectory, parts: list[Part], dh: list[Array], da: list[Array]) -> LayerSteps:
    steps: LayerSteps | None = None  # of the second direction, while the first is made
    for part, dh_d, da_d in reversed(list(zip(parts, dh, da, strict=True))):
        a = np.where(trajectory.exists[..., None], part.preactivation(), 0.0)
        a, h, d_h, d_a = map(trajectory.give_back, (a, part.h, dh_d, da_d))
        steps = LayerSteps(a, h, d_h, d_a, steps)
    assert steps is not None
    return steps


def _norms(vectors: Any) -> Any:
    if isinstance(vectors, list):
        return [_norms(one) for one in vectors]
    return np.linalg.norm(vectors, axis=-1)


def _told(h: Any) -> str:
    if isinstance(h, list):
        return f"{len(h)} sequences of {min(map(len, h))} to {max(map(len, h))} steps"
    return f"h {list(h.shape)}"
