"""A network as training sees it, and the data of `fit`, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bptt._arrays import BOOL, Array
from bptt.networks.base import RecurrentNetwork
from bptt.networks.chance import Chance
from bptt.networks.results import Gradients, Run
from bptt.training.batches import Batch, Batches, Data, FreshData
from bptt.training.protocol import State


class Trainee:
    """A `training.protocol.Network`."""

    def __init__(self, rnn: RecurrentNetwork, constraints: Any = None) -> None:
        self._rnn = rnn
        self._layout = rnn._layout  # for the optimizer's step, as are these
        self._constraints = rnn._constraints
        if constraints is not None:
            from bptt.constraints.held import Held, checked_list

            if given := checked_list(constraints):
                self._constraints = Held((*rnn.constraints, *given), rnn)
                self._constraints.projected(rnn.parameters)  # or an error, before anything changes

    @property
    def parameters(self) -> Array:
        """All parameters in one writable vector."""
        return self._rnn.parameters

    @property
    def feeds_outputs_back(self) -> bool:
        """Whether its steps see outputs, and so targets under teacher forcing."""
        return self._rnn.feeds_outputs_back

    @property
    def is_language_model(self) -> bool:
        """Whether its loss is that of a next token, of which people speak in bits."""
        rnn = self._rnn
        return rnn.output == "softmax" and (rnn.input == "token" or rnn.n_in == 0)

    def check_truncation(self) -> None:
        """Raise ValueError where no state can be carried from window to window."""
        if self._rnn._options.bidirectional:
            raise ValueError("truncate: expected None with two directions, as one begins at the end of a sequence")

    def identity(self) -> dict[str, Any]:
        """What tells it from other networks, beside its parameters, as JSON has it."""
        told = {"kind": self._rnn.KIND, **self._rnn.configuration()}
        if self._constraints is not None:
            from bptt.constraints import plain

            told["constraints"] = plain.told(self._constraints.constraints)
        return told

    def not_told_before(self) -> dict[str, Any]:
        """What checkpoints of earlier versions leave out of `identity`, as it was then."""
        return self._rnn.LATER_KEYS

    def begin(self) -> None:
        """Bring the parameters into the constraints of the run, or raise ValueError where its own are not kept."""
        own, parameters = self._rnn._constraints, self._rnn.parameters
        if own is not None and (text := own.violation(parameters)):
            raise ValueError(f"{text}; rnn.constraints.apply() brings the parameters into the constraints")
        if self._constraints is not None and self._constraints is not own:
            parameters[:] = self._constraints.projected(parameters)

    def state(self, sequences: int) -> State:
        """Memory for the states of so many sequences."""
        return self._rnn._states.empty(sequences, self._rnn.dtype)

    def loss(self, batch: Batch, teacher_forcing: float | None) -> float:
        """The total loss of a batch; None stands for the network's own way."""
        rnn = self._rnn
        forced = rnn._CHANCE if teacher_forcing is None else rnn._forced(teacher_forcing, None)
        return rnn._loss(**given_of(batch), r0=None, chance=forced)

    def y_hat(self, batch: Batch) -> Any:
        """What `forward` predicts, in the form of the batch: at every step, or for each sequence."""
        given = given_of(batch)
        return Run(*self._rnn._forward(given["x"], None, given["lengths"], given["reset"])).y_hat

    def loss_and_gradients(
        self,
        batch: Batch,
        state: State | None,
        teacher_forcing: float | None,
        random: np.random.Generator | None,
        *,
        noise: float = 0.0,
        dropout: float = 0.0,
        seed: int = 0,
        activity: float = 0.0,
    ) -> tuple[float, Gradients, State]:
        """The total loss of a batch that begins in `state`, its gradients, and the state after the last step."""
        rnn = self._rnn
        initial = None if state is None else rnn._states.nested(state)
        forced = rnn._CHANCE if teacher_forcing is None else rnn._forced(teacher_forcing, random)
        loss, parts = rnn._loss_and_gradients(
            **given_of(batch),
            r0=initial,
            wrt_x=False,
            memory_limit=None,
            chance=Chance(forced.teacher_forcing, noise, dropout, forced.seed or seed),
            activity=activity,
        )
        return loss, Gradients(*parts), [array for _, array in rnn._states.arrays_of(parts[4])]


def given_of(batch: Batch) -> dict[str, Any]:
    return {"lengths": None, "weight": None, "reset": None, **batch.arguments}


def data_of(rnn: RecurrentNetwork, x: Any, y: Any, weight: Any = None, lengths: Any = None, reset: Any = None) -> Data:
    """The data of `fit`, checked: in the middle of training nothing of it is refused."""
    s = rnn._sequences(x, lengths)
    targets, weights = rnn._targets(s, y, weight)
    data = Data(
        s.data,
        targets,
        weights,
        None if reset is None else s.every_step("reset", reset, None, BOOL),
        s.lengths,
        padded=s.form == "batch" and s.padded,
        every_step=rnn._every_step,
        classes=rnn.output == "softmax",
    )
    _check(rnn, data)
    return data


def validation_of(rnn: RecurrentNetwork, value: Any) -> Data:
    """``(x, y)``, ``(x, y, weight)``, or a mapping with x, y and more of `fit`'s data; errors say it is validation."""
    try:
        return _data_in(rnn, value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"validation: {error}") from None


def fresh_data_of(rnn: RecurrentNetwork, batches: Batches, **others: Any) -> FreshData:
    """The data of `fit` that are made as it goes on; of the other arguments none may be given."""
    for name, value in others.items():
        if value is not None:
            raise ValueError(f"{name}: expected None with Batches, as make gives it")
    return FreshData(batches, lambda value: _data_in(rnn, value))


def _data_in(rnn: RecurrentNetwork, value: Any) -> Data:
    if isinstance(value, tuple) and len(value) in (2, 3):
        value = dict(zip(("x", "y", "weight"), value, strict=False))
    if not isinstance(value, Mapping) or not {"x", "y"} <= set(value) <= {"x", "y", "weight", "lengths", "reset"}:
        got = f"a dict with {', '.join(map(str, value))}" if isinstance(value, Mapping) else type(value).__name__
        raise TypeError(f"expected (x, y), (x, y, weight) or a dict with x, y, weight, lengths, reset, got {got}")
    return data_of(rnn, **value)


def _check(rnn: RecurrentNetwork, data: Data) -> None:
    """Raise ValueError for what the core would refuse in the middle of training, or could not learn from."""
    if rnn.input == "token":
        _check_range("x", "tokens", data.within_lengths(data.x, True), 0, rnn.n_in - 1)
    weights = data.within_lengths(data.weight, data.every_step)
    y = data.within_lengths(data.y, data.every_step)
    if weights is not None:
        y = y[weights != 0]
    if rnn.output == "softmax":
        _check_range("y", "classes (or -1 for none)", y, -1, rnn.n_out - 1)
    elif rnn.output == "sigmoid":
        _check_range("y", "probabilities", y, 0, 1)
    if not y.size or (y.max() < 0 if rnn.output == "softmax" else np.isnan(y).all()):
        raise ValueError("y: expected at least one target, got none")


def _check_range(name: str, what: str, values: Array, low: float, high: float) -> None:
    if values.size and low <= values.min() and values.max() <= high:  # as it should be: nothing of their size is made
        return
    outside = values[(values < low) | (values > high)]
    if outside.size:
        raise ValueError(f"{name}: expected {what} from {low} to {high}, got {outside.flat[0]}")
