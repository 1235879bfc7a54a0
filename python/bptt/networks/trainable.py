"""Training of a network: the method `fit`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from numpy.typing import ArrayLike

from bptt import _core
from bptt.networks.base import RecurrentNetwork
from bptt.networks.results import Parts
from bptt.training.batches import Batches
from bptt.training.history import History
from bptt.training.optimizer import Optimizer
from bptt.training.schedules import Schedule


class TrainableNetwork(RecurrentNetwork):
    """A network that can be trained: a base, not a network itself."""

    def _loss_together(self, comm: Any, *given: Any) -> float:
        """`_loss`, in all processes of a communicator."""
        from bptt.networks.distributed import Call, loss
        from bptt.training.processes import Processes

        return loss(self, Call(*given), Processes(comm))

    def _loss_and_gradients_together(self, comm: Any, reduction: str, *given: Any) -> tuple[float, Parts]:
        """`_loss_and_gradients`, in all processes of a communicator."""
        from bptt.networks.distributed import Call, loss_and_gradients
        from bptt.training.processes import Processes

        return loss_and_gradients(self, Call(*given), Processes(comm, reduction))

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        optimizer: Optimizer,
        epochs: int,
        batch_size: int | None = None,
        truncate: int | None = None,
        updates_per_epoch: int | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        schedule: Schedule | None = None,
        validation: Any = None,
        patience: int | None = None,
        shuffle: bool = True,
        seed: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        progress: bool = True,
        callbacks: Sequence[Callable[[History], Any]] = (),
        weight: Any = None,
        lengths: ArrayLike | None = None,
        reset: Any = None,
        teacher_forcing: float | Callable[[int], float] | None = None,
        metrics: Mapping[str, Callable[[Any, Any], Any]] | None = None,
        constraints: Any = None,
        noise: float | Callable[[int], float] | None = None,
        dropout: float | Callable[[int], float] | None = None,
        activity: float | Callable[[int], float] | None = None,
        comm: Any = None,
        reduction: str = "exact",
    ) -> History:
        """Train the parameters: an update follows the gradient of the mean loss per target of a batch or window.

        Parameters
        ----------
        x, y, weight, lengths, reset
            As for `loss`. The sequences of a batch, or of a list, are the examples; a batch is made of some of them,
            of similar length where they differ, and no arithmetic is spent on padding. With `truncate`, they are
            streams. In their place `x` may be `Batches`, which are made as training goes on.
        optimizer : Optimizer
            `SGD`, `RMSProp`, `Adam`, `AdamW` or `Adagrad`.
        epochs : int
            How many times the data are seen, unless `updates_per_epoch` is given.
        batch_size : int, optional
            Sequences per update; 32 by default, and all of them with `truncate`.
        truncate : int, optional
            Truncated back-propagation through time: the streams are cut into windows of so many steps, the state is
            carried from window to window, the parameters are updated after each, and no gradient crosses.
        updates_per_epoch : int, optional
            An epoch ends (with validation, checkpoint and callbacks) after so many updates, wherever that is in the
            data, and the next one goes on from there: for data too long to wait for, or so short that every pass need
            not be validated.
        clip_norm, clip_value : float, optional
            The gradient is scaled down to this norm, or cut off at this magnitude.
        schedule : callable or ReduceOnPlateau, optional
            Of the update (from 0): the factor of the optimizer's learning rate. See `bptt.schedules`. A
            `ReduceOnPlateau` follows the validation loss or, without validation data, the training loss.
        validation : tuple or dict, optional
            ``(x, y)``, ``(x, y, weight)`` or a dict with x, y and, if need be, weight, lengths and reset: data whose
            mean loss is taken after every epoch.
        patience : int, optional
            Stop after so many epochs without a better validation loss; the parameters are then, and at the end of all
            epochs, those with the best one (after Ctrl-C they are the last, and `History.best_parameters` has the
            best). A validation loss that is not finite is an error.
        shuffle : bool
            Whether each epoch has its own order of examples.
        seed : int, optional
            In ``[0, 2**64)``, of all that is random; by default a new one.
        checkpoint : path-like, optional
            A file from which training can go on: written at the beginning, after every epoch, about every half minute
            and at the end, each time as a whole. What stands there is replaced, unless `resume` goes on from it.
        resume : bool
            Whether to go on from the checkpoint, if there is one. A run that was killed at any moment and resumed ends
            with the same bits as one that was not, for any number of threads. Data and settings must be the same, save
            for `epochs`; a run that a callback has ended is over. Of functions the name alone is compared.
        progress : bool
            Whether to show progress on standard error.
        callbacks : sequence of callable
            Each is called with the history after every epoch, and ends training by returning True, Python's or NumPy's.
        teacher_forcing : float or callable, optional
            Of a `JordanRNN`: as for its `loss`, 1 by default, or a function of the update (from 0) that tells it, as
            scheduled sampling does. See `bptt.schedules`. Validation is fed with targets, unless this is 0.
        metrics : dict of str to callable, optional
            What is told of each epoch beside the loss: ``metrics={"accuracy": lambda y, y_hat: ...}``. After every
            epoch each is called as ``metric(y, y_hat)`` and returns a number, which `History.epochs` has under its
            name. `y` holds the targets that count, one a row: those within the lengths, of a weight that is not 0, and
            no class of -1; the sequences one after the other, ``[n]`` classes or ``[n, n_out]`` numbers. `y_hat`,
            ``[n, n_out]``, is what `forward` predicts there (a `JordanRNN` runs free). They are those of the validation
            data or, without these, of the training data; that takes a forward pass over the data in any case.
        constraints : Constraint or sequence of Constraint, optional
            Of this run, beside those that the network has as its `constraints`: see `bptt.constraints`. The parameters
            are brought into them when training begins, and are in them after each update.
        noise, dropout : float or callable, optional
            Of an `ElmanRNN`: as for its `loss`, or a function of the update (from 0) that tells it. Each update has
            draws of its own. Validation and metrics are without both.
        activity : float or callable, optional
            lambda of a cost of activity, as for `loss`, or a function of the update (from 0) that tells it: what an
            update follows is the mean loss per target, and lambda times the mean of h(t)^2 over the hidden units of all
            layers and directions and all steps of its batch or window. A window without a target is no update. The
            losses of updates and epochs have it; those of validation have not, so that they tell how well the task is
            done.
        comm : mpi4py.MPI.Comm, optional
            Train in all processes of a communicator together, such as ``MPI.COMM_WORLD``. Each calls `fit` with the
            same arguments; `x` and what is beside it, and `validation`, may be None in all but process 0, which then
            sends each its share (`Batches` are given in all). A batch is cut into blocks of about eight sequences (more
            for a batch above 128), which follow from its size alone. Each process computes the gradients of some of
            them, and all make the same updates. An epoch draws a batch's blocks from as many fixed parts of the data,
            so that a process needs its own parts alone. Noise, dropout and the cost of activity are those of each block
            by itself. Process 0 alone reads and writes checkpoints, shows progress and calls back; what its callbacks
            change of the parameters and the optimizer's numbers holds for all. Processes on one machine share its
            processors. One such run at a time in a process.
        reduction : {"exact", "fast"}
            With `comm`: in what order the gradients are added. ``"exact"``: the result has the same bits for every
            number of processes and threads, also of a run that is resumed with another number. ``"fast"``: a block for
            each process, added as the MPI library pleases, without that promise.

        Returns
        -------
        History
            With losses (nats per target), gradient norms, learning rates and seconds. Ctrl-C ends training after the
            update or the batch of validation under way, and the history tells so: its `stopped` is ``"interrupted"``.

        Raises
        ------
        FloatingPointError
            If a loss, a gradient or an updated parameter is not finite; the parameters are those before that update.
            Where that comes from a number in x or y that is not finite, the message says where it is.
        ValueError, TypeError
            As for `loss`; if the checkpoint is damaged or belongs to another run; if processes do not agree in data,
            options or version; and if parameters are not as the network's own `constraints` want them, which
            ``rnn.constraints.apply()`` brings about.
        RuntimeError
            If a metric raises: the message has its name, and its error is the cause. One that returns no number is a
            TypeError. And if another process has failed.
        OSError
            If the checkpoint cannot be written; the one before is whole.
        """
        interruptions = _core.interruptions()
        from bptt.networks.trainee import Trainee, data_of, fresh_data_of, validation_of
        from bptt.training.fit import fit
        from bptt.training.updates import Settings, Training

        def read() -> tuple[Trainee, Any, Any, Settings]:
            beside: dict[str, Any] = {"y": y, "weight": weight, "lengths": lengths, "reset": reset}
            if callable(x) or isinstance(x, Iterator):
                kind = type(x).__name__
                raise TypeError(f"x: expected sequences or Batches, got {kind}: pass bptt.Batches(make, steps=...)")
            data: Any = None
            if isinstance(x, Batches):
                data = fresh_data_of(self, x, **beside)
            elif x is not None or comm is None:
                if y is None:
                    raise TypeError("y: expected the targets of x, got None")
                data = data_of(self, x, **beside)
            return (
                Trainee(self, constraints),
                data,
                None if validation is None else validation_of(self, validation),
                Settings(
                    optimizer=optimizer,
                    epochs=epochs,
                    batch_size=batch_size,
                    truncate=truncate,
                    updates_per_epoch=updates_per_epoch,
                    clip_norm=clip_norm,
                    clip_value=clip_value,
                    schedule=schedule,
                    patience=patience,
                    shuffle=shuffle,
                    callbacks=callbacks,
                    teacher_forcing=teacher_forcing,
                    metrics=metrics,
                    noise=noise,
                    dropout=dropout,
                    activity=activity,
                ),
            )

        how: dict[str, Any] = {
            "seed": seed,
            "checkpoint": checkpoint,
            "resume": resume,
            "progress": progress,
            "interruptions": interruptions,
        }
        if comm is not None:
            from bptt.networks.distributed import threads_shared, training_of
            from bptt.training.processes import Processes

            processes = Processes(comm, reduction)
            with threads_shared(processes):
                return fit(partial(training_of, read, processes), processes=processes, **how)

        def begun(seed: int, _: dict[str, Any]) -> Training:
            network, data, held_out, settings = read()
            settings.check(network, data, held_out)
            return Training(network, data, held_out, settings, seed)

        return fit(begun, **how)
