"""Forecasters' files with a wrong value or array: the commands end with one line and the code 2, or go on."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from bptt.app import options
from damaged_files import mutants, parts_of, wrong_arrays

pd = pytest.importorskip("pandas")

_KEY = "bptt.forecaster"
_EVERY, _EVERY_ARRAY = 31, 7  # of some 4600 wrong values, and 290 wrong arrays: all of them take minutes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A forecaster that has ids, dates as texts, categories, inputs, what is known in advance, networks."""
    folder = tmp_path_factory.mktemp("forecaster")
    random, days = np.random.default_rng(0), pd.date_range("2020-01-01", periods=110)
    shops = pd.concat(
        pd.DataFrame(
            {
                "shop": shop,
                "date": days.strftime("%d.%m.%Y"),
                "sales": 50 + 10 * np.sin(np.arange(110) * 2 * np.pi / 7) + random.standard_normal(110),
                "price": random.standard_normal(110),
                "promo": random.integers(0, 2, 110),
                "kind": kind,
            }
        )
        for shop, kind in (("a", "x"), ("b", "y"))
    )
    shops.to_csv(folder / "all.csv", index=False)
    shops.groupby("shop").head(100).to_csv(folder / "known.csv", index=False)
    shops.groupby("shop").tail(10)[["shop", "date", "promo", "kind"]].to_csv(folder / "next.csv", index=False)
    how = "--targets sales --id shop --future promo --inputs price --static kind --ensemble 1 --hidden 3 --steps 3"
    command = ["train", str(folder / "known.csv"), *how.split(), "--out", str(folder / "model")]
    assert options.main(command) == 0
    return folder


def outcomes(folder: Path, path: Path, data: bytes, capsys: Any) -> Iterator[int]:
    """The exit codes of the commands that read a model, each checked with what it says."""
    path.write_bytes(data)
    come = ["--future-rows", str(folder / "next.csv"), "--steps", "4"]
    for command in (
        ["info", str(path)],
        ["predict", str(path), str(folder / "known.csv"), *come],
        ["evaluate", str(path), str(folder / "all.csv"), "--origins", "2"],
    ):
        code = options.main(command)
        output, errors = capsys.readouterr()
        if code != 0:
            assert code == 2
            assert not output
            assert errors.startswith("bptt: ")
            assert errors.count("\n") == 1
            assert len(errors) < 1000 + len(str(path))
        yield code
        if code != 0:
            return


def test_commands_tell_in_a_line_what_is_wrong_with_a_forecaster(
    folder: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "_parser", functools.cache(options._parser))  # or half of the time would be its
    capsys.readouterr()
    tensors, texts = parts_of(folder / "model")
    whole = list(outcomes(folder, tmp_path / "model", save(tensors, texts), capsys))
    assert whole == [0, 0, 0]
    codes = [
        list(outcomes(folder, tmp_path / "model", save(tensors, {_KEY: other}), capsys))[-1]
        for i, (_, _, other) in enumerate(mutants(texts[_KEY]))
        if i % _EVERY == 0
    ]
    assert len(codes) > 140
    assert codes.count(2) > 0.8 * len(codes)  # the others may be: a note, another seed, another share of the intervals
    codes = [
        list(outcomes(folder, tmp_path / "model", save(other, texts), capsys))[-1]
        for i, (_, other) in enumerate(wrong_arrays(tensors))
        if i % _EVERY_ARRAY == 0
    ]
    assert codes.count(2) > 0.8 * len(codes) > 30  # the others: an array too many


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("models", 0, "steps"), 10**9, "n_in|steps|parameters"),
        (("models", 0, "shares", 0, 1), 0.1, "shares: expected numbers whose sum is 1"),
        (("models", 0, "ensemble", "window"), 0, "window: expected an int from 1"),
        (("models", 0, "ensemble", "n_hidden"), 10**6, "parameters of a network"),
        (("models", 0, "ensemble", "ahead"), [99], "ahead: expected columns below"),
        (("models", 0, "near"), -1, "near: expected an int from 0"),
        (("panel", "targets"), ["price"], "panel.targets: expected"),
        (("settings", "recipe", "time", "columns"), ["date", "x", "y"], "columns of dates"),
        (("settings", "recipe", "time", "forms"), [5], "columns of dates"),
        (("units", 0, 1, 0, "scale"), 0.0, "scale: expected a number in its range"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, tmp_path: Path, path: tuple[Any, ...], value: Any, said: str) -> None:
    import json

    from bptt.forecast import Forecaster

    tensors, texts = parts_of(folder / "model")
    told = json.loads(texts[_KEY])
    node = told
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    (tmp_path / "model").write_bytes(save(tensors, {_KEY: json.dumps(told)}))
    with pytest.raises(ValueError, match=said):
        Forecaster.load(tmp_path / "model")
