"""JAX, the output-recurrent network: with the targets fed in one expression for all steps, running free a lax.scan.

The ways, of which the fastest is kept: W y(t-1) as a gather, or as a product with one-hot vectors; the scan as for the
Elman network.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from peers.jax_scan import WAYS, Parameters, Way, contender
from problem import PARAMETERS, Contender, Problem

FORCED_WAYS: tuple[Way, ...] = ({"gather": True}, {"gather": False})


def forced(parameters: Parameters, x: jax.Array, y_before: jax.Array, gather: bool) -> tuple[jax.Array, jax.Array]:
    """Where y(t-1) is no class, both ways give 0."""
    U, W, b, V, c = (parameters[name] for name in PARAMETERS)
    if gather:
        W_y = jnp.take(W, y_before, axis=0, mode="fill", fill_value=0)
    else:
        W_y = jax.nn.one_hot(y_before, len(W), dtype=x.dtype) @ W
    h = jnp.tanh(b + x @ U + W_y)
    return h, c + h @ V


def free(parameters: Parameters, x: jax.Array, ahead: bool, unroll: int) -> tuple[jax.Array, jax.Array]:
    U, W, b, V, c = (parameters[name] for name in PARAMETERS)

    def step(r: jax.Array, x_t: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        h = jnp.tanh((x_t if ahead else b + x_t @ U) + r @ W)
        o = c + h @ V
        return jax.nn.softmax(o), (h, o)

    _, states = lax.scan(step, jnp.zeros((x.shape[1], c.size), x.dtype), b + x @ U if ahead else x, unroll=unroll)
    return states


def build(problem: Problem, threads: int) -> Contender:
    if problem.line.network == "forced":
        return contender(problem, forced, [problem.x, problem.y_before.astype(np.int32)], FORCED_WAYS)
    return contender(problem, free, [problem.x], WAYS)
