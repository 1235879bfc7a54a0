"""Training: the loop over updates and epochs, with its checkpoints, its progress and its interruption."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FrameType
from typing import Any, TypeVar

import numpy as np

from bptt import _core
from bptt._checks import a_path, size, truth
from bptt._threads import sharing
from bptt.training.checkpoint import Checkpoint, ResumeError
from bptt.training.history import History
from bptt.training.job import job_here
from bptt.training.processes import ALONE, Alone, Processes
from bptt.training.progress import Bar
from bptt.training.protocol import Network
from bptt.training.updates import Settings, Training, Wishes

Result = TypeVar("Result")

_CHECKPOINT_SECONDS = 30.0  # apart, at least; at the end of an epoch in any case


def _is_true(value: object) -> bool:
    """Whether a callback has returned True, Python's or NumPy's."""
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value[()]
    return isinstance(value, bool | np.bool_) and bool(value)


@contextmanager
def interruptible(interruptions: int, is_alone: bool = True) -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C inside into a note, which the given function tells; a second one interrupts at once.

    It tells as well whether `bptt.interrupt` was called more often than so many times, and whether the job that this is
    part of shall stop. Of several processes each hears SIGTERM too: Ctrl-C goes to ``mpiexec``, which sends them that
    and soon kills them.
    """
    pressed, job = threading.Event(), job_here()
    usual: dict[int, Any] = {signal.SIGINT: signal.default_int_handler}
    if not is_alone:
        usual[signal.SIGTERM] = signal.SIG_DFL

    def note(signum: int, frame: FrameType | None) -> None:
        pressed.set()
        signal.signal(signum, usual[signum])

    # A process that ignores a signal (a background job) goes on ignoring it, and only a main thread may ask.
    is_main = threading.current_thread() is threading.main_thread()
    heard = [signum for signum, handler in usual.items() if is_main and signal.getsignal(signum) is handler]
    for signum in heard:
        signal.signal(signum, note)
    try:
        yield (
            lambda: pressed.is_set() or _core.interruptions() != interruptions or (job is not None and job.stopped())
        )
    finally:
        for signum in heard:
            signal.signal(signum, usual[signum])


_trained: dict[tuple[str, int], tuple[int, int, object]] = {}  # what runs of `fit` change now: process, thread, run


@contextmanager
def _trained_here(network: Network, settings: Settings) -> Iterator[None]:
    """No two threads change the same parameters, or the same optimizer, at once: an error before anything changes."""
    run = os.getpid(), threading.get_ident(), object()
    optimizer = id(settings.optimizer)
    own = []
    try:
        for key in ("network", network.parameters.__array_interface__["data"][0]), ("optimizer", optimizer):
            if _trained.setdefault(key, run)[0] != run[0]:
                _trained[key] = run  # what another process trains, of which this one is a fork
            if (holder := _trained[key]) is run:
                own.append(key)
            elif holder[1] != run[1]:  # in one thread, a callback may train what it is called for
                raise RuntimeError(f"fit: expected a {key[0]} of its own, got one that another thread trains now")
        yield
    finally:
        for key in own:
            del _trained[key]


def fit(
    begun: Callable[[int, dict[str, Any]], Training],
    *,
    seed: int | None,
    checkpoint: str | os.PathLike[str] | None,
    resume: bool,
    progress: bool,
    interruptions: int,
    processes: Processes | Alone = ALONE,
) -> History:
    """Train a network as its method `fit` says.

    Parameters
    ----------
    begun : callable
        Checks what the user gave, and returns the run at its beginning. It is told the seed, and what all processes
        must agree in.
    seed, checkpoint, resume, progress
        As the user gave them.
    interruptions : int
        How often `bptt.interrupt` had been called before.
    processes : Processes
        Those that train together. The first alone reads, writes, shows progress and calls back.
    """

    def checked() -> tuple[int, str | None]:
        truth("resume", resume)
        truth("progress", progress)
        path = None if checkpoint is None else a_path("checkpoint", checkpoint)
        if resume and path is None:
            raise ValueError("resume: expected False without a checkpoint")
        return _random_seed() if seed is None else size("seed", seed, 0, 2**64 - 1), path

    random, path = processes.everyone(checked)
    training = begun(random, {"seed": seed, "resume": resume, "checkpoint": path is not None})
    with ExitStack() as held:
        processes.everyone(partial(held.enter_context, _trained_here(training.network, training.settings)))
        held.enter_context(sharing())
        training.agree()
        return _trained_to_the_end(training, seed, path, resume, progress, interruptions, processes)


def _trained_to_the_end(
    training: Training,
    seed: int | None,
    path: str | None,
    resume: bool,
    progress: bool,
    interruptions: int,
    processes: Processes | Alone,
) -> History:
    """All updates of a run, from the checkpoint at a path on if it shall resume."""
    settings, history = training.settings, training.history
    if resume and path is not None and (found := processes.first(partial(Checkpoint.read, path))) is not None:
        processes.everyone(partial(_go_on, training, found, path, seed))
    if training.epoch > 0:
        history.stopped = history.stopped or training.over()
    processes.everyone(training.network.begin)
    last_saved = time.monotonic()

    def save() -> None:
        nonlocal last_saved
        if path is not None:
            processes.everyone(training.gather)
            processes.first(lambda: training.checkpoint().write(path))
            last_saved = time.monotonic()

    def result(call: Callable[[], Result]) -> Result | None:
        """What a call returns; None if `bptt.interrupt` has stopped it."""
        try:
            return call()
        except KeyboardInterrupt:
            if _core.interruptions() == interruptions:
                raise  # a second Ctrl-C
            return None

    def stopped_by_callback() -> str:
        for callback in settings.callbacks:
            if _is_true(callback(history)) and not history.stopped:
                history.stopped = "callback"
        return history.stopped

    if not history.stopped:
        save()  # what cannot be written is found out now
    hears = interruptible(interruptions, processes is ALONE)
    with hears as interrupted, Bar(training, progress and processes.rank == 0) as bar:
        training.wishes = lambda: Wishes(interrupted(), time.monotonic() - last_saved > _CHECKPOINT_SECONDS)
        if not history.stopped and processes.any(interrupted()):  # before the first update, by another run of its job
            history.stopped = "interrupted"
        while not history.stopped:
            begin = time.perf_counter()
            while not training.epoch_is_over and not history.stopped:
                batch = result(training.take)
                computed = None if batch is None else result(partial(training.gradients, batch))
                if batch is None or computed is None:
                    history.stopped = "interrupted"
                    break
                training.update(batch, computed)
                if training.batch == training.batches:
                    training.end_pass()
                bar.advance(computed.steps)
                asked = training.asked()
                if asked.stop:
                    history.stopped = "interrupted"
                elif asked.save and not training.epoch_is_over:
                    save()
            seconds = time.perf_counter() - begin
            if history.stopped != "interrupted" and result(partial(training.end_epoch, seconds, interrupted)):
                history.stopped = training.over()
                history.stopped = processes.first(stopped_by_callback)
                training.agree()
                bar.end_epoch()
            save()
            if processes.any(interrupted()):  # during validation, a callback or this writing
                history.stopped = "interrupted"
    if settings.patience is not None and history.best_parameters is not None and history.stopped != "interrupted":
        training.network.parameters[:] = history.best_parameters
    return history


def _random_seed() -> int:
    return int.from_bytes(os.urandom(8), "little")


def _go_on(training: Training, found: Checkpoint, path: str, seed: int | None) -> None:
    """Be where the run was that has written a checkpoint."""
    if seed is not None and seed != found.position["seed"]:  # first: data may have been drawn by it
        raise ResumeError(f"resume: expected seed as in the checkpoint, {found.position['seed']}, got {seed}")
    try:
        training.go_on_from(found)
    except ResumeError:
        raise
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected a checkpoint: {error}") from None
