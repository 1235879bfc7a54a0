"""`bptt.sklearn`: its estimators beside networks by hand, in scikit-learn's own checks and tools."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn", "1.6", reason="scikit-learn is not installed")
import joblib  # noqa: E402
from joblib.externals.loky import get_reusable_executor  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.metrics import accuracy_score, r2_score  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split  # noqa: E402
from sklearn.neural_network import MLPRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer, StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import bptt  # noqa: E402
from bptt.sklearn import EXPECTED_FAILED_CHECKS, ElmanClassifier, ElmanRegressor  # noqa: E402
from bptt.sklearn import estimator as estimator_module  # noqa: E402
from bptt.sklearn.convergence import Convergence  # noqa: E402

N, STEPS = 90, 12
KINDS = (ElmanClassifier, ElmanRegressor)
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
pytestmark = quiet  # but for the tests that expect it, training here is too short to converge


def small(kind: Any = ElmanClassifier, **options: Any) -> Any:
    return kind(**{"hidden_layer_sizes": 8, "max_iter": 8, "random_state": 0, **options})


def waves(n: int = N, steps: int = STEPS) -> tuple[Any, Any, Any]:
    """Noisy waves, the name of the period of each, and its frequency."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, n)
    frequencies = np.array([1.0, 2.0, 3.0])[kinds]
    time = np.arange(steps) / steps
    X = np.sin(2 * np.pi * (frequencies[:, None] * time + rng.random((n, 1)))) + 0.1 * rng.standard_normal((n, steps))
    return X, np.array(["slow", "medium", "fast"])[kinds], frequencies


X, LABELS, FREQUENCIES = waves()
TARGETS = {ElmanClassifier: LABELS, ElmanRegressor: FREQUENCIES}
both = pytest.mark.parametrize("kind", KINDS)


def bits(estimator: Any, X: Any = X) -> bytes:
    """All that it computes."""
    name = "predict_proba" if isinstance(estimator, ElmanClassifier) else "predict"
    return bytes(np.ascontiguousarray(getattr(estimator, name)(X)).tobytes())


# ---- scikit-learn's own checks ----


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [small(kind, hidden_layer_sizes=16, max_iter=20, learning_rate_init=1e-2) for kind in KINDS],
    expected_failed_checks=lambda estimator: EXPECTED_FAILED_CHECKS,
)
def test_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


# ---- What they learn ----


def test_digits_read_row_by_row() -> None:
    """The middle one of five folds, with defaults; 0.98 to 0.985 over five seeds. The page has the mean of all."""
    X, y = load_digits(return_X_y=True)
    rows = X.reshape(-1, 8, 8)
    test = slice(720, 1080)
    training = np.r_[0:720, 1080 : len(y)]
    classifier = ElmanClassifier(random_state=0).fit(rows[training], y[training])
    assert classifier.score(rows[test], y[test]) > 0.965
    assert classifier.n_iter_ == len(classifier.loss_curve_) < classifier.max_iter


def test_the_order_of_a_sequence_counts() -> None:
    """The sum of two marked numbers: whoever sees 30 columns learns nothing, and a network that reads them does."""
    rng = np.random.default_rng(0)
    X = np.zeros((300, 15, 2))
    X[..., 0] = 5000 + 1000 * rng.random((300, 15))  # raw units
    for x in X:
        x[rng.choice(15, 2, replace=False), 1] = 1
    y = (X[..., 0] * X[..., 1]).sum(1)
    ours = ElmanRegressor(32, random_state=0, max_iter=100).fit(X[:250], y[:250])
    flat = X.reshape(300, -1)
    theirs = make_pipeline(StandardScaler(), MLPRegressor(random_state=0, max_iter=100)).fit(flat[:250], y[:250])
    assert ours.score(X[250:], y[250:]) > 0.9
    assert theirs.score(flat[250:], y[250:]) < 0.5


@both
def test_units_of_X_and_y_do_not_matter(kind: Any) -> None:
    """Rounding of the standardized numbers, 1e-7 of each, grows in 8 iterations to some 1e-5."""
    y = TARGETS[kind]
    one = small(kind).fit(X, y)
    if kind is ElmanClassifier:
        other = small(kind).fit(1e4 * X + 5e4, y)
        assert np.abs(one.predict_proba(X) - other.predict_proba(1e4 * X + 5e4)).max() < 1e-3
    else:
        other = small(kind).fit(1e4 * X + 5e4, 1e6 * y - 3e6)
        assert np.abs(one.predict(X) - (other.predict(1e4 * X + 5e4) + 3e6) / 1e6).max() < 1e-3
    assert small(kind, standardize=False).fit(X, y).mean_.tolist() == [0]


# ---- X ----


@both
def test_forms_of_X_have_the_same_bits(kind: Any) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    objects = np.empty(N, object)
    objects[:] = [*X]
    forms = {
        "table": X,
        "one channel": X[..., None],
        "nested list": X.tolist(),
        "list": [*X],
        "tuple of channels": tuple(X[..., None]),
        "objects": objects,
        "Series": pandas.Series([*X]),
        "DataFrame": pandas.DataFrame(X, columns=[f"t{i}" for i in range(STEPS)]),
        "Fortran order": np.asfortranarray(X),
    }
    found = {}
    for name, form in forms.items():
        estimator = small(kind, input_noise=0.0).fit(form, TARGETS[kind])
        found[name] = bits(estimator, form)
        assert estimator.n_channels_ == 1
        assert estimator.n_features_in_ == (1 if name in ("one channel", "list", "tuple of channels") else STEPS) or (
            name in ("objects", "Series") and estimator.n_features_in_ == 1
        )
        assert hasattr(estimator, "feature_names_in_") == (name == "DataFrame")
    assert len(set(found.values())) == 1, found.keys()
    integers = np.rint(10 * X)
    as_floats, as_integers = (small(kind).fit(form, TARGETS[kind]) for form in (integers, integers.astype(np.int8)))
    assert bits(as_floats, integers) == bits(as_integers, integers)


@both
def test_sequences_of_different_lengths(kind: Any) -> None:
    """Each has what it has alone; lengths of a prediction are free, unless both are tables."""
    xs = [np.stack([x[: 4 + i % 9], x[: 4 + i % 9] ** 2], axis=1) for i, x in enumerate(X)]
    estimator = small(kind).fit(xs, TARGETS[kind])
    assert (estimator.n_features_in_, estimator.n_channels_) == (2, 2)
    together = bits(estimator, xs)
    assert together == b"".join(bits(estimator, [x]) for x in xs)
    assert together == b"".join(bits(estimator, x[None]) for x in xs)
    longer = np.ones((2, 50, 2))
    assert bits(estimator, longer) == bits(estimator, [*longer])
    ragged = small(kind).fit([x[:, 0] for x in xs], TARGETS[kind])
    assert bits(ragged, np.ones((2, 20))) == bits(ragged, np.ones((2, 20, 1)))
    table = small(kind).fit(X, TARGETS[kind])
    assert len(table.predict([np.ones(3), np.ones(40)])) == 2
    with pytest.raises(ValueError, match=r"X has 11 features, but Elman.* is expecting 12 features as input"):
        table.predict(X[:, 1:])


def test_long_inputs_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    from bptt.sklearn import sequences

    lists = [x[: 3 + i % 10] for i, x in enumerate(X)]
    estimator = small().fit(X, LABELS)
    whole = bits(estimator), bits(estimator, lists)
    monkeypatch.setattr(sequences, "_STEPS_TOGETHER", 50)
    assert len(sequences.parts(sequences.read(estimator, X, reset=False))) == 23
    assert (bits(estimator), bits(estimator, lists)) == whole


def test_names_of_columns() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(X, columns=[f"t{i}" for i in range(STEPS)])
    estimator = small().fit(frame, LABELS)
    assert estimator.feature_names_in_.tolist() == [*frame.columns]
    with pytest.raises(ValueError, match="feature names should match those that were passed during fit"):
        estimator.predict(frame[frame.columns[::-1]])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        estimator.predict(X)
    estimator.fit(X[..., None], LABELS)
    assert not hasattr(estimator, "feature_names_in_")


def test_what_standardize_takes_and_divides_by() -> None:
    rng = np.random.default_rng(0)
    X = np.stack([rng.normal(50, 4, (N, STEPS)), np.full((N, STEPS), 0.1), np.zeros((N, STEPS))], axis=2)
    X[3, 4, 2] = 6.0  # rare and large
    weight = rng.integers(0, 3, N).astype(float)
    weight[3] = 2
    estimator = small(ElmanRegressor).fit(X, FREQUENCIES, sample_weight=weight)
    repeated = np.repeat(X, weight.astype(int), axis=0).reshape(-1, 3)
    mean, deviation = repeated.mean(0), repeated.std(0)
    farthest = np.abs(repeated - mean).max(0)
    assert farthest[0] / 3 > deviation[0], "of so many numbers some are more than 3 deviations away"
    expected = [farthest[0] / 3, 1.0, farthest[2] / 3]
    assert np.allclose(estimator.mean_, mean, rtol=1e-12)
    assert np.allclose(estimator.scale_, expected, rtol=1e-12)
    repeated_y = np.repeat(FREQUENCIES, weight.astype(int))
    assert np.allclose((estimator.y_mean_, estimator.y_scale_), [[repeated_y.mean()], [repeated_y.std()]], rtol=1e-12)
    flat = small(ElmanRegressor).fit(X[..., 1], FREQUENCIES)
    assert flat.scale_.tolist() == [1.0], "a constant channel is shifted alone, whatever its mean was rounded to"
    two = np.tile([-1.0, 1.0], (N, 6))
    assert np.allclose(small(ElmanRegressor).fit(two, FREQUENCIES).scale_, 1, rtol=1e-12), "farther than a third"


# ---- What they compute ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predictions_are_those_of_the_network(dtype: str) -> None:
    """Softmax in float64 of the same o: rounding alone, of some terms."""
    for labels in (LABELS, np.where(LABELS == "fast", -7, 4)):
        estimator = small(dtype=dtype, hidden_layer_sizes=(6, 4)).fit(X, labels)
        rnn = estimator.network_
        assert isinstance(rnn, bptt.ElmanRNN)
        assert rnn.dtype == dtype
        o = rnn.forward(((X - estimator.mean_) / estimator.scale_).T[..., None].astype(dtype)).o.astype(np.float64)
        if len(set(labels)) == 2:
            assert (estimator.out_activation_, estimator.n_outputs_) == ("logistic", 1)
            o = np.concatenate([np.zeros_like(o), o], axis=1)
        else:
            assert (estimator.out_activation_, estimator.n_outputs_) == ("softmax", 3)
        expected = np.exp(o) / np.exp(o).sum(1, keepdims=True)
        proba = estimator.predict_proba(X)
        assert np.abs(proba - expected).max() < 1e-15
        assert np.abs(np.exp(estimator.predict_log_proba(X)) - expected).max() < 1e-15
        assert estimator.classes_.tolist() == sorted(set(labels))
        assert (estimator.predict(X) == estimator.classes_[o.argmax(1)]).all()
        assert estimator.score(X, labels) == accuracy_score(labels, estimator.predict(X))


def test_small_probabilities_have_logarithms() -> None:
    for labels in (LABELS, LABELS == "fast"):
        estimator = small().fit(X, labels)
        estimator.network_.V *= 1e6
        logarithms = estimator.predict_log_proba(X)
        assert np.isfinite(logarithms).all()
        assert logarithms.min() < -1000
        assert estimator.predict_proba(X).sum(1).tolist() == [1.0] * N


def test_several_labels_of_each_sample() -> None:
    y = np.stack([LABELS == "fast", X[:, 0] > 0], axis=1).astype(int)
    estimator = small(max_iter=60, hidden_layer_sizes=32, input_noise=0.0).fit(X, y)
    assert (estimator.out_activation_, estimator.n_outputs_, estimator.classes_.tolist()) == ("logistic", 2, [0, 1])
    proba = estimator.predict_proba(X)
    assert np.allclose(np.exp(estimator.predict_log_proba(X)), proba, rtol=1e-12)
    assert (estimator.predict(X) == (proba > 0.5)).all()
    assert estimator.score(X, y) > 0.9
    assert small(early_stopping=True).fit(X, y).validation_scores_


def test_several_outputs() -> None:
    y = np.stack([FREQUENCIES, 1e3 * X[:, -1], np.full(N, 7.0)], axis=1)
    estimator = small(ElmanRegressor, max_iter=100, hidden_layer_sizes=32).fit(X, y)
    assert (estimator.out_activation_, estimator.n_outputs_) == ("identity", 3)
    predicted = estimator.predict(X)
    assert predicted.shape == y.shape
    assert r2_score(y[:, :2], predicted[:, :2]) > 0.95
    assert np.abs(predicted[:, 2] - 7).max() < 0.1
    column = small(ElmanRegressor).fit(X, FREQUENCIES[:, None])
    assert column.predict(X).shape == (N, 1)
    assert (column.predict(X)[:, 0] == small(ElmanRegressor).fit(X, FREQUENCIES).predict(X)).all()


# ---- Weights ----


@both
def test_a_weight_of_two_is_a_sample_twice(kind: Any) -> None:
    """Where all samples are one batch: but for rounding in float64, which 8 updates do not let grow beyond 1e-9."""
    weight = np.random.default_rng(1).integers(0, 3, N)
    options = {"shuffle": False, "input_noise": 0.0, "dtype": "float64", "batch_size": 10 * N, "alpha": 0.0}
    times = np.repeat(np.arange(N), weight)
    y = TARGETS[kind]
    weighted = small(kind, **options).fit(X, y, sample_weight=weight)
    repeated = small(kind, **options).fit(X[times], y[times])
    left_out = small(kind, **options).fit(X[weight > 0], y[weight > 0], sample_weight=weight[weight > 0])
    name = "predict_proba" if kind is ElmanClassifier else "predict"
    expected = getattr(repeated, name)(X)
    for other in (weighted, left_out):
        assert np.abs(getattr(other, name)(X) - expected).max() < 1e-9
    assert np.abs(getattr(small(kind, **options).fit(X, y), name)(X) - expected).max() > 1e-6
    assert np.allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)


def test_class_weight() -> None:
    balanced = N / (3 * np.array([np.sum(label == LABELS) for label in LABELS]))
    for class_weight, weight in (
        ({"fast": 5.0}, np.where(LABELS == "fast", 5.0, 1.0)),
        ("balanced", balanced),
        (None, np.ones(N)),
    ):
        assert bits(small(class_weight=class_weight).fit(X, LABELS)) == bits(small().fit(X, LABELS, weight))
    halves = small(class_weight="balanced").fit(X, LABELS, np.full(N, 0.5))
    assert bits(halves) == bits(small().fit(X, LABELS, 0.5 * balanced * 2)), "the mean does not see a common factor"


# ---- Training ----


@both
def test_the_same_seed_gives_the_same_bits(kind: Any) -> None:
    y = TARGETS[kind]
    found = [bits(small(kind, random_state=seed, input_noise=0.3).fit(X, y)) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    state = np.random.RandomState(1)
    assert bits(small(kind, random_state=state, input_noise=0.3).fit(X, y)) == found[0]
    assert bits(small(kind, random_state=state, input_noise=0.3).fit(X, y)) != found[0], "it goes on"
    assert bits(small(kind, random_state=None).fit(X, y)) != bits(small(kind, random_state=None).fit(X, y))
    estimator = small(kind).fit(X, y)
    assert bits(estimator.fit(X, y)) == bits(small(kind).fit(X, y)), "a second fit begins anew"


CHANGES: dict[str, Any] = {"hidden_layer_sizes": (8, 8)}
CHANGES |= {"activation": "tanh", "bidirectional": False, "standardize": False, "input_noise": 0.01, "alpha": 1.0}
CHANGES |= {"batch_size": 10, "learning_rate": "constant", "learning_rate_init": 1e-4, "clip_norm": 1e-3, "tol": 10.0}
CHANGES |= {"max_iter": 2, "shuffle": False, "early_stopping": True, "n_iter_no_change": 1, "dtype": "float64"}


@both
@pytest.mark.parametrize(("name", "value"), [*CHANGES.items()])
def test_every_parameter_changes_what_is_learnt(kind: Any, name: str, value: Any) -> None:
    """With numbers that need a scale, in several batches."""
    usual = {"n_iter_no_change": 2}
    one, other = (small(kind, **options).fit(3 * X, TARGETS[kind]) for options in (usual, usual | {name: value}))
    assert bits(one, 3 * X) != bits(other, 3 * X)


def test_alpha_shrinks_the_weights() -> None:
    norms = [np.square(small(alpha=alpha).fit(X, LABELS).network_.parameters).sum() for alpha in (0.0, 10.0, 1000.0)]
    assert norms[0] > norms[1] > norms[2]


@both
def test_early_stopping_keeps_the_best_weights(kind: Any) -> None:
    y = TARGETS[kind]
    options = {"early_stopping": True, "validation_fraction": 0.2, "max_iter": 30, "learning_rate_init": 2e-2}
    weight = np.random.default_rng(0).random(N) + 0.1
    estimator = small(kind, **options).fit(X, y, weight)
    strata = y if kind is ElmanClassifier else None
    _, held_out = train_test_split(np.arange(N), test_size=0.2, random_state=np.random.RandomState(0), stratify=strata)
    held_out.sort()
    best = max(estimator.validation_scores_)
    assert estimator.best_validation_score_ == best
    assert estimator.score(X[held_out], y[held_out], weight[held_out]) == pytest.approx(best, abs=1e-12)
    assert len(estimator.validation_scores_) == estimator.n_iter_ == len(estimator.loss_curve_)
    assert estimator.best_loss_ is None
    assert estimator.validation_scores_[-1] < best, "else the last weights were the best"
    assert small(kind).fit(X, y).validation_scores_ is None


def test_when_training_ends() -> None:
    def factors(convergence: Convergence, losses: list[float]) -> tuple[list[float], int]:
        found = []
        for epoch, loss in enumerate(losses):
            found += [round(convergence(2 * epoch + i), 6) for i in range(2)]
            if convergence.end_epoch(loss):
                return found, epoch + 1
        raise AssertionError("it does not end")

    plateau = [3.0, 2.0, 1.0, 0.95, 1.2, 0.91, 0.5, 0.4, 0.3, 0.2]
    options: dict[str, Any] = {"epochs": 10, "updates": 2, "patience": 2, "tol": 0.1}
    annealed = Convergence(**options, annealed=True)
    assert factors(annealed, plateau) == ([1.0] * 12 + [1.0, 0.75, 0.5, 0.25], 8), "three without 0.1, then two more"
    assert annealed.converged
    constant = Convergence(**options, annealed=False)
    assert factors(constant, plateau) == ([1.0] * 12, 6)
    assert constant.converged
    falling = Convergence(**options, annealed=True)
    assert factors(falling, [*range(10, 0, -1)]) == ([1.0] * 16 + [1.0, 0.75, 0.5, 0.25], 10)
    assert not falling.converged
    short = Convergence(**(options | {"epochs": 3}), annealed=True)
    assert factors(short, [3, 2, 1]) == ([1.0] * 4 + [1.0, 0.5], 3), "at most half"
    assert factors(Convergence(**(options | {"epochs": 1}), annealed=True), [3]) == ([1.0] * 2, 1)


@pytest.mark.filterwarnings("error")
def test_warnings_tell_whether_it_has_converged() -> None:
    with pytest.warns(ConvergenceWarning, match="max_iter: 8 iterations are over, and training has not converged"):
        small().fit(X, LABELS)
    estimator = small(tol=1.0, max_iter=50, n_iter_no_change=3).fit(X, LABELS)
    assert estimator.n_iter_ < 20
    assert (estimator.loss_, estimator.best_loss_) == (estimator.loss_curve_[-1], min(estimator.loss_curve_))
    assert estimator.t_ == N * estimator.n_iter_


@both
def test_interrupted_training_keeps_what_it_has(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(line: str) -> None:
        if line.startswith("Iteration 3"):
            bptt.interrupt()

    monkeypatch.setattr(estimator_module, "print", stop, raising=False)
    with pytest.warns(UserWarning, match="Training interrupted by user, after 3 iterations"):
        estimator = small(kind, verbose=True, learning_rate="constant").fit(X, TARGETS[kind])
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 3
    assert bits(estimator) == bits(small(kind, max_iter=3, learning_rate="constant").fit(X, TARGETS[kind]))


def test_verbose_prints_what_the_curves_have(capsys: pytest.CaptureFixture[str]) -> None:
    estimator = small(verbose=True, early_stopping=True).fit(X, LABELS)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"Iteration 1, loss = {estimator.loss_curve_[0]:.8f}"
    assert printed[1] == f"Validation score: {estimator.validation_scores_[0]:f}"
    assert len(printed) == 16


@both
def test_warm_start_goes_on(kind: Any) -> None:
    y = TARGETS[kind]
    estimator = small(kind, warm_start=True).fit(X, y)
    begin, rnn = bits(estimator), estimator.network_
    again = estimator.fit(10 * X, y)
    assert again.network_ is rnn
    assert bits(again) != begin
    assert len(again.loss_curve_) == 16
    assert again.n_iter_ == 8
    assert np.array_equal(again.mean_, small(kind).fit(X, y).mean_), "as they were"
    assert small(kind, warm_start=True).fit(X, y).set_params(warm_start=False).fit(X, y).network_ is not rnn


@both
def test_partial_fit(kind: Any) -> None:
    y = TARGETS[kind]
    first = {"classes": ["slow", "fast", "medium"]} if kind is ElmanClassifier else {}
    estimator = small(kind, hidden_layer_sizes=32, input_noise=0.1)
    assert estimator.partial_fit(X[:50], y[:50], **first) is estimator
    assert (estimator.n_iter_, estimator.t_, len(estimator.loss_curve_)) == (1, 50, 1)
    before = estimator.score(X, y)
    for _ in range(60):
        estimator.partial_fit(X[:50], y[:50]).partial_fit(X[50:], y[50:], sample_weight=np.ones(40))
    assert estimator.score(X, y) > max(before, 0.9)
    assert estimator.t_ == 50 + 60 * N
    assert estimator._optimizer.updates == 1 + 60 * 4 + 1, "one Adam throughout"
    fitted = small(kind).fit(X, y)
    begin = bits(fitted)
    assert bits(fitted.partial_fit(X, y)) != begin
    assert fitted.t_ == 9 * N


# ---- scikit-learn's tools ----


@both
def test_copies_compute_the_same_and_go_on_alike(kind: Any, tmp_path: Path) -> None:
    y = TARGETS[kind]
    estimator = small(kind).fit(X, y)
    joblib.dump(estimator, tmp_path / "estimator")
    copies = [pickle.loads(pickle.dumps(estimator)), joblib.load(tmp_path / "estimator")]
    assert [bits(copy) for copy in copies] == [bits(estimator)] * 2
    expected = bits(estimator.partial_fit(X, y))
    assert [bits(copy.partial_fit(X, y)) for copy in copies] == [expected] * 2
    unfitted = clone(estimator)
    assert unfitted.get_params() == estimator.get_params()
    assert not hasattr(unfitted, "network_")
    assert "hidden_layer_sizes=8" in repr(unfitted)


def test_a_pipeline_a_search_and_folds_of_lists() -> None:
    pipeline = make_pipeline(FunctionTransformer(lambda X: X.reshape(-1, 6, 2)), small())
    assert pipeline.fit(X, LABELS)[-1].n_channels_ == 2
    lists = [x[: 5 + i % 8] for i, x in enumerate(X)]
    assert len(cross_val_score(small(), lists, LABELS, cv=3)) == 3
    assert len(cross_val_score(small(ElmanRegressor), X[..., None], FREQUENCIES, cv=3)) == 3


def test_a_search_in_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process has its share of the threads: that is what joblib tells the libraries in it."""
    monkeypatch.delenv("BPTT_NUM_THREADS", raising=False)
    grid = {"hidden_layer_sizes": [(4,), (3, 2)], "max_iter": [60], "tol": [1.0]}
    try:
        searches = [GridSearchCV(small(), grid, cv=2, n_jobs=n_jobs).fit(X, LABELS) for n_jobs in (2, 1)]
        configurations = joblib.Parallel(n_jobs=2)(joblib.delayed(bptt.config)() for _ in range(4))
    finally:
        get_reusable_executor().shutdown()
    assert {c["threads"] for c in configurations} == {max(1, joblib.cpu_count() // 2)}
    scores = [search.cv_results_["mean_test_score"].tolist() for search in searches]
    assert scores[0] == scores[1], "those of one process"
    assert bits(searches[0].best_estimator_) == bits(searches[1].best_estimator_)


def test_sample_weight_is_routed() -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            small().set_fit_request(sample_weight=True).set_score_request(sample_weight=True), {"alpha": [0.0]}, cv=2
        )
        weight = np.where(LABELS == "fast", 1.0, 0.0)
        search.fit(X, LABELS, sample_weight=weight)
    assert bits(search.best_estimator_) == bits(small(alpha=0.0).fit(X, LABELS, weight))
    assert search.best_score_ == 1.0, "what has the weight 0 is not scored"
