"""Which cases the tests go through: shapes, kinds of networks, and how options are spread over them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from bptt import reference
from pairs import Row, anything, pairwise
from problems import Case

INPUTS: tuple[reference.Input, ...] = ("real", "token")
OUTPUTS: tuple[reference.Output, ...] = ("softmax", "sigmoid", "linear")
READOUTS: tuple[reference.Readout, ...] = ("all", "last")
FEEDBACKS: tuple[reference.Feedback, ...] = ("y_hat", "o")
FORCING = (1.0, 0.0, 0.4)

# Sizes 1, odd, and a vector's width (2 to 16) or two of them, less one and plus one; batches around the heights of a
# tile, 6 and 8, and around twice that.
SHAPES: list[tuple[int, int, int, tuple[int, ...]]] = [
    (1, 1, 1, (1,)),
    (3, 7, 1, (1,)),
    (7, 3, 17, (1,)),
    (65, 17, 31, (1,)),
    (0, 5, 3, (4,)),
    (0, 3, 7, (3,) * 9),
    (1, 17, 7, (3,) * 5),
    (17, 31, 3, (5,) * 2),
    (31, 17, 33, (3,) * 3),
    (33, 65, 31, (2,) * 2),
    (65, 33, 65, (2,) * 3),
    (17, 65, 17, (4,)),
    (3, 9, 8, (4,) * 4),
    (3, 33, 7, (2,) * 5),
    (3, 31, 1, (2,) * 6),
    (7, 7, 3, (3,) * 7),
    (3, 17, 3, (3,) * 8),
    (7, 3, 7, (3,) * 9),
    (3, 3, 3, (2,) * 12),
    (1, 7, 7, (2,) * 13),
    (5, 1, 2, (2,) * 14),
    (3, 5, 5, (2,) * 15),
    (3, 7, 3, (2,) * 16),
    (7, 3, 3, (2,) * 17),
    # One to three rows take tiles of up to 7 vectors, and begin every other step with the last one
    (3, 129, 5, (3,)),
    (1, 115, 117, (3,) * 2),
    (3, 97, 5, (3,) * 3),
    # Several windows of some 400 rows
    (3, 7, 3, (450,)),
    (3, 7, 7, (60,) * 9),
    # Different lengths; where many end at once, in one window after another, and where a window begins with few rows
    (7, 3, 17, (1, 2)),
    (3, 7, 3, (4, 1, 7, 3, 7, 2)),
    (3, 3, 7, tuple(range(1, 20))),
    (5, 9, 3, (1,) * 8 + (5,)),
    (2, 5, 3, (120, 200, 30, 120, 1, 119)),
]

# ---- Kinds of networks: options of a case, of which `upper` are the sizes of the layers above the lowest ----

Options = Mapping[str, Any]

ELMAN: list[Options] = [{"readout": "all"}, {"readout": "last"}]
JORDAN: list[Options] = [
    {"feedback": feedback, "teacher_forcing": p} for feedback, p in itertools.product(FEEDBACKS, FORCING)
]
LAYERS: list[Options] = [
    {"activation": "relu"},
    {"upper": (6,)},
    {"upper": (9, 5), "activation": "relu"},
    {"bidirectional": True},
    {"bidirectional": True, "readout": "last", "activation": "relu"},
    {"upper": (6,), "bidirectional": True},
    {"upper": (9, 5), "bidirectional": True, "readout": "last"},
    {"feedback": "y_hat", "teacher_forcing": 0.4, "activation": "relu"},
    {"leak": "mixed"},
    {"leak": 0.25, "upper": (9, 5), "activation": "relu"},
    {"leak": "mixed", "upper": (6,), "bidirectional": True, "readout": "last"},
]
NETWORKS: list[Options] = [*ELMAN, *JORDAN, *LAYERS]
# Those that have an output at every step
EVERY_STEP: list[Options] = [options for options in NETWORKS if options.get("readout", "all") == "all"]
# Those that know nothing of what is to come
CAUSAL: list[Options] = [options for options in NETWORKS if not options.get("bidirectional", False)]


def make(n_in: int, n_hidden: int, n_out: int, lengths: tuple[int, ...], *, upper: Any = (), **options: Any) -> Case:
    """A case of these sizes, with layers above where there are some."""
    return Case(n_in, (n_hidden, *upper) if upper else n_hidden, n_out, lengths, **options)


def network_id(options: Options) -> str:
    words = [f"{'+'.join(map(str, value))}" if name == "upper" else str(value) for name, value in options.items()]
    return "-".join(word if word != "True" else "both" for word in words)


def each(options: Sequence[Options]) -> pytest.MarkDecorator:
    """The test's argument `options`: one kind of network after another."""
    return pytest.mark.parametrize("options", options, ids=network_id)


def cycled(allowed: Callable[[Row], bool] = anything, **factors: Sequence[Any]) -> pytest.MarkDecorator:
    """The test's arguments, cycled over each other so that every pair of values occurs."""
    rows = pairwise(factors, allowed)
    ids = ["-".join(map(value_id, row.values())) for row in rows]
    values = [tuple(row.values()) for row in rows]
    return pytest.mark.parametrize(list(factors), values, ids=ids, indirect=["isa"] if "isa" in factors else [])


def value_id(value: Any) -> str:
    if isinstance(value, Mapping):
        return network_id(value)
    return str(value).replace(" ", "")
