"""Nothing here asks for the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from bptt import _core
from interpreter import run_python

# Python tells of each socket and each look-up of a name before it is made, and of each program before it is started.
WATCH = """
import sys
asked = []
sys.addaudithook(
    lambda event, _: event.startswith(("socket.", "urllib.", "subprocess.", "os.system", "os.exec", "os.posix_spawn"))
    and asked.append(event)
)
"""
EVERYTHING = """
import bptt, numpy
from bptt.app.options import main
rnn = bptt.ElmanRNN(2, 3, 2, seed=0)
x, y = numpy.zeros((4, 6, 2)), numpy.zeros((4, 6), int)
rnn.fit(x, y, optimizer=bptt.Adam(), epochs=2, checkpoint="run", progress=True)
rnn.save("network")
bptt.load("network").forward(x)
bptt.gradcheck(bptt.ElmanRNN(2, 3, 2, dtype="float64", seed=0), x, y)
with open("text", "w") as file:
    file.write("to be or not to be " * 100)
train = "train text --updates 3 --hidden 4 --out model"
for command in (train, "info model", "sample model --length 5", "evaluate model text", "export-c model"):
    assert main(command.split()) in (0, None), command
"""


def test_training_and_the_command_line_ask_for_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_python(f"{WATCH}{EVERYTHING}print('asked:', asked)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "asked: []"


def test_a_socket_would_have_been_seen() -> None:
    done = run_python(f"{WATCH}import socket\nsocket.socket().close()\nprint(asked)")
    assert done.stdout == "['socket.__new__']\n", done


def test_the_core_knows_no_network() -> None:
    assert _core.__file__ is not None
    binary = Path(_core.__file__).read_bytes()
    names = {name.lstrip(b"_") for name in binary.split(b"\0")}  # those that it exports and imports are among them
    assert b"PyInit__core" in names
    assert names.isdisjoint({b"socket", b"connect", b"getaddrinfo", b"sendto", b"recvfrom"})
