"""The grammar of Reber, and the one in which it is embedded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from bptt._arrays import Array
from bptt._checks import truth
from bptt.tasks.task import FLOAT32, Task, Trials

_SYMBOLS = "BTPSXVE"
# Of each state: which symbols may come next, and to which state each leads.
_REBER: list[dict[str, int]] = [
    {"B": 1},
    {"T": 2, "P": 3},
    {"S": 2, "X": 4},
    {"T": 3, "V": 5},
    {"X": 3, "S": 6},
    {"P": 4, "V": 6},
    {"E": 7},
    {},
]


def _embedded() -> list[dict[str, int]]:
    """B, then T or P, a string of Reber's grammar, the same T or P, and E."""
    n = len(_REBER)
    states: list[dict[str, int]] = [{"B": 1}, {"T": 2, "P": 2 + n}]
    for k, letter in enumerate("TP"):
        inner = [{symbol: 2 + k * n + to for symbol, to in state.items()} for state in _REBER[:-1]]
        states += [*inner, {letter: 2 + 2 * n}]
    return [*states, {"E": 3 + 2 * n}, {}]


_EMBEDDED = _embedded()


@dataclass(frozen=True, kw_only=True)
class ReberGrammar(Task):
    """Tell which symbols may come next in the strings of a grammar.

    A string is drawn by a walk through the grammar. Where two symbols may come next, each does in half of the cases.
    Each symbol but the last is an input, a token. The target is the symbol that comes next. The sequences have
    different lengths, so x, y and weight are lists.

    In the embedded grammar a string of Reber's stands between two letters, T or P, which are the same: the network has
    to remember the first one all the while.

    Parameters
    ----------
    embedded : bool
        Whether the strings are those of the embedded grammar.

    Notes
    -----
    Conditions: ``length``, in symbols. Score: the share of strings all of whose steps are predicted legally: where k
    symbols may come next, they are the k that y_hat has the largest.

    No constant predicts a string: `chance` is 0. In the embedded grammar, who has forgotten the second letter predicts
    half of the strings at most.

    Source: Reber, *Implicit learning of artificial grammars* (1967); Cleeremans, Servan-Schreiber, McClelland, *Finite
    state automata and simple recurrent networks* (1989); Hochreiter, Schmidhuber, *Long short-term memory* (1997).

    Examples
    --------
    >>> import numpy as np
    >>> from bptt.tasks import ReberGrammar
    >>> task = ReberGrammar()
    >>> trials = task.trials(np.random.default_rng(0), 3)
    >>> [task.text([*x, y[-1]]) for x, y in zip(trials.x, trials.y)]
    ['BPBPVPXTTTTVVEPE', 'BPBPVVEPE', 'BPBPVVEPE']
    """

    embedded: bool = True

    input: ClassVar[Literal["token"]] = "token"
    output: ClassVar[Literal["softmax"]] = "softmax"
    metric: ClassVar[str] = "strings predicted legally"
    source: ClassVar[str] = "Reber (1967); Hochreiter, Schmidhuber (1997)"

    def __post_init__(self) -> None:
        object.__setattr__(self, "embedded", truth("embedded", self.embedded))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The symbols, in the order of their tokens."""
        return tuple(_SYMBOLS)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The symbols, in the order of their tokens."""
        return tuple(_SYMBOLS)

    @property
    def chance(self) -> float:
        """That of a constant."""
        return 0.0

    @property
    def best(self) -> float:
        """The grammar tells what may come next."""
        return 1.0

    @property
    def _states(self) -> list[dict[str, int]]:
        return _EMBEDDED if self.embedded else _REBER

    def _draw(self, rng: np.random.Generator, batch: int) -> Trials:
        strings = [self._string(rng) for _ in range(batch)]
        return Trials(
            [string[:-1] for string in strings],
            [string[1:] for string in strings],
            [np.ones(len(string) - 1, FLOAT32) for string in strings],
            {"length": np.array([len(string) for string in strings])},
        )

    def _string(self, rng: np.random.Generator) -> Array:
        state, tokens = 0, []
        while choices := self._states[state]:
            symbols = list(choices)
            symbol = symbols[int(rng.integers(len(symbols)))] if len(symbols) > 1 else symbols[0]
            tokens.append(_SYMBOLS.index(symbol))
            state = choices[symbol]
        return np.array(tokens)

    def text(self, tokens: Iterable[int]) -> str:
        """Return tokens as a string of symbols."""
        return "".join(_SYMBOLS[token] for token in tokens)

    def legal(self, tokens: Iterable[int]) -> Array:
        """Return which symbols may come next after each of some tokens.

        Parameters
        ----------
        tokens : iterable of int
            A string from its first symbol on, complete or not.

        Returns
        -------
        ndarray
            ``[number of tokens, 7]``, bool; no symbol may come next after the last one of a complete string.

        Raises
        ------
        ValueError
            If the tokens are not those of a string.
        """
        state, rows = 0, []
        for i, token in enumerate(tokens):
            symbol = _SYMBOLS[token] if 0 <= token < len(_SYMBOLS) else f"a token {token}"
            if symbol not in self._states[state]:
                expected = " or ".join(self._states[state]) or "none after the last"
                raise ValueError(f"tokens: expected {expected} at step {i}, got {symbol}")
            state = self._states[state][symbol]
            rows.append([symbol in self._states[state] for symbol in _SYMBOLS])
        return np.array(rows, np.bool_).reshape(-1, len(_SYMBOLS))

    def _score(self, y_hat: list[Array], trials: Trials) -> float:
        return float(np.mean([self._predicts(rows, x) for rows, x in zip(y_hat, trials.x, strict=True)]))

    def _predicts(self, y_hat: Array, x: Array) -> bool:
        """Whether at every step each legal symbol has more than each other one."""
        legal = self.legal(x)
        least = np.where(legal, y_hat, np.inf).min(-1)
        return bool((least > np.where(legal, -np.inf, y_hat).max(-1)).all())
