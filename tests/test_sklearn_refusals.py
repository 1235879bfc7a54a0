"""What the estimators of `bptt.sklearn` refuse, by its type and message, before anything is fitted."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from refusals import refuses

sklearn = pytest.importorskip("sklearn", "1.6", reason="scikit-learn is not installed")
from sklearn.exceptions import NotFittedError  # noqa: E402

from bptt.sklearn import ElmanClassifier, ElmanRegressor  # noqa: E402

N, STEPS = 12, 5
X = np.random.default_rng(0).standard_normal((N, STEPS))
LABELS = np.array(["one", "two", "three"])[np.arange(N) % 3]
NUMBERS = np.arange(float(N))
FORMS = "[n, steps], [n, steps, channels], or a list of [steps_i] or [steps_i, channels]"

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def classifier(**options: Any) -> Any:
    return ElmanClassifier(**{"hidden_layer_sizes": 3, "max_iter": 2, "random_state": 0, **options})


def regressor(**options: Any) -> Any:
    return ElmanRegressor(**{"hidden_layer_sizes": 3, "max_iter": 2, "random_state": 0, **options})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"hidden_layer_sizes": 0}, ValueError, "hidden_layer_sizes: expected at least 1, got 0"),
        ({"hidden_layer_sizes": (3, -1)}, ValueError, "hidden_layer_sizes: expected at least 1, got -1"),
        ({"hidden_layer_sizes": ()}, ValueError, "hidden_layer_sizes: expected at least one layer, got none"),
        ({"hidden_layer_sizes": 2.5}, TypeError, "hidden_layer_sizes: expected an int, got float"),
        ({"hidden_layer_sizes": "3"}, TypeError, "hidden_layer_sizes: expected an int, got str"),
        ({"activation": "logistic"}, ValueError, "activation: expected one of 'tanh', 'relu', got 'logistic'"),
        ({"learning_rate": "x"}, ValueError, "learning_rate: expected one of 'adaptive', 'constant', got 'x'"),
        ({"dtype": "float16"}, ValueError, "dtype: expected 'float32' or 'float64', got 'float16'"),
        ({"bidirectional": 1}, TypeError, "bidirectional: expected True or False, got 1"),
        ({"max_iter": 0}, ValueError, "max_iter: expected at least 1, got 0"),
        ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change: expected at least 1, got 0"),
        ({"batch_size": "all"}, ValueError, "batch_size: expected 'auto' or an int, got 'all'"),
        ({"batch_size": 0}, ValueError, "batch_size: expected at least 1, got 0"),
        ({"input_noise": -1}, ValueError, "input_noise: expected a number in [0, inf), got -1"),
        ({"alpha": "no"}, TypeError, "alpha: expected a number, got str"),
        ({"learning_rate_init": 0}, ValueError, "learning_rate_init: expected a number in (0, inf), got 0"),
        ({"validation_fraction": 1}, ValueError, "validation_fraction: expected a number in (0, 1), got 1"),
        ({"clip_norm": 0.0}, ValueError, "clip_norm: expected a number in (0, inf), got 0.0"),
    ],
)
def test_parameters(options: dict[str, Any], error: type[Exception], message: str) -> None:
    for estimator, y in ((classifier(**options), LABELS), (regressor(**options), NUMBERS)):
        refuses(partial(estimator.fit, X, y), error, message)
        assert not hasattr(estimator, "network_")


def with_value(value: float) -> list[np.ndarray[Any, Any]]:
    xs = [x[:, None].copy() for x in X]
    xs[3][2, 0] = value
    return xs


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (X[0], f"X: expected {FORMS}, got (5,). Reshape your data: X.reshape(1, -1) if it is one sequence"),
        (X[None, None], f"X: expected {FORMS}, got (1, 1, 12, 5)"),
        (np.zeros((N, 0, 2)), "X: expected at least one step and one channel, got (12, 0, 2)"),
        ([], "X: expected at least one sequence, got an empty list"),
        ([X[0], X[1, :0]], "X[1]: expected at least one step and one channel, got (0,)"),
        ([X[0], X], "X[1]: expected 1 channels, as X[0] has, got 5"),
        ([X[0], X[None]], "X[1]: expected [steps_i] or [steps_i, channels], got (1, 12, 5)"),
        ([X[0], np.array(["a"])], "X[1]: expected numbers, got <U1"),
        ([X[0], X[1] + 1j], "X[1]: expected numbers, got complex128"),
        (with_value(np.nan), "X: expected no NaN and no infinity, got nan at step 2 of sequence 3, column 0"),
        (with_value(np.inf), "X: expected no NaN and no infinity, got inf at step 2 of sequence 3, column 0"),
        (1e300 * X, f"X: expected numbers whose variance is finite, got some of {np.abs(1e300 * X).max():g}"),
    ],
)
def test_sequences(X: Any, message: str) -> None:
    refuses(lambda: classifier().fit(X, LABELS[: len(X)]), ValueError, message)


def test_what_scikit_learn_tells_of_X() -> None:
    scipy = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="Sparse data was passed for X, but dense data is required"):
        classifier().fit(scipy.csr_matrix(X), LABELS)
    for x in (np.full_like(X, np.nan), np.full((N, STEPS, 2), np.nan)):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            classifier().fit(x, LABELS)
    with pytest.raises(ValueError, match=r"setting an array element with a sequence|inhomogeneous"):
        classifier().fit([[1.0, [2.0]]] * N, LABELS)
    with pytest.raises(NotFittedError):
        classifier().predict(X)
    with pytest.raises(NotFittedError):
        classifier().predict_proba(X)
    with pytest.raises(NotFittedError):
        regressor().predict(X)


def test_numbers_that_float32_cannot_hold() -> None:
    fitted = classifier(standardize=False).fit(X, LABELS)
    refuses(lambda: fitted.predict(1e300 * X), ValueError, "X: expected numbers that float32 can hold, got larger ones")
    message = "X[1]: expected numbers that float32 can hold, got larger ones"
    refuses(lambda: fitted.predict([X[0], 1e300 * X[1]]), ValueError, message)
    assert len(classifier(standardize=False, dtype="float64").fit(X, LABELS).predict(1e300 * X)) == N


def test_channels_of_predictions() -> None:
    fitted = classifier().fit(np.stack([X, X], axis=2), LABELS)
    refuses(lambda: fitted.predict(X), ValueError, "X: expected 2 channels, as in fit, got 1")
    refuses(lambda: fitted.predict([X[:, :3]]), ValueError, "X: expected 2 channels, as in fit, got 3")


def test_targets_and_weights() -> None:
    c, r = classifier(), regressor()
    one = "y: expected at least 2 classes, got 1 class, ['one']"
    refuses(lambda: c.fit(X, ["one"] * N), ValueError, one)
    refuses(lambda: c.fit(X, LABELS[:-1]), ValueError, "y: expected 12 targets, one for each sequence of X, got 11")
    refuses(lambda: r.fit(X, NUMBERS[:-1]), ValueError, "y: expected 12 targets, one for each sequence of X, got 11")
    message = "y: expected the targets of X: fit requires y to be passed, but the target y is None"
    refuses(lambda: c.fit(X, None), ValueError, message)
    with pytest.raises(ValueError, match="Found array with dim 3"):
        r.fit(X, NUMBERS.reshape(3, 2, 2))
    for weight, message in (
        (np.ones(N - 1), "expected [12], one for each sequence of X, got (11,)"),
        (np.where(NUMBERS == 4, -1, 1), "expected finite numbers of at least 0, got -1.0 for sequence 4"),
        (np.where(NUMBERS == 5, np.nan, 1), "expected finite numbers of at least 0, got nan for sequence 5"),
        (np.zeros(N), "expected one that is not zero, as no sample counts without, got zeros"),
    ):
        refuses(partial(r.fit, X, NUMBERS, weight), ValueError, f"sample_weight: {message}")
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        c.fit(X, NUMBERS + 0.5)


def test_class_weight() -> None:
    for class_weight, error, message in (
        ({"four": 1}, ValueError, "expected labels of ['one', 'three', 'two'], got 'four'"),
        ({"one": -1}, ValueError, "expected finite numbers of at least 0, got {'one': -1}"),
        ("even", ValueError, "expected a dict, 'balanced' or None, got 'even'"),
        ([1, 1, 1], TypeError, "expected a dict, 'balanced' or None, got list"),
    ):
        estimator = classifier(class_weight=class_weight)
        refuses(partial(estimator.fit, X, LABELS), error, f"class_weight: {message}")
    balanced, several = classifier(class_weight="balanced"), np.eye(3, dtype=int)[np.arange(N) % 3]
    message = "class_weight: expected a dict or None with partial_fit, whose data are a part of all"
    refuses(lambda: balanced.partial_fit(X, LABELS, classes=[*set(LABELS)]), ValueError, message)
    message = "class_weight: expected None with several labels for each sample"
    refuses(lambda: balanced.fit(X, several), ValueError, message)


def test_what_goes_on_has_to_fit() -> None:
    c, r = classifier(warm_start=True).fit(X, LABELS), regressor(warm_start=True).fit(X, NUMBERS)
    before = c.network_.parameters.copy()
    message = "y: expected labels of ['one', 'three', 'two'], got ['four'] too"
    refuses(lambda: c.fit(X, ["four", *LABELS[1:]]), ValueError, message)
    message = "y: expected classes, as in the fit before, got multilabel-indicator"
    refuses(lambda: c.fit(X, np.eye(3, dtype=int)[np.arange(N) % 3]), ValueError, message)
    refuses(lambda: r.fit(X, X), ValueError, "y: expected 1 outputs, as in the fit before, got 5")
    c.set_params(hidden_layer_sizes=4)
    refuses(lambda: c.fit(X, LABELS), ValueError, "hidden_layer_sizes: expected 3, as in the fit before, got 4")
    c.set_params(hidden_layer_sizes=3, bidirectional=False)
    refuses(lambda: c.fit(X, LABELS), ValueError, "bidirectional: expected True, as in the fit before, got False")
    assert np.array_equal(c.network_.parameters, before)


def test_partial_fit() -> None:
    message = "classes: expected all labels in the first call of partial_fit, got None"
    refuses(lambda: classifier().partial_fit(X, LABELS), ValueError, message)
    message = "classes: expected at least 2 classes, got 1 class, ['one']"
    refuses(lambda: classifier().partial_fit(X, ["one"] * N, classes=["one"]), ValueError, message)
    stopping = classifier(early_stopping=True)
    message = "early_stopping: expected False with partial_fit, whose data are a part of all"
    refuses(lambda: stopping.partial_fit(X, LABELS, classes=[*set(LABELS)]), ValueError, message)
    fitted = classifier().partial_fit(X, LABELS, classes=[*set(LABELS)])
    message = "classes: expected ['one', 'three', 'two'], as before, got ['four', 'one']"
    refuses(lambda: fitted.partial_fit(X, LABELS, classes=["one", "four"]), ValueError, message)
    message = "y: expected labels of ['one', 'three', 'two'], got ['four'] too"
    refuses(lambda: fitted.partial_fit(X, ["four"] * N), ValueError, message)


def test_validation_needs_samples() -> None:
    few = classifier(early_stopping=True, validation_fraction=0.1)
    with pytest.raises(ValueError, match="validation_fraction: expected one that leaves samples for both parts"):
        few.fit(X, LABELS)
    few = regressor(early_stopping=True, validation_fraction=0.05)
    message = "validation_fraction: expected at least 2 samples for validation, got 1"
    refuses(lambda: few.fit(X, NUMBERS), ValueError, message)


def test_training_that_overflows() -> None:
    with pytest.raises(FloatingPointError, match=r"^update \d+ \(epoch \d\): .*the norm of the gradient is"):
        regressor(learning_rate_init=1e30, clip_norm=None, max_iter=50).fit(X, NUMBERS)
