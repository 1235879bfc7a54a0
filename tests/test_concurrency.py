"""Many threads and many processes at once: each computes the bits that it computes alone, and all of them end.

`BPTT_LONG=1` repeats the tests as often as `docs/reliability.md` says.
"""

from __future__ import annotations

import copy
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import bptt
from core import DTYPES, ISAS, instruction_set
from interpreter import run_python
from problems import Case, Problem, problem
from results import everything, same_bits

LONG = bool(os.environ.get("BPTT_LONG"))
CALLERS = 8
ROUNDS = 20 if LONG else 1  # of all problems, in each of the threads
FORKS = 500 if LONG else 10
EXITS = 20 if LONG else 1

LARGE = Case(32, 96, 40, (20,) * 33)  # enough for all threads
CASES = [
    Case(5, 7, 5, (9, 4, 1)),
    Case(6, 11, 6, (12,) * 3, "token"),
    Case(4, (9, 6), 4, (7, 5), "real", "linear"),
    Case(3, (8, 5), 2, (6, 3), "real", "sigmoid", bidirectional=True),
    Case(6, 10, 5, (8, 8), "token", feedback="y_hat", teacher_forcing=0.5),
    Case(3, 9, 4, (10, 2), "real", "linear", feedback="o", activation="relu"),
    LARGE,
    Case(20, 170, 20, (150,)),  # threads share the columns of each step
]
PROBLEMS = [(problem(case), dtype) for case in CASES for dtype in DTYPES]


def everything_and_more(rnn: Any, p: Problem) -> dict[str, Any]:
    """All that a network computes, what it draws, and what a copy of it becomes by training: five calls."""
    case, arguments = p.case, p.arguments()
    found = everything(rnn, arguments)
    if case.feedback is not None:
        found["drawn"] = rnn.generate(len(p.x[0]), x=p.x[0], seed=3)
    elif case.n_in == case.n_out and not case.bidirectional:
        found["drawn"] = rnn.generate(10, seed=3)
    else:
        found["alone"] = rnn.forward(p.x[0]).y_hat
    trainee = copy.deepcopy(rnn)
    x, y = list(p.x), list(p.y)
    history = trainee.fit(
        x, y, weight=p.weight, optimizer=bptt.Adam(0.01), epochs=1, batch_size=20, seed=1, progress=False
    )
    return found | {"history": history.loss, "trained": trainee.parameters}


@contextmanager
def often_switched() -> Iterator[None]:
    """Python's threads take turns a hundred times as often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def at_once(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each returns, all of them begun together in threads of their own."""
    barrier = threading.Barrier(len(works))

    def begin(work: Callable[[], Any]) -> Any:
        barrier.wait()
        return work()

    with often_switched(), ThreadPoolExecutor(len(works)) as executor:
        return [*executor.map(begin, works)]


def alone(problems: Sequence[tuple[Problem, str]]) -> tuple[list[Any], list[dict[str, Any]]]:
    """The networks of these problems, and what each computes by itself with one thread."""
    networks = [p.network(dtype) for p, dtype in problems]
    before = bptt.get_num_threads()
    bptt.set_num_threads(1)
    results = [everything_and_more(rnn, p) for rnn, (p, _) in zip(networks, problems, strict=True)]
    bptt.set_num_threads(before)
    return networks, results


# ---- Threads ----


@pytest.mark.parametrize("shared", [True, False], ids=["one network for all", "a network for each"])
@pytest.mark.usefixtures("threads")
def test_many_callers_at_once(shared: bool) -> None:
    bptt.set_num_threads(2)
    networks, expected = alone(PROBLEMS)

    def caller(which: int) -> Callable[[], list[str]]:
        own = networks if shared else [copy.deepcopy(rnn) for rnn in networks]

        def work() -> list[str]:
            order = np.random.default_rng(which)
            return [
                str(PROBLEMS[k][0].case)
                for _ in range(ROUNDS)
                for k in order.permutation(len(PROBLEMS))
                if not same_bits(everything_and_more(own[k], PROBLEMS[k][0]), expected[k])
            ]

        return work

    assert at_once([caller(which) for which in range(CALLERS)]) == [[]] * CALLERS


@pytest.mark.usefixtures("threads")
def test_the_number_of_threads_and_the_instruction_set_change_during_calls() -> None:
    """Each call takes one set for the whole of it. The number of threads changes no bit."""
    p = problem(LARGE)
    rnn, stop = p.network("float32"), threading.Event()

    def results() -> list[Any]:
        loss, gradients = rnn.loss_and_gradients(**p.arguments())
        return [rnn.forward(**p.inputs()).o, rnn.loss(**p.arguments()), loss, gradients.flat]

    expected = []
    for name in ISAS:
        with instruction_set(name):
            expected.append(results())

    def change() -> None:
        for name, n in itertools.cycle(itertools.product(ISAS, (1, 2, 5))):
            with instruction_set(name):
                bptt.set_num_threads(n)
                if stop.wait(1e-4):
                    return

    def compute() -> list[int]:
        wrong = []
        for k in range(30 * ROUNDS):
            found = results()
            if not all(any(same_bits(one, e[i]) for e in expected) for i, one in enumerate(found)):
                wrong.append(k)
        return wrong

    changing = threading.Thread(target=change)
    changing.start()
    try:
        assert at_once([compute] * 3) == [[]] * 3
    finally:
        stop.set()
        changing.join()


@pytest.mark.usefixtures("threads")
def test_parameters_change_while_others_read_them() -> None:
    """Results are then of a mixture. Numbers that are all finite give finite ones, and the process lives."""
    bptt.set_num_threads(2)
    networks = [(p, p.network(dtype)) for p, dtype in PROBLEMS]
    stop = threading.Event()

    def change() -> None:
        random = np.random.default_rng(0)
        while not stop.is_set():
            for _, rnn in networks:
                rnn.parameters = random.uniform(-0.3, 0.3, rnn.parameters.size)
                rnn.V[...] *= 0.5

    def read() -> bool:
        finite = True
        for p, rnn in networks * (3 * ROUNDS):
            loss, gradients = rnn.loss_and_gradients(**p.arguments())
            finite &= bool(np.isfinite(loss)) and bool(np.isfinite(gradients.flat).all())
            finite &= bool(np.isfinite(rnn.forward(**p.inputs()).o if len(p.x) == 1 else loss).all())
        return finite

    changing = threading.Thread(target=change)
    changing.start()
    try:
        assert at_once([read] * 4) == [True] * 4
    finally:
        stop.set()
        changing.join()


SMALL_STACKS = """
import threading
import numpy as np
import bptt
from bptt import _core

random = np.random.default_rng(0)
failures = []

def network(kind, n_in, n_hidden, n_out, **options):
    rnn = kind(n_in, n_hidden, n_out, init=None, **options)
    rnn.parameters = random.uniform(-0.05, 0.05, rnn.parameters.size)
    return rnn

def calls(rnn, tau, batch):
    x = random.standard_normal((tau, batch, rnn.n_in)).astype(rnn.dtype)
    y = random.integers(0, rnn.n_out, (tau, batch))
    both, jordan = getattr(rnn, "bidirectional", False), isinstance(rnn, bptt.JordanRNN)
    rnn.forward([*x.swapaxes(0, 1)])
    rnn.loss(x, y)
    rnn.loss_and_gradients(x, y, wrt_x=True, memory_limit=None if both else 10**6)
    rnn.fit(x, y, optimizer=bptt.Adam(0.01), epochs=1, batch_size=20, validation=(x, y), patience=1, progress=False)
    if jordan:
        rnn.loss_and_gradients(x, y, teacher_forcing=0.5, seed=1)
        rnn.generate(tau, x=x, seed=1)
    elif not both and rnn.n_in == rnn.n_out:
        rnn.generate(20, seed=1, top_k=3)

def work(*arguments):
    try:
        calls(*arguments)
    except BaseException as error:
        failures.append(repr(error))

threading.stack_size(STACK)
for isa in _core.supported_isas():
    _core.set_isa(isa)
    for n in (1, 2):
        bptt.set_num_threads(n)
        for dtype in ("float32", "float64"):
            for kind, sizes, options, tau, batch in [
                (bptt.ElmanRNN, (5, 800, 5), {}, 3, 2),
                (bptt.ElmanRNN, (700, 30, 700), {}, 3, 40),
                (bptt.ElmanRNN, (9, (30,) * 12, 9), {}, 20, 3),
                (bptt.ElmanRNN, (9, (30, 20), 9), {"bidirectional": True}, 20, 3),
                (bptt.JordanRNN, (9, 60, 70), {}, 20, 3),
                (bptt.ElmanRNN, (32, 96, 40), {}, 20, 33),
                (bptt.ElmanRNN, (20, 170, 20), {}, 150, 1),
            ]:
                rnn = network(kind, *sizes, dtype=dtype, **options)
                thread = threading.Thread(target=work, args=(rnn, tau, batch))
                thread.start()
                thread.join()
print(failures)
"""


def test_small_stacks() -> None:
    """Every call fits into the smallest stack that systems give to threads by default (musl: 128 KiB)."""
    done = run_python(SMALL_STACKS.replace("STACK", str(128 * 1024)))
    assert (done.returncode, done.stdout) == (0, "[]\n"), done


# ---- Processes ----

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
forks_of_threads = pytest.mark.filterwarnings(
    "ignore:.*fork.*:DeprecationWarning"
)  # may hang, says Python: ours do not


@needs_fork
@forks_of_threads
@pytest.mark.usefixtures("threads")
def test_forks_while_two_threads_work() -> None:
    """A child has none of its parent's threads. It computes the same bits, in threads of its own too."""
    bptt.set_num_threads(2)
    some = PROBLEMS[::2]
    networks, expected = alone(some)
    stop = threading.Event()

    def right(k: int) -> bool:
        return same_bits(everything_and_more(networks[k], some[k][0]), expected[k])

    def work() -> bool:
        return all(right(k) for _ in iter(stop.is_set, True) for k in range(len(some)))

    def child() -> bool:
        signal.alarm(100)  # one that hangs ends so
        two = [lambda: right(0), lambda: right(CASES.index(LARGE))]
        return all(map(right, range(len(some)))) and all(at_once(two))

    with ThreadPoolExecutor(2) as executor:
        working = [executor.submit(work) for _ in range(2)]
        statuses = []
        try:
            for _ in range(FORKS):
                process = os.fork()
                if process == 0:
                    try:
                        os._exit(0 if child() else 1)
                    finally:
                        os._exit(2)
                statuses.append(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
        finally:
            stop.set()
        assert statuses == [0] * FORKS
        assert [future.result() for future in working] == [True, True]


@forks_of_threads
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.usefixtures("threads")
def test_pools_of_processes(method: str) -> None:
    bptt.set_num_threads(2)
    p, dtype = PROBLEMS[0]
    rnn, large = p.network(dtype), problem(LARGE)
    large.network(dtype).loss(**large.arguments())  # a pool that is forked leaves threads behind in its parent
    with multiprocessing.get_context(method).Pool(2) as pool:
        runs = pool.map(rnn.forward, p.x)
    assert same_bits([run.o for run in runs], [rnn.forward(x).o for x in p.x])


# ---- The end of a process ----

BUSY = """
import atexit, os, sys, threading, time, warnings
import numpy as np
import bptt

bptt.set_num_threads(2)
large, small = bptt.ElmanRNN(32, 96, 40, seed=0), bptt.ElmanRNN(3, 5, 2, seed=0)
x, y = np.zeros((20, 33, 32)), np.zeros((20, 33), int)
begun = threading.Barrier(5)

def work(times=10**9):
    large.loss_and_gradients(x, y)
    begun.wait()
    for _ in range(times):
        large.loss_and_gradients(x, y)
        small.forward(np.zeros((2, 3)))

def at_exit():
    large.loss_and_gradients(x, y)
    large.fit(x, y, optimizer=bptt.SGD(0.1), epochs=1, progress=False)
    print("at exit", flush=True)

def fork():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that a child may hang: this one does not
        return os.fork()

def start(times=10**9, daemon=True):
    threads = [threading.Thread(target=work, args=(times,), daemon=daemon) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun.wait()
    time.sleep(0.05)
    return threads
"""
ENDS = {
    "threads that end": ("start(200, daemon=False)", 0, ""),
    "threads that end, and an error": ("start(200, daemon=False)\nsys.exit(3)", 3, ""),
    "daemon threads": ("start()", 0, ""),
    "daemon threads, and sys.exit": ("start()\nsys.exit(4)", 4, ""),
    "daemon threads, and handlers": ("atexit.register(at_exit)\nstart()\nsys.exit(5)", 5, "at exit\n"),
    "os._exit": ("start()\nos._exit(6)", 6, ""),
    "os._exit in a thread": ("start()\nthreading.Thread(target=lambda: os._exit(7)).start()\ntime.sleep(60)", 7, ""),
    "sys.exit in a thread": (
        "start()\nt = threading.Thread(target=sys.exit)\nt.start()\nt.join()\nlarge.loss(x, y)",
        0,
        "",
    ),
    "a child that is forked": ("start()\nif child := fork(): os.waitpid(child, 0)\nelse: at_exit()", 0, "at exit\n"),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_process_ends_while_threads_compute(name: str) -> None:
    """Quietly, with the exit code of its main thread."""
    end, code, printed = ENDS[name]
    for _ in range(EXITS):
        done = run_python(BUSY + end)
        assert (done.returncode, done.stdout, done.stderr) == (code, printed, ""), done
