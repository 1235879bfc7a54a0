"""One run of `fit`: its updates and epochs, and what it takes to go on from there."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from bptt._arrays import Array, shape_text
from bptt._checks import number, size, truth
from bptt.training.batches import Batch, Data, FreshData, Part, described
from bptt.training.checkpoint import Checkpoint
from bptt.training.history import History, Record
from bptt.training.metrics import Metric, checked_metrics, computed_metrics
from bptt.training.optimizer import Optimizer
from bptt.training.protocol import HasFlat, Network, State
from bptt.training.schedules import Constant, Schedule, follows_losses, of_a_run

DEFAULT_BATCH = 32  # sequences


def _bound(name: str, value: float | None) -> float | None:
    return None if value is None else number(name, value, 0.0, math.inf, "()")


def _count(name: str, value: int | None) -> int | None:
    return None if value is None else size(name, value, 1)


_OF_AN_UPDATE = {"noise": math.inf, "dropout": 1.0, "activity": math.inf}  # and what each is below
_NOT_FED_BACK = {"noise": "its units have no state", "dropout": "what goes up from its units is its recurrence"}


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
    schedule: Schedule | None
    patience: int | None
    shuffle: bool
    callbacks: Sequence[Callable[[History], Any]]
    teacher_forcing: Callable[[int], float] | float | None
    metrics: Mapping[str, Metric] | None
    noise: Callable[[int], float] | float | None
    dropout: Callable[[int], float] | float | None
    activity: Callable[[int], float] | float | None

    def __post_init__(self) -> None:
        if not isinstance(self.optimizer, Optimizer):
            raise TypeError(f"optimizer: expected one of bptt's optimizers, got {type(self.optimizer).__name__}")
        self.epochs = size("epochs", self.epochs, 1)
        self.clip_norm = _bound("clip_norm", self.clip_norm)
        self.clip_value = _bound("clip_value", self.clip_value)
        self.batch_size = _count("batch_size", self.batch_size)
        self.truncate = _count("truncate", self.truncate)
        self.updates_per_epoch = _count("updates_per_epoch", self.updates_per_epoch)
        self.patience = _count("patience", self.patience)
        if self.schedule is not None and not (callable(self.schedule) or follows_losses(self.schedule)):
            raise TypeError(f"schedule: expected a function of the update, got {type(self.schedule).__name__}")
        if callable(self.callbacks):
            raise TypeError("callbacks: expected a list of functions, got a function")
        try:
            self.callbacks = tuple(self.callbacks)
        except TypeError:
            raise TypeError(f"callbacks: expected a list of functions, got {type(self.callbacks).__name__}") from None
        for callback in self.callbacks:
            if not callable(callback):
                raise TypeError(f"callbacks: expected functions of the history, got {type(callback).__name__}")
        self.shuffle = truth("shuffle", self.shuffle)
        self.metrics = checked_metrics(self.metrics)
        for name, most in _OF_AN_UPDATE.items():
            value = getattr(self, name)
            if value is not None and not callable(value):
                setattr(self, name, number(name, value, 0, most))

    def check(self, network: Network, data: Data | FreshData, validation: Data | None) -> None:
        """Raise ValueError for what this network or these data do not have."""
        if self.patience is not None and validation is None:
            raise ValueError("patience: expected None without validation data")
        if self.teacher_forcing is not None and not network.feeds_outputs_back:
            raise ValueError("teacher_forcing: expected None, as no outputs are fed back")
        for name, reason in _NOT_FED_BACK.items():
            if getattr(self, name) is not None and network.feeds_outputs_back:
                raise ValueError(f"{name}: expected None with a recurrence from the output, as {reason}")
        if isinstance(data, FreshData):
            self._check_fresh(validation)
        elif self.truncate is not None:
            self._check_truncation(network, data)

    def _check_fresh(self, validation: Data | None) -> None:
        reasons = {
            "truncate": "no batch goes on where another one ends",
            "batch_size": "make decides on it",
            "updates_per_epoch": "steps says so",
        }
        for name, reason in reasons.items():
            if getattr(self, name) is not None:
                raise ValueError(f"{name}: expected None with Batches, as {reason}")
        if not self.shuffle:
            raise ValueError("shuffle: expected True, its default, with Batches, as make decides on the order")
        if self.metrics and validation is None:
            raise ValueError("metrics: expected None with Batches without validation data, as no batch is kept")

    def _check_truncation(self, network: Network, data: Data) -> None:
        if self.batch_size is not None:
            raise ValueError("batch_size: expected None with truncate, as all streams go on side by side")
        if data.is_list or data.padded:
            raise ValueError("truncate: expected x in one array of streams of equal length, got sequences of several")
        if not data.every_step:
            raise ValueError("truncate: expected None where only the last step has an output")
        network.check_truncation()

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
            "schedule": described(self.schedule),
            "teacher_forcing": described(self.teacher_forcing),
            "optimizer": self.optimizer.configuration(),
            **({"metrics": sorted(self.metrics)} if self.metrics else {}),
            **{name: described(value) for name in _OF_AN_UPDATE if (value := getattr(self, name)) is not None},
        }


class Wishes(NamedTuple):
    """What is to be done after an update."""

    stop: bool = False
    save: bool = False


class Computed(NamedTuple):
    """What an update follows."""

    loss: float
    gradients: HasFlat
    last: Any  # the state after the last of the steps, from which a next window goes on
    targets: float
    steps: int
    begin: float  # when it was begun


class Training:
    """One run of `fit`: where it is, and what it takes to go on from there."""

    def __init__(
        self, network: Network, data: Data | FreshData, validation: Data | None, settings: Settings, seed: int
    ) -> None:
        self.network, self.data, self.validation, self.settings = network, data, validation, settings
        self.seed = seed
        self.wishes: Callable[[], Wishes] = Wishes
        self.history = History(settings.metrics or ())
        self.epoch = self.passes = 0  # completed: epochs, and passes over the data
        self.batch = 0  # of the pass under way, the next one
        self.updates = 0
        self.epoch_loss = self.epoch_targets = 0.0
        self.best, self.best_epoch = math.inf, -1  # the lowest validation loss, and where: no epoch looks at all others
        self.state: Any = None  # what is carried from window to window: a State
        self._schedule = self._schedule_here()
        self._parts: list[Any] = self._parts_of_pass()
        self._before = np.empty_like(network.parameters)

    # ---- What comes from outside ----

    def asked(self) -> Wishes:
        """What is wished after the update that was made."""
        return self.wishes()

    @property
    def steps(self) -> int | None:
        """How many steps the data have; None of those that are made as training goes on."""
        return self.data.steps if isinstance(self.data, Data) else None

    # ---- What an epoch is made of ----

    def _random(self, purpose: int, *numbers: int) -> np.random.Generator:
        """Of an epoch or update: it follows from the seed alone, so that a resumed run needs no generator's state."""
        return np.random.default_rng([self.seed, purpose, *numbers])

    @property
    def batches(self) -> int:
        """How many batches or windows a pass has."""
        return self.data.batches.steps if isinstance(self.data, FreshData) else len(self._parts)

    def take(self) -> Batch:
        """What the next update sees."""
        if isinstance(self.data, FreshData):
            return self.data.take(self.passes, self.batch, partial(self._random, 2))
        return self.data.take(self._parts[self.batch])

    def _parts_of_pass(self) -> list[Part]:
        """The parts of the data that the pass under way sees one after the other; of fresh data there are none."""
        s = self.settings
        if isinstance(self.data, FreshData):
            return []
        if s.truncate is not None:
            return self.data.windows(s.truncate)
        return self.data.batches(s.batch_size or DEFAULT_BATCH, self._random(0, self.passes) if s.shuffle else None)

    def gradients(self, batch: Batch) -> Computed:
        """The loss and the gradients of the next update, which changes nothing yet."""
        s, begin = self.settings, time.perf_counter()
        forcing = s.teacher_forcing(self.updates) if callable(s.teacher_forcing) else s.teacher_forcing
        random = None if forcing is None else self._random(1, self.updates)
        computed = self.network.loss_and_gradients(batch, self.state, forcing, random, **self._of_update())
        return Computed(*computed, batch.targets, batch.steps, begin)

    def _of_update(self, *numbers: int) -> dict[str, Any]:
        """Noise and dropout of the next update, with their seed, which follows from the numbers too; and its cost of
        activity."""
        told = {name: value for name in _OF_AN_UPDATE if (value := getattr(self.settings, name)) is not None}
        here: dict[str, Any] = {
            name: number(name, value(self.updates) if callable(value) else value, 0, _OF_AN_UPDATE[name])
            for name, value in told.items()
        }
        if not here.keys().isdisjoint(_NOT_FED_BACK):
            here["seed"] = int(self._random(3, self.passes, self.batch, *numbers).integers(2**64, dtype=np.uint64))
        return here

    def _schedule_here(self) -> Any:
        """The schedule, after the epochs that were made: their losses are all that it depends on."""
        epochs, schedule = self.history.epochs, self.settings.schedule
        losses = epochs.loss if self.validation is None else epochs.validation
        return of_a_run(Constant() if schedule is None else schedule, losses.tolist())

    def update(self, batch: Batch, computed: Computed) -> None:
        """One update of the parameters, or none where there is no target."""
        s = self.settings
        if computed.targets > 0:
            rate = s.optimizer.lr * number("schedule", self._schedule(self.updates), 0, math.inf)
            norm = self._step(batch, computed, rate)
            self.history.updates.append(
                {
                    "loss": computed.loss / computed.targets,
                    "gradient_norm": norm,
                    "learning_rate": rate,
                    "targets": computed.targets,
                    "seconds": time.perf_counter() - computed.begin,
                }
            )
            self.updates += 1
            self.epoch_loss += computed.loss
            self.epoch_targets += computed.targets
        if s.truncate is not None:
            self.state = computed.last
        self.batch += 1

    def end_pass(self) -> None:
        self.passes, self.batch, self.state = self.passes + 1, 0, None
        self._parts = self._parts_of_pass()

    @property
    def epoch_is_over(self) -> bool:
        n = self.settings.updates_per_epoch
        return self.passes > self.epoch if n is None else self.updates == (self.epoch + 1) * n

    def _step(self, batch: Batch, computed: Computed, rate: float) -> float:
        """Update the parameters, or raise and leave them as they were; the norm of the gradient of the mean loss."""
        s, parameters, (loss, gradients, _, scale, *_) = self.settings, self.network.parameters, computed
        self._before[:] = parameters
        try:
            if not math.isfinite(loss):
                raise FloatingPointError(f"the loss is {loss}")
            norm = s.optimizer.step(
                self.network, gradients, scale=scale, clip_norm=s.clip_norm, clip_value=s.clip_value, lr=rate
            )
            if not np.isfinite(parameters).all():
                raise FloatingPointError(f"the parameters overflow at a learning rate of {rate:g}")
        except FloatingPointError as error:
            parameters[:] = self._before
            norm = float(np.sqrt(np.square(gradients.flat, dtype=np.float64).sum())) / scale
            what = self._not_finite(self.data, batch.part) or error  # data are searched only where something went wrong
            raise FloatingPointError(
                f"update {self.updates} (epoch {self.epoch}): {what}; the norm of the gradient is {norm:.6g}; "
                "the parameters are those before this update"
            ) from None
        return norm

    def agree(self) -> None:
        """After callbacks: what they have changed is the same wherever the run is."""

    def end_epoch(self, seconds: float, interrupted: Callable[[], bool]) -> bool:
        """Validate and write the history. False where validation was interrupted: then the epoch is not over yet."""
        loss = self.epoch_loss / self.epoch_targets if self.epoch_targets > 0 else math.nan
        validation = math.nan
        if self.validation is not None:
            found = self.mean_loss(self.validation, interrupted)
            if found is None:
                return False
            validation = found
            if not math.isfinite(validation):
                where = self._not_finite(self.validation)
                what = f"validation: {where}" if where else f"the validation loss is {validation}"
                raise FloatingPointError(f"epoch {self.epoch}: {what}; the parameters are those after it")
        metrics = self._metrics(interrupted)
        if metrics is None:
            return False
        row = {"loss": loss, "validation": validation, "updates": self.updates, "seconds": seconds}
        self.history.epochs.append(row | metrics)
        if follows_losses(self.settings.schedule):
            self._schedule.end_epoch(loss if self.validation is None else validation)
        if validation < self.best:
            self.best, self.best_epoch = validation, self.epoch
            if self.settings.patience is not None:
                self.history.best_parameters = self.network.parameters.copy()
        self.epoch += 1
        self.epoch_loss = self.epoch_targets = 0.0
        return True

    def _not_finite(self, data: Data | FreshData, part: Any = None) -> str:
        """Say which number of a part of data, or of all, is the first that is not finite; an empty text if all are."""
        return data.not_finite(part)

    def _metrics(self, interrupted: Callable[[], bool]) -> dict[str, float] | None:
        """The value of each metric; None where it was interrupted between batches."""
        if not self.settings.metrics:
            return {}
        data = self.data if self.validation is None else self.validation
        assert isinstance(data, Data)  # of batches that are fresh none is kept
        if (pairs := self._pairs(data, interrupted)) is None:
            return None
        y, y_hat = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
        return computed_metrics(self.settings.metrics, y, y_hat, self.epoch)

    def _pairs(self, data: Data, interrupted: Callable[[], bool]) -> list[tuple[Array, Array]] | None:
        """The targets that count and what is predicted for them; None where it was interrupted between batches."""
        pairs: list[tuple[Array, Array]] = []
        for part in data.in_order(self.settings.batch_size or DEFAULT_BATCH):
            if interrupted():
                return None
            batch = data.take(part)
            pairs += data.counted(batch, self.network.y_hat(batch))
        return pairs

    def mean_loss(self, data: Data, interrupted: Callable[[], bool]) -> float | None:
        """Per target, in batches; None where it was interrupted between them.

        A network with teacher forcing is fed with targets unless it is never trained so.
        """
        forcing = 0.0 if self.settings.teacher_forcing == 0 else None
        total = targets = 0.0
        for part in data.batches(self.settings.batch_size or DEFAULT_BATCH, None):
            if interrupted():
                return None
            batch = data.take(part)
            total += self.network.loss(batch, forcing)
            targets += batch.targets
        return total / targets if targets > 0 else math.nan

    # ---- When it ends ----

    def over(self) -> str:
        """Why training ends here, after a whole epoch; empty if it goes on."""
        if self.settings.patience is not None and self.epoch - 1 - self.best_epoch >= self.settings.patience:
            return "patience"
        return "epochs" if self.epoch >= self.settings.epochs else ""

    # ---- To and from a checkpoint ----

    @property
    def _streams(self) -> int:
        """How many sequences go on from window to window."""
        return len(self.data) if isinstance(self.data, Data) else 0

    def gather(self) -> None:
        """Have at hand what a checkpoint holds."""

    def _whole_state(self) -> State | None:
        """The state of all sequences, which is carried from window to window."""
        state: State | None = self.state
        return state

    def _carry(self, state: State | None) -> None:
        """Go on from the state of all sequences."""
        self.state = state

    def _records(self) -> dict[str, Record]:
        return {"updates": self.history.updates, "epochs": self.history.epochs}

    def checkpoint(self) -> Checkpoint:
        arrays = {"parameters": self.network.parameters, **_named(self._whole_state() or [])}
        if self.history.best_parameters is not None:
            arrays["best"] = self.history.best_parameters
        for name, array in self.settings.optimizer.state().items():
            arrays[f"optimizer.{name}"] = np.asarray(array)
        for kind, record in self._records().items():
            for name, array in record.arrays().items():
                arrays[f"{kind}.{name}"] = array
        options = self.settings.optimizer._options()
        position = {
            "seed": self.seed,
            "epoch": self.epoch,
            "passes": self.passes,
            "batch": self.batch,
            "updates": self.updates,
            "epoch_loss": self.epoch_loss.hex(),
            "epoch_targets": self.epoch_targets.hex(),
            "stopped": self.history.stopped,
            "lr": options.pop("lr"),
            "hyper_parameters": options,
        }
        return Checkpoint(arrays, self.identity, position)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a run to be resumed must be equal in, as training began."""
        return {
            "network": self.network.identity(),
            "settings": self.settings.plain(),
            **self.data.identity(),
            "validation": None if self.validation is None else self.validation.digest(),
        }

    def go_on_from(self, checkpoint: Checkpoint) -> None:
        """Be where the run was that has written the checkpoint.

        Raises
        ------
        ResumeError
            If that was another run.
        TypeError, ValueError
            If no run could have written it. Nothing has changed then, as with a ResumeError.
        """
        checkpoint.check(self.identity, {"network": self.network.not_told_before()})
        arrays, position = checkpoint.arrays, checkpoint.position
        self._check_position(position)
        self._check_arrays(arrays, position)
        optimizer, told = self.settings.optimizer, position["hyper_parameters"]
        options = {**(optimizer._options() if told is None else told), "lr": position["lr"]}
        resumed = optimizer._resumed(options, checkpoint.part("optimizer"), self.network.parameters)
        vars(optimizer).update(vars(resumed))
        for kind, record in self._records().items():
            record.load(checkpoint.part(kind))
        if (best := self.history.best_epoch) is not None:
            self.best, self.best_epoch = float(self.history.validation[best]), best
        self._schedule = self._schedule_here()
        self.network.parameters[:] = arrays["parameters"]
        self._carry(_carried(arrays))
        self.history.best_parameters = arrays.get("best")
        self.seed = position["seed"]
        self.history.stopped = "callback" if position["stopped"] == "callback" else ""
        self.epoch, self.passes = position["epoch"], position["passes"]
        self.batch, self.updates = position["batch"], position["updates"]
        self.epoch_loss = float.fromhex(position["epoch_loss"])
        self.epoch_targets = float.fromhex(position["epoch_targets"])
        self._parts = self._parts_of_pass()

    def _check_position(self, position: dict[str, Any]) -> None:
        """Raise ValueError for a place where no run with these data and settings can be."""
        epoch, passes, batch, updates = (position[name] for name in ("epoch", "passes", "batch", "updates"))
        parts, n = self.batches, self.settings.updates_per_epoch
        whole = passes == epoch or (passes, batch) == (epoch + 1, 0)  # an epoch that is not yet validated
        if batch >= parts or (n is None and not whole):
            raise ValueError(f"position: expected a batch of {parts} in epoch {epoch}, got {batch} in pass {passes}")
        least, most = (0, passes * parts + batch) if n is None else (n * epoch, n * (epoch + 1))
        if not least <= updates <= min(most, passes * parts + batch):
            raise ValueError(f"position: expected {least} to {most} updates in epoch {epoch}, got {updates}")

    def _check_arrays(self, arrays: dict[str, Array], position: dict[str, Any]) -> None:
        """Raise ValueError unless these are the arrays, beside the optimizer's, of a run that is there."""
        parameters, s = self.network.parameters, self.settings
        best = {} if s.patience is None or position["epoch"] == 0 else {"best": parameters}
        state = {}
        if s.truncate is not None and position["batch"] > 0:
            state = _named(self.network.state(self._streams))
        like = {"parameters": parameters, **best, **state}
        expected: dict[str, tuple[Any, ...]] = {name: (array.shape, array.dtype) for name, array in like.items()}
        for kind, rows in (("updates", position["updates"]), ("epochs", position["epoch"])):
            expected |= {f"{kind}.{name}": ((rows,), np.dtype(np.float64)) for name in self._records()[kind].arrays()}
        got = {name: (a.shape, a.dtype) for name, a in arrays.items() if not name.startswith("optimizer.")}
        for name in sorted({*expected, *got}):
            if got.get(name) != expected.get(name):
                there, here = (_described_array(which.get(name)) for which in (expected, got))
                raise ValueError(f"{name[:100]}: expected {there}, got {here}")
        if not np.isfinite(arrays["epochs.updates"]).all():
            raise ValueError("epochs.updates: expected finite numbers")


def _described_array(kind: tuple[Any, ...] | None) -> str:
    return "none" if kind is None else f"{shape_text(kind[0])} in {kind[1]}"


def _named(state: State) -> dict[str, Array]:
    """A state under the names of a checkpoint's arrays."""
    return {"state": state[0]} if len(state) == 1 else {f"state.{i}": array for i, array in enumerate(state)}


def _carried(arrays: dict[str, Array]) -> State | None:
    """The state that a checkpoint holds; None at the beginning of a pass."""
    if "state" in arrays:
        return [arrays["state"]]
    several = [name for name in arrays if name.startswith("state.")]
    return [arrays[f"state.{i}"] for i in range(len(several))] or None
