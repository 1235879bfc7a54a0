"""Constraints as JSON has them, in files and checkpoints."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any

import numpy as np

from bptt._arrays import Array
from bptt._checks import shown, size
from bptt.constraints.kinds import Constraint, dale, frozen, mask, max_norm, no_self_connections, signs

_MAKE: dict[str, Any] = {make.__name__: make for make in (dale, frozen, mask, max_norm, no_self_connections, signs)}


def told(constraints: tuple[Constraint, ...]) -> list[dict[str, Any]]:
    """What makes constraints equal to these."""
    return [{"constraint": one.NAME, **{k: _plain(v) for k, v in one._arguments().items()}} for one in constraints]


def read(value: Any) -> tuple[Constraint, ...]:
    """Constraints from what `told` has told, or TypeError or ValueError."""
    if not isinstance(value, list):
        raise ValueError(f"constraints: expected a list, got {shown(value)}")
    return tuple(_constraint(f"constraints[{i}]", one) for i, one in enumerate(value))


def _constraint(name: str, value: Any) -> Constraint:
    if not isinstance(value, dict) or not isinstance(value.get("constraint"), str) or value["constraint"] not in _MAKE:
        raise ValueError(f"{name}: expected one of {', '.join(_MAKE)}, got {shown(value)}")
    given = {key: _array(f"{name}: {key}", v) if isinstance(v, dict) else v for key, v in value.items()}
    make = _MAKE[value["constraint"]]
    del given["constraint"]
    try:
        made: Constraint = make(**given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from None
    return made


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype == np.bool_:
            return {"shape": list(value.shape), "bits": base64.b64encode(np.packbits(value).tobytes()).decode()}
        return {"shape": list(value.shape), "signs": "".join("-0+"[1 + sign] for sign in value.ravel().tolist())}
    return list(value) if isinstance(value, tuple) else value


def _array(name: str, value: dict[str, Any]) -> Array:
    """An array from what `_plain` has told of it."""
    if set(value) not in ({"shape", "bits"}, {"shape", "signs"}) or not isinstance(value["shape"], list):
        raise ValueError(f"{name}: expected a shape with bits or signs, got {shown(value)}")
    shape = tuple(size(f"{name}: shape", n, 0) for n in value["shape"])
    count = math.prod(shape)
    text = value.get("bits", value.get("signs"))
    if not isinstance(text, str):
        raise ValueError(f"{name}: expected a text, got {shown(text)}")
    if "signs" in value:
        if len(text) != count or set(text) - set("-0+"):
            raise ValueError(f"{name}: expected {count} signs, got {shown(text)}")
        return np.array(["-0+".index(sign) - 1 for sign in text], np.int8).reshape(shape)
    try:
        packed = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    except (binascii.Error, ValueError):
        raise ValueError(f"{name}: expected bits in base 64, got {shown(text)}") from None
    if packed.size != (count + 7) // 8:
        raise ValueError(f"{name}: expected {count} bits, got {8 * packed.size}")
    return np.unpackbits(packed, count=count).astype(bool).reshape(shape)
