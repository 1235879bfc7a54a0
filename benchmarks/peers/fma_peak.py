"""The ceiling: fused multiply-adds in registers on each thread, from peak.c, compiled here if there is a compiler."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import bptt
from problem import Contender, Problem

FLAGS = {  # vector width in bytes and compiler options of each instruction set
    "baseline": (16, ()),
    "v3": (32, ("-march=x86-64-v3",)),
    "v4": (64, ("-march=x86-64-v4", "-mprefer-vector-width=512")),
    "neon": (16, ()),
}


def compiler() -> str | None:
    return next(
        (found for name in (os.environ.get("CC"), "cc", "gcc", "clang") if name and (found := shutil.which(name))), None
    )


@cache
def library(real: str) -> ctypes.CDLL:
    width, options = FLAGS[bptt.config()["isa"]]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "peak.so"
        source = Path(__file__).parent.parent / "peak.c"
        definitions = (f"-DVECTOR_BYTES={width}", f"-DREAL={real}")
        flags = ("-O2", "-ffp-contract=fast", "-fPIC", "-shared", *options, *definitions)
        subprocess.run([compiler() or "cc", *flags, str(source), "-o", str(target)], check=True)
        loaded = ctypes.CDLL(str(target))
    loaded.fma_chains.restype = ctypes.c_double
    loaded.fma_chains.argtypes = [ctypes.c_long, ctypes.c_void_p]
    return loaded


ITERATIONS = 500_000


def operations(isa: str, dtype: str, threads: int) -> float:
    """How many one call of the contender does, with an instruction set."""
    width, _ = FLAGS[isa]
    return 2.0 * 12 * 4 * ITERATIONS * (width // (8 if dtype == "float64" else 4)) * threads


def build(problem: Problem, threads: int) -> Contender:
    real = ctypes.c_double if problem.dtype == "float64" else ctypes.c_float
    chains = library("double" if problem.dtype == "float64" else "float").fma_chains
    pool = ThreadPoolExecutor(threads)

    def one_thread(_: int) -> float:
        sink = real(0)
        return chains(ITERATIONS, ctypes.byref(sink))

    return Contender(lambda: sum(pool.map(one_thread, range(threads))), None)
