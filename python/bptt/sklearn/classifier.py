"""`ElmanClassifier`: labels of whole sequences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, column_or_1d

from bptt._arrays import Array
from bptt._checks import shown
from bptt.sklearn.docstrings import shared
from bptt.sklearn.estimator import ElmanEstimator


@shared
class ElmanClassifier(ClassifierMixin, ElmanEstimator):
    """A recurrent network that tells the class of a sequence, as an estimator of scikit-learn.

    It is an `ElmanRNN` whose output is read from its last state (figure 10.5). It minimizes the log-loss by Adam, with
    gradients by back-propagation through time. Names and meanings are those of
    `sklearn.neural_network.MLPClassifier` where both have a parameter.

    Parameters
    ----------
    {parameters}
    class_weight : dict or "balanced", optional
        A factor of each sample's weight by its class; 1 for classes that a dict does not have. ``"balanced"``: the
        total weight of all samples over the number of classes times the weight of the samples of this class.

    Attributes
    ----------
    classes_ : ndarray
        The labels, ``[n_classes]``; of several labels for each sample, the numbers of the columns of y.
    out_activation_ : str
        The output unit: ``"logistic"`` for two classes and for several labels, ``"softmax"`` for more classes.
    {attributes}

    See Also
    --------
    ElmanRegressor : the same for numbers.
    bptt.ElmanRNN : the network itself, which also has outputs at every step.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from bptt.sklearn import ElmanClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> rows = X.reshape(-1, 8, 8)  # a digit is a sequence of 8 rows of 8 pixels
    >>> classifier = ElmanClassifier(random_state=0).fit(rows[:1000], y[:1000])
    >>> bool(classifier.score(rows[1000:], y[1000:]) > 0.9)
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        bidirectional: bool = True,
        standardize: bool = True,
        input_noise: float = 0.5,
        alpha: float = 1e-4,
        batch_size: int | str = "auto",
        learning_rate: str = "adaptive",
        learning_rate_init: float = 2e-3,
        clip_norm: float | None = 1.0,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        dtype: str = "float32",
        class_weight: Any = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation,
            bidirectional=bidirectional,
            standardize=standardize,
            input_noise=input_noise,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            clip_norm=clip_norm,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            dtype=dtype,
        )
        self.class_weight = class_weight

    @shared
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ElmanClassifier:
        """Train on sequences and their labels.

        Parameters
        ----------
        {X}
        y : array_like
            Labels of any kind, ``[n]``; or several for each sample, ``[n, labels]`` of 0 and 1.
        {sample_weight}

        Returns
        -------
        self

        Raises
        ------
        {raises}
        """
        self._fit(X, y, sample_weight, False)
        return self

    @shared
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> ElmanClassifier:
        """Train with one pass over a part of the data; Adam goes on where it was.

        Parameters
        ----------
        {X}
        y : array_like
            As for `fit`.
        {sample_weight}
        classes : array_like, optional
            All labels that any call has. The first call needs them, unless y has several labels for each sample.

        Returns
        -------
        self

        Raises
        ------
        {raises}
        """
        if classes is not None:
            classes = np.unique(np.asarray(classes))
            if hasattr(self, "network_") and not np.array_equal(classes, self.classes_):
                raise ValueError(
                    f"classes: expected {shown(self.classes_.tolist())}, as before, got {shown(classes.tolist())}"
                )
        elif not hasattr(self, "network_") and y is not None and not type_of_target(y).startswith("multilabel"):
            raise ValueError("classes: expected all labels in the first call of partial_fit, got None")
        self._announced = classes
        try:
            self._fit(X, y, sample_weight, True)
        finally:
            del self._announced
        return self

    @shared
    def predict(self, X: Any) -> Array:
        """Return the likeliest label of each sequence.

        Parameters
        ----------
        {X to predict}

        Returns
        -------
        y : ndarray
            ``[n]``, of `classes_`; of several labels for each sample, ``[n, labels]`` of 0 and 1.
        """
        o = self._outputs_of(X)
        return self._several(o) if self._has_several else self.classes_[self._class_numbers(o)]

    @shared
    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class for each sequence.

        Parameters
        ----------
        {X to predict}

        Returns
        -------
        probabilities : ndarray
            ``[n, n_classes]`` of float64, in the order of `classes_`. Rows sum to 1, save where samples have several
            labels.
        """
        if hasattr(self, "network_") and self._has_several:
            return np.asarray(1 / (1 + np.exp(-np.clip(self._outputs_of(X), -700, None))))
        return np.asarray(np.exp(self.predict_log_proba(X)))

    @shared
    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of `predict_proba`, without first making a small probability 0.

        Parameters
        ----------
        {X to predict}

        Returns
        -------
        logarithms : ndarray
            ``[n, n_classes]`` of float64.
        """
        o = self._outputs_of(X)
        if self._has_several:
            return np.asarray(-np.logaddexp(0.0, -o))
        if self.out_activation_ == "logistic":
            return np.concatenate([-np.logaddexp(0.0, o), -np.logaddexp(0.0, -o)], axis=1)
        return np.asarray(o - np.logaddexp.reduce(o, axis=1, keepdims=True))

    # ---- Labels ----

    @property
    def _has_several(self) -> bool:
        return bool(self._y_kind == "multilabel-indicator")

    def _read_y(self, y: Any, first: bool) -> Array:
        with np.errstate(invalid="ignore"):  # what is not finite is then refused
            kind = type_of_target(y, input_name="y")
        if kind == "multilabel-indicator":
            y = check_array(y, input_name="y", accept_sparse=False)
        else:
            check_classification_targets(y)
            y = column_or_1d(y, warn=True)
        several = kind == "multilabel-indicator"
        if first:
            announced = getattr(self, "_announced", None)
            if several:
                self.classes_ = np.arange(y.shape[1])
            else:
                labels = np.unique(y) if announced is None else announced
                if len(labels) < 2:
                    name = "y" if announced is None else "classes"
                    raise ValueError(f"{name}: expected at least 2 classes, got 1 class, {shown(labels.tolist())}")
                self.classes_ = labels
            self._y_kind = "multilabel-indicator" if several else "classes"
        elif several != self._has_several:
            raise ValueError(f"y: expected {self._y_kind}, as in the fit before, got {kind}")
        if several:
            if y.shape[1] != len(self.classes_):
                raise ValueError(f"y: expected {len(self.classes_)} labels, as in the fit before, got {y.shape[1]}")
            return np.asarray(y, np.float64)
        found = np.setdiff1d(y, self.classes_)
        if len(found):
            raise ValueError(f"y: expected labels of {shown(self.classes_.tolist())}, got {shown(found.tolist())} too")
        return np.asarray(np.searchsorted(self.classes_, y))

    def _begin(self, targets: Array, weight: Array) -> None:
        n = len(self.classes_)
        logistic = self._has_several or n == 2
        self.out_activation_ = "logistic" if logistic else "softmax"
        self.n_outputs_ = 1 if logistic and not self._has_several else n

    def _for_network(self, targets: Array) -> Array:
        if self.out_activation_ == "softmax":
            return targets
        return targets.reshape(len(targets), -1).astype(self.dtype)

    def _strata(self, targets: Array) -> Array | None:
        return None if self._has_several else targets

    def _weights(self, targets: Array, weight: Array, incremental: bool) -> Array:
        asked = self.class_weight
        if asked is None:
            return weight
        if self._has_several:
            raise ValueError("class_weight: expected None with several labels for each sample")
        factors = np.ones(len(self.classes_))
        if isinstance(asked, str):
            if asked != "balanced":
                raise ValueError(f"class_weight: expected a dict, 'balanced' or None, got {asked!r}")
            if incremental:
                raise ValueError("class_weight: expected a dict or None with partial_fit, whose data are a part of all")
            totals = np.bincount(targets, weight, minlength=len(factors))
            factors[totals > 0] = weight.sum() / (len(factors) * totals[totals > 0])
        elif isinstance(asked, Mapping):
            known = self.classes_.tolist()
            for label, value in asked.items():
                if label not in known:
                    raise ValueError(f"class_weight: expected labels of {shown(known)}, got {label!r}")
                factors[known.index(label)] = value
            if not (np.isfinite(factors).all() and (factors >= 0).all()):
                raise ValueError(f"class_weight: expected finite numbers of at least 0, got {shown(dict(asked))}")
        else:
            raise TypeError(f"class_weight: expected a dict, 'balanced' or None, got {type(asked).__name__}")
        return weight * factors[targets]

    # ---- Predictions ----

    def _class_numbers(self, o: Array) -> Array:
        return (o[:, 0] > 0).astype(np.int64) if self.out_activation_ == "logistic" else o.argmax(axis=1)

    @staticmethod
    def _several(o: Array) -> Array:
        return (o > 0).astype(np.int64)

    def _score_of(self, targets: Array, o: Array, weight: Array | None) -> float:
        predicted = self._several(o) if self._has_several else self._class_numbers(o)
        return float(accuracy_score(targets, predicted, sample_weight=weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
