"""Characters drawn one after another, each the next input: 65 symbols, 256 units, one thread."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import bptt
from problem import Array

N, HIDDEN = 65, 256
Draw = Callable[[int, bool], Array]  # of a number of steps, and of whether to take the likeliest: tokens [steps, batch]


def network() -> bptt.ElmanRNN:
    rnn = bptt.ElmanRNN(N, HIDDEN, N, input="token", seed=0)
    rnn.V *= 3  # the likeliest symbol is clear, so that all contenders agree on it
    return rnn


def ours(batch: int) -> Draw:
    bptt.set_num_threads(1)
    rnn, prompt = network(), np.zeros((1, batch), np.int64)
    return lambda steps, likeliest: rnn.generate(steps, prompt=prompt, temperature=0.0 if likeliest else 1.0, seed=1)


def numpy_by_hand(batch: int) -> Draw:
    """The column of a token, two products, and a number found in the running sum of the weights."""
    rnn, random = network(), np.random.default_rng(1)
    table, W, V, c = np.ascontiguousarray(rnn.U.T) + rnn.b, np.ascontiguousarray(rnn.W.T), rnn.V.T.copy(), rnn.c

    def draw(steps: int, likeliest: bool) -> Array:
        h, tokens = np.zeros((batch, HIDDEN), np.float32), np.zeros(batch, np.int64)
        result, product = np.empty((steps, batch), np.int64), np.empty((batch, HIDDEN), np.float32)
        o = np.empty((batch, N), np.float32)
        uniform = random.random((steps, batch, 1), np.float32)
        for drawn, number in zip(result, uniform, strict=True):
            np.dot(h, W, product)
            product += table[tokens]
            np.tanh(product, h)
            np.dot(h, V, o)
            o += c
            if likeliest:
                tokens = o.argmax(axis=1)
            else:
                sums = np.exp(o, o).cumsum(axis=1)
                tokens = np.minimum((sums < number * sums[:, -1:]).sum(axis=1), N - 1)
            drawn[...] = tokens
        return result

    return draw


def jax_scan(batch: int) -> Draw:
    """All steps in one jitted scan, so that Python takes no part in them."""
    from functools import partial

    import jax
    import jax.numpy as jnp

    rnn = network()
    table, W, V, c = jnp.array(rnn.U.T + rnn.b), jnp.array(rnn.W.T), jnp.array(rnn.V.T), jnp.array(rnn.c)

    @partial(jax.jit, static_argnums=(0, 1))
    def scan(steps: int, likeliest: bool) -> jax.Array:
        def step(carry: tuple[jax.Array, jax.Array], key: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
            h, tokens = carry
            h = jnp.tanh(table[tokens] + h @ W)
            o = c + h @ V
            tokens = jnp.argmax(o, 1) if likeliest else jax.random.categorical(key, o)
            return (h, tokens), tokens

        start = jnp.zeros((batch, HIDDEN), jnp.float32), jnp.zeros(batch, jnp.int32)
        return jax.lax.scan(step, start, jax.random.split(jax.random.key(1), steps))[1]

    return lambda steps, likeliest: np.asarray(scan(steps, likeliest))


CONTENDERS: dict[str, tuple[Callable[[int], Draw], str]] = {  # and the distribution that each needs
    "bptt, `rnn.generate`": (ours, "bptt"),
    "JAX, a jitted scan": (jax_scan, "jax"),
    "NumPy by hand": (numpy_by_hand, "numpy"),
}
