"""The network as an object: initial weights, parameters, copies, what it says of itself, and what importing costs."""

from __future__ import annotations

import copy
import importlib.metadata
import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import ElmanRNN, JordanRNN
from cases import NETWORKS, Options, each, make
from core import CORE_VERSION, ISAS, instruction_set
from interpreter import run_python
from problems import LETTERS, letters
from results import everything, same_bits

# ---- Initial weights ----


@pytest.mark.parametrize("n_hidden", [1, 2, 7, 64])
def test_orthogonal_weights(n_hidden: int, dtype: Any) -> None:
    rnn = ElmanRNN(9, n_hidden, 4, dtype=dtype, seed=0)
    W = rnn.W.astype(np.float64)
    # Each element of W is rounded to eps/2 of at most 1, and a product of two rows has n_hidden terms.
    assert np.abs(W @ W.T - np.eye(n_hidden)).max() <= math.sqrt(n_hidden) * 4 * np.finfo(dtype).eps
    assert not rnn.b.any()
    assert not rnn.c.any()
    for values, fan_in in [(rnn.U, 9), (rnn.V, n_hidden)]:
        bound = 1 / math.sqrt(fan_in)
        assert np.abs(values).max() <= bound * (1 + np.finfo(dtype).eps)
        assert len(np.unique(values)) == values.size


def test_orthogonal_weights_prefer_no_direction() -> None:
    # Uniform over orthogonal matrices: every element has mean 0 and variance 1/n. Without the signs of QR's diagonal,
    # the mean of W[0, 0] would be near -0.4 for n = 4. The mean of 400 draws deviates by 1 / (2 sqrt(400)).
    draws = np.array([ElmanRNN(1, 4, 1, dtype="float64", seed=seed).W for seed in range(400)])
    assert np.abs(draws.mean(axis=0)).max() < 4.5 / 20 / 2
    assert np.abs((draws**2).mean(axis=0) - 1 / 4).max() < 0.06
    assert 120 < (np.linalg.det(draws) > 0).sum() < 280  # rotations and reflections alike


def test_uniform_weights_fill_their_bounds() -> None:
    for init, input, letter, bound in [
        ("orthogonal", "real", "U", 1 / 3),
        ("orthogonal", "real", "V", 1 / 8),
        ("identity", "real", "U", 1 / 3),
        ("orthogonal", "token", "U", 1),  # one of a token's inputs is on
    ]:
        values = getattr(ElmanRNN(9, 64, 30, seed=1, init=init, input=input), letter)  # type: ignore[arg-type]
        assert 0.98 * bound < values.max() <= bound * 1.000001  # of 576 or more numbers, the largest is near the bound
        assert -0.98 * bound > values.min() >= -bound * 1.000001
    rnn = ElmanRNN(9, 64, 30, seed=1, init="uniform")
    for letter in LETTERS:
        values = getattr(rnn, letter)
        assert np.abs(values).max() <= 1.000001 / 8
        assert np.abs(values).max() > 0.9 / 8
        assert values.min() < 0 < values.max()


def test_identity_and_no_weights() -> None:
    rnn = ElmanRNN(3, 5, 2, seed=0, init="identity")
    assert rnn.W.tolist() == np.eye(5).tolist()
    assert rnn.U.any()
    assert not rnn.b.any()
    assert not ElmanRNN(3, 5, 2, seed=0, init=None).parameters.any()


WEIGHTS: list[tuple[Any, dict[str, Any]]] = [
    *((ElmanRNN, {"init": init}) for init in ("orthogonal", "uniform", "identity")),
    *((JordanRNN, {"init": init, "feedback": f}) for init in ("orthogonal", "uniform") for f in ("y_hat", "o")),
]


@pytest.mark.parametrize(("kind", "options"), WEIGHTS)
def test_weights_follow_the_seed(kind: Any, options: dict[str, Any]) -> None:
    def weights(seed: Any, dtype: Any = "float32") -> Any:
        return kind(3, 5, 2, seed=seed, dtype=dtype, **options).parameters

    assert same_bits(weights(7), weights(7))
    assert not same_bits(weights(7), weights(8))
    assert not same_bits(weights(None), weights(None))
    assert same_bits(weights(7, "float64").astype(np.float32), weights(7, "float32"))
    assert same_bits(weights(np.random.default_rng(7)), weights(7))
    generator = np.random.default_rng(7)
    assert not same_bits(weights(generator), weights(generator)), "a generator goes on"


def test_weights_leave_the_global_state_alone() -> None:
    np.random.seed(0)
    before = np.random.get_state()[1].tolist()  # type: ignore[index]
    for kind in (ElmanRNN, JordanRNN):
        kind(3, 3, 3, input="token")
        kind(3, 3, 3, seed=3)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]


# ---- Initial weights of the output-recurrent network ----


@pytest.mark.parametrize(("n_hidden", "n_out"), [(1, 1), (7, 3), (3, 7), (64, 64), (64, 20)])
@pytest.mark.parametrize(("output", "feedback"), [("softmax", "o"), ("sigmoid", "y_hat"), ("linear", "y_hat")])
def test_orthonormal_columns_or_rows(n_hidden: int, n_out: int, output: Any, feedback: Any, dtype: Any) -> None:
    rnn = JordanRNN(9, n_hidden, n_out, output=output, feedback=feedback, dtype=dtype, seed=0)
    W = rnn.W.astype(np.float64)
    products = W.T @ W if n_hidden >= n_out else W @ W.T
    bound = math.sqrt(max(n_hidden, n_out)) * 4 * np.finfo(dtype).eps  # as above
    assert np.abs(products - np.eye(min(n_hidden, n_out))).max() <= bound
    assert not rnn.b.any()
    assert not rnn.c.any()


def test_orthonormal_columns_prefer_no_direction() -> None:
    # As above; the mean square of an element is 1/n_hidden.
    draws = [JordanRNN(1, 4, 2, output="linear", dtype="float64", seed=seed).W for seed in range(400)]
    assert np.abs(np.mean(draws, axis=0)).max() < 4.5 / 20 / 2
    assert np.abs(np.mean(np.square(draws), axis=0) - 1 / 4).max() < 0.06


@pytest.mark.parametrize("input", ["real", "token"])
def test_the_columns_of_classes_are_those_of_tokens(input: Any) -> None:
    rnn = JordanRNN(9, 64, 30, input=input, seed=1)
    for values, bound in ((rnn.W, 1.0), (rnn.V, 1 / 8), (rnn.U, 1.0 if input == "token" else 1 / 3)):
        assert 0.98 * bound < values.max() <= bound * 1.000001
        assert -0.98 * bound > values.min() >= -bound * 1.000001
    rnn = JordanRNN(9, 64, 30, input=input, seed=1, init="uniform")
    assert all(0.9 / 8 < np.abs(getattr(rnn, letter)).max() <= 1.000001 / 8 for letter in LETTERS)
    assert not JordanRNN(9, 64, 30, input=input, init=None).parameters.any()


# ---- Parameters ----


def test_parameters_are_views_of_one_vector(dtype: Any) -> None:
    rnn = ElmanRNN(3, 5, 2, dtype=dtype, seed=0)
    in_order = [getattr(rnn, letter) for letter in LETTERS]
    assert [a.shape for a in in_order] == [(5, 3), (5, 5), (5,), (2, 5), (2,)]
    assert rnn.parameters.size == 5 * 3 + 5 * 5 + 5 + 2 * 5 + 2
    assert same_bits(np.concatenate([a.ravel() for a in in_order]), rnn.parameters)
    for a in (*in_order, rnn.parameters):
        assert a.flags.writeable
        assert a.flags.c_contiguous
        assert a.dtype == rnn.dtype == np.dtype(dtype)
    rnn.parameters[:] = np.arange(rnn.parameters.size)
    assert (rnn.W[0, 0], rnn.c[1]) == (15, 56)
    rnn.V[1, 4] = -1
    assert rnn.parameters[54] == -1


@pytest.mark.parametrize("n_hidden", range(5, 13))
def test_parameters_begin_at_a_cache_line(n_hidden: int, dtype: Any) -> None:
    rnn = ElmanRNN(3, n_hidden, 2, dtype=dtype, seed=0)
    for one in (rnn, copy.copy(rnn), pickle.loads(pickle.dumps(rnn))):
        assert one.parameters.ctypes.data % 64 == 0


def test_assigning_copies_in() -> None:
    rnn = ElmanRNN(3, 5, 2, seed=0)
    W, vector = rnn.W, rnn.parameters
    value = np.random.default_rng(0).standard_normal((5, 5))
    rnn.W = value
    assert rnn.W is W
    assert (value.astype(np.float32) == W).all()
    value[0, 0] = 99
    assert W[0, 0] != 99
    rnn.W = rnn.W.T  # reads what it writes
    assert (value.T.astype(np.float32)[1:, 1:] == W[1:, 1:]).all()
    rnn.b += 1.5
    assert (rnn.b == 1.5).all()
    rnn.c = [3, 4]
    assert vector[-2:].tolist() == [3, 4]
    rnn.parameters = np.zeros(vector.size)
    assert rnn.parameters is vector
    assert not W.any()


def test_a_changed_parameter_counts_at_once() -> None:
    rnn = ElmanRNN(3, 5, 2, seed=0)
    x = np.ones((4, 3), np.float32)
    before = rnn.forward(x).o
    rnn.V[...] = 0
    rnn.c = [1, 2]
    assert (rnn.forward(x).o == [1, 2]).all()
    assert not (before == [1, 2]).all()


# ---- Copies ----

COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda rnn: pickle.loads(pickle.dumps(rnn)),
    "old pickle": lambda rnn: pickle.loads(pickle.dumps(rnn, 2)),
}


@pytest.mark.parametrize("how", COPIES)
@each(NETWORKS)
def test_copies_are_equal_and_independent(how: str, options: Options, dtype: Any) -> None:
    rnn = make(3, 5, 2, (3,), input="token", output="sigmoid", **options).network(dtype, seed=0, init="uniform")
    rnn.metadata = {"name": "a", "list": [1]}
    other = COPIES[how](rnn)
    assert type(other) is type(rnn)
    assert repr(other) == repr(rnn)
    assert same_bits(other.parameters, rnn.parameters)
    assert other.metadata == rnn.metadata
    y = np.array([0.0, 1.0])
    arguments = {"x": np.array([0, 2, 1]), "y": y if options.get("readout") == "last" else np.tile(y, (3, 1))}
    assert same_bits(everything(other, arguments), everything(rnn, arguments))
    kept = rnn.parameters.copy()
    other.parameters += 1
    other.metadata["name"] = "b"
    if how != "copy":
        other.metadata["list"].append(2)
    assert same_bits(rnn.parameters, kept)
    assert rnn.metadata == {"name": "a", "list": [1]}


def test_deepcopy_keeps_what_is_shared() -> None:
    rnn = ElmanRNN(3, 5, 2, seed=0)
    twice = copy.deepcopy([rnn, rnn])
    assert twice[0] is twice[1]
    assert twice[0] is not rnn


# ---- What it says of itself ----


def test_repr() -> None:
    rnn = ElmanRNN(3, 5, 2, input="token", output="linear", readout="last", dtype="float64")
    assert repr(rnn).startswith("ElmanRNN(3, 5, 2, input='token', output='linear', readout='last', ")
    assert repr(rnn).endswith("dtype='float64')")
    text = repr(JordanRNN(3, 5, 2, output="sigmoid", feedback="o"))
    assert text.startswith("JordanRNN(3, 5, 2, input='real', output='sigmoid', feedback='o', ")


@each(NETWORKS)
def test_repr_makes_the_same_network(options: Options, dtype: str) -> None:
    rnn = make(3, 5, 2, (1,), input="token", output="linear", **options).network(dtype)
    again = eval(repr(rnn), {"ElmanRNN": ElmanRNN, "JordanRNN": JordanRNN})
    assert type(again) is type(rnn)
    assert repr(again) == repr(rnn)
    assert {name: a.shape for name, a in letters(again).items()} == {name: a.shape for name, a in letters(rnn).items()}
    assert again.dtype == rnn.dtype


READ_ONLY = ["n_in", "n_hidden", "n_out", "input", "output", "dtype"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((ElmanRNN, name) for name in [*READ_ONLY, "readout", "activation", "bidirectional"]),
        *((JordanRNN, name) for name in [*READ_ONLY, "feedback", "activation"]),
    ],
)
def test_what_the_core_was_built_for_is_read_only(kind: Any, name: str) -> None:
    rnn = kind(3, 5, 2)
    before = repr(rnn)
    with pytest.raises(AttributeError, match=name):
        setattr(rnn, name, getattr(rnn, name))
    assert repr(rnn) == before


def test_repr_of_results() -> None:
    rnn = ElmanRNN(1, 2, 2, init=None)
    x, y = np.ones((4, 1)), np.zeros(4, int)
    assert repr(rnn.forward(x)) == "Run(h [4, 2], o [4, 2], float32)"
    assert repr(rnn.forward([x, x[:1]])) == "Run(2 sequences of 1 to 4 steps)"
    gradients = rnn.loss_and_gradients(x, y)[1]
    assert repr(gradients) == "Gradients(U, W, b, V, c, h0: norm 2.82843)"  # 4 steps, each (-1/2, 1/2) for c
    assert repr(rnn.loss_and_gradients(x, y, wrt_x=True)[1]).startswith("Gradients(U, W, b, V, c, h0, x: norm ")
    jordan = JordanRNN(1, 2, 2, init=None)
    assert repr(jordan.forward(x)) == "Run(h [4, 2], o [4, 2], float32)"
    assert repr(jordan.loss_and_gradients(x, y)[1]) == "Gradients(U, W, b, V, c, r0: norm 2.82843)"
    for kind, rnn_of_kind in ((bptt.ElmanRun, rnn), (bptt.JordanRun, jordan)):
        assert type(rnn_of_kind.forward(x)) is kind
        assert issubclass(kind, bptt.Run)
    for kind_of_gradients, rnn_of_kind in ((bptt.ElmanGradients, rnn), (bptt.JordanGradients, jordan)):
        assert type(rnn_of_kind.loss_and_gradients(x, y)[1]) is kind_of_gradients
        assert issubclass(kind_of_gradients, bptt.Gradients)


def test_config() -> None:
    assert bptt.config() == {
        "version": bptt.__version__,
        "isa": bptt.config()["isa"],
        "isas": ISAS,
        "threads": bptt.get_num_threads(),
    }
    assert re.fullmatch(r"\d+\.\d+\.\d+", bptt.__version__)
    assert ISAS[-1] == run_python("import bptt; print(bptt.config()['isa'])").stdout.strip(), "the fastest by default"


def test_one_version() -> None:
    assert bptt.__version__ == CORE_VERSION == importlib.metadata.version("bptt")


# ---- The instruction set ----


@pytest.mark.parametrize("name", ISAS)
def test_instruction_set_from_the_environment(name: str) -> None:
    show = "import bptt; print(bptt.config()['isa'], bptt.config()['isas'])"
    assert run_python(show, BPTT_ISA=name).stdout == f"{name} {ISAS}\n"


@pytest.mark.parametrize("name", ["avx9000", "V3 ", "0"])
def test_unknown_instruction_set(name: str) -> None:
    message = f"BPTT_ISA: expected one of {', '.join(ISAS)} (what this machine runs), got '{name}'"
    done = run_python("import bptt", BPTT_ISA=name)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"ValueError: {message}"
    before = bptt.config()["isa"]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"), instruction_set(name):
        pass
    assert bptt.config()["isa"] == before


def test_instruction_sets_agree_but_are_not_the_same() -> None:
    if len(ISAS) == 1:
        pytest.skip("this machine runs one instruction set")
    x = np.random.default_rng(0).standard_normal((20, 64)).astype(np.float32)
    found = []
    for name in ISAS:
        with instruction_set(name):
            assert bptt.config()["isa"] == name
            found.append(ElmanRNN(64, 50, 3, seed=0).forward(x).h)
    assert not same_bits(found[0], found[-1]), "one of them has fused multiply-adds"
    for h in found[1:]:
        assert np.abs(h - found[0]).max() < 24 * np.finfo(np.float32).eps


# ---- Importing ----


def test_what_is_imported_late() -> None:
    code = "import bptt; print(bptt.reference.__name__, callable(bptt.gradcheck))"
    assert run_python(code).stdout.split() == ["bptt.reference", "True"]
    assert all(hasattr(bptt, name) for name in bptt.__all__)
    with pytest.raises(AttributeError, match=r"^module 'bptt' has no attribute 'nonsense'$"):
        _ = bptt.nonsense
