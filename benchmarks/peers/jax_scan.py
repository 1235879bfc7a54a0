"""JAX: lax.scan, jit and value_and_grad, inputs on the device; the fastest of several ways to write the scan.

Weights are [in, out], as is usual there. The ways: U x(t) inside the scan, or for all steps before it, and then the
scan unrolled or not. JAX has no packing: with different lengths the padding is computed and masked out of the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from peers.fastest import fastest
from problem import PARAMETERS, Answer, Array, Contender, Problem

Parameters = dict[str, jax.Array]
Way = dict[str, Any]  # the keyword arguments of a run
Run = Callable[..., tuple[jax.Array, jax.Array]]  # of parameters, inputs and a way: h and o for all steps
WAYS: tuple[Way, ...] = (
    {"ahead": False, "unroll": 1},
    {"ahead": True, "unroll": 1},
    {"ahead": True, "unroll": 16},
)


def run(parameters: Parameters, x: jax.Array, ahead: bool, unroll: int) -> tuple[jax.Array, jax.Array]:
    U, W, b, V, c = (parameters[name] for name in PARAMETERS)

    def step(h: jax.Array, x_t: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = jnp.tanh((x_t if ahead else b + x_t @ U) + h @ W)
        return h, h

    _, h = lax.scan(step, jnp.zeros((x.shape[1], b.size), x.dtype), b + x @ U if ahead else x, unroll=unroll)
    return h, c + h @ V


def contender(problem: Problem, run: Run, inputs: Sequence[Array], ways: Sequence[Way]) -> Contender:
    """The network that `run` computes from its inputs, in the fastest of the ways."""
    jax.config.update("jax_enable_x64", problem.dtype == "float64")  # the number of threads is PJRT_NPROC
    parameters: Parameters = {name: jnp.array(getattr(problem, name).T) for name in PARAMETERS}
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
        return {"loss": result[0], **{name: result[1][name].T for name in PARAMETERS}}

    def read_forward(result: tuple[Array, Array]) -> Answer:
        return {"h": result[0], "o": result[1]}

    return Contender(
        fastest([gradient(way) for way in ways]),
        fastest([forward(way) for way in ways]) if "forward" in problem.line.modes else None,
        read_gradient,
        read_forward,
    )


def build(problem: Problem, threads: int) -> Contender:
    return contender(problem, run, [problem.x], WAYS)
