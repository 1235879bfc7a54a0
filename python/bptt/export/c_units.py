"""The units of what a network reads and puts out, as tables and functions of C. Knows no files."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from bptt._checks import shown
from bptt.export import c_functions as c
from bptt.export.c_numbers import DOUBLE, text_literal
from bptt.networks.base import RecurrentNetwork

_NUMBERS = ("input_mean", "input_scale", "target_mean", "target_scale")


class Units(NamedTuple):
    """Columns of a table: a network reads ``(x - mean) / scale`` of them, and puts out ``(y - mean) / scale``."""

    inputs: list[str]
    targets: list[str]
    input_mean: list[float]
    input_scale: list[float]
    target_mean: list[float]
    target_scale: list[float]
    differences: bool  # whether x and y are differences between rows

    @classmethod
    def of(cls, columns: Mapping[str, Any], rnn: RecurrentNetwork) -> Units:
        """Check what a user gives, which is for that network."""
        if not isinstance(columns, Mapping):
            raise TypeError(f"columns: expected a mapping, got {type(columns).__name__}")
        if rnn.input != "real" or rnn.output != "linear":
            raise ValueError(
                "columns: expected None, as only a network with input='real' and output='linear' has units, "
                f"got input={rnn.input!r} and output={rnn.output!r}"
            )
        found: dict[str, Any] = {}
        for key in ("inputs", "targets", *_NUMBERS):
            n = rnn.n_in if key.startswith("input") else rnn.n_out
            if key not in columns:
                raise ValueError(f"columns: expected the key {key!r}, got {', '.join(map(repr, columns)) or 'none'}")
            found[key] = (_numbers if key in _NUMBERS else _names)(f"columns[{key!r}]", columns[key], n)
        for key in ("input_scale", "target_scale"):
            if not all(scale > 0 for scale in found[key]):
                raise ValueError(f"columns[{key!r}]: expected positive numbers, got {shown(found[key])}")
        differences = columns.get("differences", False)
        if not isinstance(differences, bool):
            raise TypeError(f"columns['differences']: expected True or False, got {shown(differences)}")
        return cls(**found, differences=differences)

    @property
    def bytes(self) -> int:
        """Bytes of the tables of numbers."""
        return 2 * DOUBLE.bytes * (len(self.inputs) + len(self.targets))

    def tables(self, prefix: str) -> str:
        """Return the names and numbers of the columns."""
        parts = ["/* ---- Units: the network reads (x - mean) / scale, and puts out (y - mean) / scale ---- */\n"]
        for kind, names, mean, scale in (
            ("input", self.inputs, self.input_mean, self.input_scale),
            ("target", self.targets, self.target_mean, self.target_scale),
        ):
            if not names:
                continue
            texts = ",\n".join(f"  {text_literal(name)}" for name in names)
            parts.append(f"static const char *const {prefix}_{kind}_names[{len(names)}] = {{\n{texts}\n}};\n")
            for what, numbers in (("mean", mean), ("scale", scale)):
                lines = DOUBLE.table(np.array(numbers))
                parts.append(f"static const double {prefix}_{kind}_{what}[{len(names)}] = {{\n{lines}\n}};\n")
        return "\n".join(parts)

    def functions(self, filled: Callable[..., str], sees_targets: bool) -> str:
        """Return the functions, with the network's words put in by `filled`."""
        differences = self.differences
        before = " const double *before," if differences else ""
        inputs = "the inputs of a row and of the row before it (none before\n   the first: NULL)"
        targets = "the targets of a row and of the row before it"
        words = {
            "INPUTS": inputs if differences else "the inputs of a row",
            "TARGETS": targets if differences else "targets",
            "BEFORE": before,
            "PRESENT": " const double *present," if differences else "",
            "HOW": "\n   It predicts differences to the present row's targets." if differences else "",
            "IN_VALUE": "(before ? raw[j] - before[j] : PREFIX_input_mean[j])" if differences else "raw[j]",
            "SEEN_VALUE": "(raw[j] - before[j])" if differences else "raw[j]",
            "OUT_VALUE": ("present[j] + " if differences else "")
            + "((double)o[j] * PREFIX_target_scale[j] + PREFIX_target_mean[j])",
        }
        texts = [c.UNSTANDARDISE]
        if self.inputs:
            texts.insert(0, c.STANDARDISE)
        if sees_targets:
            texts.append(c.STANDARDISE_TARGETS)
        return "\n".join(filled(text, **words) for text in texts)


def _names(key: str, names: Any, n: int) -> list[str]:
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{key}: expected a list of {n} str, got {shown(names)}")
    if len(names) != n:
        raise ValueError(f"{key}: expected {n} names, got {len(names)}")
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{key}: expected names that UTF-8 has, got {name!a}") from None
    return list(names)


def _numbers(key: str, numbers: Any, n: int) -> list[float]:
    try:
        found = [float(number) for number in numbers]
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{key}: expected a list of {n} numbers, got {shown(numbers)}") from None
    if len(found) != n:
        raise ValueError(f"{key}: expected {n} numbers, got {len(found)}")
    if not all(map(math.isfinite, found)):
        raise ValueError(f"{key}: expected finite numbers, got {shown(found)}")
    return found
