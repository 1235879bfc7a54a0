"""The decision network, and all that trains it: by `fit`, in PyTorch, in nn4n, in PsychRNN. Knows no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bptt import Adam, Batches, ElmanRNN
from bptt.constraints import dale, initialize
from bptt.tasks import PerceptualDecisionMaking, Trials
from peers import Entry
from problem import Array

UNITS, BATCH, DT, TAU_UNIT, SIGMA = 100, 64, 20.0, 100.0, 0.15
LEAK, RATE, EXCITATORY, RADIUS = DT / TAU_UNIT, 1e-3, 0.8, 0.8
TASK = PerceptualDecisionMaking(dt=DT, fixation=100.0, stimulus=1600.0, decision=300.0)  # 100 steps

OURS = Entry("bptt, fit", "", None, ("bptt",))
LOOP = Entry("PyTorch, loop as nn4n's", "", None, ("torch",))
HOISTED = Entry("PyTorch, hoisted loop", "", None, ("torch",))
NN4N = Entry("nn4n", "", None, ("nn4n", "torch"))
PSYCHRNN = Entry("PsychRNN", "", None, ("psychrnn", "tensorflow"), ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"))
ENTRIES = (OURS, LOOP, HOISTED, NN4N, PSYCHRNN)


@dataclass(frozen=True)
class Build:
    """What a contender begins with."""

    seed: int  # of the initial weights and the trials
    sigma: float  # of the noise


class Contender(Protocol):
    """A network with its optimizer and its trials."""

    def update(self, count: int) -> list[float]:
        """Make updates; the mean loss of each."""

    def y_hat(self, x: Array) -> Array:
        """The outputs without noise, ``[tau, trials, 3]``."""


def network(seed: int) -> ElmanRNN:
    """The network as all contenders begin with it."""
    rnn = TASK.network(UNITS, activation="relu", leak=LEAK, seed=seed)
    rnn.constraints = [dale(EXCITATORY)]
    initialize(rnn, spectral_radius=RADIUS, seed=seed)
    return rnn


def stream(seed: int) -> Iterator[Trials]:
    """The trials of each update."""
    rng = np.random.default_rng([seed, 1])
    while True:
        yield TASK.trials(rng, BATCH)


class Fit:
    """This package."""

    def __init__(self, build: Build) -> None:
        self.rnn, self.optimizer, self.sigma = network(build.seed), Adam(RATE), build.sigma
        self.trials, self.calls = stream(build.seed), 0

    def update(self, count: int) -> list[float]:
        self.calls += 1  # noise of its own for each call
        history = self.rnn.fit(
            Batches(lambda rng: next(self.trials), steps=count),
            optimizer=self.optimizer,
            epochs=1,
            noise=self.sigma,
            seed=self.calls,
            progress=False,
        )
        return history.updates.loss.tolist()

    def y_hat(self, x: Array) -> Array:
        return self.rnn.forward(x).y_hat


class _Torch:
    """What the contenders in PyTorch share: trials, the loss, Adam. `optimizer` is set by each."""

    optimizer: Any

    def __init__(self, build: Build) -> None:
        import torch

        torch.manual_seed(build.seed)
        self.torch, self.trials = torch, stream(build.seed)
        self.sigma = np.sqrt(2 / LEAK) * build.sigma  # beside a, as nn4n counts it
        self.initial = network(build.seed)
        sign = np.where(self.initial.constraints.excitatory, 1.0, -1.0)
        self.sign = torch.from_numpy(sign.astype(np.float32))

    def weights(self) -> list[Any]:
        """U, W, b, V, c as parameters."""
        return [self.torch.nn.Parameter(self.torch.from_numpy(getattr(self.initial, k).copy())) for k in "UWbVc"]

    def outputs(self, x: Any, sigma: float) -> Any:
        raise NotImplementedError

    def constrain(self) -> None:
        """Bring the weights into Dale's law, before the forward pass of an update, as nn4n does."""

    def update(self, count: int) -> list[float]:
        losses = []
        for _ in range(count):
            x, y, weight = (self.torch.from_numpy(part) for part in next(self.trials))
            self.constrain()
            o = self.outputs(x, self.sigma)
            loss = self.torch.nn.functional.cross_entropy(o.flatten(0, 1), y.flatten(), reduction="none")
            loss = (loss * weight.flatten()).sum() / weight.sum()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return losses

    def y_hat(self, x: Array) -> Array:
        with self.torch.inference_mode():
            self.constrain()
            return self.outputs(self.torch.from_numpy(x), 0.0).softmax(-1).numpy()


class Loop(_Torch):
    """A step as nn4n has it: both products with their matrices transposed, noise of the step, the sum, relu."""

    def __init__(self, build: Build) -> None:
        super().__init__(build)
        self.U, self.W, self.b, self.V, self.c = self.weights()
        self.optimizer = self.torch.optim.Adam([self.U, self.W, self.b, self.V, self.c], lr=RATE)

    def constrain(self) -> None:
        for matrix in (self.W, self.V):  # by masks, on a copy that is copied back
            mask, moved = self.sign.expand_as(matrix), matrix.detach().clone()
            moved[mask == 1] = moved[mask == 1].clamp(min=0)
            moved[mask == -1] = moved[mask == -1].clamp(max=0)
            matrix.data.copy_(moved)

    def outputs(self, x: Any, sigma: float) -> Any:
        v = self.torch.zeros(x.shape[1], UNITS)
        h, states = v.relu(), []
        for x_t in x:
            v = (1 - LEAK) * v + LEAK * (h @ self.W.T + self.b + x_t @ self.U.T)
            if sigma > 0:
                v = v + LEAK * sigma * self.torch.randn(x.shape[1], UNITS)
            h = v.relu()
            states.append(h)
        return self.torch.stack(states) @ self.V.T + self.c


class Hoisted(_Torch):
    """What does not wait for a step goes ahead for all steps at once: U x, the noise, alpha. Adam is fused."""

    def __init__(self, build: Build) -> None:
        super().__init__(build)
        self.U, self.W, self.b, self.V, self.c = self.weights()
        self.optimizer = self.torch.optim.Adam([self.U, self.W, self.b, self.V, self.c], lr=RATE, fused=True)
        infinity = self.torch.tensor(self.torch.inf)
        self.least = self.torch.where(self.sign > 0, 0.0, -infinity)
        self.most = self.torch.where(self.sign > 0, infinity, 0.0)

    def constrain(self) -> None:
        for matrix in (self.W, self.V):
            matrix.data.clamp_(self.least, self.most)

    def outputs(self, x: Any, sigma: float) -> Any:
        torch = self.torch
        given = torch.nn.functional.linear(x, LEAK * self.U, LEAK * self.b)
        if sigma > 0:
            given = given.add(torch.randn(given.shape), alpha=LEAK * sigma)
        W, v, states = LEAK * self.W.t(), torch.zeros(x.shape[1], UNITS), []
        h = v.relu()
        for given_t in given.unbind():
            v = torch.addmm(given_t, h, W).add(v, alpha=1 - LEAK)
            h = v.relu()
            states.append(h)
        return torch.nn.functional.linear(torch.stack(states), self.V, self.c)


class Nn4n(_Torch):
    """`nn4n.model.CTRNN`, which constrains its weights in its forward pass."""

    def __init__(self, build: Build) -> None:
        super().__init__(build)
        from nn4n.model import CTRNN

        net = CTRNN(
            dims=[TASK.n_in, UNITS, TASK.n_out],
            activation="relu",
            dt=DT,
            tau=TAU_UNIT,
            preact_noise=self.sigma,
            biases=[None, "zero", "zero"],
            ei_masks=[None, self.sign[:, None].repeat(1, UNITS), self.sign[:, None].repeat(1, TASK.n_out)],
        )
        net.train()  # without it its noise is 0
        below, hidden, readout = net.layers
        for parameter, letter in (
            (below.weight, "U"),
            (hidden.weight, "W"),
            (hidden.bias, "b"),
            (readout.weight, "V"),
            (readout.bias, "c"),
        ):
            parameter.data.copy_(self.torch.from_numpy(getattr(self.initial, letter)))
        trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
        self.net, self.optimizer = net, self.torch.optim.Adam(trained, lr=RATE)

    def outputs(self, x: Any, sigma: float) -> Any:
        o, _ = self.net(x)
        return o

    def y_hat(self, x: Array) -> Array:
        self.net._enforce_constraints()
        self.net.eval()
        try:
            return super().y_hat(x)
        finally:
            self.net.train()


class PsychRnn:
    """`psychrnn.backend.models.basic.Basic` with its own graph; updates as its `train` makes them.

    With Dale's law it takes magnitudes of U as well. So it begins with those, and its network is another one.
    """

    def __init__(self, build: Build) -> None:
        import tensorflow as tf
        from psychrnn.backend.models.basic import Basic

        tf.compat.v1.reset_default_graph()
        tf.compat.v1.set_random_seed(build.seed)
        initial, sign = magnitudes_of_U(build.seed), np.where(network(build.seed).constraints.excitatory, 1.0, -1.0)

        def loss(predictions: Any, y: Any, mask: Any) -> Any:
            each = tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=predictions)
            return tf.reduce_sum(mask[..., 0] * each) / tf.reduce_sum(mask[..., 0])

        self.trials = stream(build.seed)
        self.model = Basic(
            {
                "name": "decision",
                "N_in": TASK.n_in,
                "N_rec": UNITS,
                "N_out": TASK.n_out,
                "N_steps": int(TASK.trials(np.random.default_rng(0), 1).x.shape[0]),
                "N_batch": BATCH,
                "dt": DT,
                "tau": TAU_UNIT,
                "rec_noise": build.sigma,
                "dale_ratio": EXCITATORY,
                "init_state_train": False,
                "W_in": initial.U,
                "W_rec": np.abs(initial.W),  # the signs come from dale_ratio
                "W_out": np.abs(initial.V),
                "b_rec": initial.b,
                "b_out": initial.c,
                "init_state": np.zeros((1, UNITS), np.float32),
                "input_connectivity": np.ones((UNITS, TASK.n_in), np.float32),
                "rec_connectivity": np.ones((UNITS, UNITS), np.float32),
                "output_connectivity": np.ones((TASK.n_out, UNITS), np.float32),
                "loss_function": "decision",
                "decision": loss,
            }
        )
        self.model.build()
        optimizer = tf.compat.v1.train.AdamOptimizer(learning_rate=RATE)
        self.step = optimizer.apply_gradients(optimizer.compute_gradients(self.model.reg_loss))
        self.model.sess.run(tf.compat.v1.global_variables_initializer())
        if not np.array_equal(np.sign(self.model.sess.run(self.model.Dale_rec)).diagonal(), sign):
            raise SystemExit("PsychRNN: its excitatory units are others")

    def update(self, count: int) -> list[float]:
        model, losses = self.model, []
        for _ in range(count):
            x, y, weight = next(self.trials)
            fed = {
                model.x: x.swapaxes(0, 1),
                model.y: np.eye(TASK.n_out, dtype=np.float32)[y.T],
                model.output_mask: np.repeat(weight.T[..., None], TASK.n_out, axis=2),
            }
            losses.append(float(model.sess.run([self.step, model.loss], feed_dict=fed)[1]))
        return losses


def magnitudes_of_U(seed: int) -> ElmanRNN:
    """The network with an input of one sign."""
    rnn = network(seed)
    rnn.U = np.abs(rnn.U)
    return rnn


CONTENDERS: dict[str, Callable[[Build], Any]] = dict(
    zip((entry.name for entry in ENTRIES), (Fit, Loop, Hoisted, Nn4n, PsychRnn), strict=True)
)
