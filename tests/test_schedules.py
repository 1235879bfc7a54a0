"""Learning-rate schedules: beside their formulas, and PyTorch's where it is installed."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest

from bptt import schedules
from bptt.schedules import Constant, Cosine, InverseSigmoid, Linear, Step, Warmup

SCHEDULES = [
    Constant(),
    Step(3),
    Step(1, gamma=0.9),
    Cosine(10),
    Cosine(7, final=0.2),
    Warmup(4),
    Warmup(0, Step(5)),
    Warmup(3, Cosine(10, final=0.1)),
    Linear(10),
    Linear(5, start=0.2, end=0.9),
    InverseSigmoid(5.0),
]


def test_values() -> None:
    assert [Constant()(i) for i in (0, 10**9)] == [1, 1]
    assert [Step(2, 0.5)(i) for i in range(7)] == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]
    assert [Cosine(4, 0.2)(i) for i in (0, 2, 4, 5, 10**9)] == pytest.approx([1, 0.6, 0.2, 0.2, 0.2], rel=1e-15)
    assert Cosine(4)(1) == pytest.approx((1 + math.sqrt(0.5)) / 2, rel=1e-15)
    assert [Warmup(4)(i) for i in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert [Warmup(2, Step(2, 0.5))(i) for i in range(7)] == [0.5, 1, 1, 1, 0.5, 0.5, 0.25]
    assert [Linear(4)(i) for i in (0, 1, 3, 4, 10**9)] == [1, 0.75, 0.25, 0, 0]
    assert [Linear(2, 0.5, 1.0)(i) for i in range(4)] == [0.5, 0.75, 1, 1]
    assert [InverseSigmoid(3)(i) for i in (0, 6)] == pytest.approx([3 / 4, 3 / (3 + math.e**2)], rel=1e-15)
    assert InverseSigmoid(2)(2 * math.log(2)) == pytest.approx(0.5, rel=1e-15)  # type: ignore[arg-type]
    assert InverseSigmoid(1)(10**9) < 1e-300
    assert [Warmup(2, lambda i: 0.4 / (i + 1))(i) for i in range(4)] == [0.2, 0.4, 0.4, 0.2]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_can_be_pickled_printed_and_compared(schedule: Any) -> None:
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert eval(repr(schedule), vars(schedules).copy()) == schedule
    assert all(0 <= schedule(i) <= 1 for i in range(40))


@pytest.mark.torch
def test_equal_to_pytorch() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.optim.lr_scheduler
    pairs: list[tuple[Any, Any]] = [
        (Step(7, 0.5), lambda o: theirs.StepLR(o, 7, 0.5)),
        (Cosine(50, final=0.1), lambda o: theirs.CosineAnnealingLR(o, 50, eta_min=0.01)),
        (Warmup(20), lambda o: theirs.LinearLR(o, 1 / 20, total_iters=19)),
    ]
    for schedule, make in pairs:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        scheduler = make(optimizer)
        for i in range(50):
            assert 0.1 * schedule(i) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
            optimizer.step()
            scheduler.step()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Step(0), ValueError, "^every: expected at least 1, got 0$"),
        (lambda: Step(2, 0.0), ValueError, r"^gamma: expected a number in \(0, 1\], got 0.0$"),
        (lambda: Cosine(2.0), TypeError, "^updates: expected an int, got float$"),  # type: ignore[arg-type]
        (lambda: Cosine(2, 1.5), ValueError, r"^final: expected a number in \[0, 1\], got 1.5$"),
        (lambda: Linear(0), ValueError, "^updates: expected at least 1, got 0$"),
        (lambda: Linear(3, end=-0.1), ValueError, r"^end: expected a number in \[0, inf\), got -0.1$"),
        (lambda: InverseSigmoid(0.5), ValueError, r"^k: expected a number in \[1, inf\), got 0.5$"),
        (lambda: Warmup(-1), ValueError, "^updates: expected at least 0, got -1$"),
        (lambda: Warmup(2, 0.5), TypeError, "^then: expected a schedule, got float$"),  # type: ignore[arg-type]
    ],
)
def test_bad_options(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_numbers_of_numpy_do_not_overflow() -> None:
    """They did: a warm-up of np.int16(100) updates ended training at update 32868."""
    for made in (
        Warmup(np.int16(100)),
        Step(np.int8(3), np.float32(0.5)),
        Linear(np.int16(5)),
        InverseSigmoid(np.float32(9)),
    ):
        assert all(0 <= made(i) < math.inf for i in (0, 1, 10**6))
        assert made == eval(repr(made))
    assert repr(Linear(3, start=1)) == "Linear(updates=3, start=1, end=0.0)", "checkpoints know schedules by their text"
