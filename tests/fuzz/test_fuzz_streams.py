"""Streams with arguments of all kinds: a call has the bits of `forward` from the state before it, or is refused."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st

import rules
from bptt import JordanRNN
from core import DTYPES, ISAS, instruction_set
from dressing import dressed, odd, snapshot, spoilt
from exploring import SEEDS, Shown, explore, refused, rounds
from networks import case as draw_case
from networks import learned_states
from problems import Array, random_problem
from results import same_bits
from rules import Types, WrongError

MOST_STEPS = 70  # more than go together


@dataclass(repr=False)
class Calls(Shown):
    """A network, and calls of a stream: name, arguments."""

    rnn: Any
    isa: str
    batch: int | None
    calls: list[tuple[str, dict[str, Any]]]


@st.composite
def live(draw: Any) -> Calls:
    by = Random(draw(SEEDS))
    case = draw_case(draw, causal=True)
    rnn = random_problem(case, [by.randint(0, 2**16)]).network(by.choice(DTYPES))
    batch = by.choice([None, None, 1, 3, 20])
    return Calls(rnn, by.choice(ISAS), batch, [call_of(by, rnn, batch) for _ in range(by.randint(1, 3))])


def call_of(by: Random, rnn: Any, batch: int | None) -> tuple[str, dict[str, Any]]:
    name = by.choice(["step", "step", "run", "run", "reset"])
    if name == "reset":
        mask = np.array([by.random() < 0.5 for _ in range(batch or 1)])
        return name, {
            "mask": None if batch is None or by.random() < 0.3 else by.choice([dressed, spoilt])(by, mask, "b")
        }
    steps = () if name == "step" else (by.randint(1, MOST_STEPS),)
    leading = (*steps, *(() if batch is None else (batch,)))
    random = np.random.default_rng(by.randint(0, 100))

    def values(width: int, indices: bool) -> Array:
        if indices:
            return np.asarray(random.integers(0, width, leading))
        return random.standard_normal((*leading, width)).astype(rnn.dtype)

    x = "x_t" if name == "step" else "x"
    given: dict[str, Any] = {x: values(rnn.n_in, rnn.input == "token")}
    if isinstance(rnn, JordanRNN) and by.random() < 0.5:
        given["y"] = values(rnn.n_out, rnn.output == "softmax")
    if by.random() < 0.5:
        given["out"] = np.zeros((*leading, rnn.n_out), rnn.dtype)
    spoil = by.choice([*given, "y"]) if by.random() < 0.12 else ""
    for key, value in given.items():
        if key != "out":
            change = spoilt if key == spoil else dressed
            given[key] = change(by, value, "i" if value.dtype.kind == "i" else "f")
    if spoil == "out":
        given["out"] = by.choice([odd(by), np.zeros((*leading, rnn.n_out + 1), rnn.dtype), given["out"].astype("f2")])
    if spoil == "y" and "y" not in given:
        given["y"] = odd(by)
    if by.random() < 0.1 and not (isinstance(given[x], np.ndarray) and 0 < given[x].size > span(given[x])):
        given["out"] = given[x]  # in place, if that is an array of the right form, no number of which lies on another
    return name, given


def span(array: Array) -> int:
    """How many numbers fit from the first that it has in memory to the last."""
    low, high = np.lib.array_utils.byte_bounds(array) if hasattr(np.lib, "array_utils") else np.byte_bounds(array)  # type: ignore[attr-defined]
    return int(high - low) // array.itemsize


# ---- What is expected ----


class Model:
    """The same network by `forward`, from a state that is kept."""

    def __init__(self, rnn: Any, batch: int | None) -> None:
        self.rnn, self.batch = rnn, batch
        self.first = self.state = rnn.stream(batch=batch).state
        if learned := learned_states(rnn, batch or 1):
            found = self.first if isinstance(self.first, list) else [self.first]
            assert same_bits([np.atleast_2d(state) for state in found], learned)

    def values(self, value: Any, leading: tuple[int, ...], width: int, indices: bool, least: int) -> Array:
        if not indices:
            return rules.shaped(value, self.rnn.dtype, (*leading, width))
        array = rules.shaped(value, rules.INT64, leading)
        if ((array < least) | (array >= width)).any():
            raise WrongError(ValueError)
        return array

    def wrong(self, name: str, given: dict[str, Any]) -> tuple[dict[str, Types], Array | None, Array | None]:
        """The wrong arguments, and what x and y mean."""
        rnn, both = self.rnn, (TypeError, ValueError)
        key = "x_t" if name == "step" else "x"
        try:
            steps = () if name == "step" else np.shape(rules.array_of(given[key], self.dtype_of_x()))[:1]
            if name == "run" and steps in ((), (0,)):
                raise WrongError(ValueError)
            leading = (*steps, *(() if self.batch is None else (self.batch,)))
            x = self.values(given[key], leading, rnn.n_in, rnn.input == "token", 0)
        except WrongError:
            return dict.fromkeys((key, "y", "out"), both), None, None
        wrong: dict[str, Types] = {}
        y = None
        if given.get("y") is not None:
            if not isinstance(rnn, JordanRNN):
                return {"y": both, "out": both}, None, None
            try:
                y = self.values(given["y"], leading, rnn.n_out, rnn.output == "softmax", -1)
            except WrongError:
                wrong["y"] = both
        out = given.get("out")
        if out is not None and not (
            isinstance(out, np.ndarray)
            and out.dtype == rnn.dtype
            and out.shape == (*leading, rnn.n_out)
            and out.flags.writeable
        ):
            wrong["out"] = both
        return wrong, x, y

    def dtype_of_x(self) -> Any:
        return rules.INT64 if self.rnn.input == "token" else self.rnn.dtype

    def take(self, name: str, x: Array, y: Array | None) -> Array:
        xs, ys = (x[None], None if y is None else y[None]) if name == "step" else (x, y)
        if not isinstance(self.rnn, JordanRNN):
            leaky = self.rnn.leak != 1.0
            run = self.rnn.forward(xs, **{"v0" if leaky else "h0": self.state})
            self.state = run.v_last if leaky else run.h_last
            return np.asarray(run.o[0] if name == "step" else run.o)
        o = []
        for t, x_t in enumerate(xs):
            if ys is not None:
                y_t = ys[t]
                if self.rnn.output == "softmax":
                    vectors = np.zeros((*np.shape(y_t), self.rnn.n_out), self.rnn.dtype)
                    for place in np.ndindex(np.shape(y_t)):
                        if y_t[place] >= 0:
                            vectors[place][y_t[place]] = 1
                    y_t = vectors
                self.state = y_t
            run = self.rnn.forward(x_t[None], r0=self.state)
            self.state = run.r_last
            o.append(run.o[0])
        return np.asarray(o[0] if name == "step" else np.array(o))


def check(c: Calls) -> str:
    with instruction_set(c.isa):
        stream, model, outcome = c.rnn.stream(batch=c.batch), Model(c.rnn, c.batch), "valid"
        for name, given in c.calls:
            read = [value for key, value in given.items() if key != "out" and value is not given.get("out")]
            before = [snapshot(value) for value in read]
            if name == "reset":
                outcome = reset(stream, model, given["mask"], outcome)
            else:
                wrong, x, y = model.wrong(name, given)
                if wrong:
                    outcome = "refused"
                    refused(lambda name=name, given=given: getattr(stream, name)(**given), wrong)  # type: ignore[misc]
                else:
                    assert x is not None
                    expected = model.take(name, x.copy(), y)  # before the call, which may write to x
                    with np.errstate(all="ignore"):
                        o = getattr(stream, name)(**given)
                    assert given.get("out") is None or o is given["out"]
                    assert same_bits(np.asarray(o).astype(c.rnn.dtype), expected)
            assert same_bits(stream.state, model.state)
            assert [snapshot(value) for value in read] == before, "no input changes"
    return outcome


def reset(stream: Any, model: Model, mask: Any, outcome: str) -> str:
    if mask is None:
        stream.reset()
        model.state = model.first
        return outcome
    try:
        if model.batch is None:
            raise WrongError(ValueError)
        chosen = rules.shaped(mask, np.dtype(bool), (model.batch,))
    except WrongError:
        refused(lambda: stream.reset(mask), {"mask": (TypeError, ValueError)})
        return "refused"
    stream.reset(mask)
    pairs = (
        [(model.first, model.state)]
        if not isinstance(model.state, list)
        else list(zip(model.first, model.state, strict=True))
    )
    states = [np.where(chosen[:, None], first, now) for first, now in pairs]
    model.state = states if isinstance(model.state, list) else states[0]
    return outcome


@rounds(0.1)
def test_calls_have_the_bits_of_forward_or_are_refused(number: int) -> None:
    explore(live(), check, number, short=60)
