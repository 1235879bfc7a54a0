"""`bptt.torch`: its RNN beside `torch.nn.RNN`, and networks to and fro."""

from __future__ import annotations

import copy
import io
import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpreter import run_python
from refusals import refuses

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import bptt.torch  # noqa: E402  (which needs it)

pytestmark = pytest.mark.torch

TAU, BATCH, N_IN, N = 9, 4, 3, 6
FORMS = ("batch", "single", "packed", "packed evenly", "packed in order", "expanded", "strided")
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5}  # of each array's largest magnitude
PAGE = Path(__file__).parent.parent / "docs" / "pytorch.md"


def pair(*sizes: Any, **options: Any) -> tuple[Any, Any]:
    """Ours and theirs, each made after the same seed."""
    modules = []
    for kind in (bptt.torch.RNN, torch.nn.RNN):
        torch.manual_seed(1)
        modules.append(kind(*sizes, **options))
    return modules[0], modules[1]


def draw(*shape: int, dtype: Any = torch.float64) -> Any:
    return torch.from_numpy(np.random.default_rng([7, *shape]).standard_normal(shape)).to(dtype)


def leaf(tensor: Any) -> Any:
    return tensor.detach().clone().requires_grad_()


def call(module: Any, x: Any, hx: Any, form: str) -> tuple[Any, Any]:
    """The results of a module for sequences `x`, ``[tau, batch, n]``, in this form: the packed data of packed ones."""
    if form.startswith("packed"):
        lengths = {"packed": [3, 9, 5, 9], "packed in order": [9, 7, 7, 1], "packed evenly": [9] * 4}[form]
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=form == "packed in order")
        output, h_n = module(packed, hx)
        for ours, theirs in zip(output[1:], packed[1:], strict=True):  # batch_sizes, orders
            assert ours is theirs or torch.equal(ours, theirs)
        return output.data, h_n
    if form == "single":
        return module(x[:, 0], None if hx is None else hx[:, 0])  # type: ignore[no-any-return]
    if form == "expanded":
        x = x[:, :1].expand(TAU, BATCH, N_IN)
    if form == "strided":
        x = torch.stack([x, x], dim=-1)[..., 1]
    output, h_n = module(x.transpose(0, 1) if module.batch_first else x, hx)
    return output.transpose(0, 1) if module.batch_first else output, h_n


def everything(module: Any, x: Any, hx: Any, form: str) -> dict[str, Any]:
    """The results, and the gradients of a loss that reads both of them."""
    x, hx = leaf(x), None if hx is None else leaf(hx)
    output, h_n = call(module, x, hx, form)
    loss = (output * draw(*output.shape, dtype=output.dtype)).sum() + (h_n * draw(*h_n.shape, dtype=h_n.dtype)).sum()
    loss.backward()
    found = {"output": output, "h_n": h_n, "x": x.grad, "hx": None if hx is None else hx.grad}
    return found | {name: parameter.grad for name, parameter in module.named_parameters()}


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        found = ours[name]
        if expected is None:
            assert found is None, name
            continue
        assert found.shape == expected.shape, name
        assert found.dtype == expected.dtype, name
        error = (found - expected).abs().max() / expected.abs().max()
        assert error <= TOLERANCE[expected.dtype], (name, float(error))


KINDS = list(itertools.product((1, 3), (False, True), ("tanh", "relu"), (True, False), (False, True)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("layers", "both", "nonlinearity", "bias", "batch_first"), KINDS)
def test_results_and_gradients_are_those_of_nn_rnn(
    layers: int, both: bool, nonlinearity: str, bias: bool, batch_first: bool, form: str
) -> None:
    options = {"nonlinearity": nonlinearity, "bias": bias, "batch_first": batch_first and not form.startswith("packed")}
    for dtype, has_hx in itertools.product(TOLERANCE, (True, False)):
        ours, theirs = pair(N_IN, N, layers, bidirectional=both, dtype=dtype, **options)
        x, hx = draw(TAU, BATCH, N_IN, dtype=dtype), draw(layers * (1 + both), BATCH, N, dtype=dtype)
        compare(*(everything(module, x, hx if has_hx else None, form) for module in (ours, theirs)))


@pytest.mark.parametrize("which", ["output", "h_n"])
@pytest.mark.parametrize("form", ["batch", "packed"])
def test_a_loss_may_read_one_of_the_results(which: str, form: str) -> None:
    found = []
    for module in pair(N_IN, N, 2, bidirectional=True, dtype=torch.float64):
        x = leaf(draw(TAU, BATCH, N_IN))
        output, h_n = call(module, x, None, form)
        (output if which == "output" else h_n).square().sum().backward()
        found.append({"x": x.grad, **{name: p.grad for name, p in module.named_parameters()}})
    if which == "h_n":
        assert found[0]["weight_ih_l1"] is not None
    compare(*found)


@pytest.mark.parametrize(("layers", "both", "form"), [(1, False, "single"), (2, True, "batch"), (2, True, "packed")])
def test_gradcheck(layers: int, both: bool, form: str) -> None:
    ours, _ = pair(N_IN, 2, layers, bidirectional=both, dtype=torch.float64)
    names = [name for name, _ in ours.named_parameters()]

    def of(x: Any, hx: Any, *weights: Any) -> Any:
        def module(*arguments: Any) -> Any:
            return torch.func.functional_call(ours, dict(zip(names, weights, strict=True)), arguments)

        module.batch_first = False  # type: ignore[attr-defined]
        return call(module, x, hx, form)

    x, hx = leaf(draw(TAU, BATCH, N_IN)), leaf(draw(layers * (1 + both), BATCH, 2))
    assert torch.autograd.gradcheck(of, (x, hx, *(leaf(p) for p in ours.parameters())))


def test_it_is_the_same_module() -> None:
    for options in ({}, {"num_layers": 2, "bidirectional": True}, {"bias": False, "nonlinearity": "relu"}):
        ours, theirs = pair(N_IN, N, **options)
        assert isinstance(ours, torch.nn.RNN)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(mine, its), "the same draws"
        assert repr(ours) == repr(theirs)
    torch.manual_seed(3)
    other = bptt.torch.RNN(N_IN, N, bias=False, nonlinearity="relu")
    other.load_state_dict(theirs.state_dict())
    assert torch.equal(other.weight_hh_l0, theirs.weight_hh_l0)
    theirs.load_state_dict(other.state_dict())


def results_of(module: Any) -> Any:
    with torch.no_grad():
        return module(draw(TAU, BATCH, N_IN).to(module.weight_ih_l0.dtype))[0]


def test_copies_and_files() -> None:
    ours, _ = pair(N_IN, N, 2)
    ours(draw(TAU, BATCH, N_IN).float())[0].sum().backward()
    buffer = io.BytesIO()
    torch.save(ours, buffer)
    buffer.seek(0)
    for other in (copy.deepcopy(ours), torch.load(buffer, weights_only=False)):
        assert torch.equal(results_of(other), results_of(ours))
        with torch.no_grad():
            other.weight_hh_l0.zero_()
        assert not torch.equal(results_of(other), results_of(ours))


def test_parameters_may_be_replaced() -> None:
    """Each call reads the weights that there are: another dtype, other tensors, or ones that are computed."""
    ours, theirs = pair(N_IN, N)
    for change in (
        lambda module: module.double(),
        lambda module: setattr(module, "weight_hh_l0", torch.nn.Parameter(draw(N, N))),
        lambda module: torch.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0"),
        lambda module: module.get_parameter("weight_ih_l0").data.t().t().mul_(2),
    ):
        change(ours)
        change(theirs)
        assert (results_of(ours) - results_of(theirs)).abs().max() < 1e-6


def train(rnn: Any, x: Any, y: Any, updates: int = 30) -> list[float]:
    torch.manual_seed(2)
    readout = torch.nn.Linear(N, 2, dtype=x.dtype)
    parameters = [*rnn.parameters(), *readout.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    losses = []
    for _ in range(updates):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(readout(rnn(x)[0]), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 0.5)  # in place, once for each tensor
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_a_training_is_that_of_nn_rnn() -> None:
    """Adam divides by the size of a gradient, which makes much of the rounding of small ones: 1e-8 of the loss."""
    x, y = draw(TAU, BATCH, N_IN), draw(TAU, BATCH, 2)
    ours, theirs = (train(module, x, y) for module in pair(N_IN, N, 2, dtype=torch.float64))
    assert ours[-1] < 0.95 * ours[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)


def test_gradients_of_the_two_biases_are_apart() -> None:
    ours, _ = pair(N_IN, N)
    ours(draw(TAU, BATCH, N_IN).float())[0].sum().backward()
    before = ours.bias_hh_l0.grad.clone()
    ours.bias_ih_l0.grad.zero_()
    assert torch.equal(ours.bias_hh_l0.grad, before)


def test_gradients_that_come_in_are_left_as_they_are() -> None:
    ours, _ = pair(N_IN, N, dtype=torch.float64)
    results = ours(draw(TAU, BATCH, N_IN))
    given = [draw(*result.shape) for result in results]
    torch.autograd.backward(results, [gradient.clone() for gradient in given])
    before = ours.weight_hh_l0.grad.clone()
    ours.zero_grad()
    torch.autograd.backward(ours(draw(TAU, BATCH, N_IN)), given)
    assert torch.equal(ours.weight_hh_l0.grad, before)
    for result, gradient in zip(results, given, strict=True):
        assert torch.equal(gradient, draw(*result.shape))


def test_only_what_needs_a_gradient_gets_one() -> None:
    ours, _ = pair(N_IN, N, 2, dtype=torch.float64)
    x = draw(TAU, BATCH, N_IN)
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            assert not ours(x)[0].requires_grad
    ours.requires_grad_(False)
    assert not ours(x)[0].requires_grad
    ours.weight_hh_l0.requires_grad_()
    ours(x)[0].sum().backward()
    assert [name for name, p in ours.named_parameters() if p.grad is not None] == ["weight_hh_l0"]


def test_tensors_are_read_in_place_and_overwriting_them_is_an_error() -> None:
    ours, _ = pair(N_IN, N)
    for which in ("x", "output"):
        x = draw(TAU, BATCH, N_IN).float()
        output, _ = ours(x)
        loss = output.sum()
        (x if which == "x" else output).detach().mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()
    output, _ = ours(x)
    loss = output.sum()
    with torch.no_grad():
        for weight in ours.parameters():
            expected = weight.detach().clone()
            weight.mul_(2)
            assert not torch.equal(weight, expected)
    loss.backward()  # the weights were copied


def test_second_derivatives_are_an_error_where_they_are_used() -> None:
    ours, theirs = pair(N_IN, N, dtype=torch.float64)
    for module in (ours, theirs):
        x = leaf(draw(TAU, BATCH, N_IN))
        (gradient,) = torch.autograd.grad(module(x)[0].square().sum(), x, create_graph=True)
        if module is theirs:
            gradient.square().sum().backward()
            break
        expected = gradient.detach()
        with pytest.raises(RuntimeError, match=r"bptt\.torch\.RNN: expected one way back, got a second one"):
            gradient.square().sum().backward()
    assert (gradient - expected).abs().max() < 1e-12


def test_graphs_are_freed_or_kept_as_told() -> None:
    ours, _ = pair(N_IN, N)
    loss = ours(draw(TAU, BATCH, N_IN).float())[0].sum()
    loss.backward(retain_graph=True)
    once = ours.weight_hh_l0.grad.clone()
    loss.backward()
    assert torch.equal(ours.weight_hh_l0.grad, 2 * once)
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward()


def test_no_sequences_are_as_in_pytorch() -> None:
    for module in pair(N_IN, N, 2):
        output, h_n = module(torch.zeros(TAU, 0, N_IN))
        assert (output.shape, h_n.shape) == ((TAU, 0, N), (2, 0, N))
        with pytest.raises(RuntimeError, match="sequence length to be larger than 0"):
            module(torch.zeros(0, BATCH, N_IN))


def test_refusals() -> None:
    ours, _ = pair(N_IN, N, 2)
    x, hx = torch.zeros(TAU, BATCH, N_IN), torch.zeros(2, BATCH, N)
    refuses(
        lambda: bptt.torch.RNN(3, 4, 2, dropout=0.5),
        ValueError,
        "dropout: expected 0, as there is no other here, got 0.5",
    )
    with pytest.raises(TypeError, match="proj_size"):
        bptt.torch.RNN(3, 4, proj_size=2)  # type: ignore[call-arg]
    refuses(lambda: ours(x.numpy()), TypeError, "input: expected a tensor, got ndarray")
    refuses(lambda: ours(x[0, 0]), ValueError, "input: expected [tau, batch, 3] or [tau, 3], got (3,)")
    refuses(lambda: ours(x[..., :2]), RuntimeError, "input: expected 3 in its last axis, input_size, got (9, 4, 2)")
    double = "expected torch.float32, as the weights are, got torch.float64"
    refuses(lambda: ours(x.double()), ValueError, f"input: {double}")
    refuses(lambda: ours(x, hx.double()), ValueError, f"hx: {double}")
    refuses(lambda: ours(x, hx[:1]), RuntimeError, "hx: expected [2, 4, 6], got (1, 4, 6)")
    refuses(lambda: ours(x[:, 0], hx), RuntimeError, "hx: expected [2, 6], got (2, 4, 6)")
    refuses(lambda: ours(x.to("meta")), ValueError, "input: expected the CPU, got meta")
    meta = bptt.torch.RNN(N_IN, N, device="meta")
    refuses(lambda: meta(x), ValueError, "weight_ih_l0: expected the CPU, got meta")
    half = bptt.torch.RNN(N_IN, N, dtype=torch.float16)
    message = "weight_ih_l0: expected torch.float32 or torch.float64, got torch.float16"
    refuses(lambda: half(x.half()), ValueError, message)
    packed = torch.nn.utils.rnn.pack_sequence([torch.zeros(4, 2)])
    refuses(lambda: ours(packed), RuntimeError, "input.data: expected [steps, 3], got (4, 2)")
    ours.dropout = 0.1
    refuses(lambda: ours(x), ValueError, "dropout: expected 0, as there is no other here, got 0.1")


# ---- Networks to and fro ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(("layers", "activation"), [(1, "tanh"), (3, "relu")])
def test_a_round_trip_is_the_same_network(layers: int, activation: Any, both: bool, dtype: str) -> None:
    rnn = bptt.ElmanRNN(
        N_IN, (N,) * layers, 2, activation=activation, bidirectional=both, dtype=dtype, seed=0, init="uniform"
    )
    module, readout = bptt.torch.to_torch(rnn)
    assert type(module) is torch.nn.RNN
    for pair in ((module, readout), (module.state_dict(), readout.state_dict())):
        back = bptt.torch.from_torch(*pair, nonlinearity=activation)
        assert back.configuration() == rnn.configuration()
        assert back.parameters.tobytes() == rnn.parameters.tobytes()
    x = draw(TAU, BATCH, N_IN, dtype=module.weight_ih_l0.dtype)
    run = rnn.forward(x.numpy())
    with torch.no_grad():
        o = readout(module(x)[0]).numpy()
    assert np.abs(o - run.o).max() <= TOLERANCE[x.dtype] * np.abs(run.o).max()
    ours = bptt.torch.RNN(N_IN, N, layers, activation, bidirectional=both, dtype=x.dtype)
    ours.load_state_dict(module.state_dict())
    assert results_of(ours).numpy().tobytes() == rnn.forward(draw(TAU, BATCH, N_IN).to(x.dtype).numpy()).h.tobytes()


def test_a_network_of_pytorch_has_its_outputs() -> None:
    x = draw(TAU, BATCH, N_IN)
    for bias, steps in itertools.product((True, False), ("all", "last")):
        module = torch.nn.RNN(N_IN, N, 2, bias=bias, bidirectional=True, dtype=torch.float64, dropout=0.5).eval()
        readout = torch.nn.Linear(2 * N, 5, bias=bias, dtype=torch.float64)
        rnn = bptt.torch.from_torch(module, readout, output="linear", steps=steps)  # type: ignore[arg-type]
        with torch.no_grad():
            output, h_n = module(x)
            o = readout(output if steps == "all" else torch.cat([h_n[-2], h_n[-1]], dim=1))
        assert np.abs(rnn.forward(x.numpy()).o - o.numpy()).max() < 1e-13
        assert (rnn.output, rnn.readout) == ("linear", steps)


def test_one_hot_vectors_become_tokens() -> None:
    module, readout = torch.nn.RNN(5, N), torch.nn.Linear(N, 5)
    tokens = np.random.default_rng(0).integers(0, 5, (TAU, BATCH))
    rnn = bptt.torch.from_torch(module, readout, input="token")
    with torch.no_grad():
        o = readout(module(torch.eye(5)[torch.from_numpy(tokens)])[0])
    assert np.abs(rnn.forward(tokens).o - o.numpy()).max() < 1e-6


def test_refusals_of_an_exchange() -> None:
    from_torch, to_torch = bptt.torch.from_torch, bptt.torch.to_torch
    jordan: Any = bptt.JordanRNN(3, 4, 2)
    module, readout = torch.nn.RNN(N_IN, N), torch.nn.Linear(N, 2)
    weights, linear = module.state_dict(), readout.state_dict()
    names = list(weights)
    missing: Any = {key: weights[key] for key in names if key != "bias_hh_l0"}
    for call, kind, message in (
        (
            lambda: from_torch(torch.nn.LSTM(3, 6), readout),
            TypeError,
            "rnn: expected a torch.nn.RNN or its state_dict, got LSTM",
        ),
        (
            lambda: from_torch(module, None),
            TypeError,
            "readout: expected a torch.nn.Linear or its state_dict, got NoneType",
        ),
        (
            lambda: from_torch(module, readout, nonlinearity="relu"),
            ValueError,
            "nonlinearity: expected 'tanh', as rnn has, or None, got 'relu'",
        ),
        (lambda: from_torch({}, readout), ValueError, "rnn: expected a tensor 'weight_ih_l0', got []"),
        (lambda: from_torch(missing, readout), ValueError, "rnn: expected a tensor 'bias_hh_l0', got none"),
        (
            lambda: from_torch(module, torch.nn.Linear(5, 2)),
            ValueError,
            "readout: expected weight of shape ['n_out', 6], got (2, 5)",
        ),
        (
            lambda: from_torch(module, readout.double()),
            ValueError,
            "readout: expected weight of float32, as weight_ih_l0 is, got torch.float64",
        ),
        (
            lambda: from_torch(module, {**linear, "more": 1}),
            ValueError,
            "readout: expected the weights of one nn.Linear alone, got ['more'] too",
        ),
        (
            lambda: from_torch(torch.nn.RNN(3, 6).half(), readout),
            ValueError,
            "rnn: expected torch.float32 or torch.float64, got torch.float16",
        ),
        (lambda: to_torch(jordan), TypeError, "rnn: expected an ElmanRNN, got JordanRNN"),
        (
            lambda: to_torch(bptt.ElmanRNN(3, (4, 5), 2)),
            ValueError,
            "rnn: expected layers of one size, as nn.RNN has, got (4, 5)",
        ),
        (
            lambda: to_torch(bptt.ElmanRNN(3, 4, 2, leak=0.5)),
            ValueError,
            "rnn: expected units without a leak, as those of nn.RNN are, got leak=0.5",
        ),
        (
            lambda: to_torch(bptt.ElmanRNN(0, 4, 2)),
            ValueError,
            "rnn: expected at least one input, as nn.RNN has, got 0",
        ),
    ):
        refuses(call, kind, message)
    assert list(module.state_dict()) == names


def test_the_program_on_the_page_runs() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    done = run_python(program, PYTHONWARNINGS="default")
    assert done.returncode == 0, done
    losses = [float(line) for line in done.stdout.split()[:2]]
    assert losses[1] < losses[0] / 2
