"""What a user may do to a network besides calling it: it stays whole, and the core never reads or writes astray."""

from __future__ import annotations

import copy
import math
import os
import pickle
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import ElmanRNN, JordanRNN


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [(ElmanRNN, {}), (JordanRNN, {}), (JordanRNN, {"teacher_forcing": 0.5}), (JordanRNN, {"teacher_forcing": 0})],
)
def test_tokens_that_change_during_a_call_are_never_followed_astray(kind: Any, arguments: dict[str, Any]) -> None:
    """Each call ends with a loss or with the error of a token or class out of range; the process lives."""
    rnn = kind(7, 6, 5, input="token", seed=0)
    tokens, targets = np.zeros((400, 50), np.int64), np.zeros((400, 50), np.int64)
    stop, begun = threading.Event(), threading.Event()

    def change() -> None:
        while not stop.is_set():
            for value in (10**9, -(10**9), 0):
                tokens[...] = targets[...] = value
            begun.set()

    thread = threading.Thread(target=change)
    thread.start()
    begun.wait()
    outcomes = []
    try:
        for _ in range(60):
            try:
                outcomes.append(rnn.loss_and_gradients(tokens, targets, **arguments)[0])
            except ValueError as error:
                outcomes.append(str(error))
    finally:
        stop.set()
        thread.join()
    refusal = r"[xy]: expected (tokens in \[0, 7\)|classes in \[0, 5\), or -1 for none), got -?10{9} at step .*"
    for outcome in outcomes:
        assert math.isfinite(outcome) if isinstance(outcome, float) else re.fullmatch(refusal, outcome), outcome


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
