"""A model of one update by several processes on machines of their own: how long it takes. Measures nothing."""

from __future__ import annotations

import math
from typing import NamedTuple

from bptt.training.blocks import nodes
from bptt.training.processes import _GATHERED_MOST

FORMULA = """\
### The formula

An update by P processes, of K blocks of sequences, with gradients of m bytes:

    T(P) = T_rest + ceil(K / P) T_block + T_call + T_exchange(P)

    gathered:  T_exchange = l + (P - 1) j m / B + (P + 1) j m c
    in parts:  T_exchange = 2 l + (P - 1) L + (P - 1) / P (j + 1) m / B + (2 j + 1) m c
    fast:      T_exchange = 3 l + 2 (P - 1) / P m / B + m c
    l = ceil(log2 P) L

- T_block: the gradient of one block, in one process with one thread.
- T_rest: what each process does once in an update: mostly the optimizer.
- T_call: a sum of the smallest gradients, as measured between two processes here: Python, and the calls of MPI.
- L, B: latency of the network in seconds, and its bandwidth in bytes a second.
- c: seconds in which a byte is added or copied here.
- j: sums that a process has to send. It is 1 if its blocks are a node of the tree of sums, as they are where P and K
  are powers of 2.

T_block and T_rest follow from two measurements with one process, of 1 block and of many; c from one of adding; L and B
of this machine from messages between two processes. Where there are more processes than processors, the blocks take
P / processors times as long. Of all measurements with several processes only that of T_call is in the formula. So those
of training can check it.

""".splitlines()

REPAYS = """\
How many times faster than `fit` alone with one thread, by the formula. Each process is on a machine of its own and has
one thread, and the sums are "exact". Networks are assumed as their names say. More threads on each machine make blocks
faster, and so several machines repay from larger sizes on.

""".splitlines()


class Network(NamedTuple):
    """What is between two machines."""

    name: str
    latency: float  # seconds
    bandwidth: float  # bytes a second

    def gathered_most(self, processes: int, costs: Costs) -> float:
        """Up to how many bytes of a gradient one message to all is the faster way; 0 if it never is."""
        most, size = 0.0, 256.0
        while size < 1 << 30 and gathered(size, 1, processes, self, costs) <= in_parts(size, 1, processes, self, costs):
            most, size = size, size * 2**0.125
        return most if size < 1 << 30 else math.inf


NETWORKS = (
    Network("1 Gbit/s, 50 µs", 50e-6, 0.94 * 1e9 / 8),  # the share of a packet that is not its headers
    Network("10 Gbit/s, 20 µs", 20e-6, 0.94 * 10e9 / 8),
    Network("100 Gbit/s, 2 µs", 2e-6, 0.94 * 100e9 / 8),
)


class Costs(NamedTuple):
    """What a process does itself for a sum over all processes."""

    byte: float  # seconds in which one is added or copied
    call: float  # seconds of a sum of next to nothing


class Times(NamedTuple):
    """Seconds of one process."""

    block: float
    rest: float


def rounds(processes: int) -> int:
    """Of messages, until what one process knows is known to all."""
    return math.ceil(math.log2(processes))


def gathered(size: float, sums: int, processes: int, net: Network, costs: Costs) -> float:
    """Seconds in which each process sends its sums, gradients of so many bytes, to all others."""
    sent = sums * size
    return (
        rounds(processes) * net.latency + (processes - 1) * sent / net.bandwidth + (processes + 1) * sent * costs.byte
    )


def in_parts(size: float, sums: int, processes: int, net: Network, costs: Costs) -> float:
    """Seconds in which each process adds a part of all sums and sends it to all others."""
    latency = (2 * rounds(processes) + processes - 1) * net.latency
    sent = (processes - 1) / processes * (sums + 1) * size
    return latency + sent / net.bandwidth + (2 * sums + 1) * size * costs.byte


def reduced(size: float, processes: int, net: Network, costs: Costs) -> float:
    """Seconds of the usual sum, whose bits depend on the number of processes."""
    sent = 2 * (processes - 1) / processes * size
    return 3 * rounds(processes) * net.latency + sent / net.bandwidth + size * costs.byte


def exact(size: float, sums: int, processes: int, net: Network, costs: Costs) -> float:
    """Seconds of the way that `bptt` takes."""
    way = in_parts if sums * size > _GATHERED_MOST else gathered
    return way(size, sums, processes, net, costs)


def update(
    times: Times, blocks: int, size: float, processes: int, net: Network, costs: Costs, processors: int | None = None
) -> float:
    """Seconds of an update; all processes share so many processors, or have one each."""
    crowded = max(1.0, processes / (processors or processes))
    computing = times.rest + math.ceil(blocks / processes) * times.block * crowded
    if processes == 1:
        return computing
    sums = max(map(len, nodes(blocks, processes)))
    return computing + costs.call + exact(size, sums, processes, net, costs)
