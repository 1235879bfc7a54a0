"""Programs in C around an exported header: compilers, warnings that are errors, and what a program puts out."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bptt import ElmanRNN, JordanRNN, export_c

WARNINGS = ("-Wall", "-Wextra", "-Werror", "-pedantic", "-Wdouble-promotion", "-Wconversion", "-Wshadow")


class Language(NamedTuple):
    """A compiler, and what makes it read a file as C or as C++."""

    compiler: str
    options: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.compiler}-{self.options[0].removeprefix('-std=')}"


_C, _CXX = ("-std=c99", "-x", "c"), ("-std=c++17", "-x", "c++")
_KNOWN = [Language(c, _C) for c in ("gcc", "clang", "cc")] + [Language(c, _CXX) for c in ("g++", "clang++", "c++")]


def _languages() -> list[Language]:
    """Those of this machine: cc and c++ only where they have no other name."""
    found = [one for one in _KNOWN if shutil.which(one.compiler)]
    named = {one.options for one in found if one.compiler not in ("cc", "c++")}
    return [one for one in found if one.compiler not in ("cc", "c++") or one.options not in named]


LANGUAGES = _languages()
Network = ElmanRNN | JordanRNN

# Reads as many x as steps, and writes o and y_hat of each; then the o of one call for all of them.
STEPS = """
#include "model.h"
#include <stdio.h>

static REAL all_o[STEPS * N_OUT];
static INPUT all_x[STEPS * N_READ + 1];

int main(void)
{
  static rnn_state state;
  static REAL o[N_OUT], y_hat[N_OUT];
  int t;
  if (fread(all_x, sizeof(INPUT), STEPS * N_READ, stdin) != STEPS * N_READ) return 1;
  rnn_init(&state);
  for (t = 0; t < STEPS; ++t) {
    rnn_step(&state, GIVEN, o);
    rnn_y_hat(o, y_hat);
    fwrite(o, sizeof(REAL), N_OUT, stdout);
    fwrite(y_hat, sizeof(REAL), N_OUT, stdout);
  }
  rnn_init(&state);
  rnn_run(&state, all_x, STEPS, all_o);
  fwrite(all_o, sizeof(REAL), STEPS * N_OUT, stdout);
  return 0;
}
"""


def words(rnn: Network, steps: int) -> dict[str, str]:
    """What stands for a network in a program, as definitions."""
    tokens = rnn.input == "token"
    real = "float" if rnn.dtype == np.float32 else "double"
    return {
        "REAL": real,
        "INPUT": "int" if tokens else real,
        "N_OUT": str(rnn.n_out),
        "N_READ": "1" if tokens else str(rnn.n_in),
        "STEPS": str(steps),
        "GIVEN": "all_x[t]" if tokens else "all_x + t * N_READ",
    }


def compiled(folder: Path, source: str, language: Language, definitions: dict[str, str], *options: str) -> Path:
    """Compile a program whose header is in the folder."""
    text = "".join(f"#define {name} {value}\n" for name, value in definitions.items()) + source
    (folder / "program.c").write_text(text)
    program = folder / "program"
    command = [language.compiler, *WARNINGS, *options, *language.options, "program.c", "-o", str(program), "-lm"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return program


def output(program: Sequence[str | Path], data: bytes = b"") -> bytes:
    """What a program writes."""
    done = subprocess.run([str(part) for part in program], input=data, capture_output=True, timeout=120)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout


def outputs(rnn: Network, x: Any, folder: Path, language: Language, *options: str, **how: Any) -> tuple[Any, Any, Any]:
    """The o and y_hat of single steps, and the o of one call, by the header of a network."""
    export_c(rnn, folder / "model.h", **how)
    steps = len(x)
    program = compiled(folder, STEPS, language, words(rnn, steps), *options)
    data = x.astype(np.intc if rnn.input == "token" else rnn.dtype).tobytes()
    numbers = np.frombuffer(output([program], data), rnn.dtype)
    single = numbers[: 2 * steps * rnn.n_out].reshape(steps, 2, rnn.n_out)
    return single[:, 0], single[:, 1], numbers[2 * steps * rnn.n_out :].reshape(steps, rnn.n_out)


# A board with a Cortex-M4, emulated: its program begins here, and puts out text through the emulator.
START = """
#include <stdint.h>
extern void _start(void);
void reset(void);
__attribute__((section(".vectors"), used)) static const uintptr_t vectors[2] = {0x20400000u, (uintptr_t)reset};

void reset(void)
{
  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* the processor's floating-point unit is switched on */
  __asm__ volatile("dsb\\nisb");
  _start();
}
"""

_ARM = "arm-none-eabi-"
_BOARD = "qemu-system-arm"
_CORTEX_M4 = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-std=c99", "-Os")
MISSING_FOR_BOARD = [tool for tool in (f"{_ARM}gcc", f"{_ARM}size", _BOARD) if not shutil.which(tool)]


def _for_board(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [f"{_ARM}gcc", *_CORTEX_M4, *WARNINGS, *arguments], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def board_output(folder: Path, source: str) -> str:
    """What a program in the folder writes on the emulated board."""
    (folder / "program.c").write_text(source)
    (folder / "start.c").write_text(START)
    linked = ("--specs=rdimon.specs", "-Wl,--section-start=.vectors=0")
    _for_board(folder, "program.c", "start.c", *linked, "-o", "program.elf")
    semihosting = ("-semihosting-config", "enable=on,target=native")
    machine = (_BOARD, "-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none", *semihosting)
    return output([*machine, "-kernel", folder / "program.elf"]).decode()


def board_sizes(folder: Path, source: str, *options: str) -> dict[str, int]:
    """The bytes of each section of a compiled file."""
    (folder / "part.c").write_text(source)
    _for_board(folder, *options, "-c", "part.c", "-o", "part.o")
    lines = output([f"{_ARM}size", "-A", folder / "part.o"]).decode().splitlines()
    return {name: int(n) for name, n, *_ in map(str.split, (line for line in lines if line.startswith(".")))}
