"""bptt.analysis: gradients through time, Jacobians and spectra, principal components, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from answers import numbers, reference_parameters
from bptt import ElmanRNN, JordanRNN, reference
from bptt.analysis import (
    Lyapunov,
    backward_steps,
    jacobian_norms,
    jacobian_spectrum,
    jacobians,
    lyapunov,
    pca,
    spectrum,
)
from inside import autonomous, close, no_input, step_of
from problems import Array, Case, problem, smooth_problem
from refusals import refuses
from results import same_bits

KINDS: dict[str, dict[str, Any]] = {
    "one layer": {"n_hidden": 5},
    "two layers": {"n_hidden": (5, 4)},
    "two directions": {"n_hidden": 5, "bidirectional": True},
    "two of two": {"n_hidden": (4, 3), "bidirectional": True},
    "leaky": {"n_hidden": 5, "leak": "mixed"},
    "leaky layers": {"n_hidden": (5, 4), "leak": 0.25},
    "leaky, two of two": {"n_hidden": (4, 3), "bidirectional": True, "leak": "mixed"},
    "y_hat fed back": {"n_hidden": 5, "feedback": "y_hat"},
    "o fed back": {"n_hidden": 5, "feedback": "o"},
}
ONE_WAY = [name for name, kind in KINDS.items() if not kind.get("bidirectional")]


def cases(names: Any = KINDS) -> list[Case]:
    """Every kind with every output unit and activation; what else there is goes round."""
    rounds = itertools.cycle(
        itertools.product(("real", "token"), ((6,), (5, 2, 4)), (False, True), ("all", "last"), (0.4, 0.0, 1.0))
    )
    for _ in range(7):  # so that neighbours differ in more than the last
        next(rounds)
    found = []
    for name, output, activation in itertools.product(names, ("softmax", "sigmoid", "linear"), ("tanh", "relu")):
        for _ in range(3):
            input, lengths, reset, readout, forcing = next(itertools.islice(rounds, 6, 7))
            if "feedback" in KINDS[name]:
                kind = {**KINDS[name], "teacher_forcing": forcing}
            else:
                kind = {**KINDS[name], "readout": readout}
            given: dict[str, Any] = {"input": input, "output": output, "reset": reset, "activation": activation}
            found.append(Case(3, n_out=3, lengths=lengths, **{**kind, **given}))
    return found


def by_sequence(array: Any, case: Case) -> list[Array]:
    """Of an array of steps in the case's form, one array a sequence; 0 beyond each."""
    if case.form == "single":
        return [array]
    for i, n in enumerate(case.lengths):
        assert not array[n:, i].any()
    return [array[:n, i] for i, n in enumerate(case.lengths)]


# ---- Gradients through time ----


def reference_steps(case: Case, i: int) -> reference.BackwardSteps:
    p = smooth_problem(case)
    x, y, initial, weight, reset = numbers(p, i)
    parameters = reference_parameters(p.network("float64"), case)
    options: dict[str, Any] = {name: getattr(case, name) for name in ("input", "output", "activation")}
    if case.feedback is None:
        state: dict[str, Any] = {case.initial: initial}
        return reference.backward_steps(
            parameters, x, y, weight=weight, **options, **state, leak=case.leaks, readout=case.readout, reset=reset
        )
    forced = reference.forced_steps(case.teacher_forcing, case.seed, i, len(x))
    return reference.jordan_backward_steps(
        parameters, x, y, initial, weight, **options, feedback=case.feedback, forced=forced, reset=reset
    )


@pytest.mark.parametrize("case", cases(), ids=str)
def test_steps_are_those_of_the_reference(case: Case) -> None:
    p = smooth_problem(case)
    steps = backward_steps(p.network("float64"), **p.arguments())
    assert steps.loss == p.network("float64").loss(**p.arguments())
    expected = [reference_steps(case, i) for i in range(len(case.lengths))]
    d_o = by_sequence(steps.d_o, case) if case.readout == "all" else np.atleast_2d(steps.d_o)
    for i, one in enumerate(expected):
        close(d_o[i], np.squeeze(one.do, 0) if case.readout == "last" else one.do)
        assert len(one.layers) == len(steps.layers)
        for ours, theirs in zip(steps.layers, one.layers, strict=True):
            assert (ours.reverse is None) is (theirs.reverse is None)
            pairs = [(ours, theirs)]
            if ours.reverse is not None and theirs.reverse is not None:
                pairs.append((ours.reverse, theirs.reverse))
            for direction, its in pairs:
                for name, other in (("a", "a"), ("h", "h"), ("d_h", "dh"), ("d_a", "da")):
                    close(by_sequence(getattr(direction, name), case)[i], getattr(its, other))


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
@pytest.mark.parametrize("name", ["two layers", "y_hat fed back"])
def test_targets_of_some_outputs_alone(name: str, output: Any) -> None:
    """A weight for each output, and NaN where an output has no target: a forced step sees 0 there."""
    case = Case(3, n_out=3, lengths=(6,), output=output, **KINDS[name], teacher_forcing=0.4)
    p = smooth_problem(case)
    random = np.random.default_rng(0)
    weight, y = random.choice([0.0, 0.5, 1.0], (6, 3)), random.random((6, 3))
    y[random.random((6, 3)) < 0.3] = np.nan
    given = {**p.arguments(), "y": y, "weight": weight}
    rnn = p.network("float64")
    steps = backward_steps(rnn, **given)
    assert steps.loss == rnn.loss(**given)
    x, _, initial, _, _ = numbers(p, 0)
    parameters = reference_parameters(rnn, case)
    if case.feedback is None:
        expected = reference.backward_steps(parameters, x, y.tolist(), initial, weight.tolist(), output=output)
    else:
        forced = reference.forced_steps(0.4, case.seed, 0, 6)
        assert any(forced)
        expected = reference.jordan_backward_steps(
            parameters, x, y.tolist(), initial, weight.tolist(), output=output, feedback=case.feedback, forced=forced
        )
    close(steps.d_o, expected.do)
    close(steps.layers[0].a, expected.layers[0].a)
    close(steps.layers[0].d_a, expected.layers[0].da)


@pytest.mark.parametrize("form", ["list", "padded", "single"])
@pytest.mark.parametrize("name", KINDS)
def test_sums_of_steps_are_gradients(name: str, form: Any) -> None:
    forced: dict[str, Any] = {"teacher_forcing": 0.5} if "feedback" in KINDS[name] else {}
    case = Case(3, n_out=3, lengths=(6,) if form == "single" else (6, 2, 5), reset=True, **KINDS[name], **forced)
    p = problem(case)
    rnn = p.network("float64")
    _, gradients = rnn.loss_and_gradients(**p.arguments(form))
    steps = backward_steps(rnn, **p.arguments(form))

    def total(array: Any) -> Array:
        parts = array if isinstance(array, list) else [array]
        return np.asarray(sum(part.reshape(-1, part.shape[-1]).sum(axis=0) for part in parts))

    close(total(steps.d_o), gradients.c)
    for ours, theirs in zip(steps.layers, gradients.layers, strict=True):
        close(total(ours.d_a), theirs.b)
        if ours.reverse is not None:
            close(total(ours.reverse.d_a), theirs.reverse.b)
        norms = ours.d_h_norm if form == "list" else [ours.d_h_norm]
        vectors = ours.d_h if form == "list" else [ours.d_h]
        for one, of in zip(norms, vectors, strict=True):
            assert same_bits(one, np.linalg.norm(of, axis=-1))


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_beyond_a_length(name: str) -> None:
    """Also where no weight says that these steps are none, and a class of 0 and flags stand there."""
    case = Case(3, n_out=3, lengths=(5, 2, 4), extras=False, **KINDS[name], teacher_forcing=0.5)
    p = problem(case)
    given = p.arguments()
    y, reset = given["y"], np.ones((5, 3), bool)
    reset[:2] = False
    for i, n in enumerate(case.lengths):
        y[n:, i], reset[:n, i] = 0, False
    steps = backward_steps(p.network("float64"), **given, reset=reset)
    without = backward_steps(p.network("float64"), **given)
    for array, other in (
        (steps.d_o, without.d_o),
        *((layer.d_a, plain.d_a) for layer, plain in zip(steps.layers, without.layers, strict=True)),
    ):
        by_sequence(array, case)
        assert same_bits(array, other)


@pytest.mark.torch
def test_steps_are_those_of_autograd() -> None:
    torch = pytest.importorskip("torch")
    rnn = ElmanRNN(3, (6, 5), 4, activation="tanh", output="softmax", dtype="float64", seed=0)
    random = np.random.default_rng(0)
    x, y = random.standard_normal((12, 7, 3)), random.integers(0, 4, (12, 7))
    letters = [{name: torch.tensor(getattr(layer, name)) for name in "UWb"} for layer in rnn.layers]
    V, c = torch.tensor(rnn.V), torch.tensor(rnn.c)
    states = [torch.zeros(7, len(layer["b"]), dtype=torch.float64) for layer in letters]
    kept: list[list[Any]] = [[] for _ in letters]
    loss = torch.zeros((), dtype=torch.float64)
    outputs = []
    for t in range(12):
        below = torch.tensor(x[t])
        for k, layer in enumerate(letters):
            a = layer["b"] + states[k] @ layer["W"].T + below @ layer["U"].T
            a.requires_grad_() if not a.requires_grad else a.retain_grad()
            below = states[k] = torch.tanh(a)
            states[k].retain_grad()
            kept[k].append((a, states[k]))
        o = c + below @ V.T
        o.retain_grad()
        outputs.append(o)
        loss = loss + torch.nn.functional.cross_entropy(o, torch.tensor(y[t]), reduction="sum")
    loss.backward()
    steps = backward_steps(rnn, x, y)
    assert abs(steps.loss - loss.item()) < 1e-12 * loss.item()
    close(steps.d_o, torch.stack([o.grad for o in outputs]), 1e-12)
    for ours, theirs in zip(steps.layers, kept, strict=True):
        close(ours.a, torch.stack([a.detach() for a, _ in theirs]), 1e-12)
        close(ours.d_a, torch.stack([a.grad for a, _ in theirs]), 1e-12)
        close(ours.d_h, torch.stack([h.grad for _, h in theirs]), 1e-12)


@pytest.mark.parametrize("name", KINDS)
def test_a_loss_of_ones_own_gives_the_same_steps(name: str) -> None:
    """dL/do(t) of the network's own loss, given as d_o; and dL/dh(t) = V^T dL/do(t), given as d_h."""
    is_jordan = "feedback" in KINDS[name]
    case = Case(3, n_out=3, lengths=(5, 3), extras=False, output="linear", **KINDS[name], teacher_forcing=0.0)
    p = problem(case)
    rnn, given = p.network("float64"), p.arguments()
    steps = backward_steps(rnn, **given)
    inputs = p.inputs()
    run = rnn.forward(**inputs)
    d_o = run.y_hat - np.where(run.y_hat == 0, 0.0, given["y"])
    own = [backward_steps(rnn, **inputs, d_o=d_o), backward_steps(rnn, **inputs, d_h=d_o @ rnn.V)]
    for found in own[:1] if is_jordan else own:  # what comes through o(t) comes through r(t) too
        assert found.loss is None
        for ours, theirs in zip(found.layers, steps.layers, strict=True):
            close(ours.d_a, theirs.d_a)
            close(ours.d_h, theirs.d_h)


def test_steps_of_a_float32_network_are_computed_in_float64() -> None:
    single = ElmanRNN(3, (5, 4), 2, seed=0)
    double = ElmanRNN(3, (5, 4), 2, dtype="float64", init=None)
    double.parameters = single.parameters
    x, y = np.random.default_rng(0).standard_normal((9, 4, 3)), np.ones((9, 4), int)
    ours, theirs = backward_steps(single, x, y), backward_steps(double, x, y)
    assert ours.layers[0].d_h.dtype == np.float64
    for name in ("a", "h", "d_h", "d_a"):
        assert same_bits(getattr(ours.layers[0], name), getattr(theirs.layers[0], name))
    single.parameters[...] = np.nan
    assert np.isfinite(ours.layers[0].d_h).all()


def test_draws_of_a_generator_are_those_of_the_loss() -> None:
    rnn = JordanRNN(2, 4, 3, dtype="float64", seed=0)
    x, y = np.random.default_rng(0).standard_normal((30, 6, 2)), np.random.default_rng(1).integers(0, 3, (30, 6))
    seeds = (np.random.default_rng(5) for _ in range(2))
    _, gradients = rnn.loss_and_gradients(x, y, teacher_forcing=0.5, seed=next(seeds))
    steps = backward_steps(rnn, x, y, teacher_forcing=0.5, seed=next(seeds))
    close(steps.d_a.sum(axis=(0, 1)), gradients.b)
    unseeded = backward_steps(rnn, x, y, teacher_forcing=0.5)
    close(np.tanh(unseeded.a), unseeded.h)  # a and h are those of the same draws


# ---- Jacobians ----


def central(rnn: Any, state: Array, x_t: Any, step: float = 1e-6) -> Array:
    moves = step * np.eye(len(state))
    return np.asarray((step_of(rnn, state + moves, x_t) - step_of(rnn, state - moves, x_t)).T / (2 * step))


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "linear"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("name", ONE_WAY)
def test_jacobians_are_central_differences(name: str, activation: Any, output: Any) -> None:
    case = Case(3, n_out=3, lengths=(5,), output=output, activation=activation, teacher_forcing=0.0, **KINDS[name])
    p = smooth_problem(case)
    rnn, given = p.network("float64"), p.inputs()
    found = jacobians(rnn, **given)
    initial = given[case.initial]
    state = np.concatenate(initial) if isinstance(initial, list) else initial
    for J, x_t in zip(found, given["x"], strict=True):
        # A step of 1e-6 has an error of some 1e-12 of its own, and rounding adds eps / 1e-6 = 2e-10
        assert np.abs(J - central(rnn, state, x_t)).max() < 1e-9
        state = step_of(rnn, state[None], x_t)[0]


def test_jacobians_are_0_where_a_step_does_not_see_the_one_before() -> None:
    random = np.random.default_rng(0)
    x, reset = random.standard_normal((6, 3, 2)), np.zeros((6, 3), bool)
    reset[2, 1] = True
    rnn = ElmanRNN(2, (4, 3), 2, dtype="float64", seed=0)
    found = jacobians(rnn, x, lengths=[6, 6, 4], reset=reset)
    is_zero = ~found.any(axis=(2, 3))
    expected = np.zeros((6, 3), bool)
    expected[2, 1] = expected[4:, 2] = True
    assert (is_zero == expected).all()
    jordan = JordanRNN(2, 4, 3, seed=0)
    forced = jacobians(jordan, x, y=random.integers(0, 3, (6, 3)))
    assert not forced[1:].any(), "a target has no gradient"
    assert forced[0].any(), "but r(0) has"


@pytest.mark.parametrize("name", ONE_WAY)
def test_norms_and_spectra_are_those_of_products(name: str) -> None:
    case = Case(3, n_out=3, lengths=(4, 6, 5), reset=True, teacher_forcing=0.0, **KINDS[name])
    p = problem(case)
    rnn = p.network("float64")
    as_list = p.inputs("list")
    J_of = jacobians(rnn, **as_list)
    for J, norms, frobenius, since in zip(
        J_of,
        jacobian_norms(rnn, **as_list),
        jacobian_norms(rnn, **as_list, norm="frobenius"),
        jacobian_norms(rnn, **as_list, since=2),
        strict=True,
    ):
        tau, n = len(J), J.shape[1]
        expected = np.zeros((2, tau + 1, tau + 1))
        for s in range(tau + 1):
            product = np.eye(n)
            for t in range(s, tau + 1):
                product = J[t - 1] @ product if t > s else product
                expected[:, t, s] = np.linalg.norm(product, 2), np.linalg.norm(product)
        close(norms, expected[0])
        close(frobenius, expected[1])
        assert same_bits(since, norms[:, 2])
    padded = jacobian_norms(rnn, **p.inputs("padded"))
    assert same_bits([padded[: n + 1, : n + 1, i] for i, n in enumerate(case.lengths)], jacobian_norms(rnn, **as_list))
    for J, values in zip(J_of, jacobian_spectrum(rnn, **as_list), strict=True):
        assert (np.diff(np.abs(values), axis=1) <= 1e-12).all(), "the largest magnitude first"
        for J_t, found in zip(J, values, strict=True):
            # The characteristic polynomial tells them without an order
            close(np.poly(found), np.poly(J_t), 1e-12)


def test_a_gradient_goes_back_by_the_jacobians() -> None:
    """dL/dh(s) = (dh(tau)/dh(s))^T dL/dh(tau), where the loss reads h(tau) alone."""
    rnn = ElmanRNN(2, 6, 2, dtype="float64", seed=0)
    x, d_h = np.random.default_rng(0).standard_normal((9, 2)), np.zeros((9, 6))
    d_h[-1] = 1.0
    steps = backward_steps(rnn, x, d_h=d_h)
    product = np.eye(6)
    for s, J in zip(range(8, -1, -1), jacobians(rnn, x)[::-1], strict=True):
        close(steps.d_h[s], product.T @ d_h[-1])
        product = product @ J


def test_spectrum() -> None:
    rnn = ElmanRNN(2, 8, 2, seed=0)
    (values,) = spectrum(rnn).values()
    assert values.dtype == complex
    assert np.abs(np.abs(values) - 1).max() < 1e-6, "an orthogonal matrix in float32"
    rnn.W = np.diag([3.0, -4.0, 0.5, 0, 0, 0, 0, 0])
    assert spectrum(rnn)["W"].tolist() == [-4, 3, 0.5, 0, 0, 0, 0, 0]
    both = ElmanRNN(2, (4, 3), 2, bidirectional=True, seed=0)
    assert {name: len(values) for name, values in spectrum(both).items()} == {
        "W1": 4,
        "W1_reverse": 4,
        "W2": 3,
        "W2_reverse": 3,
    }
    jordan = JordanRNN(2, 5, 3, feedback="o", output="linear", dtype="float64", seed=0)
    jordan.V = np.random.default_rng(0).standard_normal((3, 5))
    (found,) = spectrum(jordan).values()
    other = np.linalg.eigvals(jordan.W @ jordan.V)  # which has the same eigenvalues, and 0s beside them
    close(np.abs(found), np.sort(np.abs(other))[::-1][:3], 1e-12)


# ---- Principal components ----


def test_components_are_the_eigenvectors_of_the_covariance() -> None:
    random = np.random.default_rng(0)
    states = random.standard_normal((40, 5, 6)) * [5, 4, 3, 2, 1, 0.5] @ np.linalg.qr(random.standard_normal((6, 6)))[0]
    found = pca(states)
    rows = states.reshape(-1, 6)
    variance, vectors = np.linalg.eigh(np.cov(rows.T))
    close(found.explained_variance, variance[::-1], 1e-13)
    close(np.abs(np.sum(found.components * vectors.T[::-1], axis=1)), np.ones(6), 1e-12)
    close(found.explained_variance_ratio.sum(), 1.0)
    assert (found.components[np.arange(6), np.abs(found.components).argmax(axis=1)] > 0).all()
    close(found.inverse(found.transform(states)), states, 1e-13)
    close(np.var(found.transform(rows), axis=0, ddof=1), variance[::-1], 1e-13)
    two = pca(states, 2)
    assert same_bits([two.components, two.explained_variance], [found.components[:2], found.explained_variance[:2]])
    assert two.explained_variance_ratio.sum() < 1


def test_components_of_lists_and_of_padded_batches() -> None:
    states = np.random.default_rng(0).standard_normal((7, 3, 4))
    lengths = [7, 2, 5]
    parts = [states[:n, i] for i, n in enumerate(lengths)]
    states[2:, 1] = states[5:, 2] = 1e6
    found = pca(parts)
    close(pca(states, lengths=lengths).components, found.components, 1e-13)
    assert [one.shape for one in found.transform(parts)] == [(7, 4), (2, 4), (5, 4)]
    flat = pca(np.ones((5, 3)))
    assert flat.explained_variance_ratio.tolist() == [0, 0, 0]


# ---- Errors ----


def test_refusals() -> None:
    rnn, both = ElmanRNN(3, 4, 2, seed=0), ElmanRNN(3, 4, 2, bidirectional=True, seed=0)
    x, y = np.zeros((5, 3)), np.zeros(5, int)
    calls: list[tuple[Any, Any, str]] = [
        (lambda: backward_steps(3, x, y), TypeError, "rnn: expected an ElmanRNN or a JordanRNN, got int"),
        (
            lambda: backward_steps(rnn, x),
            ValueError,
            "y: expected targets, or dL/do as d_o or dL/dh as d_h, got none of them",
        ),
        (
            lambda: backward_steps(rnn, x, y, d_o=np.zeros((5, 2))),
            TypeError,
            "y: expected None beside d_o or d_h, as the steps of an ElmanRNN see no targets",
        ),
        (
            lambda: backward_steps(rnn, x[:, :2], y),
            ValueError,
            "x: expected [tau, batch, 3] or [tau, 3], got (5, 2)",
        ),
        (lambda: backward_steps(rnn, x, d_h=np.zeros((5, 3))), ValueError, "d_h: expected [5, 4], got (5, 3)"),
        (lambda: backward_steps(rnn, x, d_o=np.zeros((4, 2))), ValueError, "d_o: expected [5, 2], got (4, 2)"),
        (
            lambda: jacobians(both, x),
            ValueError,
            "rnn: expected one direction, as a step of two has no state before it, got two",
        ),
        (
            lambda: jacobian_norms(rnn, x, norm="max"),  # type: ignore[arg-type]
            ValueError,
            "norm: expected one of 'spectral', 'frobenius', got 'max'",
        ),
        (lambda: jacobian_norms(rnn, x, since=6), ValueError, "since: expected at most 5, got 6"),
        (lambda: spectrum(None), TypeError, "rnn: expected an ElmanRNN or a JordanRNN, got NoneType"),
        (lambda: lyapunov(rnn, x, n_exponents=5), ValueError, "n_exponents: expected at most 4, got 5"),
        (lambda: lyapunov(rnn, x, skip=5), ValueError, "skip: expected at most 4, got 5"),
        (lambda: lyapunov(rnn, x, every=0), ValueError, "every: expected at least 1, got 0"),
        (lambda: lyapunov(rnn, [x, x]), TypeError, "x: expected one array of trajectories, got a list"),
        (lambda: lyapunov(rnn, x, reset=y), TypeError, "reset: expected no argument beside x but h0"),
        (
            lambda: lyapunov(autonomous([[2.0]], "relu", 1.0), no_input(1200)),
            ValueError,
            "rnn: expected states that stay finite, got others at t = 1024",
        ),
        (lambda: pca(np.zeros((1, 3))), ValueError, "states: expected at least two, got 1"),
        (lambda: pca([]), ValueError, "states: expected at least one array, got an empty list"),
        (lambda: pca(3.0), ValueError, "states: expected [..., n], got ()"),
        (
            lambda: pca([[[0.0, np.nan], [1.0, 2.0]]]),
            ValueError,
            "states: expected finite numbers, got some that are not",
        ),
        (lambda: pca(x, 4), ValueError, "n_components: expected at most 3, got 4"),
        (
            lambda: pca(x, lengths=[5]),
            ValueError,
            "states: expected [tau, batch, n], as there are lengths, got (5, 3)",
        ),
        (
            lambda: pca(np.zeros((5, 2, 3)), lengths=[5, 6]),
            ValueError,
            "lengths: expected values from 1 to 5, got [5, 6]",
        ),
        (lambda: pca(x).transform(y), ValueError, "states: expected [..., 3], got (5,)"),
    ]
    for call, kind, message in calls:
        refuses(call, kind, message)
    rnn.W[0, 0] = np.inf
    for call in (lambda: spectrum(rnn), lambda: jacobians(rnn, x), lambda: lyapunov(rnn, x)):
        refuses(call, ValueError, "rnn: expected finite parameters, got some that are not")
    with pytest.raises(TypeError, match="unexpected keyword argument 'r0'"):
        jacobians(both.__class__(3, 4, 2, seed=0), x, r0=np.zeros(2))


def test_attributes_say_where_to_look() -> None:
    x, y = np.zeros((5, 3)), np.zeros(5, int)
    steps = backward_steps(ElmanRNN(3, (4, 2), 2, seed=0), x, y)
    refuses(
        lambda: steps.d_h,
        AttributeError,
        "d_h: expected one layer in one direction, got 2 layers: use layers[k].d_h",
    )
    assert repr(steps) == f"BackwardSteps(2 layers, h [5, 4], loss {steps.loss:.6g})"
    assert repr(steps.layers[1]) == "LayerSteps(h [5, 2])"
    assert repr(pca(np.eye(3), 1)) == "PCA(1 of 3 components: 50.0 % of the variance)"
    assert (
        repr(Lyapunov(np.array([[0.5, 0]]), np.zeros((1, 2)), 7))
        == "Lyapunov(largest [0.5] nats per step, over 7 steps)"
    )
