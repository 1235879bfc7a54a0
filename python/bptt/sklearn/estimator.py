"""What the classifier and the regressor share: their parameters, and training as scikit-learn has it."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from bptt._arrays import Array
from bptt._checks import choice, number, shown, size, truth
from bptt.networks.elman import ElmanRNN
from bptt.networks.trainee import data_of
from bptt.sklearn.convergence import Convergence
from bptt.sklearn.sequences import Sequences, Standard, parts, read
from bptt.training.batches import Batches
from bptt.training.history import History
from bptt.training.optimizers import Adam

EXPECTED_FAILED_CHECKS: dict[str, str] = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a sample of weight 2 is one row of one batch, the sample twice is two rows of batches drawn at random; "
        "the two are equal where all samples are one batch: shuffle=False, input_noise=0, batch_size=n"
    ),
}

_SMALLEST_BATCH, _LARGEST_BATCH = 32, 200  # sequences
_BATCHES = 50  # in an epoch, at least, between the two


class ElmanEstimator(BaseEstimator, ABC):
    """An `ElmanRNN` that reads sequences and has one output at the end of each: a base, not an estimator itself."""

    def __init__(
        self,
        hidden_layer_sizes: Any,
        activation: str,
        *,
        bidirectional: bool,
        standardize: bool,
        input_noise: float,
        alpha: float,
        batch_size: int | str,
        learning_rate: str,
        learning_rate_init: float,
        clip_norm: float | None,
        max_iter: int,
        shuffle: bool,
        random_state: Any,
        tol: float,
        verbose: bool,
        warm_start: bool,
        early_stopping: bool,
        validation_fraction: float,
        n_iter_no_change: int,
        dtype: str,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.bidirectional = bidirectional
        self.standardize = standardize
        self.input_noise = input_noise
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.clip_norm = clip_norm
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.dtype = dtype

    _random_state: np.random.RandomState

    # ---- What the two differ in ----

    @abstractmethod
    def _read_y(self, y: Any, first: bool) -> Array:
        """The targets, checked: class numbers ``[n]``, or numbers ``[n, n_outputs]``. `first`: nothing is fitted."""

    @abstractmethod
    def _begin(self, targets: Array, weight: Array) -> None:
        """Take note of what follows from the targets of the first fit."""

    @abstractmethod
    def _for_network(self, targets: Array) -> Array:
        """The targets as the network is trained with them."""

    @abstractmethod
    def _weights(self, targets: Array, weight: Array, incremental: bool) -> Array:
        """The weight of each sample, that of its class included."""

    @abstractmethod
    def _score_of(self, targets: Array, o: Array, weight: Array | None) -> float:
        """What `score` says of the network's outputs."""

    def _strata(self, targets: Array) -> Array | None:
        """What a validation set shall have in equal shares."""
        return None

    # ---- Training ----

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Any:
        self._check_parameters()
        if self.early_stopping and incremental:
            raise ValueError("early_stopping: expected False with partial_fit, whose data are a part of all")
        if y is None:
            raise ValueError("y: expected the targets of X: fit requires y to be passed, but the target y is None")
        first = not hasattr(self, "network_") or not (self.warm_start or incremental)
        sequences = read(self, X, reset=first)
        targets = self._read_y(y, first)
        if len(targets) != len(sequences):
            raise ValueError(f"y: expected {len(sequences)} targets, one for each sequence of X, got {len(targets)}")
        given = None if sample_weight is None else _checked_weight(sample_weight, len(sequences))
        weight = self._weights(targets, np.ones(len(sequences)) if given is None else given, incremental)
        goes_on = incremental and not first
        random: np.random.RandomState = self._random_state if goes_on else check_random_state(self.random_state)
        training, held_out = self._split(targets, random)
        if not weight[training].any():
            raise ValueError("sample_weight: expected one that is not zero, as no sample counts without, got zeros")
        if first:
            self._begin(targets[training], weight[training])
            some = sequences.some(training)
            self._standard = (
                Standard.of_sequences(some, weight[training]) if self.standardize else Standard.none(sequences.channels)
            )
            self.mean_, self.scale_ = self._standard
            self.network_ = self._new_network(random)
            self.loss_curve_: list[float] = []
            self.validation_scores_: list[float] | None = [] if self.early_stopping else None
            self.t_ = 0
        else:
            self._check_network()
        self._random_state = random
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = Adam()
        self._optimizer.lr = float(self.learning_rate_init)
        self._train(sequences, targets, weight, given, training, held_out, incremental)
        return self

    def _train(
        self,
        sequences: Sequences,
        targets: Array,
        weight: Array,
        given: Array | None,
        training: Array,
        held_out: Array,
        incremental: bool,
    ) -> None:
        rnn = self.network_
        if self.early_stopping and self.validation_scores_ is None:
            self.validation_scores_ = []
        some = sequences.some(training)
        x = self._standard.for_network(some.rows, self.dtype)
        data = data_of(rnn, x, self._for_network(targets[training]), weight[training])
        batch_size = self._batch_size(len(training))
        self._optimizer.weight_decay = float(self.alpha) / batch_size

        def make(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
            for part in data.batches(batch_size, rng if self.shuffle else None):
                arguments = data.take(part).arguments
                yield {**arguments, "x": _noisy(arguments["x"], float(self.input_noise), rng)}

        steps = len(data.batches(batch_size, None))
        epochs = 1 if incremental else self.max_iter
        convergence = Convergence(
            epochs=epochs,
            updates=steps,
            patience=self.n_iter_no_change,
            tol=float(self.tol),
            annealed=self.learning_rate == "adaptive" and not incremental,
        )
        validation, best, best_parameters = sequences.some(held_out), -math.inf, None

        def after_epoch(history: History) -> bool:
            nonlocal best, best_parameters
            loss = history.epochs.latest("loss", 1)[0]
            self.loss_curve_.append(loss)
            if self.verbose:
                print(f"Iteration {len(history.epochs)}, loss = {loss:.8f}")
            if not len(held_out):
                return convergence.end_epoch(loss)
            score = self._score_of(
                targets[held_out], self._outputs(validation), None if given is None else given[held_out]
            )
            assert self.validation_scores_ is not None
            self.validation_scores_.append(score)
            if self.verbose:
                print(f"Validation score: {score:f}")
            if score > best or best_parameters is None:
                best, best_parameters = score, rnn.parameters.copy()
            return convergence.end_epoch(-score)

        history = rnn.fit(
            Batches(make, steps),
            optimizer=self._optimizer,
            epochs=epochs,
            clip_norm=self.clip_norm,
            schedule=convergence,
            seed=int(self._random_state.randint(2**31 - 1)),
            progress=False,
            callbacks=[after_epoch],
        )
        self.n_iter_ = len(history.epochs)
        self.t_ += self.n_iter_ * len(training)
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else math.nan
        self.best_loss_ = None if len(held_out) else min(self.loss_curve_, default=math.nan)
        self.best_validation_score_ = best if len(held_out) else None
        if best_parameters is not None:
            rnn.parameters[:] = best_parameters
        if history.stopped == "interrupted":
            warnings.warn(f"Training interrupted by user, after {self.n_iter_} iterations.", stacklevel=4)
        elif not convergence.converged and not incremental:
            warnings.warn(
                f"max_iter: {self.max_iter} iterations are over, and training has not converged: "
                f"{'the validation score' if len(held_out) else 'the loss'} still becomes better by tol, {self.tol:g}",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _split(self, targets: Array, random: np.random.RandomState) -> tuple[Array, Array]:
        """Which samples are for training, and which for validation."""
        everything = np.arange(len(targets))
        if not self.early_stopping:
            return everything, everything[:0]
        try:
            training, held_out = train_test_split(
                everything,
                test_size=float(self.validation_fraction),
                random_state=random,
                stratify=self._strata(targets),
            )
        except ValueError as error:
            raise ValueError(f"validation_fraction: expected one that leaves samples for both parts: {error}") from None
        if len(held_out) < 2:
            raise ValueError(f"validation_fraction: expected at least 2 samples for validation, got {len(held_out)}")
        return np.sort(training), np.sort(held_out)

    def _batch_size(self, n: int) -> int:
        if self.batch_size == "auto":
            return min(n, _LARGEST_BATCH, max(_SMALLEST_BATCH, n // _BATCHES))
        return min(n, int(self.batch_size))

    def _configuration(self) -> dict[str, Any]:
        sizes = self.hidden_layer_sizes
        return {
            "n_in": self.n_channels_,
            "n_hidden": tuple(sizes) if isinstance(sizes, Iterable) else sizes,
            "n_out": self.n_outputs_,
            "output": {"identity": "linear", "logistic": "sigmoid", "softmax": "softmax"}[self.out_activation_],
            "readout": "last",
            "activation": self.activation,
            "bidirectional": self.bidirectional,
            "dtype": self.dtype,
        }

    def _new_network(self, random: np.random.RandomState) -> ElmanRNN:
        return ElmanRNN(**self._configuration(), seed=int(random.randint(2**31 - 1)))

    def _check_network(self) -> None:
        """Raise ValueError unless the network that training goes on with is the one that the parameters describe."""
        expected, got = self.network_.configuration(), ElmanRNN(**self._configuration(), init=None).configuration()
        names = {"n_hidden": "hidden_layer_sizes", "n_out": "y"}
        for key, value in expected.items():
            if got[key] != value:
                raise ValueError(f"{names.get(key, key)}: expected {value!r}, as in the fit before, got {got[key]!r}")

    # ---- Outputs ----

    def _outputs(self, sequences: Sequences) -> Array:
        """o of each sequence, ``[n, n_outputs]`` of float64."""
        found = []
        for part in parts(sequences):
            x: Any = self._standard.for_network(sequences.rows[part], self.dtype)
            found.append(np.asarray(self.network_.forward(x).o, np.float64))
        return np.concatenate(found)

    def _outputs_of(self, X: Any) -> Array:
        check_is_fitted(self, "network_")
        return self._outputs(read(self, X, reset=False))

    # ---- Checks ----

    def _check_parameters(self) -> None:
        """Raise unless all parameters that the network does not check itself are right."""
        sizes: Any = self.hidden_layer_sizes
        if isinstance(sizes, str) or not isinstance(sizes, Iterable):
            size("hidden_layer_sizes", self.hidden_layer_sizes, 1)
        else:
            sizes = tuple(sizes)
            if not sizes:
                raise ValueError("hidden_layer_sizes: expected at least one layer, got none")
            for n in sizes:
                size("hidden_layer_sizes", n, 1)
        choice("activation", self.activation, ("tanh", "relu"))
        choice("learning_rate", self.learning_rate, ("adaptive", "constant"))
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"dtype: expected 'float32' or 'float64', got {shown(self.dtype)}")
        for name in ("bidirectional", "standardize", "shuffle", "warm_start", "early_stopping"):
            truth(name, getattr(self, name))
        for name in ("max_iter", "n_iter_no_change"):
            size(name, getattr(self, name), 1)
        if not (isinstance(self.batch_size, str) and self.batch_size == "auto"):
            if isinstance(self.batch_size, str):
                raise ValueError(f"batch_size: expected 'auto' or an int, got {self.batch_size!r}")
            size("batch_size", self.batch_size, 1)
        for name in ("input_noise", "alpha", "tol"):
            number(name, getattr(self, name), 0.0, math.inf)
        number("learning_rate_init", self.learning_rate_init, 0.0, math.inf, "()")
        number("validation_fraction", self.validation_fraction, 0.0, 1.0, "()")
        if self.clip_norm is not None:
            number("clip_norm", self.clip_norm, 0.0, math.inf, "()")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _noisy(x: Any, deviation: float, rng: np.random.Generator) -> Any:
    """Sequences with normal noise on every number."""
    if deviation == 0.0:
        return x
    if isinstance(x, list):
        return [_noisy(one, deviation, rng) for one in x]
    noise = rng.standard_normal(x.shape, x.dtype)
    noise *= deviation
    noise += x
    return noise


def _checked_weight(sample_weight: Any, n: int) -> Array:
    """The weights of samples, or ValueError."""
    try:
        weight = np.asarray(sample_weight, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sample_weight: expected numbers [{n}] ({error})") from None
    if weight.ndim == 0 and n > 0:
        weight = np.full(n, float(weight))
    if weight.shape != (n,):
        raise ValueError(f"sample_weight: expected [{n}], one for each sequence of X, got {weight.shape}")
    wrong = ~((weight >= 0) & np.isfinite(weight))
    if wrong.any():
        i = int(wrong.argmax())
        raise ValueError(f"sample_weight: expected finite numbers of at least 0, got {weight[i]} for sequence {i}")
    return weight
