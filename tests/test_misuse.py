"""What a user may do to a network besides calling it: it stays whole, and the core never reads or writes astray."""

from __future__ import annotations

import copy
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import ElmanRNN, JordanRNN


@pytest.mark.parametrize("name", ["n_in", "n_hidden", "n_out", "input", "output", "readout", "dtype"])
def test_what_the_core_was_built_for_is_read_only(name: str) -> None:
    rnn = ElmanRNN(3, 5, 2)
    before = repr(rnn)
    with pytest.raises(AttributeError, match=name):
        setattr(rnn, name, getattr(rnn, name))
    assert repr(rnn) == before


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [(ElmanRNN, {}), (JordanRNN, {}), (JordanRNN, {"teacher_forcing": 0.5}), (JordanRNN, {"teacher_forcing": 0})],
)
def test_tokens_that_change_during_a_call_are_never_followed_astray(kind: Any, arguments: dict[str, Any]) -> None:
    rnn = kind(7, 6, 5, input="token", seed=0)
    tokens, targets = np.zeros((400, 50), np.int64), np.zeros((400, 50), np.int64)
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            for value in (10**9, -(10**9), 0):
                tokens[...] = targets[...] = value

    thread = threading.Thread(target=change)
    thread.start()
    finished = refused = 0
    try:
        for _ in range(60):
            try:
                rnn.loss_and_gradients(tokens, targets, **arguments)
                finished += 1
            except ValueError:
                refused += 1
    finally:
        stop.set()
        thread.join()
    assert finished + refused == 60  # and the process lives


def test_gradients_are_read_by_several_threads() -> None:
    rnn = ElmanRNN(3, 5, 2, seed=0)
    x, y = np.ones((4, 3), np.float32), np.zeros(4, int)
    found: list[Any]

    def read(gradients: bptt.Gradients, name: str) -> None:
        found.append(getattr(gradients, name))

    for _ in range(200):
        found = []
        gradients = rnn.loss_and_gradients(x, y)[1]
        threads = [threading.Thread(target=read, args=(gradients, name)) for name in "cVbWU"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(array.size for array in found) == sorted((2, 10, 5, 25, 15))


@pytest.mark.parametrize("kind", [ElmanRNN, JordanRNN])
def test_runs_and_gradients_are_copied_and_pickled(kind: Any) -> None:
    rnn = kind(3, 5, 2, seed=0)
    x = np.ones((4, 2, 3), np.float32)
    run = rnn.forward(x, lengths=[4, 2])
    _, gradients = rnn.loss_and_gradients(x, np.zeros((4, 2), int))
    for again in (pickle.loads(pickle.dumps(run)), copy.deepcopy(run)):
        np.testing.assert_array_equal(again.y_hat, run.y_hat)
        np.testing.assert_array_equal(*(getattr(r, "h_last" if kind is ElmanRNN else "r_last") for r in (again, run)))
    for same in (pickle.loads(pickle.dumps(gradients)), copy.deepcopy(gradients)):
        np.testing.assert_array_equal(same.W, gradients.W)


def test_both_losses_have_the_same_bits() -> None:
    rnn = ElmanRNN(3, 5, 4, seed=0)
    random = np.random.default_rng(0)
    x, y = random.normal(size=(900, 3, 3)), random.integers(0, 4, (900, 3))
    for lengths in (None, [900, 17, 433]):  # several windows
        assert rnn.loss_and_gradients(x, y, lengths=lengths)[0] == rnn.loss(x, y, lengths=lengths)


def test_a_sequence_cut_in_pieces_has_the_same_bits() -> None:
    x = np.random.default_rng(0).normal(size=(41, 3))
    for n_hidden in (5, 33, 70, 130):
        rnn = ElmanRNN(3, n_hidden, 4, seed=0)
        whole, h = rnn.forward(x), None
        for t, size in ((0, 1), (1, 1), (2, 7), (9, 32)):
            piece = rnn.forward(x[t : t + size], h0=h)
            h = piece.h_last
            np.testing.assert_array_equal(piece.h, whole.h[t : t + size])
            np.testing.assert_array_equal(piece.o, whole.o[t : t + size])


def test_masked_arrays_are_refused() -> None:
    with pytest.raises(TypeError, match=r"^x: expected an array without a mask"):
        ElmanRNN(3, 5, 2).forward(np.ma.masked_array(np.ones((4, 3)), True))


def test_any_memory_limit_is_taken() -> None:
    rnn = ElmanRNN(3, 5, 2, seed=0)
    x, y = np.ones((4, 3)), np.zeros(4, int)
    assert rnn.loss_and_gradients(x, y, memory_limit=10**30)[0] == rnn.loss(x, y)
    with pytest.raises(ValueError, match=r"^memory_limit: expected at least \d+ bytes for these sequences, got 0$"):
        rnn.loss_and_gradients(x, y, memory_limit=0)


@pytest.mark.parametrize(("seed", "error"), [(-1, ValueError), ("a", TypeError)])
def test_bad_seeds(seed: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^seed: expected an int of at least 0"):
        ElmanRNN(3, 5, 2, seed=seed)
    with pytest.raises(error, match=r"^seed: expected an int of at least 0"):
        ElmanRNN(3, 5, 3).generate(2, seed=seed)


def test_no_dtype_is_no_dtype() -> None:
    with pytest.raises(ValueError, match=r"^dtype: expected one of 'float32', 'float64', got 'None'$"):
        ElmanRNN(3, 5, 2, dtype=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("metadata", [[1], None, {1: "a"}, {"a": (1, 2)}])
def test_metadata_that_would_come_back_changed_is_not_saved(metadata: Any, tmp_path: Path) -> None:
    rnn = ElmanRNN(3, 5, 2)
    rnn.metadata = metadata
    with pytest.raises(ValueError, match=r"^metadata: expected a dict that JSON gives back as it is"):
        rnn.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_deeply_nested_metadata(tmp_path: Path) -> None:
    rnn = ElmanRNN(3, 5, 2)
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    rnn.metadata = {"deep": nested}
    with pytest.raises(ValueError, match=r"^metadata: expected what JSON can hold"):
        rnn.save(tmp_path / "model")
    while nested:  # taken apart from outside: freeing it at once would recurse as deeply
        nested = nested.pop()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_save_leaves_links_and_special_files_as_they_are(tmp_path: Path) -> None:
    rnn = ElmanRNN(3, 5, 2, seed=0)
    link, target, pipe = tmp_path / "link", tmp_path / "target", tmp_path / "pipe"
    link.symlink_to(target)
    rnn.save(link)
    assert link.is_symlink()
    np.testing.assert_array_equal(bptt.load(target).parameters, rnn.parameters)
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="expected a regular file"):
        rnn.save(pipe)
    assert pipe.is_fifo()
    rnn.save(tmp_path / ("n" * 250))
