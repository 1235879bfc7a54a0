"""A file or two for each contender; each offers build(problem, threads) -> Contender and sets up its library alone."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from problem import Contender, Line, Problem


@dataclass(frozen=True)
class Entry:
    """A contender: the name in the table, its files in this package, and the distributions that it needs."""

    name: str
    elman: str  # the file with the Elman network
    jordan: str | None  # and the one with the output-recurrent network, if there is one
    needs: tuple[str, ...]
    environment: tuple[str, ...] = ()  # variables that hold the number of threads, read at import
    dtypes: tuple[str, ...] = ("float32", "float64")
    companion: bool = False  # whether it measures the companion of a line in the line's place

    def task(self, line: Line) -> Line | None:
        """What is measured for a line of the table, if anything."""
        if self.companion:
            return line.companion
        return line if line.network == "elman" or self.jordan else None

    def build(self, problem: Problem, threads: int) -> Contender:
        module = self.elman if problem.line.network == "elman" else self.jordan
        return importlib.import_module(f"peers.{module}").build(problem, threads)


OURS = Entry("bptt", "this_package", "this_package", ("bptt",))
COMPANION = Entry("bptt's Elman network", "this_package", None, ("bptt",), companion=True)
NUMPY = Entry(
    "NumPy",
    "numpy_by_hand",
    "numpy_jordan",
    ("numpy",),
    ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
)
PEERS = (
    Entry("PyTorch", "pytorch", "pytorch_jordan", ("torch",)),
    Entry("JAX", "jax_scan", "jax_jordan", ("jax", "jaxlib"), ("PJRT_NPROC",)),
    Entry("ONNX Runtime", "onnx_runtime", None, ("onnxruntime", "onnx"), dtypes=("float32",)),
    NUMPY,
)
PEAK = Entry("FMA peak", "fma_peak", "fma_peak", ("bptt",))
