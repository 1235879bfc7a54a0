"""The Elman network (figures 10.3 and 10.5): its arguments, and its results."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from bptt._arrays import Array, as_array
from bptt._checks import size
from bptt.networks.base import Options, orthogonal
from bptt.networks.docstrings import shared_paragraphs
from bptt.networks.drawing import drawing
from bptt.networks.results import ElmanGradients, ElmanRun
from bptt.networks.trainable import TrainableNetwork


@shared_paragraphs
class ElmanRNN(TrainableNetwork):
    """The recurrent network of *Deep Learning*, section 10.2.

    For every step t = 1, ..., tau::

        a(t)     = b + W h(t-1) + U x(t)         (10.8)
        h(t)     = tanh(a(t))                    (10.9)
        o(t)     = c + V h(t)                    (10.10)
        y_hat(t) = output unit of o(t)           (10.11, for softmax)

    Parameters
    ----------
    {n_in, n_out}
    n_hidden : int
        Number of hidden units.
    {input}
    {output}
    readout : {"all", "last"}
        An output at every step (figure 10.3), or one at the end of the sequence (figure 10.5).
    {dtype, seed}
    init : {"orthogonal", "uniform", "identity"}
        Of the weights. ``"orthogonal"``: W is a random orthogonal matrix, U and V are uniform within
        ``+-1/sqrt(fan-in)`` (1 for a token: one input is on), the biases 0. ``"identity"``: the same with W = I.
        ``"uniform"``: all uniform within ``+-1/sqrt(n_hidden)``, as in PyTorch. None: all 0.

    Attributes
    ----------
    U, W, b, V, c : ndarray
        ``[n_hidden, n_in]``, ``[n_hidden, n_hidden]``, ``[n_hidden]``, ``[n_out, n_hidden]``, ``[n_out]``: writable
        views of `parameters`. Assigning copies in.
    {parameters, metadata}

    Notes
    -----
    {forms}

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

    KIND: ClassVar[str] = "elman"
    KEYS: ClassVar[tuple[str, ...]] = ("n_in", "n_hidden", "n_out", "input", "output", "readout", "dtype")
    _INITIAL: ClassVar[str] = "h0"
    _INITS: ClassVar[tuple[str, ...]] = ("orthogonal", "uniform", "identity")

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
        options = self._options_of(n_in, n_hidden, n_out, input=input, output=output, readout=readout, dtype=dtype)
        super().__init__(options, seed, init)

    @classmethod
    def _options_of(
        cls, n_in: int, n_hidden: int, n_out: int, *, input: str, output: str, readout: str, dtype: DTypeLike
    ) -> Options:
        return Options.of(
            n_in, n_hidden, n_out, input=input, output=output, readout=readout, recurrence="h", dtype=dtype
        )

    def configuration(self) -> dict[str, Any]:
        kind = {"input": self.input, "output": self.output, "readout": self.readout, "dtype": self.dtype.name}
        return self._sizes() | kind

    @property
    def readout(self) -> str:
        """Which steps have an output: ``"all"`` or ``"last"``."""
        return self._options.readout

    def _initial_W(self, init: str, random: np.random.Generator) -> Array:
        if init == "identity":
            return np.eye(self.n_hidden)
        return orthogonal(self.n_hidden, self.n_hidden, random)

    # ---- Computation ----

    @shared_paragraphs
    def forward(self, x: Any, *, h0: Any = None, lengths: ArrayLike | None = None, reset: Any = None) -> ElmanRun:
        """Run the network over the sequences, left to right (equations 10.8-10.11).

        Parameters
        ----------
        {x}
        h0 : array_like, optional
            h(0), ``[batch, n_hidden]`` (``[n_hidden]`` for a single sequence); 0 by default.
        {lengths}
        {reset}
            Such a step sees 0 in place of h(t-1), be it h(0), and no gradient goes from it to what is before.

        Returns
        -------
        ElmanRun
            With ``h``, ``o``, ``y_hat`` and ``h_last``.
        """
        return ElmanRun(*self._forward(x, h0, lengths, reset))

    @shared_paragraphs
    def loss(
        self, x: Any, y: Any, *, h0: Any = None, lengths: ArrayLike | None = None, weight: Any = None, reset: Any = None
    ) -> float:
        """{loss}

        Parameters
        ----------
        x, h0, lengths, reset
            As for `forward`.
        {y}
            For ``readout="last"`` without the tau axis: ``[batch]`` or ``[batch, n_out]``.
        {weight}
            For ``readout="last"``: ``[batch]``.

        Returns
        -------
        {returned loss}
        """
        return self._loss(x, y, h0, lengths, weight, reset)

    @shared_paragraphs
    def loss_and_gradients(
        self,
        x: Any,
        y: Any,
        *,
        h0: Any = None,
        lengths: ArrayLike | None = None,
        weight: Any = None,
        reset: Any = None,
        wrt_x: bool = False,
        memory_limit: int | None = None,
    ) -> tuple[float, ElmanGradients]:
        """Return the total loss and its exact gradients, by back-propagation through time (section 10.2.2).

        Time and memory grow linearly with tau; the states h(t) are all that is kept from the forward pass. With a
        `memory_limit` fewer are kept and the others are computed twice, which takes less than 1.4 times as long.

        Parameters
        ----------
        x, y, h0, lengths, weight, reset
            As for `loss`.
        {wrt_x}
        {memory_limit}

        Returns
        -------
        loss : float
            As from `loss`.
        gradients : ElmanGradients
            With ``U``, ``W``, ``b``, ``V``, ``c``, ``h0`` and, if asked for, ``x``; ``flat`` is laid out like
            `parameters`. Its ``h_last`` is the h0 of a next window.
        """
        loss, parts = self._loss_and_gradients(x, y, h0, lengths, weight, reset, wrt_x, memory_limit)
        return loss, ElmanGradients(*parts)

    @shared_paragraphs
    def generate(
        self,
        n_steps: int,
        *,
        prompt: Any = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int | np.random.Generator | None = None,
        h0: Any = None,
    ) -> Array:
        """Draw a continuation: at every step an output is drawn from the model's distribution and is the next input.

        A token is fed back as a token or, where the input is real, as its one-hot vector; what sigmoid and linear
        outputs draw (zeros and ones; Gaussian numbers of unit variance) is fed back as it is. So `n_in` has to equal
        `n_out`.

        Parameters
        ----------
        {n_steps}
        prompt : array_like, optional
            What the network reads first, in the form of x: a single sequence, or a batch of them. Without one, the
            first output is drawn from o = c + V h(0).
        {temperature, top_k, seed}
        h0 : array_like, optional
            The state before the prompt, ``[n_hidden]`` or ``[batch, n_hidden]``; 0 by default.

        Returns
        -------
        {drawn}
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
            run = self.forward(prompt, h0=h0)
            h, o = np.atleast_2d(run.h_last), np.atleast_2d(run.o[-1])
        return self._generate(n_steps, None, h, o, how, single)
