"""Processes started by the `mpiexec` beside this interpreter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
needs_mpi = pytest.mark.skipif(MPIEXEC is None, reason="mpiexec is not installed beside Python: pip install '.[mpi]'")

_ENVIRONMENT = {  # root as well as everybody, and more processes than processors; of Open MPI. MPICH needs nothing
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_ALLOW_RUN_AS_ROOT": "1",
    "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
    "OMPI_MCA_mpi_yield_when_idle": "1",
}


def start(n: int, *arguments: str | Path, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """`n` processes of Python with these arguments."""
    assert MPIEXEC is not None
    return subprocess.Popen(
        [MPIEXEC, "-n", str(n), sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | _ENVIRONMENT | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(n: int, *arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What `n` processes wrote, and with which code they ended."""
    with start(n, *arguments, cwd=cwd, **environment) as processes:
        try:
            out, err = processes.communicate(timeout=120)
        except BaseException:
            processes.kill()
            raise
    return subprocess.CompletedProcess(processes.args, processes.returncode, out, err)
