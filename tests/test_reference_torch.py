"""The pure Python chapter against PyTorch's nn.RNN and nn.functional, where PyTorch is installed; not the C++ core."""

from __future__ import annotations

import random
from typing import Any

import pytest

from bptt import reference
from bptt.reference import Stack
from pairs import pairwise
from reference_problems import (
    N_IN,
    N_OUT,
    OUTPUTS,
    READOUTS,
    flat,
    matrix,
    random_initial,
    random_layer,
    vector,
    words,
)

pytestmark = pytest.mark.torch
torch: Any = pytest.importorskip("torch")

N_HIDDEN = 4
# Sums of some tens of products of numbers of order 1 to 10, in float64, where the reference rounds once and PyTorch at
# every step; measured by the largest number of an array, or by 1 where that is less.
TOLERANCE = 1e-12


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # for small products its threads only wait


def tensor(nested: Any, *, gradient: bool = False) -> Any:
    return torch.tensor(nested, dtype=torch.float64, requires_grad=gradient)


def network_of(stack: Stack, activation: str) -> Any:
    """The nn.RNN of these layers. It adds two biases, of which the second stays 0."""
    bidirectional = stack.layers[0].reverse is not None
    theirs = torch.nn.RNN(
        N_IN,
        N_HIDDEN,
        len(stack.layers),
        nonlinearity=activation,
        bidirectional=bidirectional,
        dtype=torch.float64,
    )
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            parameter.copy_(tensor(ours(name, stack)) if "bias_hh" not in name else 0.0)
    return theirs


def ours(name: str, stack: Stack) -> Any:
    """What PyTorch calls weight_ih_l0, bias_ih_l1_reverse and the like."""
    kind, _, place = name.rpartition("_l")
    number, _, direction = place.partition("_")
    layer = stack.layers[int(number)]
    if direction == "reverse":
        assert layer.reverse is not None
        layer = layer.reverse
    return {"weight_ih": layer.U, "weight_hh": layer.W, "bias_ih": layer.b}[kind]


def in_their_order(initials: list[Any]) -> Any:
    """h0 of the sequences as ``[layers times directions, batch, n]``."""
    n = len(flat(initials[0])) // N_HIDDEN
    return tensor([flat(h0) for h0 in initials]).reshape(len(initials), n, N_HIDDEN).transpose(0, 1).contiguous()


def loss_of(o: Any, y: Any, weight: Any, output: str) -> Any:
    """The weighted sum over steps; without a target where the class is -1."""
    functional = torch.nn.functional
    if output == "softmax":
        losses = functional.cross_entropy(o, torch.tensor(y), reduction="none", ignore_index=-1)
    elif output == "sigmoid":
        losses = functional.binary_cross_entropy_with_logits(o, tensor(y), reduction="none").sum(-1)
    else:
        losses = functional.mse_loss(o, tensor(y), reduction="none").sum(-1) / 2
    return (losses * tensor(weight)).sum()


def assert_equal(found: Any, expected: Any, name: str) -> None:
    expected = expected.flatten().tolist()
    largest = max([1.0, *map(abs, expected)])
    assert flat(found) == pytest.approx(expected, rel=0.0, abs=TOLERANCE * largest), name


@pytest.mark.parametrize(
    "case",
    pairwise(
        {
            "layers": (1, 2, 3),
            "bidirectional": (False, True),
            "activation": ("tanh", "relu"),
            "lengths": ((6,), (5, 5, 5), (3, 7, 1, 7)),
            "output": OUTPUTS,
            "readout": READOUTS,
        }
    ),
    ids=words,
)
def test_results_are_those_of_pytorch(case: dict[str, Any]) -> None:
    rng = random.Random(str(case))
    activation, output, readout = case["activation"], case["output"], case["readout"]
    bidirectional, lengths, batch = case["bidirectional"], case["lengths"], len(case["lengths"])
    width = 2 * N_HIDDEN if bidirectional else N_HIDDEN
    layers = [random_layer(rng, width if k else N_IN, N_HIDDEN, N_HIDDEN, bidirectional) for k in range(case["layers"])]
    stack = Stack(layers, matrix(rng, N_OUT, width), vector(rng, N_OUT))
    xs = [matrix(rng, tau, N_IN) for tau in lengths]
    h0s = [random_initial(rng, [N_HIDDEN] * len(layers), bidirectional) for _ in lengths]
    counts = [1] * batch if readout == "last" else lengths
    ys: list[Any] = [
        [rng.randrange(-1, N_OUT) if output == "softmax" else [rng.random() for _ in range(N_OUT)] for _ in range(n)]
        for n in counts
    ]
    weights = [[rng.choice([0.0, 0.5, 1.0, 2.0]) for _ in range(n)] for n in counts]
    ys[0][0] = 1 if output == "softmax" else ys[0][0]
    weights[0][0] = 1.5

    theirs = network_of(stack, activation)
    x = [tensor(x_i, gradient=True) for x_i in xs]
    h0 = in_their_order(h0s).requires_grad_()
    V, c = tensor(stack.V, gradient=True), tensor(stack.c, gradient=True)
    packed, h_last = theirs(torch.nn.utils.rnn.pack_sequence(x, enforce_sorted=False), h0)
    h = torch.nn.utils.rnn.unpack_sequence(packed)
    top = h_last[-2:] if bidirectional else h_last[-1:]
    read = [top[:, i].reshape(1, width) for i in range(batch)] if readout == "last" else h
    o = [h_i @ V.T + c for h_i in read]
    loss = sum(loss_of(*sequence, output) for sequence in zip(o, ys, weights, strict=True))
    loss.backward()

    one = (lambda values: [v[0] for v in values]) if readout == "last" else list
    options: dict[str, Any] = {"output": output, "readout": readout, "activation": activation}
    found, gradients = reference.batch_loss_and_gradients(stack, xs, one(ys), h0s, one(weights), **options)
    runs = [reference.forward(stack, x_i, h0_i, **options) for x_i, h0_i in zip(xs, h0s, strict=True)]
    assert found == pytest.approx(loss.item(), rel=TOLERANCE)
    for i, run in enumerate(runs):
        assert_equal(run.h, h[i], f"h of sequence {i}")
        assert_equal(run.o, o[i], f"o of sequence {i}")
        assert_equal(in_their_order([run.h_last]).flatten().tolist(), h_last[:, i], f"h_last of sequence {i}")
        assert gradients.x is not None
        assert_equal(gradients.x[i], x[i].grad, f"x of sequence {i}")
    assert_equal(in_their_order(gradients.h0).flatten().tolist(), h0.grad, "h0")
    assert_equal(gradients.V, V.grad, "V")
    assert_equal(gradients.c, c.grad, "c")
    for name, parameter in theirs.named_parameters():
        if "bias_hh" not in name:
            assert parameter.grad.abs().max() > 1e-3, name  # there is something to compare
            assert_equal(ours(name, gradients), parameter.grad, name)
