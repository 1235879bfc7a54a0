"""Hyper-parameters that change between updates: each assignment is checked, and what a rule keeps follows."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bptt import SGD, Adagrad, Adam, AdamW, ElmanRNN, Optimizer, RMSProp
from problems import Array
from refusals import refuses
from results import same_bits

MAKE: dict[str, Callable[[], Optimizer]] = {
    "SGD": lambda: SGD(0.1),
    "momentum": lambda: SGD(0.1, momentum=0.9),
    "nesterov": lambda: SGD(0.1, momentum=0.9, nesterov=True),
    "RMSProp": lambda: RMSProp(0.1),
    "RMSProp with momentum": lambda: RMSProp(0.1, momentum=0.9),
    "Adam": lambda: Adam(0.1),
    "AdamW": lambda: AdamW(0.1),
    "Adagrad": lambda: Adagrad(0.1, initial_accumulator_value=0.5),
}
BELOW_1, AT_LEAST_0 = "expected a number in [0, 1), got", "expected a number in [0, inf), got"
BAD: dict[str, list[tuple[Any, type[Exception], str]]] = {
    "lr": [
        (-0.1, ValueError, f"lr: {AT_LEAST_0} -0.1"),
        (10**400, ValueError, f"lr: {AT_LEAST_0} 1000"),
        (None, TypeError, "lr: "),
    ],
    "momentum": [(1, ValueError, f"momentum: {BELOW_1} 1"), (math.nan, ValueError, f"momentum: {BELOW_1} nan")],
    "nesterov": [(1, TypeError, "nesterov: expected True or False, got 1"), (None, TypeError, "nesterov: ")],
    "alpha": [(1.0, ValueError, f"alpha: {BELOW_1} 1.0"), ("0.5", TypeError, "alpha: expected a number, got str")],
    "betas": [
        ("ab", TypeError, "betas: expected two numbers, got str"),
        ((1.0, 0.9), ValueError, f"betas[0]: {BELOW_1} 1.0"),
        ((0.9, -0.1), ValueError, f"betas[1]: {BELOW_1} -0.1"),
        ((0.9, 0.9, 0.9), ValueError, "betas: expected two numbers, got 3"),
        ([0.9, None], TypeError, "betas[1]: expected a number, got NoneType"),
    ],
    "eps": [(0.0, ValueError, "eps: expected a number in [1e-30, inf), got 0.0"), (math.inf, ValueError, "eps: ")],
    "lr_decay": [(-1, ValueError, f"lr_decay: {AT_LEAST_0} -1"), (True, TypeError, "lr_decay: ")],
    "weight_decay": [(math.nan, ValueError, f"weight_decay: {AT_LEAST_0} nan"), ("", TypeError, "weight_decay: ")],
    "initial_accumulator_value": [(-1, ValueError, f"initial_accumulator_value: {AT_LEAST_0} -1")],
}
ASSIGNMENTS = [
    (name, option, *bad) for name in MAKE for option in vars(MAKE[name]()) if option in BAD for bad in BAD[option]
]


def network(seed: int = 0) -> ElmanRNN:
    return ElmanRNN(3, 4, 2, dtype="float64", seed=seed)


def update(optimizer: Optimizer, rnn: ElmanRNN, first: int, last: int) -> None:
    """Updates of these numbers."""
    for i in range(first, last):
        optimizer.step(rnn, np.random.default_rng(i).standard_normal(rnn.parameters.size), clip_norm=3.0)


def test_every_hyper_parameter_has_bad_values() -> None:
    options = {option for make in MAKE.values() for option in make().configuration()}
    assert options - {"optimizer"} == set(BAD) == {option for _, option, *_ in ASSIGNMENTS}


@pytest.mark.parametrize(("name", "option", "value", "error", "message"), ASSIGNMENTS)
def test_a_bad_assignment_is_refused_as_the_constructor_does(
    name: str, option: str, value: Any, error: type[Exception], message: str
) -> None:
    optimizer, twin = MAKE[name](), MAKE[name]()
    rnn, other = network(), network()
    for i in range(3):
        before = repr(optimizer), optimizer.state()
        for call in (lambda: setattr(optimizer, option, value), lambda: type(optimizer)(**{option: value})):
            with pytest.raises(error) as raised:
                call()
            assert raised.type is error
            assert str(raised.value).startswith(message)
        assert repr(optimizer) == before[0]
        assert same_bits(optimizer.state(), before[1])
        update(optimizer, rnn, i, i + 1)
        update(twin, other, i, i + 1)
        assert same_bits(rnn.parameters, other.parameters)


@pytest.mark.parametrize("name", MAKE)
def test_an_attribute_that_it_does_not_have_is_refused(name: str) -> None:
    optimizer: Any = MAKE[name]()
    known = ", ".join(list(optimizer.configuration())[1:])
    refuses(lambda: setattr(optimizer, "momentun", 0.5), AttributeError, f"momentun: expected one of {known}")
    with pytest.raises(AttributeError):
        optimizer.updates = 3


def test_what_goes_only_together_is_refused_apart() -> None:
    optimizer: Any = SGD(0.1, momentum=0.9, nesterov=True)
    rnn = network()
    update(optimizer, rnn, 0, 1)
    message = "momentum: expected more than 0 with nesterov=True, got 0.0"
    refuses(lambda: setattr(optimizer, "momentum", 0.0), ValueError, message)
    update(optimizer, rnn, 1, 2)
    plain: Any = SGD(0.1)
    refuses(lambda: setattr(plain, "nesterov", True), ValueError, "nesterov: expected False without momentum, got True")
    plain.momentum = 0.9
    plain.nesterov = True
    assert repr(plain) == repr(optimizer)


# ---- What a rule keeps ----

Change = Callable[[Any], None]


def off(optimizer: Any) -> None:
    if type(optimizer) is SGD:
        optimizer.nesterov = False
    optimizer.momentum = 0.0


def on(optimizer: Any) -> None:
    optimizer.momentum = 0.5


def on_with_nesterov(optimizer: Any) -> None:
    optimizer.momentum = 0.5
    optimizer.nesterov = True


def others(optimizer: Any) -> None:
    optimizer.weight_decay = 0.3
    if hasattr(optimizer, "betas"):
        optimizer.betas = [0.5, 0.7]
    if hasattr(optimizer, "alpha"):
        optimizer.alpha = 0.5


CHANGES: list[tuple[str, list[Change]]] = [
    ("SGD", [on, off, on_with_nesterov]),
    ("momentum", [off, on]),
    ("nesterov", [off, on_with_nesterov]),
    ("RMSProp", [on, off, on]),
    ("RMSProp with momentum", [off, on]),
]
CHANGES += [(name, [others]) for name in MAKE]


@pytest.mark.parametrize(("name", "changes"), CHANGES)
def test_what_is_switched_on_begins_at_zero_and_what_goes_on_goes_on(name: str, changes: list[Change]) -> None:
    """As if an optimizer had been made anew, given what the old one has kept, and zeros for what it has not."""
    optimizer, rnn = MAKE[name](), network()
    update(optimizer, rnn, 0, 3)
    for i, change in enumerate(changes, 1):
        kept = optimizer.state()
        change(optimizer)
        options = optimizer.configuration()
        anew: Any = type(optimizer)(**{key: value for key, value in options.items() if key != "optimizer"})
        zeros = np.zeros(rnn.parameters.size)
        anew.load_state({key: kept.get(key, zeros) for key in optimizer.state()})
        other = copy.deepcopy(rnn)
        update(optimizer, rnn, 3 * i, 3 * i + 3)
        update(anew, other, 3 * i, 3 * i + 3)
        assert np.isfinite(rnn.parameters).all()
        assert same_bits(rnn.parameters, other.parameters)
        assert same_bits(optimizer.state(), anew.state())


def test_momentum_switched_on_by_its_equations() -> None:
    optimizer, rnn = SGD(0.1), network()
    update(optimizer, rnn, 0, 2)
    theta, v = rnn.parameters.copy(), np.zeros(rnn.parameters.size)
    optimizer.momentum = 0.5
    for i in range(2, 5):
        g = np.random.default_rng(i).standard_normal(theta.size)
        optimizer.step(rnn, g)
        v = 0.5 * v + g
        theta -= 0.1 * v
    assert np.abs(rnn.parameters - theta).max() < 1e-15 * 10  # three updates of some roundings of numbers near 1


def test_momentum_that_was_off_for_no_update_is_forgotten_too() -> None:
    optimizer, rnn = SGD(0.1, momentum=0.9), network()
    update(optimizer, rnn, 0, 3)
    optimizer.momentum = 0.0
    assert list(optimizer.state()) == ["updates"]
    optimizer.momentum = 0.9
    assert not optimizer.state()["momentum_buffer"].any()


def by_state(optimizer: Optimizer) -> Optimizer:
    options = {key: value for key, value in optimizer.configuration().items() if key != "optimizer"}
    other = type(optimizer)(**options)
    other.load_state(optimizer.state())
    return other


def by_pickle(optimizer: Optimizer) -> Optimizer:
    other: Optimizer = pickle.loads(pickle.dumps(optimizer))
    return other


@pytest.mark.parametrize("way", [by_state, by_pickle, copy.copy, copy.deepcopy])
@pytest.mark.parametrize(("name", "changes"), CHANGES)
def test_a_copy_at_any_moment_goes_on_with_the_same_bits(
    name: str, changes: list[Change], way: Callable[[Optimizer], Optimizer]
) -> None:
    optimizer, rnn = MAKE[name](), network()
    for i, change in enumerate([lambda _: None, *changes]):
        change(optimizer)
        for number in (2 * i, 2 * i + 1):
            other, theirs = way(optimizer), copy.deepcopy(rnn)
            before = optimizer.state()
            update(other, theirs, number, number + 1)
            assert same_bits(optimizer.state(), before), "a copy shares nothing"
            update(optimizer, rnn, number, number + 1)
            assert same_bits(theirs.parameters, rnn.parameters)
            assert same_bits(other.state(), optimizer.state())


def test_what_r_begins_with_is_fixed_by_the_first_update() -> None:
    optimizer, rnn = Adagrad(0.1), network()
    optimizer.initial_accumulator_value = 2.0
    optimizer.step(rnn, np.ones(rnn.parameters.size))
    assert optimizer.state()["sum"].tolist() == [3.0] * rnn.parameters.size
    refuses(
        lambda: setattr(optimizer, "initial_accumulator_value", 1),
        ValueError,
        "initial_accumulator_value: expected 2.0, with which r began, got 1.0",
    )
    optimizer.initial_accumulator_value = 2


def test_a_count_of_updates_that_cannot_be_is_refused() -> None:
    for bad in (-1, 2**53 + 1, 2**63 - 1):
        with pytest.raises(ValueError, match=r"^state\['updates'\]: expected at (least|most) \d+, got -?\d+$"):
            SGD().load_state({"updates": bad})


def test_arrays_of_a_state_hold_what_the_rule_can_go_on_from() -> None:
    arrays: dict[str, Array] = {"exp_avg": np.zeros(3), "exp_avg_sq": np.zeros(3)}
    optimizer = Adam()
    refuses(
        lambda: optimizer.load_state({"updates": 1, **arrays, "exp_avg": np.zeros(3, ">f8")}),
        TypeError,
        "state['exp_avg']: expected float32 or float64, got >f8",
    )
    assert optimizer.state() == {"updates": 0}
