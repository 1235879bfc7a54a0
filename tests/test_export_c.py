"""Exported headers: compiled as C and as C++, without a warning, they compute what the network computes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
import bptt.app.options
from bptt import ElmanRNN, JordanRNN, export_c
from c_programs import LANGUAGES, MISSING_FOR_BOARD, Language, board_output, board_sizes, compiled, output, outputs

STEPS = 1000
# Of the largest output, in eps: both sides round, at most 4 were seen over all networks here.
TOLERANCE = 16

pytestmark = pytest.mark.skipif(not LANGUAGES, reason="no compiler of C is found")
on_board = pytest.mark.skipif(bool(MISSING_FOR_BOARD), reason=f"not found: {', '.join(MISSING_FOR_BOARD)}")
each_language = pytest.mark.parametrize("language", LANGUAGES or [None], ids=str)

NETWORKS: dict[str, Callable[[], ElmanRNN | JordanRNN]] = {
    "one layer": lambda: ElmanRNN(16, 32, 16, seed=1),
    "sigmoid, two layers of relu": lambda: ElmanRNN(3, (7, 5), 2, output="sigmoid", activation="relu", seed=1),
    "linear, double": lambda: ElmanRNN(5, 9, 1, output="linear", dtype="float64", seed=1),
    "tokens, three layers": lambda: ElmanRNN(11, (13, 8, 6), 11, input="token", seed=1),
    "tokens, relu, double": lambda: ElmanRNN(
        6, 10, 4, input="token", output="linear", activation="relu", dtype="float64", seed=1
    ),
    "no input": lambda: ElmanRNN(0, 6, 5, seed=1),
    "wide": lambda: ElmanRNN(64, 64, 64, output="linear", seed=1),
    "sigmoid, double": lambda: ElmanRNN(4, 17, 3, output="sigmoid", dtype="float64", seed=1),
    "leaky, two layers": lambda: ElmanRNN(3, (7, 5), 2, leak=[0.3, [0.1, 1.0, 0.5, 0.02, 0.9]], seed=1),
    "leaky relu of tokens, double": lambda: ElmanRNN(
        6, 10, 4, input="token", activation="relu", leak=0.15, dtype="float64", seed=1
    ),
    "learned h0": lambda: ElmanRNN(3, 7, 2, learn_h0=True, seed=1),
    "learned v0, two layers, double": lambda: ElmanRNN(3, (7, 5), 2, leak=0.02, learn_h0=True, dtype="float64", seed=1),
    "learned h0, three layers of relu": lambda: ElmanRNN(
        6, (7, 8, 5), 4, input="token", activation="relu", learn_h0=True, seed=1
    ),
    "y_hat of tokens fed back": lambda: JordanRNN(9, 12, 9, input="token", seed=1),
    "o fed back, no input": lambda: JordanRNN(0, 8, 3, output="linear", feedback="o", seed=1),
    "sigmoid fed back, double": lambda: JordanRNN(3, 10, 5, output="sigmoid", dtype="float64", seed=1),
    "relu, o fed back": lambda: JordanRNN(2, 16, 7, activation="relu", feedback="o", seed=1),
}
HOW = [{"math": math, "lanes": lanes} for lanes in (4, 1, 8) for math in ("own", "libm")]


def network(name: str) -> Any:
    """A network whose biases are not 0, and whose state neither grows nor dies."""
    rnn = NETWORKS[name]()
    random = np.random.default_rng(2)
    for letter, values in rnn.by_name().items():
        if letter[0] in "bc":
            values[...] = random.normal(0, 0.3, values.shape)
        if letter[:2] in ("h0", "v0"):
            values[...] = random.uniform(-2, 2, values.shape)
        if letter[0] == "W":
            values *= 0.9
    return rnn


def input_of(rnn: Any, steps: int = STEPS) -> Any:
    random = np.random.default_rng(3)
    if rnn.input == "token":
        return random.integers(0, rnn.n_in, steps)
    return random.standard_normal((steps, rnn.n_in)).astype(rnn.dtype)


def off_by(found: Any, right: Any) -> float:
    """The largest difference, of the largest number, in eps."""
    return float(np.abs(found - right).max() / np.abs(right).max() / np.finfo(right.dtype).eps)


@pytest.mark.parametrize("kind", ["-std=c99", "-std=c++17"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_thousand_steps_are_those_of_forward(name: str, kind: str, tmp_path: Path) -> None:
    languages = [one for one in LANGUAGES if one.options[0] == kind]
    if not languages:
        pytest.skip(f"no compiler with {kind} is found")
    turn = list(NETWORKS).index(name)
    rnn = network(name)
    x = input_of(rnn)
    how = HOW[turn % len(HOW)]
    o, y_hat, o_of_run = outputs(rnn, x, tmp_path, languages[turn % len(languages)], "-O2", **how)
    run = rnn.forward(x)
    assert off_by(o, run.o) <= TOLERANCE
    assert off_by(y_hat, run.y_hat) <= TOLERANCE
    np.testing.assert_array_equal(o_of_run, o)


@each_language
@pytest.mark.parametrize("level", ["-O0", "-O3"])
def test_every_compiler_at_other_levels(language: Language, level: str, tmp_path: Path) -> None:
    rnn = network("one layer")
    x = input_of(rnn)
    assert off_by(outputs(rnn, x, tmp_path, language, level)[0], rnn.forward(x).o) <= TOLERANCE


@each_language
def test_what_the_processor_chooses_has_the_bits_of_the_plain_step(language: Language, tmp_path: Path) -> None:
    rnn = network("tokens, three layers")
    exact = ("-O2", "-ffp-contract=off")
    chosen, plain = (
        outputs(rnn, input_of(rnn), tmp_path, language, *exact, *options) for options in ((), ("-Drnn_PLAIN",))
    )
    for one, other in zip(chosen, plain, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_last_o_is_that_of_a_readout_of_the_last_step(tmp_path: Path) -> None:
    rnn = ElmanRNN(3, 9, 4, readout="last", seed=0)
    x = input_of(rnn, 20)
    o, y_hat, _ = outputs(rnn, x, tmp_path, LANGUAGES[0])
    run = rnn.forward(x)
    assert off_by(o[-1], run.o) <= TOLERANCE
    assert off_by(y_hat[-1], run.y_hat) <= TOLERANCE


def test_a_token_out_of_range_is_a_vector_of_zeros(tmp_path: Path) -> None:
    rnn = network("tokens, three layers")
    tokens = np.array([3, 11, -1, np.iinfo(np.intc).max, np.iinfo(np.intc).min, 5])
    real = ElmanRNN(11, (13, 8, 6), 11)
    real.parameters = rnn.parameters
    one_hot = (tokens[:, None] == np.arange(11)).astype(np.float32)
    assert off_by(outputs(rnn, tokens, tmp_path, LANGUAGES[0])[0], real.forward(one_hot).o) <= TOLERANCE


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_goes_on(bad: float, tmp_path: Path) -> None:
    rnn = network("one layer")
    x = input_of(rnn, 6)
    x[3, 0] = bad
    o, _, _ = outputs(rnn, x, tmp_path, LANGUAGES[0], "-O2")
    right = rnn.forward(x).o
    np.testing.assert_array_equal(np.isnan(o), np.isnan(right))
    assert off_by(o[:3], right[:3]) <= TOLERANCE


# ---- Functions ----

FUNCTIONS = """
#include "model.h"
#include <stdio.h>
int main(void)
{
  static REAL x[8], tanh_x[8], decay_x[8];
  int j;
  while (fread(x, sizeof(REAL), 8, stdin) == 8) {
    for (j = 0; j < 8; ++j) tanh_x[j] = rnn_tanh(x[j]);
    for (j = 0; j < 8; ++j) decay_x[j] = rnn_decay(x[j]);
    fwrite(tanh_x, sizeof(REAL), 8, stdout);
    fwrite(decay_x, sizeof(REAL), 8, stdout);
  }
  return 0;
}
"""


def functions(x: Any, folder: Path, dtype: str) -> tuple[Any, Any]:
    """The header's own tanh(x) and exp(-|x|)."""
    export_c(ElmanRNN(1, 1, 1, output="sigmoid", dtype=dtype, seed=0), folder / "model.h")
    real = {"float32": "float", "float64": "double"}[dtype]
    program = compiled(folder, FUNCTIONS, LANGUAGES[0], {"REAL": real}, "-O2")
    found = np.frombuffer(output([program], x.tobytes()), x.dtype).reshape(-1, 2, 8)
    return found[:, 0].ravel(), found[:, 1].ravel()


def test_own_tanh_and_exp_of_floats_are_within_the_stated_error(tmp_path: Path) -> None:
    """Every 499th float, from the smallest normal one on."""
    x = np.arange(0x00800000, 0x7F800000, 499, dtype=np.uint32).view(np.float32)
    x = np.concatenate([x, -x])[: len(x) * 2 // 8 * 8]
    tanh, decay = functions(x, tmp_path, "float32")
    wide = x.astype(np.float64)
    assert _ulps(tanh, np.tanh(wide)).max() <= 2.5
    counted = np.abs(wide) < 87
    assert _ulps(decay[counted], np.exp(-np.abs(wide[counted]))).max() <= 2.5
    assert (decay[~counted] < 2e-38).all()
    np.testing.assert_array_equal(np.signbit(tanh), np.signbit(x))


def _ulps(found: Any, right: Any) -> Any:
    return np.abs(found.astype(np.float64) - right) / np.spacing(np.abs(right).astype(np.float32)).astype(np.float64)


def test_own_tanh_and_exp_of_doubles_are_within_the_stated_error(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = np.concatenate([10 ** random.uniform(-9, 1.5, 4000), random.uniform(0, 20, 4000)])
    tanh, decay = functions(x, tmp_path, "float64")
    with localcontext() as context:
        context.prec = 40
        for value, t, d in zip(x.tolist(), tanh.tolist(), decay.tolist(), strict=True):
            e = (-2 * Decimal(value)).exp()
            right_t, right_d = (1 - e) / (1 + e), (-Decimal(value)).exp()
            assert abs(Decimal(t) - right_t) <= Decimal(2.5 * np.spacing(float(right_t)))
            assert abs(Decimal(d) - right_d) <= Decimal(2.5 * np.spacing(float(right_d)))


def test_own_functions_at_their_ends(tmp_path: Path) -> None:
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-45], np.float32)
    tanh, decay = functions(x, tmp_path, "float32")
    np.testing.assert_array_equal(tanh, np.array([0, -0.0, 1, -1, np.nan, 1, -1, 1e-45], np.float32))
    assert np.isnan(decay[4])
    assert decay[0] == decay[1] == decay[7] == 1


# ---- The file ----


def test_every_number_can_be_read_back(tmp_path: Path) -> None:
    rnn = network("sigmoid, double")
    export_c(rnn, tmp_path / "model.h", lanes=1)
    text = (tmp_path / "model.h").read_text()
    for letter, values in {"U": rnn.U.T, "W": rnn.W.T, "b": rnn.b, "V": rnn.V.T, "c": rnn.c}.items():
        table = re.search(rf"rnn_{letter}(?:\[\d+\])+ = {{\n(.*?)\n}};", text, re.S)
        assert table is not None
        numbers = [float(number) for number in re.findall(r"[-\d.]+e[-+]\d+", table[1])]
        np.testing.assert_array_equal(np.reshape(numbers, values.shape), values)


def test_equal_models_give_equal_bytes(tmp_path: Path) -> None:
    rnn = network("one layer")
    rnn.save(tmp_path / "model.safetensors")
    export_c(rnn, tmp_path / "one.h")
    export_c(bptt.load(tmp_path / "model.safetensors"), tmp_path / "other.h")
    assert (tmp_path / "one.h").read_bytes() == (tmp_path / "other.h").read_bytes()
    assert (tmp_path / "one.h").read_bytes().isascii()


@pytest.mark.parametrize("name", ["one layer", "tokens, three layers", "no input", "sigmoid fed back, double"])
def test_the_example_in_the_comment_compiles_and_runs(name: str, tmp_path: Path) -> None:
    rnn = network(name)
    export_c(rnn, tmp_path / "model.h")
    comment = (tmp_path / "model.h").read_text().partition("*/")[0]
    example = comment.partition("An example:\n")[2]
    printed = output([compiled(tmp_path, example, LANGUAGES[0], {})]).decode().split()
    x = np.arange(3) if rnn.input == "token" else np.zeros((3, rnn.n_in))
    np.testing.assert_allclose([float(one) for one in printed], rnn.forward(x).o[:, 0], rtol=1e-5)


@each_language
def test_two_models_in_one_program(language: Language, tmp_path: Path) -> None:
    export_c(network("one layer"), tmp_path / "a.h", prefix="left")
    export_c(network("tokens, three layers"), tmp_path / "b.h", prefix="right", math="libm")
    source = '#include "a.h"\n#include "b.h"\n#include "a.h"\nint main(void) { return 0; }\n'
    output([compiled(tmp_path, source, language, {})])


@pytest.mark.slow
def test_a_million_parameters_are_written_in_some_seconds(tmp_path: Path) -> None:
    rnn = ElmanRNN(16, 1000, 16, seed=0)
    begin = time.process_time()
    export_c(rnn, tmp_path / "model.h")
    assert time.process_time() - begin < 10  # it takes one
    text = (tmp_path / "model.h").read_text()
    assert text.count("e-") + text.count("e+") >= rnn.parameters.size


# ---- Targets fed back ----

SEEN = """
#include "model.h"
#include <stdio.h>
int main(void)
{
  static rnn_state state;
  static float o[N_OUT];
  const TARGET;
  rnn_init(&state);
  rnn_step(&state, NULL, o);
  rnn_see(&state, y);
  rnn_step(&state, NULL, o);
  fwrite(o, sizeof(float), N_OUT, stdout);
  return 0;
}
"""


@pytest.mark.parametrize(
    ("output_unit", "target", "r"),
    [("softmax", "int y = 1", [0, 1, 0]), ("linear", "float y[] = {1, 2, 3}", [1, 2, 3])],
)
def test_a_target_is_seen_by_the_next_step(output_unit: Any, target: str, r: list[int], tmp_path: Path) -> None:
    rnn = JordanRNN(0, 5, 3, output=output_unit, seed=0)
    export_c(rnn, tmp_path / "model.h")
    program = compiled(tmp_path, SEEN, LANGUAGES[0], {"N_OUT": "3", "TARGET": target})
    found = np.frombuffer(output([program]), np.float32)
    assert off_by(found, rnn.forward(np.zeros((1, 0)), r0=r).o[0]) <= TOLERANCE


# ---- Leaky units ----

BEGUN = """
#include "model.h"
#include <stdio.h>
int main(void)
{
  static rnn_state state;
  static float o[N_OUT];
  rnn_init(&state);
  state.v1[1] = 0.5f;
  state.v2[0] = -2.0f;
  rnn_begin(&state);
  rnn_step(&state, NULL, o);
  fwrite(o, sizeof(float), N_OUT, stdout);
  fwrite(state.v2, sizeof(float), 3, stdout);
  return 0;
}
"""


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_leaky_network_begins_with_the_v_that_is_set(activation: Any, tmp_path: Path) -> None:
    rnn = ElmanRNN(0, (4, 3), 2, activation=activation, leak=0.25, seed=0)
    export_c(rnn, tmp_path / "model.h")
    program = compiled(tmp_path, BEGUN, LANGUAGES[0], {"N_OUT": "2"})
    found = np.frombuffer(output([program]), np.float32)
    run = rnn.forward(np.zeros((1, 0)), v0=[[0, 0.5, 0, 0], [-2, 0, 0]])
    assert off_by(found[:2], run.o[0]) <= TOLERANCE
    assert off_by(found[2:], run.v_last[1]) <= TOLERANCE


# ---- Texts ----

TEXT = """
#include "model.h"
#include <stdio.h>
int main(void)
{
  static char text[TEXT_BYTES + 1], utf8[5];
  const char *rest = text;
  if (fread(text, 1, TEXT_BYTES, stdin) != TEXT_BYTES) return 1;
  while (*rest) {
    const int token = rnn_encode(&rest);
    printf("%d %d\\n", token, rnn_decode(token, utf8));
    if (token >= 0) printf("%s\\n", utf8);
  }
  return rnn_encode(&rest) + 1 + rnn_decode(VOCABULARY, utf8);
}
"""


@each_language
def test_characters_and_their_tokens(language: Language, tmp_path: Path) -> None:
    characters = "za\u00e9\u07ff\u0800\u20ac\ud7ff\ue000\uffff\U00010000\U0010ffff\x7f"
    n = len(characters)
    export_c(ElmanRNN(n, 4, n, input="token", seed=0), tmp_path / "model.h", vocabulary=characters)
    # Between them: one that is unknown; a lone continuation; bytes that never occur; overlong; a surrogate; too large;
    # one that ends too early.
    bad = [b"b", b"\x80", b"\xff", b"\xc0\xaf", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"]
    text = b"".join(one.encode() + other for one, other in zip(characters, [*bad, b"", b"", b"", b""], strict=True))
    program = compiled(tmp_path, TEXT, language, {"TEXT_BYTES": str(len(text)), "VOCABULARY": str(n)})
    lines = output([program], text).decode().splitlines()
    expected = []
    for i, one in enumerate(characters):
        expected += [f"{i} {len(one.encode())}", one]
        if i < len(bad):
            expected += ["-1 0"] * len(bad[i])
    assert lines == expected


# ---- Tables ----

TABLE = """
#include "model.h"
#include <stdio.h>
int main(void)
{
  static rnn_state state;
  static double rows[STEPS][N_IN], seen[STEPS][N_OUT], targets[N_OUT];
  static float x[N_IN], o[N_OUT];
  int t;
  if (fread(rows, sizeof rows, 1, stdin) != 1 || fread(seen, sizeof seen, 1, stdin) != 1) return 1;
  rnn_init(&state);
  for (t = 0; t < STEPS; ++t) {
    SEE
    rnn_standardise(rows[t] BEFORE, x);
    rnn_step(&state, x, o);
    rnn_unstandardise(o PRESENT, targets);
    fwrite(targets, sizeof targets, 1, stdout);
  }
  return rnn_input_names[0][0] != 'l' || rnn_target_names[0][0] != '?';
}
"""


@pytest.mark.parametrize("differences", [False, True])
@pytest.mark.parametrize("kind", [ElmanRNN, JordanRNN])
def test_a_model_of_tables_predicts_in_its_units(kind: Any, differences: bool, tmp_path: Path) -> None:
    odd = '??/"\\\n*/\u00e9'  # a trigraph, and what would end a string or a comment
    columns = {
        "inputs": ["load", odd],
        "targets": [odd],
        "input_mean": [5.0, -2.0],
        "input_scale": [3.0, 0.1],
        "target_mean": [7.5],
        "target_scale": [1e-3],
        "differences": differences,
    }
    rnn = kind(2, 9, 1, output="linear", seed=0)
    export_c(rnn, tmp_path / "model.h", columns=columns)
    random = np.random.default_rng(0)
    inputs, targets = random.normal(5, 3, (50, 2)), random.normal(7.5, 1e-3, (50, 1))
    inputs[20, 1] = np.nan
    raw = np.diff(inputs, axis=0, prepend=np.nan) if differences else inputs
    x = np.nan_to_num((raw - [5.0, -2.0]) / [3.0, 0.1], nan=0.0).astype(np.float32)  # 0, the mean, for what is missing
    if kind is JordanRNN:  # each step reads what the step before should have put out
        known = np.diff(targets, axis=0) if differences else targets[1:]
        r = np.concatenate([np.zeros((1, 1)), (known - 7.5) / 1e-3]).astype(np.float32)
        o = rnn.forward(x[None], r0=r).o[0]
    else:
        o = rnn.forward(x).o
    right = o.astype(np.float64) * 1e-3 + 7.5 + (targets if differences else 0.0)
    before = "seen[t], seen[t - 1]" if differences else "seen[t]"
    first = 1 if kind is JordanRNN else 50
    see = f"if (t >= {first}) {{ float y[1]; rnn_standardise_targets({before}, y); rnn_see(&state, y); }}"
    definitions = {
        "STEPS": "50",
        "N_IN": "2",
        "N_OUT": "1",
        "SEE": see if kind is JordanRNN else "",
        "BEFORE": ", t ? rows[t - 1] : NULL" if differences else "",
        "PRESENT": ", seen[t]" if differences else "",
    }
    program = compiled(tmp_path, TABLE, LANGUAGES[0], definitions)
    found = np.frombuffer(output([program], inputs.tobytes() + targets.tobytes())).reshape(50, 1)
    assert off_by(found, right) * np.finfo(np.float64).eps * 7.5 <= TOLERANCE * np.finfo(np.float32).eps * 1e-2


def test_a_model_of_texts_carries_its_characters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rnn = ElmanRNN(3, 8, 3, input="token", seed=0)
    rnn.metadata["vocabulary"] = "\n\u00e9a"
    rnn.save(tmp_path / "model.safetensors")
    out = tmp_path / "model.h"
    assert (
        bptt.app.options.main(["export-c", str(tmp_path / "model.safetensors"), "-o", str(out), "--prefix", "q"]) == 0
    )
    assert "q_vocabulary[3] = {\n  0x000Au, 0x00E9u, 0x0061u\n};" in out.read_text()
    assert capsys.readouterr().out == f"saved: {out}, 528 bytes of weights, 32 of state, 88 multiply-adds a step\n"


# ---- A board without an operating system ----

BOARD = """
#include "model.h"
#include <stdio.h>
rnn_state state;
int main(void)
{
  float x[N_IN], o[N_OUT], y_hat[N_OUT];
  int t, j;
  rnn_init(&state);
  for (t = 0; t < 100; ++t) {
    for (j = 0; j < N_IN; ++j) x[j] = (float)((t * 7 + j * 3) % 11) * 0.125f - 0.5f;
    rnn_step(&state, x, o);
    rnn_y_hat(o, y_hat);
    for (j = 0; j < N_OUT; ++j) printf("%.9g %.9g\\n", (double)o[j], (double)y_hat[j]);
  }
  return 0;
}
"""
PART = """
#include "model.h"
rnn_state state;
void step(const float *x, float *o);
void step(const float *x, float *o)
{
  rnn_step(&state, x, o);
}
"""


@on_board
@pytest.mark.parametrize("name", ["one layer", "sigmoid, two layers of relu", "relu, o fed back"])
def test_a_cortex_m4_prints_the_same_outputs(name: str, tmp_path: Path) -> None:
    rnn = network(name)
    export_c(rnn, tmp_path / "model.h", lanes=1)
    source = BOARD.replace("N_IN", str(rnn.n_in)).replace("N_OUT", str(rnn.n_out))
    printed = board_output(tmp_path, source)
    assert printed == output([compiled(tmp_path, source, LANGUAGES[0], {}, "-O2", "-ffp-contract=off")]).decode()
    t, j = np.arange(100)[:, None], np.arange(rnn.n_in)
    run = rnn.forward(((t * 7 + j * 3) % 11) * 0.125 - 0.5)
    numbers = np.array(printed.split(), np.float32).reshape(100, rnn.n_out, 2)
    assert off_by(numbers[..., 0], run.o) <= TOLERANCE
    assert off_by(numbers[..., 1], run.y_hat) <= TOLERANCE


@on_board
@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("name", ["one layer", "sigmoid, two layers of relu", "no input", "relu, o fed back"])
def test_a_cortex_m4_takes_the_stated_bytes(name: str, lanes: int, tmp_path: Path) -> None:
    export_c(network(name), tmp_path / "model.h", lanes=lanes)
    comment = (tmp_path / "model.h").read_text().partition("*/")[0].replace(",", "")
    tables = board_sizes(tmp_path, PART, "-O0")  # an optimizer moves short tables into the code
    sizes = board_sizes(tmp_path, PART)
    flash, ram = (re.search(rf"{what} +(\d+) bytes", comment) for what in ("flash", "RAM"))
    assert flash is not None
    assert ram is not None
    assert tables[".rodata"] == int(flash[1])
    assert sizes[".bss"] == int(ram[1])
    assert sizes[".data"] == 0
    assert int(flash[1]) <= sizes[".rodata"] + sizes[".text"] <= int(flash[1]) + 1500
