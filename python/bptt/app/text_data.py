"""The text of a language model: files, the default corpus, characters as integers. Knows no network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bptt.app.errors import UserError

Tokens: TypeAlias = NDArray[np.int64]

_CODE_POINTS = 0x110000  # Unicode ends here


def read_text(path: str) -> str:
    r"""Read a UTF-8 text file.

    A byte order mark is dropped, and ``\r\n`` and ``\r`` become ``\n``: the same text from another system has the
    same characters.

    Parameters
    ----------
    path : str
        The file, or ``-`` for standard input.

    Returns
    -------
    str
        The text, at least one character.

    Raises
    ------
    UserError
        The file cannot be read, is not UTF-8 text, or is empty.
    """
    name = text_name(path)
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{name}: {error.strerror or error}") from error
    # NUL is valid UTF-8, but no text file holds it, and UTF-16 is full of it.
    offset = data.find(b"\0")
    if offset < 0:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            offset = error.start
    if offset >= 0:
        raise UserError(f"{name}: not a UTF-8 text file (byte 0x{data[offset]:02x} at offset {offset})")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text:
        raise UserError(f"{name}: the text is empty")
    return text


def text_name(path: str | None) -> str:
    """Say what `path` means in words: a file, ``-`` for standard input, None for the default text."""
    if path is None:
        return "Python's language reference"
    return "standard input" if path == "-" else path


def default_text() -> str:
    """Return the language reference that this Python carries for ``help()``, each passage once.

    The topics quote each other. A passage that stood in both parts of the split would make validation a memory test,
    so that only the first of equal paragraphs (apart from white space) is kept.

    Raises
    ------
    UserError
        This Python was installed without ``pydoc_data``.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise UserError("this Python does not carry its language reference (pydoc_data): name a FILE") from error
    first_of: dict[str, str] = {}
    for topic in topics.values():
        for paragraph in topic.split("\n\n"):
            first_of.setdefault(" ".join(paragraph.split()), paragraph.strip("\n"))
    first_of.pop("", None)
    return "\n\n".join(first_of.values()) + "\n"


class Vocabulary:
    """The characters that a model knows; a character's token is its place among them.

    Parameters
    ----------
    characters : str
        Each character once, in the order of their tokens.

    Raises
    ------
    ValueError
        There is no character, or one occurs twice.
    """

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self._code_of = _code_points(characters)
        if not characters or len(set(characters)) != len(characters):
            raise ValueError("characters: expected at least one, and each once")
        # One entry past the largest code point stands for all that are larger: unknown, like the gaps.
        self._token_of = np.full(int(self._code_of.max()) + 2, -1, np.int64)
        self._token_of[self._code_of] = np.arange(len(characters))

    @classmethod
    def of(cls, text: str) -> Vocabulary:
        """Return the vocabulary of a text: its distinct characters in the order of their code points."""
        seen = np.zeros(_CODE_POINTS, np.bool_)
        seen[_code_points(text)] = True
        return cls(_text_of(np.flatnonzero(seen)))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str, name: str = "text") -> Tokens:
        """Turn a text into tokens.

        Parameters
        ----------
        text : str
            The text.
        name : str
            What an error calls the text.

        Returns
        -------
        int64 array [len(text)]
            The tokens, in ``[0, len(self))``.

        Raises
        ------
        UserError
            The text holds a character that is not in the vocabulary. The message says which, and where it stands.
        """
        codes = _code_points(text)
        tokens = self._token_of[np.minimum(codes, len(self._token_of) - 1)]
        if (unknown := tokens < 0).any():
            place = int(unknown.argmax())
            line, column = text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
            raise UserError(
                f"{name}: unknown character {text[place]!a} (U+{ord(text[place]):04X}) at line {line}, "
                f"column {column}: it is not among the {len(self)} characters of the model's training text"
            )
        return tokens

    def decode(self, tokens: NDArray[np.integer]) -> str:
        """Turn tokens (an integer array ``[n]`` in ``[0, len(self))``) back into text."""
        return _text_of(self._code_of[tokens])


def _code_points(text: str) -> NDArray[np.uint32]:
    # A command line may hold lone surrogates (bytes that are no UTF-8): they pass here, and are unknown later.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32, copy=False)


def _text_of(codes: NDArray[np.integer]) -> str:
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
