"""Optimizers: how parameters follow their gradient (chapter 8)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from bptt.training.optimizer import Optimizer, Rates


@dataclass(eq=False, repr=False)
class SGD(Optimizer):
    """Stochastic gradient descent (algorithm 8.1), with momentum (8.2), also Nesterov's (8.3).

    With the gradient g of parameters theta, clipped, weight decay included:

    - ``momentum=0``: ``theta = theta - lr g``
    - else: ``v = momentum v + g``, ``theta = theta - lr v``
    - ``nesterov=True``: ``v = momentum v + g``, ``theta = theta - lr (g + momentum v)``

    The book's velocity is ``-lr v``: the same where the learning rate is constant. Of Nesterov's momentum, the
    parameters here are those at which the book takes the gradient, one step of the velocity ahead.

    Parameters
    ----------
    lr : float
        The learning rate (the book's epsilon), at least 0.
    momentum : float
        In ``[0, 1)`` (the book's alpha).
    nesterov : bool
        Nesterov's momentum.
    weight_decay : float or dict
        At least 0: ``weight_decay theta`` is added to the gradient after clipping (an L2 penalty). A dict has numbers
        for some letters, of all layers, and 0 for the others: ``{"W": 1e-2}``.

    See Also
    --------
    Optimizer.step, Optimizer.state, Optimizer.configuration : what all optimizers do.
    """

    lr: float = 1e-3
    _: KW_ONLY
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float | Mapping[str, float] = 0.0

    def _checked(self, name: str, value: Any) -> Any:
        value = super()._checked(name, value)
        if name == "nesterov" and value and self.momentum == 0.0:
            raise ValueError(f"nesterov: expected False without momentum, got {value}")
        if name == "momentum" and value == 0.0 and self.nesterov:
            raise ValueError(f"momentum: expected more than 0 with nesterov=True, got {value}")
        return value

    def _names(self) -> tuple[str | None, str | None]:
        return ("momentum_buffer" if self.momentum else None), None

    def _rule(self, lr: float, update: int, decay: float) -> tuple[str, Rates]:
        rule = "nesterov" if self.nesterov else "momentum" if self.momentum else "sgd"
        return rule, Rates(lr, decay, beta1=self.momentum)


@dataclass(eq=False, repr=False)
class Adagrad(Optimizer):
    """AdaGrad (algorithm 8.4): each parameter's rate falls with the sum of its squared gradients.

    ``r = r + g^2``, ``theta = theta - lr / (sqrt(r) + eps) g``, with the gradient g clipped, weight decay included.

    Parameters
    ----------
    lr : float
        The learning rate (the book's epsilon), at least 0.
    lr_decay : float
        At least 0: the learning rate of the update of number i, from 0, is divided by ``1 + i lr_decay``.
    weight_decay : float or dict
        At least 0: ``weight_decay theta`` is added to the gradient after clipping (an L2 penalty). A dict has numbers
        for some letters, of all layers, and 0 for the others: ``{"W": 1e-2}``.
    initial_accumulator_value : float
        What r is before the first update, at least 0.
    eps : float
        At least 1e-30 (the book's delta).

    See Also
    --------
    Optimizer.step, Optimizer.state, Optimizer.configuration : what all optimizers do.
    """

    lr: float = 1e-2
    _: KW_ONLY
    lr_decay: float = 0.0
    weight_decay: float | Mapping[str, float] = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10

    def _checked(self, name: str, value: Any) -> Any:
        value = super()._checked(name, value)
        if name == "initial_accumulator_value" and self._kind is not None and value != self._initial:
            raise ValueError(f"{name}: expected {self._initial}, with which r began, got {value}")
        return value

    @property
    def _initial(self) -> float:
        return self.initial_accumulator_value

    def _names(self) -> tuple[str | None, str | None]:
        return None, "sum"

    def _rule(self, lr: float, update: int, decay: float) -> tuple[str, Rates]:
        return "adagrad", Rates(lr / (1 + (update - 1) * self.lr_decay), decay, eps=self.eps)


@dataclass(eq=False, repr=False)
class RMSProp(Optimizer):
    """RMSProp (algorithm 8.5): each parameter's rate follows the root of the running mean of its squared gradients.

    ``r = alpha r + (1 - alpha) g^2``, ``theta = theta - lr / (sqrt(r) + eps) g``, with the gradient g clipped, weight
    decay included; with momentum ``v = momentum v + g / (sqrt(r) + eps)``, ``theta = theta - lr v``. The book has
    ``sqrt(r + delta)`` for ``sqrt(r) + eps``.

    Parameters
    ----------
    lr : float
        The learning rate (the book's epsilon), at least 0.
    alpha : float
        In ``[0, 1)`` (the book's rho): how much of the running mean an update keeps.
    eps : float
        At least 1e-30.
    momentum : float
        In ``[0, 1)``.
    weight_decay : float or dict
        At least 0: ``weight_decay theta`` is added to the gradient after clipping (an L2 penalty). A dict has numbers
        for some letters, of all layers, and 0 for the others: ``{"W": 1e-2}``.

    See Also
    --------
    Optimizer.step, Optimizer.state, Optimizer.configuration : what all optimizers do.
    """

    lr: float = 1e-2
    _: KW_ONLY
    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    weight_decay: float | Mapping[str, float] = 0.0

    def _names(self) -> tuple[str | None, str | None]:
        return ("momentum_buffer" if self.momentum else None), "square_avg"

    def _rule(self, lr: float, update: int, decay: float) -> tuple[str, Rates]:
        rule = "rmsprop_momentum" if self.momentum else "rmsprop"
        return rule, Rates(lr, decay, beta1=self.momentum, beta2=self.alpha, eps=self.eps)


@dataclass(eq=False, repr=False)
class Adam(Optimizer):
    """Adam (algorithm 8.7): running means of the gradient and of its square, corrected for their start at 0.

    In the update of number t, from 1, with the gradient g clipped, weight decay included:
    ``s = beta1 s + (1 - beta1) g``, ``r = beta2 r + (1 - beta2) g^2``,
    ``theta = theta - lr (s / (1 - beta1^t)) / (sqrt(r / (1 - beta2^t)) + eps)``.

    Parameters
    ----------
    lr : float
        The learning rate (the book's epsilon), at least 0.
    betas : (float, float)
        Each in ``[0, 1)`` (the book's rho_1 and rho_2): how much of the running means an update keeps.
    eps : float
        At least 1e-30 (the book's delta).
    weight_decay : float or dict
        At least 0: ``weight_decay theta`` is added to the gradient after clipping (an L2 penalty). A dict has numbers
        for some letters, of all layers, and 0 for the others: ``{"W": 1e-2}``. `AdamW` keeps the two apart.

    See Also
    --------
    Optimizer.step, Optimizer.state, Optimizer.configuration : what all optimizers do.
    """

    lr: float = 1e-3
    _: KW_ONLY
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float | Mapping[str, float] = 0.0

    def _names(self) -> tuple[str | None, str | None]:
        return "exp_avg", "exp_avg_sq"

    def _rule(self, lr: float, update: int, decay: float) -> tuple[str, Rates]:
        beta1, beta2 = self.betas
        root = 1 / math.sqrt(1 - beta2**update)
        rate = lr / (1 - beta1**update)
        return "adam", Rates(rate, decay, beta1=beta1, beta2=beta2, root=root, eps=self.eps)


@dataclass(eq=False, repr=False)
class AdamW(Adam):
    """`Adam` with weight decay beside the gradient: ``theta = (1 - lr weight_decay) theta`` before each update.

    Parameters
    ----------
    lr, betas, eps
        As for `Adam`.
    weight_decay : float or dict
        At least 0; a dict as for `Adam`.

    See Also
    --------
    Optimizer.step, Optimizer.state, Optimizer.configuration : what all optimizers do.
    """

    weight_decay: float | Mapping[str, float] = 1e-2

    def _rule(self, lr: float, update: int, decay: float) -> tuple[str, Rates]:
        rule, rates = super()._rule(lr, update, decay)
        return rule, rates._replace(decay=0.0, keep=1 - lr * decay)
