"""Training: the loop over updates and epochs, with its checkpoints, its progress and its interruption."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import TypeVar

import numpy as np

from bptt import _core
from bptt._checks import a_path, size, truth
from bptt._threads import sharing
from bptt.training.batches import Data, FreshData
from bptt.training.checkpoint import Checkpoint, ResumeError
from bptt.training.history import History
from bptt.training.job import job_here
from bptt.training.progress import Bar
from bptt.training.protocol import Network
from bptt.training.updates import Settings, Training

Result = TypeVar("Result")

_CHECKPOINT_SECONDS = 30.0  # apart, at least; at the end of an epoch in any case


def _is_true(value: object) -> bool:
    """Whether a callback has returned True, Python's or NumPy's."""
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value[()]
    return isinstance(value, bool | np.bool_) and bool(value)


@contextmanager
def interruptible(interruptions: int) -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C inside into a note, which the given function tells; a second one interrupts at once.

    It tells as well whether `bptt.interrupt` was called more often than so many times, and whether the job that this is
    part of shall stop.
    """
    pressed, job = threading.Event(), job_here()

    def note(signum: int, frame: FrameType | None) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    # A process that ignores the signal (a background job) goes on ignoring it, and only a main thread may ask.
    listens = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if listens:
        signal.signal(signal.SIGINT, note)
    try:
        yield (
            lambda: pressed.is_set() or _core.interruptions() != interruptions or (job is not None and job.stopped())
        )
    finally:
        if listens:
            signal.signal(signal.SIGINT, signal.default_int_handler)


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
    network: Network,
    data: Data | FreshData,
    validation: Data | None,
    settings: Settings,
    *,
    seed: int | None,
    checkpoint: str | os.PathLike[str] | None,
    resume: bool,
    progress: bool,
    interruptions: int,
) -> History:
    """Train a network as its method `fit` says. `interruptions`: how often `bptt.interrupt` had been called before."""
    settings.check(network, data, validation)
    truth("resume", resume)
    truth("progress", progress)
    checkpoint = None if checkpoint is None else a_path("checkpoint", checkpoint)
    if resume and checkpoint is None:
        raise ValueError("resume: expected False without a checkpoint")
    random = int.from_bytes(os.urandom(8), "little") if seed is None else size("seed", seed, 0, 2**64 - 1)
    with _trained_here(network, settings), sharing():
        training = Training(network, data, validation, settings, random)
        if resume and checkpoint is not None and (found := Checkpoint.read(checkpoint)) is not None:
            if seed is not None and seed != found.position["seed"]:  # first: data may have been drawn by it
                raise ResumeError(f"resume: expected seed as in the checkpoint, {found.position['seed']}, got {seed}")
            try:
                training.go_on_from(found)
            except ResumeError:
                raise
            except (TypeError, ValueError) as error:
                raise ValueError(f"{checkpoint}: expected a checkpoint: {error}") from None
        history = training.history
        if training.epoch > 0:
            history.stopped = history.stopped or training.over()
        network.begin()
        last_saved = time.monotonic()

        def save() -> None:
            nonlocal last_saved
            if checkpoint is not None:
                training.checkpoint().write(checkpoint)
                last_saved = time.monotonic()

        def result(call: Callable[[], Result]) -> Result | None:
            """What a call returns; None if `bptt.interrupt` has stopped it."""
            try:
                return call()
            except KeyboardInterrupt:
                if _core.interruptions() == interruptions:
                    raise  # a second Ctrl-C
                return None

        if checkpoint is not None and not history.stopped:
            save()  # what cannot be written is found out now
        with interruptible(interruptions) as interrupted, Bar(training, progress) as bar:
            if not history.stopped and interrupted():  # before the first update: another run of its job was stopped
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
                    bar.advance(batch.steps)
                    if interrupted():
                        history.stopped = "interrupted"
                    elif not training.epoch_is_over and time.monotonic() - last_saved > _CHECKPOINT_SECONDS:
                        save()
                seconds = time.perf_counter() - begin
                if history.stopped != "interrupted" and result(partial(training.end_epoch, seconds, interrupted)):
                    history.stopped = training.over()
                    for callback in settings.callbacks:
                        if _is_true(callback(history)) and not history.stopped:
                            history.stopped = "callback"
                    bar.end_epoch()
                save()
                if interrupted():  # during validation, a callback or this writing
                    history.stopped = "interrupted"
        if settings.patience is not None and history.best_parameters is not None and history.stopped != "interrupted":
            network.parameters[:] = history.best_parameters
        return history
