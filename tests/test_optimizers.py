"""Optimizers: beside PyTorch where it is installed, and beside the equations in NumPy; clipping, state, bad input."""

from __future__ import annotations

import copy
import json
import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import SGD, Adagrad, Adam, AdamW, ElmanRNN, JordanRNN, Optimizer, RMSProp, _core
from core import DTYPES, ISAS
from problems import Array
from results import deviation, same_bits

KINDS: dict[str, type[Optimizer]] = {kind.__name__: kind for kind in (SGD, RMSProp, Adam, AdamW, Adagrad)}
OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.01}),
    ("SGD", {"lr": 0.01, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.01, "momentum": 0.9}),
    ("SGD", {"lr": 0.01, "momentum": 0.7, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.01, "momentum": 0.7, "nesterov": True, "weight_decay": 0.1}),
    ("RMSProp", {}),
    ("RMSProp", {"lr": 0.002, "alpha": 0.9, "eps": 1e-4, "weight_decay": 0.1}),
    ("RMSProp", {"lr": 0.002, "momentum": 0.9}),
    ("RMSProp", {"lr": 0.002, "alpha": 0.5, "momentum": 0.6, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"lr": 0.01, "betas": (0.3, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "betas": (0.0, 0.0)}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.01, "betas": (0.8, 0.99), "eps": 1e-5, "weight_decay": 0.3}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.01, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3}),
]
NAMES = [f"{name}({', '.join(f'{k}={v}' for k, v in options.items())})" for name, options in OPTIMIZERS]
every_optimizer = pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=NAMES)


def network(n: int, dtype: str = "float64") -> ElmanRNN:
    """A network of n parameters, 4 or more."""
    rnn = ElmanRNN(n - 4, 1, 1, dtype=dtype, init=None)
    assert rnn.parameters.size == n
    return rnn


def gradient(update: int, n: int) -> Array:
    """Of a wide range of magnitudes, over parameters and over time; some are 0."""
    random = np.random.default_rng([update, n])
    g = random.standard_normal(n) * 10 ** random.uniform(-3, 1, n) * 10 ** math.sin(update / 40)
    g[random.random(n) < 0.1] = 0
    return g.astype(np.float32).astype(np.float64)


def start(n: int) -> Array:
    return np.random.default_rng(n).uniform(-1, 1, n).astype(np.float32).astype(np.float64)


# ---- Beside PyTorch ----


@every_optimizer
@pytest.mark.torch
def test_equal_to_pytorch_over_1000_updates(name: str, options: dict[str, Any], dtype: str) -> None:
    torch = pytest.importorskip("torch")
    n = 37
    optimizer, rnn = KINDS[name](**options), network(n, dtype)
    rnn.parameters = start(n)
    theta = torch.nn.Parameter(torch.from_numpy(rnn.parameters.copy()))
    theirs = getattr(torch.optim, {"RMSProp": "RMSprop"}.get(name, name))([theta], **options)
    for update in range(1000):
        g = gradient(update, n).astype(dtype)
        theta.grad = torch.from_numpy(g.copy())
        theirs.step()
        optimizer.step(rnn, g)
        # The equations are the same, the order of a few operations is not: a rounding or two an update, at most half
        # an eps each, whose sum walks at random for 1000 updates: about sqrt(1000) / 2 eps.
        assert deviation(rnn.parameters, theta.detach().numpy()) <= 20 * np.finfo(dtype).eps, update
    kept = theirs.state[theta]
    for key, array in optimizer.state().items():
        if key != "updates":
            assert deviation(array, kept[key].numpy()) <= 20 * np.finfo(dtype).eps


@pytest.mark.parametrize("bound", [1e-3, 0.5, 7.0, 1e3, math.inf])
@pytest.mark.torch
def test_clipping_equal_to_pytorch(bound: float, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    g = (gradient(0, 101) / 6).astype(dtype)
    for by in ("norm", "value"):
        theta = torch.nn.Parameter(torch.zeros(g.size, dtype=getattr(torch, dtype)))
        theta.grad = torch.from_numpy(g.copy())
        rnn = network(g.size, dtype)
        if by == "norm":
            norm = SGD(1.0).step(rnn, g, clip_norm=bound)
            total = torch.nn.utils.clip_grad_norm_([theta], bound)
            # PyTorch's norm is a sum of 101 squares in the dtype.
            assert norm == pytest.approx(float(total), rel=10 * float(np.finfo(dtype).eps))
        else:
            SGD(1.0).step(rnn, g, clip_value=bound)
            torch.nn.utils.clip_grad_value_([theta], bound)
            assert np.array_equal(-rnn.parameters, theta.grad.numpy())
        assert deviation(-rnn.parameters, theta.grad.numpy()) <= 10 * np.finfo(dtype).eps


# ---- Weight decay by letters ----


@pytest.mark.parametrize("name", KINDS)
def test_weight_decay_of_some_letters(name: str, dtype: str) -> None:
    """Each parameter moves as with its own rate alone; the norm that clips is that of all."""
    rate_of = {"U": 0.3, "V": 0.1, "b": 0.1}
    options = {"momentum": 0.9} if name in ("SGD", "RMSProp") else {}
    by_letters, beside = KINDS[name](0.01, weight_decay=rate_of, **options), {}  # type: ignore[call-arg]
    rnn = ElmanRNN(3, (5, 4), 2, bidirectional=True, dtype=dtype, seed=0)
    for rate in (0.0, 0.1, 0.3):
        beside[rate] = KINDS[name](0.01, weight_decay=rate, **options), copy.deepcopy(rnn)  # type: ignore[call-arg]
    for update in range(6):
        g = gradient(update, rnn.parameters.size)
        # Clipping is one factor, rounded twice in double precision: an eps of it in float64, and after it of all.
        clip_norm, most = (None, 0.0) if update < 3 else (0.5, 20 * np.finfo(dtype).eps)
        norm = by_letters.step(rnn, g, scale=3, clip_norm=clip_norm)
        for one, other in beside.values():
            assert one.step(other, g, scale=3, clip_norm=clip_norm) == norm
        for entry in rnn._layout.entries:
            other = beside[rate_of.get(entry.letter, 0.0)][1]
            assert deviation(rnn.by_name()[entry.name], other.by_name()[entry.name]) <= most
    assert not np.array_equal(beside[0.0][1].parameters, beside[0.1][1].parameters)


def test_weight_decay_of_some_letters_resumes_and_is_told(tmp_path: Any) -> None:
    x, y = np.ones((4, 3, 2)), np.ones((4, 3), int)
    made = []
    for epochs in ((4,), (2, 4)):
        rnn = ElmanRNN(2, 3, 2, seed=0)
        for each in epochs:
            optimizer = AdamW(0.01, weight_decay={"W": 0.5})
            options: dict[str, Any] = {"checkpoint": tmp_path / str(epochs), "resume": True, "progress": False}
            rnn.fit(x, y, optimizer=optimizer, epochs=each, seed=0, **options)
        made.append((rnn, optimizer))
    assert same_bits(made[0][0].parameters, made[1][0].parameters)
    assert made[0][1].configuration() == made[1][1].configuration()
    assert json.loads(json.dumps(made[0][1].configuration()))["weight_decay"] == {"W": 0.5}
    assert repr(AdamW(weight_decay={"W": 0.5})).endswith("weight_decay={'W': 0.5})")


def test_weight_decay_of_letters_that_are_none() -> None:
    def refused(value: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=f"^{re.escape(message)}$"):
            SGD(weight_decay=value)

    refused({}, ValueError, "weight_decay: expected a number, or numbers for some letters, got {}")
    letters = "'U', 'W', 'b', 'h0', 'v0', 'V', 'c'"
    refused({"X": 1.0}, ValueError, f"weight_decay: letter: expected one of {letters}, got 'X'")
    refused({"W": -1.0}, ValueError, "weight_decay['W']: expected a number in [0, inf), got -1.0")
    refused({"W": "1"}, TypeError, "weight_decay['W']: expected a number, got str")

    class Other:
        parameters = np.ones(4)

    optimizer = Adam(weight_decay={"W": 1.0})
    with pytest.raises(TypeError, match=r"^rnn: expected an ElmanRNN or a JordanRNN where weight_decay has letters"):
        optimizer.step(Other(), np.ones(4))
    assert (Other.parameters == 1).all()
    assert optimizer.updates == 0
    rnn = network(37)
    before = rnn.parameters.copy()
    with pytest.raises(FloatingPointError):
        optimizer.step(rnn, np.full(37, np.inf))
    assert same_bits(rnn.parameters, before)
    SGD(weight_decay={"W": 0.0}).step(rnn, np.full(37, 1e100), clip_norm=1e-310)
    assert same_bits(rnn.parameters, before), "a gradient of 0 is left"


# ---- Beside the equations ----


class Equations:
    """The same in NumPy, in double precision and without the core: the equations of chapter 8 as they stand."""

    def __init__(self, name: str, options: dict[str, Any], theta: Array) -> None:
        self.name, self.theta = name, theta.astype(np.float64)
        self.o = KINDS[name](**options).configuration()
        self.v, self.s = np.zeros_like(self.theta), np.zeros_like(self.theta)
        self.r = np.full_like(self.theta, self.o.get("initial_accumulator_value", 0.0))
        self.t = 0

    def follow(self, g: Array, lr: float) -> None:
        o = self.o
        self.t += 1
        if self.name == "AdamW":
            self.theta = self.theta - lr * o["weight_decay"] * self.theta
        else:
            g = g + o["weight_decay"] * self.theta
        if self.name == "SGD":
            self.v = o["momentum"] * self.v + g
            direction = g + o["momentum"] * self.v if o["nesterov"] else self.v
        elif self.name == "Adagrad":
            self.r = self.r + g**2
            direction = g / (o["eps"] + np.sqrt(self.r)) / (1 + (self.t - 1) * o["lr_decay"])
        elif self.name == "RMSProp":
            self.r = o["alpha"] * self.r + (1 - o["alpha"]) * g**2
            self.v = o["momentum"] * self.v + g / (np.sqrt(self.r) + o["eps"])
            direction = self.v
        else:
            rho1, rho2 = o["betas"]
            self.s = rho1 * self.s + (1 - rho1) * g
            self.r = rho2 * self.r + (1 - rho2) * g**2
            direction = self.s / (1 - rho1**self.t) / (np.sqrt(self.r / (1 - rho2**self.t)) + o["eps"])
        self.theta = self.theta - lr * direction


def clipped(g: Array, clip_norm: float | None, clip_value: float | None) -> Array:
    if clip_norm is not None:
        g = g * min(1.0, clip_norm / (math.sqrt(math.fsum(g**2)) + 1e-6))
    return g if clip_value is None else np.clip(g, -clip_value, clip_value)


@every_optimizer
def test_equations(name: str, options: dict[str, Any], dtype: str, isa: str) -> None:
    eps = float(np.finfo(dtype).eps)
    lanes = 64 // np.dtype(dtype).itemsize  # of the widest vector, a multiple of the others
    for n in [1, 2, 3, 4, 5, 7, 8, 9, lanes - 1, lanes, lanes + 1, 3 * lanes + 1]:
        optimizer, theta = KINDS[name](**options), start(n).astype(dtype)
        equations = Equations(name, options, theta)
        for update in range(7):
            g = gradient(update, n)
            clip_norm, clip_value = [(None, None), (3.0, None), (None, 0.5), (2.0, 0.7)][update % 4]
            lr = optimizer.lr / (1 + update % 2)
            norm = optimizer._step(theta, g, 4.0, clip_norm, clip_value, None if lr == optimizer.lr else lr)
            assert norm == pytest.approx(math.sqrt(math.fsum((g / 4) ** 2)), rel=1e-15)
            equations.follow(clipped(g / 4, clip_norm, clip_value), lr)
        # 7 updates of at most some 10 roundings; of float32's 1 - beta a part of eps / (1 - beta) is lost.
        assert deviation(theta, equations.theta) <= 60 * eps
        assert optimizer.updates == 7


@every_optimizer
def test_equations_over_many_blocks_and_a_strided_gradient(name: str, options: dict[str, Any], dtype: str) -> None:
    n = 40_009
    optimizer, rnn = KINDS[name](**options), network(n, dtype)
    rnn.parameters = start(n)
    equations = Equations(name, options, rnn.parameters)
    for update in range(3):
        g = gradient(update, n)
        spread = np.repeat(g.astype(dtype), 2)
        before = spread.copy()
        optimizer.step(rnn, spread[::2], scale=7, clip_norm=1.0)
        assert same_bits(spread, before), "the gradient is left as it is"
        equations.follow(clipped(g / 7, 1.0, None), optimizer.lr)
    assert deviation(rnn.parameters, equations.theta) <= 30 * np.finfo(dtype).eps  # as above, fewer updates


def test_each_network_follows_its_own_gradient(dtype: str) -> None:
    for rnn in (ElmanRNN(3, 5, 4, dtype=dtype, seed=0), JordanRNN(3, 5, 4, dtype=dtype, seed=0)):
        x, y = np.random.default_rng(0).standard_normal((6, 2, 3)).astype(dtype), np.arange(12).reshape(6, 2) % 4
        optimizer, losses = Adam(0.05), []
        for _ in range(30):
            loss, gradients = rnn.loss_and_gradients(x, y)
            losses.append(loss / y.size)
            norm = optimizer.step(rnn, gradients, scale=y.size, clip_norm=1.0)
            assert norm == pytest.approx(float(np.linalg.norm(gradients.flat)) / y.size, rel=1e-5)
        assert losses[-1] < losses[0] / 2


# ---- Bits ----


def results(name: str, options: dict[str, Any], dtype: str, n: int) -> tuple[list[float], Array, dict[str, Array]]:
    optimizer, theta = KINDS[name](**options), start(n).astype(dtype)
    norms = [optimizer._step(theta, gradient(i, n), 3.0, 2.0, 0.1) for i in range(3)]
    return norms, theta, optimizer.state()


@every_optimizer
def test_every_instruction_set_gives_the_same_bits(name: str, options: dict[str, Any], dtype: str) -> None:
    before, found = _core.isa(), []
    for isa in ISAS:
        _core.set_isa(isa)
        found.append([results(name, options, dtype, n) for n in (5, 33, 16_400)])
    _core.set_isa(before)
    assert all(same_bits(one, found[0]) for one in found)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("name", KINDS)
def test_every_number_of_threads_gives_the_same_bits(name: str, dtype: str, isa: str) -> None:
    n = 800_001  # enough for 8 threads
    bptt.set_num_threads(1)
    expected = results(name, {}, dtype, n)
    for threads in (2, 3, 8):
        bptt.set_num_threads(threads)
        assert same_bits(results(name, {}, dtype, n), expected), threads


def test_norm_is_summed_in_double_precision(dtype: str, isa: str) -> None:
    huge = np.full(100_000, 3e38 if dtype == "float32" else 1e150, dtype)  # the squares of float32 would overflow
    rnn = network(huge.size, dtype)
    assert SGD(1.0).step(rnn, huge, clip_norm=1.0) == pytest.approx(float(huge[0]) * math.sqrt(huge.size), rel=1e-14)
    random = np.random.default_rng(0).standard_normal(50_003).astype(dtype)
    exact = math.sqrt(math.fsum(float(g) ** 2 for g in random))
    assert SGD(0.0).step(network(random.size, dtype), random) == pytest.approx(exact, rel=1e-15)


def test_no_clipping_changes_no_bit(dtype: str) -> None:
    g = gradient(0, 50).astype(dtype)
    rnn = network(50, dtype)
    norm = SGD(1.0).step(rnn, g)
    assert np.array_equal(rnn.parameters, -g)
    for clip_norm, clip_value in [(math.inf, math.inf), (norm * 1.001, None), (None, float(abs(g).max()))]:
        other = network(50, dtype)
        SGD(1.0).step(other, g, clip_norm=clip_norm, clip_value=clip_value)
        assert same_bits(other.parameters, rnn.parameters)


def test_denormals_are_as_before_after_a_step() -> None:
    Adam().step(network(9), gradient(0, 9))
    assert np.float32(1e-40) * np.float32(1) > 0
    with pytest.raises(FloatingPointError):
        Adam().step(network(9), np.full(9, math.nan))
    assert np.float32(1e-40) * np.float32(1) > 0


# ---- State ----


def as_it_is(state: dict[str, Array]) -> dict[str, Array]:
    return state


def by_pickle(state: dict[str, Array]) -> dict[str, Array]:
    restored: dict[str, Array] = pickle.loads(pickle.dumps(state))
    return restored


def by_safetensors(state: dict[str, Array]) -> dict[str, Array]:
    from safetensors.numpy import load, save

    return load(save(state))


@every_optimizer
@pytest.mark.parametrize("way", [as_it_is, by_pickle, by_safetensors])
def test_resumed_updates_have_the_same_bits(
    name: str, options: dict[str, Any], way: Callable[[dict[str, Array]], dict[str, Array]], dtype: str
) -> None:
    n = 23
    optimizer, theta = KINDS[name](**options), start(n).astype(dtype)
    for stop in range(4):
        resumed, theta_resumed = KINDS[name](**json.loads(json.dumps(options))), theta.copy()
        state = way(optimizer.state())
        assert int(state["updates"]) == optimizer.updates == 2 * stop
        resumed.load_state(state)
        assert same_bits(resumed.state(), optimizer.state())
        for update in (2 * stop, 2 * stop + 1):
            g = gradient(update, n)
            norms = [o._step(p, g, clip_norm=1.0) for o, p in [(optimizer, theta), (resumed, theta_resumed)]]
            assert norms[0] == norms[1]
        assert same_bits(theta_resumed, theta)
        assert same_bits(resumed.state(), optimizer.state())
    before = state["updates"].copy()
    assert same_bits(state["updates"], before), "a copy"


def test_copies_are_independent() -> None:
    optimizer, theta = Adam(0.1), start(9)
    optimizer._step(theta, gradient(0, 9))
    for other in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert same_bits(other.state(), optimizer.state())
        before, theta_other = optimizer.state(), theta.copy()
        other._step(theta_other, gradient(1, 9))
        assert same_bits(optimizer.state(), before)
    state = optimizer.state()
    state["exp_avg"][:] = 7
    assert not (optimizer.state()["exp_avg"] == 7).any()
    optimizer.load_state(state)
    state["exp_avg"][:] = 8
    assert (optimizer.state()["exp_avg"] == 7).all()


def test_a_state_from_before_the_first_update_begins_anew() -> None:
    optimizer = Adagrad(initial_accumulator_value=0.5)
    state = optimizer.state()
    assert list(state) == ["updates"]
    optimizer.step(network(5), np.ones(5))
    assert optimizer.state()["sum"].tolist() == [1.5] * 5
    optimizer.load_state(state)
    optimizer.step(network(7, "float32"), np.ones(7))  # another network: nothing was kept
    assert optimizer.state()["sum"].tolist() == [1.5] * 7


def test_bad_states() -> None:
    optimizer = Adam()
    optimizer.step(network(5), np.ones(5))
    good = optimizer.state()
    bad: list[tuple[Any, type[Exception], str]] = [
        (5, TypeError, "state: expected a dict, got int"),
        ({}, ValueError, "state: expected 'updates', got nothing"),
        ({"updates": 3}, ValueError, "state: expected 'exp_avg', 'exp_avg_sq', 'updates', got 'updates'"),
        ({"updates": -1}, ValueError, r"state\['updates'\]: expected at least 0, got -1"),
        ({"updates": [3]}, ValueError, r"state\['updates'\]: expected \[\], got \(1,\)"),
        ({"updates": 1.5}, TypeError, r"state\['updates'\]: expected int64 or .*, got float64"),
        (good | {"sum": 1}, ValueError, "state: expected .*, got 'exp_avg', 'exp_avg_sq', 'sum', 'updates'"),
        (good | {"exp_avg": np.ones(4)}, ValueError, r"state\['exp_avg_sq'\]: expected 4 numbers in float64, as in"),
        (good | {"exp_avg": np.ones((5, 1))}, ValueError, r"state\['exp_avg'\]: expected \[n\], got \(5, 1\)"),
        (good | {"exp_avg": np.ones(5, int)}, TypeError, r"state\['exp_avg'\]: expected float32 or float64, got int64"),
        (good | {"exp_avg_sq": np.ones(5, np.float32)}, ValueError, "got 5 in float32"),
    ]
    for state, error, message in bad:
        with pytest.raises(error, match=message):
            optimizer.load_state(state)
        assert same_bits(optimizer.state(), good), "as before the error"
    with pytest.raises(ValueError, match="state: expected 'updates', got 'exp_avg', 'exp_avg_sq', 'updates'"):
        SGD().load_state(good)


@every_optimizer
def test_configuration_and_repr(name: str, options: dict[str, Any]) -> None:
    optimizer = KINDS[name](**options)
    configuration = json.loads(json.dumps(optimizer.configuration()))
    assert configuration == optimizer.configuration()
    kind = KINDS[configuration.pop("optimizer")]
    assert type(optimizer) is kind
    assert repr(kind(**configuration)) == repr(optimizer) == repr(eval(repr(optimizer), dict(KINDS)))
    for key, value in options.items():
        assert configuration[key] == (list(value) if isinstance(value, tuple) else value)
        assert getattr(optimizer, key) == value


# ---- Bad input ----


@every_optimizer
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_does_nothing(name: str, options: dict[str, Any], bad: float, isa: str) -> None:
    for dtype in DTYPES:
        for n in (4, 33):
            optimizer, rnn = KINDS[name](**options), network(n, dtype)
            rnn.parameters = start(n)
            for updates in range(2):
                parameters, state = rnn.parameters.copy(), optimizer.state()
                for i in (0, n // 2, n - 1):
                    g = gradient(0, n)
                    g[i] = bad
                    with pytest.raises(
                        FloatingPointError, match=f"^gradients: expected a finite norm, got .* after {updates} updates$"
                    ):
                        optimizer.step(rnn, g, clip_norm=1.0, clip_value=1.0)
                assert same_bits(rnn.parameters, parameters)
                assert same_bits(optimizer.state(), state)
                optimizer.step(rnn, gradient(0, n))


def test_gradients_of_another_layout_are_refused() -> None:
    """Of the same size: by that alone they would be taken."""
    x, y = np.ones((2, 3)), np.zeros(2, int)
    rnn = bptt.ElmanRNN(3, 4, 3, seed=0)  # 12 + 16 + 4 + 12 + 3 = 47 numbers
    jordan = bptt.JordanRNN(3, 5, 2, seed=0)  # 15 + 10 + 5 + 10 + 2 = 42
    elman = bptt.ElmanRNN(0, 5, 2, seed=0)  # 0 + 25 + 5 + 10 + 2 = 42
    gradients = jordan.loss_and_gradients(x, y)[1]
    before = elman.parameters.copy()
    optimizer = Adam()
    for wrong in (gradients, copy.deepcopy(gradients)):
        with pytest.raises(ValueError, match=r"^gradients: expected U \[5, 0\], as the network has, got U \[5, 3\]$"):
            optimizer.step(elman, wrong)
    assert same_bits(elman.parameters, before)
    assert optimizer.updates == 0
    with pytest.raises(ValueError, match=r"^gradients: expected \[47\], got \(42,\)$"):
        optimizer.step(rnn, gradients)
    optimizer.step(jordan, gradients.flat)  # a vector has no layout
    twin = bptt.JordanRNN(3, 5, 2, seed=1)
    for right in (gradients, copy.deepcopy(gradients), twin.loss_and_gradients(x, y)[1]):
        optimizer.step(jordan, right)
    assert optimizer.updates == 4


def test_bad_steps(dtype: str) -> None:
    rnn, optimizer = network(9, dtype), Adam()
    g = np.ones(9, dtype)
    optimizer.step(rnn, g)
    parameters, state = rnn.parameters.copy(), optimizer.state()
    other = "float64" if dtype == "float32" else "float32"
    step: Any = optimizer.step
    bad: list[tuple[Callable[[], float], type[Exception], str]] = [
        (lambda: step(g, g), TypeError, "^rnn: expected an ElmanRNN or a JordanRNN, got ndarray$"),
        (lambda: step(network(10, dtype), np.ones(10)), ValueError, f"^rnn: expected .* 9 .* in {dtype}, .* got 10"),
        (lambda: step(network(9, other), g), ValueError, f"^rnn: expected .*, got 9 in {other}$"),
        (lambda: step(rnn, np.ones(8)), ValueError, r"^gradients: expected \[9\], got \(8,\)$"),
        (lambda: step(rnn, np.ones((9, 1))), ValueError, r"^gradients: expected \[9\], got \(9, 1\)$"),
        (lambda: step(rnn, np.ones(9, complex)), TypeError, "^gradients: expected .*, got complex128$"),
        (lambda: step(rnn, g, scale=0), ValueError, r"^scale: expected a number in \[1e-30, 1e\+30\], got 0$"),
        (lambda: step(rnn, g, scale=math.nan), ValueError, "^scale: .*, got nan$"),
        (lambda: step(rnn, g, scale="2"), TypeError, "^scale: expected a number, got str$"),
        (lambda: step(rnn, g, clip_norm=0.0), ValueError, r"^clip_norm: expected a number in \(0, inf\], got 0.0$"),
        (lambda: step(rnn, g, clip_norm=True), TypeError, "^clip_norm: expected a number, got bool$"),
        (lambda: step(rnn, g, clip_value=-1), ValueError, r"^clip_value: expected a number in \(0, inf\], got -1$"),
        (lambda: step(rnn, g, lr=-0.1), ValueError, r"^lr: expected a number in \[0, inf\), got -0.1$"),
        (lambda: step(rnn, g, lr=math.inf), ValueError, "^lr: .*, got inf$"),
    ]
    for call, error, message in bad:
        with pytest.raises(error, match=message):
            call()
        assert same_bits(rnn.parameters, parameters)
        assert same_bits(optimizer.state(), state)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        *[(name, {"lr": -1}, ValueError, r"^lr: expected a number in \[0, inf\), got -1$") for name in KINDS],
        *[(name, {"lr": "1"}, TypeError, "^lr: expected a number, got str$") for name in KINDS],
        *[(name, {"weight_decay": -0.5}, ValueError, r"^weight_decay: .*, got -0.5$") for name in KINDS],
        *[(name, {"eps": 0.0}, ValueError, r"^eps: .* \[1e-30, inf\), got 0.0$") for name in KINDS if name != "SGD"],
        ("SGD", {"momentum": 1.0}, ValueError, r"^momentum: expected a number in \[0, 1\), got 1.0$"),
        ("SGD", {"nesterov": True}, ValueError, "^nesterov: expected False without momentum, got True$"),
        ("SGD", {"momentum": 0.9, "nesterov": 1}, TypeError, "^nesterov: expected True or False, got 1$"),
        ("RMSProp", {"momentum": -0.1}, ValueError, "^momentum: .*, got -0.1$"),
        ("RMSProp", {"alpha": 1.0}, ValueError, r"^alpha: expected a number in \[0, 1\), got 1.0$"),
        ("Adam", {"betas": 0.9}, TypeError, "^betas: expected two numbers, got float$"),
        ("Adam", {"betas": (0.9,)}, ValueError, "^betas: expected two numbers, got 1$"),
        ("AdamW", {"betas": (0.9, 1.0)}, ValueError, r"^betas\[1\]: expected a number in \[0, 1\), got 1.0$"),
        ("Adagrad", {"lr_decay": -1}, ValueError, "^lr_decay: "),
        ("Adagrad", {"initial_accumulator_value": math.nan}, ValueError, "^initial_accumulator_value: .*, got nan$"),
    ],
)
def test_bad_options(name: str, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        KINDS[name](**options)
