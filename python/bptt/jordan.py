"""The output-recurrent network (figures 10.4, 10.6). Checks arguments and calls the core; computes nothing itself."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from bptt._inputs import INT64, Array, as_array, choice, shape_text, size
from bptt._sampling import drawing
from bptt.network import RecurrentNetwork, orthogonal
from bptt.results import JordanGradients, JordanRun


class JordanRNN(RecurrentNetwork):
    """The network of *Deep Learning*, section 10.2.1, whose only recurrence runs from its output to its hidden units.

    For every step t = 1, ..., tau::

        a(t)     = b + W r(t-1) + U x(t)         (10.8, with r(t-1) for h(t-1))
        h(t)     = tanh(a(t))                    (10.9)
        o(t)     = c + V h(t)                    (10.10)
        y_hat(t) = output unit of o(t)           (10.11, for softmax)

    What is fed back is r(t). Running free (figure 10.4) it is the network's own y_hat(t) or o(t). Under teacher forcing
    (figure 10.6) it is the target y(t), of a class its one-hot vector: then no step waits for another, all are computed
    at once, and no gradient goes through time. Between the two, each step draws which of them it sees (scheduled
    sampling).

    All that a step knows of the past is in r(t-1): the network is less powerful than an `ElmanRNN`.

    Parameters
    ----------
    n_in, n_hidden, n_out : int
        Numbers of inputs, hidden units and outputs; `n_in` may be 0 for real input: x is then ``[tau, batch, 0]``, or
        ``[tau, 0]``.
    input : {"real", "token"}
        Whether x(t) holds numbers, or a token: an index in ``[0, n_in)`` that stands for a one-hot vector.
    output : {"softmax", "sigmoid", "linear"}
        The output unit, and with it the loss of a step: the negative log-likelihood of a categorical distribution, of a
        Bernoulli distribution per output, or of a Gaussian of unit variance (half the squared error, constant dropped).
    feedback : {"y_hat", "o"}
        What of its own the network feeds back where it runs free: the output after its unit, or before it (the
        figure's). Targets are fed as they are, whichever it is.
    dtype : {"float32", "float64"}
        Of parameters, states and gradients.
    seed : int or numpy.random.Generator, optional
        Of the initial weights. Both dtypes get the same numbers, rounded.
    init : {"orthogonal", "uniform"}
        Of the weights. ``"orthogonal"``: W has orthonormal columns, so that W r is as long as r (or orthonormal rows,
        where those are fewer), U and V are uniform within ``+-1/sqrt(fan-in)`` (1 for a token: one input is on), the
        biases 0. Of a softmax that is fed back as y_hat one is on too, and W is uniform within +-1. ``"uniform"``: all
        uniform within ``+-1/sqrt(n_hidden)``. None: all 0.

    Attributes
    ----------
    U, W, b, V, c : ndarray
        ``[n_hidden, n_in]``, ``[n_hidden, n_out]``, ``[n_hidden]``, ``[n_out, n_hidden]``, ``[n_out]``: writable views
        of `parameters`. Assigning copies in.
    parameters : ndarray
        All of them in one flat vector, in this order.
    metadata : dict
        Yours: anything that JSON can hold; saved and loaded with the model.

    Notes
    -----
    In all methods, `x` is one sequence ``[tau, n_in]``, a batch ``[tau, batch, n_in]`` of sequences of equal length or,
    with `lengths`, padded ones, or a list of sequences ``[tau_i, n_in]``; tokens lack the last axis. Results come back
    in the same form. Nothing beyond a length is read. Outer axes may have any strides. Arrays of another dtype are
    converted where NumPy's same-kind rule allows, else `TypeError`; a wrong shape, a token or a class out of range is
    a `ValueError`.

    Examples
    --------
    >>> import numpy as np
    >>> from bptt import JordanRNN
    >>> rnn = JordanRNN(3, 8, 2, seed=0)
    >>> x, y = np.ones((5, 3), np.float32), [0, 1, 1, 0, -1]
    >>> rnn.forward(x).y_hat.shape
    (5, 2)
    >>> loss, gradients = rnn.loss_and_gradients(x, y)  # each step sees the target before it
    >>> loss, gradients = rnn.loss_and_gradients(x, y, teacher_forcing=0.5, seed=1)  # or its own output, by chance
    >>> gradients.W.shape
    (8, 2)
    """

    _KIND: ClassVar[str] = "jordan"
    _OPTIONS: ClassVar[tuple[str, ...]] = ("input", "output", "feedback")
    _INITS: ClassVar[tuple[str, ...]] = ("orthogonal", "uniform")
    _RECURRENT: ClassVar[Literal["n_hidden", "n_out"]] = "n_out"
    _INITIAL: ClassVar[str] = "r0"

    def __init__(
        self,
        n_in: int,
        n_hidden: int,
        n_out: int,
        *,
        input: Literal["real", "token"] = "real",
        output: Literal["softmax", "sigmoid", "linear"] = "softmax",
        feedback: Literal["y_hat", "o"] = "y_hat",
        dtype: DTypeLike = "float32",
        seed: int | np.random.Generator | None = None,
        init: Literal["orthogonal", "uniform"] | None = "orthogonal",
    ) -> None:
        self._feedback = choice("feedback", feedback, ("y_hat", "o"))
        super().__init__(
            n_in,
            n_hidden,
            n_out,
            input=input,
            output=output,
            readout="all",
            recurrence=feedback,
            dtype=dtype,
            seed=seed,
            init=init,
        )

    @property
    def feedback(self) -> str:
        """What of its own the network feeds back: ``"y_hat"`` or ``"o"``."""
        return self._feedback

    def _initial_W(self, init: str, random: np.random.Generator) -> Array:
        if self.output == "softmax" and self.feedback == "y_hat":
            return random.uniform(-1, 1, self.W.shape)
        return orthogonal(self.n_hidden, self.n_out, random)

    # ---- Computation ----

    def forward(
        self, x: Any, r0: ArrayLike | None = None, lengths: ArrayLike | None = None, reset: Any = None
    ) -> JordanRun:
        """Run the network free over the sequences, left to right: each step sees the network's own output before it.

        Parameters
        ----------
        x : array_like or list of array_like
            The inputs, ``[tau, n_in]`` or ``[tau, batch, n_in]``, or a list; tokens without the last axis.
        r0 : array_like, optional
            r(0), what the first step sees, ``[batch, n_out]`` (``[n_out]`` for a single sequence); 0 by default.
        lengths : array_like of int, optional
            ``[batch]``: how many steps of each sequence of a padded batch count, 1 to tau.
        reset : array_like of bool, or list of array_like where x is a list, optional
            ``[tau, batch]``: True where a new sequence begins. Such a step sees 0 in place of r(t-1), be it r(0) or a
            target, and no gradient goes from it to what is before. So a stream of many sequences is one.

        Returns
        -------
        JordanRun
            With ``h``, ``o``, ``y_hat`` and ``r_last``, which is the r0 of a next window.
        """
        return JordanRun(*self._forward(x, r0, lengths, reset))

    def loss(
        self,
        x: Any,
        y: Any,
        r0: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        weight: Any = None,
        teacher_forcing: float = 1.0,
        seed: int | np.random.Generator | None = None,
        reset: Any = None,
    ) -> float:
        """Return the total loss: the sum over steps and sequences of the negative log-likelihood (10.12-10.14), in
        nats.

        Parameters
        ----------
        x, r0, lengths, reset
            As for `forward`.
        y : array_like, or list of array_like where x is a list
            The targets. Softmax: classes in ``[0, n_out)``, ``[tau, batch]``, -1 where a step has none. Sigmoid
            (numbers in ``[0, 1]``) and linear: ``[tau, batch, n_out]``.
        weight : array_like, or list of array_like where x is a list, optional
            ``[tau, batch]``, a factor of each step's loss. Where it is 0, the target is not read.
        teacher_forcing : float
            The probability, from 0 to 1, that a step sees the target y(t-1) in place of the network's own output: 1 is
            figure 10.6, 0 runs free. Where there is no target (-1), or it is not read, 0 is seen. The first step sees
            r(0) in any case.
        seed : int or numpy.random.Generator, optional
            Where `teacher_forcing` is between 0 and 1, of what the steps draw: an int in ``[0, 2**64)``, or a generator
            that gives one; by default a new one every time. A draw depends on it, on the step (counted from the
            sequence's first) and on the sequence's place in the batch, and on nothing else; see `reference.draws`.

        Returns
        -------
        float
            Summed in double precision; never a mean.
        """
        forcing, draws = _forcing(teacher_forcing, seed)
        return self._loss(x, y, r0, lengths, weight, reset, forcing, draws)

    def loss_and_gradients(
        self,
        x: Any,
        y: Any,
        r0: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        weight: Any = None,
        teacher_forcing: float = 1.0,
        seed: int | np.random.Generator | None = None,
        wrt_x: bool = False,
        memory_limit: int | None = None,
        reset: Any = None,
    ) -> tuple[float, JordanGradients]:
        """Return the total loss and its exact gradients.

        What a step sees of the network's own output sends its gradient back through that output, and so through time
        (section 10.2.2). A target sends back none: with ``teacher_forcing=1`` every step stands by itself.

        Parameters
        ----------
        x, y, r0, lengths, weight, teacher_forcing, seed, reset
            As for `loss`.
        wrt_x : bool
            Whether to compute dL/dx(t) too; real input only.
        memory_limit : int, optional
            Bytes that the hidden states may take, kept and recomputed ones together. The least that is possible grows
            with the square root of tau; a `ValueError` tells it where it is more. The results have the same bits. With
            ``teacher_forcing=1`` no states are kept, and any limit will do.

        Returns
        -------
        loss : float
            As from `loss`.
        gradients : JordanGradients
            With ``U``, ``W``, ``b``, ``V``, ``c``, ``r0`` and, if asked for, ``x``; ``flat`` is laid out like
            `parameters`. Its ``r_last`` is the r0 of a next window: it is what the step after the last would see, the
            target of the last or the network's own output, drawn if need be.
        """
        forcing, draws = _forcing(teacher_forcing, seed)
        loss, parts = self._loss_and_gradients(x, y, r0, lengths, weight, wrt_x, memory_limit, reset, forcing, draws)
        return loss, JordanGradients(*parts)

    def generate(
        self,
        n_steps: int,
        prompt: Any = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int | np.random.Generator | None = None,
        x: Any = None,
        r0: ArrayLike | None = None,
    ) -> Array:
        """Draw a sequence: at every step an output is drawn from the model's distribution and is what the next sees.

        It is fed back as targets are under teacher forcing, a class as its one-hot vector, whichever `feedback`.

        Parameters
        ----------
        n_steps : int
            How many to draw, at least 1.
        prompt : array_like, optional
            Outputs that came before, in the form of y: ``[steps]`` or ``[steps, batch]`` of classes, else
            ``[steps, n_out]`` or ``[steps, batch, n_out]``. The network remembers no more of them than the last.
        temperature : float
            Softmax and sigmoid outputs are drawn from o / temperature, linear ones with this standard deviation;
            0 takes what is most likely.
        top_k : int, optional
            Draw among the k most likely classes only (softmax).
        seed : int or numpy.random.Generator, optional
            Equal seeds draw equal outputs.
        x : array_like, optional
            The inputs of the steps to draw, ``[n_steps, n_in]`` or ``[n_steps, batch, n_in]``; tokens without the last
            axis. Without one, `n_in` has to be 0.
        r0 : array_like, optional
            In place of a prompt, what the first step sees: ``[n_out]`` or ``[batch, n_out]``; 0 by default.

        Returns
        -------
        ndarray
            ``[n_steps]`` or ``[n_steps, batch]``, int64, for softmax; else ``[n_steps, n_out]`` or
            ``[n_steps, batch, n_out]``. The prompt is not repeated.
        """
        n_steps = size("n_steps", n_steps, 1)
        how = drawing(self.output, self.n_out, temperature, top_k, seed)
        if prompt is not None and r0 is not None:
            raise ValueError("r0: expected None, as the prompt tells what the first step sees")
        for name, value in (("prompt", prompt), ("x", x)):
            if isinstance(value, list | tuple):
                raise TypeError(f"{name}: expected an array, got a list, which is a list of sequences")
        if prompt is not None:
            r0 = self._last_of(prompt)
        r = None if r0 is None else as_array("r0", r0, self.dtype)
        if r is not None and (r.ndim not in (1, 2) or r.shape[-1] != self.n_out or len(r) == 0):
            raise ValueError(f"r0: expected [{self.n_out}] or [batch, {self.n_out}], got {r.shape}")
        if x is None:
            if self.n_in > 0:
                raise ValueError(f"x: expected the inputs of {n_steps} steps, got None")
            x = np.empty((n_steps, *(() if r is None else r.shape[:-1]), 0))
        s = self._sequences(x, None)
        if s.tau != n_steps:
            raise ValueError(f"x: expected as many steps as n_steps, {n_steps}, got {s.tau}")
        single = s.form == "single"
        if r is None:
            r = np.zeros((s.batch, self.n_out))
        elif r.ndim != (1 if single else 2) or r.size != s.batch * self.n_out:
            name = "r0" if prompt is None else "prompt"
            raise ValueError(f"{name}: expected {'a single sequence' if single else s.batch}, as x has, got {r.shape}")
        return self._generate(n_steps, np.asarray(s.data), np.atleast_2d(r), None, how, single)

    def _last_of(self, prompt: Any) -> Array:
        """The last outputs of a prompt, as vectors."""
        softmax = self.output == "softmax"
        array = as_array("prompt", prompt, INT64 if softmax else self.dtype)
        tail = () if softmax else (self.n_out,)
        axes = array.ndim - len(tail)
        if axes not in (1, 2) or array.shape[axes:] != tail or 0 in array.shape:
            either = f"{shape_text(('steps', 'batch', *tail))} or {shape_text(('steps', *tail))}"
            raise ValueError(f"prompt: expected {either}, got {array.shape}")
        last: Array = array[-1]
        if not softmax:
            return last
        if (last < 0).any() or (last >= self.n_out).any():
            raise ValueError(f"prompt: expected classes in [0, {self.n_out}), got {last.tolist()}")
        one_hot = np.zeros((*last.shape, self.n_out), self.dtype)
        np.put_along_axis(one_hot, np.asarray(last)[..., None], 1, -1)
        return one_hot


def _forcing(teacher_forcing: float, seed: int | np.random.Generator | None) -> tuple[float, int]:
    """The probability and the 64 bits that the core draws from."""
    if isinstance(teacher_forcing, bool) or not isinstance(teacher_forcing, float | int | np.floating | np.integer):
        raise TypeError(f"teacher_forcing: expected a number from 0 to 1, got {type(teacher_forcing).__name__}")
    if not 0 <= teacher_forcing <= 1:  # nor NaN
        raise ValueError(f"teacher_forcing: expected a number from 0 to 1, got {teacher_forcing}")
    p = float(teacher_forcing)
    expected = "seed: expected an int in [0, 2**64), a numpy.random.Generator or None"
    if seed is None:
        return p, int.from_bytes(os.urandom(8), "little") if 0 < p < 1 else 0
    if isinstance(seed, np.random.Generator):
        return p, int(seed.integers(2**64, dtype=np.uint64)) if 0 < p < 1 else 0
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"{expected}, got {type(seed).__name__}")
    if not 0 <= seed < 2**64:
        raise ValueError(f"{expected}, got {seed}")
    return p, int(seed)
