"""Spectra of weights, Jacobians along trajectories, and their products: what a state does to the states after it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from bptt._arrays import Array
from bptt._checks import choice, size
from bptt.analysis.dynamics import by_magnitude, dynamics_of, eigenvalues, in_float64
from bptt.analysis.trajectories import Trajectory
from bptt.networks.jordan import JordanRNN


def spectrum(rnn: Any) -> dict[str, Array]:
    """Return the eigenvalues of the recurrence of each layer and direction.

    Where the largest magnitude, the spectral radius, is far from 1, gradients vanish or may explode (sections 8.2.5 and
    10.7). The derivative of the activation, at most 1, is left out, and so is that of the output unit in a `JordanRNN`.

    Parameters
    ----------
    rnn : ElmanRNN or JordanRNN
        The network: with any layers and directions.

    Returns
    -------
    dict of str to ndarray
        Complex128 ``[n]``, the largest magnitude first, under the name that the matrix has in files: ``"W"``; ``"W1"``,
        ``"W2"``, ... of several layers; ``"W_reverse"`` of a second direction. Of a `JordanRNN` ``"V W"``, which takes
        r(t-1) to o(t).

    Raises
    ------
    TypeError, ValueError
        If `rnn` is no network, or a parameter is not finite.

    Examples
    --------
    >>> from bptt.analysis import spectrum
    >>> bool(np.allclose(np.abs(spectrum(rnn)["W"]), 1))  # W is orthogonal at first
    True
    """
    rnn = in_float64(rnn)
    if isinstance(rnn, JordanRNN):
        matrices = {"V W": rnn.V @ rnn.W}
    else:
        matrices = {name: matrix for name, matrix in rnn.by_name().items() if name.startswith("W")}
    if not np.isfinite(rnn.parameters).all():
        raise ValueError("rnn: expected finite parameters, got some that are not")
    return {name: by_magnitude(np.linalg.eigvals(matrix).astype(complex)) for name, matrix in matrices.items()}


def jacobians(rnn: Any, x: Any, **arguments: Any) -> Any:
    """Return the Jacobian ds(t)/ds(t-1) of every step along a trajectory.

    The state s is h of all layers side by side, from the bottom to the top, n numbers. Of one layer the Jacobian is
    ``diag(f'(a(t))) W``. Of leaky units the state is v: ``diag(1 - alpha) + diag(alpha) W diag(f'(v(t-1)))``. Of a
    `JordanRNN` the state is r, its output: ``unit'(o(t)) V diag(f'(a(t))) W``.

    Parameters
    ----------
    rnn : ElmanRNN or JordanRNN
        The network, in one direction.
    x
        As for ``rnn.forward``.
    **arguments
        What ``rnn.forward`` takes beside x: ``h0`` (``r0``), ``lengths``, ``reset`` and, of a `JordanRNN`, ``y``,
        ``teacher_forcing`` and ``seed``. Where a step does not see the state before it, the Jacobian is 0.

    Returns
    -------
    ndarray or list of ndarray
        ``[tau, batch, n, n]`` in the form of x, float64; entry i, j is ds_i(t)/ds_j(t-1). 0 beyond a length.

    Raises
    ------
    TypeError, ValueError
        As from ``rnn.forward``; and if the network has two directions.
    """
    along = Linearised(rnn, x, arguments)
    return along.trajectory.give_back(along.jacobians(slice(None)))


def jacobian_spectrum(rnn: Any, x: Any, **arguments: Any) -> Any:
    """Return the eigenvalues of the Jacobian ds(t)/ds(t-1) of every step along a trajectory.

    Parameters
    ----------
    rnn, x, **arguments
        As for `jacobians`.

    Returns
    -------
    ndarray or list of ndarray
        Complex128 ``[tau, batch, n]`` in the form of x, the largest magnitude first.

    Raises
    ------
    TypeError, ValueError
        As from `jacobians`.
    """
    along = Linearised(rnn, x, arguments)
    steps = [along.eigenvalues(slice(t, t + 1)) for t in range(along.trajectory.tau)]  # n^2 numbers of a step at a time
    return along.trajectory.give_back(np.concatenate(steps))


def jacobian_norms(
    rnn: Any,
    x: Any,
    *,
    since: int | None = None,
    norm: Literal["spectral", "frobenius"] = "spectral",
    **arguments: Any,
) -> Any:
    """Return the norms of ds(t)/ds(s), of which a state s(s) is the cause and s(t) the effect.

    It is the product of the Jacobians of the steps between, equation 10.42 without its simplification. As it vanishes
    or explodes with t - s, so do gradients.

    Parameters
    ----------
    rnn, x
        As for `jacobians`.
    since : int, optional
        One s, from 0 to tau; all of them by default, which takes tau times as long.
    norm : {"spectral", "frobenius"}
        The largest singular value, which is the most that a small change of s(s) can grow by; or the root of the sum of
        their squares.
    **arguments
        As for `jacobians`.

    Returns
    -------
    ndarray or list of ndarray
        ``[tau + 1, batch]`` in the form of x for one s, with t from 0 on: 0 before s, 1 at s ("spectral"). Otherwise
        ``[tau + 1, tau + 1, batch]``, where the entry t, s is the norm of ds(t)/ds(s). 0 beyond a length, infinite
        where the product is too large for float64.

    Raises
    ------
    TypeError, ValueError
        As from `jacobians`.

    Examples
    --------
    >>> from bptt.analysis import jacobian_norms
    >>> jacobian_norms(rnn, x).shape, jacobian_norms(rnn, x, since=2).shape
    ((6, 6), (6,))
    """
    choice("norm", norm, ("spectral", "frobenius"))
    along = Linearised(rnn, x, arguments)
    trajectory = along.trajectory
    tau, batch = trajectory.tau, trajectory.batch
    times = range(tau + 1) if since is None else [size("since", since, 0, tau)]
    found = np.zeros((tau + 1, len(times), batch))
    n = sum(along.dynamics.sizes)
    for column, s in enumerate(times):
        rows = np.broadcast_to(np.eye(n), (batch, n, n))
        for t in range(s, tau + 1):
            if t > s:
                rows = along.push(t - 1, rows)
            is_state = trajectory.lengths >= t
            found[t, column, is_state] = _norms(rows[is_state], norm)
    if trajectory.s.form == "list":
        each = [found[: length + 1, : length + 1, i] for i, length in enumerate(trajectory.s.lengths)]
        return each if since is None else [one[:, 0] for one in each]
    if trajectory.s.form == "single":
        found = found[..., 0]
    return found if since is None else found[:, 0]


def _norms(matrices: Array, norm: str) -> Array:
    """Of ``[m, n, n]``; infinite where an entry is, or is none."""
    is_finite = np.isfinite(matrices).all(axis=(1, 2))
    found = np.full(len(matrices), np.inf)
    found[is_finite] = np.linalg.norm(matrices[is_finite], 2 if norm == "spectral" else "fro", (1, 2))
    return found


class Linearised:
    """The derivative of every step of a trajectory."""

    def __init__(self, rnn: Any, x: Any, arguments: dict[str, Any]) -> None:
        dynamics_of(in_float64(rnn))  # or raise before anything is computed
        self.trajectory = Trajectory(rnn, x, arguments)
        self.dynamics = dynamics_of(self.trajectory.rnn)
        parts = [part for (part,) in self.trajectory.parts]
        before = np.concatenate([part.state for part in parts], axis=2)
        with np.errstate(over="ignore", invalid="ignore"):  # states may be infinite, as those of the network are
            _, self.slopes = self.dynamics.linearise(before, self.dynamics.drive(self.trajectory.x))
        self.is_zero = parts[0].is_cut | ~self.trajectory.exists

    def check_finite(self, begin: int) -> None:
        """Raise ValueError unless all states are finite, where `begin` steps were before these."""
        for (part,) in self.trajectory.parts:
            is_finite = np.isfinite(part.h).all(axis=(1, 2))
            if not is_finite.all():
                t = begin + 1 + int(np.argmin(is_finite))
                raise ValueError(f"rnn: expected states that stay finite, got others at t = {t}")

    def push(self, t: int, rows: Array) -> Array:
        """J of the step with index t times vectors ``rows [batch, k, n]``."""
        with np.errstate(over="ignore", invalid="ignore"):
            after = self.dynamics.push([slope[t] for slope in self.slopes], rows)
        after[self.is_zero[t]] = 0.0
        return after

    def jacobians(self, steps: slice) -> Array:
        transposed = self.dynamics.push([slope[steps] for slope in self.slopes])
        transposed[self.is_zero[steps]] = 0.0
        jacobians: Array = transposed.swapaxes(-1, -2)
        return jacobians

    def eigenvalues(self, steps: slice) -> Array:
        return eigenvalues(self.jacobians(steps), self.dynamics.sizes)
