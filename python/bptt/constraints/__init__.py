"""Constraints on parameters: fixed zeros, signs of columns (Dale's law), what is frozen, bounds on norms.

>>> from bptt.constraints import dale, initialize, mask, no_self_connections
>>> rnn = bptt.ElmanRNN(3, 10, 2, activation="relu")
>>> rnn.constraints = [dale(excitatory=0.8), no_self_connections()]
>>> initialize(rnn, seed=0)
>>> int(rnn.constraints.excitatory.sum())
8

From there on each `fit` and each ``optimizer.step(rnn, gradients)`` keeps them, exactly. They are saved with the model.
"""

from bptt.constraints.held import Constraints
from bptt.constraints.initial import initialize
from bptt.constraints.kinds import Constraint, blocks, dale, frozen, mask, max_norm, no_self_connections, signs

__all__ = [
    "Constraint",
    "Constraints",
    "blocks",
    "dale",
    "frozen",
    "initialize",
    "mask",
    "max_norm",
    "no_self_connections",
    "signs",
]
