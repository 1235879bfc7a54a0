"""What several processes compute together: training, and the loss and the gradients of a batch."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from bptt import _core
from bptt._arrays import BOOL, Array
from bptt._checks import shown
from bptt._threads import get_num_threads, set_num_threads
from bptt._version import __version__
from bptt.networks.base import RecurrentNetwork
from bptt.networks.chance import Chance
from bptt.networks.results import Parts
from bptt.networks.trainee import Trainee, given_of
from bptt.training.batches import Data, FreshData
from bptt.training.blocks import PairwiseSum
from bptt.training.checkpoint import flat
from bptt.training.distributed import DistributedTraining, Whole, pools_of, share_of, share_of_validation
from bptt.training.processes import Processes
from bptt.training.updates import Settings

_SENT_MOST = 2**31 - 2**24  # bytes of pickles that MPI counts with 32 bits

Given: TypeAlias = tuple[Trainee, Data | FreshData | None, Data | None, Settings]


@contextmanager
def threads_shared(processes: Processes) -> Iterator[None]:
    """Use as many threads as this process's part of its machine has processors."""
    before = get_num_threads()
    set_num_threads(processes.threads(before))
    try:
        yield
    finally:
        set_num_threads(before)


def training_of(
    read: Callable[[], Given], processes: Processes, seed: int, agreed: dict[str, Any]
) -> DistributedTraining:
    """The run of `fit` at its beginning.

    Parameters
    ----------
    read : callable
        Checks what the user gave to this process. Data may be None in all processes but the first, which then sends
        each its share.
    processes : Processes
        Those that train together.
    seed : int
        That of process 0 counts.
    agreed : dict
        What else all must agree in.

    Raises
    ------
    ValueError
        In every process, if they do not agree.
    """
    comm = processes.comm

    def checked() -> Given:
        network, data, validation, settings = read()
        if data is not None:
            settings.check(network, data, validation)
        elif processes.rank == 0:
            raise TypeError("x: expected sequences in process 0, got None")
        return network, data, validation, settings

    network, data, validation, settings = processes.everyone(checked)
    seed, wholes, digests = processes.first(lambda: (seed, *_of_first(data, validation)))
    mine = {
        "version": __version__,
        "instruction set": _core.isa(),
        **agreed,
        "network": network.identity(),
        "epochs": settings.epochs,
        "settings": settings.plain(),
        "state of the optimizer": _digest(settings.optimizer.state()),
        **(digests[0] if data is None else data.identity()),
        "reduction": "exact" if processes.exact else "fast",
        "validation": digests[1] if validation is None else validation.digest(),
    }
    _check_agreement(comm.allgather(mine))
    if wholes[0] is not None:
        blocks = pools_of(wholes[0], settings, processes).blocks
        if len(blocks) < processes.size:
            processes.first(partial(_warn_of_idle, processes.size, len(blocks), blocks[-1][1]))
    processes.everyone(partial(_check_forms, data, wholes[0]))
    if not isinstance(data, FreshData):
        data = _shares(processes, data, partial(share_of, wholes[0], settings, processes))
    if wholes[1] is not None:
        validation = _shares(processes, validation, partial(share_of_validation, wholes[1], settings, processes))
    reduction = {"reduction": "exact"} if processes.exact else {"reduction": "fast", "processes": processes.size}
    identity = {
        "network": mine["network"],
        "settings": {**settings.plain(), **reduction},
        **digests[0],
        "validation": mine["validation"],
    }
    how: dict[str, Any] = {"processes": processes, "whole": wholes[0], "identity": identity}
    return processes.everyone(lambda: DistributedTraining(network, data, validation, settings, seed, **how))


def _warn_of_idle(processes: int, blocks: int, sequences: int) -> None:
    warnings.warn(
        f"comm: of {processes} processes {processes - blocks} have nothing to do, as a batch of {sequences} sequences "
        f"is cut into {blocks} block{'s' * (blocks > 1)}",
        stacklevel=6,
    )


def _check_forms(data: Data | FreshData | None, whole: Whole | None) -> None:
    """Raise ValueError unless fresh data are made in every process, if in the first."""
    if whole is None and data is None:
        raise ValueError("x: expected Batches in every process, as in process 0, got None")


def _of_first(data: Data | FreshData | None, validation: Data | None) -> tuple[Any, ...]:
    """What process 0 tells: what is to know of the whole data, and their digests."""
    assert data is not None
    wholes = None if isinstance(data, FreshData) else Whole.of(data), validation and Whole.of(validation)
    return wholes, (data.identity(), _digest_of(validation))


def _digest_of(validation: Data | None) -> int | None:
    return None if validation is None else validation.digest()


def _digest(arrays: dict[str, Any]) -> int:
    value = 0
    for name, array in sorted(arrays.items()):
        value = zlib.crc32(np.ascontiguousarray(array).tobytes(), zlib.crc32(name.encode(), value))
    return value


def _check_agreement(told: list[dict[str, Any]]) -> None:
    """Raise ValueError unless all processes told the same."""
    first = dict(flat(told[0]))
    for rank, each in enumerate(told):
        other = dict(flat(each))
        for name in {**first, **other}:
            if (a := first.get(name)) != (b := other.get(name)):
                what = (
                    "other numbers" if name in ("data", "validation", "parameters") and None not in (a, b) else shown(b)
                )
                expected = "" if what == "other numbers" else f", {shown(a)}"
                raise ValueError(f"comm: expected {name} as in process 0{expected}, got {what} in process {rank}")


def _shares(processes: Processes, data: Data | None, share: Callable[[int], tuple[int, int]]) -> Data:
    """This process's share of the data: its own part of them, or what process 0 sends."""
    lacking = processes.comm.gather(data is None)

    def parts_of_all() -> list[Data | None] | None:
        if lacking is None:
            return None
        assert data is not None
        parts = [data.share(*share(rank)) if lacks else None for rank, lacks in enumerate(lacking)]
        if (bytes_sent := sum(part.nbytes for part in parts if part is not None)) > _SENT_MOST:
            raise ValueError(
                f"comm: expected at most 2 GiB of data to send from process 0 to the others, got {bytes_sent:,} bytes: "
                "give the data in every process"
            )
        return parts

    parts = processes.everyone(parts_of_all)
    sent: Data | None = processes.comm.scatter(parts)
    if data is not None:
        return data.share(*share(processes.rank))
    assert sent is not None
    return sent


# ---- A batch, in a user's own loop ----


class Call(NamedTuple):
    """What a user gives."""

    x: Any
    y: Any
    r0: Any
    lengths: Any
    weight: Any
    reset: Any
    chance: Chance
    activity: float
    wrt_x: bool = False
    memory_limit: int | None = None


def loss(rnn: RecurrentNetwork, given: Call, processes: Processes) -> float:
    """The total loss, each process computing that of some blocks."""
    data, initial, chance = _read_by_all(rnn, given, processes)
    blocks = processes.blocks(len(data))

    def of(k: int) -> float:
        arguments, r0 = _block(rnn, data, initial, *blocks[k])
        return rnn._loss(**arguments, r0=r0, chance=chance.of_block(k), activity=given.activity)

    parts = processes.comm.allgather(processes.everyone(partial(_side_by_side, of, processes.share(len(blocks)))))
    return float(sum(each for part in parts for each in part))


def loss_and_gradients(rnn: RecurrentNetwork, given: Call, processes: Processes) -> tuple[float, Parts]:
    """The loss, and what `Gradients` are made of, each process computing those of some blocks."""
    data, initial, chance = _read_by_all(rnn, given, processes)
    blocks = processes.blocks(len(data))
    begin, end = processes.share(len(blocks))

    def of(k: int) -> tuple[float, Parts]:
        arguments, r0 = _block(rnn, data, initial, *blocks[k])
        how: dict[str, Any] = {"wrt_x": given.wrt_x, "memory_limit": given.memory_limit, "activity": given.activity}
        return rnn._loss_and_gradients(**arguments, r0=r0, chance=chance.of_block(k), **how)

    found = processes.everyone(partial(_side_by_side, of, (begin, end)))
    total = PairwiseSum()
    for k, (_, parts) in enumerate(found, begin):
        total.add(k, 1, parts[0])
    states, n = rnn._states, rnn._layout.size
    _, vector = processes.sum(len(blocks), np.zeros(1), total, n, rnn.dtype)
    assert vector is not None
    rows = [
        (one, parts[2], *([array for _, array in states.arrays_of(parts[i])] for i in (3, 4))) for one, parts in found
    ]
    every = [row for part in processes.comm.allgather(rows) for row in part]
    losses, xs, initials, lasts = zip(*every, strict=True)
    dx = None
    if given.wrt_x:
        dx = [one for x in xs for one in x] if data.is_list else np.concatenate([_as_long(x, data.tau) for x in xs], 1)
    s = rnn._sequences(given.x, given.lengths)
    dr0, last = (
        states.give_back(s, [np.concatenate(arrays) for arrays in zip(*each, strict=True)])
        for each in (initials, lasts)
    )
    return float(sum(losses)), (vector, rnn._layout, None if dx is None else s.give_back(dx), dr0, last, states.name)


def _as_long(x: Array, tau: int) -> Array:
    """Rows of a block, whose sequences may all be shorter than the longest."""
    if len(x) == tau:
        return x
    return np.concatenate([x, np.zeros((tau - len(x), *x.shape[1:]), x.dtype)])


def _read_by_all(rnn: RecurrentNetwork, given: Call, processes: Processes) -> tuple[Data, list[Array] | None, Chance]:
    """The sequences of a call with what is beside them, their initial states, and what all leave to chance."""

    def read() -> tuple[Data, list[Array] | None]:
        s = rnn._sequences(given.x, given.lengths)
        targets, weights = rnn._targets(s, given.y, given.weight)
        reset = None if given.reset is None else s.every_step("reset", given.reset, None, BOOL)
        how = {"padded": s.form == "batch" and s.padded, "every_step": rnn._every_step, "classes": rnn._classes}
        return Data(s.data, targets, weights, reset, s.lengths, **how), rnn._states.read(s, given.r0, rnn.dtype)

    data, initial = processes.everyone(read)
    chance: Chance = processes.comm.bcast(given.chance)
    told = {
        "sequences": len(data),
        "steps": data.steps,
        "wrt_x": bool(given.wrt_x),
        "activity": given.activity,
        "reduction": "exact" if processes.exact else "fast",
        **{name: getattr(given.chance, name) for name in ("teacher_forcing", "noise", "dropout")},
        "parameters": zlib.crc32(rnn.parameters.data.cast("B")),
    }
    _check_agreement(processes.comm.allgather(told))
    return data, initial, chance


def _block(
    rnn: RecurrentNetwork, data: Data, initial: list[Array] | None, begin: int, end: int
) -> tuple[dict[str, Any], Any]:
    """The arguments of a block's call, and its initial states."""
    batch = data.share(begin, end).take(np.arange(end - begin))
    r0 = None if initial is None else rnn._states.nested([array[begin:end] for array in initial])
    return given_of(batch), r0


def _side_by_side(of: Callable[[int], Any], blocks: tuple[int, int]) -> list[Any]:
    """What `of` returns for each block, in as many threads as there are."""
    n, threads = blocks[1] - blocks[0], get_num_threads()
    if min(n, threads) < 2:
        return [of(k) for k in range(*blocks)]
    with ThreadPoolExecutor(min(n, threads)) as pool:
        return list(pool.map(of, range(*blocks)))
