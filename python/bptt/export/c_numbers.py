"""Numbers as C has them: literals, padded tables, constants of the functions. Knows no networks."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from bptt._arrays import Array

_A_LINE = 4  # numbers, so that lines stay below 80 characters in float32


class Real(NamedTuple):
    """A type of C for the numbers of a network."""

    name: str
    suffix: str  # of its literals
    digits: int  # behind the point, in exponential form: as many as give every number back
    mantissa: int  # bits behind the leading one
    unsigned: str  # the integer with as many bits
    pack: str  # of both, for `struct`
    terms: int  # of the series of exp, so that what is left out is below half an ulp
    tanh_is_1: float  # from here on, after rounding
    exp_is_0: float  # exp(-x) from here on, next to 1
    libm: str  # suffix of its functions in <math.h>

    @property
    def bytes(self) -> int:
        return struct.calcsize(f"<{self.pack[0]}")

    def bits(self, value: float) -> str:
        """The bits of a number, as a literal."""
        (bits,) = struct.unpack(f"<{self.pack[1]}", struct.pack(f"<{self.pack[0]}", value))
        return f"0x{bits:0{2 * self.bytes}X}{'u' if self.bytes == 4 else 'ull'}"

    def literal(self, value: float | Fraction) -> str:
        """A number as short as it can be such that the compiler reads it back."""
        number = np.dtype(self.pack[0]).type(float(value))
        is_plain = number == 0 or 1e-3 <= abs(number) < 1e17
        write = np.format_float_positional if is_plain else np.format_float_scientific
        return f"{write(number, unique=True, trim='0')}{self.suffix}"

    def table(self, array: Array) -> str:
        """The lines between the braces of a table: those of a vector, or a row in braces after another of a matrix."""
        one = f"% .{self.digits}e{self.suffix}"
        n = array.shape[-1]
        lines = [", ".join([one] * len(range(i, min(i + _A_LINE, n)))) for i in range(0, n, _A_LINE)]
        if array.ndim == 1:
            return ",\n".join(f"  {line}" for line in lines) % tuple(array.tolist())
        row = "  {" + ",\n   ".join(lines) + "}"
        return ",\n".join(row % tuple(values) for values in array.tolist())


FLOAT = Real("float", "f", 8, 23, "uint32_t", "fI", 7, 9.1, 87.0, "f")
DOUBLE = Real("double", "", 16, 52, "uint64_t", "dQ", 13, 19.1, 708.0, "")


def padded(n: int, lanes: int) -> int:
    """The next multiple of `lanes`."""
    return -(-n // lanes) * lanes


def columns_of(matrix: Array, lanes: int) -> Array:
    """Return a matrix ``[n, k]`` column by column, ``[k, n]``, each filled up with zeros to a multiple of `lanes`."""
    n, k = matrix.shape
    columns = np.zeros((k, padded(n, lanes)), matrix.dtype)
    columns[:, :n] = matrix.T
    return columns


def padded_vector(vector: Array, lanes: int) -> Array:
    """Return a vector filled up with zeros to a multiple of `lanes`."""
    filled: Array = columns_of(vector[:, None], lanes)[0]
    return filled


def ln2(real: Real) -> tuple[Fraction, Fraction]:
    """Return ln 2 in two parts: one of so few bits that its multiples are exact, and what is left."""
    with localcontext() as context:
        context.prec = 50
        exact = Fraction(Decimal(2).ln())
    few = 2 ** (16 if real.bytes == 4 else 32)
    high = Fraction(math.floor(exact * few), few)
    return high, exact - high


def series(real: Real, x: str) -> str:
    """Return (exp(x) - 1 - x) / x^2 as C: its series 1/2! + x/3! + ..., from the inside out."""
    last, *others = [real.literal(Fraction(1, math.factorial(k))) for k in range(real.terms, 1, -1)]
    text = last
    for one in others:
        text = f"{one} + {x} * ({text})" if text is not last else f"{one} + {x} * {text}"
    return text


def text_literal(text: str) -> str:
    """Return a string of C whose bytes are the text in UTF-8; printable ASCII stands as it is."""
    plain = set(range(0x20, 0x7F)) - set(b'"\\?')  # "??/" would be a trigraph
    return '"' + "".join(chr(c) if c in plain else f"\\{c:03o}" for c in text.encode()) + '"'


def wrapped(items: Sequence[str], width: int = 76) -> str:
    """Items with commas between them, in indented lines."""
    lines, line = [], ""
    for item in items:
        if line and len(line) + 2 + len(item) > width:
            lines.append(line)
            line = ""
        line = f"{line}, {item}" if line else item
    return ",\n".join(f"  {one}" for one in [*lines, line])
