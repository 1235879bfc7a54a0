"""The C header that this package writes, compiled with -O2 and called in a loop in C."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import bptt
from peers.fma_peak import compiler
from problem import Array, Problem
from steps import Stepper
from steps.stream import inputs, network

LOOP = """
#define _POSIX_C_SOURCE 199309L
#include <time.h>
#include "model.h"

static net_state state;

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}
void reset(void) { net_init(&state); }
void steps(long tau, const float* x, float* o) {
  for (long t = 0; t < tau; ++t) net_step(&state, x + t * N_IN, o + t * N_OUT);
}
void samples(long count, long tau, const float* x, float* o, long long* nanoseconds) {
  for (long i = 0; i < count; ++i) {
    const long t = i % tau;
    const long long begin = now();
    net_step(&state, x + t * N_IN, o + t * N_OUT);
    nanoseconds[i] = now() - begin;
  }
}
void clock_alone(long count, long long* nanoseconds) {
  for (long i = 0; i < count; ++i) {
    const long long begin = now();
    nanoseconds[i] = now() - begin;
  }
}
"""


class Compiled(Stepper):
    """Steps of the loop in C."""

    def __init__(self, library: ctypes.CDLL, x: Array, n_out: int) -> None:
        self.library, self.x, self.way = library, x, ""
        self.o = np.empty((len(x), n_out), np.float32)
        self.data = ctypes.c_long(len(x)), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(self.o.ctypes.data)
        library.reset()

    def __call__(self) -> None:
        self.library.steps(*self.data)

    def outputs(self) -> Array:
        self.library.reset()
        self()
        return self.o.copy()

    def samples(self, count: int) -> Array:
        result = np.empty(count, np.int64)
        self.library.samples(ctypes.c_long(count), *self.data, ctypes.c_void_p(result.ctypes.data))
        return result

    def clock(self) -> float:
        result = np.empty(10_000, np.int64)
        self.library.clock_alone(ctypes.c_long(len(result)), ctypes.c_void_p(result.ctypes.data))
        return float(np.median(result))


def build(problem: Problem, quick: bool) -> Stepper:
    line = problem.line
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "loop.c"), Path(folder, "loop.so")
        bptt.export_c(network(problem), Path(folder, "model.h"), prefix="net")
        source.write_text(LOOP)
        flags = ["-std=c99", "-O2", "-fPIC", "-shared", f"-DN_IN={line.n_in}", f"-DN_OUT={line.n_out}"]
        subprocess.run([compiler() or "cc", *flags, str(source), "-o", str(target), "-lm"], check=True)
        library = ctypes.CDLL(str(target))
    return Compiled(library, inputs(problem), line.n_out)
