"""JAX: lax.scan, jit and value_and_grad, inputs on the device; the fastest of several ways to write the scan.

Weights are [in, out], as is usual there. The ways: U x(t) inside the scan, or for all steps before it, and then the
scan unrolled or not; of several layers in one direction also one scan through all of them, instead of a scan for each.
JAX has no packing: with different lengths the padding is computed and masked out of the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from peers.fastest import fastest
from problem import Answer, Array, Contender, Line, Names, Problem

Parameters = dict[str, jax.Array]
Way = dict[str, Any]  # the keyword arguments of a run
Run = Callable[..., tuple[jax.Array, jax.Array]]  # of parameters, inputs and a way: h and o for all steps
WAYS: tuple[Way, ...] = (
    {"ahead": False, "unroll": 1},
    {"ahead": True, "unroll": 1},
    {"ahead": True, "unroll": 16},
)
TOGETHER: tuple[Way, ...] = ({"together": True, "unroll": 1}, {"together": True, "unroll": 16})


def scan(
    parameters: Parameters, names: Names, below: jax.Array, reverse: bool, ahead: bool = True, unroll: int = 1
) -> jax.Array:
    """One layer in one direction: h for all steps."""
    U, W, b = (parameters[name] for name in names)

    def step(h: jax.Array, x_t: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = jnp.tanh((x_t if ahead else b + x_t @ U) + h @ W)
        return h, h

    inputs = b + below @ U if ahead else below
    return lax.scan(step, jnp.zeros((below.shape[1], b.size), below.dtype), inputs, unroll=unroll, reverse=reverse)[1]


def scan_together(parameters: Parameters, layers: list[Names], x: jax.Array, unroll: int) -> jax.Array:
    """All layers, one direction: h of the top layer for all steps."""
    (U, _, b), *_ = layers
    above = layers[1:]

    def step(states: list[jax.Array], a: jax.Array) -> tuple[list[jax.Array], jax.Array]:
        after = [jnp.tanh(a + states[0] @ parameters[layers[0][1]])]
        for names, h in zip(above, states[1:], strict=True):
            U, W, b = (parameters[name] for name in names)
            after.append(jnp.tanh(b + after[-1] @ U + h @ W))
        return after, after[-1]

    start = [jnp.zeros((x.shape[1], parameters[name].size), x.dtype) for _, _, name in layers]
    return lax.scan(step, start, parameters[b] + x @ parameters[U], unroll=unroll)[1]


def run(line: Line, parameters: Parameters, x: jax.Array, together: bool = False, **way: Any) -> Any:
    """H of the top layer and o, for all steps."""
    if together:
        h = scan_together(parameters, [layer[0] for layer in line.names], x, **way)
    else:
        h = x
        for layer in line.names:
            directions = [scan(parameters, names, h, number == 1, **way) for number, names in enumerate(layer)]
            h = jnp.concatenate(directions, -1) if line.both else directions[0]
    return h, parameters["c"] + h @ parameters["V"]


def contender(problem: Problem, run: Run, inputs: Sequence[Array], ways: Sequence[Way]) -> Contender:
    """The network that `run` computes from its inputs, in the fastest of the ways."""
    jax.config.update("jax_enable_x64", problem.dtype == "float64")  # the number of threads is PJRT_NPROC
    parameters: Parameters = {name: jnp.array(array.T) for name, array in problem.parameters.items()}
    data, y = [jnp.array(array) for array in inputs], jnp.array(problem.y, jnp.int32)

    def total_loss(parameters: Parameters, data: list[jax.Array], y: jax.Array, **way: Any) -> jax.Array:
        _, o = run(parameters, *data, **way)
        log_likelihood = jnp.take_along_axis(jax.nn.log_softmax(o), y[..., None], axis=-1)[..., 0]
        return -jnp.sum(jnp.where(y >= 0, log_likelihood, 0) if problem.line.ragged else log_likelihood)

    def gradient(way: Way) -> Callable[[], Any]:
        compiled = jax.jit(jax.value_and_grad(partial(total_loss, **way)))
        return lambda: jax.block_until_ready(compiled(parameters, data, y))

    def forward(way: Way) -> Callable[[], Any]:
        compiled = jax.jit(partial(run, **way))
        return lambda: jax.block_until_ready(compiled(parameters, *data))

    def read_gradient(result: tuple[Array, dict[str, Array]]) -> Answer:
        return {"loss": result[0], **{name: array.T for name, array in result[1].items()}}

    def read_forward(result: tuple[Array, Array]) -> Answer:
        return {"h": result[0], "o": result[1]}

    return Contender(
        fastest([gradient(way) for way in ways]),
        fastest([forward(way) for way in ways]) if "forward" in problem.line.modes else None,
        read_gradient,
        read_forward,
    )


def build(problem: Problem, threads: int) -> Contender:
    line = problem.line
    ways = WAYS + TOGETHER if line.layers > 1 and not line.both else WAYS
    return contender(problem, partial(run, line), [problem.x], ways)
