"""The numbers of every network: against the reference, and against central differences."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

import bptt
from answers import answer
from cases import EVERY_STEP, FORCING, INPUTS, NETWORKS, OUTPUTS, READOUTS, SHAPES, cycled, make
from core import DTYPES, ISAS
from laws import check_central_differences
from pairs import Row, assert_every_pair, pairwise
from problems import Case, letters, smooth_problem
from results import assert_close, by_sequence, everything, same_bits, tolerances

# ---- The reference ----

ONE_LAYER = [
    {"input": input, **kind}
    for input, kind in itertools.product(
        INPUTS, ({"readout": "all"}, {"readout": "last"}, {"feedback": "y_hat"}, {"feedback": "o"})
    )
]
LAYERS: list[dict[str, Any]] = [
    {"upper": (6,)},
    {"upper": (9, 5)},
    {"bidirectional": True},
    {"upper": (6,), "bidirectional": True},
]
# Every shape with every kind of network, for which the ways through the core differ most; every shape and every kind
# with every value of all else; and those pairwise. `p` is the probability of teacher forcing; `of_layers` holds what
# several layers and directions read, and where they are read.
FACTORS: dict[str, list[Any]] = {
    "shape": SHAPES,
    "network": [*ONE_LAYER, *LAYERS],
    "p": [None, *FORCING],
    "of_layers": [
        {},
        *({"input": input, "readout": readout} for input, readout in itertools.product(INPUTS, READOUTS)),
    ],
    "output": [*OUTPUTS],
    "extras": [True, False],
    "reset": [False, True],
    "activation": ["tanh", "relu"],
    "leak": [1.0, 0.25, "mixed"],
}


def allowed(row: Row) -> bool:
    """Teacher forcing is of the output-recurrent networks, `of_layers` of those with layers, and tokens are some.

    Leaky units are of the others.
    """
    network = row.get("network")
    if row.get("leak", 1.0) != 1.0 and (row.get("p") is not None or "feedback" in (network or {})):
        return False
    if network is not None:
        if "p" in row and (row["p"] is not None) != ("feedback" in network):
            return False
        if "of_layers" in row and (row["of_layers"] != {}) != (network in LAYERS):
            return False
    if row.get("p") is not None and row.get("of_layers", {}) != {}:
        return False
    token = "token" in (of.get("input") for of in (network or {}, row.get("of_layers", {})))
    return not (token and "shape" in row and row["shape"][0] == 0)


ROWS = pairwise(FACTORS, allowed)


def case_of(row: Row) -> Case:
    options = {name: row[name] for name in ("output", "extras", "reset", "activation", "leak")}
    if row["p"] is not None:
        options["teacher_forcing"] = row["p"]
    n_in, n_hidden, n_out, lengths = row["shape"]
    return make(n_in, n_hidden, n_out, lengths, **row["network"], **row["of_layers"], **options)


LARGE = [
    # More tokens than steps, in several windows
    Case(600, 5, 3, (450,), "token"),
    Case(600, 5, 3, (450,), "token", readout="last"),
    Case(600, 5, 3, (450,), "token", feedback="y_hat", teacher_forcing=0.4, reset=True),
    # So large a recurrence and so few rows that threads share the columns of a step
    Case(3, 170, 5, (30,)),
    Case(9, 170, 3, (20, 2, 30), "token", "linear"),
    Case(3, (170, 60), 5, (20,), activation="relu"),
    Case(3, 170, 5, (9, 1, 5), "token", "linear", bidirectional=True),
    Case(3, 170, 40, (40,), feedback="y_hat", teacher_forcing=0.4),
    Case(9, 170, 40, (20, 2, 30), "token", "linear", feedback="o", reset=True, teacher_forcing=0.4),
    # Layers side by side, where there are fewer rows than threads and many steps
    Case(5, (40, 50), 3, (45,), reset=True),
    Case(5, (40, 35, 50), 4, (70,), "token", "linear", "last", activation="relu"),
    Case(3, (170, 60), 5, (20,), reset=True, leak="mixed"),
    Case(5, (40, 50), 3, (45,), reset=True, leak="mixed"),
    # Matrices that do not fit L2, whose products are cut into blocks of rows and columns
    Case(400, 370, 400, (1, 2)),
    Case(7, (150, 200), 5, (1, 2), "real", "sigmoid", "last", bidirectional=True),
    Case(400, 370, 400, (2, 1), feedback="y_hat", teacher_forcing=0.4),
    Case(7, 40, 3500, (2, 1), "token"),
    Case(7, 40, 3500, (2, 1, 2), "real", "sigmoid", "last"),
    Case(7, 40, 3500, (2, 1), "token", feedback="o", teacher_forcing=0.4),
    Case(7, 40, 3500, (2, 1), "real", "sigmoid", feedback="y_hat"),
    Case(3500, 17, 3, (2, *[1] * 8)),
    Case(3500, 40, 3, (2,) * 2, feedback="y_hat", teacher_forcing=0.4),
]


def test_every_pair_occurs() -> None:
    assert_every_pair(ROWS, FACTORS, allowed)
    assert len(ROWS) < 13 * len(SHAPES), "and little more"


@pytest.mark.parametrize("case", [*map(case_of, ROWS), *LARGE], ids=str)
def test_results_are_those_of_the_reference(case: Case, dtype: str, isa: str) -> None:
    p = smooth_problem(case)
    results = by_sequence(everything(p.network(dtype), p.arguments()), case.form, case)
    assert_close(results, answer(case).results, tolerances(dtype, layers=len(case.sizes)), answer(case).scales)


# ---- Central differences ----

LENGTHS = (3, 6, 1, 6, 2)


@cycled(options=NETWORKS, input=INPUTS, output=OUTPUTS, reset=[False, True], dtype=DTYPES, isa=ISAS)
def test_gradients_are_central_differences(
    options: dict[str, Any], input: str, output: str, reset: bool, dtype: str, isa: str
) -> None:
    p = smooth_problem(make(4, 11, 5, LENGTHS, input=input, output=output, reset=reset, **options))
    rnn = p.network(dtype)
    # A central difference with step 1e-5 is off by step^2 of the third derivative and by eps |L| / step: near 1e-10.
    found = bptt.gradcheck(rnn, **p.arguments(), tolerance=1e-8)
    assert list(found) == list(letters(rnn))
    assert same_bits(rnn.parameters, p.network(dtype).parameters), "the network is left as it is"


@cycled(options=NETWORKS, input=INPUTS, output=OUTPUTS, reset=[False, True], isa=ISAS)
def test_gradients_of_states_and_inputs_are_central_differences(
    options: dict[str, Any], input: str, output: str, reset: bool, isa: str
) -> None:
    p = smooth_problem(make(4, 11, 5, LENGTHS, input=input, output=output, reset=reset, **options))
    check_central_differences(p, [p.case.initial, *(["x"] if input == "real" else [])])


# ---- Tokens ----


# Fewer and more tokens than the steps of all sequences
@cycled(n_in=[3, 40], options=EVERY_STEP, lengths=[(4, 4, 4), (5, 1, 3), (9,)])
def test_a_token_is_a_one_hot_vector(
    n_in: int, options: dict[str, Any], lengths: tuple[int, ...], dtype: str, isa: str
) -> None:
    case = make(n_in, 19, 4, lengths, input="token", **options)
    tokens = smooth_problem(case)
    one_hot = dataclasses.replace(
        tokens, case=dataclasses.replace(case, input="real"), x=[np.eye(n_in)[x] for x in tokens.x]
    )
    by_token = by_sequence(everything(tokens.network(dtype), tokens.arguments()), case.form, case)
    by_vector = by_sequence(everything(one_hot.network(dtype), one_hot.arguments()), case.form, one_hot.case)
    assert by_token.pop("x") is None
    del by_vector["x"]
    assert_close(by_token, by_vector, tolerances(dtype))
    unused = np.setdiff1d(np.arange(n_in), np.concatenate(tokens.x))
    for name, values in by_token.items():
        if name in ("U", "U_reverse", "U1", "U1_reverse"):
            assert not values[:, unused].any()


@pytest.mark.parametrize("dtype_of_tokens", ["int8", "uint8", "int32", "uint64", "bool", ">i4"])
def test_tokens_and_classes_of_any_integer_dtype(dtype_of_tokens: str) -> None:
    rnn = bptt.ElmanRNN(2, 3, 2, input="token", seed=0)
    x = np.array([0, 1, 1, 0])
    converted = x.astype(dtype_of_tokens)
    assert same_bits(everything(rnn, {"x": converted, "y": converted}), everything(rnn, {"x": x, "y": x}))
