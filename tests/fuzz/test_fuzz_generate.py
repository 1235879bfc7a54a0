"""`generate` with arguments of all kinds: what is drawn is what the reference's outputs allow, or it is refused."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st

import rules
from bptt import reference
from bptt.reference.feedback import fed_targets, unfold
from core import DTYPES
from dressing import dressed, odd, snapshot, spoilt
from exploring import SEEDS, Shown, explore, refused, rounds
from networks import case as draw_case
from networks import learned_states, stack_of
from problems import Array, Case, joined_state, random_problem
from rules import Types, WrongError

SURE = 1e-3  # of outputs some units large in float32, whose own errors are 1e-5 at most: what is nearer may be drawn
LIKELY = 7.0  # standard deviations: beyond them lies one of 10^11 numbers


@dataclass(repr=False)
class Generate(Shown):
    """A network that can draw, and arguments."""

    case: Case
    dtype: str
    rnn: Any
    arguments: dict[str, Any]


@st.composite
def draws(draw: Any) -> Generate:
    by = Random(draw(SEEDS))
    able = by.randint(0, 5) > 0
    case = draw_case(draw, causal=able)
    dtype = by.choice(DTYPES)
    p = random_problem(case, [by.randint(0, 2**16)])
    n_steps, batch = by.randint(1, 6), by.choice([None, 1, 2, 5])
    random = np.random.default_rng(by.randint(0, 100))
    axes = () if batch is None else (batch,)

    def rows(steps: int, width: int, token: bool) -> Array:
        shape = (steps, *axes)
        return random.integers(0, width, shape) if token else random.standard_normal((*shape, width))

    def prompt(width: int, token: bool) -> Any:
        rows_of_all = rows(by.randint(1, 4), width, token)
        if batch is None or by.random() < 0.5:
            return rows_of_all
        listed = [rows_of_all[by.randint(0, len(rows_of_all) - 1) :, i] for i in range(batch)]
        return by.choice([list, tuple])(listed)

    given: dict[str, Any] = {"n_steps": by.choice([n_steps, np.int32(n_steps)])}
    if by.random() < 0.5:
        given["temperature"] = by.choice([0, 0.0, 1, 0.5, np.float32(2), 1e-3])
    if by.random() < 0.5 and case.output == "softmax":
        given["top_k"] = by.choice([1, 2, 3, np.int8(2), 1000, None])
    if by.random() < 0.3 and case.output == "softmax":
        given["top_p"] = by.choice([1, 0.9, np.float32(0.5), 1e-9, None])
    if by.random() < 0.2:
        given["greedy"] = by.choice([True, False, np.True_])
    if by.random() < 0.5:
        given["seed"] = by.choice([0, 3, 2**64, None])
    with_prompt = by.random() < 0.5
    if case.feedback is not None:
        if case.n_in or batch is not None or by.random() < 0.5:
            given["x"] = rows(n_steps, case.n_in, case.input == "token")
        if with_prompt:
            given["prompt"] = prompt(case.n_out, case.output == "softmax")
        elif by.random() < 0.5 or (batch is not None and "x" not in given):
            given["r0"] = random.uniform(-0.9, 0.9, (*axes, case.n_out))
    else:
        if with_prompt:
            given["prompt"] = prompt(case.n_in, case.input == "token")
        if by.random() < 0.5:
            widths = rules.state_widths(case)
            given[case.initial] = joined_state(case, [random.uniform(-0.9, 0.9, (*axes, n)) for n in widths])
    names = [
        "n_steps",
        "temperature",
        "top_k",
        "top_p",
        "greedy",
        "seed",
        "prompt",
        case.initial,
        *(["x"] if case.feedback else []),
    ]
    spoil = [by.choice(names) for _ in range(by.choice([0, 0, 1, 1, 2]))]
    for name in ("x", "prompt", "h0", "v0", "r0"):
        if name in given:
            given[name] = dress(by, given[name], name in spoil)
    for name in spoil:
        if name in ("n_steps", "temperature", "top_k", "top_p", "greedy", "seed") or name not in given:
            given[name] = odd(by)
    if isinstance(given["n_steps"], int | np.integer) and given["n_steps"] > 1000:
        given["n_steps"] = max(int(given["n_steps"]), 2**31)  # one that is right would take a while
    rnn = p.network(dtype)
    if by.randint(0, 9) == 0:
        rnn.parameters[by.randint(0, rnn.parameters.size - 1)] = by.choice([np.nan, np.inf])
    return Generate(case, dtype, rnn, given)


def dress(by: Random, value: Any, spoil: bool) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(dress(by, one, spoil and i == 0) for i, one in enumerate(value))
    kind = "i" if value.dtype.kind == "i" else "f"
    return spoilt(by, value, kind) if spoil else dressed(by, value, kind, may_be_list=False)


# ---- What the arguments mean ----


@dataclass
class Meaning:
    """The wrong arguments; where none is wrong, what the network reads."""

    wrong: dict[str, Types]
    single: bool = True
    x: list[Array] | None = None  # of each sequence: the prompt of an Elman network, the inputs of a Jordan network
    states: list[Array] | None = None  # [batch, n]


def meaning_of(g: Generate) -> Meaning:
    case, given = g.case, g.arguments
    wrong: dict[str, Types] = {}

    def told(name: str, tell: Any, *arguments: Any, **more: Any) -> Any:
        try:
            return tell(*arguments, **more)
        except WrongError as error:
            wrong[name] = error.types
            return None

    steps = told("n_steps", rules.integer, given["n_steps"], 1)
    if case.bidirectional:
        wrong["bidirectional"] = (ValueError,)
    if case.readout != "all":
        wrong["readout"] = (ValueError,)
    if case.feedback is None and case.n_in != case.n_out:
        wrong["n_in"] = (ValueError,)
    if case.feedback is None and case.input == "token" and case.output != "softmax":
        wrong["output"] = (ValueError,)
    told("temperature", rules.real, given.get("temperature", 1.0), 0, sys.float_info.max)
    if given.get("top_k") is not None:
        told("top_k", rules.integer, given["top_k"], 1, 10**30)
        if case.output != "softmax":
            wrong["top_k"] = (*wrong.get("top_k", ()), ValueError)
    if given.get("top_p") is not None:
        told("top_p", rules.real, given["top_p"], 0, 1, least_too=False)
        if case.output != "softmax":
            wrong["top_p"] = (*wrong.get("top_p", ()), ValueError)
    if told("greedy", rules.truth, given.get("greedy", False)) and given.get("temperature", 1.0) != 1:
        wrong["temperature"] = (*wrong.get("temperature", ()), ValueError)
    told("seed", rules.seed, given.get("seed"))
    if wrong:
        return with_arrays_wrong(wrong)
    meaning = jordan(g, steps, told) if case.feedback is not None else elman(g, told)
    if meaning is None:
        return Meaning(wrong)
    meaning.wrong |= wrong
    return meaning


def with_arrays_wrong(wrong: dict[str, Types]) -> Meaning:
    """Beside these, what else is wrong may be said as well: arrays are read last, but not by all."""
    both = (TypeError, ValueError)
    return Meaning({**dict.fromkeys(("x", "prompt", "h0", "v0", "r0"), both), **wrong})


def is_sequence(value: Any) -> bool:
    return isinstance(value, list | tuple)


def alone(case: Case, value: Any, dtype: np.dtype[Any]) -> tuple[list[Array], bool]:
    """A state without sequences beside it, and whether it is a single one's."""
    arrays: list[Array] = []
    for part, n in zip(rules.parts_of_state(case, value), rules.state_widths(case), strict=True):
        array = rules.array_of(part, dtype)
        if array.ndim not in (1, 2) or array.shape[-1] != n or len(array) == 0:
            raise WrongError(ValueError)
        if arrays and array.shape[:-1] != arrays[0].shape[:-1]:
            raise WrongError(ValueError)
        arrays.append(array)
    return [np.atleast_2d(array) for array in arrays], arrays[0].ndim == 1


def read(value: Any, width: int | None, dtype: np.dtype[Any], most: int | None) -> rules.Sequences:
    s = rules.sequences(value, None, width, dtype)
    if most is not None and any(((one < 0) | (one >= most)).any() for one in s.x):
        raise WrongError(ValueError)
    return s


def first_states(g: Generate, batch: int) -> list[Array]:
    return learned_states(g.rnn, batch) or [np.zeros((batch, n)) for n in rules.state_widths(g.case)]


def elman(g: Generate, told: Any) -> Meaning | None:
    case, given, dtype = g.case, g.arguments, np.dtype(g.dtype)
    token = case.input == "token"
    initial = given.get(case.initial)
    if given.get("prompt") is None:
        if initial is None:
            return Meaning({}, True, None, first_states(g, 1))
        found = told(case.initial, alone, case, initial, dtype)
        return None if found is None else Meaning({}, found[1], None, found[0])
    width, of_x = (None, rules.INT64) if token else (case.n_in, dtype)
    s = told("prompt", read, given["prompt"], width, of_x, case.n_in if token else None)
    if s is None:
        return with_arrays_wrong({"prompt": (TypeError, ValueError)})
    states = first_states(g, len(s.lengths))
    if initial is not None:
        states = told(case.initial, rules.state, case, s, initial, dtype)
    return Meaning({}, s.form == "single", s.x, states)


def jordan(g: Generate, steps: int, told: Any) -> Meaning | None:
    case, given, dtype = g.case, g.arguments, np.dtype(g.dtype)
    token, classes = case.input == "token", case.output == "softmax"
    both = (TypeError, ValueError)
    prompt, r0, x = given.get("prompt"), given.get("r0"), given.get("x")
    if prompt is not None and r0 is not None:
        return with_arrays_wrong({"r0": (ValueError,)})
    states = None
    if prompt is not None:
        s = told("prompt", read, prompt, *((None, rules.INT64) if classes else (case.n_out, dtype)), None)
        if s is None:
            return with_arrays_wrong({"prompt": both})
        last = np.stack([one[-1] for one in s.x])
        if classes and ((last < 0) | (last >= case.n_out)).any():  # of the others nothing is remembered
            return with_arrays_wrong({"prompt": (ValueError,)})
        r = np.eye(case.n_out)[last] if classes else last
        states = [r], s.form == "single"
    elif r0 is not None:
        states = told("r0", alone, case, r0, dtype)
        if states is None:
            return with_arrays_wrong({"r0": both})
    if x is None:
        if case.n_in > 0:
            return with_arrays_wrong({"x": (ValueError,)})
        batch, single = (1, True) if states is None else (len(states[0][0]), states[1])
        inputs = [np.zeros((steps, 0))] * batch
    else:
        width, of_x = (None, rules.INT64) if token else (case.n_in, dtype)
        s = None if is_sequence(x) else told("x", read, x, width, of_x, case.n_in if token else None)
        if s is None or s.tau != steps:
            return with_arrays_wrong({"x": both})
        inputs, batch, single = s.x, len(s.lengths), s.form == "single"
    if states is None:
        states = [np.zeros((batch, case.n_out))], single
    if states[1] != single or len(states[0][0]) != batch:
        return Meaning({"prompt" if prompt is not None else "r0": (ValueError,)})
    return Meaning({}, single, inputs, states[0])


# ---- What is expected ----


def check(g: Generate) -> str:
    arguments = list(g.arguments.values())
    before, parameters = snapshot(arguments), g.rnn.parameters.tobytes()
    given = {**g.arguments}
    generators = [value for value in given.values() if isinstance(value, np.random.Generator)]
    meaning = meaning_of(g)
    if not meaning.wrong and meaning.x is None and meaning.states is None:
        raise AssertionError("no meaning")
    finite = bool(np.isfinite(g.rnn.parameters).all())
    if meaning.wrong:
        refused(lambda: g.rnn.generate(**given), meaning.wrong)
    else:
        numbers = [np.asarray(part, np.float64) for part in (*(meaning.x or []), *(meaning.states or []))]
        tame = finite and all((np.abs(part) < 1e3).all() for part in numbers)
        try:
            y = g.rnn.generate(**given)
        except ValueError as error:
            if tame or not str(error).startswith("o: expected finite outputs"):
                raise
        else:
            check_form(g, meaning, y)
            if tame:
                check_drawn(g, meaning, y if not meaning.single else y[:, None])
            if not generators and given.get("seed") is not None:
                assert (g.rnn.generate(**given) == y).all(), "equal seeds draw equal outputs"
    assert snapshot(arguments) == before, "no input changes"
    assert g.rnn.parameters.tobytes() == parameters
    return "refused" if meaning.wrong else "valid"


def check_form(g: Generate, meaning: Meaning, y: Array) -> None:
    batch = () if meaning.single else (len(meaning.states[0]),)  # type: ignore[index]
    classes = g.case.output == "softmax"
    assert y.shape == (int(g.arguments["n_steps"]), *batch, *(() if classes else (g.case.n_out,)))
    assert y.dtype == (np.int64 if classes else g.dtype)
    if classes:
        assert ((y >= 0) & (y < g.case.n_out)).all()
    if g.case.output == "sigmoid":
        assert np.isin(y, [0, 1]).all()


def check_drawn(g: Generate, meaning: Meaning, y: Array) -> None:
    """Each output is one that may be drawn from o(t), which the reference computes of what was drawn before."""
    temperature = float(g.arguments.get("temperature", 1.0))
    if g.arguments.get("greedy", False):
        temperature = 0.0
    top_k = g.arguments.get("top_k")
    stack = stack_of(g.case, g.rnn)
    for i in range(y.shape[1]):
        o = outputs(g.case, stack, meaning, i, y[:, i])
        scale = 1 + np.abs(o).max(axis=1)
        for o_t, y_t, unit in zip(o, y[:, i], scale * SURE, strict=True):
            if g.case.output == "linear":
                assert (np.abs(y_t - o_t) <= LIKELY * temperature + unit).all()
            elif g.case.output == "sigmoid" and temperature == 0:
                assert ((y_t == (o_t > 0)) | (np.abs(o_t) <= unit)).all()
            elif g.case.output == "softmax":
                k = 1 if temperature == 0 else g.case.n_out if top_k is None else min(int(top_k), g.case.n_out)
                assert o_t[y_t] >= np.sort(o_t)[-k] - unit
            if 0 < temperature <= 1e-3 and g.case.output == "softmax":
                assert o_t[y_t] >= o_t.max() - 100 * temperature - unit, "one of e^100"


def outputs(case: Case, stack: reference.Stack, meaning: Meaning, i: int, y: Array) -> Array:
    """o(t) from which y(t) was drawn."""
    assert meaning.states is not None
    states = [state[i].tolist() for state in meaning.states]
    drawn = y.tolist()
    if case.feedback is not None:
        assert meaning.x is not None
        fed = fed_targets(drawn, [1.0] * len(drawn), 1.0, case.n_out, case.output)
        x, reset = meaning.x[i].tolist(), [False] * len(drawn)
        fed_back: Array = np.array(unfold(stack, x, states[0], fed, reset, case.input, case.output, case.activation)[2])
        return fed_back
    if case.output == "softmax" and case.input == "real":
        drawn = np.eye(case.n_out)[y].tolist()
    prompt = [] if meaning.x is None else meaning.x[i].tolist()
    read = [*prompt, *drawn[:-1]]
    top = np.array(states[-1])
    if case.leak != 1.0:
        top = np.tanh(top) if case.activation == "tanh" else np.maximum(top, 0.0)
    first: Array = np.array(stack.c) + np.array(stack.V) @ top
    if not read:
        return first[None]
    options: dict[str, Any] = {name: getattr(case, name) for name in ("input", "output", "activation")}
    options |= {"leak": case.leaks, case.initial: joined_state(case, states)}
    run = reference.forward(stack, read, **options)
    o: Array = np.array(run.o)
    with_first: Array = np.concatenate([first[None], o])
    return o[len(prompt) - 1 :] if prompt else with_first


@rounds(0.15)
def test_what_is_drawn_is_what_the_reference_allows_or_refused(number: int) -> None:
    explore(draws(), check, number, short=60)
