"""Beside scikit-learn: a classifier and a regressor of sequences. `import bptt` does not import it."""

from __future__ import annotations

try:
    import sklearn as _sklearn  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "sklearn":
        raise
    raise ImportError('bptt.sklearn: expected scikit-learn to be installed: pip install "bptt[sklearn]"') from None

from bptt.sklearn.classifier import ElmanClassifier
from bptt.sklearn.estimator import EXPECTED_FAILED_CHECKS
from bptt.sklearn.regressor import ElmanRegressor

__all__ = ["EXPECTED_FAILED_CHECKS", "ElmanClassifier", "ElmanRegressor"]
