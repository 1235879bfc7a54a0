"""The Elman network (figures 10.3 and 10.5): its arguments, and its results."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from bptt._arrays import Array
from bptt._checks import size, truth
from bptt.networks.beams import Beams
from bptt.networks.chance import disturbed
from bptt.networks.docstrings import shared_paragraphs
from bptt.networks.drawing import Start, beam_width, drawing, one_hot
from bptt.networks.leak import told_leak
from bptt.networks.options import Options
from bptt.networks.results import ElmanGradients, ElmanRun
from bptt.networks.stream import Stream
from bptt.networks.trainable import TrainableNetwork


@shared_paragraphs
class ElmanRNN(TrainableNetwork):
    """The recurrent network of *Deep Learning*, section 10.2.

    For every step t = 1, ..., tau::

        a(t)     = b + W h(t-1) + U x(t)         (10.8)
        h(t)     = tanh(a(t)), or relu           (10.9)
        o(t)     = c + V h(t)                    (10.10)
        y_hat(t) = output unit of o(t)           (10.11, for softmax)

    Several layers l = 1, ..., L stand upon one another (figure 10.13 a): each has its own U, W and b, and reads the
    h(t) of the layer below in place of x(t); o(t) is read from the top layer. With two directions (figure 10.11) each
    layer has a second state, which runs from t = tau to 1; what is above reads both side by side, the forward one
    first.

    Leaky units (section 10.9.2) keep a part of what they were, with alpha from `leak`::

        v(t)     = (1 - alpha) v(t-1) + alpha a(t)
        h(t)     = tanh(v(t)), or relu           (in place of 10.9)

    Their state is v: ``v0``, ``v_last`` stand in place of ``h0``, ``h_last`` everywhere, and h(0) = f(v(0)).

    Parameters
    ----------
    {n_in, n_out}
    n_hidden : int or sequence of int
        Number of hidden units; of several layers, from the bottom to the top.
    {input}
    {output}
    readout : {"all", "last"}
        An output at every step (figure 10.3), or one at the end of the sequence (figure 10.5), from the last state of
        each direction.
    {activation}
    bidirectional : bool
        Whether each layer has two directions. Then nothing can be drawn, nor `fit` in windows (`truncate`).
    leak : float, array_like, or list
        alpha of the units, in (0, 1]: the time from one step to the next over the unit's time constant. One number for
        all units, or ``[n_hidden]``; of several layers also a list with one of these a layer. Both directions of a
        layer have the same. It is not trained. 1 is the network without a leak, to the bit.
    learn_h0 : bool
        Whether h(0) of each layer and direction (v(0) of leaky units) is a parameter, one vector for all sequences. It
        is 0 before training. Every sequence begins with it, those that `reset` begins too, unless a call gives h0 (v0):
        then these begin with what is given.
    {dtype, seed}
    init : {"orthogonal", "uniform", "identity"}
        Of the weights. ``"orthogonal"``: W is a random orthogonal matrix, U and V are uniform within
        ``+-1/sqrt(fan-in)`` (1 for a token: one input is on), the biases 0. ``"identity"``: the same with W = I, as
        suits relu (Le, Jaitly, Hinton, 2015). ``"uniform"``: all uniform within ``+-1/sqrt(n_hidden)``, as in PyTorch.
        None: all 0.

    Attributes
    ----------
    U, W, b : ndarray
        ``[n_hidden, n_in]``, ``[n_hidden, n_hidden]``, ``[n_hidden]``: writable views of `parameters`. Assigning copies
        in. They are there for one layer in one direction.
    layers : tuple of Layer
        For every network, from the bottom to the top: ``layers[k].U``, ``W``, ``b``, where U is ``[n_l, n_in]`` for the
        lowest layer, else ``[n_l, n_(l-1)]``, or ``[n_l, 2 n_(l-1)]`` with two directions; ``layers[k].reverse.U`` and
        so on are those of the second direction.
    h0, v0 : ndarray
        With `learn_h0`, ``[n_hidden]``: h(0), or v(0) of leaky units, as U, W and b are; ``layers[k].h0`` for every
        network.
    V, c : ndarray
        ``[n_out, n_hidden]`` of the top layer (``[n_out, 2 n_hidden]`` with two directions), ``[n_out]``.
    {parameters, metadata, forms}

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
    LATER_KEYS: ClassVar[dict[str, Any]] = {
        "activation": "tanh",
        "bidirectional": False,
        "leak": 1.0,
        "learn_h0": False,
    }
    LEFT_OUT: ClassVar[dict[str, Any]] = {"leak": 1.0, "learn_h0": False}
    KEYS: ClassVar[tuple[str, ...]] = ("n_in", "n_hidden", "n_out", "input", "output", "readout", *LATER_KEYS, "dtype")
    _INITIAL: ClassVar[str] = "h0"
    _INITS: ClassVar[tuple[str, ...]] = ("orthogonal", "uniform", "identity")

    def __init__(
        self,
        n_in: int,
        n_hidden: int | Sequence[int],
        n_out: int,
        *,
        input: Literal["real", "token"] = "real",
        output: Literal["softmax", "sigmoid", "linear"] = "softmax",
        readout: Literal["all", "last"] = "all",
        activation: Literal["tanh", "relu"] = "tanh",
        bidirectional: bool = False,
        leak: float | Sequence[Any] | Array = 1.0,
        learn_h0: bool = False,
        dtype: DTypeLike = "float32",
        seed: int | np.random.Generator | None = None,
        init: Literal["orthogonal", "uniform", "identity"] | None = "orthogonal",
    ) -> None:
        configuration = {
            "n_in": n_in,
            "n_hidden": n_hidden,
            "n_out": n_out,
            "input": input,
            "output": output,
            "readout": readout,
            "activation": activation,
            "bidirectional": bidirectional,
            "leak": leak,
            "learn_h0": learn_h0,
            "dtype": dtype,
        }
        super().__init__(configuration, seed, init)

    @classmethod
    def options_of(cls, **configuration: Any) -> Options:
        """Check the `configuration` of a network."""
        return Options(**configuration, recurrence="h")

    @property
    def bidirectional(self) -> bool:
        """Whether each layer has a second direction, from the end of a sequence to its beginning."""
        return self._options.bidirectional

    @property
    def readout(self) -> str:
        """Which steps have an output: ``"all"`` or ``"last"``."""
        return self._options.readout

    @property
    def leak(self) -> Any:
        """alpha of the units: one number where all have the same, else in the form of the argument, of lists."""
        return told_leak(self._options.leak)

    @property
    def learn_h0(self) -> bool:
        """Whether the state before the first step is a parameter: `h0`, of leaky units `v0`."""
        return self._options.learn_h0

    def _state(self, h0: Any, v0: Any) -> Any:
        """What a user gives as the state before the first step, under the name that it has here."""
        if h0 is not None and self._options.leak:
            raise ValueError("h0: expected None, as the state of leaky units is v: pass it as v0")
        if v0 is not None and not self._options.leak:
            raise ValueError("v0: expected None, as the state of units without a leak is h: pass it as h0")
        return h0 if v0 is None else v0

    # ---- Computation ----

    @shared_paragraphs
    def forward(
        self,
        x: Any,
        *,
        h0: Any = None,
        v0: Any = None,
        lengths: ArrayLike | None = None,
        reset: Any = None,
        all_layers: bool = False,
        v: bool = False,
        gradient: bool = False,
        noise: float = 0.0,
        dropout: float = 0.0,
        seed: int | np.random.Generator | None = None,
    ) -> ElmanRun:
        """Run the network over the sequences, left to right (equations 10.8-10.11), with two directions both ways.

        Parameters
        ----------
        {x}
        h0 : array_like, or list, optional
            h(0), ``[batch, n_hidden]`` (``[n_hidden]`` for a single sequence); by default 0, or the parameter with
            `learn_h0`. Of several layers a list with an entry a layer, of two directions a list of pairs (forward,
            reverse). The reverse direction begins with its own at the end of each sequence.
        v0 : array_like, or list, optional
            Of leaky units, in place of h0 and in its form: v(0).
        {lengths}
        {reset}
            Such a step sees 0, or the parameter with `learn_h0`, in place of h(t-1) (and v(t-1)), be it h(0), and no
            gradient goes from it to what is before. Nor does the reverse direction carry a state across this boundary.
        all_layers : bool
            Whether to give back the states of all layers, and not those of the top layer alone.
        v : bool
            Of leaky units: whether to give back v(t) too.
        {gradient}
        {noise, dropout, seed}

        Returns
        -------
        ElmanRun
            With ``h``, ``o``, ``y_hat``, ``h_last`` and, if asked for, ``layers``; of leaky units with ``v_last`` in
            place of ``h_last`` and, if asked for, ``v``.
        """
        if truth("v", v) and not self._options.leak:
            raise ValueError("v: expected False, as the state of units without a leak is h")
        how = disturbed(noise, dropout, seed)
        state = self._state(h0, v0)
        return ElmanRun(*self._forward(x, state, lengths, reset, all_layers, gradient, v=v, chance=how))

    @shared_paragraphs
    def loss(
        self,
        x: Any,
        y: Any,
        *,
        h0: Any = None,
        v0: Any = None,
        lengths: ArrayLike | None = None,
        weight: Any = None,
        reset: Any = None,
        noise: float = 0.0,
        dropout: float = 0.0,
        seed: int | np.random.Generator | None = None,
        activity: float = 0.0,
        comm: Any = None,
    ) -> float:
        """{loss}

        Parameters
        ----------
        x, h0, v0, lengths, reset, noise, dropout, seed
            As for `forward`.
        {y}
            For ``readout="last"`` without the tau axis: ``[batch]`` or ``[batch, n_out]``.
        {weight}
            For ``readout="last"``: ``[batch]``.
        {activity}
        {comm}

        Returns
        -------
        {returned loss}
        """
        how = disturbed(noise, dropout, seed)
        given = (x, y, self._state(h0, v0), lengths, weight, reset, how, activity)
        return self._loss(*given) if comm is None else self._loss_together(comm, *given)

    @shared_paragraphs
    def loss_and_gradients(
        self,
        x: Any,
        y: Any,
        *,
        h0: Any = None,
        v0: Any = None,
        lengths: ArrayLike | None = None,
        weight: Any = None,
        reset: Any = None,
        wrt_x: bool = False,
        memory_limit: int | None = None,
        noise: float = 0.0,
        dropout: float = 0.0,
        seed: int | np.random.Generator | None = None,
        activity: float = 0.0,
        comm: Any = None,
        reduction: str = "exact",
    ) -> tuple[float, ElmanGradients]:
        """Return the total loss and its exact gradients, by back-propagation through time (section 10.2.2).

        Time and memory grow linearly with tau; the states h(t) are all that is kept from the forward pass. With a
        `memory_limit` fewer are kept and the others are computed twice, which takes less than 1.4 times as long. With
        two directions all of them are kept, as each begins where the other ends.

        Parameters
        ----------
        x, y, h0, v0, lengths, weight, reset, noise, dropout, seed, activity
            As for `loss`.
        {wrt_x}
        {memory_limit}
        {comm}
        {reduction}

        Returns
        -------
        loss : float
            As from `loss`.
        gradients : ElmanGradients
            With ``U``, ``W``, ``b`` (or ``layers``), ``V``, ``c``, ``h0`` and, if asked for, ``x``; ``flat`` is laid
            out like `parameters`. Its ``h_last`` is the h0 of a next window. Of leaky units ``v0`` and ``v_last`` stand
            in place of ``h0`` and ``h_last``. With `learn_h0`, ``h0`` is the gradient of the parameter, and ``h0_each``
            that of each sequence's own.
        """
        how, state = disturbed(noise, dropout, seed), self._state(h0, v0)
        given = (x, y, state, lengths, weight, reset, how, activity, wrt_x, memory_limit)
        together = self._loss_and_gradients_together
        loss, parts = self._loss_and_gradients(*given) if comm is None else together(comm, reduction, *given)
        return loss, ElmanGradients(*parts)

    @shared_paragraphs
    def stream(self, h0: Any = None, batch: int | None = None, *, v0: Any = None) -> Stream:
        """Return a `Stream`: the network one step at a time, its weights packed once and its state carried along.

        Parameters
        ----------
        h0 : array_like, or list, optional
            h(0), ``[n_hidden]`` or ``[batch, n_hidden]``, of several layers a list of them; by default 0, or the
            parameter with `learn_h0`.
        {batch of a stream}
        v0 : array_like, or list, optional
            Of leaky units, in place of h0 and in its form: v(0).

        Returns
        -------
        Stream
            ``o = stream.step(x_t)`` for a step, ``stream.run(x)`` for a block of them.

        Raises
        ------
        ValueError
            If the network has two directions, of which one begins at the end.
        """
        return Stream(self, self._state(h0, v0), batch)

    @shared_paragraphs
    def log_prob(
        self, x: Any, y: Any, *, h0: Any = None, v0: Any = None, lengths: ArrayLike | None = None, reset: Any = None
    ) -> Any:
        """{log_prob}

        Parameters
        ----------
        x, h0, v0, lengths, reset
            As for `forward`.
        {y}
            For ``readout="last"`` without the tau axis: ``[batch]`` or ``[batch, n_out]``.

        Returns
        -------
        {returned log_prob}
        """
        return self._log_prob(x, y, self._state(h0, v0), lengths, reset)

    @overload
    def generate(self, n_steps: int, *, beam: int, prompt: Any = None, h0: Any = None, v0: Any = None) -> Beams: ...

    @overload
    def generate(
        self,
        n_steps: int,
        *,
        prompt: Any = None,
        h0: Any = None,
        v0: Any = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        greedy: bool = False,
        seed: int | np.random.Generator | None = None,
        beam: None = None,
    ) -> Array: ...

    @shared_paragraphs
    def generate(
        self,
        n_steps: int,
        *,
        prompt: Any = None,
        h0: Any = None,
        v0: Any = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        greedy: bool = False,
        seed: int | np.random.Generator | None = None,
        beam: int | None = None,
    ) -> Array | Beams:
        """Draw a continuation: at every step an output is drawn from the model's distribution and is the next input.

        A token is fed back as a token or, where the input is real, as its one-hot vector; what sigmoid and linear
        outputs draw (zeros and ones; Gaussian numbers of unit variance) is fed back as it is. So `n_in` has to equal
        `n_out`.

        Parameters
        ----------
        {n_steps}
        prompt : array_like, or list of array_like, optional
            What the network reads first, in the form of x: a single sequence, a batch of them, or a list of sequences
            of any lengths. Without one, the first output is drawn from o = c + V h(0).
        h0 : array_like, or list, optional
            The state before the prompt, ``[n_hidden]`` or ``[batch, n_hidden]``, of several layers a list of them; by
            default 0, or the parameter with `learn_h0`.
        v0 : array_like, or list, optional
            Of leaky units, in place of h0 and in its form.
        {temperature, top_k, top_p, greedy, seed}
        {beam}

        Returns
        -------
        {drawn}
        """
        n_steps = size("n_steps", n_steps, 1)
        self._check_reads_outputs()
        how: dict[str, Any] = {
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "greedy": greedy,
            "seed": seed,
        }
        if beam is None:
            drawn_by = drawing(self.output, self.n_out, **how)
            return self._draw(n_steps, self._start(prompt, self._state(h0, v0)), drawn_by)
        beam = beam_width(self.output, beam, **how)
        return self._beams(n_steps, beam, self._start(prompt, self._state(h0, v0)))

    @shared_paragraphs
    def generate_in_parts(
        self,
        n_steps: int,
        steps_per_part: int,
        *,
        prompt: Any = None,
        h0: Any = None,
        v0: Any = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        greedy: bool = False,
        seed: int | np.random.Generator | None = None,
    ) -> Iterator[Array]:
        """Draw what `generate` draws, some steps at a time: to show a text while it is written.

        Parameters
        ----------
        n_steps, prompt, h0, v0, temperature, top_k, top_p, greedy, seed
            As for `generate`.
        {steps_per_part}

        Returns
        -------
        {parts}
        """
        n_steps = size("n_steps", n_steps, 1)
        steps_per_part = size("steps_per_part", steps_per_part, 1)
        self._check_reads_outputs()
        how = drawing(
            self.output, self.n_out, temperature=temperature, top_k=top_k, top_p=top_p, greedy=greedy, seed=seed
        )
        return self._draw_in_parts(n_steps, steps_per_part, self._start(prompt, self._state(h0, v0)), how)

    def _check_reads_outputs(self) -> None:
        """Raise ValueError unless each output can be the next input."""
        if self.bidirectional:
            raise ValueError("bidirectional: expected False to generate, as the reverse direction begins at the end")
        why = "to generate, as each output is the next input"
        if self.readout != "all":
            raise ValueError(f"readout: expected 'all' {why}, got 'last'")
        if self.n_in != self.n_out:
            raise ValueError(f"n_in: expected n_out, {self.n_out}, {why}, got {self.n_in}")
        if self.input == "token" and self.output != "softmax":
            raise ValueError(f"output: expected 'softmax' {why}, and that is a token, got {self.output!r}")

    def _start(self, prompt: Any, state: Any) -> Start:
        """Where `generate` begins: behind the prompt."""
        if prompt is None:
            if state is None:
                return Start(self._first_state(1), single=True)
            return Start(*self._states.read_alone(state, self.dtype))
        is_list = isinstance(prompt, list | tuple)
        if not is_list and np.size(prompt) == 0:
            raise ValueError("prompt: expected at least one time step, or None, got an empty array")
        try:
            run = self.forward(prompt, **{self._states.name: state})
        except (TypeError, ValueError) as error:  # which call it x
            raise type(error)(re.sub(r"^x\b", "prompt", str(error))) from None
        last = [np.atleast_2d(state) for _, state in self._states.arrays_of(run._last)]
        o = np.stack([o[-1] for o in run.o]) if is_list else run.o[-1]
        return Start(last, single=o.ndim == 1, o=np.atleast_2d(o))

    def _beams(self, n_steps: int, k: int, start: Start) -> Beams:
        """Search with k sequences for each of the batch, side by side in one call a step."""
        states = [state.astype(self.dtype)[:, None] for state in start.r]  # of the sequences that are kept
        first = start.o
        if first is None:
            h = start.r[-1]
            if self._options.leak:
                h = np.tanh(h) if self.activation == "tanh" else np.maximum(h, 0)
            first = self.c + np.matmul(h, self.V.T, dtype=np.float64)
        rows = np.arange(start.batch)[:, None]

        def step(_: int, parents: Array, classes: Array) -> Array:
            nonlocal states
            drawn = classes.reshape(1, -1)
            x = drawn if self.input == "token" else one_hot(drawn, self.n_in, self.dtype)
            before = [state[rows, parents].reshape(drawn.size, -1) for state in states]
            run = self.forward(x, **{self._states.name: self._states.nested(before)})
            after = self._states.arrays_of(run._last)
            states = [state.reshape(*classes.shape, -1) for _, state in after]
            o: Array = run.o.reshape(*classes.shape, -1)
            return o

        return self._search(n_steps, k, start, first, step)
