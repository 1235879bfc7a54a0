"""Calls of `forward`, `loss` and `loss_and_gradients` with arrays and options of all kinds, right and wrong.

The result is the reference's, or an error that names a wrong argument. No input changes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st

import bptt
import rules
from answers import solve
from core import DTYPES, ISAS, instruction_set
from dressing import dressed, odd, snapshot, spoilt
from exploring import SEEDS, Shown, explore, refused, rounds
from kinks import clear_of_kinks
from networks import case as draw_case
from problems import Case, Form, Problem, joined_state, random_problem, split_state
from results import assert_close, by_sequence, everything, is_gradient, is_of_steps, same_bits, tolerances
from rules import Types, WrongError

# The tests' tolerance is 1.6 times the largest error of some hundred cases. The largest of 100,000 is larger.
MORE = 4.0
TAME = 1e6  # beyond it, squares and sums overflow in float32, and the reference may not follow

KIND_OF = {"x": "f", "y": "f", "weight": "f", "h0": "f", "v0": "f", "r0": "f", "lengths": "i", "reset": "b"}
SCALARS: dict[str, Any] = {
    "teacher_forcing": [0, 1, 0.5, np.float32(0.25), np.int8(1), 1e-300],
    "seed": [0, 5, 2**64 - 1, np.uint64(2**64 - 1), np.int16(3)],
    "wrt_x": [False, True, np.True_],
    "all_layers": [False, True, np.False_],
    "memory_limit": [None, 0, 100, 1000, np.int64(3000), 10**6, 2**63, 10**30],
}


@dataclass(repr=False)
class Call(Shown):
    """A network, and arguments for it, of which some may be wrong."""

    case: Case
    dtype: str
    isa: str
    threads: int
    problem: Problem
    arguments: dict[str, Any]


@st.composite
def calls(draw: Any) -> Call:
    by = Random(draw(SEEDS))
    case = draw_case(draw)
    p = random_problem(case, [by.randint(0, 2**16)])
    equal, one = len(set(case.lengths)) == 1, len(case.lengths) == 1
    forms: list[Form] = ["list", "batch" if equal else "padded", "single"]
    form = by.choice(forms if one else forms[:2])
    given = p.arguments(form, by.choice([7.0, float("nan")]))
    if form == "batch" and by.random() < 0.5:
        given["lengths"] = case.lengths
    scalars = ["wrt_x", "memory_limit", *(["teacher_forcing", "seed"] if case.feedback else ["all_layers"])]
    names = [*dict.fromkeys([*given, "x", "y", "weight", "lengths", "reset"]), *scalars]
    spoil = [by.choice(names) for _ in range(by.choice([0, 0, 1, 1, 2]))]
    arguments: dict[str, Any] = {}
    for name in [*given, *scalars]:
        if name in SCALARS:
            if by.random() < 0.5:
                no_x = name == "wrt_x" and case.input == "token" and name not in spoil
                arguments[name] = False if no_x else by.choice(SCALARS[name])
            elif name in given:
                arguments[name] = given[name]
        else:
            arguments[name] = dress(by, case, form, name, given[name], name in spoil)
    for name in spoil:
        if arguments.get(name) is None or (name in SCALARS and by.random() < 0.5):
            arguments[name] = odd(by)
    return Call(case, by.choice(DTYPES), by.choice(ISAS), by.randint(1, 3), p, arguments)


def dress(by: Random, case: Case, form: str, name: str, value: Any, spoil: bool) -> Any:
    """An argument that holds arrays, each of them dressed, and one of them spoilt."""
    if value is None:
        return None
    integers = (name == "x" and case.input == "token") or (name == "y" and case.output == "softmax")
    kind = "i" if integers else KIND_OF[name]
    parts: list[Any]
    if name == case.initial:
        parts = split_state(case, value)
    elif form == "list" and isinstance(value, list):
        parts = list(value)
    else:
        parts = [value]
    is_list = form == "list" and isinstance(value, list) and name != case.initial
    if spoil and by.randint(0, 3) == 0 and (is_list or len(parts) > 1):
        how = by.choice(["fewer", "more", "no list", "one odd"])
        if how == "no list":
            return parts[0]
        parts = {"fewer": parts[:-1], "more": [*parts, parts[0]], "one odd": [odd(by), *parts[1:]]}[how]
        return parts if name != case.initial or how != "one odd" else joined_state(case, parts)
    wrong = by.randint(0, len(parts) - 1) if spoil else -1
    may_be_list = name != "x" or is_list
    made = [
        spoilt(by, np.array(part), kind) if i == wrong else dressed(by, np.array(part), kind, may_be_list=may_be_list)
        for i, part in enumerate(parts)
    ]
    if name == case.initial:
        return joined_state(case, made)
    return by.choice([list, tuple])(made) if is_list else made[0]


# ---- What the arguments mean ----


@dataclass
class Meaning:
    """The wrong arguments; where none is wrong, the problem. What cannot be told beside a wrong x is left out."""

    wrong: dict[str, Types]
    form: Form = "batch"
    tau: int = 0
    problem: Problem | None = None


def meaning_of(call: Call) -> Meaning:
    case, given, dtype = call.case, call.arguments, np.dtype(call.dtype)
    wrong: dict[str, Types] = {}

    def told(name: str, tell: Any, *arguments: Any) -> Any:
        try:
            return tell(*arguments)
        except WrongError as error:
            wrong[name] = error.types
            return None

    for name in ("wrt_x", "all_layers"):
        if name in given and told(name, rules.truth, given[name]) and name == "wrt_x" and case.input == "token":
            wrong[name] = (ValueError,)
    if given.get("memory_limit") is not None:
        told("memory_limit", rules.integer, given["memory_limit"], 0, 2**200)
    probability, seed = case.teacher_forcing, case.seed
    if case.feedback is not None:
        probability = told("teacher_forcing", rules.real, given.get("teacher_forcing", 1.0), 0, 1)
        seed = told("seed", lambda: rules.seed(given.get("seed"), most=2**64 - 1))
    width = None if case.input == "token" else case.n_in
    of_x = rules.INT64 if case.input == "token" else dtype
    s = told("x", rules.sequences, given["x"], None, width, of_x)
    if s is None:
        if given.get("lengths") is not None:
            wrong["lengths"] = (TypeError, ValueError)
        return Meaning(wrong)
    told("lengths", rules.check_lengths, given.get("lengths"), given["x"], 0 if width is None else 1)
    if "lengths" in wrong:
        return Meaning(wrong)
    s = rules.sequences(given["x"], given.get("lengths"), width, of_x)
    if case.input == "token" and any(((one < 0) | (one >= case.n_in)).any() for one in s.x):
        wrong["x"] = (ValueError,)

    per_target = rules.every_step if case.readout == "all" else rules.one_row
    classes = case.output == "softmax"
    y = told("y", per_target, s, given["y"], None if classes else case.n_out, rules.INT64 if classes else dtype)
    weight, reset, initial = (given.get(name) for name in ("weight", "reset", case.initial))
    if weight is not None:
        weight = told("weight", per_target, s, weight, None, dtype)
        if weight is not None and not all(bool(((w >= 0) & np.isfinite(w)).all()) for w in weight):
            wrong["weight"] = (ValueError,)
    if reset is not None:
        reset = told("reset", rules.every_step, s, reset, None, rules.BOOL)
    if initial is not None:
        initial = told(case.initial, rules.state, case, s, initial, dtype)
    if y is not None and "weight" not in wrong:
        told("y", rules.check_targets, case, list(y), None if weight is None else list(weight))
    meaning = Meaning(wrong, s.form, s.tau)
    if not wrong:
        if weight is not None:  # inside a call, what is smaller than the smallest normal number is 0
            least = np.finfo(dtype).tiny
            weight = [np.where(w < least, 0.0, w) for w in weight]
        found = replace(case, lengths=s.lengths, extras=False, teacher_forcing=probability)
        if seed is not None and not isinstance(seed, np.random.Generator):
            found = replace(found, seed=seed)
        meaning.problem = Problem(found, call.problem.parameters, s.x, y, initial, weight, reset)
    return meaning


def is_tame(p: Problem, i: int) -> bool:
    """Whether all numbers that are read of a sequence are finite and not huge."""
    weight = np.ones(np.shape(p.y[i])[:1]) if p.weight is None else np.asarray(p.weight[i])
    parts = [p.x[i], p.y[i][weight != 0], weight, *(state[i] for state in p.initial or [])]
    return all(bool((np.abs(np.asarray(part, np.float64)) < TAME).all()) for part in parts)


# ---- What is expected ----


def check(call: Call) -> str:
    before = snapshot(list(call.arguments.values()))
    rnn = call.problem.network(call.dtype)
    parameters = rnn.parameters.tobytes()
    meaning = meaning_of(call)
    threads = bptt.get_num_threads()
    bptt.set_num_threads(call.threads)
    try:
        with instruction_set(call.isa):
            if meaning.problem is None:
                check_refused(call, rnn, meaning.wrong)
            else:
                check_result(call, rnn, meaning)
    finally:
        bptt.set_num_threads(threads)
    assert snapshot(list(call.arguments.values())) == before, "no input changes"
    assert rnn.parameters.tobytes() == parameters
    return "refused" if meaning.wrong else "valid"


OF_FORWARD = ("x", "h0", "v0", "r0", "lengths", "reset", "all_layers")


def methods(call: Call, rnn: Any) -> list[tuple[Any, dict[str, Any]]]:
    """Each method with those of the arguments that it takes."""
    given = call.arguments
    of_loss = {name: value for name, value in given.items() if name not in ("wrt_x", "memory_limit", "all_layers")}
    of_gradients = {name: value for name, value in given.items() if name != "all_layers"}
    of_forward = {name: value for name, value in given.items() if name in OF_FORWARD}
    return [(rnn.forward, of_forward), (rnn.loss, of_loss), (rnn.loss_and_gradients, of_gradients)]


def check_refused(call: Call, rnn: Any, wrong: dict[str, Types]) -> None:
    for method, given in methods(call, rnn):
        there = {name: types for name, types in wrong.items() if name in given}
        if "memory_limit" in given:
            there.setdefault("memory_limit", (ValueError,))  # it may be too little as well
        if there.keys() & wrong.keys():
            refused(lambda method=method, given=given: method(**given), there)  # type: ignore[misc]
        else:
            method(**{name: value for name, value in given.items() if name != "memory_limit"})


def check_result(call: Call, rnn: Any, meaning: Meaning) -> None:
    p = meaning.problem
    assert p is not None
    given = {
        name: value for name, value in call.arguments.items() if name not in ("wrt_x", "memory_limit", "all_layers")
    }
    if p.case.feedback is not None and (given.get("seed") is None or isinstance(given["seed"], np.random.Generator)):
        given["seed"] = p.case.seed  # one that the reference can be told
    found = everything(rnn, given)
    check_options(call, rnn, given, found, p.case)
    tame = [is_tame(p, i) for i in range(len(p.x))]
    results = by_sequence(trimmed(found, meaning, p.case), meaning.form, p.case)
    if not all(tame):
        check_others(p, results, tame, call.dtype)
        return
    expected = solve(p)
    names = list(results)
    if p.case.activation == "relu" and not clear_of_kinks(p):
        names = [name for name in names if not is_gradient(name)]
    actual, wanted = ({name: of[name] for name in names} for of in (results, expected.results))
    assert_close(actual, wanted, tolerances(call.dtype, MORE, len(p.case.sizes)), with_floors(expected.scales))


def with_floors(scales: dict[str, float]) -> dict[str, float]:
    """What an error is measured by: never by what is small because its terms cancel, as happens in tiny networks.

    The terms of a state are of the order of 1. Those of a gradient are no larger than the call's largest gradient.
    """
    largest = max(scale for name, scale in scales.items() if is_gradient(name))
    return {
        name: scale if name.startswith("loss") else max(scale, largest if is_gradient(name) else 1.0)
        for name, scale in scales.items()
    }


def trimmed(found: dict[str, Any], meaning: Meaning, case: Case) -> dict[str, Any]:
    """Results without the steps beyond the longest length, which are 0."""
    most = max(case.lengths)
    if meaning.form != "padded" or meaning.tau == most:
        return found
    for name, value in found.items():
        if is_of_steps(name, case) and value is not None:
            assert value.shape[0] == meaning.tau
            assert not value[most:].any()
            found = {**found, name: value[:most]}
    return found


def check_options(call: Call, rnn: Any, given: dict[str, Any], found: dict[str, Any], case: Case) -> None:
    """What `everything` does not ask for: the limit of memory, and results that are left out."""
    options = {name: call.arguments[name] for name in ("wrt_x", "memory_limit") if name in call.arguments}
    try:
        loss, gradients = rnn.loss_and_gradients(**given, **options)
    except ValueError as error:
        told = re.match(r"memory_limit: expected at least (\d+) bytes for these sequences, got (\d+)", str(error))
        if told is None:
            raise
        assert int(told[2]) == options["memory_limit"] < int(told[1])
        loss, gradients = rnn.loss_and_gradients(**given, **{**options, "memory_limit": int(told[1])})
    assert same_bits(loss, found["loss"])
    assert same_bits(gradients.x, found["x"] if options.get("wrt_x") else None)
    assert same_bits(gradients.V, found["V"])
    if "all_layers" in call.arguments:
        of_forward = {name: value for name, value in given.items() if name in OF_FORWARD}
        run = rnn.forward(**of_forward, all_layers=call.arguments["all_layers"])
        assert (run.layers is not None) == bool(call.arguments["all_layers"])
        assert same_bits(run.h, found["h"])


def check_others(p: Problem, results: dict[str, Any], tame: list[bool], dtype: str) -> None:
    """What is not finite, or huge, is in the results of its own sequence only."""
    kept = [i for i, is_one in enumerate(tame) if is_one]
    if not kept:
        return

    def of(part: Any) -> Any:
        return None if part is None else [part[i] for i in kept]

    lengths = tuple(p.case.lengths[i] for i in kept)
    initial = None if p.initial is None else [np.array(of(state)) for state in p.initial]
    part = replace(p, case=replace(p.case, lengths=lengths), x=of(p.x), y=of(p.y), initial=initial, weight=of(p.weight))
    expected = solve(replace(part, reset=of(p.reset)))
    allowed = tolerances(dtype, MORE, len(p.case.sizes))
    for name in ("h", "o"):
        actual = [results[name][i] for i in kept]
        wanted = list(expected.results[name])
        assert_close({name: actual}, {name: wanted}, allowed, with_floors(expected.scales))


@rounds(0.5)
def test_a_call_is_answered_as_by_the_reference_or_refused(number: int) -> None:
    explore(calls(), check, number, short=150)
