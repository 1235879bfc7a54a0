"""Networks of all kinds and options, small."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from bptt import reference
from problems import Array, Case

BATCHES = [
    (1,),
    (3,),
    (4,) * 2,
    (2,) * 5,
    (1, 3),
    (5, 2, 4),
    (3, 1, 1, 2),
    (1, 2, 3, 4, 5, 6, 7),
    (2,) * 9,
    (23,),
    (7,) * 3,
]


def case(draw: Any, *, causal: bool = False) -> Case:
    """A network in words, and lengths of its sequences; `causal`: it may draw, as its output is its input."""
    jordan = draw(st.booleans())
    output = draw(st.sampled_from(["softmax", "softmax", "sigmoid", "linear"]))
    token = draw(st.booleans()) and not (causal and output != "softmax" and not jordan)
    n_out = draw(st.integers(1, 5))
    n_in = n_out if causal and not jordan else draw(st.integers(1 if token else 0, 5))
    several = not jordan and draw(st.integers(0, 2)) == 0
    sizes = st.integers(1, 9)
    options: dict[str, Any] = {}
    if jordan:
        options["feedback"] = draw(st.sampled_from(["y_hat", "o"]))
        options["teacher_forcing"] = draw(st.sampled_from([1.0, 0.0, 0.5, 0.9]))
        options["seed"] = draw(st.sampled_from([0, 1, 2**64 - 1]))
    elif not causal:
        options["readout"] = draw(st.sampled_from(["all", "all", "last"]))
        options["bidirectional"] = draw(st.integers(0, 2)) == 0
    if not jordan:
        options["leak"] = draw(st.sampled_from([1.0, 1.0, 0.25, "mixed"]))
        options["learn_h0"] = draw(st.integers(0, 3)) == 0
    return Case(
        n_in,
        tuple(draw(st.lists(sizes, min_size=2, max_size=3))) if several else draw(sizes),
        n_out,
        draw(st.sampled_from(BATCHES)),
        "token" if token else "real",
        output,
        extras=draw(st.booleans()),
        reset=draw(st.booleans()),
        activation=draw(st.sampled_from(["tanh", "tanh", "relu"])),
        **options,
    )


def learned_states(rnn: Any, batch: int) -> list[Array]:
    """What so many sequences begin with where it is learned, of each layer and direction; else none."""
    learned = [values for name, values in rnn.by_name().items() if name[:2] in ("h0", "v0")]
    return [np.tile(values, (batch, 1)) for values in learned]


def stack_of(case: Case, rnn: Any) -> reference.Stack:
    """The parameters as the reference takes them."""
    layers = [rnn] if case.simple else rnn.layers

    def layer(one: Any, reverse: reference.Layer | None) -> reference.Layer:
        U, W, b = (np.asarray(part, np.float64).tolist() for part in (one.U, one.W, one.b))
        h0 = np.asarray(getattr(one, case.initial), np.float64).tolist() if case.learn_h0 else None
        return reference.Layer(U, W, b, reverse, h0)

    both = case.bidirectional
    of_layers = [layer(one, layer(one.reverse, None) if both else None) for one in layers]
    return reference.Stack(of_layers, np.asarray(rnn.V, np.float64).tolist(), np.asarray(rnn.c, np.float64).tolist())
