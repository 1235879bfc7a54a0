"""`ElmanRegressor`: numbers that belong to whole sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_array

from bptt._arrays import Array
from bptt.sklearn.docstrings import shared
from bptt.sklearn.estimator import ElmanEstimator
from bptt.sklearn.sequences import Standard


@shared
class ElmanRegressor(RegressorMixin, ElmanEstimator):
    """A recurrent network that tells numbers of a sequence, as an estimator of scikit-learn.

    It is an `ElmanRNN` whose output is read from its last state (figure 10.5). It minimizes half the squared error by
    Adam, with gradients by back-propagation through time. Names and meanings are those of
    `sklearn.neural_network.MLPRegressor` where both have a parameter.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    out_activation_ : str
        ``"identity"``.
    y_mean_, y_scale_ : ndarray
        ``[n_outputs_]``: what `standardize` has taken from y, and divided it by. 0 and 1 without.
    {attributes}

    See Also
    --------
    ElmanClassifier : the same for labels.
    bptt.ElmanRNN : the network itself, which also has outputs at every step.

    Examples
    --------
    >>> import numpy as np
    >>> from bptt.sklearn import ElmanRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.uniform(0, 100, rng.integers(5, 15)) for _ in range(500)]  # sequences of 5 to 14 numbers
    >>> y = [x.sum() for x in X]
    >>> regressor = ElmanRegressor(random_state=0).fit(X[:400], y[:400])
    >>> bool(regressor.score(X[400:], y[400:]) > 0.9)
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        bidirectional: bool = True,
        standardize: bool = True,
        input_noise: float = 0.0,
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

    @shared
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ElmanRegressor:
        """Train on sequences and their numbers.

        Parameters
        ----------
        {X}
        y : array_like
            ``[n]`` or ``[n, n_outputs]``.
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
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> ElmanRegressor:
        """Train with one pass over a part of the data; Adam goes on where it was.

        Parameters
        ----------
        {X}
        y : array_like
            As for `fit`.
        {sample_weight}

        Returns
        -------
        self

        Raises
        ------
        {raises}
        """
        self._fit(X, y, sample_weight, True)
        return self

    @shared
    def predict(self, X: Any) -> Array:
        """Return the numbers of each sequence.

        Parameters
        ----------
        {X to predict}

        Returns
        -------
        y : ndarray
            ``[n]`` or ``[n, n_outputs]`` of float64, as y was.
        """
        o = self._outputs_of(X)
        y = self._y_standard.back(o)
        return y[:, 0] if self._y_axes == 1 else y

    def _read_y(self, y: Any, first: bool) -> Array:
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self)
        if y.ndim not in (1, 2) or 0 in y.shape:
            raise ValueError(f"y: expected [n] or [n, n_outputs], got {y.shape}")
        targets = y.reshape(len(y), -1)
        if not first and targets.shape[1] != self.n_outputs_:
            raise ValueError(f"y: expected {self.n_outputs_} outputs, as in the fit before, got {targets.shape[1]}")
        self._y_axes = y.ndim
        return np.asarray(targets)

    def _begin(self, targets: Array, weight: Array) -> None:
        self.n_outputs_ = targets.shape[1]
        self.out_activation_ = "identity"
        standard = Standard.of("y", targets, weight) if self.standardize else Standard.none(self.n_outputs_)
        self._y_standard = standard
        self.y_mean_, self.y_scale_ = standard

    def _for_network(self, targets: Array) -> Array:
        return self._y_standard.there(targets).astype(self.dtype)

    def _weights(self, targets: Array, weight: Array, incremental: bool) -> Array:
        return weight

    def _score_of(self, targets: Array, o: Array, weight: Array | None) -> float:
        return float(r2_score(targets, self._y_standard.back(o), sample_weight=weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
