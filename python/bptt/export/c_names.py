"""What a user names: the prefix of a header, and the characters of tokens."""

from __future__ import annotations

import re

from bptt.networks.base import RecurrentNetwork

_LONGEST_PREFIX = 40
_SURROGATES = range(0xD800, 0xE000)
_KEYWORDS = """alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const constexpr
    const_cast continue decltype default delete do double dynamic_cast else enum explicit export extern false float for
    friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected
    public register reinterpret_cast restrict return short signed sizeof static static_assert static_cast struct switch
    template this thread_local throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t
    while xor xor_eq"""  # of C and of C++


def checked_prefix(prefix: str) -> str:
    """Return `prefix` if every name in C and C++ may begin with it, else raise."""
    if not isinstance(prefix, str):
        raise TypeError(f"prefix: expected a str, got {type(prefix).__name__}")
    is_name = re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", prefix) and len(prefix) <= _LONGEST_PREFIX
    if not is_name or prefix in _KEYWORDS.split():
        raise ValueError(
            f"prefix: expected a name of C, of at most {_LONGEST_PREFIX} letters, digits and single underscores, "
            f"that begins with a letter and is no keyword, got {prefix[: 2 * _LONGEST_PREFIX]!r}"
        )
    return prefix


def checked_vocabulary(rnn: RecurrentNetwork, vocabulary: str | None) -> str | None:
    """Return `vocabulary` if it has a character for every token of the network, else raise."""
    if vocabulary is None:
        return None
    if not isinstance(vocabulary, str):
        raise TypeError(f"vocabulary: expected a str, got {type(vocabulary).__name__}")
    sizes = [*([rnn.n_in] if rnn.input == "token" else []), *([rnn.n_out] if rnn.output == "softmax" else [])]
    if not sizes:
        raise ValueError("vocabulary: expected None, as the network neither reads nor puts out tokens")
    if len(vocabulary) not in sizes:
        raise ValueError(
            f"vocabulary: expected {' or '.join(map(str, sorted(set(sizes))))} characters, got {len(vocabulary)}"
        )
    if len(set(vocabulary)) < len(vocabulary):
        raise ValueError("vocabulary: expected each character once")
    if any(ord(character) in _SURROGATES for character in vocabulary):
        raise ValueError("vocabulary: expected characters that UTF-8 has, got a surrogate")
    return vocabulary
