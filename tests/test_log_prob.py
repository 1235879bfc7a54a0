"""`log_prob` is minus the loss of every step: of each kind of network, in every form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bptt import ElmanRNN, JordanRNN, reference
from cases import FEEDBACKS, FORCING, OUTPUTS, cycled
from core import DTYPES, ISAS
from problems import Array, Case, Form, problem

KINDS: list[dict[str, Any]] = [
    {},
    {"readout": "last"},
    {"n_hidden": (7, 5)},
    {"bidirectional": True},
    {"bidirectional": True, "readout": "last", "n_hidden": (7, 5)},
    *({"feedback": feedback, "teacher_forcing": p} for feedback in FEEDBACKS for p in FORCING),
]
FORMS: list[tuple[Form, tuple[int, ...]]] = [
    ("single", (7,)),
    ("single", (500,)),
    ("batch", (6,) * 4),
    ("padded", (5, 2, 9, 1)),
    ("list", (5, 2, 9, 1)),
    ("list", (130, 200, 130, 90)),  # in several windows
]


@cycled(kind=KINDS, form=FORMS, output=OUTPUTS, input=["real", "token"], reset=[False, True], dtype=DTYPES, isa=ISAS)
def test_the_weighted_sum_is_minus_the_loss(
    kind: dict[str, Any], form: Any, output: Any, input: Any, reset: bool, dtype: str, isa: str
) -> None:
    options = {"n_hidden": 6, **kind}
    name, lengths = form
    case = Case(4, n_out=5, lengths=lengths, input=input, output=output, reset=reset, **options)
    p = problem(case)
    rnn, arguments = p.network(dtype), p.arguments(name)
    weight = arguments.pop("weight")
    arguments["y"] = readable(arguments["y"], output)
    if output == "softmax":  # where there is no target, log_prob is 0
        for y in arguments["y"] if isinstance(arguments["y"], list) else [arguments["y"]]:
            y.reshape(-1)[::5] = -1
    found = rnn.log_prob(**arguments)
    last = case.readout == "last"
    single_last = last and name == "single"
    parts = found if isinstance(found, list) else [found]
    assert all(part.dtype == np.float64 for part in parts)
    if not last:
        x = arguments["x"]
        shapes = [one.shape[: 2 if name in ("batch", "padded") else 1] for one in (x if name == "list" else [x])]
        assert [part.shape for part in parts] == shapes
    else:
        assert parts[0].shape == (() if single_last else (len(lengths),))
    if case.feedback is None or case.teacher_forcing in (0.0, 1.0):
        # A target of weight 0 is not fed; and a padded step is none
        weighted = [np.asarray(w, np.float64) for w in (weight if isinstance(weight, list) else [weight])]
        ones = [np.where(w > 0, w, 1.0) for w in weighted]
        given = [one.astype(dtype) for one in ones]
        loss = rnn.loss(**arguments, weight=given if isinstance(weight, list) else given[0])
        total = sum(float((w * part).sum()) for w, part in zip(ones, parts, strict=True))
        assert total == pytest.approx(-loss, rel=1e-12)
    loss = rnn.loss(**arguments)
    assert math.fsum(float(np.sum(part)) for part in parts) == pytest.approx(-loss, rel=1e-12)
    if name == "padded" and not last:
        for i, length in enumerate(lengths):
            assert not found[length:, i].any()
    if output == "softmax":
        y = arguments["y"]
        for part, targets in zip(parts, y if isinstance(y, list) else [y], strict=True):
            none = np.asarray(part)[np.asarray(targets) == -1]
            assert (none == 0).all()
            assert not np.signbit(none).any()


def readable(y: Any, output: str) -> Any:
    """A copy of the targets, in range where some were not to be read."""
    if isinstance(y, list):
        return [readable(one, output) for one in y]
    if output == "softmax":
        return np.where(y >= 5, 0, y)
    finite = np.nan_to_num(y, nan=0.5, posinf=0.5, neginf=0.5)
    return finite.clip(0, 1) if output == "sigmoid" else finite


@pytest.mark.parametrize("output", OUTPUTS)
def test_each_step_is_minus_the_loss_of_the_reference(output: Any, dtype: str) -> None:
    rnn = ElmanRNN(3, 5, 4, output=output, dtype=dtype, seed=0)
    random = np.random.default_rng(0)
    x = random.standard_normal((8, 3)).astype(dtype)
    y: Array = random.integers(0, 4, 8) if output == "softmax" else random.uniform(0, 1, (8, 4)).astype(dtype)
    o = rnn.forward(x).o.astype(np.float64).tolist()
    step_loss: Any = getattr(reference, f"{output}_loss")
    expected = [-step_loss(o_t, y_t) for o_t, y_t in zip(o, y.tolist(), strict=True)]
    assert rnn.log_prob(x, y) == pytest.approx(expected, rel=32 * float(np.finfo(dtype).eps))


def test_of_a_categorical_a_bernoulli_and_a_gaussian_distribution() -> None:
    o = np.array([0.3, -1.2, 1.1])
    for output in OUTPUTS:
        rnn = ElmanRNN(0, 1, 3, output=output, init=None, dtype="float64")
        rnn.c = o
        x = np.zeros((2, 0))
        if output == "softmax":
            expected = np.log(np.exp(o[[1, 2]]) / np.exp(o).sum())
            found = rnn.log_prob(x, [1, 2])
        else:
            y = np.array([[1.0, 0, 0], [0, 1, 1]])
            p = 1 / (1 + np.exp(-o))
            if output == "sigmoid":
                expected = np.log(np.where(y == 1, p, 1 - p)).sum(1)
            else:  # up to the constant
                density = np.exp(-((y - o) ** 2) / 2) / np.sqrt(2 * np.pi)
                expected = np.log(density).sum(1) + 3 * np.log(2 * np.pi) / 2
            found = rnn.log_prob(x, y)
        assert found == pytest.approx(expected, rel=1e-13)


def test_no_logarithm_of_0() -> None:
    rnn = ElmanRNN(0, 1, 3, init=None)
    rnn.c = [0, -1e30, 1000]
    assert rnn.log_prob(np.zeros((3, 0)), [0, 1, 2]).tolist() == pytest.approx([-1000, -1e30, 0], rel=1e-6)


def test_a_forced_sequence_has_the_probability_of_its_steps() -> None:
    rnn = JordanRNN(2, 6, 3, seed=0, dtype="float64")
    x = np.random.default_rng(0).standard_normal((4, 2))
    total = 0.0
    for k in range(81):
        y = np.array([k // 27, k // 9 % 3, k // 3 % 3, k % 3])
        total += math.exp(rnn.log_prob(x, y).sum())
    assert total == pytest.approx(1, rel=1e-12)
    drawn = [rnn.log_prob(x, y, teacher_forcing=0.5, seed=seed).tolist() for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_errors_are_those_of_the_loss() -> None:
    rnn = ElmanRNN(3, 5, 4)
    with pytest.raises(
        ValueError, match=r"^y: expected classes in \[0, 4\), or -1 for none, got 4 at step 1 of sequence 0$"
    ):
        rnn.log_prob(np.zeros((2, 3)), [0, 4])
    with pytest.raises(ValueError, match=r"^x: expected"):
        rnn.log_prob(np.zeros((2, 4)), [0, 3])
    with pytest.raises(ValueError, match=r"^teacher_forcing: expected a number from 0 to 1, got 2$"):
        JordanRNN(0, 5, 4).log_prob(np.zeros((2, 0)), [0, 3], teacher_forcing=2)
