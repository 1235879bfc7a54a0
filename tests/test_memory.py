"""What a call's memory costs: states in fresh memory lie on large pages, where the system has them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from bptt import ElmanRNN

LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def large_pages() -> bool:
    return sys.platform == "linux" and LARGE_PAGES.exists() and "[never]" not in LARGE_PAGES.read_text()


@pytest.mark.skipif(not large_pages(), reason="this system gives no large pages to programs that ask")
def test_a_long_sequence_takes_few_page_faults() -> None:
    """A fault for each small page (4096 bytes) would take longer than the arithmetic of a narrow network."""
    import resource

    rnn, tau = ElmanRNN(1, 64, 2, seed=0), 1_000_000
    x, y = np.zeros((tau, 1), np.float32), np.zeros(tau, int)
    rnn.loss_and_gradients(x[:1000], y[:1000])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    rnn.loss_and_gradients(x, y)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < tau * 64 * 4 / 4096 / 20
