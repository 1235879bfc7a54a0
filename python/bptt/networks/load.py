"""Networks from their files."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from bptt.networks import model_file
from bptt.networks.elman import ElmanRNN
from bptt.networks.jordan import JordanRNN
from bptt.networks.parameters import Layout

_KINDS: dict[str, type[ElmanRNN] | type[JordanRNN]] = {kind.KIND: kind for kind in (ElmanRNN, JordanRNN)}


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
    try:
        return _network(model_file.read(path))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None


def _network(model: model_file.Model) -> ElmanRNN | JordanRNN:
    tensors = model.tensors
    if not isinstance(model.kind, str) or model.kind not in _KINDS:
        expected = " or ".join(map(repr, _KINDS))
        raise ValueError(f"bad configuration: expected the network {expected}, got {model.kind!r}")
    kind = _KINDS[model.kind]
    configuration = {**kind.LATER_KEYS, **model.configuration}
    if set(configuration) != set(kind.KEYS):
        raise ValueError(f"bad configuration: expected the keys {sorted(kind.KEYS)}, got {sorted(model.configuration)}")
    try:
        layout = Layout(kind.options_of(**configuration).core().layout)
    except (TypeError, ValueError) as error:
        raise ValueError(f"bad configuration: {error}") from None
    if set(tensors) != set(layout.shapes):
        raise ValueError(f"expected the tensors {', '.join(layout.shapes)}, got {', '.join(sorted(tensors)) or 'none'}")
    for name, shape in layout.shapes.items():  # before memory is taken for what the configuration claims
        if tuple(tensors[name]["shape"]) != shape:
            raise ValueError(f"{name}: expected the shape {list(shape)}, got {list(tensors[name]['shape'])}")
    network = kind(**configuration, init=None)
    code = {"float32": "F32", "float64": "F64"}[network.dtype.name]
    for name, view in network.by_name().items():
        if tensors[name]["dtype"] != code:
            raise ValueError(f"{name}: expected the dtype {code}, got {tensors[name]['dtype']}")
        values = np.frombuffer(tensors[name]["data"], network.dtype.newbyteorder("<"))
        view[...] = values.reshape(view.shape)
    network.metadata = model.metadata
    return network
