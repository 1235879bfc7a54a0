"""Optimizers and `fit` with arguments of all kinds: updates are those of the rules, or are refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st

import bptt
import rules
from answers import solve
from bptt import SGD, Adagrad, Adam, AdamW, ElmanRNN, Optimizer, RMSProp
from core import DTYPES
from dressing import dressed, odd, snapshot, spoilt
from exploring import SEEDS, Shown, explore, refused, rounds
from kinks import clear_of_kinks
from networks import case as draw_case
from problems import Array, Form, letters, random_problem
from rules import Types, WrongError

LARGEST = float(np.finfo(float).max)
# A float32 has 24 bits; an update has some ten roundings, three updates thirty, and differences from squares and roots.
OF_UPDATES = 64

BETWEEN_0_AND_1 = {"least": 0, "most": 1, "most_too": False}
AT_LEAST_0 = {"least": 0, "most": LARGEST}
HYPER: dict[str, dict[str, Any]] = {
    "lr": AT_LEAST_0,
    "momentum": BETWEEN_0_AND_1,
    "weight_decay": AT_LEAST_0,
    "alpha": BETWEEN_0_AND_1,
    "eps": {"least": 1e-30, "most": LARGEST},
    "lr_decay": AT_LEAST_0,
    "initial_accumulator_value": AT_LEAST_0,
}
OPTIONS: dict[type[Optimizer], tuple[str, ...]] = {
    SGD: ("lr", "momentum", "weight_decay", "nesterov"),
    Adagrad: ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"),
    RMSProp: ("lr", "alpha", "eps", "momentum", "weight_decay"),
    Adam: ("lr", "betas", "eps", "weight_decay"),
    AdamW: ("lr", "betas", "eps", "weight_decay"),
}
Wrong = dict[str, Types]


def told(wrong: Wrong, name: str, tell: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    try:
        return tell(*arguments, **more)
    except WrongError as error:
        wrong[name] = error.types
        return None


# ---- Optimizers ----


@dataclass(repr=False)
class Steps(Shown):
    """Options of an optimizer, the arguments of its steps, and what is assigned to hyper-parameters before some."""

    kind: type[Optimizer]
    options: dict[str, Any]
    dtype: str
    steps: list[dict[str, Any]]
    assigned: list[dict[str, Any]]


@st.composite
def updates(draw: Any) -> Steps:
    by = Random(draw(SEEDS))
    kind = by.choice(list(OPTIONS))
    right = {
        **{name: [0, 0.5, 0.9, 0.0, np.float32(0.25), 1e-3] for name in HYPER},
        "lr": [0.1, 1, 0, np.float16(0.5), 1e-3],
        "eps": [1e-8, 1e-30, 1, np.float32(1e-3)],
        "betas": [(0.9, 0.999), [0.5, 0.25], (0, 0), (np.float32(0.5), 0.9)],
        "nesterov": [True, False],
    }
    options = {name: by.choice(right[name]) for name in OPTIONS[kind] if by.random() < 0.5}
    if by.randint(0, 3) == 0:
        options[by.choice(OPTIONS[kind])] = odd(by)
    dtype = by.choice(DTYPES)
    random = np.random.default_rng(by.randint(0, 1000))
    steps, assigned = [], []
    for _ in range(by.randint(1, 3)):
        values = random.standard_normal(NETWORK.parameters.size).astype(np.float32).astype(np.float64)
        wrong = by.randint(0, 5) == 0
        given: dict[str, Any] = {"gradients": spoilt(by, values, "f") if wrong else dressed(by, values, "f")}
        for name, right_ones in {
            "scale": [1, 3.0, np.int8(7), np.float16(2), 1e-30, 1e30],
            "clip_norm": [None, 1, 0.1, math.inf, np.float32(2)],
            "clip_value": [None, 1, 0.01, math.inf],
            "lr": [None, 0, 0.5, np.float32(0.1)],
        }.items():
            if by.randint(0, 2) == 0:
                given[name] = odd(by) if by.randint(0, 7) == 0 else by.choice(right_ones)
        steps.append(given)
        names = [by.choice(OPTIONS[kind])] if by.randrange(3) == 0 else []
        assigned.append({name: odd(by) if by.randrange(4) == 0 else by.choice(right[name]) for name in names})
    return Steps(kind, options, dtype, steps, assigned)


NETWORK = ElmanRNN(2, 3, 2, seed=0)


def wrong_options(options: dict[str, Any]) -> Wrong:
    wrong: Wrong = {}
    for name, value in options.items():
        if name in HYPER:
            told(wrong, name, rules.real, value, **HYPER[name])
    betas = options.get("betas", (0.9, 0.999))
    if not isinstance(betas, tuple | list):
        wrong["betas"] = (TypeError,)
    elif len(betas) != 2:
        wrong["betas"] = (ValueError,)
    else:
        for beta in betas:
            told(wrong, "betas", rules.real, beta, **BETWEEN_0_AND_1)
    nesterov = told(wrong, "nesterov", rules.truth, options.get("nesterov", False))
    if nesterov and "momentum" not in wrong and not float(options.get("momentum", 0)) > 0:
        wrong["nesterov"] = (ValueError,)
    return wrong


def wrong_assignment(rule: Rule, name: str, value: Any) -> Wrong:
    """Each is checked as it is when the optimizer is made; with what r began is fixed by the first update."""
    wrong = {found: types for found, types in wrong_options({**rule.o, name: value}).items() if found == name}
    if rule.o["nesterov"] and name == "momentum" and "momentum" not in wrong and not float(value) > 0:
        wrong["momentum"] = (ValueError,)
    begun = rule.t > 0 and name == "initial_accumulator_value" and name not in wrong
    if begun and float(value) != rule.o["initial_accumulator_value"]:
        wrong[name] = (ValueError,)
    return wrong


def wrong_of_step(given: dict[str, Any], size: int, dtype: np.dtype[Any]) -> tuple[Wrong, Array | None]:
    wrong: Wrong = {}
    g = told(wrong, "gradients", rules.shaped, given["gradients"], dtype, (size,))
    told(wrong, "scale", rules.real, given.get("scale", 1), 1e-30, 1e30)
    for name in ("clip_norm", "clip_value"):
        if given.get(name) is not None:
            told(wrong, name, rules.real, given[name], 0, math.inf, least_too=False)
    if given.get("lr") is not None:
        told(wrong, "lr", rules.real, given["lr"], **AT_LEAST_0)
    return wrong, g


def bound_of(value: Any) -> float:
    return math.inf if value is None else rules.real(value, 0, math.inf)


class Rule:
    """The equations of the optimizers' docstrings, in double precision."""

    def __init__(self, kind: type[Optimizer], options: dict[str, Any]) -> None:
        defaults = {"lr": {SGD: 1e-3, Adagrad: 1e-2, RMSProp: 1e-2, Adam: 1e-3, AdamW: 1e-3}[kind]}
        defaults |= {"momentum": 0.0, "weight_decay": 1e-2 if kind is AdamW else 0.0, "alpha": 0.99, "lr_decay": 0.0}
        defaults |= {"eps": 1e-10 if kind is Adagrad else 1e-8, "initial_accumulator_value": 0.0, "nesterov": False}
        self.kind = kind
        self.o: dict[str, Any] = {
            name: float(value) for name, value in {**defaults, **options}.items() if name != "betas"
        }
        self.betas = [float(beta) for beta in options.get("betas", (0.9, 0.999))]
        self.v: Any = 0.0
        self.r: Any = self.o["initial_accumulator_value"] if kind is Adagrad else 0.0
        self.t = 0

    def assign(self, name: str, value: Any) -> None:
        if name == "betas":
            self.betas = [float(beta) for beta in value]
            return
        if name == "momentum" and 0.0 in (self.o["momentum"], float(value)):
            self.v = 0.0  # one that becomes 0 forgets; one that is 0 no more begins with v = 0
        if name == "initial_accumulator_value":
            self.r = self.r if self.t else float(value)
        self.o[name] = float(value)

    def step(self, theta: Array, g: Array, given: dict[str, Any]) -> tuple[Array, float]:
        o, self.t = self.o, self.t + 1
        g = g / float(given.get("scale", 1))
        norm = float(np.linalg.norm(g))
        clip_norm, clip_value = (bound_of(given.get(name)) for name in ("clip_norm", "clip_value"))
        g = g * min(1.0, clip_norm / (norm + 1e-6))
        g = np.clip(g, -clip_value, clip_value)
        lr = o["lr"] if given.get("lr") is None else float(given["lr"])
        if self.kind is AdamW:
            theta = (1 - lr * o["weight_decay"]) * theta
        else:
            g = g + o["weight_decay"] * theta
        if self.kind is SGD:
            self.v = o["momentum"] * self.v + g
            return theta - lr * (g + o["momentum"] * self.v if o["nesterov"] else self.v), norm
        if self.kind is Adagrad:
            self.r = self.r + g * g
            return theta - lr / (1 + (self.t - 1) * o["lr_decay"]) * g / (np.sqrt(self.r) + o["eps"]), norm
        if self.kind is RMSProp:
            self.r = o["alpha"] * self.r + (1 - o["alpha"]) * g * g
            self.v = o["momentum"] * self.v + g / (np.sqrt(self.r) + o["eps"])
            return theta - lr * self.v, norm
        beta1, beta2 = self.betas
        self.v = beta1 * self.v + (1 - beta1) * g
        self.r = beta2 * self.r + (1 - beta2) * g * g
        root = np.sqrt(self.r / (1 - beta2**self.t)) + o["eps"]
        return theta - lr * (self.v / (1 - beta1**self.t)) / root, norm


def check_updates(s: Steps) -> str:
    wrong = wrong_options(s.options)
    if wrong:
        refused(lambda: s.kind(**s.options), wrong)
        return "refused"
    optimizer, rule = s.kind(**s.options), Rule(s.kind, s.options)
    rnn = ElmanRNN(2, 3, 2, seed=0, dtype=s.dtype)
    theta = rnn.parameters.astype(np.float64)
    outcome, known = "valid", True
    for given, assigned in zip(s.steps, s.assigned, strict=True):
        for name, value in assigned.items():
            kept = optimizer.configuration()
            if wrong := wrong_assignment(rule, name, value):
                refused(lambda name=name, value=value: setattr(optimizer, name, value), wrong)  # type: ignore[misc]
                assert optimizer.configuration() == kept, "what is refused changes nothing"
                outcome = "refused"
            else:
                setattr(optimizer, name, value)
                rule.assign(name, value)
        before, parameters = snapshot(list(given.values())), rnn.parameters.copy()
        wrong, g = wrong_of_step(given, theta.size, rnn.dtype)
        if wrong:
            state = {name: array.tobytes() for name, array in optimizer.state().items()}
            refused(lambda given=given: optimizer.step(rnn, **given), wrong)  # type: ignore[misc]
            assert state == {name: array.tobytes() for name, array in optimizer.state().items()}
            assert rnn.parameters.tobytes() == parameters.tobytes(), "nothing is half-written"
            outcome = "refused"
        else:
            assert g is not None
            try:
                norm = optimizer.step(rnn, **given)
            except FloatingPointError:
                largest = float(np.abs(g.astype(np.float64)).max()) / float(given.get("scale", 1))
                assert not largest < (1e150 if s.dtype == "float64" else 1e37), "its square is more than a double holds"
                assert rnn.parameters.tobytes() == parameters.tobytes()
                return "refused"
            with np.errstate(all="ignore"):
                theta, expected_norm = rule.step(theta, g.astype(np.float64), given)
            # What under- or overflows in the dtype is another test's.
            numbers = [float(np.abs(theta).max()), expected_norm, 1 / max(expected_norm, 1e-300), *rule.o.values()]
            known = known and max(numbers) < 1e6
            if known:
                eps = float(np.finfo(s.dtype).eps)
                assert abs(norm - expected_norm) <= OF_UPDATES * eps * expected_norm
                step = np.abs(theta - parameters).max()
                off = np.abs(rnn.parameters - theta).max() / max(float(np.abs(theta).max()), float(step))
                assert off <= OF_UPDATES * eps, f"off by {off / eps:.0f} eps"
        assert snapshot(list(given.values())) == before, "no input changes"
    return outcome


@rounds(0.1)
def test_updates_follow_their_rules_or_are_refused(number: int) -> None:
    explore(updates(), check_updates, number, short=60)


# ---- fit ----


@dataclass(repr=False)
class Fit(Shown):
    """A network, its data, and options of `fit`."""

    rnn: Any
    problem: Any
    given: dict[str, Any]
    more: dict[str, Any]  # options of which some may be wrong
    is_plain: bool = False


@st.composite
def fits(draw: Any) -> Fit:
    by = Random(draw(SEEDS))
    case = replace(draw_case(draw), extras=False)
    p = random_problem(case, [by.randint(0, 1000)])
    rnn = p.network(by.choice(DTYPES))
    one, equal = len(case.lengths) == 1, len(set(case.lengths)) == 1
    forms: list[Form] = ["list", "batch" if equal else "padded", "single"]
    form = by.choice(forms if one else forms[:2])
    given = {name: value for name, value in p.arguments(form).items() if value is not None}
    for name in ("teacher_forcing", "seed", case.initial):
        given.pop(name, None)
    plain = by.randrange(4) == 0  # one update, which is compared with the reference
    if form != "list" and not plain:
        for name in ("x", "y"):
            kind = "i" if given[name].dtype.kind == "i" else "f"
            given[name] = dressed(by, given[name], kind, may_be_list=False)
    more: dict[str, Any] = {"optimizer": SGD(0.1), "epochs": by.randint(1, 3), "progress": False}
    right: dict[str, list[Any]] = {
        "batch_size": [None, 1, 2, np.int8(3), 1000],
        "truncate": [None, 1, 2, 50],
        "updates_per_epoch": [None, 1, 3],
        "clip_norm": [None, 0.5, 1, np.float32(2)],
        "clip_value": [None, 0.5],
        "schedule": [None, bptt.schedules.Cosine(5), lambda i: 0.5],
        "patience": [None, 1, 5],
        "shuffle": [True, False, np.True_],
        "seed": [None, 0, 2**64 - 1],
        "validation": [None, (given["x"], given["y"]), {**given}],
        "teacher_forcing": [None, 0.5, 1, lambda i: 0.25],
        "callbacks": [(), [lambda history: None], [lambda history: True]],
        "resume": [False],
        "checkpoint": [None],
    }
    if plain:
        return Fit(rnn, p, given, {**more, "epochs": 1}, is_plain=True)
    for name, values in right.items():
        if by.randint(0, 3) == 0:
            more[name] = odd(by) if by.randint(0, 11) == 0 else by.choice(values)
    spoil = by.choice([None] * 10 + ["optimizer", "epochs", "progress"])
    if spoil is not None:
        more[spoil] = odd(by)
    if isinstance(more["epochs"], int | np.integer) and more["epochs"] > 3:
        more["epochs"] = 0
    if isinstance(more.get("updates_per_epoch"), int | np.integer) and more["updates_per_epoch"] > 3:
        more["updates_per_epoch"] = 3
    if isinstance(more.get("checkpoint"), str | bytes):
        more["checkpoint"] = 5
    return Fit(rnn, p, given, more)


def wrong_of_fit(f: Fit) -> Wrong:
    wrong: Wrong = {}
    case, more = f.problem.case, f.more
    if not isinstance(more["optimizer"], Optimizer):
        wrong["optimizer"] = (TypeError,)
    told(wrong, "epochs", rules.integer, more["epochs"], 1)
    for name in ("batch_size", "truncate", "updates_per_epoch", "patience"):
        if more.get(name) is not None:
            told(wrong, name, rules.integer, more[name], 1)
    for name in ("clip_norm", "clip_value"):
        if more.get(name) is not None:
            told(wrong, name, rules.real, more[name], 0, LARGEST, least_too=False)
    for name in ("shuffle", "progress", "resume"):
        told(wrong, name, rules.truth, more.get(name, False))
    if more.get("seed") is not None:
        told(wrong, "seed", rules.integer, more["seed"], 0, 2**64 - 1)
    if more.get("schedule") is not None and not callable(more["schedule"]):
        wrong["schedule"] = (TypeError,)
    callbacks = more.get("callbacks", ())
    try:
        if callable(callbacks) or not all(map(callable, callbacks)):
            wrong["callbacks"] = (TypeError,)
    except TypeError:
        wrong["callbacks"] = (TypeError,)
    validation = more.get("validation")
    if validation is not None and not (isinstance(validation, tuple | dict) and len(validation) >= 2):
        wrong["validation"] = (TypeError,)
    if more.get("checkpoint") is not None:
        wrong["checkpoint"] = (TypeError,)
    forcing = more.get("teacher_forcing")
    if forcing is not None:
        if case.feedback is None:
            wrong["teacher_forcing"] = (ValueError, TypeError)
        elif not callable(forcing):
            told(wrong, "teacher_forcing", rules.real, forcing, 0, 1)
    if more.get("truncate") is not None and "truncate" not in wrong:
        array = f.given["x"]
        if isinstance(array, list) or "lengths" in f.given or case.readout == "last" or case.bidirectional:
            wrong["truncate"] = (ValueError,)
        if more.get("batch_size") is not None:
            wrong["batch_size"] = (*wrong.get("batch_size", ()), ValueError)
    if more.get("patience") is not None and validation is None:
        wrong["patience"] = (*wrong.get("patience", ()), ValueError)
    if "resume" not in wrong and more.get("resume", False):
        wrong["resume"] = (ValueError,)
    return wrong


def check_fit(f: Fit) -> str:
    wrong = wrong_of_fit(f)
    arguments = [*f.given.values()]
    before, parameters = snapshot(arguments), f.rnn.parameters.copy()

    def call() -> Any:
        return f.rnn.fit(**f.given, **f.more)

    if wrong:
        of_values = {} if f.is_plain else dict.fromkeys(("x", "y"), (ValueError,))  # as below
        refused(call, {**of_values, **({"validation": (ValueError,)} if "validation" in f.more else {}), **wrong})
        assert f.rnn.parameters.tobytes() == parameters.tobytes()
    else:
        try:
            history = call()
        except ValueError as error:
            # Values that a layout repeats may make no target, which is for `test_fuzz_calls.py` to judge.
            if f.is_plain or not str(error).startswith(("y: expected", "x: expected", "validation: ")):
                raise
            return "refused"
        except TypeError as error:
            if not callable(f.more.get("schedule")) or not str(error).startswith("schedule: "):
                raise
            return "refused"
        assert 1 <= len(history.epochs) <= f.more["epochs"]
        assert history.stopped in ("epochs", "patience", "callback")
        assert np.isfinite(history.updates.loss).all()
        check_first(f, parameters)
    assert snapshot(arguments) == before, "no input changes"
    return "refused" if wrong else "valid"


def check_first(f: Fit, parameters: Array) -> None:
    """One update with all sequences follows the reference's gradient of the mean loss."""
    p = f.problem
    if not f.is_plain or (p.case.activation == "relu" and not clear_of_kinks(p)):
        return
    targets = sum(len(y) if p.case.readout == "all" else 1 for y in p.y)
    if p.case.output == "softmax":
        targets = int(sum((np.asarray(y) >= 0).sum() for y in p.y))
    expected = solve(replace(p, case=replace(p.case, teacher_forcing=1.0)))
    flat = np.concatenate([np.ravel(expected.results[name]) for name in letters(f.rnn)])
    step = 0.1 * flat / targets
    off = np.abs(f.rnn.parameters - (parameters - step)).max()
    eps = float(np.finfo(f.rnn.dtype).eps)
    assert off <= 500 * eps * max(float(np.abs(step).max()), 1.0)
    COMPARED.append(1)


COMPARED: list[int] = []


@rounds(0.05)
def test_fit_trains_or_refuses(number: int) -> None:
    COMPARED.clear()
    explore(fits(), check_fit, number, short=60, least=0.2)
    assert COMPARED, "some were compared with the reference"
