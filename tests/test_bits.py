"""Neither threads nor a limit of memory change a bit of any result."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import ElmanRNN, JordanRNN
from cases import FEEDBACKS, INPUTS, NETWORKS, Options, cycled, each, make
from core import DTYPES, ISAS
from laws import all_states, check_memory_limit, check_threads, least_memory
from problems import Case, problem
from results import same_bits

# ---- Threads. Those of plain Elman networks are in test_threads.py ----

# Large enough for 8 threads: a window's products are millions of operations.
LARGE = {
    "batch": ((32, 96, 40), (20,) * 33),
    "ragged": ((50, 96, 40), tuple(range(1, 45))),
    # Threads share the columns of each step
    "one row": ((20, 170, 120), (150,)),
    "few rows": ((9, 200, 130), (50, 110, 40)),
    # Layers side by side, where there are fewer rows than threads and many steps
    "side by side": ((20, 60, 30), (100, 90)),
    # Matrices larger than L2
    "large": ((400, 370, 400), (6,) * 9),
}
OF_THREADS: list[Options] = [
    {"readout": "last"},
    {"feedback": "y_hat", "teacher_forcing": 1.0},
    {"feedback": "o", "teacher_forcing": 0.0},
    {"feedback": "y_hat", "teacher_forcing": 0.4},
    {"upper": (90,), "activation": "relu"},
    {"bidirectional": True},
    {"upper": (70,), "leak": "mixed"},
    {"upper": (70, 50), "bidirectional": True, "readout": "last"},
]


@pytest.mark.slow
@cycled(sizes=[*LARGE], options=OF_THREADS, input=INPUTS, reset=[False, True], dtype=DTYPES, isa=ISAS)
@pytest.mark.usefixtures("threads")
def test_every_number_of_threads_gives_the_same_bits(
    sizes: str, options: Options, input: str, reset: bool, dtype: str, isa: str
) -> None:
    shape, lengths = LARGE[sizes]
    check_threads(problem(make(*shape, lengths, input=input, reset=reset, **options)), dtype)


# ---- Memory ----

LENGTHS = [(4,), (3000,), (300,) * 9, (40,) * 64, tuple(range(1, 90)), (2000, 3, 500, 1)]
HOLDING: list[Options] = [options for options in NETWORKS if options.get("teacher_forcing") != 1.0]


@pytest.mark.parametrize("lengths", LENGTHS, ids=len)
@each(HOLDING)
@cycled(input=INPUTS, reset=[False, True], dtype=DTYPES)
def test_a_memory_limit_changes_no_bit(
    input: str, reset: bool, options: Options, lengths: tuple[int, ...], dtype: str
) -> None:
    p = problem(make(3, 5, 2, lengths, input=input, reset=reset, **options))
    least, everything_kept = least_memory(p.network(dtype), p.arguments()), all_states(p, dtype)
    if p.case.simple:
        assert least <= everything_kept
        if len(lengths) == 1:  # windows of 400 rows: of n, about 2 sqrt(n) kept states and one window's
            assert least <= (3 * math.sqrt(lengths[0]) + 402) * 5 * np.dtype(dtype).itemsize
    middle = (least + everything_kept) // 2
    limits = [least, least + 40, middle, everything_kept - 1, everything_kept, 10**12]
    check_memory_limit(p, dtype, [max(limit, least) for limit in limits])


@cycled(upper=[(35,), (40, 50)], input=INPUTS, reset=[False, True], dtype=DTYPES)
def test_a_memory_limit_changes_no_bit_of_layers_side_by_side(
    upper: tuple[int, ...], input: str, reset: bool, dtype: str
) -> None:
    p = problem(make(3, 33, 2, (900,), upper=upper, input=input, reset=reset))
    least = least_memory(p.network(dtype), p.arguments())
    check_memory_limit(p, dtype, [least, (least + all_states(p, dtype)) // 2])


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_forced_steps_need_no_memory(feedback: Any, dtype: str) -> None:
    p = problem(Case(3, 5, 2, (3000,), feedback=feedback))
    check_memory_limit(p, dtype, [0, 1, 10**12])


def test_any_memory_limit_is_taken() -> None:
    rnn = ElmanRNN(3, 5, 2, seed=0)
    x, y = np.ones((4, 3)), np.zeros(4, int)
    assert same_bits(rnn.loss_and_gradients(x, y, memory_limit=10**30)[0], rnn.loss(x, y))
    with pytest.raises(ValueError, match=r"^memory_limit: expected at least \d+ bytes for these sequences, got 0$"):
        rnn.loss_and_gradients(x, y, memory_limit=0)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("kind", [ElmanRNN, JordanRNN])
def test_work_that_is_done_in_parts_has_the_bits_of_the_whole(kind: Any) -> None:
    """Between parts a call may be stopped. With eight threads a part is eight times as large: here it is the whole."""
    random = np.random.default_rng(0)
    x, y = random.standard_normal((40, 5, 20)).astype(np.float32), random.integers(0, 900, (40, 5))
    rnn = kind(20, 1000, 900, init="uniform", seed=0)  # 200 steps of 2e6 multiply-adds, and more in the products
    forcing = {"teacher_forcing": 0.5, "seed": 0} if kind is JordanRNN else {}
    results = []
    for n in (8, 1):
        bptt.set_num_threads(n)
        loss, gradients = rnn.loss_and_gradients(x, y, **forcing)
        results.append({"loss": loss, "flat": gradients.flat, "o": rnn.forward(x).o})
    assert same_bits(*results)
