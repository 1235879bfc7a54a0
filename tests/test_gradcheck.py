"""`gradcheck`: it finds a wrong gradient, and tells whose it is. Of the right ones test_results.py makes sure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import ElmanRNN, JordanRNN
from cases import make
from problems import letters, problem

WRONG: list[tuple[dict[str, Any], str]] = [
    *(({}, letter) for letter in "UWbVc"),
    *(({"feedback": "y_hat"}, letter) for letter in "UWbVc"),
    *(({"activation": "relu"}, letter) for letter in "UWbVc"),
    *(({"feedback": "y_hat", "activation": "relu"}, letter) for letter in "UWbVc"),
    *(({"upper": (6,), "bidirectional": True}, name) for name in ("U1", "W1_reverse", "U2_reverse", "b2", "V")),
]


@pytest.mark.parametrize(("options", "name"), WRONG)
def test_a_wrong_gradient_is_found(options: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    p = problem(make(4, 11, 5, (3, 6, 1, 6, 2), **options))
    rnn = p.network("float64")
    right = type(rnn).loss_and_gradients
    largest = np.abs(letters(right(rnn, **p.arguments())[1])[name]).max()

    def wrong(*arguments: Any, **more: Any) -> Any:
        loss, gradients = right(*arguments, **more)
        letters(gradients)[name][...] *= 1.0001
        return loss, gradients

    monkeypatch.setattr(type(rnn), "loss_and_gradients", wrong)
    with pytest.raises(AssertionError, match=rf"dL/d{name}\[.*but central differences give"):
        bptt.gradcheck(rnn, **p.arguments())
    wrong_by = bptt.gradcheck(rnn, **p.arguments(), tolerance=1e-3)
    # By this fraction of the largest gradient of this letter, or of 1 where that is less.
    assert wrong_by[name] == pytest.approx(1e-4 * min(1.0, largest), rel=0.01)
    assert sum(value > 1e-6 for value in wrong_by.values()) == 1


def test_the_same_steps_are_drawn_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    p = problem(make(4, 11, 5, (3, 6, 1, 6, 2), feedback="y_hat"))
    arguments = p.arguments() | {"teacher_forcing": 0.5}
    del arguments["seed"]
    seeds = set()
    right = JordanRNN.loss

    def remember(*given: Any, **more: Any) -> float:
        seeds.add(more["seed"])
        return right(*given, **more)

    monkeypatch.setattr(JordanRNN, "loss", remember)
    bptt.gradcheck(p.network("float64"), **arguments, most=3)
    bptt.gradcheck(p.network("float64"), **arguments, most=3, seed=7)
    assert seeds == {0, 7}


@pytest.mark.parametrize("kind", [ElmanRNN, JordanRNN])
def test_what_a_loss_has_more_is_checked_too(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise, dropout and the cost of activity reach both the gradients and all losses, with one seed."""
    p = problem(make(4, 11, 5, (3, 6, 1, 6, 2), feedback=None if kind is ElmanRNN else "o"))
    how: dict[str, Any] = {"activity": 2.0, **({"noise": 0.3, "dropout": 0.4} if kind is ElmanRNN else {})}
    given: list[dict[str, Any]] = []
    right = kind.loss

    def remember(*args: Any, **more: Any) -> float:
        given.append(more)
        return float(right(*args, **more))

    arguments = p.arguments()
    arguments.pop("seed", None)
    monkeypatch.setattr(kind, "loss", remember)
    bptt.gradcheck(p.network("float64"), **arguments, **how, most=3, seed=7)
    assert given
    assert all(how.items() <= numbers_of(more).items() for more in given)
    assert {more["seed"] for more in given} == {7}


def numbers_of(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if isinstance(value, float | int)}


def test_what_is_another_networks_is_refused() -> None:
    x, y = np.zeros((4, 3)), np.zeros(4, int)
    for rnn, argument, value in [
        (ElmanRNN(3, 5, 2), "r0", np.zeros(2)),
        (ElmanRNN(3, 5, 2), "teacher_forcing", 1.0),
        (JordanRNN(3, 5, 2), "h0", np.zeros(5)),
        (JordanRNN(3, 5, 2), "noise", 0.1),
        (JordanRNN(3, 5, 2), "dropout", 0.1),
    ]:
        other: dict[str, Any] = {argument: value}
        none = 0 if argument in ("noise", "dropout") else None
        message = f"^{argument}: expected {none}, as {type(rnn).__name__}.loss has no such argument$"
        with pytest.raises(TypeError, match=message):
            bptt.gradcheck(rnn, x, y, **other)


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        *(("step", value, ValueError) for value in (0.0, -1e-5, math.nan, math.inf)),
        *(("tolerance", value, ValueError) for value in (-1.0, math.nan)),
        *(("noise", -1.0, ValueError), ("dropout", 1.0, ValueError), ("activity", -1.0, ValueError)),
        *(("most", -1, ValueError), ("most", 1.5, TypeError), ("seed", -1, ValueError), ("seed", "a", TypeError)),
        *(("rnn", None, TypeError), ("rnn", ElmanRNN, TypeError), ("step", "a", TypeError)),
    ],
)
def test_arguments_are_checked(argument: str, value: Any, error: type[Exception]) -> None:
    """Some of them ended in a ZeroDivisionError or an AttributeError, or checked nothing."""
    given: dict[str, Any] = {"rnn": ElmanRNN(3, 5, 2), "x": np.zeros((4, 3)), "y": np.zeros(4, int)}
    with pytest.raises(error, match=f"^{argument}: expected"):
        bptt.gradcheck(**given | {argument: value})


# ---- The kinks of relu ----


def many_kinks(seed: int) -> tuple[Any, dict[str, Any]]:
    """A network and 800 rows: within a step of 1e-4 some a(t) crosses 0 for most parameters."""
    random = np.random.default_rng(seed)
    x, y = random.standard_normal((40, 20, 3)), random.integers(0, 4, (40, 20))
    if seed % 3 == 0:
        return JordanRNN(3, 6, 4, activation="relu", seed=seed), {"x": x, "y": y, "teacher_forcing": 0.5}
    options: dict[str, Any] = {"bidirectional": seed % 3 == 2, "init": "orthogonal" if seed % 2 else "identity"}
    return ElmanRNN(3, (6, 5), 4, activation="relu", seed=seed, **options), {"x": x, "y": y}


@pytest.mark.parametrize("seed", range(12))
def test_kinks_are_no_wrong_gradients(seed: int) -> None:
    rnn, arguments = many_kinks(seed)
    deviations = bptt.gradcheck(rnn, **arguments, step=1e-4, most=20)
    assert max(deviations.values()) <= 1e-6  # the tolerance


@pytest.mark.parametrize("seed", range(6))
def test_a_wrong_gradient_is_found_among_kinks(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rnn, arguments = many_kinks(seed)
    right = type(rnn).loss_and_gradients

    def wrong(*given: Any, **more: Any) -> Any:
        loss, gradients = right(*given, **more)
        gradients.layers[0].U[1, 2] *= 1.01
        return loss, gradients

    monkeypatch.setattr(type(rnn), "loss_and_gradients", wrong)
    with pytest.raises(AssertionError, match=r"dL/dU1?\[1, 2\]: .* but central differences give"):
        bptt.gradcheck(rnn, **arguments, step=1e-4)


def test_a_network_that_stands_on_its_kinks() -> None:
    """Every a(t) is 0 where W starts as the identity and x is 0: the gradient is that of the side where h is 0."""
    rnn = ElmanRNN(2, 4, 3, activation="relu", init="identity", seed=0)
    x, y = np.zeros((6, 2)), np.arange(6) % 3
    assert not rnn.loss_and_gradients(x, y)[1].b.any()
    assert max(bptt.gradcheck(rnn, x, y).values()) <= 1e-6  # the tolerance


def test_what_kinks_hide_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """On its kinks, a loss has two derivatives: a gradient that is neither cannot be told from a right one."""
    rnn = ElmanRNN(2, 4, 3, activation="relu", init="identity", seed=0)
    right = ElmanRNN.loss_and_gradients

    def wrong(*given: Any, **more: Any) -> Any:
        loss, gradients = right(*given, **more)
        gradients.b[...] = 100.0
        return loss, gradients

    monkeypatch.setattr(ElmanRNN, "loss_and_gradients", wrong)
    message = "step: expected one that is shorter than the way to relu's kinks, got 1e-05: 4 of 4 elements of b cannot"
    with pytest.raises(ValueError, match=f"^{message} be checked$"):
        bptt.gradcheck(rnn, np.zeros((6, 2)), np.arange(6) % 3)


def test_a_loss_that_is_not_finite_is_no_kink() -> None:
    rnn = ElmanRNN(2, 4, 3, activation="relu", output="linear", seed=0)
    rnn.c[0] = np.inf
    with pytest.raises(AssertionError, match="dL/d"):
        bptt.gradcheck(rnn, np.ones((6, 2)), np.zeros((6, 3)))
