"""JAX: lax.scan, jit and value_and_grad, inputs on the device; the fastest of several ways to write the scan.

Weights are [in, out], as is usual there. The ways: U x(t) inside the scan, or for all steps before it, and then the
scan unrolled or not. JAX has no packing: with different lengths the padding is computed and masked out of the loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from problem import PARAMETERS, Answer, Array, Contender, Problem

Parameters = dict[str, jax.Array]
WAYS = ({"ahead": False, "unroll": 1}, {"ahead": True, "unroll": 1}, {"ahead": True, "unroll": 16})


def run(parameters: Parameters, x: jax.Array, ahead: bool, unroll: int) -> tuple[jax.Array, jax.Array]:
    """h and o for all steps."""
    U, W, b, V, c = (parameters[name] for name in PARAMETERS)

    def step(h: jax.Array, x_t: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = jnp.tanh((x_t if ahead else b + x_t @ U) + h @ W)
        return h, h

    _, h = lax.scan(step, jnp.zeros((x.shape[1], b.size), x.dtype), b + x @ U if ahead else x, unroll=unroll)
    return h, c + h @ V


def total_loss(parameters: Parameters, x: jax.Array, y: jax.Array, ragged: bool, **way: Any) -> jax.Array:
    _, o = run(parameters, x, **way)
    log_likelihood = jnp.take_along_axis(jax.nn.log_softmax(o), y[..., None], axis=-1)[..., 0]
    return -jnp.sum(jnp.where(y >= 0, log_likelihood, 0) if ragged else log_likelihood)


def fastest(candidates: list[Callable[[], Any]]) -> Callable[[], Any]:
    """Compile all, time each for a moment, keep the best."""

    def seconds(call: Callable[[], Any]) -> float:
        call()
        best, end = float("inf"), time.perf_counter() + 0.1
        while time.perf_counter() < end:
            start = time.perf_counter()
            call()
            best = min(best, time.perf_counter() - start)
        return best

    return min(candidates, key=seconds)


def build(problem: Problem, threads: int) -> Contender:
    jax.config.update("jax_enable_x64", problem.dtype == "float64")  # the number of threads is PJRT_NPROC
    ragged = problem.line.ragged
    parameters: Parameters = {name: jnp.array(getattr(problem, name).T) for name in PARAMETERS}
    x, y = jnp.array(problem.x), jnp.array(problem.y, jnp.int32)

    def gradient(way: dict[str, Any]) -> Callable[[], Any]:
        compiled = jax.jit(jax.value_and_grad(partial(total_loss, ragged=ragged, **way)))
        return lambda: jax.block_until_ready(compiled(parameters, x, y))

    def forward(way: dict[str, Any]) -> Callable[[], Any]:
        compiled = jax.jit(partial(run, **way))
        return lambda: jax.block_until_ready(compiled(parameters, x))

    def read_gradient(result: tuple[Array, dict[str, Array]]) -> Answer:
        return {"loss": result[0], **{name: result[1][name].T for name in PARAMETERS}}

    def read_forward(result: tuple[Array, Array]) -> Answer:
        return {"h": result[0], "o": result[1]}

    return Contender(
        fastest([gradient(way) for way in WAYS]),
        fastest([forward(way) for way in WAYS]),
        read_gradient,
        read_forward,
    )
