"""A character-level language model: streams, held-out segments, samples. Knows no files, options or terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from bptt._arrays import Array
from bptt.app.architecture import Architecture
from bptt.app.errors import UserError
from bptt.app.text_data import Tokens, Vocabulary
from bptt.networks.elman import ElmanRNN
from bptt.networks.jordan import JordanRNN

SAMPLE, TEMPERATURE = 500, 0.8  # characters of a sample, and how likely ones are drawn, by default
_HELD_OUT_SHARE = 0.1
_HELD_OUT_MOST = 200_000  # characters: validation of a large text stays a matter of a second
_OPERATIONS = 1e9  # multiply-adds of a part of a sample
_LEAST, _MOST = 100, 1000  # characters of a part: so many that preparing the weights takes a small share of the time
_SEGMENT, _WARM_UP, _ROWS = 1024, 128, 32  # evaluation: characters scored a segment, read before them, segments a call


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


def streams(tokens: Tokens, batch: int) -> Tokens:
    """Cut a text into parallel streams: what a model reads, and `following` what it is to predict.

    Parameters
    ----------
    tokens : int array [n]
        The text, ``n > batch``.
    batch : int
        The number of streams.

    Returns
    -------
    int array [steps, batch]
        Each character but the last one; 0 where the last stream is filled up.
    """
    n = len(tokens) - 1
    steps = math.ceil(n / batch)
    x = np.zeros(batch * steps, tokens.dtype)
    x[:n] = tokens[:-1]
    by_time: Tokens = x.reshape(batch, steps).T
    return by_time


def following(x: Tokens, n: int, last: int) -> Tokens:
    """Return the character that follows each of the `n` in `streams`, the last one `last`; -1 where they are filled up.

    The streams are enough to tell: where memory is short, the text need not be there any more.
    """
    y = np.full(x.size, -1, x.dtype)
    y[: n - 1], y[n - 1] = x.T.reshape(-1)[1:n], last
    by_time: Tokens = y.reshape(x.T.shape).T
    return by_time


def segments(tokens: Tokens, most: int | None = None) -> Iterator[tuple[Tokens, Tokens]]:
    """Cut a text into segments to be scored side by side, each from the zero state.

    A segment begins with characters that are only read: a character is predicted from at least 128 before it (all of
    them, near the beginning).

    Parameters
    ----------
    tokens : int array [n]
        The text, ``n >= 2``. The first character is read only.
    most : int, optional
        Score about this many characters at most, in segments spread evenly over the text, all of them at once.

    Yields
    ------
    x, y : int array [steps, segments]
        Characters, and those that follow them; a target of -1 where none is scored. Without `most`, 32 segments at a
        time.
    """
    n = max(1, math.ceil((len(tokens) - 1 - _WARM_UP) / _SEGMENT))
    every = 1 if most is None else max(1, math.ceil(n * _SEGMENT / most))
    rows = range(0, n, every)
    for some in (rows[i : i + _ROWS] for i in range(0, len(rows), _ROWS)) if most is None else [rows]:
        x = np.zeros((_WARM_UP + _SEGMENT, len(some)), tokens.dtype)
        y = np.full_like(x, -1)
        for i, row in enumerate(some):
            part = tokens[row * _SEGMENT : (row + 1) * _SEGMENT + _WARM_UP + 1]
            read_only = _WARM_UP if row > 0 else 0
            x[: len(part) - 1, i], y[read_only : len(part) - 1, i] = part[:-1], part[1 + read_only :]
        steps = int((y >= 0).any(axis=1).nonzero()[0][-1]) + 1
        yield x[:steps], y[:steps]


def read_by(rnn: ElmanRNN | JordanRNN, x: Tokens) -> Array:
    """Return what a model is given to read: nothing, where its own feedback says which character came before."""
    return x if isinstance(rnn, ElmanRNN) else np.empty((*x.shape, 0), rnn.dtype)


def nats_per_character(rnn: ElmanRNN | JordanRNN, tokens: Tokens) -> float:
    """Return the mean negative log-likelihood of each character of a text, given those before it (see `segments`).

    Divided by ``log(2)``, it is in bits.
    """
    total, scored = 0.0, 0
    for x, y in segments(tokens):
        total += rnn.loss(read_by(rnn, x), y)
        scored += int((y >= 0).sum())
    return total / scored


def new_model(vocabulary: Vocabulary, architecture: Architecture) -> ElmanRNN | JordanRNN:
    """Return an untrained model of a vocabulary, which it carries in its metadata.

    An Elman network reads characters. A Jordan network reads none: the one before is what it sees as its own output.
    """
    n = len(vocabulary)
    rnn: ElmanRNN | JordanRNN
    if architecture.network == "jordan":
        rnn = architecture.build(0, n)
    else:
        rnn = architecture.build(n, n, input="token")
        rnn.layers[0].U *= 2  # characters that move the state more are told apart sooner: training starts faster
    rnn.metadata["vocabulary"] = vocabulary.characters
    return rnn


def vocabulary_of(rnn: ElmanRNN | JordanRNN) -> Vocabulary | None:
    """Return the vocabulary that a model carries; None if it carries none, or one that does not fit."""
    characters = rnn.metadata.get("vocabulary")
    if isinstance(rnn, ElmanRNN):
        fits = (rnn.input, rnn.readout, rnn.n_in, rnn.bidirectional) == ("token", "all", rnn.n_out, False)
    else:
        fits = rnn.n_in == 0
    if not (fits and rnn.output == "softmax" and isinstance(characters, str)):
        return None
    return Vocabulary(characters) if len(characters) == len(set(characters)) == rnn.n_out else None


def sample(
    rnn: ElmanRNN | JordanRNN, vocabulary: Vocabulary, prompt: str, length: int, temperature: float, seed: int | None
) -> str:
    """Return `length` characters drawn from a model, see `sample_in_parts`."""
    return "".join(sample_in_parts(rnn, vocabulary, prompt, length, temperature=temperature, seed=seed))


def sample_in_parts(
    rnn: ElmanRNN | JordanRNN, vocabulary: Vocabulary, prompt: str, length: int, **options: Any
) -> Iterator[str]:
    r"""Return `length` characters drawn from a model after it has read `prompt` (if empty: a line's end).

    They come in parts, each drawn when it is asked for. The `options` are those of
    `generate`.

    Raises
    ------
    UserError
        The prompt holds a character that the model does not know, or its outputs are not finite.
    """
    first = "\n" if "\n" in vocabulary.characters else vocabulary.characters[0]
    tokens = vocabulary.encode(prompt or first, "--prompt")
    steps = min(max(int(_OPERATIONS / rnn.parameters.size), _LEAST), _MOST)
    try:
        for drawn in rnn.generate_in_parts(length, steps, prompt=tokens, **options):
            yield vocabulary.decode(drawn)
    except ValueError as error:
        raise UserError(str(error)) from error
