"""A character-level language model: streams, truncated BPTT, validation. Knows no files, options or terminal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from bptt import ElmanRNN
from bptt.optimizers import Adam
from bptt.text import Tokens, UserError, Vocabulary

_HELD_OUT_SHARE = 0.1
_HELD_OUT_MOST = 200_000  # characters: validation of a large text stays a matter of a second
_SEGMENT, _WARM_UP, _ROWS = 1024, 128, 32  # evaluation: characters scored a segment, read before them, segments a call
_RISING = 100  # updates while the learning rate rises, but at most a tenth of all
_LAST_RATE = 0.1  # of the learning rate, where its cosine ends
_MAX_NORM = 1.0


def split(tokens: Tokens, tau: int, name: str = "text") -> tuple[Tokens, Tokens]:
    """Hold out the last part of a text for validation.

    Parameters
    ----------
    tokens : int array [n]
        The text.
    tau : int
        The window's length: each part has at least ``tau + 1`` characters.
    name : str
        What an error calls the text.

    Returns
    -------
    training, held_out : int array
        The two parts: the last tenth is held out, but at most 200,000 characters.

    Raises
    ------
    UserError
        The text is too short.
    """
    if len(tokens) < 2 * (tau + 1):
        raise UserError(
            f"{name}: too short, {len(tokens)} characters; windows of {tau} need at least {2 * (tau + 1)} "
            "(one to train on, one to validate)"
        )
    held_out = max(min(int(len(tokens) * _HELD_OUT_SHARE), _HELD_OUT_MOST), tau + 1)
    return tokens[:-held_out], tokens[-held_out:]


def most_streams(n_tokens: int, tau: int) -> int:
    """Return how many parallel streams of at least one window a text of `n_tokens` characters yields."""
    return (n_tokens - 1) // tau


class Streams:
    """A text cut into `batch` streams of equal length, which are read side by side in windows of `tau` steps.

    Parameters
    ----------
    tokens : int array [n]
        The text, with ``n > batch * tau``.
    batch, tau : int
        The number of streams, and of steps a window.
    seed : int
        Draws where a pass begins: the characters that fill no window are then others in each pass.
    """

    def __init__(self, tokens: Tokens, batch: int, tau: int, seed: int) -> None:
        steps = (len(tokens) - 1) // batch
        self.tau = tau
        self._x = np.ascontiguousarray(tokens[: steps * batch].reshape(batch, steps).T)
        self._y = np.ascontiguousarray(tokens[1 : steps * batch + 1].reshape(batch, steps).T)
        self._random = np.random.default_rng(seed)
        self._next = steps

    def window(self) -> tuple[Tokens, Tokens, bool]:
        """Return the next window ``x [tau, batch]``, its targets ``y``, and whether the streams begin again with it."""
        steps = len(self._x)
        if begins := self._next + self.tau > steps:
            self._next = int(self._random.integers(steps % self.tau + 1))
        rows = slice(self._next, self._next + self.tau)
        self._next += self.tau
        return self._x[rows], self._y[rows], begins


def nats_per_character(rnn: ElmanRNN, tokens: Tokens, most: int | None = None) -> float:
    """Return the mean negative log-likelihood of each character of a text, given those before it.

    The text is scored in segments, many at a time. A segment starts from the zero state and reads what stands before
    it unscored: a character is predicted from at least 128 characters before it (all of them, near the beginning).

    Parameters
    ----------
    rnn : ElmanRNN
        A model with ``input="token"``, ``output="softmax"``, ``readout="all"``.
    tokens : int array [n]
        The text, ``n >= 2``. The first character is read only.
    most : int, optional
        Score about this many characters at most, in segments spread evenly over the text.

    Returns
    -------
    float
        The mean in nats. Divided by ``log(2)``, bits.
    """
    reach = _WARM_UP + _SEGMENT
    n_segments = max(1, math.ceil((len(tokens) - 1 - _WARM_UP) / _SEGMENT))
    # Filled up to whole segments. -1 is "no target", and a step behind the last target changes nothing before it.
    x = np.zeros(n_segments * _SEGMENT + _WARM_UP, np.int64)
    y = np.full_like(x, -1)
    x[: len(tokens) - 1], y[: len(tokens) - 1] = tokens[:-1], tokens[1:]
    every = 1 if most is None else max(1, math.ceil(n_segments * _SEGMENT / most))
    starts = np.arange(0, n_segments, every)
    total, count = 0.0, 0
    for rows in np.split(starts, range(_ROWS, len(starts), _ROWS)):
        segments = sliding_window_view(x, reach)[rows * _SEGMENT].T
        targets = sliding_window_view(y, reach)[rows * _SEGMENT].T
        targets[:_WARM_UP, rows > 0] = -1
        steps = int((targets >= 0).any(axis=1).nonzero()[0][-1]) + 1
        total += rnn.loss(segments[:steps], targets[:steps])
        count += int((targets >= 0).sum())
    return total / count


class Trainer:
    """Truncated back-propagation through time over parallel streams, with Adam and clipping by the global norm.

    The state at the end of a window is the initial state of the next; the gradient stops there. The learning rate
    rises linearly over the first updates and falls along a cosine to a tenth.

    Parameters
    ----------
    rnn : ElmanRNN
        The model, which is trained in place.
    training, held_out : int array
        The two parts of the text.
    tau, batch, updates : int
        Steps a window, streams, and updates in all.
    rate : float
        The largest learning rate. An update follows the mean loss per character.
    seed : int
        Seed of what is drawn here (see `Streams`).
    """

    def __init__(
        self,
        rnn: ElmanRNN,
        training: Tokens,
        held_out: Tokens,
        *,
        tau: int,
        batch: int,
        updates: int,
        rate: float,
        seed: int,
    ) -> None:
        self.rnn, self.held_out = rnn, held_out
        self.updates, self.done, self.rate = updates, 0, rate
        self.best, self.best_update = math.inf, 0
        self.training_loss = math.nan
        self._streams = Streams(training, batch, tau, seed)
        self._adam = Adam(rate)
        self._state: NDArray[np.floating[Any]] | None = None
        self._best_parameters = rnn.parameters.copy()

    def update(self) -> None:
        """Train on the next window. `training_loss` (nats a character) is a running mean over about 50 windows.

        Raises
        ------
        UserError
            The loss or its gradient is no longer finite.
        """
        x, y, begins = self._streams.window()
        loss, gradients = self.rnn.loss_and_gradients(x, y, h0=None if begins else self._state)
        loss /= y.size
        self._check(loss)
        self._state = gradients.h_last
        try:
            self._adam.step(self.rnn, gradients, scale=y.size, clip_norm=_MAX_NORM, lr=self._rate_now())
        except FloatingPointError as error:
            raise UserError(f"{error}: try a smaller --lr") from error
        self.done += 1
        weight = max(1 / self.done, 0.02)
        self.training_loss = loss if self.done == 1 else (1 - weight) * self.training_loss + weight * loss

    def validate(self, most: int | None) -> float:
        """Score the held-out text (about `most` characters of it), and remember the best parameters.

        Raises
        ------
        UserError
            The loss is no longer a finite number.
        """
        loss = nats_per_character(self.rnn, self.held_out, most)
        self._check(loss)
        if loss < self.best:
            self.best, self.best_update = loss, self.done
            self._best_parameters[:] = self.rnn.parameters
        return loss

    def keep_best(self) -> None:
        """Give the model the parameters of the best validation so far."""
        self.rnn.parameters[:] = self._best_parameters

    def _check(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise UserError(f"the loss is {loss} after {self.done} updates: try a smaller --lr")

    def _rate_now(self) -> float:
        rising = (self.done + 1) / max(1.0, min(_RISING, self.updates / 10))
        falling = 0.5 + 0.5 * math.cos(math.pi * self.done / self.updates)
        return self.rate * min(1.0, rising) * (_LAST_RATE + (1 - _LAST_RATE) * falling)


def new_model(vocabulary: Vocabulary, n_hidden: int, seed: int) -> ElmanRNN:
    """Return an untrained model of a vocabulary, which it carries in its metadata."""
    n = len(vocabulary)
    rnn = ElmanRNN(n, n_hidden, n, input="token", output="softmax", readout="all", dtype="float32", seed=seed)
    rnn.U = 2 * rnn.U  # characters that move the state more are told apart sooner: training starts faster
    rnn.metadata["vocabulary"] = vocabulary.characters
    return rnn


def vocabulary_of(rnn: object) -> Vocabulary:
    """Return the vocabulary that a model carries.

    Raises
    ------
    ValueError
        The model is none that `new_model` makes: it has another kind of input or output, or no valid vocabulary.
    """
    if not isinstance(rnn, ElmanRNN) or (rnn.input, rnn.output, rnn.readout) != ("token", "softmax", "all"):
        raise ValueError("not a character model: it reads or predicts something else")
    characters = rnn.metadata.get("vocabulary")
    if not isinstance(characters, str) or not len(characters) == len(set(characters)) == rnn.n_in == rnn.n_out:
        raise ValueError("not a character model: it carries no vocabulary that fits its sizes")
    return Vocabulary(characters)


def sample(
    rnn: ElmanRNN, vocabulary: Vocabulary, prompt: str, length: int, temperature: float, seed: int | None
) -> str:
    r"""Return `length` characters drawn from a model after it has read `prompt` (if empty: a line's end).

    Raises
    ------
    UserError
        The prompt holds a character that the model does not know.
    """
    first = "\n" if "\n" in vocabulary.characters else vocabulary.characters[0]
    tokens = vocabulary.encode(prompt or first, "--prompt")
    return vocabulary.decode(rnn.generate(length, prompt=tokens, temperature=temperature, seed=seed))
