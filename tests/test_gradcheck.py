"""`gradcheck`: it finds a wrong gradient, and tells whose it is. Of the right ones test_results.py makes sure."""

from __future__ import annotations

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


def test_what_is_another_networks_is_refused() -> None:
    x, y = np.zeros((4, 3)), np.zeros(4, int)
    for rnn, argument, value in [
        (ElmanRNN(3, 5, 2), "r0", np.zeros(2)),
        (ElmanRNN(3, 5, 2), "teacher_forcing", 1.0),
        (JordanRNN(3, 5, 2), "h0", np.zeros(5)),
    ]:
        other: dict[str, Any] = {argument: value}
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{argument}'"):
            bptt.gradcheck(rnn, x, y, **other)
