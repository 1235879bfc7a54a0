"""Training: epochs, updates, validation, interruption. Knows networks and optimizers by their public face only."""

from __future__ import annotations

import math
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from bptt._batches import Batch, Data
from bptt._inputs import Array, number, size
from bptt._progress import Bar
from bptt.checkpoint import Checkpoint
from bptt.files import remove_stale
from bptt.history import History
from bptt.optimizers import Optimizer

if TYPE_CHECKING:
    from bptt.network import RecurrentNetwork

DEFAULT_BATCH = 32  # sequences
_CHECKPOINT_SECONDS = 30.0  # apart, at least; at the end of an epoch in any case


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C inside into a note, which the given function tells; a second one interrupts at once."""
    pressed = threading.Event()

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
        yield pressed.is_set
    finally:
        if listens:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _described(value: Any) -> str:
    """What tells a function from another, in every process."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


@dataclass
class Settings:
    """What `fit` was asked for, checked."""

    optimizer: Optimizer
    epochs: int
    batch_size: int | None
    truncate: int | None
    updates_per_epoch: int | None
    clip_norm: float | None
    clip_value: float | None
    schedule: Callable[[int], float] | None
    patience: int | None
    shuffle: bool
    callbacks: Sequence[Callable[[History], Any]]
    teacher_forcing: Callable[[int], float] | float | None

    def __post_init__(self) -> None:
        if not isinstance(self.optimizer, Optimizer):
            raise TypeError(f"optimizer: expected one of bptt's optimizers, got {type(self.optimizer).__name__}")
        self.epochs = size("epochs", self.epochs, 1)
        for name in ("clip_norm", "clip_value"):
            bound = getattr(self, name)
            setattr(self, name, None if bound is None else number(name, bound, 0.0, math.inf, "()"))
        for name in ("batch_size", "truncate", "updates_per_epoch", "patience"):
            value = getattr(self, name)
            setattr(self, name, None if value is None else size(name, value, 1))
        if self.schedule is not None and not callable(self.schedule):
            raise TypeError(f"schedule: expected a function of the update, got {type(self.schedule).__name__}")
        if callable(self.callbacks):
            raise TypeError("callbacks: expected a list of functions, got a function")
        self.callbacks = tuple(self.callbacks)
        for callback in self.callbacks:
            if not callable(callback):
                raise TypeError(f"callbacks: expected functions of the history, got {type(callback).__name__}")
        if not isinstance(self.shuffle, bool):
            raise TypeError(f"shuffle: expected True or False, got {self.shuffle!r}")

    def check(self, rnn: RecurrentNetwork, data: Data) -> None:
        if self.teacher_forcing is not None and rnn._KIND != "jordan":
            raise ValueError("teacher_forcing: expected None, as no outputs are fed back")
        if self.truncate is None:
            return
        if self.batch_size is not None:
            raise ValueError("batch_size: expected None with truncate, as all streams go on side by side")
        if data.is_list or data.padded:
            raise ValueError("truncate: expected x in one array of streams of equal length, got sequences of several")
        if not rnn._every_step:
            raise ValueError("truncate: expected None where only the last step has an output")

    def plain(self) -> dict[str, Any]:
        """What a run that is resumed has to agree with."""
        return {
            "batch_size": self.batch_size,
            "truncate": self.truncate,
            "updates_per_epoch": self.updates_per_epoch,
            "clip_norm": self.clip_norm,
            "clip_value": self.clip_value,
            "patience": self.patience,
            "shuffle": self.shuffle,
            "schedule": _described(self.schedule),
            "teacher_forcing": _described(self.teacher_forcing),
            "optimizer": self.optimizer.configuration(),
        }


class Training:
    """One run of `fit`: where it is, and what it takes to go on from there."""

    def __init__(
        self, rnn: RecurrentNetwork, data: Data, validation: Data | None, settings: Settings, seed: int
    ) -> None:
        self.rnn, self.data, self.validation, self.settings = rnn, data, validation, settings
        self.seed = seed
        self.history = History()
        self.epoch = self.passes = 0  # completed: epochs, and passes over the data
        self.batch = 0  # of the pass under way, the next one
        self.updates = 0
        self.epoch_loss = self.epoch_targets = 0.0
        self.best, self.best_epoch = math.inf, -1  # the lowest validation loss, and where: no epoch looks at all others
        self.state: Array | None = None  # carried from window to window
        self._before = np.empty_like(rnn.parameters)

    # ---- What an epoch is made of ----

    def _random(self, purpose: int, number: int) -> np.random.Generator:
        """Of an epoch or update: it follows from the seed alone, so that a resumed run needs no generator's state."""
        return np.random.default_rng([self.seed, purpose, number])

    def parts(self) -> list[slice | Array]:
        """The parts of the data that the pass under way sees one after the other."""
        s = self.settings
        if s.truncate is not None:
            return self.data.windows(s.truncate)
        return self.data.batches(s.batch_size or DEFAULT_BATCH, self._random(0, self.passes) if s.shuffle else None)

    def update(self, batch: Batch) -> None:
        """One update of the parameters, or none where there is no target."""
        s, begin = self.settings, time.perf_counter()
        arguments = dict(batch.arguments)
        if s.truncate is not None and self.state is not None:
            arguments[self.rnn._INITIAL] = self.state
        if (p := s.teacher_forcing) is not None:
            arguments["teacher_forcing"] = p(self.updates) if callable(p) else p
            arguments["seed"] = self._random(1, self.updates)
        loss, gradients = self.rnn.loss_and_gradients(**arguments)  # type: ignore[attr-defined]
        if batch.targets > 0:
            rate = s.optimizer.lr * (
                1.0 if s.schedule is None else number("schedule", s.schedule(self.updates), 0, math.inf)
            )
            norm = self._step(loss, gradients, batch.targets, rate)
            self.history.updates.append(
                loss=loss / batch.targets,
                gradient_norm=norm,
                learning_rate=rate,
                targets=batch.targets,
                seconds=time.perf_counter() - begin,
            )
            self.updates += 1
            self.epoch_loss += loss
            self.epoch_targets += batch.targets
        if s.truncate is not None:
            self.state = getattr(gradients, f"{self.rnn._INITIAL[0]}_last")
        self.batch += 1

    def end_pass(self) -> None:
        self.passes, self.batch, self.state = self.passes + 1, 0, None

    @property
    def epoch_is_over(self) -> bool:
        n = self.settings.updates_per_epoch
        return self.passes > self.epoch if n is None else self.updates == (self.epoch + 1) * n

    def _step(self, loss: float, gradients: Any, targets: float, rate: float) -> float:
        """Update the parameters, or raise and leave them as they were; the norm of the gradient of the mean loss."""
        s, parameters = self.settings, self.rnn.parameters
        self._before[:] = parameters
        try:
            if not math.isfinite(loss):
                raise FloatingPointError(f"the loss is {loss}")
            norm = s.optimizer.step(
                self.rnn, gradients, scale=targets, clip_norm=s.clip_norm, clip_value=s.clip_value, lr=rate
            )
            if not np.isfinite(parameters).all():
                raise FloatingPointError(f"the parameters overflow at a learning rate of {rate:g}")
        except FloatingPointError as error:
            parameters[:] = self._before
            norm = float(np.sqrt(np.square(gradients.flat, dtype=np.float64).sum())) / targets
            raise FloatingPointError(
                f"update {self.updates} (epoch {self.epoch}): {error}; the norm of the gradient is {norm:.6g}; "
                "the parameters are those before this update"
            ) from None
        return norm

    def end_epoch(self, seconds: float) -> None:
        loss = self.epoch_loss / self.epoch_targets if self.epoch_targets > 0 else math.nan
        validation = math.nan if self.validation is None else self.mean_loss(self.validation)
        if self.validation is not None and not math.isfinite(validation):
            raise FloatingPointError(
                f"epoch {self.epoch}: the validation loss is {validation}; the parameters are those after it"
            )
        self.history.epochs.append(loss=loss, validation=validation, updates=self.updates, seconds=seconds)
        if validation < self.best:
            self.best, self.best_epoch = validation, self.epoch
            if self.settings.patience is not None:
                self.history.best_parameters = self.rnn.parameters.copy()
        self.epoch += 1
        self.epoch_loss = self.epoch_targets = 0.0

    def mean_loss(self, data: Data) -> float:
        """Per target, in batches. A network with teacher forcing is fed with targets unless it is never trained so."""
        free = {"teacher_forcing": 0.0} if self.settings.teacher_forcing == 0 else {}
        total = targets = 0.0
        for part in data.batches(self.settings.batch_size or DEFAULT_BATCH, None):
            batch = data.take(part)
            total += self.rnn.loss(**batch.arguments, **free)  # type: ignore[attr-defined]
            targets += batch.targets
        return total / targets if targets > 0 else math.nan

    # ---- When it ends ----

    def over(self) -> str:
        """Why training ends here, after a whole epoch; empty if it goes on."""
        if self.settings.patience is not None and self.epoch - 1 - self.best_epoch >= self.settings.patience:
            return "patience"
        return "epochs" if self.epoch >= self.settings.epochs else ""

    # ---- To and from a checkpoint ----

    def checkpoint(self) -> Checkpoint:
        arrays = {
            "parameters": self.rnn.parameters,
            "state": self.state,
            "best": self.history.best_parameters,
        }
        for name, array in self.settings.optimizer.state().items():
            arrays[f"optimizer.{name}"] = np.asarray(array)
        for kind in ("updates", "epochs"):
            for name, array in getattr(self.history, kind).arrays().items():
                arrays[f"{kind}.{name}"] = array
        position = {
            "seed": self.seed,
            "epoch": self.epoch,
            "passes": self.passes,
            "batch": self.batch,
            "updates": self.updates,
            "epoch_loss": self.epoch_loss.hex(),
            "epoch_targets": self.epoch_targets.hex(),
            "stopped": self.history.stopped,
            "lr": self.settings.optimizer.lr,
        }
        return Checkpoint({name: a for name, a in arrays.items() if a is not None}, self.identity, position)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a run to be resumed must be equal in, as training began."""
        rnn = self.rnn
        return {
            "network": {"kind": rnn._KIND, **rnn._configuration()},
            "settings": self.settings.plain(),
            "data": self.data.digest(),
            "validation": None if self.validation is None else self.validation.digest(),
        }

    def go_on_from(self, checkpoint: Checkpoint) -> None:
        checkpoint.check(self.identity)
        arrays, position = checkpoint.arrays, checkpoint.position
        self.settings.optimizer.load_state(checkpoint.part("optimizer"))
        for kind in ("updates", "epochs"):
            getattr(self.history, kind).load(checkpoint.part(kind))
        if (best := self.history.best_epoch) is not None:
            self.best, self.best_epoch = float(self.history.validation[best]), best
        self.rnn.parameters = arrays["parameters"]
        self.state, self.history.best_parameters = arrays.get("state"), arrays.get("best")
        self.seed, self.settings.optimizer.lr = position["seed"], position["lr"]
        self.history.stopped = "callback" if position["stopped"] == "callback" else ""
        for name in ("epoch", "passes", "batch", "updates"):
            setattr(self, name, position[name])
        self.epoch_loss, self.epoch_targets = (float.fromhex(position[f"epoch_{n}"]) for n in ("loss", "targets"))


def data_of(rnn: RecurrentNetwork, name: str, value: Any) -> Data:
    """``(x, y)``, ``(x, y, weight)``, or a mapping with x, y and more of `fit`'s data; errors begin with `name`."""
    if isinstance(value, tuple) and len(value) in (2, 3):
        value = dict(zip(("x", "y", "weight"), value, strict=False))
    if not isinstance(value, Mapping) or not {"x", "y"} <= set(value) <= {"x", "y", "weight", "lengths", "reset"}:
        got = f"a dict with {', '.join(map(str, value))}" if isinstance(value, Mapping) else type(value).__name__
        raise TypeError(
            f"{name}: expected (x, y), (x, y, weight) or a dict with x, y, weight, lengths, reset, got {got}"
        )
    try:
        return Data(rnn, **value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None


def fit(
    rnn: RecurrentNetwork,
    data: Data,
    settings: Settings,
    validation: Any,
    seed: int | None,
    checkpoint: Any,
    resume: bool,
    progress: bool,
) -> History:
    """Train as `RecurrentNetwork.fit` says."""
    settings.check(rnn, data)
    held_out = None if validation is None else data_of(rnn, "validation", validation)
    if settings.patience is not None and held_out is None:
        raise ValueError("patience: expected None without validation data")
    if resume and checkpoint is None:
        raise ValueError("resume: expected False without a checkpoint")
    number = int(np.random.SeedSequence().entropy) % 2**64 if seed is None else size("seed", seed, 0, 2**64 - 1)  # type: ignore[arg-type]
    training = Training(rnn, data, held_out, settings, number)
    if resume and (found := Checkpoint.read(checkpoint)) is not None:
        if seed is not None and seed != found.position["seed"]:  # first: data may have been drawn by it
            raise ValueError(f"resume: expected seed as in the checkpoint, {found.position['seed']}, got {seed}")
        training.go_on_from(found)
    if checkpoint is not None:
        remove_stale(checkpoint)
    history = training.history
    if training.epoch > 0:
        history.stopped = history.stopped or training.over()
    last_saved = time.monotonic()

    def save() -> None:
        nonlocal last_saved
        if checkpoint is not None:
            training.checkpoint().write(checkpoint)
            last_saved = time.monotonic()

    if checkpoint is not None and not history.stopped:
        save()  # what cannot be written is found out now
    parts = training.parts()
    with interruptible() as interrupted, Bar(training, len(parts), progress) as bar:
        while not history.stopped:
            begin = time.perf_counter()
            while not training.epoch_is_over and not history.stopped:
                batch = data.take(parts[training.batch])
                training.update(batch)
                if training.batch == len(parts):
                    training.end_pass()
                    parts = training.parts()
                bar.add(batch.steps)
                if interrupted():
                    history.stopped = "interrupted"
                elif not training.epoch_is_over and time.monotonic() - last_saved > _CHECKPOINT_SECONDS:
                    save()
            if history.stopped != "interrupted":
                training.end_epoch(time.perf_counter() - begin)
                history.stopped = training.over()
                for callback in settings.callbacks:
                    if callback(history) is True and not history.stopped:
                        history.stopped = "callback"
                bar.end_epoch()
            save()
    if settings.patience is not None and history.best_parameters is not None and history.stopped != "interrupted":
        rnn.parameters = history.best_parameters
    return history
