"""Threads, concurrent callers, forked processes: they change no bit. And how many threads a call uses."""

from __future__ import annotations

import os
import signal
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from core import DTYPES
from interpreter import run_python
from problems import Case, problem
from results import everything, same_bits

# Large enough for 8 threads: a window's products are millions of operations.
LARGE = [
    Case(32, 96, 40, (20,) * 33),
    Case(32, 96, 40, (230,) * 3, "real", "linear"),
    Case(50, 96, 40, tuple(range(1, 45)), "token", "sigmoid"),
    Case(32, 96, 40, tuple(range(1, 45)), "real", "softmax", "last"),
    # Threads share the columns of each step
    Case(20, 170, 12, (350,)),
    Case(9, 200, 30, (90, 200, 70), "token", "linear"),
    Case(9, 200, 30, (90, 200, 70), "real", "softmax", "last"),
    # Matrices larger than near memory
    Case(400, 370, 400, (6,) * 9),
]


@pytest.mark.parametrize("case", LARGE, ids=str)
@pytest.mark.usefixtures("threads")
def test_every_number_of_threads_gives_the_same_bits(case: Case, dtype: str, isa: str) -> None:
    p = problem(case)
    rnn = p.network(dtype)
    arguments = p.arguments()
    bptt.set_num_threads(1)
    expected = everything(rnn, arguments)
    for n in (2, 3, 8):
        bptt.set_num_threads(n)
        assert same_bits(everything(rnn, arguments), expected), n
        for _ in range(8):  # two threads that write the same place meet there now and then only
            loss, gradients = rnn.loss_and_gradients(**arguments)
            assert same_bits(loss, expected["loss"]), n
            for letter in "UWbVc":
                assert same_bits(getattr(gradients, letter), expected[letter]), (n, letter)


@pytest.mark.usefixtures("threads")
def test_calls_at_the_same_time_give_the_same_bits() -> None:
    bptt.set_num_threads(2)
    jobs = [(problem(case), dtype) for case in LARGE for dtype in DTYPES]
    jobs += [(problem(Case(3, 9, 4, (5,) * 6)), dtype) for dtype in DTYPES] * 4
    networks = [p.network(dtype) for p, dtype in jobs]

    def work(i: int) -> dict[str, Any]:
        return everything(networks[i], jobs[i][0].arguments())

    one_by_one = [work(i) for i in range(len(jobs))]
    with ThreadPoolExecutor(4) as executor:
        for i, results in enumerate(executor.map(work, [*range(len(jobs))] * 3)):
            assert same_bits(results, one_by_one[i % len(jobs)])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.usefixtures("threads")
def test_a_forked_child_computes_the_same_bits() -> None:
    bptt.set_num_threads(3)
    p = problem(LARGE[0])
    rnn = p.network("float32")
    expected = everything(rnn, p.arguments())  # the threads of the parent exist now; the child has none of them
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that a fork of several threads may hang: it must not
        child = os.fork()
    if child == 0:
        try:
            os._exit(0 if same_bits(everything(rnn, p.arguments()), expected) else 1)
        finally:
            os._exit(2)
    for _ in range(3000):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.01)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.fail("the child hangs")
    assert os.waitstatus_to_exitcode(status) == 0
    assert same_bits(everything(rnn, p.arguments()), expected), "the parent goes on"


def test_denormals_are_as_before_after_a_call(dtype: str) -> None:
    def kept() -> bool:
        small = np.float32(1e-40) * np.float32(1), np.float64(1e-310) * np.float64(1)
        return all(value > 0 for value in small)

    assert kept()
    p = problem(Case(4, 11, 5, (3, 6, 1)))
    rnn = p.network(dtype)
    run = rnn.forward(**p.inputs())
    assert kept()
    assert np.isfinite(run.y_hat).all()
    assert kept()
    rnn.loss(**p.arguments())
    assert kept()
    rnn.loss_and_gradients(**p.arguments())
    assert kept()
    with pytest.raises(ValueError, match="y: expected classes"):
        rnn.loss_and_gradients(np.zeros((1, 4)), [9])
    assert kept()


# ---- How many threads ----


@pytest.mark.usefixtures("threads")
def test_number_of_threads() -> None:
    for n in (1, 3, 1024):
        bptt.set_num_threads(n)
        assert bptt.get_num_threads() == bptt.config()["threads"] == n
    for bad, bound in ((0, "at least 1"), (-1, "at least 1"), (1025, "at most 1024")):
        with pytest.raises(ValueError, match=f"^n: expected {bound}, got {bad}$"):
            bptt.set_num_threads(bad)
    for wrong in (2.0, "2", None, True):
        with pytest.raises(TypeError, match=f"^n: expected an int, got {type(wrong).__name__}$"):
            bptt.set_num_threads(wrong)  # type: ignore[arg-type]
    assert bptt.get_num_threads() == 1024, "as before the errors"


COUNT_THREADS = """
import os
import numpy as np
import bptt

def count():
    return len(os.listdir("/proc/self/task"))

small, large = bptt.ElmanRNN(3, 8, 2), bptt.ElmanRNN(64, 128, 64)
before = count()
small.loss_and_gradients(np.zeros((20, 2, 3)), np.zeros((20, 2), int))
between = count()
large.loss_and_gradients(np.zeros((20, 40, 64)), np.zeros((20, 40), int))
print(between - before, count() - between)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system does not list a process's threads")
def test_large_calls_use_threads_and_small_ones_do_not() -> None:
    for n in (1, 2, 4):
        done = run_python(COUNT_THREADS, BPTT_NUM_THREADS=str(n))
        assert done.stdout.split() == ["0", str(n - 1)], done
