"""Optimizers: how parameters follow their gradient (chapter 8)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from bptt import _core
from bptt._arrays import INT64, Array, aligned, as_array, check_shape
from bptt._checks import number
from bptt.training.protocol import HasFlat, HasParameters

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
_LEAST_EPS = 1e-30  # where float32 still divides by it
_SCALES = 1e-30, 1e30  # beyond them a float32 gradient, once divided, would be infinite or 0


class _Rates(NamedTuple):
    """The numbers of the core's equations."""

    rate: float
    decay: float = 0.0
    keep: float = 1.0
    beta1: float = 0.0
    beta2: float = 0.0
    root: float = 1.0
    eps: float = 0.0


class Optimizer:
    """What the optimizers share: a base, not an optimizer itself.

    >>> optimizer = bptt.Adam(1e-3)
    >>> loss, gradients = rnn.loss_and_gradients(x, y)
    >>> norm = optimizer.step(rnn, gradients, scale=y.size, clip_norm=1.0)  # follows the mean loss per target

    An optimizer serves one network: with the first step it begins to keep what its rule needs of earlier gradients, in
    the dtype of the network and with one number a parameter.

    Attributes
    ----------
    lr : float
        The learning rate. May be changed between steps. The other hyper-parameters are attributes too.
    """

    def __init__(self, lr: float, initial: float = 0.0) -> None:
        self.lr = number("lr", lr, 0.0, math.inf)
        self._initial = initial  # what the state holds before the first update
        self._updates = 0
        self._state: dict[str, Array] = {}
        self._kind: tuple[int, np.dtype[Any]] | None = None  # how many parameters the network has, and its dtype

    # ---- What each optimizer says of itself ----

    def _options(self) -> dict[str, Any]:
        """Its hyper-parameters beside the learning rate, by name, as JSON has them."""
        raise NotImplementedError

    def _names(self) -> tuple[str | None, str | None]:
        """What it calls the two vectors that the core's rules keep, v or s, and r; None: its rule keeps none."""
        raise NotImplementedError

    def _rule(self, lr: float, update: int) -> tuple[str, _Rates]:
        """The core's name of its rule, and the rule's numbers in the update of this number, from 1."""
        raise NotImplementedError

    # ---- Updates ----

    @property
    def updates(self) -> int:
        """How many updates were made."""
        return self._updates

    def step(
        self,
        rnn: HasParameters,
        gradients: HasFlat | ArrayLike,
        *,
        scale: float = 1.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        lr: float | None = None,
    ) -> float:
        """Update the parameters of a network, all of them, in place.

        The gradient is divided by `scale`, then clipped by its norm, then by its values; then the optimizer's own rule
        follows. `gradients` itself stays as it is. The result has the same bits for every number of threads and every
        instruction set.

        Parameters
        ----------
        rnn : ElmanRNN or JordanRNN
            The network. All steps are for the same one (or for one of the same size and dtype).
        gradients : Gradients or array_like [n]
            What ``rnn.loss_and_gradients`` gave, or a vector laid out like ``rnn.parameters``.
        scale : float
            From 1e-30 to 1e30. The number of targets makes the sum of the losses their mean.
        clip_norm : float, optional
            A gradient whose 2-norm is larger is scaled to this one (section 10.11.1), by
            ``clip_norm / (norm + 1e-6)`` where that is below 1.
        clip_value : float, optional
            Then each element is brought into ``[-clip_value, clip_value]``.
        lr : float, optional
            The learning rate of this step, in place of `lr` of the optimizer: ``optimizer.lr * schedule(i)``.

        Returns
        -------
        float
            The norm of ``gradients / scale`` before clipping, summed in double precision in one fixed order.

        Raises
        ------
        FloatingPointError
            If that norm is not finite. Parameters and optimizer are as before.
        TypeError, ValueError
            If an argument is none of the above, the gradients are laid out otherwise, or the network is another one
            than before.
        """
        parameters = getattr(rnn, "parameters", None)
        if not isinstance(parameters, np.ndarray):
            raise TypeError(f"rnn: expected an ElmanRNN or a JordanRNN, got {type(rnn).__name__}")
        theirs, own = getattr(gradients, "_layout", None), getattr(rnn, "_layout", None)
        if theirs is not own and theirs is not None and own is not None:  # else it is the network's, as in every loop
            _check_layout(theirs, own)
        return self._step(parameters, _vector(gradients), scale, clip_norm, clip_value, lr)

    def _step(
        self,
        parameters: Array,
        gradients: ArrayLike,
        scale: float = 1.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        lr: float | None = None,
    ) -> float:
        gradient = as_array("gradients", gradients, parameters.dtype)
        check_shape("gradients", gradient, parameters.shape)
        scale = number("scale", scale, *_SCALES, "[]")
        norm_bound = math.inf if clip_norm is None else number("clip_norm", clip_norm, 0.0, math.inf, "(]")
        value_bound = math.inf if clip_value is None else number("clip_value", clip_value, 0.0, math.inf, "(]")
        rule, rates = self._rule(number("lr", self.lr if lr is None else lr, 0.0, math.inf), self._updates + 1)
        state = self._state_for(parameters)
        first, second = (None if name is None else state[name] for name in self._names())
        norm = _core.update(
            rule=rule,
            parameters=parameters,
            gradient=np.ascontiguousarray(gradient),
            first=first,
            second=second,
            scale=scale,
            clip_norm=norm_bound,
            clip_value=value_bound,
            **rates._asdict(),
        )
        if not math.isfinite(norm):
            raise FloatingPointError(f"gradients: expected a finite norm, got {norm} after {self._updates} updates")
        self._updates += 1
        self._state, self._kind = state, (parameters.size, parameters.dtype)
        return norm

    def _state_for(self, parameters: Array) -> dict[str, Array]:
        """What is kept for these parameters; where nothing was so far, as it is before the first update."""
        size, dtype = parameters.size, parameters.dtype
        if self._kind is None:
            state = {name: aligned(size, dtype) for name in self._names() if name is not None}
            for array in state.values():
                array.fill(self._initial)
            return state
        if self._kind != (size, dtype):
            before = f"{self._kind[0]} parameters in {self._kind[1]}"
            raise ValueError(f"rnn: expected a network of {before}, as before, got {size} in {dtype}")
        return self._state

    # ---- State and configuration ----

    def state(self) -> dict[str, Array]:
        """Return all that later updates depend on, beside the hyper-parameters.

        Returns
        -------
        dict of str to ndarray
            ``"updates"``, how many updates were made (int64, shape ``[]``), and, once there was one, what the rule
            keeps, each ``[n]`` in the network's dtype. Copies: no later step changes them.
        """
        return {"updates": np.array(self._updates, INT64)} | {k: v.copy() for k, v in self._state.items()}

    def load_state(self, state: Mapping[str, ArrayLike]) -> None:
        """Go on from what `state` returned: the updates that follow have the same bits as those that followed there.

        Parameters
        ----------
        state : mapping of str to array_like
            The `state` of an optimizer of the same class and hyper-parameters (compare `configuration`). It is copied
            in, and replaces what was kept so far.

        Raises
        ------
        TypeError, ValueError
            If an entry is missing, one too many, or not what it should be. The optimizer is as before.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state: expected a dict, got {type(state).__name__}")
        updates = as_array("state['updates']", state["updates"], INT64) if "updates" in state else np.array(0)
        check_shape("state['updates']", updates, ())
        if updates < 0:
            raise ValueError(f"state['updates']: expected at least 0, got {int(updates)}")
        names = [name for name in self._names() if name is not None]
        begun = updates > 0 or any(name in state for name in names)
        expected = {"updates", *(names if begun else ())}
        if set(state) != expected:
            raise ValueError(f"state: expected {_listed(expected)}, got {_listed(set(state))}")
        arrays: dict[str, Array] = {}
        for name in names if begun else ():
            array = np.asarray(state[name])
            if array.dtype not in _DTYPES:
                raise TypeError(f"state[{name!r}]: expected float32 or float64, got {array.dtype}")
            check_shape(f"state[{name!r}]", array, ("n",))
            for other, earlier in arrays.items():
                if (array.size, array.dtype) != (earlier.size, earlier.dtype):
                    wanted = f"{earlier.size} numbers in {earlier.dtype}, as in {other!r}"
                    raise ValueError(f"state[{name!r}]: expected {wanted}, got {array.size} in {array.dtype}")
            arrays[name] = array
        self._state, self._kind = {}, None
        for name, array in arrays.items():
            self._kind = array.size, array.dtype
            self._state[name] = aligned(*self._kind)
            self._state[name][:] = array
        self._updates = int(updates)

    def configuration(self) -> dict[str, Any]:
        """Return what the optimizer is, as JSON can hold it.

        Returns
        -------
        dict
            ``"optimizer"``, the name of the class, and its hyper-parameters by name: two that are equal here make the
            same updates from the same state.
        """
        return {"optimizer": type(self).__name__, "lr": self.lr} | self._options()

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self._options().items())
        return f"{type(self).__name__}({self.lr!r}{options})"


def _vector(gradients: Any) -> Any:
    """The vector of gradients; an array is one itself, and its own attribute `flat` is something else."""
    flat = None if isinstance(gradients, np.ndarray) else getattr(gradients, "flat", None)
    return flat if isinstance(flat, np.ndarray) else gradients


def _check_layout(layout: Any, expected: Any) -> None:
    """Raise ValueError where vectors of the same size hold other parameters."""
    if layout.size != expected.size:
        return  # the vector's own check says so
    for one, other in zip(expected.entries, layout.entries, strict=False):
        if one != other:
            there, here = (f"{entry.name} {list(entry.shape)}" for entry in (one, other))
            raise ValueError(f"gradients: expected {there}, as the network has, got {here}")


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(map(repr, names))) or "nothing"


def _betas(betas: tuple[float, float]) -> tuple[float, float]:
    if not isinstance(betas, tuple | list):
        raise TypeError(f"betas: expected two numbers, got {type(betas).__name__}")
    if len(betas) != 2:
        raise ValueError(f"betas: expected two numbers, got {len(betas)}")
    return number("betas[0]", betas[0], 0.0, 1.0), number("betas[1]", betas[1], 0.0, 1.0)


def _eps(eps: float) -> float:
    return number("eps", eps, _LEAST_EPS, math.inf)


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
    weight_decay : float
        At least 0: ``weight_decay theta`` is added to the gradient after clipping (an L2 penalty).

    See Also
    --------
    Optimizer.step, Optimizer.state, Optimizer.configuration : what all optimizers do.
    """

    def __init__(
        self, lr: float = 1e-3, *, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0
    ) -> None:
        super().__init__(lr)
        self.momentum = number("momentum", momentum, 0.0, 1.0)
        self.weight_decay = number("weight_decay", weight_decay, 0.0, math.inf)
        if not isinstance(nesterov, bool):
            raise TypeError(f"nesterov: expected a bool, got {type(nesterov).__name__}")
        if nesterov and self.momentum == 0.0:
            raise ValueError(f"nesterov: expected False without momentum, got {nesterov}")
        self.nesterov = nesterov

    def _options(self) -> dict[str, Any]:
        return {"momentum": self.momentum, "nesterov": self.nesterov, "weight_decay": self.weight_decay}

    def _names(self) -> tuple[str | None, str | None]:
        return ("momentum_buffer" if self.momentum else None), None

    def _rule(self, lr: float, update: int) -> tuple[str, _Rates]:
        rule = "nesterov" if self.nesterov else "momentum" if self.momentum else "sgd"
        return rule, _Rates(lr, self.weight_decay, beta1=self.momentum)


class Adagrad(Optimizer):
    """AdaGrad (algorithm 8.4): each parameter's rate falls with the sum of its squared gradients.

    ``r = r + g^2``, ``theta = theta - lr / (sqrt(r) + eps) g``, with the gradient g clipped, weight decay included.

    Parameters
    ----------
    lr : float
        The learning rate (the book's epsilon), at least 0.
    lr_decay : float
        At least 0: the learning rate of the update of number i, from 0, is divided by ``1 + i lr_decay``.
    weight_decay : float
        At least 0: ``weight_decay theta`` is added to the gradient after clipping (an L2 penalty).
    initial_accumulator_value : float
        What r is before the first update, at least 0.
    eps : float
        At least 1e-30 (the book's delta).

    See Also
    --------
    Optimizer.step, Optimizer.state, Optimizer.configuration : what all optimizers do.
    """

    def __init__(
        self,
        lr: float = 1e-2,
        *,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        super().__init__(lr, number("initial_accumulator_value", initial_accumulator_value, 0.0, math.inf))
        self.initial_accumulator_value = self._initial
        self.lr_decay = number("lr_decay", lr_decay, 0.0, math.inf)
        self.weight_decay = number("weight_decay", weight_decay, 0.0, math.inf)
        self.eps = _eps(eps)

    def _options(self) -> dict[str, Any]:
        return {
            "lr_decay": self.lr_decay,
            "weight_decay": self.weight_decay,
            "initial_accumulator_value": self.initial_accumulator_value,
            "eps": self.eps,
        }

    def _names(self) -> tuple[str | None, str | None]:
        return None, "sum"

    def _rule(self, lr: float, update: int) -> tuple[str, _Rates]:
        return "adagrad", _Rates(lr / (1 + (update - 1) * self.lr_decay), self.weight_decay, eps=self.eps)


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
    weight_decay : float
        At least 0: ``weight_decay theta`` is added to the gradient after clipping (an L2 penalty).

    See Also
    --------
    Optimizer.step, Optimizer.state, Optimizer.configuration : what all optimizers do.
    """

    def __init__(
        self,
        lr: float = 1e-2,
        *,
        alpha: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr)
        self.alpha = number("alpha", alpha, 0.0, 1.0)
        self.eps = _eps(eps)
        self.momentum = number("momentum", momentum, 0.0, 1.0)
        self.weight_decay = number("weight_decay", weight_decay, 0.0, math.inf)

    def _options(self) -> dict[str, Any]:
        return {"alpha": self.alpha, "eps": self.eps, "momentum": self.momentum, "weight_decay": self.weight_decay}

    def _names(self) -> tuple[str | None, str | None]:
        return ("momentum_buffer" if self.momentum else None), "square_avg"

    def _rule(self, lr: float, update: int) -> tuple[str, _Rates]:
        rule = "rmsprop_momentum" if self.momentum else "rmsprop"
        return rule, _Rates(lr, self.weight_decay, beta1=self.momentum, beta2=self.alpha, eps=self.eps)


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
    weight_decay : float
        At least 0: ``weight_decay theta`` is added to the gradient after clipping (an L2 penalty). `AdamW` keeps the
        two apart.

    See Also
    --------
    Optimizer.step, Optimizer.state, Optimizer.configuration : what all optimizers do.
    """

    def __init__(
        self,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr)
        self.betas = _betas(betas)
        self.eps = _eps(eps)
        self.weight_decay = number("weight_decay", weight_decay, 0.0, math.inf)

    def _options(self) -> dict[str, Any]:
        return {"betas": list(self.betas), "eps": self.eps, "weight_decay": self.weight_decay}

    def _names(self) -> tuple[str | None, str | None]:
        return "exp_avg", "exp_avg_sq"

    def _rule(self, lr: float, update: int) -> tuple[str, _Rates]:
        beta1, beta2 = self.betas
        root = 1 / math.sqrt(1 - beta2**update)
        rate = lr / (1 - beta1**update)
        return "adam", _Rates(rate, self.weight_decay, beta1=beta1, beta2=beta2, root=root, eps=self.eps)


class AdamW(Adam):
    """`Adam` with weight decay beside the gradient: ``theta = (1 - lr weight_decay) theta`` before each update.

    Parameters
    ----------
    lr, betas, eps
        As for `Adam`.
    weight_decay : float
        At least 0.

    See Also
    --------
    Optimizer.step, Optimizer.state, Optimizer.configuration : what all optimizers do.
    """

    def __init__(
        self,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def _rule(self, lr: float, update: int) -> tuple[str, _Rates]:
        rule, rates = super()._rule(lr, update)
        return rule, rates._replace(decay=0.0, keep=1 - lr * self.weight_decay)
