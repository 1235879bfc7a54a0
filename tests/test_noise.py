"""Noise and dropout: what they do to results, that their gradients are exact, and on what their draws depend."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from answers import answer
from bptt import Adam, ElmanRNN, JordanRNN, reference
from core import DTYPES, ISAS, instruction_set
from laws import check_central_differences, check_forms, check_memory_limit, check_threads, least_memory
from problems import Case, Form, letters, problem, smooth_problem
from results import Tolerances, assert_close, by_sequence, everything, same_bits, tolerances

KINDS: list[dict[str, Any]] = [
    {"n_hidden": 7},
    {"n_hidden": 19, "leak": "mixed", "reset": True},
    {"n_hidden": (9, 5), "activation": "relu"},
    {"n_hidden": (6, 17), "leak": 0.25, "readout": "last", "output": "linear"},
    {"n_hidden": (5, 6), "bidirectional": True, "input": "token"},
    {"n_hidden": (5, 9, 3), "bidirectional": True, "readout": "last", "leak": "mixed", "output": "sigmoid"},
    {"n_hidden": 7, "bidirectional": True, "readout": "last", "reset": True},
    {"n_hidden": 33, "input": "token", "output": "sigmoid"},
]
HOW: list[dict[str, Any]] = [{"noise": 0.5}, {"dropout": 0.3}, {"noise": 0.2, "dropout": 0.5}]
LENGTHS = (4, 1, 7, 3, 7, 2)
LARGE = [
    Case(3, 7, 3, (450,), noise=0.1, dropout=0.3),  # several windows
    Case(3, (7, 5), 3, (60,) * 9, noise=0.1, dropout=0.3, leak="mixed"),
    Case(3, (7, 5), 3, (60, 130, 7, 130, 60, 90, 30), noise=0.1, dropout=0.3, bidirectional=True),
    Case(5, (40, 50), 3, (45,), reset=True, noise=0.1, dropout=0.3),  # layers side by side
    Case(3, (170, 60), 5, (20,), activation="relu", noise=0.1, dropout=0.3),  # threads share columns
    Case(9, 170, 3, (20, 2, 30), "token", "linear", noise=0.1, dropout=0.3),
    Case(600, 5, 3, (450,), "token", readout="last", noise=0.1, dropout=0.3),
    Case(7, 40, 3500, (2, 1), noise=0.1, dropout=0.3),  # matrices that do not fit L2
    Case(400, (370, 40), 5, (2, 3), noise=0.1, dropout=0.3),
    Case(7, 40, 3500, (2, 1), bidirectional=True, noise=0.1, dropout=0.3),
]
X = np.random.default_rng(0).standard_normal((12, 5, 3)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 4, (12, 5))


def cases() -> list[Case]:
    sizes: dict[str, Any] = {"n_in": 3, "n_out": 4, "lengths": LENGTHS}
    return [Case(**sizes, **kind, **how) for kind, how in itertools.product(KINDS, HOW)]


# ---- Numbers ----


@pytest.mark.parametrize("isa", ISAS, indirect=True)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [*cases(), *LARGE], ids=str)
def test_the_results_are_those_of_the_reference(case: Case, dtype: str, isa: str) -> None:
    """In float32, u is rounded to 24 bits: a normal number that is near 0 is off by up to 2e-5, some 170 eps."""
    p, expected = smooth_problem(case), answer(case)
    form: Form = "padded" if len(set(case.lengths)) > 1 else case.form
    found = by_sequence(everything(p.network(dtype), p.arguments(form)), form, case)
    allowed = tolerances(dtype, layers=len(case.sizes))
    if case.noise and dtype == "float32":
        rounding = 170.0 * case.noise * math.sqrt(2 / 0.0625) * float(np.finfo(dtype).eps)
        allowed = Tolerances(allowed.forward + rounding, allowed.gradients + 4 * rounding)
    assert_close(found, expected.results, allowed, expected.scales)


@pytest.mark.parametrize("case", cases(), ids=str)
def test_gradients_are_central_differences(case: Case) -> None:
    p = smooth_problem(case)
    check_central_differences(p, [case.initial, *(["x"] if case.input == "real" else [])])
    rnn, arguments = p.network("float64"), p.arguments()
    _, gradients = rnn.loss_and_gradients(**arguments)
    step = 1e-5
    for name, values in letters(rnn).items():
        differences = np.empty_like(values)
        for place in np.ndindex(values.shape):
            kept = values[place]
            losses = []
            for moved in (kept + step, kept - step):
                values[place] = moved
                losses.append(rnn.loss(**arguments))
            values[place] = kept
            differences[place] = (losses[0] - losses[1]) / (2 * step)
        exact = letters(gradients)[name]
        scale = max(1.0, float(np.abs(exact).max()))
        assert np.abs(exact - differences).max() <= 1e-8 * scale, name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [case for case in cases() if case.output == "linear" or case.dropout], ids=str)
def test_backward_has_the_draws_of_its_forward_pass(case: Case, dtype: str) -> None:
    """dL/do of the squared loss is o - y, whatever h was dropped on its way to o."""
    case = Case(**{**vars(case), "output": "linear", "extras": False, "activation": "tanh"})
    p = problem(case)
    rnn, arguments = p.network(dtype), p.arguments("list")
    _, expected = rnn.loss_and_gradients(**arguments)
    run = rnn.forward(**p.inputs("list"), gradient=True)
    y = arguments["y"]
    each = [o - y_i.astype(dtype) for o, y_i in zip(run.o, y, strict=True)]
    d_o: Any = np.array(each) if case.readout == "last" else each
    assert same_bits(run.backward(d_o).flat, expected.flat)
    ones = [np.ones_like(h) for h in run.h]
    both = run.backward(d_o, d_h=ones)
    alone = run.backward(d_h=ones)
    scale = np.abs(both.flat).max()
    # A sum of two ways back: their rounding, of terms that cancel.
    assert np.abs(both.flat - expected.flat - alone.flat).max() <= 500 * np.finfo(dtype).eps * scale


# ---- Bits ----


@pytest.mark.parametrize("case", [*cases()[2::3], *LARGE], ids=str)
def test_threads_and_memory_limit_change_no_bit(case: Case) -> None:
    p = problem(case)
    check_threads(p, "float32", repeat=1)
    if max(case.lengths) > 100 and not case.bidirectional:
        least = least_memory(p.network("float32"), p.arguments())
        check_memory_limit(p, "float32", [least, 2 * least])


@pytest.mark.parametrize("case", cases()[2::3], ids=str)
def test_the_form_of_the_sequences_changes_no_bit(case: Case) -> None:
    check_forms(problem(case), "float32", ends=[len(case.lengths)])


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_instruction_set_draws_the_same(dtype: str) -> None:
    """With U = W = 0, h is tanh of the noise; with relu it is the noise itself, to the bit."""
    rnn = ElmanRNN(3, 70, 70, activation="relu", output="linear", dtype=dtype, init=None)
    rnn.V = np.eye(70)
    found = []
    for isa in ISAS:
        with instruction_set(isa):
            run = rnn.forward(X, noise=1.0, dropout=0.25, seed=3)
            found.append((run.h, run.o))
    assert all(same_bits(one, found[0]) for one in found)


# ---- What is drawn ----


def normals(**how: Any) -> Any:
    """The z of a whole batch: b is so large that relu leaves them."""
    n = how.pop("n", 24)
    tau, batch = how.pop("steps", 60), how.pop("batch", 50)
    rnn = ElmanRNN(0, n, 1, activation="relu", output="linear", dtype="float64", init=None)
    rnn.b = np.full(n, 100.0)
    return (rnn.forward(np.zeros((tau, batch, 0)), noise=1.0, **how).h - 100.0) / math.sqrt(2)


def test_noise_is_normal_and_independent() -> None:
    """4.5 standard deviations of each statistic."""
    z = normals(seed=1)
    n = z.size
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((z**power).mean() - mean) <= 4.5 * math.sqrt(variance / n), power
    inside = (np.abs(z) < 1).mean()
    assert abs(inside - 0.6826894921) <= 4.5 * math.sqrt(0.2166 / n)
    assert len(np.unique(z)) > 0.999 * n, "no number is used twice"
    others = {
        "steps": (z[1:], z[:-1]),
        "sequences": (z[:, 1:], z[:, :-1]),
        "units": (z[..., 1:], z[..., :-1]),
        "units of one place": (z[..., 6:], z[..., :-6]),
        "seeds": (z, normals(seed=2)),
        "seeds by their high half": (z, normals(seed=1 + 2**32)),
    }
    for name, (a, b) in others.items():
        assert abs((a * b).mean()) <= 4.5 / math.sqrt(a.size), name
        assert abs((a**2 * b**2).mean() - 1) <= 4.5 * math.sqrt(8 / a.size), name


def test_layers_and_directions_have_draws_of_their_own() -> None:
    rnn: Any = ElmanRNN(0, (8, 8), 1, activation="relu", bidirectional=True, dtype="float64", init=None)
    for layer in rnn.layers:
        layer.b[:] = layer.reverse.b[:] = 100.0
    run: Any = rnn.forward(np.zeros((40, 40, 0)), noise=1.0, seed=0, all_layers=True)
    z = [part for h in run.layers for part in np.split((h - 100.0) / math.sqrt(2), 2, axis=2)]
    for a, b in itertools.combinations(z, 2):
        assert abs((a * b).mean()) <= 4.5 / math.sqrt(a.size)


def test_dropout_leaves_the_expected_share_and_the_mean() -> None:
    p, n = 0.3, 64
    rnn = ElmanRNN(0, n, n, activation="relu", output="linear", dtype="float64", init=None)
    rnn.b, rnn.V = np.ones(n), np.eye(n)
    run = rnn.forward(np.zeros((50, 40, 0)), dropout=p, seed=5)
    assert (run.h == 1).all(), "what goes from step to step is whole"
    assert set(np.unique(run.o)) == {0.0, 1 / (1 - p)}
    kept = run.o > 0
    sigma = math.sqrt(p * (1 - p) / kept.size)
    assert abs(kept.mean() - (1 - p)) <= 4.5 * sigma
    for a, b in ((kept[1:], kept[:-1]), (kept[:, 1:], kept[:, :-1]), (kept[..., 1:], kept[..., :-1])):
        assert abs(np.mean((a - (1 - p)) * (b - (1 - p)))) <= 4.5 * p * (1 - p) / math.sqrt(a.size)


def test_the_noise_of_leaky_units_has_the_variance_of_the_equation() -> None:
    """2 alpha sigma^2 / (1 - (1 - alpha)^2), which is sigma^2 / (1 - alpha / 2)."""
    alpha, sigma = np.array([0.05, 0.2, 0.5, 1.0]), 0.3
    rnn = ElmanRNN(0, 4, 1, leak=alpha, dtype="float64", init=None)
    v = rnn.forward(np.zeros((400, 2000, 0)), noise=sigma, seed=0, v=True).v[200:]
    expected = sigma**2 / (1 - alpha / 2)
    effective = 200 * 2000 * alpha / 2  # samples that are independent
    assert (np.abs(v.var(axis=(0, 1)) / expected - 1) <= 4.5 * np.sqrt(2 / effective)).all()


def test_a_draw_depends_on_the_place_alone() -> None:
    whole = normals(seed=9, steps=30, batch=8)
    assert same_bits(normals(seed=9, steps=12, batch=8), whole[:12]), "not on the number of steps"
    assert same_bits(normals(seed=9, steps=30, batch=3), whole[:, :3]), "nor on that of the sequences"
    assert same_bits(normals(seed=9, steps=30, batch=8), whole)
    assert not same_bits(normals(seed=10, steps=30, batch=8), whole)


def test_the_seed_is_new_by_default_and_may_be_a_generator() -> None:
    rnn = ElmanRNN(3, 6, 4, seed=0)
    assert rnn.loss(X, Y, noise=0.5) != rnn.loss(X, Y, noise=0.5)
    assert rnn.loss(X, Y, dropout=0.5) != rnn.loss(X, Y, dropout=0.5)
    generators = (np.random.default_rng(4), np.random.default_rng(4))
    assert rnn.loss(X, Y, noise=0.5, seed=generators[0]) == rnn.loss(X, Y, noise=0.5, seed=generators[1])
    state = generators[0].bit_generator.state
    assert rnn.loss(X, Y, seed=generators[0]) == rnn.loss(X, Y)
    assert generators[0].bit_generator.state == state, "nothing is drawn where nothing is disturbed"


@pytest.mark.parametrize(
    "how", [{"noise": 0.0}, {"dropout": 0}, {"noise": np.float32(0), "dropout": 0.0, "seed": 3}], ids=str
)
def test_none_is_the_plain_network_to_the_bit(how: dict[str, Any]) -> None:
    rnn = ElmanRNN(3, (6, 5), 4, seed=0)
    plain = everything(rnn, {"x": X, "y": Y})
    assert same_bits(everything(rnn, {"x": X, "y": Y, **how}), plain)


# ---- Training ----


def trained(rnn: ElmanRNN, **how: Any) -> Any:
    options: dict[str, Any] = {"optimizer": Adam(0.01), "epochs": 3, "batch_size": 2, "seed": 7, "progress": False}
    return rnn.fit(X, Y, **{**options, **how})


@pytest.mark.parametrize("truncate", [None, 5])
def test_fit_resumes_to_the_same_bits(truncate: int | None, tmp_path: Path) -> None:
    how: dict[str, Any] = {"noise": 0.3, "dropout": lambda update: 0.1 * (update % 3), "truncate": truncate}
    how["batch_size"] = None if truncate else 2
    whole, first = ElmanRNN(3, (6, 5), 4, leak=0.5, seed=0), ElmanRNN(3, (6, 5), 4, leak=0.5, seed=0)
    history = trained(whole, **how)
    trained(first, **how, epochs=1, checkpoint=tmp_path / "run")
    resumed = trained(first, **how, checkpoint=tmp_path / "run", resume=True)
    assert same_bits(first.parameters, whole.parameters)
    assert same_bits(resumed.loss, history.loss)
    plain = ElmanRNN(3, (6, 5), 4, leak=0.5, seed=0)
    trained(plain, truncate=truncate, batch_size=how["batch_size"])
    assert not same_bits(plain.parameters, whole.parameters)


def test_a_run_with_other_noise_is_another_run(tmp_path: Path) -> None:
    rnn = ElmanRNN(3, 6, 4, seed=0)
    trained(rnn, noise=0.3, epochs=1, checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match="noise"):
        trained(rnn, noise=0.4, checkpoint=tmp_path / "run", resume=True)
    with pytest.raises(ValueError, match="noise"):
        trained(rnn, checkpoint=tmp_path / "run", resume=True)


def test_validation_and_metrics_are_without_noise_and_dropout() -> None:
    rnn = ElmanRNN(3, 6, 4, seed=0)
    seen: list[Any] = []

    def mean(y: Any, y_hat: Any) -> float:
        seen.append(y_hat)
        return float(y_hat.mean())

    history = trained(
        rnn,
        noise=0.5,
        dropout=0.5,
        epochs=1,
        validation=(X, Y),
        metrics={"mean": mean},
    )
    assert history.validation[-1] == pytest.approx(rnn.loss(X, Y) / Y.size, rel=1e-6)  # batches, added in another order
    expected = np.sort(rnn.forward(X).y_hat.reshape(-1, 4), axis=0)
    assert np.allclose(np.sort(seen[0], axis=0), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["noise", "dropout"])
def test_each_update_has_draws_of_its_own(name: str) -> None:
    """At a learning rate of nearly 0 the losses of equal batches differ by their draws alone."""
    x, y = X[:, :1], Y[:, :1]
    rnn = ElmanRNN(3, 6, 4, seed=0)
    how: dict[str, Any] = {"optimizer": bptt.SGD(1e-12), "epochs": 6, "batch_size": 1, "seed": 0, "progress": False}
    losses = rnn.fit(x, y, **(how | {name: 0.5})).updates.loss
    assert len(set(losses)) == 6
    told: list[int] = []

    def later(update: int) -> float:
        told.append(update)
        return 0.5 if update >= 3 else 0.0

    scheduled = rnn.fit(x, y, **(how | {name: later})).updates.loss
    assert told == [*range(6)]
    assert len(set(np.round(scheduled[:3], 6))) == 1
    assert len(set(scheduled[3:])) == 3


# ---- What is refused ----


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"noise": -0.1}, ValueError, r"noise: expected a number in [0, inf), got -0.1"),
        ({"noise": math.nan}, ValueError, r"noise: expected a number in [0, inf), got nan"),
        ({"noise": math.inf}, ValueError, r"noise: expected a number in [0, inf), got inf"),
        ({"noise": "1"}, TypeError, "noise: expected a number, got str"),
        ({"noise": False}, TypeError, "noise: expected a number, got bool"),
        ({"noise": None}, TypeError, "noise: expected a number, got NoneType"),
        ({"dropout": 1.0}, ValueError, r"dropout: expected a number in [0, 1), got 1.0"),
        ({"dropout": -1e-9}, ValueError, r"dropout: expected a number in [0, 1), got -1e-09"),
        ({"dropout": [0.5]}, TypeError, "dropout: expected a number, got list"),
        ({"noise": 1.0, "seed": -1}, ValueError, r"seed: expected an int in [0, 2**64)"),
        ({"noise": 1.0, "seed": 1.5}, TypeError, r"seed: expected an int in [0, 2**64)"),
        ({"seed": "a"}, TypeError, r"seed: expected an int in [0, 2**64)"),
    ],
    ids=str,
)
def test_what_no_noise_or_dropout_is(how: dict[str, Any], error: type[Exception], message: str) -> None:
    rnn = ElmanRNN(3, 6, 4, seed=0)
    for call in (
        lambda: rnn.forward(X, **how),
        lambda: rnn.loss(X, Y, **how),
        lambda: rnn.loss_and_gradients(X, Y, **how),
    ):
        with pytest.raises(error) as raised:
            call()
        assert str(raised.value).startswith(message)


def test_fit_refuses_by_name() -> None:
    rnn, before = ElmanRNN(3, 6, 4, seed=0), ElmanRNN(3, 6, 4, seed=0).parameters
    with pytest.raises(ValueError, match=r"^dropout: expected a number in \[0, 1\), got 1"):
        trained(rnn, dropout=1)
    with pytest.raises(TypeError, match=r"^noise: expected a number, got str"):
        trained(rnn, noise="a")
    with pytest.raises(ValueError, match=r"^dropout: expected a number in \[0, 1\), got 2"):
        trained(rnn, dropout=lambda update: 2)
    assert same_bits(rnn.parameters, before)
    jordan: Any = JordanRNN(3, 6, 4, seed=0)
    for name in ("noise", "dropout"):
        with pytest.raises(ValueError, match=f"^{name}: expected None with a recurrence from the output, as "):
            jordan.fit(X, Y, optimizer=Adam(), epochs=1, progress=False, **{name: 0.1})


# ---- The reference's own draws ----


def test_the_reference_draws_what_the_book_of_box_and_muller_says() -> None:
    z = np.array(reference.noise_draws(1, 0, 400, 25))
    assert z.shape == (400, 25)
    assert abs(z.mean()) <= 4.5 / 100
    assert abs(z.var() - 1) <= 4.5 * math.sqrt(2) / 100
    kept = np.array(reference.dropout_draws(1, 0, 400, 25, 0.25)) > 0
    assert abs(kept.mean() - 0.75) <= 4.5 * math.sqrt(0.1875) / 100
