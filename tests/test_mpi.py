"""Training by real processes, started by `mpiexec`: bits, the command line, and what goes wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from communicators import together
from distributed_cases import everything
from mpi import needs_mpi, run, start

pytest.importorskip("mpi4py", exc_type=ImportError)
pytestmark = needs_mpi

CASES = Path(__file__).with_name("distributed_cases.py")
TEXT = "".join(f"{i} squared is {i * i}, and its cube {i**3}.\n" for i in range(1500))


@pytest.fixture(scope="module")
def alone() -> Any:
    """What one process makes of each case, without MPI."""
    return together(1, everything)[0]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_number_of_processes_and_threads_changes_no_bit(alone: Any, n: int, threads: int, tmp_path: Path) -> None:
    done = run(n, CASES, str(threads), cwd=tmp_path)
    assert done.returncode == 0, done
    assert json.loads(done.stdout) == alone


# ---- The command line ----


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path


TRAIN = ("-m", "bptt", "train", "text.txt", "--hidden", "24", "--seed", "1")


def test_a_text_is_learnt_with_the_same_bits(text: Path) -> None:
    for n in (1, 2, 3):
        done = run(n, *TRAIN, "--updates", "40", "--out", f"{n}.safetensors", cwd=text)
        assert done.returncode == 0, done
        assert done.stdout.count("a sample") == done.stderr.count("update 40:") == 1  # the first process alone speaks
    files = {(text / f"{n}.safetensors").read_bytes() for n in (1, 2, 3)}
    assert len(files) == 1


def test_a_refusal_is_one_line(text: Path) -> None:
    done = run(2, "-m", "bptt", "train", "nothing.txt", cwd=text)
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if line.startswith("bptt: ")] == [
        "bptt: nothing.txt: No such file or directory"
    ]
    assert "Traceback" not in done.stderr


def test_another_mpi_than_that_of_mpiexec_is_named(text: Path) -> None:
    """Each process would take itself for the first, and all would write one file."""
    done = run(2, *TRAIN, "--updates", "10", cwd=text)
    assert done.returncode == 0, done
    single = bptt_alone(*TRAIN[2:], "--updates", "10", cwd=text, OMPI_COMM_WORLD_SIZE="2")
    assert single.returncode == 2
    assert re.match("bptt: mpiexec: expected 2 processes, as it has started, but .* sees 1: mpiexec", single.stderr)


def bptt_alone(*arguments: str, cwd: Path, **environment: str) -> Any:
    """`bptt` by itself, with these variables."""
    command = [sys.executable, "-m", "bptt", *arguments]
    return subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=60)


# ---- Faults ----

LONG = (*TRAIN, "--updates", "600", "--checkpoint", "run", "--schedule", "constant")


def after_the_first_epoch(processes: Any, then: Callable[[], None]) -> tuple[str, str]:
    """Wait until a checkpoint has a validation, do something, and wait for the end."""
    for line in processes.stderr:
        if line.startswith("epoch 1/"):
            break
    else:
        raise AssertionError(processes.stdout.read())
    then()
    out, err = processes.communicate(timeout=60)
    return out, err


def children(pid: int) -> list[int]:
    """The Python processes below one."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status, command = (folder / "status").read_text(), (folder / "cmdline").read_bytes()
            except OSError:
                continue
            parent = int(re.search(r"PPid:\s+(\d+)", status)[1])  # type: ignore[index]
            found += [int(folder.name)] if parent == pid and b"bptt" in command else []
    return sorted(found)


def finished(n: int, cwd: Path, *more: str) -> Any:
    """The parameters after the whole run, by `n` processes."""
    done = run(n, *LONG, *more, "--out", "model", cwd=cwd)
    assert done.returncode == 0, done
    return bptt.load(cwd / "model").parameters


@pytest.mark.parametrize("rank", [0, 2])
def test_a_process_that_dies_ends_the_job_and_the_run_goes_on_elsewhere(text: Path, rank: int) -> None:
    begin = time.monotonic()
    with start(3, *LONG, "--out", "model", cwd=text) as job:
        after_the_first_epoch(job, lambda: os.kill(children(job.pid)[rank], signal.SIGKILL))
    assert job.returncode != 0
    assert time.monotonic() - begin < 60
    resumed = finished(2, text, "--resume")
    (text / "run").unlink()
    np.testing.assert_array_equal(resumed, finished(1, text))


def test_ctrl_c_stops_all_after_the_update_under_way(text: Path) -> None:
    with start(2, *LONG, "--out", "model", cwd=text) as job:
        after_the_first_epoch(job, lambda: os.kill(job.pid, signal.SIGINT))
    assert job.returncode != 0
    assert (text / "model").exists()  # what was learnt is saved
    resumed = finished(3, text, "--resume")
    (text / "run").unlink()
    np.testing.assert_array_equal(resumed, finished(1, text))


def test_one_process_that_fails_is_told_by_the_first(text: Path) -> None:
    """A user's program: whatever fails in one ends all, and nobody hangs."""
    (text / "program.py").write_text(
        "import numpy as np, bptt, sys\n"
        "from mpi4py import MPI\n"
        "comm = MPI.COMM_WORLD\n"
        "rnn = bptt.ElmanRNN(2, 4, 2, seed=0)\n"
        "def make(rng):\n"
        "    if comm.rank == 1: raise OSError('no more data')\n"
        "    return np.zeros((3, 20, 2)), np.zeros((3, 20), int)\n"
        "rnn.fit(bptt.Batches(make, steps=3), optimizer=bptt.Adam(), epochs=1, comm=comm, progress=False)\n"
    )
    done = run(3, "program.py", cwd=text)
    assert done.returncode != 0
    assert "OSError: no more data" in done.stderr
    assert "comm: process 1 of 3 has failed: OSError: no more data" in done.stderr
