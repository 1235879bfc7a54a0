"""A NeuroGym `Dataset` feeds `fit`, by the lines of docs/tasks.md: with the package, and with a stand-in for it."""

from __future__ import annotations

import re
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from problems import Array
from results import same_bits

PAGE = Path(__file__).parent.parent / "docs" / "tasks.md"


class Dataset:
    """What NeuroGym's does: random trials in a cache, whose parts it gives one after the other, as views."""

    def __init__(self, env: str, batch_size: int = 1, seq_len: int = 1000, cache_len: int = 10_000) -> None:
        self.env = types.SimpleNamespace(
            observation_space=types.SimpleNamespace(shape=(3,)), action_space=types.SimpleNamespace(n=np.int64(3))
        )
        self._seq_len, self._cache_len = seq_len, (1 + cache_len // seq_len) * seq_len
        self._inputs = np.zeros((self._cache_len, batch_size, 3), np.float32)
        self._target = np.zeros((self._cache_len, batch_size), np.int64)
        self.seed()
        self._cache()

    def seed(self, seed: int | None = None) -> None:
        self._random = np.random.RandomState(seed)

    def _cache(self) -> None:
        self._target[:] = self._random.randint(3, size=self._target.shape)
        self._inputs[:] = np.eye(3)[self._target] + 0.3 * self._random.standard_normal(self._inputs.shape)
        self._begin = 0

    def __call__(self) -> tuple[Array, Array]:
        if self._begin + self._seq_len >= self._cache_len:
            self._cache()
        part = slice(self._begin, self._begin + self._seq_len)
        self._begin += self._seq_len
        return self._inputs[part], self._target[part]


def neurogym() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("neurogym")


def ran(monkeypatch: pytest.MonkeyPatch, module: Any) -> dict[str, Any]:
    """The names that the lines of the page leave behind."""
    monkeypatch.setitem(sys.modules, "neurogym", module)
    (lines,) = (
        text for text in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S) if "neurogym" in text
    )
    names: dict[str, Any] = {}
    exec(compile(lines, str(PAGE), "exec"), names)
    return names


@pytest.fixture(params=["stand-in", "package"])
def names(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    if request.param == "stand-in":
        return ran(monkeypatch, types.SimpleNamespace(Dataset=Dataset))
    return ran(monkeypatch, neurogym())


@pytest.mark.filterwarnings("ignore:.*WARN:UserWarning")  # of Gymnasium, about environments of NeuroGym
def test_the_lines_of_the_page_train_a_network(names: dict[str, Any], tmp_path: Path) -> None:
    make, history = names["make"], names["history"]
    x, y = make(np.random.default_rng(2))
    kept = x.copy(), y.copy()
    again = make(np.random.default_rng(3)), make(np.random.default_rng(2))
    assert all(map(same_bits, (x, y), kept)), "later batches do not write over it"
    assert all(map(same_bits, (x, y), again[1])), "it follows from the generator"
    assert not np.array_equal(x, again[0][0])
    assert history.validation[-1] < 0.5 * np.log(3), "of a network that knows nothing the loss is log 3"

    def run(epochs: int, path: Path | None, resume: bool = False) -> Array:
        rnn = bptt.ElmanRNN(3, 8, 3, seed=1)
        batches, optimizer = bptt.Batches(make, steps=2), bptt.Adam(1e-2)
        rnn.fit(batches, optimizer=optimizer, epochs=epochs, checkpoint=path, resume=resume, seed=5, progress=False)
        return np.array(rnn.parameters)

    whole, path = run(2, None), tmp_path / "run.safetensors"
    assert not same_bits(run(1, path), whole)
    assert same_bits(run(2, path, resume=True), whole)
