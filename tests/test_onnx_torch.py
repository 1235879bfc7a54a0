"""What PyTorch's exporter writes of an `nn.RNN` with an `nn.Linear` is the same network in `bptt.onnx.load`."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="ONNX is not installed")
torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import bptt  # noqa: E402
import bptt.onnx  # noqa: E402  (which needs onnx)
from pairs import Row, pairwise  # noqa: E402

pytestmark = pytest.mark.torch

TAU, BATCH, N_IN, N = 5, 2, 3, 4
FACTORS: dict[str, Sequence[Any]] = {
    "layers": [1, 2],
    "both": [False, True],
    "batch_first": [False, True],
    "read": ["all", "h_n", "last step", "last output"],
    "activation": ["tanh", "relu"],
    "bias": [True, False],
    "input": ["real", "embedding", "one-hot"],
    "unit": ["linear", "softmax", "sigmoid"],
    "dynamic": [False, True],
    "hx": [False, True],
}
# Of two directions the last step is not the last state of both: such a model is no network here.
ROWS = pairwise(FACTORS, lambda row: not (row.get("both") and str(row.get("read")).startswith("last")))


class Model(torch.nn.Module):  # type: ignore[misc,name-defined]
    def __init__(self, row: Row) -> None:
        super().__init__()
        self.row = row
        self.table = torch.nn.Embedding(6, N_IN)
        self.rnn = torch.nn.RNN(
            6 if row["input"] == "one-hot" else N_IN,
            N,
            row["layers"],
            nonlinearity=row["activation"],
            bias=row["bias"],
            batch_first=row["batch_first"],
            bidirectional=row["both"],
        )
        self.readout = torch.nn.Linear(2 * N if row["both"] else N, 2, bias=row["bias"])

    def forward(self, x: Any, hx: Any = None) -> Any:
        row = self.row
        if row["input"] == "embedding":
            x = self.table(x)
        elif row["input"] == "one-hot":
            x = torch.nn.functional.one_hot(x, 6).float()
        h, h_n = self.rnn(x, hx)
        if row["read"] == "h_n":
            h = torch.cat([h_n[-2], h_n[-1]], dim=1) if row["both"] else h_n[-1]
        elif row["read"] == "last step":
            h = h[:, -1] if row["batch_first"] else h[-1]
        o = self.readout(h)
        if row["read"] == "last output":
            o = o[:, -1] if row["batch_first"] else o[-1]
        if row["unit"] == "softmax":
            o = torch.softmax(o, dim=-1)
        return (torch.sigmoid(o) if row["unit"] == "sigmoid" else o), h_n


def exported(module: Any, arguments: tuple[Any, ...], axes: Any, **names: Any) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an exporter that is to go, and of sizes that are traced
        torch.onnx.export(module.eval(), arguments, file, dynamo=False, dynamic_axes=axes, **names)
    return file.getvalue()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(map(str, row.values())))
def test_a_model_of_pytorch_has_its_outputs(row: Row) -> None:
    torch.manual_seed(1)
    module = Model(row)
    shape = (BATCH, TAU) if row["batch_first"] else (TAU, BATCH)
    x = torch.randn(*shape, N_IN) if row["input"] == "real" else torch.randint(0, 6, shape)
    hx = torch.randn(row["layers"] * (1 + row["both"]), BATCH, N)
    arguments = (x, hx) if row["hx"] else (x,)
    axes = {"x": {0: "first", 1: "second"}, "hx": {1: "batch"}} if row["dynamic"] else {}
    names = ["x", "hx"][: len(arguments)]
    data = exported(module, arguments, {name: axes[name] for name in names if name in axes}, input_names=names)
    rnn = bptt.onnx.load(data)
    assert (rnn.readout, rnn.output) == ("all" if row["read"] == "all" else "last", row["unit"])
    h0: Any = None
    if row["hx"]:
        states = [*hx.numpy()]
        if row["both"]:
            h0 = list(zip(states[::2], states[1::2], strict=True))
        else:
            h0 = states if row["layers"] == 2 else states[0]
    turned = row["batch_first"]
    found = rnn.forward(x.numpy().swapaxes(0, 1) if turned else x.numpy(), h0=h0).y_hat
    with torch.no_grad():
        expected = module(*arguments)[0].numpy()
    if row["read"] == "all" and turned:
        expected = expected.swapaxes(0, 1)
    assert found.shape == expected.shape
    # Both round in float32, and a table is multiplied with U once and for all: 3e-7 was seen.
    assert np.abs(found - expected).max() <= 2e-6


def test_the_weights_are_those_of_the_module() -> None:
    module = torch.nn.RNN(N_IN, N, 2, bidirectional=True)
    rnn: Any = bptt.onnx.load(exported(module, (torch.zeros(TAU, BATCH, N_IN),), {}))
    for k, layer in enumerate(rnn.layers):
        for one, ending in ((layer, ""), (layer.reverse, "_reverse")):
            weights = {
                name: getattr(module, f"{name}_l{k}{ending}").detach().numpy()
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
            assert np.array_equal(one.U, weights["weight_ih"])
            assert np.array_equal(one.W, weights["weight_hh"])
            assert np.array_equal(one.b, weights["bias_ih"] + weights["bias_hh"])
    assert np.array_equal(rnn.V, np.eye(2 * N)), "no readout: the states come out"


class Packed(torch.nn.Module):  # type: ignore[misc,name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.rnn = torch.nn.RNN(N_IN, N, bidirectional=True)
        self.readout = torch.nn.Linear(2 * N, 2)

    def forward(self, x: Any, lengths: Any) -> Any:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths)
        h, h_n = self.rnn(packed)
        h, _ = torch.nn.utils.rnn.pad_packed_sequence(h)
        return self.readout(h), h_n


def test_packed_sequences_are_lengths() -> None:
    module, x, lengths = Packed(), torch.randn(TAU, BATCH, N_IN), torch.tensor([5, 3])
    rnn = bptt.onnx.load(exported(module, (x, lengths), {"x": {0: "tau", 1: "batch"}}, input_names=["x", "lengths"]))
    with torch.no_grad():
        o, h_n = (result.numpy() for result in module(x, lengths))
    run = rnn.forward(x.numpy(), lengths=lengths.numpy())
    for i, length in enumerate(lengths):
        assert np.abs(run.o[:length, i] - o[:length, i]).max() <= 2e-6
    assert np.abs(np.stack(run.h_last[0]) - h_n).max() <= 2e-6


def test_the_last_step_of_two_directions_is_refused() -> None:
    row = {**ROWS[0], "both": True, "read": "last step", "input": "real"}
    x = torch.zeros(TAU, BATCH, N_IN)
    with pytest.raises(ValueError, match="expected the last states, Y_h, got the last step, at which the reverse"):
        bptt.onnx.load(exported(Model(row), (x.swapaxes(0, 1) if row["batch_first"] else x,), {}))


def test_steps_that_are_written_out_are_refused() -> None:
    class Unrolled(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.cell = torch.nn.RNNCell(N_IN, N)

        def forward(self, x: Any) -> Any:
            return self.cell(x[1], self.cell(x[0]))

    with pytest.raises(ValueError, match=r"^model: "):
        bptt.onnx.load(exported(Unrolled(), (torch.zeros(2, BATCH, N_IN),), {}))
