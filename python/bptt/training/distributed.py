"""Training by several processes: each has some of the sequences, and all make the same updates."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from bptt._arrays import Array
from bptt._checks import number
from bptt._threads import get_num_threads
from bptt.training.batches import Data, FreshData, Part
from bptt.training.blocks import PairwiseSum, Range
from bptt.training.metrics import computed_metrics
from bptt.training.processes import Processes, told
from bptt.training.protocol import Network, State
from bptt.training.updates import DEFAULT_BATCH, Computed, Settings, Training, Wishes

_WELL, _INTERRUPTED, _FAILED = 0.0, 1.0, 2.0  # how a process is after its part of an update


@dataclass(frozen=True)
class Whole:
    """What is to know of data of which each process has a share."""

    sequences: int
    tau: int
    steps: int

    @classmethod
    def of(cls, data: Data) -> Whole:
        """That of the whole data."""
        return cls(len(data), data.tau, data.steps)


@dataclass(frozen=True)
class Pools:
    """Sequences cut into pools, one for each block of a batch: a batch takes some sequences of each.

    So a process that has a block needs the sequences of its pool alone, whatever the order of an epoch.
    """

    blocks: Sequence[Range]  # of a batch
    ranges: list[Range]  # of the data, a pool each

    @classmethod
    def of(cls, n: int, blocks: Sequence[Range]) -> Pools:
        """Cut `n` sequences, of which a batch has so many as the blocks have together."""
        size = blocks[-1][1]
        whole, left = divmod(n, size)
        bounds = [whole * end + round(left * end / size) for _, end in blocks]
        return cls(blocks, list(zip([0, *bounds[:-1]], bounds, strict=True)))

    @property
    def batches(self) -> int:
        """How many batches all sequences make."""
        return -(-self.ranges[-1][1] // self.blocks[-1][1])


def pools_of(whole: Whole, settings: Settings, processes: Processes) -> Pools:
    """The pools of data, as the settings want their batches."""
    n = whole.sequences
    size = n if settings.truncate is not None else min(settings.batch_size or DEFAULT_BATCH, n)
    return Pools.of(n, processes.blocks(size))


def share_of(whole: Whole, settings: Settings, processes: Processes, rank: int) -> Range:
    """Which sequences of the data a process has: those of its pools."""
    ranges = pools_of(whole, settings, processes).ranges
    begin, end = processes.share(len(ranges), rank)
    return (ranges[begin][0], ranges[end - 1][1]) if begin < end else (0, 0)


def share_of_validation(whole: Whole, settings: Settings, processes: Processes, rank: int) -> Range:
    """Which sequences of the validation data a process has: those of its batches."""
    size = settings.batch_size or DEFAULT_BATCH
    begin, end = processes.share(-(-whole.sequences // size), rank)
    return begin * size, min(end * size, whole.sequences)


class Block(NamedTuple):
    """A block of a batch: where it is, and what is taken of which data."""

    number: int
    data: Data
    part: Part | None  # None: nothing
    state: State | None


class Share(NamedTuple):
    """What a process has of a batch."""

    blocks: list[Block]
    of: int  # how many all processes have
    part: None = None


def _stoppable(call: Callable[[], Any]) -> Any:
    """What `call` returns; None if it was interrupted: the others hear of that as of any other result."""
    try:
        return call()
    except KeyboardInterrupt:
        return None


class _Flat(NamedTuple):
    flat: Array


class DistributedTraining(Training):
    """One run of `fit` by several processes.

    Parameters
    ----------
    network, settings, seed
        As for `Training`: the same in each process.
    data, validation : Data
        This process's share; `FreshData` have none.
    processes : Processes
        Those that train together.
    whole : Whole or None
        What the share is a part of; None of `FreshData`.
    identity : dict
        What a run to be resumed must be equal in.
    """

    def __init__(
        self,
        network: Network,
        data: Data | FreshData,
        validation: Data | None,
        settings: Settings,
        seed: int,
        *,
        processes: Processes,
        whole: Whole | None,
        identity: dict[str, Any],
    ) -> None:
        self._processes, self._whole = processes, whole
        self._pools: Pools | None = None
        self._pool_data: list[Data] = []  # of the pools of this process
        if whole is not None and isinstance(data, Data):
            self._pools = pools_of(whole, settings, processes)
            begin, end = processes.share(len(self._pools.blocks))
            self._first_pool, ranges = begin, self._pools.ranges[begin:end]
            self._pool_data = [data.share(a - ranges[0][0], b - ranges[0][0]) for a, b in ranges]
        self._gathered: State | None = None  # of all streams, in process 0
        self._asked = Wishes()
        super().__init__(network, data, validation, settings, seed)
        self.identity = identity
        self._threads = ThreadPoolExecutor(get_num_threads())

    # ---- What comes from outside ----

    def asked(self) -> Wishes:
        """What any process wished after its part of the update."""
        return self._asked

    @property
    def steps(self) -> int | None:
        """How many steps the data of all processes have."""
        return None if self._whole is None else self._whole.steps

    # ---- An update ----

    @property
    def batches(self) -> int:
        """How many batches or windows a pass has."""
        return len(self._parts) if self._pools is not None else super().batches

    def _parts_of_pass(self) -> list[Any]:
        """Of each batch of the pass, the part of each pool of this process; None where a pool has none left."""
        s = self.settings
        if self._pools is None or self._whole is None:
            return []
        if s.truncate is not None:
            windows = [slice(t, min(t + s.truncate, self._whole.tau)) for t in range(0, self._whole.tau, s.truncate)]
            return [[steps] * len(self._pool_data) for steps in windows]
        columns: list[list[Part | None]] = []
        n = self._pools.batches
        for pool, data in enumerate(self._pool_data, self._first_pool):
            begin, end = self._pools.blocks[pool]
            parts = data.groups(end - begin, self._random(0, self.passes, pool + 1) if s.shuffle else None)
            columns.append([*parts, *[None] * (n - len(parts))])
        rows = [[column[j] for column in columns] for j in range(n)]
        return [rows[j] for j in self._random(0, self.passes).permutation(n)] if s.shuffle else rows

    def take(self) -> Any:
        """What this process has of the next update."""
        if isinstance(self.data, FreshData):
            make = partial(self.data.make, self.passes, self.batch, partial(self._random, 2))
            made = self._processes.everyone(partial(_stoppable, make))
            if self._processes.any(made is None):
                return None
            self._processes.alike(f"epoch {self.passes}, batch {self.batch}: make", len(made), "sequences")
            blocks = self._processes.blocks(len(made))
            mine = [(k, made.share(*blocks[k])) for k in range(*self._processes.share(len(blocks)))]
            return Share([Block(k, data, np.arange(len(data)), None) for k, data in mine], len(blocks))
        assert self._pools is not None
        states = self.state or [None] * len(self._pool_data)
        each = zip(self._pool_data, self._parts[self.batch], states, strict=True)
        return Share([Block(i, *of_pool) for i, of_pool in enumerate(each, self._first_pool)], len(self._pools.blocks))

    def gradients(self, batch: Any) -> Any:
        """The loss and the gradients of the next update, over the blocks of all processes; None if it is to stop."""
        share: Share = batch
        begin, parameters = time.perf_counter(), self.network.parameters
        total, last, status = PairwiseSum(), [], _WELL
        most = -(-share.of // self._processes.size)  # blocks of a process
        numbers = np.zeros((1 + most, 3))
        failure: BaseException | None = None
        try:
            for i, (computed, gradient) in enumerate(self._computed(share.blocks)):
                total.add(share.blocks[i].number, 1, gradient)
                numbers[1 + i] = computed.loss, computed.targets, computed.steps
                last.append(computed.last)
        except KeyboardInterrupt:
            status = _INTERRUPTED
        except BaseException as error:
            failure, status = error, _FAILED
        numbers[0] = status, *self.wishes()
        every, vector = self._processes.sum(share.of, numbers.ravel(), total, parameters.size, parameters.dtype)
        if any(each[0] == _FAILED for each in every):
            texts = self._processes.comm.allgather(None if failure is None else told(failure))
            self._processes.raise_any(texts, failure)
        self._asked = Wishes(any(each[1] != 0 for each in every), bool(every[0][2]))
        if vector is None:
            return None
        shares = map(partial(self._processes.share, share.of), range(len(every)))
        counts = [after - first for first, after in shares]
        rows = [row for n, each in zip(counts, every, strict=True) for row in each.reshape(-1, 3)[1 : 1 + n].tolist()]
        loss, targets, steps = (sum(column) for column in zip(*rows, strict=True))
        return Computed(loss, _Flat(vector), last, targets, int(steps), begin)

    def _computed(self, blocks: list[Block]) -> Iterator[tuple[Computed, Array]]:
        """Of each block, what an update would follow, and its gradient; several at once where there are threads."""
        s = self.settings
        number("schedule", self._schedule(self.updates), 0, math.inf)  # what is wrong with it, all hear of here
        forcing = s.teacher_forcing(self.updates) if callable(s.teacher_forcing) else s.teacher_forcing

        def of(block: Block) -> tuple[Computed, Array]:
            if block.part is None:
                nothing = np.zeros_like(self.network.parameters)
                return Computed(0.0, _Flat(nothing), [], 0.0, 0, 0.0), nothing
            batch = block.data.take(block.part)
            random = None if forcing is None else self._random(1, self.updates, block.number)
            told = self._of_update(block.number)
            loss, gradients, last = self.network.loss_and_gradients(batch, block.state, forcing, random, **told)
            return Computed(loss, gradients, last, batch.targets, batch.steps, 0.0), gradients.flat

        return map(of, blocks) if len(blocks) < 2 or get_num_threads() == 1 else self._threads.map(of, blocks)

    def _not_finite(self, data: Data | FreshData, part: Any = None) -> str:
        """Say which number is the first that is not finite, in the data of whatever process."""
        here: list[tuple[Data | FreshData, Any]] = [(data, part)] if isinstance(data, FreshData) or len(data) else []
        if data is self.data and isinstance(data, Data):
            parts: list[Part | None] = self._parts[self.batch]
            here = [(pool, p) for pool, p in zip(self._pool_data, parts, strict=True) if p is not None]
        found = next((text for each, p in here if (text := each.not_finite(p))), "")
        return next(filter(None, self._processes.comm.allgather(found)), "")

    # ---- The end of an epoch ----

    def agree(self) -> None:
        """Take over what process 0 has: a callback may have changed the parameters, or the optimizer's numbers."""
        optimizer, parameters = self.settings.optimizer, self.network.parameters
        options, numbers = self._processes.comm.bcast((optimizer._options(), parameters))
        if self._processes.rank > 0:
            parameters[:] = numbers
            for name, value in options.items():
                setattr(optimizer, name, value)

    def mean_loss(self, data: Data, interrupted: Callable[[], bool]) -> float | None:
        """Per target, as `Training` has it; the batches are those of the data in their order."""
        forcing = 0.0 if self.settings.teacher_forcing == 0 else None

        def losses() -> list[tuple[float, float]] | None:
            found = []
            for part in data.in_order(self.settings.batch_size or DEFAULT_BATCH):
                if interrupted():
                    return None
                batch = data.take(part)
                found.append((self.network.loss(batch, forcing), batch.targets))
            return found

        if (rows := self._all_rows(losses)) is None:
            return None
        loss, targets = (sum(column) for column in zip(*rows, strict=True))
        return loss / targets if targets > 0 else math.nan

    def _metrics(self, interrupted: Callable[[], bool]) -> dict[str, float] | None:
        if not (metrics := self.settings.metrics):
            return {}
        data = self.data if self.validation is None else self.validation
        assert isinstance(data, Data)
        pairs = self._processes.everyone(partial(_stoppable, partial(self._pairs, data, interrupted)))
        if self._processes.any(pairs is None):
            return None
        parts = self._processes.comm.gather(pairs)

        def computed() -> dict[str, float]:
            y, y_hat = (np.concatenate(arrays) for arrays in zip(*itertools.chain(*parts), strict=True))
            return computed_metrics(metrics, y, y_hat, self.epoch)

        found: dict[str, float] | None = self._processes.first(partial(_stoppable, computed))
        return found

    def _all_rows(self, call: Callable[[], list[Any] | None]) -> list[Any] | None:
        """What `call` returns in all processes, one list after the other; None where any of them is to stop."""
        found = self._processes.comm.allgather(self._processes.everyone(partial(_stoppable, call)))
        return None if any(rows is None for rows in found) else [row for rows in found for row in rows]

    # ---- To and from a checkpoint ----

    @property
    def _streams(self) -> int:
        return 0 if self._whole is None else self._whole.sequences

    def gather(self) -> None:
        """Bring the state of all streams to process 0."""
        if self.state is None:
            self._gathered = None
        elif (parts := self._processes.comm.gather(self.state)) is not None:
            of_pools = [state for states in parts for state in states]
            self._gathered = [np.concatenate(arrays) for arrays in zip(*of_pools, strict=True)]

    def _whole_state(self) -> State | None:
        return self._gathered

    def _carry(self, state: State | None) -> None:
        self.state = None
        if state is not None and self._pools is not None:
            mine = self._pools.ranges[slice(*self._processes.share(len(self._pools.ranges)))]
            self.state = [[array[a:b].copy() for array in state] for a, b in mine]
