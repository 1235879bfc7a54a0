"""Graphs altered at random: `bptt.onnx.load` gives what ONNX Runtime computes, or refuses them by name."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx", reason="ONNX is not installed")
ort = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import bptt  # noqa: E402
import bptt.onnx  # noqa: E402  (which needs onnx)
from onnx_models import as_ours, as_theirs, inputs_of, run, session, state_names, states_of  # noqa: E402

pytestmark = pytest.mark.peers

TAU, BATCH, N_IN, N = 5, 3, 2, 4
EXAMPLES = 300  # 3 seconds
# Of float32 results. What an altered graph has before or behind a matrix is multiplied with it once and for all.
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 3e-5}
FAR = 2**31 - 1


class Altered:
    """A model of a network, and how it is altered."""

    def __init__(self, seed: int) -> None:
        self.draw, self.rng = random.Random(seed), np.random.default_rng(seed)
        pick = self.draw.choice
        rnn = bptt.ElmanRNN(
            N_IN,
            (N,) * pick((1, 2)),
            3,
            bidirectional=pick((True, False)),
            readout=pick(("all", "last")),
            input=pick(("real", "real", "token")),
            output=pick(("softmax", "sigmoid", "linear")),
            activation=pick(("tanh", "relu")),
            init="uniform",
            seed=seed,
        )
        self.model = bptt.onnx.to_onnx(rnn, outputs=["y_hat", "o", "h"], state=pick(("none", "optional", "required")))
        self.graph = self.model.graph
        self.numbers = {one.name for one in self.graph.initializer}
        for _ in range(pick((1, 1, 2, 3))):
            pick((self.insert, self.insert, self.insert, self.rewire, self.attribute, self.replace))()
        found = {name for node in self.graph.node for name in node.output}
        names = [name for name in ("y_hat", "o") if name in found and pick((True, True, False))] or ["h"]
        del self.graph.output[:]
        self.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)

    def number(self, array: Any) -> str:
        name = f"number{len(self.graph.initializer)}"
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def real(self, *shape: int) -> str:
        return self.number(self.rng.standard_normal(shape).astype(np.float32))

    def insert(self) -> None:
        """A node between two others."""
        pick = self.draw.choice
        at = self.draw.randrange(len(self.graph.node))
        node = self.graph.node[at]
        places = [i for i, name in enumerate(node.input) if name and name not in self.numbers]
        if not places:
            return
        i = pick(places)
        of = node.input[i]
        width = pick((1, N_IN, 3, N, 2 * N))
        operator, more, attributes = pick(
            (
                ("Identity", [], {}),
                ("Transpose", [], {"perm": self.draw.sample(range(3), 3)}),
                ("Transpose", [], {"perm": self.draw.sample(range(4), 4)}),
                (
                    pick(("Add", "Sub", "Mul", "Div")),
                    [self.real(*pick(((), (1,), (width,), (1, 1, width), (TAU, 1, 1))))],
                    {},
                ),
                ("MatMul", [self.real(width, width)], {}),
                (pick(("Relu", "Sigmoid")), [], {}),
                ("Softmax", [], {"axis": pick((-1, 0, 1, 2))}),
                (pick(("Squeeze", "Unsqueeze")), [self.number([pick((0, 1, 2, -1))])], {}),
                ("Reshape", [self.number(pick(([0, 0, -1], [-1, N], [0, -1], [0, 0, 2, -1], [-1, BATCH, N])))], {}),
                ("Flatten", [], {"axis": pick((0, 1, 2))}),
                (
                    "Slice",
                    [self.number([pick((0, 1, -1))]), self.number([pick((FAR, -1, 1))]), self.number([pick((0, 1))])],
                    {},
                ),
                ("Gather", [self.number(pick((0, -1, 1, [-1], [0, 1], [1, 0])))], {"axis": pick((0, 1, 2))}),
                ("Concat", pick(([], [of])), {"axis": pick((0, 1, 2))}),
                ("Cast", [], {"to": pick((TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64))}),
            )
        )
        inserted = helper.make_node(
            operator, [of, *more], [f"{of}.{at}.{i}"], name=f"altered{len(self.graph.node)}", **attributes
        )
        self.graph.node.insert(at, inserted)
        self.graph.node[at + 1].input[i] = inserted.output[0]

    def rewire(self) -> None:
        """An input that is another value."""
        at = self.draw.randrange(len(self.graph.node))
        before = [name for node in self.graph.node[:at] for name in node.output if name]
        node = self.graph.node[at]
        others = [*before, *self.numbers, "x", ""]
        node.input[self.draw.randrange(len(node.input))] = self.draw.choice(others)

    def attribute(self) -> None:
        """Another value of an attribute."""
        pick = self.draw.choice
        node = pick(
            [node for node in self.graph.node if node.op_type in ("RNN", "Transpose", "Gemm", "Concat", "Softmax")]
        )
        name, value = {
            "RNN": pick(
                (("direction", pick(("forward", "reverse"))), ("activations", ["Relu"]), ("layout", 1), ("clip", 0.5))
            ),
            "Transpose": ("perm", self.draw.sample(range(3), 3)),
            "Gemm": pick((("transB", 0), ("alpha", 0.5), ("beta", 2.0), ("transA", 1))),
            "Concat": ("axis", 0),
            "Softmax": ("axis", pick((0, 1, 2))),
        }[node.op_type]
        for one in [one for one in node.attribute if one.name == name]:
            node.attribute.remove(one)
        node.attribute.append(helper.make_attribute(name, value))

    def replace(self) -> None:
        """Other numbers under the same name."""
        tensor = self.draw.choice(self.graph.initializer)
        array = numpy_helper.to_array(tensor)
        other = self.draw.choice((array.T, array + 1, array.reshape(-1), -array, array * 0))
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(other).reshape(other.shape), tensor.name))

    def feeds(self) -> dict[str, Any]:
        tokens = self.graph.input[0].type.tensor_type.elem_type == TensorProto.INT64
        shape = (TAU, BATCH) if tokens else (TAU, BATCH, N_IN)
        feeds: dict[str, Any] = {"x": self.rng.integers(0, N_IN, shape) if tokens else self.rng.standard_normal(shape)}
        feeds["x"] = feeds["x"] if tokens else feeds["x"].astype(np.float32)
        for given_ in self.graph.input[1:]:
            if given_.name not in self.numbers:
                sizes = [axis.dim_value or BATCH for axis in given_.type.tensor_type.shape.dim]
                feeds[given_.name] = np.zeros(sizes, np.float32)
        return feeds


def batch_first(model: Any) -> bool:
    """Whether the second axis of x is time: of the lowest RNN node, and of what turns x before it."""
    from bptt.onnx.trace import Trace

    time = Trace(model).layers[0].time
    return bool(time) and time[0].name == "x[1]"


def test_what_is_loaded_is_what_onnx_runtime_computes() -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(EXAMPLES):
        altered = Altered(seed)
        try:
            rnn = bptt.onnx.load(altered.model)
        except ValueError as error:
            outcomes["refused" if str(error).startswith("model: ") else "refused without a name"] += 1
            continue
        feeds = altered.feeds()
        try:
            found = run(session(altered.model), feeds)
        except Exception:  # of sizes that do not fit, or that it does not have: nothing to compare with
            outcomes["not computed"] += 1
            continue
        x = feeds["x"].swapaxes(0, 1) if batch_first(altered.model) else feeds["x"]
        ours = rnn.forward(x)
        for name, theirs in found.items():
            if name == "h" and len(found) > 1:
                continue
            expected = ours.y_hat if name == "y_hat" or name == "h" else ours.o
            # In whatever order of axes, these are the numbers that come out.
            assert expected.size == theirs.size, (seed, name)
            np.testing.assert_allclose(
                np.sort(theirs, axis=None), np.sort(expected, axis=None), **CLOSE, err_msg=str(seed)
            )
            turned = any(node.op_type == "Transpose" for node in altered.graph.node)
            if expected.shape == theirs.shape and not turned:
                np.testing.assert_allclose(theirs, expected, **CLOSE, err_msg=str(seed))
        outcomes["equal"] += 1
    assert not outcomes["refused without a name"]
    assert outcomes["equal"] > EXAMPLES // 20, outcomes
    assert outcomes["refused"] > EXAMPLES // 3, outcomes


@settings(max_examples=60, deadline=None)
@given(
    n_in=st.integers(0, 9),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    n_out=st.integers(1, 5),
    tau=st.integers(1, 9),
    batch=st.integers(1, 5),
    bidirectional=st.booleans(),
    readout=st.sampled_from(["all", "last"]),
    token=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_any_network_is_the_same_there_and_back(
    n_in: int, sizes: Any, n_out: int, tau: int, batch: int, bidirectional: bool, readout: Any, token: bool, seed: int
) -> None:
    token = token and n_in > 0
    options: dict[str, Any] = {
        "bidirectional": bidirectional,
        "readout": readout,
        "input": "token" if token else "real",
    }
    rnn = bptt.ElmanRNN(n_in, sizes, n_out, init="uniform", seed=seed, **options)
    model = bptt.onnx.to_onnx(rnn, outputs=["h", "o", "y_hat"])
    back = bptt.onnx.load(model)
    assert back.configuration() == rnn.configuration()
    assert back.parameters.tobytes() == rnn.parameters.tobytes()
    x, states = inputs_of(rnn, "float32", tau, batch), states_of(rnn, "float32", batch)
    found = run(session(model), {"x": x, **dict(zip(state_names(rnn, True), states, strict=True))})
    ours = rnn.forward(x, h0=as_ours(rnn, states))
    last = dict(zip(state_names(rnn, False), as_theirs(rnn, ours.h_last), strict=True))
    for name, theirs in found.items():
        expected = last[name] if name in last else getattr(ours, name)
        assert theirs.shape == expected.shape
        assert np.abs(theirs - expected).max() <= 5e-6, "what is promised"
