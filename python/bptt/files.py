"""Models in safetensors files, whole at every moment and checked when they are read. Knows no equations."""

from __future__ import annotations

import errno
import glob
import os
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from bptt._inputs import size
from bptt.results import LETTERS

if TYPE_CHECKING:
    from bptt.network import RecurrentNetwork

_KEY = "bptt"  # of the configuration in a model file's metadata


def save(network: RecurrentNetwork, path: str | os.PathLike[str]) -> None:
    """Write a network as `RecurrentNetwork.save` says."""
    import json

    from safetensors.numpy import save as to_bytes

    configuration = {"network": network._KIND, **network._configuration(), "metadata": network.metadata}
    try:
        text = json.dumps(configuration, sort_keys=True, allow_nan=False)
    except TypeError as error:
        raise TypeError(f"metadata: expected what JSON can hold: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"metadata: expected what JSON can hold: {error}") from None
    if not isinstance(network.metadata, dict) or json.loads(text)["metadata"] != network.metadata:
        raise ValueError("metadata: expected a dict that JSON gives back as it is (string keys, lists, no tuples)")
    tensors = {letter: np.ascontiguousarray(getattr(network, letter)) for letter in LETTERS}
    write_whole(path, to_bytes(tensors, {_KEY: text}))


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file such that at every moment either the old one or the new one stands at `path`, complete."""
    path = os.path.realpath(path)  # a link stays a link
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.EINVAL, "expected a regular file, or none yet", path)
    temporary = f"{_beside(path)}{os.urandom(6).hex()}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        if isinstance(error, OSError):  # of the temporary file the caller knows nothing
            raise OSError(error.errno, error.strerror, path) from None
        raise


def _beside(path: str) -> str:
    """How the temporary files begin that become the file at `path`: a name as short as that of any other."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{zlib.crc32(os.fsencode(name)):08x}.")


def remove_stale(path: str | os.PathLike[str]) -> None:
    """Remove what a process that was killed while it wrote to `path` has left beside it."""
    for stale in glob.glob(f"{glob.escape(_beside(os.path.realpath(path)))}{'[0-9a-f]' * 12}.tmp"):
        with suppress(OSError):
            os.unlink(stale)


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model that `save` has written.

    Parameters
    ----------
    path : path-like
        A safetensors file.

    Returns
    -------
    ElmanRNN or JordanRNN
        The network, with its `metadata`.

    Raises
    ------
    ValueError
        If the file is no model of this package, or is damaged: a truncated file, a missing tensor, a wrong shape or
        dtype, a configuration that makes no network. The message says what.
    OSError
        What the system says (no such file, no permission).
    """
    import json

    from safetensors import SafetensorError, deserialize

    with open(path, "rb") as file:
        data = file.read()
    try:
        tensors = dict(deserialize(data))  # type: ignore[no-untyped-call]
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, ValueError, RecursionError) as error:
        raise ValueError(f"{os.fspath(path)}: expected a safetensors file: {error}") from None
    try:
        return _network_from(tensors, header.get("__metadata__", {}))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None


def _network_from(tensors: dict[str, Any], metadata: dict[str, str]) -> RecurrentNetwork:
    import json

    from bptt.elman import ElmanRNN
    from bptt.jordan import JordanRNN

    networks: dict[str, type[ElmanRNN] | type[JordanRNN]] = {kind._KIND: kind for kind in (ElmanRNN, JordanRNN)}
    if f"{_KEY}.checkpoint" in metadata:
        raise ValueError("expected a model of bptt, got a checkpoint, from which `fit` goes on")
    if _KEY not in metadata:
        raise ValueError(f"expected a model of bptt, got a file without the metadata key {_KEY!r}")
    try:
        configuration = json.loads(metadata[_KEY])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"bad configuration: {error}") from None
    if not isinstance(configuration, dict):
        raise ValueError(f"bad configuration: expected an object, got {type(configuration).__name__}")
    name = configuration.pop("network", None)
    user_metadata = configuration.pop("metadata", {})
    if not isinstance(name, str) or name not in networks:
        raise ValueError(f"bad configuration: expected the network {' or '.join(map(repr, networks))}, got {name!r}")
    kind = networks[name]
    expected = {"n_in", "n_hidden", "n_out", "dtype", *kind._OPTIONS}
    if set(configuration) != expected:
        raise ValueError(f"bad configuration: expected the keys {sorted(expected)}, got {sorted(configuration)}")
    if not isinstance(user_metadata, dict):
        raise ValueError(f"bad configuration: expected an object as metadata, got {type(user_metadata).__name__}")
    shapes = kind.shapes(*(size(name, configuration[name], 0) for name in ("n_in", "n_hidden", "n_out")))
    if set(tensors) != set(LETTERS):
        raise ValueError(f"expected the tensors {', '.join(LETTERS)}, got {', '.join(sorted(tensors)) or 'none'}")
    for letter, shape in shapes.items():  # before memory is taken for what the configuration claims
        if tuple(tensors[letter]["shape"]) != shape:
            raise ValueError(f"{letter}: expected the shape {list(shape)}, got {list(tensors[letter]['shape'])}")
    try:
        network = kind(**configuration, init=None)
    except (TypeError, ValueError) as error:
        raise ValueError(f"bad configuration: {error}") from None
    code = {"float32": "F32", "float64": "F64"}[network.dtype.name]
    for letter in LETTERS:
        tensor = tensors[letter]
        if tensor["dtype"] != code:
            raise ValueError(f"{letter}: expected the dtype {code}, got {tensor['dtype']}")
        values = np.frombuffer(tensor["data"], network.dtype.newbyteorder("<"))
        setattr(network, letter, values.reshape(shapes[letter]))
    network.metadata = user_metadata
    return network
