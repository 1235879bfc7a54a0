"""When training ends, and how the learning rate falls before: what `tol` and `n_iter_no_change` mean."""

from __future__ import annotations

import math


class Convergence:
    """The schedule of a run of training, which is told the loss or the score of each epoch.

    The rate stays while epochs become better by `tol`. After more than `patience` epochs in a row that do not, training
    has converged. If the rate is to be annealed, it then falls linearly to 0 over the last epochs: as many as
    `patience`, and at most half of all. These begin without convergence where `epochs` leaves no more than them.

    Parameters
    ----------
    epochs : int
        How many there are at most.
    updates : int
        How many updates an epoch has.
    patience : int
        How many epochs without a better one change nothing.
    tol : float
        How much better than the best an epoch has to be.
    annealed : bool
        Whether the rate falls to 0 in the end.
    """

    def __init__(self, *, epochs: int, updates: int, patience: int, tol: float, annealed: bool) -> None:
        self._epochs, self._updates, self._patience, self._tol = epochs, updates, patience, tol
        self._last = min(patience, epochs // 2) if annealed else 0  # epochs, in which the rate falls
        self._done = self._waited = 0
        self._best = math.inf
        self.converged = False
        self._falls_from = epochs - self._last  # the epoch

    def __call__(self, update: int) -> float:
        """Return the factor of the learning rate for the update of this number, from 0."""
        fallen = update - self._falls_from * self._updates
        return 1.0 if fallen < 0 or not self._last else max(0.0, 1 - fallen / (self._last * self._updates))

    def end_epoch(self, loss: float) -> bool:
        """Take note of an epoch's loss, or of minus its score. True if training is over."""
        self._done += 1
        if not self.converged and self._done <= self._falls_from:
            self._waited = 0 if loss <= self._best - self._tol else self._waited + 1
            self._best = min(self._best, loss)
            if self._waited > self._patience:
                self.converged = True
                self._falls_from = min(self._falls_from, self._done)
        return self._done >= self._falls_from + self._last
