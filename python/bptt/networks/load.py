"""Networks from their files."""

from __future__ import annotations

import os
import reprlib
from typing import Any

import numpy as np

from bptt._checks import a_path
from bptt.networks import model_file
from bptt.networks.elman import ElmanRNN
from bptt.networks.jordan import JordanRNN
from bptt.networks.parameters import Layout

_KINDS: dict[str, type[ElmanRNN] | type[JordanRNN]] = {kind.KIND: kind for kind in (ElmanRNN, JordanRNN)}
_MOST, _LONGEST = 16, 40  # names in a message, and characters of one


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
    TypeError
        If `path` is no path.
    """
    name = a_path("path", path)
    try:
        return _network(model_file.read(name))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from None


def _network(model: model_file.Model) -> ElmanRNN | JordanRNN:
    tensors = model.tensors
    if not isinstance(model.kind, str) or model.kind not in _KINDS:
        expected = " or ".join(map(repr, _KINDS))
        raise ValueError(f"bad configuration: expected the network {expected}, got {reprlib.repr(model.kind)}")
    kind = _KINDS[model.kind]
    unsaid = kind.LATER_KEYS if model.version == 1 else kind.LEFT_OUT
    configuration = {**unsaid, **model.configuration}
    constraints = configuration.pop("constraints", None)
    missing = [key for key in kind.KEYS if key not in configuration]
    unknown = sorted(key for key in configuration if key not in kind.KEYS)
    if missing or unknown:
        wrong = [f"{what}: {_listed(keys)}" for what, keys in (("missing", missing), ("unknown", unknown)) if keys]
        raise ValueError(f"bad configuration: {'; '.join(wrong)}")
    try:
        layout = Layout(kind.options_of(**configuration).core().layout)
    except (TypeError, ValueError) as error:
        raise ValueError(f"bad configuration: {error}") from None
    if set(tensors) != set(layout.shapes):
        raise ValueError(f"expected the tensors {_listed(list(layout.shapes))}, got {_listed(sorted(tensors))}")
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
    if constraints is not None:
        from bptt.constraints import plain

        try:
            network._hold(plain.read(constraints))
        except (TypeError, ValueError) as error:
            raise ValueError(f"bad configuration: {error}") from None
    return network


def _listed(names: list[str]) -> str:
    """Names in a message, not all of them where they are many or long."""
    shown = [name if len(name) <= _LONGEST else f"{name[:_LONGEST]}..." for name in names[:_MOST]]
    if len(names) > _MOST:
        shown.append(f"and {len(names) - _MOST} more")
    return ", ".join(shown) or "none"
