"""One file for each contender; each offers build(problem, threads) -> Contender and sets up its library alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A contender: the name in the table, its file in this package, and the distributions that it needs."""

    name: str
    module: str
    needs: tuple[str, ...]
    environment: tuple[str, ...] = ()  # variables that hold the number of threads, read at import
    dtypes: tuple[str, ...] = ("float32", "float64")


OURS = Entry("bptt", "this_package", ("bptt",))
PEERS = (
    Entry("PyTorch", "pytorch", ("torch",)),
    Entry("JAX", "jax_scan", ("jax", "jaxlib"), ("PJRT_NPROC",)),
    Entry("ONNX Runtime", "onnx_runtime", ("onnxruntime", "onnx"), dtypes=("float32",)),
    Entry("NumPy", "numpy_by_hand", ("numpy",), ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")),
)
PEAK = Entry("FMA peak", "fma_peak", ("bptt",))
