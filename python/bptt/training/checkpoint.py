"""What a training run goes on from, in one file that is whole at every moment."""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt._arrays import Array, need_memory
from bptt._checks import choice, number, shown, size
from bptt._whole_file import read_json, texts_of, write_whole
from bptt.training.history import STOPPED

_KEY, _SUM = "bptt.checkpoint", "bptt.checkpoint.crc32"
_FORMAT = 1  # changes when an older run could not go on
_DEEPEST = 4  # objects within objects in an identity


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name}: expected an object, got {shown(value)}")
    return value


def _hexadecimal(name: str, value: Any) -> str:
    try:
        if isinstance(value, str) and math.isfinite(float.fromhex(value)):
            return value
    except (OverflowError, ValueError):
        pass
    raise ValueError(f"{name}: expected a finite number in hexadecimal, got {shown(value)}")


_POSITION: dict[str, Callable[[str, Any], Any]] = {
    "seed": lambda name, value: size(name, value, 0, 2**64 - 1),
    "epoch": lambda name, value: size(name, value, 0),
    "passes": lambda name, value: size(name, value, 0),
    "batch": lambda name, value: size(name, value, 0),
    "updates": lambda name, value: size(name, value, 0),
    "epoch_loss": _hexadecimal,
    "epoch_targets": _hexadecimal,
    "stopped": lambda name, value: choice(name, value, STOPPED),
    "lr": lambda name, value: number(name, value, 0.0, math.inf),
    "hyper_parameters": lambda name, value: None if value is None else _object(name, value),
}


class ResumeError(ValueError):
    """The run that is to go on is another than the one of the checkpoint; the message begins with ``resume: ``."""


@dataclass
class Checkpoint:
    """Arrays, what the run must be equal in to be resumed (`identity`), and where it was (`position`)."""

    arrays: dict[str, Array]
    identity: dict[str, Any]
    position: dict[str, Any]

    def part(self, name: str) -> dict[str, Array]:
        """The arrays whose names begin so, under the rest of their names."""
        prefix = f"{name}."
        return {key[len(prefix) :]: array for key, array in self.arrays.items() if key.startswith(prefix)}

    def write(self, path: str | os.PathLike[str]) -> None:
        """Replace the file at `path`, or leave it as it was and raise OSError."""
        from safetensors.numpy import save

        arrays = {name: np.asarray(array, order="C") for name, array in self.arrays.items()}
        text = json.dumps({"format": _FORMAT, "identity": self.identity, "position": self.position})
        need_memory(len(text) + sum(array.nbytes for array in arrays.values()))
        write_whole(path, save(arrays, {_KEY: text, _SUM: f"{_checksum(text, arrays):08x}"}))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Checkpoint | None:
        """Read what `write` has written; None where there is no file.

        Raises
        ------
        ValueError
            If it is no checkpoint, or is damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return None
        need_memory(len(data))
        try:
            arrays = load(data)
            texts = texts_of(data)
            if _KEY not in texts:
                raise ValueError(f"got a file without the metadata key {_KEY!r}")
            if texts.get(_SUM) != f"{_checksum(texts[_KEY], arrays):08x}":
                raise ValueError("its checksum is another")
            told = _object("run", read_json(texts[_KEY]))
            version = told.get("format")
            if type(version) is not int or version != _FORMAT:
                newer = ": a newer version may have written it" if type(version) is int and version > _FORMAT else ""
                raise ValueError(f"expected format {_FORMAT}, got {shown(version)}{newer}")
            position = {"hyper_parameters": None, **_object("position", told.get("position"))}  # once not told
            for key, check in _POSITION.items():
                if key not in position:
                    raise ValueError(f"position: expected {key}, got none")
                check(f"position.{key}", position[key])
            return cls(arrays, _object("identity", told.get("identity")), position)
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{os.fspath(path)}: expected a checkpoint: {error}") from None

    def check(self, identity: dict[str, Any], left_out: dict[str, Any]) -> None:
        """Raise ResumeError unless the run is the one that is to go on.

        Parameters
        ----------
        identity : dict
            What the run must be equal in.
        left_out : dict
            What the checkpoint may leave out of it, with the values that this stands for.
        """
        mine, unsaid = (dict(flat(json.loads(json.dumps(tree)))) for tree in (identity, left_out))
        theirs = dict(flat(self.identity))
        theirs = {**unsaid, **theirs}
        for name in {**mine, **theirs}:  # in the order of this run's
            got, expected = mine.get(name), theirs.get(name)
            if got == expected:
                continue
            if name in ("data", "validation") and None not in (got, expected):
                raise ResumeError(f"resume: expected the {name} that the checkpoint was begun with, got other numbers")
            there, here = shown(expected), shown(got)
            raise ResumeError(f"resume: expected {name[:100]} as in the checkpoint, {there}, got {here}")


def _checksum(text: str, arrays: dict[str, Array]) -> int:
    value = zlib.crc32(text.encode())
    for name in sorted(arrays):
        value = zlib.crc32(repr((name, arrays[name].shape, arrays[name].dtype.str)).encode(), value)
        value = zlib.crc32(arrays[name].tobytes(), value)
    return value


def flat(tree: dict[str, Any], prefix: str = "", deepest: int = _DEEPEST) -> list[tuple[str, Any]]:
    """The leaves of a tree of dicts, with the path of each."""
    leaves = []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        deeper = isinstance(value, dict) and value and deepest > 1
        leaves += flat(value, f"{name}.", deepest - 1) if deeper else [(name, value)]
    return leaves
