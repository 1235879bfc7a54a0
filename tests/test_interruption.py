"""Calls that end before their work is done: by a signal, by `bptt.interrupt`, by the end of the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import ElmanRNN, JordanRNN
from interpreter import run_python

TAU = 3_000_000
LONG = 5.0  # s: each call below takes several times as long to its end, and is to end in a small part of it
X, Y = np.zeros((TAU, 3), np.float32), np.zeros(TAU, int)
ELMAN = ElmanRNN(3, 192, 5, seed=0)
TWO = ElmanRNN(3, 192, 5, bidirectional=True, seed=0)
LAYERS = ElmanRNN(3, (96, 160), 5, seed=0)
JORDAN = JordanRNN(3, 192, 5, seed=0)
TOKENS = ElmanRNN(5, 96, 5, input="token", seed=0)
WIDE = ElmanRNN(3, 3000, 5, init="identity", seed=0)  # one window takes a second

needs_timer = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
READER = ElmanRNN(5, 3000, 5, input="token", init="uniform", seed=0)  # a step of 5000 sequences takes half a second


def repeated(call: Callable[[], Any]) -> Callable[[], None]:
    def calls() -> None:
        for _ in range(10_000):
            call()

    return calls


CALLS: dict[str, Callable[[], Any]] = {
    "forward": repeated(lambda: ELMAN.forward(X)),
    "loss": repeated(lambda: ELMAN.loss(X, Y)),
    "loss_and_gradients": lambda: ELMAN.loss_and_gradients(X, Y),
    "with a memory limit": lambda: ELMAN.loss_and_gradients(X, Y, memory_limit=30_000_000),
    "two directions": lambda: TWO.loss_and_gradients(X, Y),
    "two directions, forward": repeated(lambda: TWO.forward(X)),
    "layers": lambda: LAYERS.loss_and_gradients(X, Y),
    "teacher forcing": repeated(lambda: JORDAN.loss_and_gradients(X, Y)),
    "free": lambda: JORDAN.loss_and_gradients(X, Y, teacher_forcing=0),
    "free, forward": repeated(lambda: JORDAN.forward(X)),
    "log_prob": repeated(lambda: ELMAN.log_prob(X, Y)),
    "generate": lambda: TOKENS.generate(20_000_000, prompt=np.array([1, 2])),
    "generate: many sequences of many units": lambda: READER.generate(1000, h0=np.zeros((5000, 3000), np.float32)),
    "generate in parts": lambda: [None for _ in TOKENS.generate_in_parts(20_000_000, 1000)],
    "beam search": lambda: TOKENS.generate(1_000_000, beam=30),
    "one window": repeated(lambda: WIDE.loss_and_gradients(X[:400], Y[:400])),
}


class Stop(Exception):
    """What the handler of the alarm raises."""


def ended_early(call: Callable[[], Any], error: type[BaseException]) -> None:
    """The call ends with the error long before its work is done."""
    begin = time.perf_counter()
    with pytest.raises(error):
        call()
    assert time.perf_counter() - begin < LONG


@pytest.fixture(autouse=True)
def as_before(threads: None) -> Any:
    """Every test: the next call has the bits that it had before the test."""
    bptt.set_num_threads(2)

    def results() -> list[Any]:
        return [ELMAN.loss_and_gradients(X[:50], Y[:50])[1].flat, TOKENS.generate(30, prompt=np.array([1]), seed=0)]

    before = results()
    yield
    for one, other in zip(results(), before, strict=True):
        np.testing.assert_array_equal(one, other)


@needs_timer
@pytest.mark.parametrize("name", CALLS)
def test_a_signal_is_heard_inside_a_call(name: str) -> None:
    def stop(*_: object) -> None:
        raise Stop

    old = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        ended_early(CALLS[name], Stop)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


@needs_timer
@pytest.mark.parametrize("name", [name for name in CALLS if name.startswith(("generate", "beam"))])
def test_generating_ends_within_a_fifth_of_a_second(name: str) -> None:
    """Of the signal: the shortest of some times, as the machine may be busy."""

    def stop(*_: object) -> None:
        raise Stop

    old = signal.signal(signal.SIGALRM, stop)
    try:
        took: list[float] = []
        while len(took) < 5 and min(took, default=1.0) > 0.2:
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            signalled = time.perf_counter() + 0.3
            with pytest.raises(Stop):
                CALLS[name]()
            took.append(time.perf_counter() - signalled)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert min(took) < 0.2


@pytest.mark.parametrize("name", CALLS)
def test_another_thread_interrupts_calls(name: str) -> None:
    timer = threading.Timer(0.3, bptt.interrupt)
    timer.start()
    ended_early(CALLS[name], KeyboardInterrupt)
    timer.join()


def test_interrupt_ends_the_calls_under_way_in_all_threads_and_no_later_ones() -> None:
    bptt.interrupt()
    assert ELMAN.loss(X[:10], Y[:10]) > 0
    with ThreadPoolExecutor(3) as executor:
        begin = time.perf_counter()
        futures = [executor.submit(ELMAN.loss_and_gradients, X, Y) for _ in range(3)]
        while not all(future.running() for future in futures):
            time.sleep(0.01)
        time.sleep(0.3)
        bptt.interrupt()
        for future in futures:
            assert isinstance(future.exception(), KeyboardInterrupt)
        assert time.perf_counter() - begin < LONG


@needs_timer
def test_a_handler_that_returns_changes_nothing() -> None:
    """It may even call the core, and denormal numbers are there for it."""
    x, y = X[:60_000], np.arange(60_000) % 5
    expected = ELMAN.loss_and_gradients(x, y)
    seen = []

    def handle(*_: object) -> None:
        small = np.float64(1e-310) * np.float64(1)
        seen.append((small > 0, ELMAN.loss(x[:100], y[:100])))

    old = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        loss, gradients = ELMAN.loss_and_gradients(x, y)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert set(seen) == {(True, ELMAN.loss(x[:100], y[:100]))}
    assert loss == expected[0]
    np.testing.assert_array_equal(gradients.flat, expected[1].flat)


def test_an_interrupted_update_leaves_no_trace() -> None:
    rnn = JordanRNN(3, 192, 5, seed=1)
    before = rnn.parameters.copy()

    def forcing(update: int) -> float:  # asked just before the update
        threading.Timer(0.3, bptt.interrupt).start()
        return 0.5

    begin = time.perf_counter()
    history = rnn.fit(X, Y, optimizer=bptt.SGD(0.1), epochs=5, teacher_forcing=forcing, progress=False)
    assert time.perf_counter() - begin < LONG
    assert history.stopped == "interrupted"
    assert len(history.loss) == len(history.updates) == 0
    np.testing.assert_array_equal(rnn.parameters, before)


def test_interrupted_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x, y = random.standard_normal((10, 16, 3)), random.integers(0, 5, (10, 16))

    def train(stop_after: Sequence[int] = (), **options: Any) -> tuple[bptt.History, Any]:
        def stop(history: bptt.History) -> None:
            if len(history.loss) in stop_after:
                bptt.interrupt()

        rnn = ElmanRNN(3, 20, 5, seed=1)
        history = rnn.fit(
            x, y, optimizer=bptt.Adam(), epochs=9, batch_size=8, seed=0, progress=False, callbacks=[stop], **options
        )
        return history, rnn.parameters

    _, expected = train()
    for epochs in (2, 3, 7):
        history, _ = train([epochs], checkpoint=tmp_path / "c", resume=True)
        assert (history.stopped, len(history.loss), len(history.updates)) == ("interrupted", epochs, 2 * epochs)
    history, parameters = train(checkpoint=tmp_path / "c", resume=True)
    assert history.stopped == "epochs"
    np.testing.assert_array_equal(parameters, expected)


CTRL_C = """
import numpy as np, bptt
rnn = bptt.ElmanRNN(3, 192, 5, seed=0)
print("ready", flush=True)
rnn.loss_and_gradients(np.zeros((3_000_000, 3), np.float32), np.zeros(3_000_000, int))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_ctrl_c_ends_a_script() -> None:
    command = [sys.executable, "-c", CTRL_C]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    begin = time.perf_counter()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert time.perf_counter() - begin < LONG
    assert process.returncode == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"


DAEMONS = """
import copy, sys, threading, time
import numpy as np, bptt
rnn, tokens = bptt.ElmanRNN(16, 96, 5, seed=0), bptt.ElmanRNN(5, 8, 5, input="token", seed=0)
x, y = np.zeros((50, 32, 16), np.float32), np.zeros((50, 32), int)
optimizer = bptt.Adam()
calls = {
    "forward": lambda: rnn.forward(x[:20, :1]),
    "gradients": lambda: rnn.loss_and_gradients(x, y),
    "update": lambda: optimizer.step(rnn, rnn.loss_and_gradients(x[:3], y[:3])[1]),
    "generate": lambda: tokens.generate(50, prompt=np.array([1])),
    "fit": lambda: copy.deepcopy(rnn).fit(x, y, optimizer=bptt.Adam(), epochs=1, progress=False),
}
def loop(call):
    while True:
        call()
for _ in range(3):
    threading.Thread(target=loop, args=(calls[sys.argv[1]],), daemon=True).start()
time.sleep(0.2)
sys.exit(7)
"""


@pytest.mark.parametrize("name", ["forward", "gradients", "update", "generate", "fit"])
def test_daemon_threads_end_with_their_process(name: str) -> None:
    """Quietly, with the exit code of the main thread, however busy they are."""
    for _ in range(3):
        done = run_python(DAEMONS, arguments=[name], BPTT_NUM_THREADS="2")
        assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
