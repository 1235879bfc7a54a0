"""Sizes that cannot be: more numbers than memory holds, or than can be counted. The error is clear, and all goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import ElmanRNN, JordanRNN
from interpreter import run_python

MOST = 2**31 - 1  # of any size


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory as Linux has them")
def test_calls_that_get_too_little_memory() -> None:
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("memory_limits.py"), "--quick", "--threads", "2"],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok: ") == 7


@pytest.mark.parametrize(
    "build",
    [
        lambda: ElmanRNN(3, MOST, 2),
        lambda: ElmanRNN(3, MOST, 2, init=None),
        lambda: ElmanRNN(MOST, MOST, MOST, dtype="float64"),
        lambda: ElmanRNN(MOST, (MOST,) * 8, MOST, bidirectional=True),  # 2**64 numbers and more
        lambda: JordanRNN(MOST, MOST, MOST),
    ],
)
def test_networks_that_no_memory_holds(build: Any) -> None:
    with pytest.raises(MemoryError, match=r"(?i)^unable to allocate"):
        build()


def longer(*shape: int) -> Any:
    """An array of any size that takes no memory."""
    return np.broadcast_to(np.float32(0), shape)


@pytest.mark.parametrize(
    "call",
    [
        lambda rnn: rnn.forward(longer(2**40, 1, 1)),  # no address space holds h
        lambda rnn: rnn.forward(longer(2**60, 1)),  # h has more numbers than can be counted
        lambda rnn: rnn.forward(longer(1, 2**60, 1)),
        lambda rnn: rnn.forward([longer(2**60, 1)] * 8),
        lambda rnn: rnn.loss(longer(1, 2**60, 1), longer(1, 2**60, 1)),
        lambda rnn: rnn.loss_and_gradients(longer(1, 2**60, 1), longer(1, 2**60, 1)),
        lambda rnn: rnn.loss_and_gradients(longer(2**60, 1), longer(2**60, 1), wrt_x=True),
        lambda rnn: rnn.loss(longer(2**60, 1), longer(2**60, 1)),
        lambda rnn: rnn.loss_and_gradients(longer(2**60, 1), longer(2**60, 1)),
        lambda rnn: rnn.loss_and_gradients(longer(2**60, 1), longer(2**60, 1), memory_limit=0),
        lambda rnn: rnn.generate(MOST, h0=longer(2**40, 256)),
    ],
)
def test_sequences_that_no_memory_holds(call: Any) -> None:
    rnn = ElmanRNN(1, 256, 1, output="linear", seed=0, init="uniform")
    x = np.ones((3, 2, 1), np.float32)
    before = rnn.loss_and_gradients(x, x)[1].W
    with pytest.raises(MemoryError):
        call(rnn)
    np.testing.assert_array_equal(rnn.loss_and_gradients(x, x)[1].W, before)


WITHOUT_THREADS = """
import os
import resource

import numpy as np

import bptt

rnn = bptt.ElmanRNN(64, 128, 64, seed=0)
x, y = np.ones((20, 40, 64), np.float32), np.zeros((20, 40), int)
bptt.set_num_threads(1)
alone = rnn.loss_and_gradients(x, y)[1].W
os.setuid(65534)  # the limit does not hold for root
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
bptt.set_num_threads(4)
print(np.array_equal(rnn.loss_and_gradients(x, y)[1].W, alone), len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of threads as Linux has it")
def test_where_no_thread_can_be_created_one_does_the_work() -> None:
    code = WITHOUT_THREADS if os.getuid() == 0 else WITHOUT_THREADS.replace("os.setuid(65534)", "pass")
    done = run_python(code, OPENBLAS_NUM_THREADS="1")
    assert (done.returncode, done.stdout) == (0, "True 1\n"), done.stderr
