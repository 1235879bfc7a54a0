"""Constraints on parameters hold exactly: through every optimizer, `fit`, resuming, copies and files."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

import bptt
from bptt import SGD, Adagrad, Adam, AdamW, ElmanRNN, JordanRNN, Optimizer, RMSProp
from bptt.constraints import blocks, dale, frozen, initialize, mask, max_norm, no_self_connections, signs
from problems import Array
from results import same_bits

N_IN, N_HIDDEN, N_OUT = 3, 10, 4
RANDOM = np.random.default_rng(5)
X = RANDOM.standard_normal((7, 6, N_IN))
Y = RANDOM.integers(0, N_OUT, (7, 6))
CONNECTED = RANDOM.random((N_HIDDEN, N_HIDDEN)) < 0.6
HELD = RANDOM.random((N_HIDDEN, N_HIDDEN)) < 0.3
SIGNS = RANDOM.integers(-1, 2, (N_HIDDEN, N_IN))
EXCITATORY = np.arange(N_HIDDEN) < 8

OPTIMIZERS: list[Callable[[], Optimizer]] = [
    lambda: SGD(0.1),
    lambda: SGD(0.05, momentum=0.9, weight_decay=0.1),
    lambda: SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
    lambda: RMSProp(0.02, weight_decay=0.1),
    lambda: RMSProp(0.02, momentum=0.9),
    lambda: Adam(0.05, weight_decay=0.1),
    lambda: AdamW(0.05, weight_decay=0.3),
    lambda: AdamW(0.05, weight_decay=30.0),  # its factor of the parameters is below 0
    lambda: AdamW(0.05, weight_decay={"U": 0.3, "W": 0.1}),
    lambda: Adagrad(0.1, weight_decay=0.1, initial_accumulator_value=0.5),
]
every_optimizer = pytest.mark.parametrize("make", OPTIMIZERS, ids=lambda make: repr(make()))


def positive_zeros(values: Array) -> bool:
    """Whether all are 0, with every bit 0."""
    return not np.ascontiguousarray(values).view(np.uint8).any()


def norms_at_most(matrix: Array, most: float) -> bool:
    """Of each row, summed exactly."""
    return all(math.sqrt(math.fsum(float(v) ** 2 for v in row)) <= most for row in matrix)


def obeys_dale(rnn: Any) -> bool:
    return all((a[:, EXCITATORY] >= 0).all() and (a[:, ~EXCITATORY] <= 0).all() for a in (rnn.W, rnn.V))


# Constraints, and whether a network keeps them that had other parameters before.
Kept = Callable[[Any, Any], bool]
SETS: dict[str, tuple[list[Any], Kept]] = {
    "mask": (
        [mask("W", CONNECTED), mask("U", [1, 0, 1]), mask("b", False)],
        lambda now, before: positive_zeros(now.W[~CONNECTED]) and positive_zeros(now.U[:, 1]) and positive_zeros(now.b),
    ),
    "no self-connections": ([no_self_connections()], lambda now, before: positive_zeros(np.diag(now.W))),
    "signs": (
        [signs("U", SIGNS), signs(("b", "c"), -1)],
        lambda now, before: bool((now.U * SIGNS >= 0).all() and (now.b <= 0).all() and (now.c <= 0).all()),
    ),
    "dale": ([dale(0.8)], lambda now, before: obeys_dale(now)),
    "frozen": (
        [frozen(["U", "c"]), frozen("W", HELD)],
        lambda now, before: all(
            same_bits(a, b) for a, b in ((now.U, before.U), (now.c, before.c), (now.W[HELD], before.W[HELD]))
        ),
    ),
    "norm of a matrix": ([max_norm("W", 2.5)], lambda now, before: norms_at_most(now.W.reshape(1, -1), 2.5)),
    "norms of rows": ([max_norm(["W", "V"], 0.7, axis=1)], lambda now, before: norms_at_most(now.W, 0.7)),
    "norms of columns": ([max_norm("W", 0.7, axis=0)], lambda now, before: norms_at_most(now.W.T, 0.7)),
    "all at once": (
        [dale(0.8), no_self_connections(), frozen("U"), max_norm("W", 0.7, axis=1), mask("V", EXCITATORY)],
        lambda now, before: (
            obeys_dale(now)
            and positive_zeros(np.diag(now.W))
            and same_bits(now.U, before.U)
            and norms_at_most(now.W, 0.7)
            and positive_zeros(now.V[:, ~EXCITATORY])
        ),
    ),
}
every_set = pytest.mark.parametrize("name", SETS)


def network(dtype: str = "float32", **options: Any) -> ElmanRNN:
    return ElmanRNN(N_IN, N_HIDDEN, N_OUT, dtype=dtype, **{"seed": 0, **options})


# ---- Exactly kept ----


@every_set
@every_optimizer
def test_kept_by_each_step(name: str, make: Callable[[], Optimizer], dtype: str) -> None:
    constraints, kept = SETS[name]
    rnn, optimizer = network(dtype), make()
    free = network(dtype)
    rnn.constraints = constraints
    before = copy.deepcopy(rnn)
    assert kept(rnn, network(dtype))
    fixed = rnn.constraints.fixed
    for _ in range(8):
        for each, by in ((rnn, optimizer), (free, make())):
            _, gradients = each.loss_and_gradients(X, Y)
            by.step(each, gradients, scale=Y.size, clip_norm=1.0)
        assert kept(rnn, before)
    assert not np.array_equal(rnn.parameters[~fixed], before.parameters[~fixed])
    started, ended = kept(network(dtype), network(dtype)), kept(free, network(dtype))
    assert not (started and ended), "the constraints are not kept by chance"
    for key, array in optimizer.state().items():
        if key != "updates":
            begins = 0.5 if isinstance(optimizer, Adagrad) else 0.0
            assert same_bits(array[fixed], np.full(fixed.sum(), begins, dtype)), "no momenta of what is fixed"
            assert (array[~fixed] != begins).any()


@every_set
@pytest.mark.parametrize("make", OPTIMIZERS[1::3], ids=lambda make: repr(make()))
def test_kept_by_fit_and_resumed_to_the_bit(name: str, make: Callable[[], Optimizer], tmp_path: Path) -> None:
    constraints, kept = SETS[name]
    options: dict[str, Any] = {"batch_size": 2, "clip_norm": 1.0, "seed": 3, "progress": False}
    whole, resumed, argument, optimizer = network(), network(), network(), make()
    for rnn in (whole, resumed):
        rnn.constraints = constraints
    before = copy.deepcopy(whole)
    whole.fit(X, Y, optimizer=optimizer, epochs=4, **options)
    assert kept(whole, before)
    assert not np.array_equal(whole.parameters, before.parameters)
    path = tmp_path / "checkpoint"
    resumed.fit(X, Y, optimizer=make(), epochs=2, checkpoint=path, **options)
    other, again = network(seed=1), make()
    other.constraints = constraints
    other.fit(X, Y, optimizer=again, epochs=4, checkpoint=path, resume=True, **options)
    assert same_bits(other.parameters, whole.parameters)
    for key, array in again.state().items():
        assert same_bits(array, optimizer.state()[key])
    argument.fit(X, Y, optimizer=make(), epochs=4, constraints=constraints, **options)
    assert same_bits(argument.parameters, whole.parameters)
    assert len(argument.constraints) == 0, "those of a run are not the network's"


def test_constraints_of_a_run_stand_beside_those_of_the_network() -> None:
    rnn = network()
    rnn.constraints = no_self_connections()
    before = rnn.V.copy()
    rnn.fit(X, Y, optimizer=SGD(0.1), epochs=1, constraints=frozen("V"), progress=False)
    assert same_bits(rnn.V, before)
    assert positive_zeros(np.diag(rnn.W))
    assert rnn.constraints == [no_self_connections()]


def test_kept_in_windows_and_with_fresh_batches() -> None:
    rnn = network()
    rnn.constraints, kept = SETS["all at once"]
    before = copy.deepcopy(rnn)
    rnn.fit(X, Y, optimizer=Adam(0.05), epochs=3, truncate=3, progress=False)
    assert kept(rnn, before)
    rnn.fit(bptt.Batches(lambda rng: (X, Y), steps=3), optimizer=Adam(0.05), epochs=2, progress=False)
    assert kept(rnn, before)


VOID = {
    "nothing": [],
    "mask": [mask("W", np.ones((N_HIDDEN, N_HIDDEN)))],
    "signs": [signs("W", 0)],
    "the signs that stay": [signs("c", 1)],
    "frozen nowhere": [frozen("W", False)],
    "norms": [max_norm(["U", "W", "V"], 1e6), max_norm("W", 1e3, axis=1), max_norm("W", 1e3, axis=0)],
}


@pytest.mark.parametrize("constraints", VOID.values(), ids=VOID)
@pytest.mark.parametrize("make", [OPTIMIZERS[i] for i in (0, 1, 2, 3, 4, 5, 6, 8, 9)], ids=lambda make: repr(make()))
def test_void_constraints_change_no_bit(constraints: list[Any], make: Callable[[], Optimizer], dtype: str) -> None:
    rnn, free, optimizer, freely = network(dtype), network(dtype), make(), make()
    for one in (rnn, free):
        one.c = np.full(N_OUT, 1e4)  # so far from 0 that they stay above it
    rnn.constraints = constraints
    for _ in range(5):
        _, gradients = free.loss_and_gradients(X, Y)
        norms = [by.step(each, gradients, clip_norm=2.0) for each, by in ((rnn, optimizer), (free, freely))]
        assert norms[0] == norms[1]
        assert same_bits(rnn.parameters, free.parameters)
    assert (rnn.c > 0).all()
    for key, array in optimizer.state().items():
        assert same_bits(array, freely.state()[key])


def test_a_step_is_that_of_the_gradient_without_what_is_fixed_and_then_the_nearest_parameters() -> None:
    rnn, free = network("float64"), network("float64")
    rnn.constraints = [no_self_connections(), frozen("U"), signs("V", 1)]
    free.parameters = rnn.parameters
    _, gradients = rnn.loss_and_gradients(X, Y)
    left = gradients.flat.copy()
    left[rnn.constraints.fixed] = 0
    assert rnn.constraints.fixed.sum() == N_HIDDEN + N_HIDDEN * N_IN
    assert same_bits(rnn.constraints.gradient(gradients), left)
    given = gradients.flat.copy()
    norm = SGD(0.3).step(rnn, gradients, clip_norm=0.5)
    assert same_bits(gradients.flat, given), "the gradient itself stays as it is"
    assert norm == SGD(0.3).step(free, left, clip_norm=0.5)
    assert norm == pytest.approx(np.linalg.norm(left), rel=1e-14)  # another order of a sum of some 200 squares
    free.V[free.V < 0] = 0
    assert same_bits(rnn.parameters, free.parameters)


def test_what_is_not_finite_in_a_gradient_of_what_is_fixed_is_not_seen() -> None:
    rnn = network()
    rnn.constraints = [no_self_connections(), frozen("U")]
    gradient = np.ones_like(rnn.parameters)
    fixed = np.flatnonzero(rnn.constraints.fixed)
    gradient[fixed[::2]], gradient[fixed[1::2]] = np.nan, -np.inf
    before = rnn.parameters.copy()
    assert Adam(0.1).step(rnn, gradient) == math.sqrt(rnn.parameters.size - len(fixed))
    assert same_bits(rnn.parameters[fixed], before[fixed])


def test_a_step_that_is_refused_changes_nothing() -> None:
    rnn, optimizer = network(), Adam(0.1)
    rnn.constraints = [no_self_connections(), frozen("U")]
    rnn.W = np.ones((N_HIDDEN, N_HIDDEN))  # against the constraints
    before = rnn.parameters.copy()
    gradient = np.ones_like(before)
    gradient[-1] = np.inf
    with pytest.raises(FloatingPointError):
        optimizer.step(rnn, gradient)
    with pytest.raises(ValueError, match="scale"):
        optimizer.step(rnn, np.ones_like(before), scale=-1)
    assert same_bits(rnn.parameters, before)
    assert optimizer.updates == 0


@every_optimizer
def test_what_becomes_fixed_loses_its_momenta(make: Callable[[], Optimizer]) -> None:
    rnn, optimizer = network(), make()
    for constraints in ([], [frozen("W")], [], [frozen("W")], [frozen("U")]):
        rnn.constraints = constraints
        fixed, before = rnn.constraints.fixed, rnn.parameters.copy()
        for _ in range(2):
            _, gradients = rnn.loss_and_gradients(X, Y)
            optimizer.step(rnn, gradients, scale=Y.size)
        assert same_bits(rnn.parameters[fixed], before[fixed])
        assert (rnn.parameters != before)[~fixed].any()
        begins = 0.5 if isinstance(optimizer, Adagrad) else 0.0
        for key, array in optimizer.state().items():
            assert key == "updates" or (array[fixed] == begins).all()


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("held", [False, True])
def test_norms_are_at_most_their_bound_whatever_the_numbers(axis: int | None, held: bool, dtype: str) -> None:
    random = np.random.default_rng(0)
    scaled = 0
    for _ in range(60):
        rnn, most = network(dtype), float(random.uniform(0.5, 3))
        rnn.W = random.standard_normal(rnn.W.shape) * 10.0 ** random.integers(-3, 6)
        still = HELD & held
        rnn.W[still] = 0.05 * random.standard_normal(still.sum())  # far within the bound
        before = rnn.W.copy()
        rnn.constraints = [max_norm("W", most, axis=axis), frozen("W", still)]
        groups = (before.reshape(1, -1), rnn.W.reshape(1, -1)) if axis is None else (before, rnn.W)
        was, now = (a.T if axis == 0 else a for a in groups)
        assert norms_at_most(now, most)
        assert same_bits(rnn.W[still], before[still])
        moves = ~(still.reshape(1, -1) if axis is None else still.T if axis == 0 else still)
        for a, b, free in zip(was, now, moves, strict=True):
            if np.linalg.norm(a.astype(np.float64)) <= most:
                assert same_bits(a, b)
                continue
            scaled += 1
            # What is free is scaled by one factor, rounded once, to the bound less some eps of it.
            eps = float(np.finfo(dtype).eps)
            assert np.linalg.norm(b.astype(np.float64)) >= most * (1 - 4 * eps - 200 * 2.0**-52)
            ratio = b[free].astype(np.float64) / a[free].astype(np.float64)
            assert np.abs(ratio / ratio[0] - 1).max() <= 4 * eps
    assert scaled > 30


@pytest.mark.parametrize("most", [1e-30, 1e-12, 1e30])
def test_bounds_of_extreme_size(most: float, dtype: str) -> None:
    rnn = network(dtype)
    rnn.W = rnn.W * (most * 3)
    rnn.constraints = max_norm("W", most, axis=1)
    assert norms_at_most(rnn.W, most)
    norms = np.sqrt(np.square(rnn.W, dtype=np.float64).sum(1))
    assert (norms > 0.999 * most).all()


# ---- Networks of several layers, and of two directions ----


def test_letters_of_layers_and_directions() -> None:
    rnn = ElmanRNN(3, (6, 4), 2, bidirectional=True, seed=0, dtype="float64")
    rnn.constraints = [
        dale(0.5),
        no_self_connections(layer=1),
        mask("U", [0, 1, 1], layer=0, reverse=True),
        frozen("b", layer=1, reverse=False),
    ]
    below, above = rnn.layers
    assert below.reverse is not None
    assert above.reverse is not None
    for layer, n in ((below, 6), (above, 4)):
        assert layer.reverse is not None
        excitatory = np.arange(n) < n // 2
        for W in (layer.W, layer.reverse.W):
            assert (W[:, excitatory] >= 0).all()
            assert (W[:, ~excitatory] <= 0).all()
            assert (W != 0).any()
    for matrix, n in ((above.U, 6), (above.reverse.U, 6), (rnn.V, 4)):
        excitatory = np.tile(np.arange(n) < n // 2, 2)
        assert (matrix[:, excitatory] >= 0).all()
        assert (matrix[:, ~excitatory] <= 0).all()
    assert (below.U < 0).any() and (below.U > 0).any(), "columns of inputs are free"  # noqa: PT018
    assert positive_zeros(np.diag(above.W)) and positive_zeros(np.diag(above.reverse.W))  # noqa: PT018
    assert not (np.diag(below.W) == 0).all()
    assert positive_zeros(below.reverse.U[:, 0])
    assert (below.U[:, 0] != 0).all()
    fixed = rnn.constraints.fixed
    assert fixed.sum() == 2 * 4 + 6 + 4
    assert [e.tolist() for e in rnn.constraints.excitatory] == [[True] * 3 + [False] * 3, [True] * 2 + [False] * 2]
    before = rnn.parameters.copy()
    rnn.fit(X, Y % 2, optimizer=Adam(0.05), epochs=2, progress=False)
    assert same_bits(rnn.parameters[fixed], before[fixed])
    assert (above.reverse.U[:, [0, 1, 2, 6, 7, 8]] >= 0).all()


def test_an_output_recurrent_network() -> None:
    rnn = JordanRNN(N_IN, N_HIDDEN, N_OUT, seed=0)
    rnn.constraints = [mask("W", [1, 0, 1, 1]), signs("V", EXCITATORY * 2 - 1), frozen("b")]
    before = rnn.b.copy()
    rnn.fit(X, Y, optimizer=Adam(0.05), epochs=3, progress=False)
    assert positive_zeros(rnn.W[:, 1])
    assert (rnn.V * (EXCITATORY * 2 - 1) >= 0).all()
    assert same_bits(rnn.b, before)


def test_blocks() -> None:
    made = blocks("W", [[1.0, 0.3], [0.0, 1.0]], (6, 4), seed=0)
    assert made == blocks("W", [[1.0, 0.3], [0.0, 1.0]], rows=[6, 4], columns=[6, 4], seed=0)
    assert made != blocks("W", [[1.0, 0.3], [0.0, 1.0]], (6, 4), seed=1)
    rnn = network()
    rnn.constraints = made
    connected = rnn.W != 0
    assert connected[:6, :6].all()
    assert connected[6:, 6:].all()
    assert not connected[6:, :6].any()
    assert 0 < connected[:6, 6:].sum() < 24
    wide = ElmanRNN(2, 1000, 1, init="uniform", seed=0)
    wide.constraints = blocks("W", [[0.2]], [1000], seed=0)
    # A binomial of 10^6 draws has a standard deviation of 400.
    assert abs((wide.W != 0).sum() - 200_000) < 4.5 * 400


# ---- Assigning, applying, lifting ----


def test_assigning_brings_in_and_later_assignments_have_to_respect_it() -> None:
    rnn = network()
    W = rnn.W.copy()
    rnn.constraints = [no_self_connections(), dale(EXCITATORY)]
    assert same_bits(rnn.W, np.where(np.eye(N_HIDDEN) == 1, 0, np.where(EXCITATORY, W.clip(0), W.clip(None, 0))))
    rnn.W[2, 2] = 0.25
    with pytest.raises(
        ValueError, match=r"^W\[2, 2\]: expected 0, as it is masked, got 0.25; rnn.constraints.apply\(\)"
    ):
        rnn.fit(X, Y, optimizer=SGD(0.1), epochs=1, progress=False)
    assert rnn.W[2, 2] == 0.25
    rnn.constraints.apply()
    assert rnn.W[2, 2] == 0
    rnn.V[1, 9] = 0.5
    with pytest.raises(ValueError, match=r"^V\[1, 9\]: expected at most 0, by its sign, got 0.5; "):
        rnn.fit(X, Y, optimizer=SGD(0.1), epochs=1, progress=False)
    _, gradients = rnn.loss_and_gradients(X, Y)
    SGD(0.0).step(rnn, gradients)
    assert rnn.V[1, 9] == 0, "a step brings it in"
    rnn.constraints = []
    assert len(rnn.constraints) == 0
    assert rnn.constraints.excitatory is None
    assert not rnn.constraints.fixed.any()
    rnn.W[2, 2] = 0.25
    rnn.fit(X, Y, optimizer=SGD(0.1), epochs=1, progress=False)
    assert rnn.W[2, 2] != 0


def test_frozen_parameters_may_be_assigned() -> None:
    rnn = network()
    rnn.constraints = frozen("U")
    rnn.U = np.full((N_HIDDEN, N_IN), 0.125)
    rnn.fit(X, Y, optimizer=AdamW(0.1), epochs=1, progress=False)
    assert (rnn.U == 0.125).all()


def test_updates_of_ones_own() -> None:
    rnn = network("float64")
    rnn.constraints, kept = SETS["all at once"]
    before = copy.deepcopy(rnn)
    for _ in range(3):
        _, gradients = rnn.loss_and_gradients(X, Y)
        rnn.parameters -= 0.01 * rnn.constraints.gradient(gradients)
        rnn.constraints.apply()
        assert kept(rnn, before)
    free = network()
    free.constraints.apply()
    assert same_bits(free.constraints.gradient(np.ones(free.parameters.size)), np.ones_like(free.parameters))


# ---- Copies and files ----


@every_set
def test_copies_pickles_and_files_have_them(name: str, tmp_path: Path) -> None:
    rnn = network()
    rnn.constraints, kept = SETS[name]
    rnn.save(tmp_path / "model")
    others = [copy.copy(rnn), copy.deepcopy(rnn), pickle.loads(pickle.dumps(rnn)), bptt.load(tmp_path / "model")]
    for other in others:
        assert other.constraints == rnn.constraints
        assert same_bits(other.parameters, rnn.parameters)
        other.fit(X, Y, optimizer=SGD(0.1), epochs=1, progress=False)
        assert kept(other, rnn)
        other.constraints = []
    assert len(rnn.constraints) == len(SETS[name][0])
    bptt.load(tmp_path / "model").save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()


def test_a_file_without_constraints_is_as_it_was(tmp_path: Path) -> None:
    rnn = network()
    rnn.save(tmp_path / "without")
    rnn.constraints = frozen("W")
    rnn.save(tmp_path / "with")
    rnn.constraints = None
    rnn.save(tmp_path / "lifted")
    assert (tmp_path / "lifted").read_bytes() == (tmp_path / "without").read_bytes()
    told = []
    for name in ("without", "with"):
        with safe_open(tmp_path / name, "np") as file:
            told.append(json.loads(file.metadata()["bptt"]))
    assert told[1].pop("constraints") == [{"constraint": "frozen", "letters": ["W"]}]
    assert told[0] == told[1]


def test_a_checkpoint_without_constraints_is_as_it_was_and_one_with_others_is_refused(tmp_path: Path) -> None:
    def run(path: Path, constraints: Any, resume: bool = False) -> None:
        network().fit(
            X, Y, optimizer=SGD(0.1), epochs=1, checkpoint=path, resume=resume, constraints=constraints, seed=0,
            progress=False,
        )  # fmt: skip

    run(tmp_path / "without", None)
    with safe_open(tmp_path / "without", "np") as file:
        assert "constraints" not in file.metadata()["bptt.checkpoint"]
    run(tmp_path / "without", [], resume=True)
    with pytest.raises(ValueError, match=r"^resume: expected network.constraints as in the checkpoint, None, got \["):
        run(tmp_path / "without", frozen("W"), resume=True)


# ---- Dale's law ----


@pytest.mark.parametrize("n", [1, 2, 7, 29, 100])
def test_dale_has_the_nearest_number_of_excitatory_units(n: int) -> None:
    for share in (0.0, 0.29, 0.5, 0.8, 1.0):
        rnn = ElmanRNN(1, n, 1, init=None)
        rnn.constraints = dale(share)
        assert abs(rnn.constraints.excitatory.sum() - share * n) <= 0.5
        assert (np.diff(rnn.constraints.excitatory.astype(int)) <= 0).all(), "the first ones"


def test_a_network_with_dales_law_learns() -> None:
    """Which of two noisy inputs is larger on average (a perceptual decision)."""

    def trials(random: np.random.Generator) -> tuple[Array, Array]:
        choice = random.integers(0, 2, 32)
        x = 0.5 * random.standard_normal((20, 32, 2))
        x[:, np.arange(32), choice] += 0.3
        return x.astype(np.float32), choice

    rnn = ElmanRNN(2, 30, 2, activation="relu", readout="last", seed=0)
    rnn.constraints = [dale(0.8), no_self_connections(), signs("U", 1)]
    initialize(rnn, seed=0)
    history = rnn.fit(
        bptt.Batches(trials, steps=50), optimizer=Adam(3e-3), epochs=6, clip_norm=1.0, seed=0, progress=False
    )
    assert history.loss[-1] < 0.5 * history.loss[0]
    x, choice = trials(np.random.default_rng(99))
    assert (rnn.forward(x).y_hat.argmax(-1) == choice).mean() > 0.85
    excitatory = rnn.constraints.excitatory
    assert (rnn.W[:, excitatory] >= 0).all()
    assert (rnn.W[:, ~excitatory] <= 0).all()
    assert (rnn.W[:, ~excitatory] < 0).any()
    assert positive_zeros(np.diag(rnn.W))
