"""What `fit` gives back: it travels between processes, becomes tables, and has columns for metrics."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pytest

from bptt import Adam, ElmanRNN, History
from results import same_bits

QUIET: dict[str, Any] = {"progress": False}
EPOCH = ["loss", "validation", "updates", "seconds"]


def trained(seed: int = 0, **options: Any) -> History:
    random = np.random.default_rng(seed)
    x, y = random.standard_normal((10, 6, 3)), random.integers(0, 2, (10, 6))
    more: dict[str, Any] = {"epochs": 4, "validation": (x[:, :3], y[:, :3]), "patience": 9, "seed": 0, **QUIET}
    rnn = ElmanRNN(3, 4, 2, seed=seed)
    history: History = rnn.fit(x, y, optimizer=Adam(0.01), batch_size=2, **{**more, **options})
    return history


def check_equal(one: History, other: History) -> None:
    for record, like in ((one.epochs, other.epochs), (one.updates, other.updates)):
        assert list(record) == list(like)
        assert len(record) == len(like)
        for name in like:
            assert same_bits(record[name], like[name])
    assert (one.stopped, one.best_epoch, repr(one)) == (other.stopped, other.best_epoch, repr(other))
    if other.best_parameters is None:
        assert one.best_parameters is None
    else:
        assert one.best_parameters is not None
        assert same_bits(one.best_parameters, other.best_parameters)


def pickled(protocol: int) -> Callable[[Any], Any]:
    return lambda value: pickle.loads(pickle.dumps(value, protocol))


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {protocol}": pickled(protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)},
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_equal(how: str) -> None:
    for history in (trained(), trained(validation=None, patience=None), History()):
        check_equal(COPIES[how](history), history)
        check_equal(COPIES[how](COPIES[how](history)), history)
        assert COPIES[how](history.epochs).keys() == history.epochs.keys()


def test_a_deep_copy_grows_no_more() -> None:
    """A callback keeps how things stood."""
    kept: list[History] = []
    history = trained(callbacks=[lambda history: kept.append(copy.deepcopy(history))])
    assert [len(one.epochs) for one in kept] == [1, 2, 3, 4]
    assert same_bits(kept[1].loss, history.loss[:2])
    assert kept[-1].best_parameters is not history.best_parameters


@pytest.mark.parametrize("method", [m for m in ("spawn", "forkserver") if m in multiprocessing.get_all_start_methods()])
def test_a_pool_of_processes_gives_histories_back(method: str) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        for seed, history in enumerate(pool.map(trained, range(3), timeout=120)):
            here = trained(seed)
            assert same_bits(history.loss, here.loss)
            assert same_bits(history.validation, here.validation)
            assert (history.stopped, history.best_epoch) == (here.stopped, here.best_epoch)
            assert history.best_parameters is not None
            assert here.best_parameters is not None
            assert same_bits(history.best_parameters, here.best_parameters)


def test_a_record_is_a_mapping_of_columns() -> None:
    history = trained()
    epochs = dict(history.epochs)
    assert list(epochs) == EPOCH
    assert all(same_bits(epochs[name], getattr(history.epochs, name)) for name in EPOCH)
    assert {**history.updates}.keys() == history.updates.keys()
    assert len(history.epochs) == 4, "rows"
    assert "loss" in history.epochs
    assert "nonsense" not in history.epochs
    with pytest.raises(KeyError, match="expected one of loss, validation, updates, seconds, got 'nonsense'"):
        _ = history.epochs["nonsense"]


def test_no_attribute_is_looked_for_for_ever() -> None:
    bare: Any = object.__new__(type(History().epochs))
    with pytest.raises(AttributeError):
        _ = bare.loss
    assert not hasattr(bare, "__setstate__") or callable(bare.__setstate__)
    assert not hasattr(History().epochs, "_nonsense")


def test_to_frame() -> None:
    pandas = pytest.importorskip("pandas")
    history = trained()
    frame = history.to_frame()
    assert list(frame) == EPOCH
    pandas.testing.assert_frame_equal(frame, history.epochs.to_frame())
    pandas.testing.assert_frame_equal(frame, pandas.DataFrame(dict(history.epochs)))
    updates = history.updates.to_frame()
    assert list(updates) == list(history.updates)
    assert same_bits(updates["loss"].to_numpy(), history.updates.loss)
    frame.loc[0, "loss"] = -1.0
    assert history.loss[0] > 0, "the frame has numbers of its own"
    assert History().to_frame().shape == (0, 4)


def test_to_frame_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    for call in (History().to_frame, History().epochs.to_frame, History().updates.to_frame):
        with pytest.raises(ImportError, match=r"^to_frame: expected pandas, as pip install pandas brings it: "):
            call()


# ---- Callbacks ----


@pytest.mark.parametrize(
    "true", [True, np.True_, np.float64(1) > 0, np.array(True)], ids=["bool", "np", "of>", "array"]
)
def test_a_callback_ends_training_with_any_true(true: Any) -> None:
    history = trained(callbacks=[lambda history: true if len(history.epochs) == 2 else np.False_])
    assert (history.stopped, len(history.epochs)) == ("callback", 2)


@pytest.mark.parametrize("other", [None, False, np.False_, np.array(False), 1, "yes", np.array([True]), np.ones(3)])
def test_nothing_else_that_a_callback_returns_ends_training(other: Any) -> None:
    assert trained(callbacks=[lambda history: other]).stopped == "epochs"
