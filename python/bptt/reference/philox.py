"""Random numbers that depend on their place alone, whatever is drawn before or beside them.

Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11, 2011.
"""

from __future__ import annotations

MASK = 2**32 - 1  # a word
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85  # what the key grows by from one round to the next: golden ratio, sqrt(3) - 1
Words = tuple[int, int, int, int]


def philox4x32(counter: Words, key: tuple[int, int], rounds: int = 10) -> Words:
    """Four random words of 32 bits for a counter of four and a key of two."""
    c_0, c_1, c_2, c_3 = counter
    k_0, k_1 = key
    for _ in range(rounds):
        product_0, product_2 = MULTIPLIERS[0] * c_0, MULTIPLIERS[1] * c_2  # of 64 bits: a high word and a low one
        c_0, c_1 = (product_2 >> 32) ^ c_1 ^ k_0, product_2 & MASK
        c_2, c_3 = (product_0 >> 32) ^ c_3 ^ k_1, product_0 & MASK
        k_0, k_1 = (k_0 + WEYL[0]) & MASK, (k_1 + WEYL[1]) & MASK
    return c_0, c_1, c_2, c_3


def low_and_high(name: str, n: int) -> tuple[int, int]:
    if not 0 <= n < 2**64:
        raise ValueError(f"{name}: expected an int in [0, 2^64), got {n}")
    return n & MASK, n >> 32


def draws(seed: int, sequence: int, tau: int) -> list[float]:
    """One number u for each step of a sequence, uniform in [0, 1), with the 53 bits of a double.

    Parameters
    ----------
    seed
        In [0, 2^64).
    sequence
        The sequence's place among those of its batch, from 0.
    tau
        How many steps. A longer sequence starts with the numbers of a shorter one.
    """
    u = []
    for t in range(tau):  # from 0: the first step's
        counter = low_and_high("tau", t) + low_and_high("sequence", sequence)
        word_0, word_1, _, _ = philox4x32(counter, low_and_high("seed", seed))
        u.append(((word_0 >> 5) * 2**26 + (word_1 >> 6)) / 2**53)
    return u
