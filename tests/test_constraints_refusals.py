"""Constraints that cannot be are refused by name, before anything changes; so are damaged ones in files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import bptt
from bptt import SGD, ElmanRNN, JordanRNN
from bptt.constraints import blocks, dale, frozen, mask, max_norm, no_self_connections, signs
from refusals import CLASSES, N_HIDDEN, X, network, refuses
from results import same_bits

Made = Callable[[], Any]

# What no network can have: each is refused when it is made.
ALONE: list[tuple[Made, type[Exception], str]] = [
    (lambda: mask("W", 0.5), ValueError, "connected: expected booleans, or 0 and 1, got 0.5"),
    (lambda: mask("W", "all"), TypeError, "connected: expected booleans, or 0 and 1, got 'all'"),
    (lambda: mask(1, 1), TypeError, "letters: expected a letter or a list of them, got int"),  # type: ignore[arg-type]
    (lambda: mask([], 1), ValueError, "letters: expected at least one, got []"),
    (lambda: mask("W", 1, layer=-1), ValueError, "layer: expected at least 0, got -1"),
    (lambda: mask("W", 1, reverse=1), TypeError, "reverse: expected True or False, got 1"),  # type: ignore[arg-type]
    (lambda: signs("W", 2), ValueError, "signs: expected 1, 0 or -1, got 2"),
    (lambda: signs("W", "+"), TypeError, "signs: expected float64 or what converts to it safely, got <U1"),
    (lambda: dale(80), ValueError, "excitatory: expected a number in [0, 1], got 80"),
    (lambda: dale("most"), TypeError, "excitatory: expected booleans, or 0 and 1, got 'most'"),
    (lambda: dale([1, -1, 1]), ValueError, "excitatory: expected booleans, or 0 and 1, got -1"),
    (lambda: dale(None), TypeError, "excitatory: expected a number, got NoneType"),  # type: ignore[arg-type]
    (lambda: frozen("W", 3), ValueError, "where: expected booleans, or 0 and 1, got 3"),
    (lambda: max_norm("W", 0), ValueError, "most: expected a number in [1e-30, 1e+30], got 0"),
    (lambda: max_norm("W", 1, axis=2), ValueError, "axis: expected at most 1, got 2"),
    (lambda: blocks("W", [[1, 2]], [1], [1, 1]), ValueError, "connected: expected numbers in [0, 1], got 2.0"),
    (
        lambda: blocks("W", [[1, 1]], [3, 3]),
        ValueError,
        "connected: expected [2, 2], a row for each group, got (1, 2)",
    ),
    (lambda: blocks("W", [[1]], 6), TypeError, "rows: expected a list of ints, got int"),  # type: ignore[arg-type]
    (lambda: blocks("W", [[1]], [0]), ValueError, "rows[0]: expected at least 1, got 0"),
]

# What a network of 3 inputs, 6 hidden units and 2 outputs cannot have.
THERE: list[tuple[Any, type[Exception], str]] = [
    ("W", TypeError, "constraints: expected a list of bptt.constraints, got str"),
    (3, TypeError, "constraints: expected a list of bptt.constraints, got int"),
    ([dale(), 3], TypeError, "constraints[1]: expected a constraint of bptt.constraints, got int"),
    ([dale], TypeError, "constraints[0]: expected a constraint of bptt.constraints, got the function dale: call it"),
    (
        [dale(), mask("W", np.ones((5, 6)))],
        ValueError,
        "constraints[1], mask('W', connected=<bool [5, 6]>): connected: expected [6, 6] or [6] for W, got (5, 6)",
    ),
    (
        mask("X", 1),
        ValueError,
        "constraints[0], mask('X', connected=True): letters: expected 'U', 'V', 'W', 'b', 'c', got 'X'",
    ),
    (
        frozen("W", layer=1),
        ValueError,
        "constraints[0], frozen('W', layer=1): layer: expected None or less than 1, as there is one layer, got 1",
    ),
    (
        frozen("V", layer=0),
        ValueError,
        "constraints[0], frozen('V', layer=0): layer: expected None, as V is of no layer, got 0",
    ),
    (
        frozen("W", reverse=True),
        ValueError,
        "constraints[0], frozen('W', reverse=True): reverse: expected None or False, as the network has one direction, "
        "got True",
    ),
    (
        max_norm("b", 1.0, axis=1),
        ValueError,
        "constraints[0], max_norm('b', most=1.0, axis=1): axis: expected None, as b is a vector, got 1",
    ),
    (
        dale([True, False]),
        ValueError,
        "constraints[0], dale(excitatory=<bool [2]>): excitatory: expected [6], as the network has 6 units, got (2,)",
    ),
    (
        [dale(0.5), signs("V", 1)],
        ValueError,
        "constraints[1], signs('V', signs=1): expected V[0, 3] to be at most 0, as by another constraint, got at least "
        "0",
    ),
    (
        [frozen("U"), signs("U", [0, -1, 0])],
        ValueError,
        "constraints: U[0, 1]: expected at most 0, by its sign, got 0.5, which is frozen",
    ),
    (
        [frozen("W", np.eye(6)), no_self_connections()],
        ValueError,
        "constraints: W[0, 0]: expected 0, as it is masked, got 0.5, which is frozen",
    ),
    (
        [frozen("W"), max_norm("W", 1.0, axis=1)],
        ValueError,
        "constraints: W: expected a norm of row 0 of at most 1, got 1.22474487",
    ),
]


def half(rnn: Any) -> Any:
    """All parameters 1/2: what is wrong with them is easily told."""
    rnn.parameters[:] = 0.5
    return rnn


@pytest.mark.parametrize(("make", "error", "message"), ALONE, ids=[case[2] for case in ALONE])
def test_refused_when_made(make: Made, error: type[Exception], message: str) -> None:
    refuses(make, error, message)


@pytest.mark.parametrize(("constraints", "error", "message"), THERE, ids=[case[2][:60] for case in THERE])
def test_refused_by_a_network_and_by_fit(constraints: Any, error: type[Exception], message: str) -> None:
    rnn = half(network())
    before = rnn.parameters.copy()

    def assign() -> None:
        rnn.constraints = constraints

    def fit() -> None:
        rnn.fit(X, CLASSES, optimizer=SGD(0.1), epochs=1, progress=False, constraints=constraints)

    for call in (assign, fit):
        refuses(call, error, message)
        assert same_bits(rnn.parameters, before)
        assert len(rnn.constraints) == 0


def test_constraints_that_contradict_those_of_the_network_are_refused_by_fit() -> None:
    rnn = half(network())
    rnn.constraints = frozen("c")
    message = "constraints: c[0]: expected at most 0, by its sign, got 0.5, which is frozen"

    def fit() -> None:
        rnn.fit(X, CLASSES, optimizer=SGD(0.1), epochs=1, progress=False, constraints=signs("c", -1))

    refuses(fit, ValueError, message)


def test_nothing_changes_where_another_argument_of_fit_is_refused() -> None:
    rnn = network()
    before = rnn.parameters.copy()
    with pytest.raises(ValueError, match=r"^epochs"):
        rnn.fit(X, CLASSES, optimizer=SGD(0.1), epochs=0, progress=False, constraints=dale())
    with pytest.raises(ValueError, match=r"^y"):
        rnn.fit(X, CLASSES - 1, optimizer=SGD(0.1), epochs=1, progress=False, constraints=dale())
    assert same_bits(rnn.parameters, before)


@pytest.mark.parametrize("constraint", [dale(), no_self_connections()])
def test_of_an_output_recurrent_network_no_column_of_W_is_a_unit(constraint: Any) -> None:
    rnn = JordanRNN(3, 6, 2)
    message = f"constraints[0], {constraint}: expected an ElmanRNN, as the columns of W are outputs here"

    def assign() -> None:
        rnn.constraints = constraint

    refuses(assign, ValueError, message)


def test_layers_and_directions_are_named() -> None:
    rnn = ElmanRNN(3, (5, 4), 2, seed=0)

    def assign(constraint: Any) -> Callable[[], None]:
        return lambda: setattr(rnn, "constraints", constraint)

    one = dale(np.ones(5))
    message = f"constraints[0], {one}: excitatory: expected [4], as layer 1 has 4 units, got (5,)"
    refuses(assign(one), ValueError, message)
    two = mask("U", [1, 0, 1])
    message = f"constraints[0], {two}: connected: expected [4, 5] or [5] for U2, got (3,)"
    refuses(assign(two), ValueError, message)
    three = frozen("W", layer=2)
    message = f"constraints[0], {three}: layer: expected None or less than 2, as there are 2 layers, got 2"
    refuses(assign(three), ValueError, message)
    rnn.constraints = [dale(np.ones(5), layer=0), mask("U", [1, 0, 1], layer=0)]


def test_apply_says_what_is_frozen_against_another_constraint() -> None:
    rnn = half(network())
    rnn.constraints = [signs("U", 1), frozen("U")]
    rnn.U = -rnn.U
    before = rnn.parameters.copy()
    message = "constraints: U[0, 0]: expected at least 0, by its sign, got -0.5, which is frozen"
    refuses(rnn.constraints.apply, ValueError, message)
    assert same_bits(rnn.parameters, before)
    refuses(lambda: rnn.constraints.gradient([1.0]), ValueError, f"gradients: expected [{before.size}], got (1,)")


def test_the_list_itself_does_not_change() -> None:
    rnn = network()
    rnn.constraints = [dale(0.5), frozen("U")]
    assert rnn.constraints[1:] == (frozen("U"),)
    assert repr(rnn.constraints) == "[dale(excitatory=0.5), frozen('U')]"
    rnn.constraints.excitatory[:] = False
    assert rnn.constraints.excitatory.sum() == N_HIDDEN // 2
    assert dale(0.5) != dale(0.25)
    assert dale(0.5) != 0.5
    assert repr(frozen(["U", "W"], np.ones((6, 6)), layer=0)) == "frozen(('U', 'W'), layer=0, where=<bool [6, 6]>)"
    with pytest.raises(AttributeError):
        rnn.constraints[0].excitatory = 0.1


# ---- Files ----

DAMAGED: list[tuple[Any, str]] = [
    (3, "constraints: expected a list, got 3"),
    (["mask"], "constraints[0]: expected one of dale, frozen, mask, max_norm, no_self_connections, signs, got 'mask'"),
    (
        [{"constraint": "exec"}],
        "constraints[0]: expected one of dale, frozen, mask, max_norm, no_self_connections, signs, got "
        "{'constraint': 'exec'}",
    ),
    ([{"constraint": "dale", "excitatory": 7}], "constraints[0]: excitatory: expected a number in [0, 1], got 7"),
    (
        [{"constraint": "mask", "letters": ["W"], "connected": {"shape": [2], "bits": "?"}}],
        "constraints[0]: connected: expected bits in base 64, got '?'",
    ),
    (
        [{"constraint": "mask", "letters": ["W"], "connected": {"shape": [60], "bits": "AA=="}}],
        "constraints[0]: connected: expected 60 bits, got 8",
    ),
    (
        [{"constraint": "mask", "letters": ["W"], "connected": {"shape": [2], "bits": 1}}],
        "constraints[0]: connected: expected a text, got 1",
    ),
    (
        [{"constraint": "signs", "letters": ["W"], "signs": {"shape": [2], "signs": "+x"}}],
        "constraints[0]: signs: expected 2 signs, got '+x'",
    ),
    (
        [{"constraint": "signs", "letters": ["W"], "signs": {"shape": [2], "other": ""}}],
        "constraints[0]: signs: expected a shape with bits or signs, got {'shape': [2], 'other': ''}",
    ),
    (
        [{"constraint": "frozen", "letters": ["W"], "layer": 4}],
        "constraints[0], frozen('W', layer=4): layer: expected None or less than 1, as there is one layer, got 4",
    ),
]


@pytest.mark.parametrize(("told", "message"), DAMAGED, ids=[message[:60] for _, message in DAMAGED])
def test_damaged_constraints_in_a_file_are_named(told: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model"
    rnn = network()
    rnn.constraints = dale()
    rnn.save(path)
    with safe_open(path, "np") as file:
        configuration = json.loads(file.metadata()["bptt"])
    configuration["constraints"] = told
    save_file(rnn.by_name(), path, {"bptt": json.dumps(configuration)})
    refuses(lambda: bptt.load(path), ValueError, f"{path}: bad configuration: {message}")


def test_a_file_with_an_unknown_argument_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model"
    rnn = network()
    rnn.save(path)
    with safe_open(path, "np") as file:
        configuration = json.loads(file.metadata()["bptt"])
    configuration["constraints"] = [{"constraint": "dale", "wrong": 1}]
    save_file(rnn.by_name(), path, {"bptt": json.dumps(configuration)})
    with pytest.raises(ValueError, match=r"bad configuration: constraints\[0\]: .*'wrong'"):
        bptt.load(path)
