"""A program: one training on several hosts. They are network namespaces of this machine, each with its own address.

``sudo python tests/hosts.py`` makes three hosts, each with an address, a name, shared memory and processes of its own,
behind one switch. `mpiexec` of the first starts processes on all of them, as it would over SSH. The cases of
`distributed_cases.py` must have the bits of one process, and what the hosts sent each other is counted at their cables.
Nothing stays behind. Needs root, Linux with `ip` and `unshare`, and mpi4py with the `mpiexec` beside this Python.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from distributed_cases import NAMES, Case

HERE = Path(__file__).resolve().parent
HOSTS = ("red", "green", "blue")
SWITCH = "switch"
LAYOUTS = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]  # hosts, and processes of each
SECONDS = 300  # of a training, at most
UPDATES = 3  # of an epoch, the fewest that a case has
WHERE = """
import json, os
from mpi4py import MPI
if names := MPI.COMM_WORLD.gather(os.uname().nodename):
    print(json.dumps(names))
"""


def namespace(name: str) -> str:
    """Its name on this machine, another one in each run."""
    return f"{Path(os.environ['BPTT_HOSTS']).name}-{name}"


def address(host: str) -> str:
    return f"10.77.0.{HOSTS.index(host) + 1}"


def ip(*arguments: str, of: str | None = None) -> str:
    """What `ip` says, in a namespace or outside of all."""
    where = [] if of is None else ["-netns", namespace(of)]
    return subprocess.run(["ip", *where, *arguments], check=True, capture_output=True, text=True).stdout


@contextmanager
def network() -> Iterator[None]:
    """A switch and the hosts, each with a cable to it."""
    with ExitStack() as made:
        for name in (SWITCH, *HOSTS):
            ip("netns", "add", namespace(name))
            made.callback(ip, "netns", "delete", namespace(name))
            ip("link", "set", "lo", "up", of=name)
        ip("link", "add", "switch", "type", "bridge", of=SWITCH)
        ip("link", "set", "switch", "up", of=SWITCH)
        for host in HOSTS:
            ip("link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", namespace(host), of=SWITCH)
            ip("link", "set", host, "master", "switch", "up", of=SWITCH)
            ip("address", "add", f"{address(host)}/24", "dev", "eth0", of=host)
            ip("link", "set", "eth0", "up", of=host)
        yield


def received() -> dict[str, int]:
    """Bytes that have come to each host by its cable."""
    links = {host: json.loads(ip("-json", "-statistics", "link", "show", "eth0", of=host)) for host in HOSTS}
    return {host: link[0]["stats64"]["rx"]["bytes"] for host, link in links.items()}


def on(host: str, command: str) -> list[str]:
    """A command of the shell on a host: its own network, name, shared memory, processes and temporary files."""
    folder = Path(os.environ["BPTT_HOSTS"], host)
    folder.mkdir(exist_ok=True)
    begin = (
        f"hostname {host} && mount --bind {folder.parent}/hosts /etc/hosts && mount -t tmpfs tmpfs /dev/shm && "
        f"export TMPDIR={folder} && cd {folder} && {command}"
    )
    own = ["unshare", "--uts", "--ipc", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return ["ip", "netns", "exec", namespace(host), *own, "sh", "-c", begin]


def connect(arguments: list[str]) -> None:
    """Do what `ssh` does: ``[options] host command...``, from one host to another."""
    while arguments[0].startswith("-"):
        arguments = arguments[1:]
    host, *command = arguments
    call = on(host, " ".join(command))
    os.execvp(call[0], call)


def mpiexec(program: str, library: str, hosts: int, each: int, *arguments: str) -> list[str]:
    """The first host's command that starts processes on some of the hosts."""
    names = HOSTS[:hosts]
    agent = f"{os.environ['BPTT_HOSTS']}/connect"
    if library == "Open MPI":
        where = ["--host", ",".join(f"{name}:{each}" for name in names), "--prtemca", "plm_ssh_agent", agent]
        where += ["--map-by", ":OVERSUBSCRIBE", "--bind-to", "none"]
    else:
        where = ["-hosts", ",".join(f"{name}:{each}" for name in names), "-launcher", "ssh", "-launcher-exec", agent]
    command = [program, *where, "-n", str(hosts * each), sys.executable, *arguments]
    return on(HOSTS[0], shlex.join(command))


def ran(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def compare(program: str, library: str) -> int:
    """Train in all layouts; the exit code."""
    least = sum(case.rnn.parameters.nbytes * case.options["epochs"] * UPDATES for case in map(Case, NAMES))
    expected, wrong = None, 0
    for hosts, each in LAYOUTS:
        names = json.loads(ran(mpiexec(program, library, hosts, each, "-c", WHERE)))
        assert sorted(names) == sorted(HOSTS[:hosts] * each), names
        before, begin = received(), time.perf_counter()
        found = json.loads(ran(mpiexec(program, library, hosts, each, str(HERE / "distributed_cases.py"), "1")))
        seconds = time.perf_counter() - begin
        came = {host: count - before[host] for host, count in received().items()}
        expected = expected or found
        differ = [name for name in expected if found[name] != expected[name]]
        # Whoever has the sum of all gradients has received as many numbers as it is long, of each update.
        by_cable = all(came[host] >= least if hosts > 1 else came[host] < 10_000 for host in HOSTS[:hosts])
        wrong += bool(differ) + (not by_cable)
        same = f"{len(expected) - len(differ)} of {len(expected)} cases have the bits of one process"
        told = ", ".join(f"{host} {count / 1e6:.2f} MB" for host, count in came.items())
        unlike = "" if by_cable else ", not as expected"
        print(f"{hosts} hosts x {each} processes, {seconds:.1f} s: {same}; received: {told}{unlike}", flush=True)
    return int(wrong > 0)


def main() -> int:
    if sys.argv[1:2] == ["--connect"]:
        connect(sys.argv[2:])
    if sys.platform != "linux" or os.geteuid() != 0:
        raise SystemExit("expected root on Linux, to make network namespaces")
    program = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
    for name in filter(lambda name: shutil.which(name) is None, ("ip", "unshare")):
        raise SystemExit(f"expected {name} to be installed")
    if program is None:
        raise SystemExit("expected mpiexec beside Python: pip install '.[mpi]'")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    library = "Open MPI" if "Open MPI" in version else "MPICH"
    print(f"{library}: {program}", flush=True)
    os.environ |= dict.fromkeys(
        (f"{kind}_ALLOW_RUN_AS_ROOT{more}" for kind in ("OMPI", "PRTE") for more in ("", "_CONFIRM")), "1"
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # nothing stays behind then either
    with tempfile.TemporaryDirectory(prefix="bptt-hosts-") as folder, ExitStack() as made:
        os.environ["BPTT_HOSTS"] = folder
        made.enter_context(network())
        Path(folder, "hosts").write_text(
            "".join(f"{address(host)} {host}\n" for host in HOSTS) + "127.0.0.1 localhost\n"
        )
        agent = Path(folder, "connect")
        agent.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE / "hosts.py"} --connect "$@"\n')
        agent.chmod(0o755)
        return compare(program, library)


if __name__ == "__main__":
    sys.exit(main())
