"""What training asks of a network: all that it knows of one."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np

from bptt._arrays import Array
from bptt.training.batches import Batch

State: TypeAlias = list[Array]  # what one window hands to the next: an array [batch, n] a layer and direction


class HasParameters(Protocol):
    """What an optimizer updates."""

    @property
    def parameters(self) -> Array:
        """All parameters in one writable vector."""


class HasFlat(Protocol):
    """What an optimizer follows."""

    @property
    def flat(self) -> Array:
        """The gradients of all parameters in one vector, laid out like them."""


class Network(HasParameters, Protocol):
    """A network in training."""

    @property
    def feeds_outputs_back(self) -> bool:
        """Whether its steps see outputs, and so targets under teacher forcing."""

    @property
    def is_language_model(self) -> bool:
        """Whether its loss is that of a next token, of which people speak in bits."""

    def check_truncation(self) -> None:
        """Raise ValueError where no state can be carried from window to window."""

    def identity(self) -> dict[str, Any]:
        """What tells it from other networks, beside its parameters, as JSON has it."""

    def not_told_before(self) -> dict[str, Any]:
        """What checkpoints of earlier versions leave out of `identity`, as it was then."""

    def begin(self) -> None:
        """Do what comes before a run's first update: nothing may be left to refuse."""

    def state(self, sequences: int) -> State:
        """Memory for the states of so many sequences."""

    def loss(self, batch: Batch, teacher_forcing: float | None) -> float:
        """The total loss of a batch; None stands for the network's own way."""

    def y_hat(self, batch: Batch) -> Any:
        """What `forward` predicts, in the form of the batch: at every step, or for each sequence."""

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
    ) -> tuple[float, HasFlat, State]:
        """The total loss of a batch that begins in `state`, its gradients, and the state after the last step.

        What steps draw under teacher forcing is drawn from `random`; noise and dropout are drawn from `seed`. Per
        target, the loss has `activity` times the mean of h(t)^2 more.
        """
