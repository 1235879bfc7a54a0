"""What the environment says: how many threads a call uses, and errors of its variables."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bptt
from bptt import _threads
from interpreter import run_python

SHOW = "import bptt; print(bptt.get_num_threads())"


def threads(**environment: str) -> int:
    """How many a fresh process may use."""
    done = run_python(SHOW, **environment)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


# ---- Variables ----


def test_bptts_variable_goes_before_openmps_and_that_before_what_the_process_may_use() -> None:
    assert threads(BPTT_NUM_THREADS="5", OMP_NUM_THREADS="3") == 5
    assert threads(BPTT_NUM_THREADS="", OMP_NUM_THREADS="3") == 3
    assert threads(BPTT_NUM_THREADS="", OMP_NUM_THREADS="") == _threads.available_threads()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1", 1),
        (" 7 ", 7),
        ("4,2", 4),
        (" 3 , 9", 3),
        ("64", 64),  # more than there are: as OpenMP does
        ("999999999", 1024),
        *((bad, None) for bad in ("", "0", "-1", "many", "2.5", ",2", "0,2", "1" * 5000, "\u0661")),
    ],
)
def test_openmps_variable(value: str, expected: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert _threads._openmp_threads() == expected, "None: it is not ours to complain"


@pytest.mark.parametrize("bad", ["0", "-1", "1025", "many", "2.5", "4,2", "1" * 5000, "\udcff"])
def test_a_bad_number_of_threads_is_refused_whatever_openmp_says(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPTT_NUM_THREADS", bad)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    before = bptt.get_num_threads()
    with pytest.raises(
        ValueError, match=r"^BPTT_NUM_THREADS: expected a number of threads from 1 to 1024, got '.{1,210}"
    ):
        _threads.set_from_environment()
    assert bptt.get_num_threads() == before


BAD = [
    ("BPTT_NUM_THREADS", "many", "expected a number of threads from 1 to 1024, got 'many'\n"),
    ("BPTT_ISA", "\udcff\n", "expected one of "),
]


@pytest.mark.parametrize(("variable", "value", "expected"), BAD)
def test_a_bad_variable_is_an_error_of_the_import(variable: str, value: str, expected: str) -> None:
    done = run_python("import bptt", **{variable: value})
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert f"\nValueError: {variable}: {expected}" in done.stderr


@pytest.mark.parametrize(("variable", "value", "expected"), BAD)
def test_a_bad_variable_is_one_line_of_the_command(variable: str, value: str, expected: str, tmp_path: Path) -> None:
    script = tmp_path / "bptt"  # as the one that is installed
    script.write_text("import sys\nfrom bptt.app.options import main\nsys.exit(main())\n")
    for program in (["-m", "bptt"], [str(script)]):
        command = [sys.executable, *program, "info", "model"]
        done = subprocess.run(command, env={**os.environ, variable: value}, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert done.stderr.startswith(f"bptt: {variable}: {expected}")
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""


# ---- The control group ----


def process(folder: Path, groups: str, mounts: str) -> str:
    """A folder of /proc with what a process is told of its control groups and of what is mounted."""
    (folder / "cgroup").write_text(groups)
    (folder / "mountinfo").write_text(mounts.replace("FOLDER", str(folder).replace(" ", "\\040")))
    return str(folder)


def limit(folder: Path, quota: str, version: int = 2) -> None:
    """Write the quota of a control group."""
    folder.mkdir(parents=True, exist_ok=True)
    if version == 2:
        (folder / "cpu.max").write_text(f"{quota}\n")
    else:
        quota, period = quota.split()
        (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
        (folder / "cpu.cfs_period_us").write_text(f"{period}\n")


OTHERS = """\
22 28 0:20 / /proc rw,nosuid - proc proc rw
29 28 0:26 / FOLDER/no/cgroup rw shared:5 - tmpfs tmpfs rw,mode=755
30 29 0:27 / FOLDER/memory rw shared:6 master:2 - cgroup cgroup rw,memory
"""
V2 = f"{OTHERS}31 22 0:28 ROOT FOLDER/v2 rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = f"{OTHERS}31 22 0:28 ROOT FOLDER/v1 rw,relatime - cgroup cgroup rw,cpuacct,cpu\n"


@pytest.mark.parametrize(
    ("root", "path", "limits", "expected"),
    [
        ("/", "/", {}, math.inf),
        ("/", "/", {"": "max 100000"}, math.inf),
        ("/", "/", {"": "150000 100000"}, 1.5),
        ("/", "/a/b", {"a/b": "50000 100000"}, 0.5),
        ("/", "/a/b", {"a/b": "max 100000", "a": "250000 100000", "": "300000 100000"}, 2.5),
        ("/", "/a/b", {"a/b": "400000 100000", "a": "max 100000", "": "300000 100000"}, 3.0),
        ("/", "/a", {"a/b": "100000 100000", "b": "100000 100000"}, math.inf),  # not its own
        ("/", "/host/a", {"": "200000 100000"}, 2.0),  # a container that sees the path of its host
        ("/host/a", "/host/a/b", {"": "800000 100000", "b": "300000 200000"}, 1.5),  # and a mount that begins there
        ("/host/a", "/host/a", {"": "200000 100000", "host/a": "100000 100000"}, 2.0),
        ("/host/a", "/host/ab", {"": "200000 100000", "b": "100000 100000"}, 2.0),  # outside the mount
        ("/", "/../other", {"": "200000 100000", "other": "100000 100000"}, 2.0),
        ("/", "/a b", {"a b": "200000 100000"}, 2.0),
        *(("/", "/", {"": bad}, math.inf) for bad in ("0 100000", "100000 0", "-5 -5", "x y", "9" * 5000 + " 1")),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_the_least_quota_of_the_group_and_those_above_it(
    version: int, root: str, path: str, limits: dict[str, str], expected: float, tmp_path: Path
) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name, quota in limits.items():
        limit(folder / f"v{version}" / name, quota.replace("max", "max" if version == 2 else "-1"), version)
    groups = f"0::{path}\n" if version == 2 else f"5:memory:/elsewhere\n3:cpu,cpuacct:{path}\n1:name=systemd:/x\n"
    mounts = (V2 if version == 2 else V1).replace("ROOT", root)
    assert _threads._quota(process(folder, groups, mounts)) == expected


def test_both_versions_at_once_and_none(tmp_path: Path) -> None:
    both = process(tmp_path, "3:cpu:/a\n0::/b\n", V1.replace("ROOT", "/") + V2.replace("ROOT", "/"))
    assert _threads._quota(both) == math.inf
    limit(tmp_path / "v1" / "a", "300000 100000", 1)
    limit(tmp_path / "v2" / "a", "100000 100000")
    assert _threads._quota(both) == 3.0
    limit(tmp_path / "v2" / "b", "200000 100000")
    assert _threads._quota(both) == 2.0
    assert _threads._quota(str(tmp_path / "none")) in (math.inf, _threads._quota())


def test_the_usual_folders_without_a_list_of_mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = [("cgroup2", "/", str(tmp_path / "v2")), ("cgroup", "/", str(tmp_path / "v1"))]
    monkeypatch.setattr(_threads, "_USUAL_MOUNTS", usual)
    (tmp_path / "cgroup").write_text("0::/a\n3:cpu:/b\n")
    assert _threads._quota(str(tmp_path)) == math.inf
    limit(tmp_path / "v1" / "b", "300000 100000", 1)
    assert _threads._quota(str(tmp_path)) == 3.0
    limit(tmp_path / "v2", "200000 100000")
    assert _threads._quota(str(tmp_path)) == 2.0


@pytest.mark.skipif(sys.platform != "linux", reason="affinity is known on Linux only")
@pytest.mark.parametrize(
    ("quota", "expected"), [(math.inf, 6), (2.5, 2), (1.5, 1), (0.1, 1), (6.0, 6), (5.99, 5), (100.0, 6)]
)
def test_threads_follow_affinity_and_quota(quota: float, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    monkeypatch.setattr(_threads, "_quota", lambda: quota)
    assert _threads.available_threads() == expected
