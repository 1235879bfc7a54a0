"""The Elman network (figures 10.3 and 10.5). Checks arguments and calls the core; computes nothing itself."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from bptt._inputs import Array, as_array, choice, size
from bptt._sampling import drawing
from bptt.network import RecurrentNetwork, orthogonal
from bptt.results import ElmanGradients, ElmanRun


class ElmanRNN(RecurrentNetwork):
    """The recurrent network of *Deep Learning*, section 10.2.

    For every step t = 1, ..., tau::

        a(t)     = b + W h(t-1) + U x(t)         (10.8)
        h(t)     = tanh(a(t))                    (10.9)
        o(t)     = c + V h(t)                    (10.10)
        y_hat(t) = output unit of o(t)           (10.11, for softmax)

    Parameters
    ----------
    n_in, n_hidden, n_out : int
        Numbers of inputs, hidden units and outputs; `n_in` may be 0 for real input.
    input : {"real", "token"}
        Whether x(t) holds numbers, or a token: an index in ``[0, n_in)`` that stands for a one-hot vector.
    output : {"softmax", "sigmoid", "linear"}
        The output unit, and with it the loss of a step: the negative log-likelihood of a categorical distribution, of a
        Bernoulli distribution per output, or of a Gaussian of unit variance (half the squared error, constant dropped).
    readout : {"all", "last"}
        An output at every step (figure 10.3), or one at the end of the sequence (figure 10.5).
    dtype : {"float32", "float64"}
        Of parameters, states and gradients.
    seed : int or numpy.random.Generator, optional
        Of the initial weights. Both dtypes get the same numbers, rounded.
    init : {"orthogonal", "uniform", "identity"}
        Of the weights. ``"orthogonal"``: W is a random orthogonal matrix, U and V are uniform within
        ``+-1/sqrt(fan-in)`` (1 for a token: one input is on), the biases 0. ``"identity"``: the same with W = I.
        ``"uniform"``: all uniform within ``+-1/sqrt(n_hidden)``, as in PyTorch. None: all 0.

    Attributes
    ----------
    U, W, b, V, c : ndarray
        ``[n_hidden, n_in]``, ``[n_hidden, n_hidden]``, ``[n_hidden]``, ``[n_out, n_hidden]``, ``[n_out]``: writable
        views of `parameters`. Assigning copies in.
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
    >>> from bptt import ElmanRNN
    >>> rnn = ElmanRNN(3, 8, 2, seed=0)
    >>> x = np.ones((5, 3), np.float32)
    >>> rnn.forward(x).y_hat.shape
    (5, 2)
    >>> loss, gradients = rnn.loss_and_gradients(x, [0, 1, 1, 0, -1])
    >>> gradients.W.shape
    (8, 8)
    """

    _KIND: ClassVar[str] = "elman"
    _OPTIONS: ClassVar[tuple[str, ...]] = ("input", "output", "readout")
    _INITS: ClassVar[tuple[str, ...]] = ("orthogonal", "uniform", "identity")
    _RECURRENT: ClassVar[Literal["n_hidden", "n_out"]] = "n_hidden"
    _INITIAL: ClassVar[str] = "h0"

    def __init__(
        self,
        n_in: int,
        n_hidden: int,
        n_out: int,
        *,
        input: Literal["real", "token"] = "real",
        output: Literal["softmax", "sigmoid", "linear"] = "softmax",
        readout: Literal["all", "last"] = "all",
        dtype: DTypeLike = "float32",
        seed: int | np.random.Generator | None = None,
        init: Literal["orthogonal", "uniform", "identity"] | None = "orthogonal",
    ) -> None:
        self._readout = choice("readout", readout, ("all", "last"))
        super().__init__(
            n_in,
            n_hidden,
            n_out,
            input=input,
            output=output,
            readout=readout,
            recurrence="h",
            dtype=dtype,
            seed=seed,
            init=init,
        )

    @property
    def readout(self) -> str:
        """Which steps have an output: ``"all"`` or ``"last"``."""
        return self._readout

    def _initial_W(self, init: str, random: np.random.Generator) -> Array:
        if init == "identity":
            return np.eye(self.n_hidden)
        return orthogonal(self.n_hidden, self.n_hidden, random)

    # ---- Computation ----

    def forward(
        self, x: Any, h0: ArrayLike | None = None, lengths: ArrayLike | None = None, reset: Any = None
    ) -> ElmanRun:
        """Run the network over the sequences, left to right (equations 10.8-10.11).

        Parameters
        ----------
        x : array_like or list of array_like
            The inputs, ``[tau, n_in]`` or ``[tau, batch, n_in]``, or a list; tokens without the last axis.
        h0 : array_like, optional
            h(0), ``[batch, n_hidden]`` (``[n_hidden]`` for a single sequence); 0 by default.
        lengths : array_like of int, optional
            ``[batch]``: how many steps of each sequence of a padded batch count, 1 to tau.
        reset : array_like of bool, or list of array_like where x is a list, optional
            ``[tau, batch]``: True where a new sequence begins. Such a step sees 0 in place of h(t-1), be it h(0), and
            no gradient goes from it to what is before. So a stream of many sequences is one.

        Returns
        -------
        ElmanRun
            With ``h``, ``o``, ``y_hat`` and ``h_last``.
        """
        return ElmanRun(*self._forward(x, h0, lengths, reset))

    def loss(
        self,
        x: Any,
        y: Any,
        h0: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        weight: Any = None,
        reset: Any = None,
    ) -> float:
        """Return the total loss: the sum over steps and sequences of the negative log-likelihood (10.12-10.14), in
        nats.

        Parameters
        ----------
        x, h0, lengths, reset
            As for `forward`.
        y : array_like, or list of array_like where x is a list
            The targets. Softmax: classes in ``[0, n_out)``, ``[tau, batch]``, -1 where a step has none. Sigmoid
            (numbers in ``[0, 1]``) and linear: ``[tau, batch, n_out]``. Without the tau axis for ``readout="last"``.
        weight : array_like, or list of array_like where x is a list, optional
            ``[tau, batch]``, a factor of each step's loss (``[batch]`` for ``readout="last"``). Where it is 0,
            the target is not read.

        Returns
        -------
        float
            Summed in double precision; never a mean.
        """
        return self._loss(x, y, h0, lengths, weight, reset)

    def loss_and_gradients(
        self,
        x: Any,
        y: Any,
        h0: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        weight: Any = None,
        wrt_x: bool = False,
        memory_limit: int | None = None,
        reset: Any = None,
    ) -> tuple[float, ElmanGradients]:
        """Return the total loss and its exact gradients, by back-propagation through time (section 10.2.2).

        Time and memory grow linearly with tau; the states h(t) are all that is kept from the forward pass. With a
        `memory_limit` fewer are kept and the others are computed twice, which takes less than 1.4 times as long.

        Parameters
        ----------
        x, y, h0, lengths, weight, reset
            As for `loss`.
        wrt_x : bool
            Whether to compute dL/dx(t) too; real input only.
        memory_limit : int, optional
            Bytes that the hidden states may take, kept and recomputed ones together. The least that is possible grows
            with the square root of tau; a `ValueError` tells it where it is more. The results have the same bits.

        Returns
        -------
        loss : float
            As from `loss`.
        gradients : ElmanGradients
            With ``U``, ``W``, ``b``, ``V``, ``c``, ``h0`` and, if asked for, ``x``; ``flat`` is laid out like
            `parameters`.
        """
        loss, parts = self._loss_and_gradients(x, y, h0, lengths, weight, wrt_x, memory_limit, reset)
        return loss, ElmanGradients(*parts)

    def generate(
        self,
        n_steps: int,
        prompt: Any = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int | np.random.Generator | None = None,
        h0: ArrayLike | None = None,
    ) -> Array:
        """Draw a continuation: at every step an output is drawn from the model's distribution and is the next input.

        A token is fed back as a token or, where the input is real, as its one-hot vector; what sigmoid and linear
        outputs draw (zeros and ones; Gaussian numbers of unit variance) is fed back as it is. So `n_in` has to equal
        `n_out`.

        Parameters
        ----------
        n_steps : int
            How many to draw, at least 1.
        prompt : array_like, optional
            What the network reads first, in the form of x: a single sequence, or a batch of them. Without one, the
            first output is drawn from o = c + V h(0).
        temperature : float
            Softmax and sigmoid outputs are drawn from o / temperature, linear ones with this standard deviation;
            0 takes what is most likely.
        top_k : int, optional
            Draw among the k most likely classes only (softmax).
        seed : int or numpy.random.Generator, optional
            Equal seeds draw equal outputs.
        h0 : array_like, optional
            The state before the prompt, ``[n_hidden]`` or ``[batch, n_hidden]``; 0 by default.

        Returns
        -------
        ndarray
            ``[n_steps]`` or ``[n_steps, batch]``, int64, for softmax; else ``[n_steps, n_out]`` or
            ``[n_steps, batch, n_out]``. The prompt is not repeated.
        """
        n_steps = size("n_steps", n_steps, 1)
        if self.readout != "all":
            raise ValueError("readout: expected 'all' to generate, as each output is the next input, got 'last'")
        if self.n_in != self.n_out or (self.input == "token" and self.output != "softmax"):
            raise ValueError(f"generate: expected outputs that can be inputs, got {self!r}")
        how = drawing(self.output, self.n_out, temperature, top_k, seed)
        if prompt is None:
            states = np.zeros(self.n_hidden) if h0 is None else as_array("h0", h0, self.dtype)
            if states.ndim not in (1, 2) or 0 in states.shape:
                raise ValueError(f"h0: expected [{self.n_hidden}] or [batch, {self.n_hidden}], got {states.shape}")
            single = states.ndim == 1
            nothing = np.zeros((1, *states.shape[:-1]), np.int8)  # as many sequences as h0 has states
            s = self._sequences(nothing if self.input == "token" else nothing[..., None].repeat(self.n_in, -1), None)
            h = s.one_row("h0", states, self.n_hidden, self.dtype)
            o = None
        else:
            if isinstance(prompt, list | tuple):
                raise TypeError("prompt: expected an array, got a list, which is a list of sequences")
            if np.size(prompt) == 0:
                raise ValueError("prompt: expected at least one time step, or None, got an empty array")
            s = self._sequences(prompt, None)
            single = s.form == "single"
            run = self.forward(prompt, h0)
            h, o = np.atleast_2d(run.h_last), np.atleast_2d(run.o[-1])
        return self._generate(n_steps, None, h, o, how, single)
