"""Trainings whose bits must not depend on the number of processes; run as a program, under ``mpiexec``.

``python distributed_cases.py THREADS`` trains each case in all processes, and process 0 writes what came of it as JSON.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import bptt


def digest(*arrays: Any) -> str:
    """A name for the bits of arrays."""
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()[:16]


def _accuracy(y: Any, y_hat: Any) -> float:
    return float((y_hat.argmax(-1) == y).mean())


def _fresh(rng: np.random.Generator) -> tuple[Any, Any]:
    n = int(rng.integers(7, 30))
    return rng.standard_normal((9, n, 3)), rng.integers(0, 4, (9, n))


class Case:
    """A network, its data, and how it is trained."""

    def __init__(self, name: str) -> None:
        kind, form, size = name.split("-")
        self.random = random = np.random.default_rng(7)
        n = 130 if size == "large" else 9  # large: gradients too long for one message
        options: dict[str, Any] = {"optimizer": bptt.Adam(1e-2), "epochs": 3, "seed": 5, "clip_norm": 1.0}
        if kind == "elman":
            self.rnn: Any = bptt.ElmanRNN(3, (n, 7), 4, seed=1)
            options |= {"noise": 0.1, "dropout": lambda update: 0.1, "activity": 0.01}
        elif kind == "both":
            self.rnn = bptt.ElmanRNN(3, n, 4, bidirectional=True, activation="relu", dtype="float64", seed=1)
        else:
            self.rnn = bptt.JordanRNN(3, 12 * n, 4, seed=1)
            options |= {"teacher_forcing": 0.5}
        self.x: Any
        self.y: Any
        self.beside: dict[str, Any] = {}
        if form == "list":
            lengths = random.integers(2, 30, 70)
            self.x = [random.standard_normal((k, 3)) for k in lengths]
            self.y = [random.integers(0, 4, k) for k in lengths]
            options |= {"batch_size": 33, "metrics": {"accuracy": _accuracy}}
        elif form == "padded":
            self.x, self.y = random.standard_normal((12, 70, 3)), random.integers(-1, 4, (12, 70))
            self.beside = {
                "lengths": random.integers(1, 13, 70),
                "weight": random.integers(0, 3, (12, 70)).astype(float),
                "reset": random.random((12, 70)) < 0.1,
            }
            held_out = {"x": self.x[:, :41], "y": self.y[:, :41], "lengths": self.beside["lengths"][:41]}
            options |= {"batch_size": 20, "validation": held_out, "patience": 2, "metrics": {"accuracy": _accuracy}}
        elif form == "streams":
            self.x, self.y = random.standard_normal((60, 21, 3)), random.integers(0, 4, (60, 21))
            options |= {"truncate": 17, "updates_per_epoch": 5}
        else:
            self.x, self.y = bptt.Batches(_fresh, steps=5), None
        self.options = options

    def fit(self, comm: Any, everywhere: bool = True, **more: Any) -> bptt.History:
        """Train the network, with the data in each process or in the first alone."""
        options = {"progress": False, **self.options, **self.beside, **more}
        if everywhere or comm.Get_rank() == 0 or self.y is None:
            return self.rnn.fit(self.x, self.y, comm=comm, **options)  # type: ignore[no-any-return]
        options |= {"validation": None, **dict.fromkeys(self.beside)}
        return self.rnn.fit(None, comm=comm, **options)  # type: ignore[no-any-return]


NAMES = (
    "elman-list-small",
    "elman-padded-large",
    "elman-streams-small",
    "elman-fresh-small",
    "both-list-small",
    "both-padded-small",
    "jordan-list-large",
    "jordan-padded-small",
    "jordan-streams-large",
    "jordan-fresh-small",
)


def trained(name: str, comm: Any, everywhere: bool = True) -> list[str]:
    """What comes of a case."""
    case = Case(name)
    history = case.fit(comm, everywhere)
    told = [digest(case.rnn.parameters), digest(history.epochs.loss)]
    if "metrics" in case.options:
        told.append(digest(history.epochs.accuracy, history.epochs.validation))
    return [*told, digest(history.updates.loss, history.updates.gradient_norm)]


def called(name: str, comm: Any) -> list[str]:
    """What `loss` and `loss_and_gradients` give back of a batch."""
    case = Case(name)
    x, y = case.x, case.y
    if y is None:
        x, y = _fresh(case.random)
    random: dict[str, Any] = {"teacher_forcing": 0.5} if "jordan" in name else {"dropout": 0.2, "noise": 0.1}
    given = {**case.beside, **random, "seed": 3, "activity": 0.1}
    loss, gradients = case.rnn.loss_and_gradients(x, y, wrt_x=True, comm=comm, **given)
    assert loss == case.rnn.loss(x, y, comm=comm, **given)
    states = gradients._initial, gradients._last
    flat = [a for state in states for _, a in case.rnn._states.arrays_of(state)]
    return [digest(loss, gradients.flat), digest(*gradients.x), digest(*flat)]


def everything(comm: Any) -> dict[str, list[str]]:
    """All cases: what must be the same whoever computes it."""
    cases: list[tuple[str, Callable[[str, Any], list[str]]]] = [(name, trained) for name in NAMES]
    cases += [(name, called) for name in NAMES]
    return {f"{name} {function.__name__}": function(name, comm) for name, function in cases}


if __name__ == "__main__":
    from mpi4py import MPI

    bptt.set_num_threads(int(sys.argv[1]))
    found = everything(MPI.COMM_WORLD)
    if MPI.COMM_WORLD.Get_rank() == 0:
        print(json.dumps(found))
