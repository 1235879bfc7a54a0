"""The output-recurrent network (figures 10.4, 10.6): its arguments, and its results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from bptt._arrays import Array, as_array, as_indices, shape_text
from bptt._checks import choice, seed_of_draws, shown, size
from bptt.networks.beams import Beams
from bptt.networks.chance import Chance
from bptt.networks.docstrings import shared_paragraphs
from bptt.networks.drawing import Start, beam_width, drawing, one_hot
from bptt.networks.options import Options
from bptt.networks.results import JordanGradients, JordanRun
from bptt.networks.stream import Stream
from bptt.networks.trainable import TrainableNetwork


@shared_paragraphs
class JordanRNN(TrainableNetwork):
    """The network of *Deep Learning*, section 10.2.1, whose only recurrence runs from its output to its hidden units.

    For every step t = 1, ..., tau::

        a(t)     = b + W r(t-1) + U x(t)         (10.8, with r(t-1) for h(t-1))
        h(t)     = tanh(a(t)), or relu           (10.9)
        o(t)     = c + V h(t)                    (10.10)
        y_hat(t) = output unit of o(t)           (10.11, for softmax)

    What is fed back is r(t). Running free (figure 10.4) it is the network's own y_hat(t) or o(t). Under teacher forcing
    (figure 10.6) it is the target y(t), of a class its one-hot vector: then no step waits for another, all are computed
    at once, and no gradient goes through time. Between the two, each step draws which of them it sees (scheduled
    sampling).

    All that a step knows of the past is in r(t-1): the network is less powerful than an `ElmanRNN`.

    Parameters
    ----------
    {n_in, n_out}
    n_hidden : int
        Number of hidden units.
    {input}
    {output}
    {activation of one layer}
    feedback : {"y_hat", "o"}
        What of its own the network feeds back where it runs free: the output after its unit, or before it (the
        figure's). Targets are fed as they are, whichever it is.
    {dtype, seed}
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
    layers : tuple of Layer
        One, whose U, W and b are those above: ``layers[0].U``. Its ``reverse`` is None.
    {parameters, metadata, forms}

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

    KIND: ClassVar[str] = "jordan"
    LATER_KEYS: ClassVar[dict[str, Any]] = {"activation": "tanh"}
    KEYS: ClassVar[tuple[str, ...]] = ("n_in", "n_hidden", "n_out", "input", "output", "feedback", *LATER_KEYS, "dtype")
    _INITIAL: ClassVar[str] = "r0"
    _INITS: ClassVar[tuple[str, ...]] = ("orthogonal", "uniform")
    _CHANCE: ClassVar[Chance] = Chance(1.0, 0.0, 0.0, 0)

    def __init__(
        self,
        n_in: int,
        n_hidden: int,
        n_out: int,
        *,
        feedback: Literal["y_hat", "o"] = "y_hat",
        input: Literal["real", "token"] = "real",
        output: Literal["softmax", "sigmoid", "linear"] = "softmax",
        activation: Literal["tanh", "relu"] = "tanh",
        dtype: DTypeLike = "float32",
        seed: int | np.random.Generator | None = None,
        init: Literal["orthogonal", "uniform"] | None = "orthogonal",
    ) -> None:
        told = {"input": input, "output": output, "feedback": feedback, "activation": activation, "dtype": dtype}
        super().__init__({"n_in": n_in, "n_hidden": n_hidden, "n_out": n_out, **told}, seed, init)

    @classmethod
    def options_of(cls, **configuration: Any) -> Options:
        """Check the `configuration` of a network."""
        feedback = choice("feedback", configuration.pop("feedback"), ("y_hat", "o"))
        size("n_hidden", configuration["n_hidden"], 1)  # one layer
        return Options(**configuration, readout="all", recurrence=feedback, bidirectional=False)

    @property
    def feedback(self) -> str:
        """What of its own the network feeds back: ``"y_hat"`` or ``"o"``."""
        return self._options.recurrence

    # ---- Computation ----

    @shared_paragraphs
    def forward(
        self,
        x: Any,
        *,
        y: Any = None,
        teacher_forcing: float | None = None,
        seed: int | np.random.Generator | None = None,
        r0: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        reset: Any = None,
        gradient: bool = False,
    ) -> JordanRun:
        """Run the network over the sequences, left to right: each step sees the network's own output before it.

        Given targets y, it sees the target before it instead (teacher forcing), as in `loss`.

        Parameters
        ----------
        {x}
        y : array_like, or list of array_like where x is a list, optional
            Targets for the steps to see, as for `loss`; without them the network runs free.
        teacher_forcing, seed
            As for `loss`: the probability that a step sees the target; 1 where y is given.
        r0 : array_like, optional
            r(0), what the first step sees, ``[batch, n_out]`` (``[n_out]`` for a single sequence); 0 by default.
        {lengths}
        {reset}
            Such a step sees 0 in place of r(t-1), be it r(0) or a target, and no gradient goes from it to what is
            before.
        {gradient}

        Returns
        -------
        JordanRun
            With ``h``, ``o``, ``y_hat`` and ``r_last``, which is the r0 of a next window.
        """
        if y is None:
            if teacher_forcing not in (None, 0):
                raise ValueError(
                    f"y: expected targets for the steps to see, as teacher_forcing is {teacher_forcing}, got None"
                )
            return JordanRun(*self._forward(x, r0, lengths, reset, gradient=gradient))
        chance = self._forced(1.0 if teacher_forcing is None else teacher_forcing, seed)
        return JordanRun(*self._forward(x, r0, lengths, reset, gradient=gradient, y=y, chance=chance))

    @shared_paragraphs
    def loss(
        self,
        x: Any,
        y: Any,
        *,
        teacher_forcing: float = 1.0,
        seed: int | np.random.Generator | None = None,
        r0: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        weight: Any = None,
        reset: Any = None,
        activity: float = 0.0,
        comm: Any = None,
    ) -> float:
        """{loss}

        Parameters
        ----------
        x, r0, lengths, reset
            As for `forward`.
        {y}
        {weight}
        teacher_forcing : float
            The probability, from 0 to 1, that a step sees the target y(t-1) in place of the network's own output: 1 is
            figure 10.6, 0 runs free. Where that target is none (-1) or has weight 0, a forced step sees 0. The first
            step sees r(0) in any case.
        seed : int or numpy.random.Generator, optional
            Where `teacher_forcing` is between 0 and 1, of what the steps draw: an int in ``[0, 2**64)``, or a generator
            that gives one; by default a new one every time. A draw depends on it, on the step (counted from the
            sequence's first) and on the sequence's place in the batch, and on nothing else; see `reference.draws`.

        {activity}
        {comm}

        Returns
        -------
        {returned loss}
        """
        chance = self._forced(teacher_forcing, seed)
        given = (x, y, r0, lengths, weight, reset, chance, activity)
        return self._loss(*given) if comm is None else self._loss_together(comm, *given)

    @shared_paragraphs
    def loss_and_gradients(
        self,
        x: Any,
        y: Any,
        *,
        r0: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        weight: Any = None,
        reset: Any = None,
        teacher_forcing: float = 1.0,
        seed: int | np.random.Generator | None = None,
        wrt_x: bool = False,
        memory_limit: int | None = None,
        activity: float = 0.0,
        comm: Any = None,
        reduction: str = "exact",
    ) -> tuple[float, JordanGradients]:
        """Return the total loss and its exact gradients.

        What a step sees of the network's own output sends its gradient back through that output, and so through time
        (section 10.2.2). A target sends back none: with ``teacher_forcing=1`` every step stands by itself.

        Parameters
        ----------
        x, y, r0, lengths, weight, teacher_forcing, seed, reset, activity
            As for `loss`.
        {wrt_x}
        {memory_limit}
            With ``teacher_forcing=1`` no states are kept, and any limit will do.
        {comm}
        {reduction}

        Returns
        -------
        loss : float
            As from `loss`.
        gradients : JordanGradients
            With ``U``, ``W``, ``b``, ``V``, ``c``, ``r0`` and, if asked for, ``x``; ``flat`` is laid out like
            `parameters`. Its ``r_last`` is the r0 of a next window: it is what the step after the last would see, the
            target of the last or the network's own output, drawn if need be.
        """
        chance = self._forced(teacher_forcing, seed)
        given = (x, y, r0, lengths, weight, reset, chance, activity, wrt_x, memory_limit)
        together = self._loss_and_gradients_together
        loss, parts = self._loss_and_gradients(*given) if comm is None else together(comm, reduction, *given)
        return loss, JordanGradients(*parts)

    def _forced(self, teacher_forcing: float, seed: int | np.random.Generator | None) -> Chance:
        if isinstance(teacher_forcing, bool) or not isinstance(teacher_forcing, float | int | np.floating | np.integer):
            raise TypeError(f"teacher_forcing: expected a number from 0 to 1, got {type(teacher_forcing).__name__}")
        if not 0 <= teacher_forcing <= 1:  # nor NaN
            raise ValueError(f"teacher_forcing: expected a number from 0 to 1, got {shown(teacher_forcing, str)}")
        p = float(teacher_forcing)
        return Chance(p, 0.0, 0.0, seed_of_draws(seed, 0 < p < 1))

    @shared_paragraphs
    def stream(self, r0: ArrayLike | None = None, batch: int | None = None) -> Stream:
        """Return a `Stream`: the network one step at a time, its weights packed once and its state carried along.

        Each step sees the network's own output of the step before or, given ``step(x_t, y=...)``, y in its place: the
        y(t-1) of teacher forcing, a class as its one-hot vector, -1 for 0.

        Parameters
        ----------
        r0 : array_like, optional
            r(0), what the first step sees, ``[n_out]`` or ``[batch, n_out]``; 0 by default.
        {batch of a stream}

        Returns
        -------
        Stream
            ``o = stream.step(x_t)`` for a step, ``stream.run(x)`` for a block of them.
        """
        return Stream(self, r0, batch)

    @shared_paragraphs
    def log_prob(
        self,
        x: Any,
        y: Any,
        *,
        teacher_forcing: float = 1.0,
        seed: int | np.random.Generator | None = None,
        r0: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        reset: Any = None,
    ) -> Any:
        """{log_prob}

        Parameters
        ----------
        x, r0, lengths, reset
            As for `forward`.
        {y}
        teacher_forcing, seed
            As for `loss`. With 1, the default, the sum over the steps is the log-probability of the whole sequence y.

        Returns
        -------
        {returned log_prob}
        """
        return self._log_prob(x, y, r0, lengths, reset, self._forced(teacher_forcing, seed))

    @overload
    def generate(
        self, n_steps: int, *, beam: int, x: Any = None, prompt: Any = None, r0: ArrayLike | None = None
    ) -> Beams: ...

    @overload
    def generate(
        self,
        n_steps: int,
        *,
        x: Any = None,
        prompt: Any = None,
        r0: ArrayLike | None = None,
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
        x: Any = None,
        prompt: Any = None,
        r0: ArrayLike | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        greedy: bool = False,
        seed: int | np.random.Generator | None = None,
        beam: int | None = None,
    ) -> Array | Beams:
        """Draw a sequence: at every step an output is drawn from the model's distribution and is what the next sees.

        It is fed back as targets are under teacher forcing, a class as its one-hot vector, whichever `feedback`.

        Parameters
        ----------
        {n_steps}
        x : array_like, optional
            The inputs of the steps to draw, ``[n_steps, n_in]`` or ``[n_steps, batch, n_in]``; tokens without the last
            axis. Without one, `n_in` has to be 0.
        prompt : array_like, or list of array_like, optional
            Outputs that came before, in the form of y: ``[steps]`` or ``[steps, batch]`` of classes, else
            ``[steps, n_out]`` or ``[steps, batch, n_out]``; or a list with a sequence of any length for each of the
            batch. The network remembers no more of them than the last.
        r0 : array_like, optional
            In place of a prompt, what the first step sees: ``[n_out]`` or ``[batch, n_out]``; 0 by default.
        {temperature, top_k, top_p, greedy, seed}
        {beam}

        Returns
        -------
        {drawn}
        """
        n_steps = size("n_steps", n_steps, 1)
        how: dict[str, Any] = {
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "greedy": greedy,
            "seed": seed,
        }
        if beam is None:
            drawn_by = drawing(self.output, self.n_out, **how)
            return self._draw(n_steps, self._start(n_steps, x, prompt, r0), drawn_by)
        beam = beam_width(self.output, beam, **how)
        return self._beams(n_steps, beam, self._start(n_steps, x, prompt, r0))

    @shared_paragraphs
    def generate_in_parts(
        self,
        n_steps: int,
        steps_per_part: int,
        *,
        x: Any = None,
        prompt: Any = None,
        r0: ArrayLike | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        greedy: bool = False,
        seed: int | np.random.Generator | None = None,
    ) -> Iterator[Array]:
        """Draw what `generate` draws, some steps at a time: to show a text while it is written.

        Parameters
        ----------
        n_steps, x, prompt, r0, temperature, top_k, top_p, greedy, seed
            As for `generate`.
        {steps_per_part}

        Returns
        -------
        {parts}
        """
        n_steps = size("n_steps", n_steps, 1)
        steps_per_part = size("steps_per_part", steps_per_part, 1)
        how = drawing(
            self.output, self.n_out, temperature=temperature, top_k=top_k, top_p=top_p, greedy=greedy, seed=seed
        )
        return self._draw_in_parts(n_steps, steps_per_part, self._start(n_steps, x, prompt, r0), how)

    def _start(self, n_steps: int, x: Any, prompt: Any, r0: Any) -> Start:
        """Where `generate` begins: with what the first step sees."""
        if prompt is not None and r0 is not None:
            raise ValueError("r0: expected None, as the prompt tells what the first step sees")
        if isinstance(x, list | tuple):
            raise TypeError("x: expected an array, got a list, which is a list of sequences")
        if prompt is not None:
            r0 = self._last_of(prompt)
        read = None if r0 is None else self._states.read_alone(r0, self.dtype)
        alone = () if r0 is None else np.shape(np.asarray(r0))[:-1]
        if x is None:
            if self.n_in > 0:
                raise ValueError(f"x: expected the inputs of {n_steps} steps, got None")
            x = np.empty((n_steps, *alone, 0))
        s = self._sequences(x, None)
        if s.tau != n_steps:
            raise ValueError(f"x: expected as many steps as n_steps, {n_steps}, got {s.tau}")
        single = s.form == "single"
        if read is None:
            read = [np.zeros((s.batch, self.n_out))], single
        r, of_single = read
        if of_single != single or len(r[0]) != s.batch:
            name, expected = "r0" if prompt is None else "prompt", "a single sequence" if single else s.batch
            raise ValueError(f"{name}: expected {expected}, as x has, got {np.shape(np.asarray(r0))}")
        return Start(r, single, x=np.asarray(s.data))

    def _last_of(self, prompt: Any) -> Array:
        """The last outputs of a prompt, as vectors."""
        if isinstance(prompt, list | tuple):
            if len(prompt) == 0:
                raise ValueError("prompt: expected at least one sequence, got an empty list")
            return np.stack([self._last_of_array(f"prompt[{i}]", one, (1,)) for i, one in enumerate(prompt)])
        return self._last_of_array("prompt", prompt, (1, 2))

    def _last_of_array(self, name: str, prompt: Any, allowed: tuple[int, ...]) -> Array:
        softmax = self.output == "softmax"
        array = as_indices(name, prompt) if softmax else as_array(name, prompt, self.dtype)
        tail = () if softmax else (self.n_out,)
        axes = array.ndim - len(tail)
        if axes not in allowed or array.shape[axes:] != tail or 0 in array.shape:
            forms = [shape_text((*("steps", "batch")[:n], *tail)) for n in reversed(allowed)]
            is_no_sequence = allowed == (1,) and axes != 1
            hint = "; a list is a list of sequences: pass one sequence as an array" if is_no_sequence else ""
            raise ValueError(f"{name}: expected {' or '.join(forms)}, got {array.shape}{hint}")
        last: Array = array[-1]
        if not softmax:
            return last
        if (last < 0).any() or (last >= self.n_out).any():
            raise ValueError(f"{name}: expected classes in [0, {self.n_out}), got {last.tolist()}")
        return one_hot(np.asarray(last), self.n_out, self.dtype)

    def _beams(self, n_steps: int, k: int, start: Start) -> Beams:
        """Search with k sequences for each of the batch: of the past, a step sees the class before it alone."""
        assert start.x is not None
        x = start.x[:, :, None]  # [n_steps, batch, 1, ...]

        def outputs(t: int, r: Array) -> Array:
            batch, kept, n_out = r.shape
            x_t = np.broadcast_to(x[t], (batch, kept, *x.shape[3:])).reshape(1, batch * kept, *x.shape[3:])
            o: Array = self.forward(x_t, r0=r.reshape(batch * kept, n_out)).o
            return o.reshape(batch, kept, n_out)

        def step(t: int, _: Array, classes: Array) -> Array:
            return outputs(t, one_hot(classes, self.n_out, self.dtype))

        return self._search(n_steps, k, start, outputs(0, start.r[0][:, None])[:, 0], step)
