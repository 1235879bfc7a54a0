"""What takes one step at a time: a file for each contender, which offers build(problem, quick) -> Stepper."""

from __future__ import annotations

import importlib
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np

from problem import Array, Problem


class Stepper:
    """A network that carries its state from one step to the next. Calling it takes all inputs of a problem.

    The inputs are in the form that the contender takes fastest, made before the clock starts. `read` turns an output
    into an array, after the clock has stopped.
    """

    def __init__(
        self,
        way: str,
        step: Callable[[Any], Any],
        inputs: Sequence[Any],
        reset: Callable[[], None],
        read: Callable[[Any], Array] = np.asarray,
    ) -> None:
        self.way, self.step, self.inputs, self.reset, self.read = way, step, inputs, reset, read

    def __call__(self) -> None:
        step = self.step
        for x_t in self.inputs:
            step(x_t)

    def outputs(self) -> Array:
        """Of all steps, from h(0) = 0: ``[tau, ...]``."""
        self.reset()
        return np.array([np.array(self.read(self.step(x_t))) for x_t in self.inputs])

    def samples(self, count: int) -> Array:
        """Nanoseconds of each of `count` steps, the clock's own included."""
        return timed(self.step, islice(cycle(self.inputs), count), count)

    def clock(self) -> float:
        """Nanoseconds that the clock adds to each sample."""
        return float(np.median(timed(None, range(10_000), 10_000)))


def timed(step: Callable[[Any], Any] | None, inputs: Any, count: int) -> Array:
    """Nanoseconds of each step; without one those of the clock alone."""
    result, now = array("q", bytes(8 * count)), time.perf_counter_ns
    if step is None:
        for i, _ in enumerate(inputs):
            begin = now()
            result[i] = now() - begin
    else:
        for i, x_t in enumerate(inputs):
            begin = now()
            step(x_t)
            result[i] = now() - begin
    return np.array(result)


@dataclass(frozen=True)
class Entry:
    """A contender: the name in the table, its file in this package, and the distributions that it needs."""

    name: str
    module: str
    needs: tuple[str, ...]
    environment: tuple[str, ...] = ()  # variables that hold the number of threads, read at import

    def build(self, problem: Problem, quick: bool) -> Stepper:
        return importlib.import_module(f"steps.{self.module}").build(problem, quick)


OURS = Entry("bptt, `stream.step`", "stream", ("bptt",))
BLOCK = Entry("bptt, `stream.run`", "block", ("bptt",))
HEADER = Entry("bptt, C header", "c_header", ("bptt",))
BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
NUMPY = Entry("NumPy", "numpy_by_hand", ("numpy",), BLAS_THREADS)
NUMPY_TOGETHER = Entry("NumPy, [U W b]", "numpy_side_by_side", ("numpy",), BLAS_THREADS)
FRAMEWORKS = (
    Entry("PyTorch", "pytorch", ("torch",), ("TORCHINDUCTOR_COMPILE_THREADS",)),
    Entry("JAX", "jax_jit", ("jax", "jaxlib"), ("PJRT_NPROC",)),
    Entry("ONNX Runtime", "onnx_runtime", ("onnxruntime", "onnx")),
)
PEERS = (*FRAMEWORKS, NUMPY, NUMPY_TOGETHER)
