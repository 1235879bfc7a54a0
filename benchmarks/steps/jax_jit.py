"""JAX: one jitted step, compiled ahead, its state donated or not; inputs on the device."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from peers.fastest import fastest
from problem import Problem
from steps import Stepper


def stepper(problem: Problem, donated: bool, constant: bool) -> Stepper:
    """The weights are constants of the compiled step, or its arguments."""
    weights = {name: jnp.array(array.T) for name, array in problem.parameters.items()}
    inputs = [jnp.array(x_t) for x_t in problem.x]
    shape = problem.line.batch, problem.line.n_hidden

    def of_weights(
        h: jax.Array, x_t: jax.Array, weights: dict[str, jax.Array] = weights
    ) -> tuple[jax.Array, jax.Array]:
        h = jnp.tanh(weights["b"] + h @ weights["W"] + x_t @ weights["U"])
        return h, weights["c"] + h @ weights["V"]

    more = () if constant else (weights,)
    arguments = (jnp.zeros(shape, jnp.float32), inputs[0], *more)
    compiled = jax.jit(of_weights, donate_argnums=(0,) if donated else ()).lower(*arguments).compile()
    h = jnp.zeros(shape, jnp.float32)

    def step(x_t: jax.Array) -> jax.Array:
        nonlocal h
        h, o = compiled(h, x_t, *more)
        return o.block_until_ready()

    def reset() -> None:
        nonlocal h
        h = jnp.zeros(shape, jnp.float32)

    way = f"state {'' if donated else 'not '}donated, weights as {'constants' if constant else 'arguments'}"
    return Stepper(way, step, inputs, reset)


def build(problem: Problem, quick: bool) -> Stepper:
    """The number of threads is PJRT_NPROC."""
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # each step is waited for
    return fastest([stepper(problem, donated, constant) for donated in (True, False) for constant in (True, False)])
