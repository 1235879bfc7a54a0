"""The examples run as their first lines say, and what they show is so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not part of an installation")


def output(name: str, folder: Path, *options: str, given: str = "") -> str:
    """What an example prints in a moment, in a process of its own."""
    quick = ["--quick"] if "--quick" in (EXAMPLES / name).read_text(encoding="utf-8") else []  # others are quick anyway
    command = [sys.executable, str(EXAMPLES / name), *quick, *options]
    environment = {**os.environ, "PYTHONUTF8": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, input=given, capture_output=True, encoding="utf-8", timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def table(printed: str) -> dict[str, list[str]]:
    """The rows that end in numbers, by what they begin with."""
    rows = re.finditer(r"^ *(.*?)((?:  +-?\d[\d.]*(?:e[+-]\d+)?)+)$", printed, re.M)
    return {match[1].strip(): match[2].split() for match in rows}


def test_teacher_forcing(tmp_path: Path) -> None:
    rows = table(output("teacher_forcing.py", tmp_path))
    elman, jordan = map(float, rows["delay"])
    assert elman < 0.1
    assert abs(jordan - 0.6931) < 0.02  # ln 2, of some thousand coins
    gaps = {name: float(rows[name][2]) for name in ("teacher forcing", "scheduled sampling", "free-running")}
    assert gaps["teacher forcing"] > 0.1
    assert max(gaps["scheduled sampling"], gaps["free-running"]) < 0.05


def test_audio_effect(tmp_path: Path) -> None:
    """Nearer to the device than any linear filter, and in time."""
    rows = table(output("audio_effect.py", tmp_path))
    for material in ("other notes", "a sweep"):
        as_it_is, linear, network = map(float, rows[material])
        assert network < linear - 3 < as_it_is
    assert float(rows["times real time"][0]) > 2


def test_balance_pole(tmp_path: Path) -> None:
    """Three seconds of pushes: nobody's poles fall, all others stay up. C drives as the stream does."""
    printed = output("balance_pole.py", tmp_path)
    rows = table(printed)
    assert float(rows["nobody"][0]) < 1.5
    ways = ["teacher, sees all", "network, by stream"]
    if "no C compiler" not in printed:
        ways.append("network, in C")
        apart = re.search(r"at most (\S+) N apart", printed)
        assert apart
        assert float(apart[1]) < 0.01
    assert all(float(rows[way][0]) > 2.5 for way in ways)


@pytest.mark.parametrize("given", ["", "The class\n\nA loop \u00e9 is"], ids=["no input", "lines"])
def test_live_text(given: str, tmp_path: Path) -> None:
    """It writes once by itself, then after each line, and ends with the input."""
    file = tmp_path / "text.txt"
    file.write_text("The class of a loop is what the loop is of.\nA class is a loop.\n" * 50, encoding="utf-8")
    printed = output("live_text.py", tmp_path, str(file), "--length", "50", given=given)
    written = printed.split("a step\n", 1)[1]
    assert len(written) >= 50 * (1 + len(given.splitlines()))
    assert all(line in written for line in given.splitlines())


def drawn(name: str, folder: Path) -> dict[str, list[str]]:
    """The table of an example that draws a picture; the picture is there."""
    pytest.importorskip("matplotlib")
    rows = table(output(name, folder, "-o", "picture.png"))
    assert (folder / "picture.png").read_bytes().startswith(b"\x89PNG")
    return rows


def test_bptt_by_hand(tmp_path: Path) -> None:
    """NumPy, the core and the reference add in other orders: each of some ten additions may round by half a place."""
    rows = table(output("bptt_by_hand.py", tmp_path))
    assert len(rows) == 11
    assert all(float(number) <= 16.0 for (number,) in rows.values())


def test_picture_by_hand(tmp_path: Path) -> None:
    assert len(drawn("bptt_by_hand.py", tmp_path)) == 11


def test_gradients_through_time(tmp_path: Path) -> None:
    """Gradients vanish or explode by the spectral radius. Only who clips them learns."""
    rows = drawn("gradients_through_time.py", tmp_path)
    first = {name: float(numbers[0]) for name, numbers in rows.items() if name.startswith("radius")}
    assert list(first.values()) == sorted(first.values())
    assert first["radius 0.50"] < 1e-12
    assert first["radius 1.50"] > 1e6
    assert float(rows["not clipped"][1]) > 0.07  # 1/12 is what a constant has
    assert float(rows["clipped to norm 1"][1]) < 0.03


def test_decision_network(tmp_path: Path) -> None:
    """Nearly as good as an ideal observer; excitatory and inhibitory units are what they are called.

    Training ends at 97 % of the observer's score, and a last digit is rounded. At no coherence is a network better than
    the observer, but by chance: 4.5 standard deviations of 600 trials are 0.09.
    """
    rows = drawn("decision_network.py", tmp_path)
    shares = np.array([[float(number) for number in numbers] for name, numbers in rows.items() if name.endswith("%")])
    network, ideal = shares.T
    assert len(shares) == 5
    assert network.mean() > 0.96 * ideal.mean()
    assert (network < ideal + 0.09).all()
    assert (network > 0.85)[ideal > 0.95].all()
    assert float(rows["excitatory"][1]) >= 0.0
    assert float(rows["inhibitory"][2]) <= 0.0


def test_flip_flop(tmp_path: Path) -> None:
    """The corners of a cube are stable, and saddles lie on its 12 edges, as a rule."""
    rows = drawn("flip_flop.py", tmp_path)
    assert int(rows["stable"][0]) == 8
    assert int(rows["unstable in 1"][0]) >= 8
    assert float(rows["bits right"][0]) > 0.99
