"""What a training run goes on from, in one file that is whole at every moment."""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt._arrays import Array, need_memory
from bptt._whole_file import write_whole

_KEY, _SUM = "bptt.checkpoint", "bptt.checkpoint.crc32"
_FORMAT = 1  # changes when an older run could not go on to the same bits


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
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            if _KEY not in (metadata := header.get("__metadata__", {})):
                raise ValueError(f"got a file without the metadata key {_KEY!r}")
            if metadata.get(_SUM) != f"{_checksum(metadata[_KEY], arrays):08x}":
                raise ValueError("its checksum is another")
            text = json.loads(metadata[_KEY])
            if (version := text["format"]) != _FORMAT:
                newer = ": a newer version may have written it" if type(version) is int and version > _FORMAT else ""
                raise ValueError(f"expected format {_FORMAT}, got {version!r}{newer}")
            return cls(arrays, text["identity"], text["position"])
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
        mine, theirs, unsaid = (
            dict(_flat(json.loads(json.dumps(tree)))) for tree in (identity, self.identity, left_out)
        )
        theirs = {**unsaid, **theirs}
        for name in {**mine, **theirs}:  # in the order of this run's
            got, expected = mine.get(name), theirs.get(name)
            if got == expected:
                continue
            if name in ("data", "validation") and None not in (got, expected):
                raise ResumeError(f"resume: expected the {name} that the checkpoint was begun with, got other numbers")
            raise ResumeError(f"resume: expected {name} as in the checkpoint, {expected!r}, got {got!r}")


def _checksum(text: str, arrays: dict[str, Array]) -> int:
    value = zlib.crc32(text.encode())
    for name in sorted(arrays):
        value = zlib.crc32(repr((name, arrays[name].shape, arrays[name].dtype.str)).encode(), value)
        value = zlib.crc32(arrays[name].tobytes(), value)
    return value


def _flat(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """The leaves of a tree of dicts, with the path of each."""
    leaves = []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        leaves += _flat(value, f"{name}.") if isinstance(value, dict) else [(name, value)]
    return leaves
