"""A text that goes on as you type: a network learns a text by the character, then writes one after another, live.

    python examples/live_text.py [FILE] [--quick] [--temperature T]

Each line that you type is read by the network, which then goes on from there; an empty line only lets it go on. It ends
at the end of input (Ctrl-D). Lines may also come from a pipe: `echo "The class" | python examples/live_text.py`.

Measured: half a minute of training on two cores gives 192 units 1.14 nats a character of the language reference. A step
of the stream takes 3.7 microseconds. On a terminal it waits 10 milliseconds after each, so that one sees it write.
"""

from __future__ import annotations

import argparse
import builtins
import sys
import time
from pathlib import Path

import numpy as np

import bptt

STREAMS, TAU = 32, 64


def default_text() -> str:
    """The language reference that Python carries for ``help()``; where it was left out, what the built-ins say."""
    try:
        from pydoc_data.topics import topics

        texts = list(topics.values())
    except ImportError:
        texts = [value.__doc__ or "" for value in vars(builtins).values()]
    return "\n".join(line.strip() for text in texts for line in text.splitlines())


def learned(text: str, characters: str, quick: bool) -> bptt.ElmanRNN:
    """The text as streams side by side, ``[time, STREAMS]``: the target of each character is the one that follows."""
    place = {character: token for token, character in enumerate(characters)}
    tokens = np.array([place[character] for character in text])
    steps = len(tokens) // STREAMS
    if steps < 2:
        raise SystemExit(f"the text is too short: expected at least {2 * STREAMS} characters, got {len(text)}")
    streams = tokens[: steps * STREAMS].reshape(STREAMS, steps).T
    updates = 500 if quick else 3000
    rnn = bptt.ElmanRNN(len(characters), 64 if quick else 192, len(characters), input="token", seed=0)
    history = rnn.fit(
        streams[:-1],
        streams[1:],
        optimizer=bptt.Adam(4e-3),
        schedule=bptt.schedules.Cosine(updates),
        epochs=10,
        updates_per_epoch=updates // 10,
        truncate=TAU,
        clip_norm=1.0,
        seed=0,
    )
    print(f"{rnn.n_hidden} units, {len(characters)} characters, {history.loss[-1]:.2f} nats a character", flush=True)
    return rnn


class Writer:
    """A stream of the network, which reads what is given and then writes on."""

    def __init__(self, rnn: bptt.ElmanRNN, characters: str, temperature: float, seed: int) -> None:
        self.stream, self.random = rnn.stream(), np.random.default_rng(seed)
        self.characters, self.temperature = characters, temperature
        self.o = np.zeros(len(characters), rnn.dtype)

    def read(self, text: str) -> None:
        """Characters that the network does not know are left out."""
        for character in text:
            token = self.characters.find(character)
            if token >= 0:
                self.stream.step(token, out=self.o)

    def character(self) -> str:
        """Draw one from softmax(o(t) / temperature), and read it."""
        weights = np.exp((self.o - self.o.max()) / self.temperature, dtype=np.float64)
        drawn = self.characters[self.random.choice(len(weights), p=weights / weights.sum())]
        self.read(drawn)
        return drawn


def write(writer: Writer, most: int, pause: float) -> None:
    """Up to the end of a line, or a while beyond `most`, each character as it comes."""
    for count in range(2 * most):
        character = writer.character()
        print(character, end="", flush=True)
        time.sleep(pause)
        if count >= most and character == "\n":
            return
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, help="a text in UTF-8; by default Python's language reference")
    parser.add_argument("--quick", action="store_true", help="a few seconds of training, of a smaller network")
    parser.add_argument("--temperature", type=float, default=0.6, help="below 1 it dares less (default %(default)s)")
    parser.add_argument(
        "--length", type=int, default=200, help="characters before a line may end it (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (default %(default)s)")
    options = parser.parse_args()
    if not options.temperature > 0:
        parser.error("--temperature: expected more than 0")

    text = options.file.read_text(encoding="utf-8") if options.file else default_text()
    characters = "".join(sorted(set(text)))
    rnn = learned(text, characters, options.quick)
    writer = Writer(rnn, characters, options.temperature, options.seed)

    alone = rnn.stream()
    start = time.perf_counter()
    for token in range(len(characters)):
        alone.step(token)
    print(f"{(time.perf_counter() - start) / len(characters) * 1e6:.1f} microseconds a step\n", flush=True)

    asks = sys.stdin.isatty()
    writer.read("\n")
    write(writer, options.length, 0.01 * asks)
    while True:
        print("\n> " if asks else "\n", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        line = line.strip()
        writer.read(line)
        print(line, end="")
        write(writer, options.length, 0.01 * asks)


if __name__ == "__main__":
    main()
