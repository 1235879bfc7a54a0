"""The text of a language model: files, the default corpus, characters as integers. Knows no network."""

from __future__ import annotations

import codecs
import contextlib
import io
import sys
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bptt.app.errors import UserError

Tokens: TypeAlias = NDArray[np.integer]  # of a few bytes each: texts are long

_CODE_POINTS = 0x110000  # Unicode ends here
_AT_A_TIME = 1 << 18  # characters that are looked at together
_BYTES_AT_A_TIME = 1 << 20
UNKNOWN = ("skip", "replace")  # what becomes of characters that a model does not know
_REPLACEMENTS = "\ufffd? "  # of unknown characters: the first that the model knows
_NAMED = 5  # kinds of unknown characters in a message


def read_text(path: str, head: bytes = b"") -> str:
    r"""Read a UTF-8 text file.

    A byte order mark is dropped, and ``\r\n`` and ``\r`` become ``\n``: the same text from another system has the
    same characters.

    Parameters
    ----------
    path : str
        The file, or ``-`` for standard input.
    head : bytes
        What was read of it already.

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
        with contextlib.nullcontext(sys.stdin.buffer) if path == "-" else open(path, "rb") as file:
            text = "".join(_decoded(file, head))
    except OSError as error:
        raise UserError(f"{name}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        byte = f"byte 0x{error.object[0]:02x} at offset {error.start}"
        raise UserError(f"{name}: not a UTF-8 text file ({byte})") from error
    if not text:
        raise UserError(f"{name}: the text is empty")
    return text


def _decoded(file: BinaryIO, head: bytes) -> Iterator[str]:
    """The text in parts: of the whole, bytes and characters are not in memory together."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8-sig")(), translate=True)
    before = 0  # bytes
    while True:
        data, head = head or file.read(_BYTES_AT_A_TIME), b""
        # NUL is valid UTF-8, but no text file holds it, and UTF-16 is full of it.
        if (zero := data.find(b"\0")) >= 0:
            raise UnicodeDecodeError("utf-8", b"\0", before + zero, before + zero + 1, "no text")
        try:
            yield decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:  # `object` begins with the bytes that are left of the part before
            offset = before + len(data) - len(error.object) + error.start
            wrong = error.object[error.start : error.start + 1]
            raise UnicodeDecodeError("utf-8", wrong, offset, offset + 1, error.reason) from None
        if not data:
            return
        before += len(data)


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
        n = len(characters)
        smallest = next(dtype for dtype in (np.int8, np.int16, np.int32) if n <= np.iinfo(dtype).max)
        self._token_of = np.full(int(self._code_of.max()) + 2, -1, smallest)
        self._token_of[self._code_of] = np.arange(n)

    @classmethod
    def of(cls, text: str) -> Vocabulary:
        """Return the vocabulary of a text: its distinct characters in the order of their code points."""
        seen = np.zeros(_CODE_POINTS, np.bool_)
        for begin in range(0, len(text), _AT_A_TIME):
            seen[_code_points(text[begin : begin + _AT_A_TIME])] = True
        return cls(_text_of(np.flatnonzero(seen)))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str, name: str = "text") -> Tokens:
        """Turn a text into tokens: `read` without a choice."""
        return self.read(text, name)[0]

    def read(self, text: str, name: str = "text", unknown: str | None = None) -> tuple[Tokens, str]:
        """Turn a text into tokens, and say what became of characters that are not in the vocabulary.

        Parameters
        ----------
        text : str
            The text.
        name : str
            What an error calls the text.
        unknown : {"skip", "replace"}, optional
            Leave such characters out; or put U+FFFD in their place, the question mark or the space: the first of them
            that the vocabulary has. Without it they are an error.

        Returns
        -------
        tokens : int array [len(text)], or shorter with ``"skip"``
            In ``[0, len(self))``, of the fewest bytes each that hold them and -1.
        note : str
            What became of unknown characters; empty if there is none.

        Raises
        ------
        UserError
            The text holds a character that is not in the vocabulary. The message says which, and where it stands. Or
            the vocabulary has none of those that could replace it.
        """
        tokens = np.empty(len(text), self._token_of.dtype)
        found: Counter[int] = Counter()
        for begin in range(0, len(text), _AT_A_TIME):
            codes = _code_points(text[begin : begin + _AT_A_TIME])
            some = self._token_of[np.minimum(codes, len(self._token_of) - 1)]
            tokens[begin : begin + len(codes)] = some
            found.update(
                dict(zip(*(each.tolist() for each in np.unique(codes[some < 0], return_counts=True)), strict=True))
            )
        if not found:
            return tokens, ""
        kinds = [chr(code) for code, _ in found.most_common(_NAMED)]
        if unknown is None:
            place = int((tokens < 0).argmax())
            line, column = text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
            others = [kind for kind in kinds if kind != text[place]][: _NAMED - 1]
            like = f"like {_listed(others, len(found) - 1)}, " if others else ""
            raise UserError(
                f"{name}: unknown character {text[place]!a} (U+{ord(text[place]):04X}) at line {line}, column "
                f"{column}: {like}it is not among the {len(self)} characters of the model's training text; "
                "--unknown skip leaves such characters out, --unknown replace puts another in their place"
            )
        what = f"{name}: {found.total():,} unknown character{'s' * (found.total() > 1)} ({_listed(kinds, len(found))})"
        if unknown == "skip":
            return tokens[tokens >= 0], f"{what} left out"
        replacement = next((one for one in _REPLACEMENTS if one in self.characters), None)
        if replacement is None:
            raise UserError(
                "--unknown replace: expected a model that knows U+FFFD, the question mark or the space; it knows "
                "none of them: say --unknown skip"
            )
        tokens[tokens < 0] = self.characters.index(replacement)
        return tokens, f"{what} replaced by {replacement!a}"

    def decode(self, tokens: NDArray[np.integer]) -> str:
        """Turn tokens (an integer array ``[n]`` in ``[0, len(self))``) back into text."""
        return _text_of(self._code_of[tokens])


def _listed(kinds: list[str], n: int) -> str:
    """Some of n kinds of characters."""
    more = n - len(kinds)
    return ", ".join(map(ascii, kinds)) + (f" and {more:,} more" if more else "")


def _code_points(text: str) -> NDArray[np.uint32]:
    # A command line may hold lone surrogates (bytes that are no UTF-8): they pass here, and are unknown later.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32, copy=False)


def _text_of(codes: NDArray[np.integer]) -> str:
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
