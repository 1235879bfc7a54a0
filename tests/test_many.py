"""`fit_many`: jobs side by side have the bits, the errors and the threads that they have one after another."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import StringIO
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import Adam, ElmanRNN, FitManyError, fit_many
from busy_threads import MOST_ABOVE, needs_proc, share_above, watched
from interpreter import run_python
from many_jobs import X, Y, large, long_calls
from problems import Array
from results import same_bits


@pytest.fixture(autouse=True)
def two_threads(threads: None) -> None:
    bptt.set_num_threads(2)


def trained(seed: int, **options: Any) -> tuple[ElmanRNN, bptt.History]:
    rnn = ElmanRNN(3, 8, 4, seed=seed)
    given: dict[str, Any] = {"optimizer": Adam(0.01), "epochs": 3, "batch_size": 5, "seed": seed}
    return rnn, rnn.fit(X, Y, **(given | options))


# ---- Results ----


def bits(results: list[tuple[ElmanRNN, bptt.History]]) -> list[tuple[Array, Array]]:
    return [(rnn.parameters, history.updates.loss) for rnn, history in results]


@pytest.mark.parametrize("n_jobs", [None, 1, 2, 5])
def test_the_bits_are_those_of_one_job_after_another(n_jobs: int | None) -> None:
    alone = [trained(seed, progress=False) for seed in range(7)]
    together = fit_many([partial(trained, seed) for seed in range(7)], n_jobs=n_jobs, progress=False)
    assert same_bits(bits(together), bits(alone))


def test_results_are_in_the_order_of_the_jobs() -> None:
    def job(i: int) -> int:
        time.sleep(0.05 if i % 2 == 0 else 0.0)
        return i

    assert fit_many((partial(job, i) for i in range(9)), progress=False) == [*range(9)]
    assert fit_many([], progress=False) == []


def test_jobs_are_taken_as_threads_become_free_and_let_go_afterwards() -> None:
    class Data:
        """What a job reads."""

        def __len__(self) -> int:
            return 10

    alive: weakref.WeakSet[Data] = weakref.WeakSet()
    most = 0

    def jobs() -> Iterator[Callable[[], int]]:
        nonlocal most
        for _ in range(12):
            data = Data()
            alive.add(data)
            most = max(most, len(alive))
            yield partial(len, data)
            del data

    assert fit_many(jobs(), n_jobs=2, progress=False) == [10] * 12
    gc.collect()
    assert most <= 4, "two under way, one that is over and not yet noticed, and the next"
    assert len(alive) == 0


def test_jobs_within_jobs() -> None:
    def outer(k: int) -> list[tuple[Array, Array]]:
        return bits(fit_many([partial(trained, 10 * k + i) for i in range(3)]))

    expected = [bits([trained(10 * k + i, progress=False) for i in range(3)]) for k in range(3)]
    assert same_bits(fit_many([partial(outer, k) for k in range(3)], progress=False), expected)


# ---- Failures ----


def failing(i: int) -> int:
    if i in (1, 4):
        raise ValueError(f"no {i}")
    if i == 5:
        sys.exit(3)
    return i


def test_a_failure_loses_nothing_of_the_others() -> None:
    with pytest.raises(FitManyError) as caught:
        fit_many([partial(failing, i) for i in range(7)], progress=False)
    error = caught.value
    message = (
        "3 of 7 jobs failed (jobs[1]: ValueError: no 1; jobs[4]: ValueError: no 4; jobs[5]: SystemExit: 3); "
        "the others' results are in `results`"
    )
    assert str(error) == message
    assert sorted(error.failures) == [1, 4, 5]
    assert error.__cause__ is error.failures[1] is error.results[1]
    assert [error.results[i] for i in (0, 2, 3, 6)] == [0, 2, 3, 6]
    assert "in failing" in "".join(traceback_of(error.failures[4])), "where it was raised"
    copied = pickle.loads(pickle.dumps(error))
    assert str(copied) == message
    assert copied.results[3] == 3


def traceback_of(error: BaseException) -> list[str]:
    import traceback

    return traceback.format_exception(error)


def test_many_failures_are_told_in_a_line() -> None:
    message = r"^9 of 9 jobs failed \(jobs\[0\]: .*; jobs\[1\]: .*; jobs\[2\]: .*; 6 more\); the others' results"
    with pytest.raises(FitManyError, match=message) as caught:
        fit_many([partial(int, "x" * 10_000)] * 9, progress=False)
    assert len(str(caught.value)) < 1000


def test_exceptions_can_be_results() -> None:
    found = fit_many([partial(failing, i) for i in range(6)], progress=False, return_exceptions=True)
    assert [type(each) for each in found] == [int, ValueError, int, int, ValueError, SystemExit]


def test_what_is_no_job_is_refused() -> None:
    begun: list[int] = []
    what = "expected a function without arguments"
    jobs: list[tuple[Any, str]] = [
        ([partial(begun.append, 1), 3], rf"^jobs\[1\]: {what}, got int$"),
        ("no", rf"^jobs\[0\]: {what}, got str$"),
        (len, "^jobs: expected functions without arguments, in a list or another iterable, got builtin_function_or_m"),
        (None, "^jobs: expected functions without arguments, in a list or another iterable, got NoneType$"),
    ]
    for wrong, message in jobs:
        with pytest.raises(TypeError, match=message):
            fit_many(wrong, progress=False)
    options: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"n_jobs": 0}, ValueError, "^n_jobs: expected at least 1, got 0$"),
        ({"n_jobs": 2.0}, TypeError, "^n_jobs: expected an int, got float$"),
        ({"progress": "no"}, TypeError, "^progress: expected True or False, got 'no'$"),
        ({"return_exceptions": 1}, TypeError, "^return_exceptions: expected True or False, got 1$"),
    ]
    for given, kind, message in options:
        with pytest.raises(kind, match=message):
            fit_many([partial(begun.append, 1)], **given)
    assert begun == [], "before any job begins"


def test_an_iterator_that_fails_or_yields_no_job() -> None:
    def jobs(last: Any) -> Iterator[Any]:
        yield partial(trained, 0)
        yield 3
        yield partial(trained, 1)
        if last is not None:
            raise last
        yield partial(trained, 2)

    with pytest.raises(FitManyError, match=r"^1 of 4 jobs failed \(jobs\[1\]: TypeError: jobs\[1\]: expected a func"):
        fit_many(jobs(None), progress=False)
    with pytest.raises(FitManyError, match=r"jobs\[3\]: OSError: no data\); ") as caught:
        fit_many(jobs(OSError("no data")), progress=False)
    for i in (0, 2):
        assert caught.value.results[i][1].stopped == "epochs", "those under way go on to their ends"


@pytest.mark.parametrize("what", ["network", "optimizer"])
def test_two_jobs_with_one_network_or_optimizer_are_an_error(what: str) -> None:
    """Not a mixture of two trainings."""
    rnn, optimizer, both = ElmanRNN(3, 8, 4, seed=0), Adam(0.01), threading.Barrier(2)

    def job(i: int) -> None:
        def meet(_: object) -> None:
            both.wait(10)

        own = rnn if what == "network" else ElmanRNN(3, 8, 4, seed=i)
        by = optimizer if what == "optimizer" else Adam(0.01)
        try:
            own.fit(X, Y, optimizer=by, epochs=1, callbacks=[meet])
        except RuntimeError:
            both.wait(10)
            raise

    message = f"RuntimeError: fit: expected a {what} of its own, got one that another thread trains now\\); "
    with pytest.raises(FitManyError, match=rf"^1 of 2 jobs failed \(jobs\[[01]\]: {message}"):
        fit_many([partial(job, 0), partial(job, 1)], progress=False)
    job_alone = rnn.fit(X, Y, optimizer=optimizer, epochs=1, progress=False)
    assert job_alone.stopped == "epochs", "it is free again"


def test_a_callback_may_train_its_own_network() -> None:
    rnn = ElmanRNN(3, 8, 4, seed=0)

    def more(_: object) -> None:
        rnn.fit(X, Y, optimizer=Adam(0.01), epochs=1, progress=False)

    assert rnn.fit(X, Y, optimizer=Adam(0.01), epochs=2, callbacks=[more], progress=False).stopped == "epochs"


# ---- Ctrl-C ----

ENDLESS: dict[str, Any] = {"epochs": 10**6, "batch_size": 20}


def press_after(seconds: float, times: int = 1) -> None:
    def press() -> None:
        for _ in range(times):
            time.sleep(seconds)
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press).start()


needs_kill = pytest.mark.skipif(sys.platform == "win32", reason="no process is sent Ctrl-C there")


@needs_kill
@pytest.mark.parametrize("how", ["Ctrl-C", "bptt.interrupt"])
def test_an_interruption_ends_each_job_after_its_update_and_gives_what_there_is(how: str) -> None:
    def job(i: int) -> list[tuple[str, int]]:
        if i == 0:
            return [("", 0)]
        runs = [trained(i, **ENDLESS)[1] for _ in range(2)]  # the second run of a job that was stopped does not begin
        return [(history.stopped, len(history.updates)) for history in runs]

    if how == "Ctrl-C":
        press_after(0.5)
    else:
        threading.Timer(0.5, bptt.interrupt).start()
    begin = time.monotonic()
    found = fit_many((partial(job, i) for i in range(100)), progress=False)
    assert time.monotonic() - begin < 5
    assert found[0] == [("", 0)]
    assert len(found) == 3, "the one that was over, and the two under way"
    for first, second in found[1:]:
        assert first[0] == "interrupted"
        assert first[1] > 0
        assert second == ("interrupted", 0)


@needs_kill
def test_a_second_ctrl_c_ends_calls_too() -> None:
    rnn, x = ElmanRNN(3, 128, 2, seed=0), np.zeros((30_000, 3), np.float32)
    ended = []

    def job() -> None:
        try:
            for _ in range(10_000):
                rnn.loss(x, np.zeros(len(x), int))
        finally:
            ended.append(1)

    press_after(0.2, 2)
    with pytest.raises(KeyboardInterrupt):
        fit_many([job] * 5, progress=False)
    assert ended == [1, 1], "no thread is left behind"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# ---- Threads ----


WAYS = ["fit_many", "fit_many in fit_many", "two threads that fit", "two that call", "one that fits, one that calls"]


@needs_proc
@pytest.mark.parametrize("way", WAYS)
def test_no_more_threads_are_busy_than_allowed(way: str) -> None:
    large(0.01)  # so that all threads exist
    with watched() as counts:
        if way == "fit_many":
            fit_many([partial(large, 0.3)] * 4, progress=False)
        elif way == "fit_many in fit_many":
            fit_many([partial(fit_many, [partial(large, 0.3)] * 2, progress=False)] * 2, progress=False)
        else:
            works: dict[str, list[Callable[[float], Any]]]
            works = {"two threads that fit": [large, large], "two that call": [long_calls, long_calls]}
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda work: work(0.6), works.get(way, [large, long_calls])))
    assert share_above(counts, 2) < MOST_ABOVE, counts


@needs_proc
def test_the_last_job_gets_all_threads() -> None:
    with watched() as counts:
        jobs: list[Callable[[], Any]] = [partial(large, 0.02), partial(long_calls, 0.6)]
        fit_many(jobs, progress=False)
    assert share_above(counts, 1) > 0.1, counts  # the processors may be wanted by others


def test_no_thread_goes_on_counting() -> None:
    def fails(_: object) -> None:
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011
        trained(0, callbacks=[fails], progress=False)
    fit_many([partial(failing, i) for i in range(7)], progress=False, return_exceptions=True)
    assert bptt._core.sharing_threads() == 0


FORK = """
import os
import threading
import numpy as np
import bptt
from bptt import _core

bptt.set_num_threads(2)
x, y = np.zeros((20, 4, 3)), np.zeros((20, 4), int)

def forks(history):
    child = os.fork()
    if child == 0:
        here = _core.sharing_threads()
        os._exit(here)
    print(_core.sharing_threads(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)

def waits(history):
    begun.set()
    over.wait(20)

def fit(callback):
    bptt.ElmanRNN(3, 4, 2).fit(x, y, optimizer=bptt.SGD(0.1), epochs=1, callbacks=[callback], progress=False)

begun, over = threading.Event(), threading.Event()
other = threading.Thread(target=fit, args=(waits,))
other.start()
begun.wait(20)
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
fit(forks)
over.set()
other.join()
print(_core.sharing_threads())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_counts_its_own_thread_alone() -> None:
    done = run_python(FORK)
    assert done.stdout.split() == ["2", "1", "0"], done


# ---- Progress ----


class Terminal(StringIO):
    """Where a bar is shown."""

    def isatty(self) -> bool:
        return True


def test_one_bar_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    fit_many([partial(trained, seed, epochs=3) for seed in range(5)])
    shown = terminal.getvalue()
    assert "5 of 5 jobs 100%|" in shown
    assert "loss" not in shown, "no bar of a job"
    assert shown.count("\n") == 1, "one line, written again and again"


def test_a_bar_tells_how_far_jobs_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two jobs that are half done when they are looked at."""
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    looked = threading.Event()

    def job() -> None:
        def wait(history: bptt.History) -> None:
            if len(history.epochs) == 2:
                looked.wait(0.6)

        trained(0, epochs=4, callbacks=[wait])

    fit_many([job, job])
    assert "0 of 2 jobs  50%|" in terminal.getvalue()


def test_lines_in_a_log_tell_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", log := StringIO())
    fit_many([partial(failing, i) for i in range(5)], return_exceptions=True, n_jobs=1)
    lines = log.getvalue().splitlines()
    assert lines[0] == "1 of 5 jobs, 0 s"
    assert lines[-1] == "5 of 5 jobs, 2 failed, 0 s"
    log.truncate(0)
    fit_many([partial(int, 0)] * 250, n_jobs=1)
    assert len(log.getvalue().splitlines()) <= 100


@pytest.mark.parametrize("stream", [StringIO, Terminal])
def test_no_progress_is_none(stream: type[StringIO], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", out := stream())
    fit_many([partial(trained, seed) for seed in range(2)], progress=False)
    assert out.getvalue() == ""


def test_jobs_of_an_unknown_number_have_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    fit_many(partial(trained, seed) for seed in range(3))
    assert "3 jobs [" in terminal.getvalue()
