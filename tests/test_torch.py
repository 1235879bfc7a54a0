"""Networks drawn at random against PyTorch's nn.RNN and nn.Linear, in float64 through the public calls.

Leaky units, which it does not have, against a loop whose gradients are those of its autograd.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt import ElmanRNN
from cases import make
from core import ISAS, instruction_set
from problems import Array, Case, Problem, joined_state, letters, problem
from results import by_sequence, deviation, everything, named_state

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.torch

NETWORKS = 60


def drawn_case(seed: int) -> Case:
    random = np.random.default_rng([seed, 7])

    def one_of(*values: Any) -> Any:
        return values[int(random.integers(len(values)))]

    n_layers = one_of(1, 2, 3)
    n_in, n_out, *sizes = (int(n) for n in random.integers(1, 24, 2 + n_layers))
    batch, tau = int(random.integers(1, 9)), int(random.integers(1, 16))
    lengths = tuple(map(int, random.integers(1, tau + 1, batch))) if one_of(True, False) else (tau,) * batch
    return make(
        n_in,
        sizes[0],
        n_out,
        lengths,
        # nn.RNN has one size for all its layers
        upper=(sizes[0],) * (n_layers - 1),
        input=one_of("real", "token"),
        output=one_of("softmax", "sigmoid", "linear"),
        readout=one_of("all", "last"),
        extras=one_of(True, True, False),
        activation=one_of("tanh", "relu"),
        bidirectional=one_of(False, True),
        leak=one_of(1.0, 1.0, 0.25, "mixed"),
    )


def leaky(case: Case, places: dict[str, Any], xs: list[Any], initial: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """v(t) and h(t) of the top layer of each sequence, and the last v of each layer and direction."""
    several, directions = len(case.sizes) > 1, 2 if case.bidirectional else 1
    alphas = case.leaks if case.leak == "mixed" and several else [case.leaks] * len(case.sizes)
    f = torch.tanh if case.activation == "tanh" else torch.relu
    below, v_top = xs, []
    last: list[Any] = []
    for k in range(len(case.sizes)):
        alpha = torch.tensor(alphas[k], dtype=torch.float64)
        both_v: list[list[Any]] = [[] for _ in xs]
        both_h: list[list[Any]] = [[] for _ in xs]
        for d in range(directions):
            name = f"{k + 1 if several else ''}{'_reverse' if d else ''}"
            U, W, b = (places[letter + name] for letter in "UWb")
            ends = []
            for i, x in enumerate(below):
                v = initial[k * directions + d, i]
                v_of_steps = []
                for x_t in x.flip(0) if d else x:
                    v = (1 - alpha) * v + alpha * (b + W @ f(v) + U @ x_t)
                    v_of_steps.append(v)
                ends.append(v)
                in_time = torch.stack(v_of_steps)
                in_time = in_time.flip(0) if d else in_time
                both_v[i].append(in_time)
                both_h[i].append(f(in_time))
            last.append(torch.stack(ends))
        v_top = [torch.cat(parts, 1) for parts in both_v]
        below = [torch.cat(parts, 1) for parts in both_h]
    return v_top, below, last


def solve(p: Problem) -> dict[str, Any]:
    """PyTorch's results, under the names of `everything` and in the form of `by_sequence`."""
    case = p.case
    rnn = p.network("float64")
    theirs = torch.nn.RNN(
        case.n_in, case.sizes[0], len(case.sizes), nonlinearity=case.activation, bidirectional=case.bidirectional
    ).double()
    readout = torch.nn.Linear(rnn.V.shape[1], case.n_out).double()
    named = letters(rnn)
    places = {}  # of each of our names, the tensor that holds it
    for name in named:
        letter, _, reverse = name.partition("_")
        if letter[0] in "UWb":
            k, ending = int(letter[1:] or 1) - 1, "_reverse" if reverse else ""
            word = {"U": "weight_ih", "W": "weight_hh", "b": "bias_ih"}[letter[0]]
            places[name] = getattr(theirs, f"{word}_l{k}{ending}")
            if letter[0] == "b":
                getattr(theirs, f"bias_hh_l{k}{ending}").data.zero_()
        else:
            places[name] = readout.weight if letter == "V" else readout.bias
        places[name].data = torch.tensor(named[name])

    def tensor(array: Array) -> Any:
        return torch.tensor(np.array(array))

    xs = [tensor(np.eye(case.n_in)[x] if case.input == "token" else x).requires_grad_() for x in p.x]
    directions = 2 if case.bidirectional else 1
    initial = p.initial or [np.zeros((len(xs), n)) for n in case.sizes for _ in range(directions)]
    h0 = torch.stack([tensor(state) for state in initial]).requires_grad_()
    v: list[Any] = []
    if case.leak == 1.0:
        packed = torch.nn.utils.rnn.pack_sequence(xs, enforce_sorted=False)
        packed_h, last_states = theirs(packed, h0)
        h, _ = torch.nn.utils.rnn.pad_packed_sequence(packed_h)
        states = [h[:n, i] for i, n in enumerate(case.lengths)]
        h_last = [*last_states]
    else:
        v, states, last_states = leaky(case, places, xs, h0)
        h_last = [torch.tanh(one) if case.activation == "tanh" else torch.relu(one) for one in last_states]
    if case.readout == "all":
        o = [readout(state) for state in states]
    else:
        of_top = torch.cat(h_last[-directions:], dim=1)
        o = [readout(of_top[i : i + 1]) for i in range(len(xs))]
    unit = {"softmax": lambda a: torch.softmax(a, 1), "sigmoid": torch.sigmoid, "linear": lambda a: a}[case.output]

    total = torch.zeros((), dtype=torch.float64)
    for i, o_i in enumerate(o):
        y = np.atleast_1d(p.y[i]) if case.readout == "all" else p.y[i : i + 1]
        weight = np.ones(len(y)) if p.weight is None else np.atleast_1d(p.weight[i])
        counted = (weight != 0) & (y != -1) if case.output == "softmax" else weight != 0
        total = total + (tensor(weight[counted]) * loss_of_steps(case, o_i[counted], tensor(y[counted]))).sum()
    total.backward()

    def outputs(values: list[Any]) -> Any:
        arrays = [value.detach().numpy() for value in values]
        return arrays if case.readout == "all" else np.concatenate(arrays)

    last = named_state_of(case, "last", [one.detach().numpy() for one in last_states])
    of_leaky = {} if case.leak == 1.0 else {"v": [one.detach().numpy() for one in v]}
    return {
        "loss alone": total.item(),
        "loss": total.item(),
        **{name: place.grad.numpy() for name, place in places.items()},
        **named_state_of(case, case.of_each, [*h0.grad.numpy()]),
        "x": None if case.input == "token" else [x.grad.numpy() for x in xs],
        "h": [state.detach().numpy() for state in states],
        "o": outputs(o),
        "y_hat": outputs([unit(o_i) for o_i in o]),
        **of_leaky,
        **last,
        **{name.replace("last", "last of the gradients", 1): state for name, state in last.items()},
    }


def named_state_of(case: Case, name: str, states: list[Array]) -> dict[str, Array]:
    return named_state(case, name, joined_state(case, states))


def loss_of_steps(case: Case, o: Any, y: Any) -> Any:
    if case.output == "softmax":
        return torch.nn.functional.cross_entropy(o, y, reduction="none")
    if case.output == "sigmoid":
        return torch.nn.functional.binary_cross_entropy_with_logits(o, y, reduction="none").sum(1)
    return (o - y).square().sum(1) / 2


@pytest.mark.parametrize("seed", range(NETWORKS))
def test_results_are_those_of_pytorch(seed: int) -> None:
    """Loss, states, outputs and all gradients, to 1e-12 of each array's largest magnitude: the promise for float64."""
    p = problem(drawn_case(seed), seed=seed)
    with instruction_set(ISAS[seed % len(ISAS)]):
        found = by_sequence(everything(p.network("float64"), p.arguments("list")), "list", p.case)
    expected = solve(p)
    for name, value in expected.items():
        if value is None:
            assert found[name] is None, name
        else:
            assert deviation(found[name], value) <= 1e-12, (name, p.case)
    assert set(found) - set(expected) <= {f"{letter} of layer {k}" for letter in "hv" for k in range(3)}


def test_the_networks_drawn_are_of_every_kind() -> None:
    cases = [drawn_case(seed) for seed in range(NETWORKS)]
    for name in ("input", "output", "readout", "extras", "activation", "bidirectional", "leak"):
        assert len({getattr(case, name) for case in cases}) > 1, name
    assert {len(case.sizes) for case in cases} == {1, 2, 3}
    assert any(len(set(case.lengths)) > 1 for case in cases)


def gradients_of_pytorch(rnn: ElmanRNN, x: Array, y: Array) -> dict[str, Array]:
    """PyTorch's gradients of a network of one layer, in the dtype of x."""
    n_hidden, n_in = rnn.U.shape
    theirs, readout = torch.nn.RNN(n_in, n_hidden), torch.nn.Linear(n_hidden, rnn.n_out)
    places = {
        "U": theirs.weight_ih_l0,
        "W": theirs.weight_hh_l0,
        "b": theirs.bias_ih_l0,
        "V": readout.weight,
        "c": readout.bias,
    }
    theirs.bias_hh_l0.data.zero_()
    for name, place in places.items():
        place.data = torch.tensor(getattr(rnn, name))
    h, _ = theirs(torch.tensor(x))
    torch.nn.functional.cross_entropy(readout(h), torch.tensor(y), reduction="sum").backward()
    return {name: place.grad.numpy() for name, place in places.items()}


def test_long_gradients_in_float32_are_as_near_to_float64_as_pytorchs() -> None:
    """All of the gradient, and dL/dW and dL/dc, whose sums are long: medians of three networks, errors in norm.

    PyTorch adds up dL/dW step by step, so that its errors grow with tau: at this length they are three times as large.
    """
    tau, n_in, n_hidden, n_out = 3000, 16, 64, 16
    errors: dict[str, list[tuple[float, float]]] = {"W": [], "c": [], "all": []}
    for seed in range(3):
        random = np.random.default_rng(seed)
        x, y = random.standard_normal((tau, n_in), np.float32), random.integers(0, n_out, tau)
        rnn, exact = (ElmanRNN(n_in, n_hidden, n_out, dtype=dtype, seed=seed) for dtype in ("float32", "float64"))
        exact.parameters = rnn.parameters
        found = {
            "ours": letters(rnn.loss_and_gradients(x, y)[1]),
            "theirs": gradients_of_pytorch(rnn, x, y),
            "exact": letters(exact.loss_and_gradients(x, y)[1]),
        }
        for gradients in found.values():
            gradients["all"] = np.concatenate([gradients[name].ravel() for name in "UWbVc"])
        for name, pairs in errors.items():
            exactly = found["exact"][name]
            ours, theirs = (np.linalg.norm(found[who][name] - exactly) for who in ("ours", "theirs"))
            pairs.append((ours / np.linalg.norm(exactly), theirs / np.linalg.norm(exactly)))
    for name, pairs in errors.items():
        ours, theirs = np.median(pairs, axis=0)
        assert ours <= theirs, (name, ours, theirs)
