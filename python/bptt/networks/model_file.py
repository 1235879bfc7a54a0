"""The format of a model's file: safetensors, with a configuration as JSON beside the tensors."""

from __future__ import annotations

import os
import reprlib
from typing import Any, NamedTuple

import numpy as np

from bptt._arrays import Array, need_memory
from bptt._whole_file import read_json, texts_of, write_whole

_KEY = "bptt"  # of the configuration in the file's metadata
_FORMAT = 2  # of the configuration. 1, which has no number in it: networks of one layer, in one direction, with tanh


class Model(NamedTuple):
    """What a file holds."""

    version: int  # the format of its configuration
    kind: str
    configuration: dict[str, Any]
    metadata: dict[str, Any]  # the user's
    tensors: dict[str, dict[str, Any]]  # of each its shape, its dtype and its data, as safetensors has them


def write(
    path: str | os.PathLike[str],
    kind: str,
    configuration: dict[str, Any],
    metadata: dict[str, Any],
    parameters: dict[str, Array],
) -> None:
    """Write a model as `RecurrentNetwork.save` says."""
    import json

    from safetensors.numpy import save

    told = {"format": _FORMAT, "network": kind, **configuration, "metadata": metadata}
    try:
        text = json.dumps(told, sort_keys=True, allow_nan=False)
    except TypeError as error:
        raise TypeError(f"metadata: expected what JSON can hold: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"metadata: expected what JSON can hold: {error}") from None
    if not isinstance(metadata, dict) or json.loads(text)["metadata"] != metadata:
        raise ValueError("metadata: expected a dict that JSON gives back as it is (string keys, lists, no tuples)")
    arrays = {name: np.ascontiguousarray(array) for name, array in parameters.items()}
    need_memory(len(text) + sum(array.nbytes for array in arrays.values()))
    write_whole(path, save(arrays, {_KEY: text}))


def read(path: str | os.PathLike[str]) -> Model:
    """Read what `write` has written, in this format or an earlier one.

    Raises
    ------
    ValueError
        If the file is damaged, or no model of this package. The message does not name the file.
    """
    from safetensors import SafetensorError, deserialize

    with open(path, "rb") as file:
        data = file.read()
    need_memory(len(data))
    try:
        tensors = dict(deserialize(data))  # type: ignore[no-untyped-call]
        texts = texts_of(data)
    except (SafetensorError, ValueError, RecursionError) as error:
        raise ValueError(f"expected a safetensors file: {error}") from None
    if f"{_KEY}.checkpoint" in texts:
        raise ValueError("expected a model of bptt, got a checkpoint, from which `fit` goes on")
    if f"{_KEY}.forecaster" in texts:
        raise ValueError("expected a network, got forecasts of a table, which bptt.forecast.Forecaster.load reads")
    if _KEY not in texts:
        raise ValueError(f"expected a model of bptt, got a file without the metadata key {_KEY!r}")
    try:
        told = read_json(texts[_KEY])
    except ValueError as error:
        raise ValueError(f"bad configuration: {error}") from None
    if not isinstance(told, dict):
        raise ValueError(f"bad configuration: expected an object, got {type(told).__name__}")
    version = told.pop("format", 1)
    if type(version) is not int:
        raise ValueError(f"bad configuration: format: expected an int, got {reprlib.repr(version)}")
    if not 1 <= version <= _FORMAT:
        newer = ": a newer version may have written it" if version > _FORMAT else ""
        raise ValueError(f"bad configuration: expected a format from 1 to {_FORMAT}, got {version}{newer}")
    kind, metadata = told.pop("network", None), told.pop("metadata", {})
    if not isinstance(metadata, dict):
        raise ValueError(f"bad configuration: expected an object as metadata, got {type(metadata).__name__}")
    return Model(version, kind, told, metadata, tensors)


def is_forecaster(path: str | os.PathLike[str]) -> bool:
    """Whether a file says that it holds a `bptt.forecast.Forecaster`. Nothing else of it is looked at."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > os.fstat(file.fileno()).st_size:
            return False
        header = file.read(size)
    try:
        return f"{_KEY}.forecaster" in texts_of(size.to_bytes(8, "little") + header)
    except (AttributeError, TypeError, ValueError, RecursionError):
        return False
