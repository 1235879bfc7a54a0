"""A trained network as one C99 header: `export_c`, its arguments, and the order of what is in the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from bptt._checks import a_path, choice
from bptt._version import __version__
from bptt._whole_file import write_whole
from bptt.export import c_functions as c
from bptt.export.c_names import checked_prefix, checked_vocabulary
from bptt.export.c_numbers import DOUBLE, FLOAT, Real, columns_of, padded, padded_vector, wrapped
from bptt.export.c_units import Units
from bptt.networks.base import RecurrentNetwork
from bptt.networks.parameters import STATES

_LANES = (1, 4, 8, 16)


class Sizes(NamedTuple):
    """What a header asks of the machine that runs it."""

    flash: int  # bytes of weights
    ram: int  # bytes of a state
    stack: int  # bytes of numbers, while a step is computed
    multiply_adds: int  # a step


def export_c(
    rnn: RecurrentNetwork,
    path: str | os.PathLike[str],
    *,
    prefix: str = "rnn",
    math: Literal["own", "libm"] = "own",
    lanes: int = 4,
    vocabulary: str | None = None,
    columns: Mapping[str, Any] | None = None,
) -> None:
    """Write a trained network as one C99 header, which includes nothing else of this package.

    The header has the weights, a struct with the state, and functions ``PREFIX_init``, ``PREFIX_step``, ``PREFIX_run``
    and ``PREFIX_y_hat``, which compute (10.8) to (10.11). It compiles as C99 and as C++, allocates nothing, and tells
    in its first lines how many bytes it takes and how it is used. Equal models give equal bytes.

    A step puts out o(t) at once, of a network with ``readout="last"`` as well: there only the one after a sequence's
    last step means something. A token outside of ``[0, n_in)`` is read as a vector of zeros. A `JordanRNN` feeds its
    own output back; ``PREFIX_see`` puts a target in its place.

    Parameters
    ----------
    rnn : ElmanRNN or JordanRNN
        The network, of any number of layers, in one direction. Its numbers are ``float`` or ``double``, as its dtype
        is.
    path : path-like
        By convention ``*.h``. What stands there is replaced, and whole at every moment.
    prefix : str
        What every name in the header begins with: a letter, then letters, digits and single underscores.
    math : {"own", "libm"}
        Whose tanh and exp are used. ``"own"``: the header's own, with an error of at most 2.5 ulp, which compilers turn
        into vector instructions; nothing has to be linked. ``"libm"``: those of ``<math.h>``.
    lanes : {1, 4, 8, 16}
        The rows of a table are filled up with zeros to a multiple of this: 4 and more for processors with vectors, 1
        for those without, where it saves flash.
    vocabulary : str, optional
        The characters that the tokens of the network stand for: then there are ``PREFIX_encode`` and ``PREFIX_decode``,
        from UTF-8 and to it.
    columns : mapping, optional
        The units of what the network reads and puts out, as a model of ``bptt train`` has them in
        ``metadata["series"]``: ``inputs`` and ``targets`` (lists of names), ``input_mean``, ``input_scale``,
        ``target_mean``, ``target_scale`` (lists of numbers) and ``differences`` (False without it). Then there are
        ``PREFIX_standardise`` and ``PREFIX_unstandardise``. Other keys have no meaning in C.

    Raises
    ------
    ValueError
        If the network has two directions, as the second one begins at the end of a sequence, which a step does not
        know; if parameters are not finite; if `vocabulary` or `columns` do not fit the network; if `prefix` is no name.
    TypeError
        If an argument has another type.
    OSError
        What the system says (no such folder, no permission, no space left).

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from bptt import ElmanRNN, export_c
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_c(ElmanRNN(16, 64, 16, seed=0), Path(folder) / "model.h", prefix="motor")
    ...     print("motor_step(motor_state *state, const float *x, float *o)" in (Path(folder) / "model.h").read_text())
    True
    """
    header = Header(rnn, prefix, math, lanes, vocabulary, columns)
    write_whole(a_path("path", path), header.text().encode("ascii"))


class Header:
    """What is in a header, checked.

    Parameters
    ----------
    rnn, prefix, math, lanes, vocabulary, columns
        As for `export_c`, which names the errors.
    """

    def __init__(
        self,
        rnn: RecurrentNetwork,
        prefix: str,
        math: str,
        lanes: int,
        vocabulary: str | None,
        columns: Mapping[str, Any] | None,
    ) -> None:
        if not isinstance(rnn, RecurrentNetwork):
            raise TypeError(f"rnn: expected an ElmanRNN or a JordanRNN, got {type(rnn).__name__}")
        if rnn.layers[0].reverse is not None:
            raise ValueError(
                "rnn: expected one direction, got bidirectional=True: the second one begins at the end of a sequence, "
                "which a step does not know"
            )
        if isinstance(lanes, bool) or not isinstance(lanes, int | np.integer):
            raise TypeError(f"lanes: expected an int, got {type(lanes).__name__}")
        if lanes not in _LANES:
            raise ValueError(f"lanes: expected one of {', '.join(map(str, _LANES))}, got {lanes}")
        self.rnn = rnn
        self.prefix = checked_prefix(prefix)
        self.math = choice("math", math, ("own", "libm"))
        self.lanes = int(lanes)
        self.vocabulary = checked_vocabulary(rnn, vocabulary)
        self.units = None if columns is None else Units.of(columns, rnn)
        self.real: Real = FLOAT if rnn.dtype == np.float32 else DOUBLE
        self.feedback: str | None = rnn.configuration().get("feedback")
        self.n_hidden = [len(layer.b) for layer in rnn.layers]
        self.leaky = bool(rnn._options.leak)
        self.learned = rnn._options.learn_h0
        for name, view in rnn.by_name().items():
            if not np.isfinite(view).all():
                raise ValueError(f"rnn: expected finite parameters, got NaN or infinity in {name}")

    # ---- Sizes ----

    @property
    def sizes(self) -> Sizes:
        """Bytes, as the header is compiled for a processor without vectors, and multiply-adds of a step."""
        rnn, widths = self.rnn, [padded(n, self.lanes) for n in self.n_hidden]
        width_out = padded(rnn.n_out, self.lanes)
        r = [rnn.n_out] if self.feedback else self.n_hidden  # numbers that a step sees of the one before
        below = [rnn.n_in, *self.n_hidden[:-1]]
        tables = sum(
            width * (n_below + n_r + 1) for width, n_below, n_r in zip(widths, below, r, strict=True)
        ) + width_out * (self.n_hidden[-1] + 1)
        tables += sum(widths) * (self.leaky + self.learned)
        read = [0 if rnn.input == "token" else rnn.n_in, *self.n_hidden[:-1]]
        products = sum(n * (n_below + n_r) for n, n_below, n_r in zip(self.n_hidden, read, r, strict=True))
        state = rnn.n_out if self.feedback else sum(widths) * (2 if self.leaky else 1)
        scratch = max(widths) + width_out + (widths[0] if self.feedback else 0)
        if self.feedback == "y_hat" and rnn.output == "softmax":
            scratch += width_out
        return Sizes(
            flash=tables * self.real.bytes,
            ram=state * self.real.bytes,
            stack=scratch * self.real.bytes,
            multiply_adds=products + self.n_hidden[-1] * rnn.n_out,
        )

    # ---- The file ----

    def text(self) -> str:
        """Return the whole header: ASCII, lines that end in a line feed."""
        guard = f"{self.prefix}_H"
        parts = [
            self._comment(),
            f"#ifndef {guard}\n#define {guard}\n",
            "#include <math.h>\n#include <stdint.h>\n" if self.math == "libm" else "#include <stdint.h>\n",
            self._filled(c.MACROS),
            self._tables(),
            *([self._vocabulary_table()] if self.vocabulary is not None else []),
            *([self.units.tables(self.prefix)] if self.units is not None else []),
            self._functions(),
            self._network(),
            *([self._filled(c.TEXT, N_CHARACTERS=str(len(self.vocabulary)))] if self.vocabulary is not None else []),
            *([self.units.functions(self._filled, self.feedback is not None)] if self.units is not None else []),
            f"#endif /* {guard} */\n",
        ]
        return "\n".join(parts)

    def _filled(self, text: str, **words: str) -> str:
        """A text with the network's words in their places, the prefix last."""
        sizes = {
            "N_OUT": str(self.rnn.n_out),
            "N_IN": str(self.rnn.n_in),
            "WIDTH": str(padded(self.rnn.n_out, self.lanes)),
        }
        return c.filled_in(text, {**words, **sizes, **c.constants(self.real), "PREFIX": self.prefix})

    def _letter(self, letter: str, layer: int) -> str:
        return f"{letter}{'_' if letter in STATES else ''}{layer + 1}" if len(self.n_hidden) > 1 else letter

    def _table(self, letter: str, shape: str, values: Any) -> str:
        brackets = "".join(f"[{n}]" for n in values.shape)
        return (
            f"/* {letter} {shape} */\nPREFIX_ALIGN static const {self.real.name} PREFIX_{letter}{brackets} = {{\n"
        ).replace("PREFIX", self.prefix) + f"{self.real.table(values)}\n}};\n"

    def _tables(self) -> str:
        lanes = self.lanes
        columns = "column by column" if lanes == 1 else f"column by column, rows filled up to a multiple of {lanes}"
        parts = [f"/* ---- Parameters: matrices {columns} ---- */\n"]
        for k, layer in enumerate(self.rnn.layers):
            for letter, values in (("U", layer.U), ("W", layer.W)):
                if values.size:
                    shape = f"[{values.shape[0]}, {values.shape[1]}]"
                    parts.append(self._table(self._letter(letter, k), shape, columns_of(values, lanes)))
            parts.append(self._table(self._letter("b", k), f"[{len(layer.b)}]", padded_vector(layer.b, lanes)))
            if self.leaky:
                alpha = np.broadcast_to(np.asarray(self.rnn._options.leak[k], self.rnn.dtype), len(layer.b))
                parts.append(self._table(self._letter("alpha", k), f"[{len(alpha)}]", padded_vector(alpha, lanes)))
            if self.learned:
                letter = "v0" if self.leaky else "h0"
                first = getattr(layer, letter)
                parts.append(self._table(self._letter(letter, k), f"[{len(first)}]", padded_vector(first, lanes)))
        V, bias = self.rnn.V, self.rnn.c
        parts.append(self._table("V", f"[{V.shape[0]}, {V.shape[1]}]", columns_of(V, lanes)))
        parts.append(self._table("c", f"[{len(bias)}]", padded_vector(bias, lanes)))
        return "\n".join(parts)

    def _vocabulary_table(self) -> str:
        assert self.vocabulary is not None
        codes = wrapped([f"0x{ord(character):04X}u" for character in self.vocabulary])
        return (
            "/* The character of every token, as its code point. */\n"
            f"static const uint32_t {self.prefix}_vocabulary[{len(self.vocabulary)}] = {{\n{codes}\n}};\n"
        )

    def _functions(self) -> str:
        """The functions that a step is made of."""
        own, needs_tanh = self.math == "own", self.rnn.activation == "tanh"
        needs_decay = self.rnn.output != "linear"
        widths = {padded(n, self.lanes) for n in [*self.n_hidden, self.rnn.n_out]}
        parts = [
            "/* ---- What a step is made of ---- */\n",
            *([c.OWN_BITS] if own and (needs_tanh or needs_decay) else []),
            *([(c.OWN_TANH if own else c.LIBM_TANH)] if needs_tanh else [c.RELU]),
            *([c.LEAK] if self.leaky else []),
            *([(c.OWN_DECAY if own else c.LIBM_DECAY)] if needs_decay else []),
        ]
        texts = [self._filled(part) for part in parts]
        texts += [self._filled(c.ADD_PRODUCT.replace("WIDTH", str(width))) for width in sorted(widths)]
        texts.append(self._filled({"softmax": c.SOFTMAX, "sigmoid": c.SIGMOID, "linear": c.LINEAR}[self.rnn.output]))
        return "\n".join(texts)

    # ---- State and steps ----

    @property
    def _input(self) -> str:
        return "int token" if self.rnn.input == "token" else f"const {self.real.name} *x"

    def _network(self) -> str:
        rnn, real = self.rnn, self.real.name
        if self.feedback is not None:
            state = f"  {real} r[{rnn.n_out}]; /* {self.feedback}(t), which the next step sees */\n"
            zero = [f"  for (j = 0; j < {rnn.n_out}; ++j) state->r[j] = ZERO;\n"]
        else:
            sizes = [
                (self._letter(letter, k), padded(n, self.lanes), n)
                for k, n in enumerate(self.n_hidden)
                for letter in ("vh" if self.leaky else "h")
            ]
            state = "".join(
                f"  {real} {h}[{width}];{f' /* {n}, then zeros */' if n < width else ''}\n" for h, width, n in sizes
            )
            zero = [f"  for (j = 0; j < {width}; ++j) state->{h}[j] = ZERO;\n" for h, width, _ in sizes]
        before, what_first = "zeros", "zeros"
        if self.learned:
            letter = "v" if self.leaky else "h"
            before, what_first = f"{letter}0", f"the {letter}0 that was learned"
            zero = [
                f"  for (j = 0; j < {padded(n, self.lanes)}; ++j) "
                f"state->{self._letter(letter, k)}[j] = PREFIX_{self._letter(f'{letter}0', k)}[j];\n"
                for k, n in enumerate(self.n_hidden)
            ] + (["  PREFIX_begin(state);\n"] if self.leaky else [])
        what = "what is fed back" if self.feedback else "h(t)"
        begin = f"To begin with another one than {before}, set it after PREFIX_init."
        if self.leaky:
            what = "v(t), and h(t) beside it"
            begin = f"To begin with another v than {before}, set it after\n   PREFIX_init and call PREFIX_begin."
        see = "" if self.feedback is None else (c.SEE_CLASS if rnn.output == "softmax" else c.SEE_TARGET) + "\n"
        return self._filled(
            f"/* ---- The network ---- */\n\n"
            f"/* The state: {what}. {begin} */\n"
            f"typedef struct {{\n{state}}} PREFIX_state;\n\n"
            + (self._begin() if self.learned else "")
            + f"/* The state before the first step: {what_first}. */\n"
            "static inline void PREFIX_init(PREFIX_state *state)\n{\n  int j;\n"
            + "".join(zero)
            + "}\n\n"
            + ("" if self.learned else self._begin())
            + "PREFIX_INLINE void PREFIX_compute(PREFIX_state *state, INPUT, REAL *o)\n{\n"
            f"{self._step()}}}\n\n{_CHOICE}\n{self._run()}\n{see}".replace("INPUT", self._input).replace(
                "GIVEN", "token" if rnn.input == "token" else "x"
            )
        )

    def _begin(self) -> str:
        """The function that makes h(0) of a v(0) that was set."""
        if not self.leaky:
            return ""
        lines = [
            f"  for (j = 0; j < {padded(n, self.lanes)}; ++j) state->{self._letter('h', k)}[j] = "
            f"PREFIX_{self.rnn.activation}(state->{self._letter('v', k)}[j]);\n"
            for k, n in enumerate(self.n_hidden)
        ]
        return (
            "/* After v was set: h(0) follows from v(0). */\n"
            "static inline void PREFIX_begin(PREFIX_state *state)\n{\n  int j;\n" + "".join(lines) + "}\n\n"
        )

    def _step(self) -> str:
        """The body of a step."""
        rnn, several = self.rnn, len(self.n_hidden) > 1
        widths = [padded(n, self.lanes) for n in self.n_hidden]
        width_out = padded(rnn.n_out, self.lanes)
        hidden = f", h[{widths[0]}]" if self.feedback else ""
        lines = [f"PREFIX_ALIGN REAL a[{max(widths)}], z[{width_out}]{hidden};", "int j;"]
        below, n_below = "x", rnn.n_in
        if rnn.input == "real" and n_below == 0:
            lines.append("(void)x;")
        for k, (n, width) in enumerate(zip(self.n_hidden, widths, strict=True)):
            U, W, b = (f"PREFIX_{self._letter(letter, k)}" for letter in "UWb")
            h = "h" if self.feedback else f"state->{self._letter('h', k)}"
            r, n_r = ("state->r", rnn.n_out) if self.feedback else (h, n)
            level = f" of layer {k + 1}" if several else ""
            before = "r(t-1)" if self.feedback else "h(t-1)"
            source = "x(t)" if k == 0 else f"h{k}(t)"
            input_term = f" + U {source}" if n_below else ""
            lines += [
                f"/* (10.8){level}: a(t) = b + W {before}{input_term} */",
                f"for (j = 0; j < {width}; ++j) a[j] = {b}[j];",
                f"PREFIX_add_{width}(a, {W}, {r}, {n_r});",
            ]
            if k == 0 and rnn.input == "token":
                lines += [
                    f"if (token >= 0 && token < {rnn.n_in}) {{ /* a column of U; another token is a vector of zeros */",
                    f"  for (j = 0; j < {width}; ++j) a[j] += {U}[token][j];",
                    "}",
                ]
            elif n_below:
                lines.append(f"PREFIX_add_{width}(a, {U}, {below}, {n_below});")
            if self.leaky:
                v, alpha = f"state->{self._letter('v', k)}[j]", f"PREFIX_{self._letter('alpha', k)}[j]"
                lines += [
                    f"/* leak{level}: v(t) = (1 - alpha) v(t-1) + alpha a(t) */",
                    f"for (j = 0; j < {width}; ++j) {v} = PREFIX_leak({v}, a[j], {alpha});",
                    f"/* (10.9){level}, of v(t): h(t) = {rnn.activation}(v(t)) */",
                    f"for (j = 0; j < {width}; ++j) {h}[j] = PREFIX_{rnn.activation}({v});",
                ]
            else:
                lines += [
                    f"/* (10.9){level}: h(t) = {rnn.activation}(a(t)) */",
                    f"for (j = 0; j < {width}; ++j) {h}[j] = PREFIX_{rnn.activation}(a[j]);",
                ]
            below, n_below = h, n
        lines += [
            "/* (10.10): o(t) = c + V h(t) */",
            f"for (j = 0; j < {width_out}; ++j) z[j] = PREFIX_c[j];",
            f"PREFIX_add_{width_out}(z, PREFIX_V, {below}, {n_below});",
            f"for (j = 0; j < {rnn.n_out}; ++j) o[j] = z[j];",
        ]
        if self.feedback == "y_hat":
            lines.append("PREFIX_y_hat(z, state->r);")
        elif self.feedback == "o":
            lines.append(f"for (j = 0; j < {rnn.n_out}; ++j) state->r[j] = z[j];")
        return "".join(f"  {line}\n" for line in lines)

    def _run(self) -> str:
        tokens, n_in, n_out = self.rnn.input == "token", self.rnn.n_in, self.rnn.n_out
        given = "const int *tokens" if tokens else f"const {self.real.name} *x"
        step = f"PREFIX_step(state, {'*tokens' if tokens else 'x'}, o);"
        advance = "++tokens, " if tokens else f"x += {n_in}, " if n_in else ""
        shape = "tokens[steps]" if tokens else f"x[steps][{n_in}]"
        return (
            f"/* Many steps: {shape}, o[steps][{n_out}]. */\n"
            f"static inline void PREFIX_run(PREFIX_state *state, {given}, int steps, REAL *o)\n{{\n"
            f"  for (; steps > 0; --steps, {advance}o += {n_out}) {step}\n}}\n"
        )

    # ---- The comment that the file begins with ----

    def _comment(self) -> str:
        rnn, sizes, real = self.rnn, self.sizes, self.real.name
        several = len(self.n_hidden) > 1
        r = "r(t-1)" if self.feedback else "h(t-1)"
        unit = {"softmax": "softmax(o(t))", "sigmoid": "sigmoid(o(t))", "linear": "o(t)"}[rnn.output]
        source = "" if rnn.n_in == 0 else " + U x(t)"
        equations = [
            f"  a(t) = b + W {r}{source}".ljust(40) + "(10.8)",
            *(["  v(t) = (1 - alpha) v(t-1) + alpha a(t)"] if self.leaky else []),
            f"  h(t) = {rnn.activation}({'v' if self.leaky else 'a'}(t))".ljust(40) + "(10.9)",
            "  o(t) = c + V h(t)".ljust(40) + "(10.10)",
            f"  y_hat(t) = {unit}".ljust(40) + ("(10.11)" if rnn.output == "softmax" else ""),
        ]
        notes = [f"with r(t) = {self.feedback}(t)."] if self.feedback else []
        if several:
            notes.append(f"in layers 1 to {len(self.n_hidden)}; a layer reads h(t) of the one below it as x(t).")
        if rnn.configuration().get("readout") == "last":
            notes.append("The network was trained on o(t) after the last step of a sequence.")
        functions = "none: tanh and exp are its own" if self.math == "own" else "<math.h>"
        tables = []
        if self.vocabulary is not None:
            tables.append(f"vocabulary  {4 * len(self.vocabulary):,} bytes of flash, where it is used")
        if self.units is not None:
            tables.append(f"units       {self.units.bytes:,} bytes of flash, where they are used")
        about = [
            f"numbers     {real}: {self._parameters():,} parameters",
            f"flash       {sizes.flash:,} bytes of weights, and the code",
            *tables,
            f"RAM         {sizes.ram:,} bytes, a state; some {sizes.stack:,} bytes of stack in a step",
            f"work        {sizes.multiply_adds:,} multiply-adds a step",
            f"libraries   {functions}",
        ]
        lines = [
            f"{self.prefix}: a recurrent network, made by bptt {__version__} from",
            f"{rnn!r}.",
            "You may use this file without any condition.",
            "Letters and equations are those of Deep Learning, section 10.2:",
            "",
            *[line.rstrip() for line in equations],
            *(["", *notes] if notes else []),
            "",
            *about,
            "",
            "An example:",
            "",
            *(f"  {line}".rstrip() for line in self._example().splitlines()),
        ]
        return "\n".join([f"/* {lines[0]}", *(f"   {line}".rstrip() for line in lines[1:]), "*/"]) + "\n"

    def _parameters(self) -> int:
        return int(self.rnn.parameters.size)

    def _example(self) -> str:
        rnn = self.rnn
        n_in = max(1, rnn.n_in)
        if rnn.input == "token":
            given, arrays = "t % N_IN", "REAL o[N_OUT];"
        else:
            given, arrays = "x", f"REAL x[{n_in}] = {{0}}, o[N_OUT];"
        text = (
            "#include <stdio.h>\n"
            '#include "model.h"\n'
            "static PREFIX_state state;\n"
            "int main(void) {\n"
            f"  {arrays}\n"
            "  PREFIX_init(&state);\n"
            "  for (int t = 0; t < 3; ++t) {\n"
            f"    PREFIX_step(&state, {given}, o);\n"
            '    printf("%g\\n", (double)o[0]);\n'
            "  }\n"
            "}"
        )
        return self._filled(text)


_CHOICE = """\
#ifdef PREFIX_AVX512
PREFIX_AVX512
static inline void PREFIX_compute_avx512(PREFIX_state *state, INPUT, REAL *o)
{
  PREFIX_compute(state, GIVEN, o);
}

__attribute__((target("avx2,fma")))
static inline void PREFIX_compute_avx2(PREFIX_state *state, INPUT, REAL *o)
{
  PREFIX_compute(state, GIVEN, o);
}
#endif

/* One step: reads GIVEN, changes the state, and puts out o(t). */
static inline void PREFIX_step(PREFIX_state *state, INPUT, REAL *o)
{
#ifdef PREFIX_AVX512
  if (__builtin_cpu_supports("avx512f")) {
    PREFIX_compute_avx512(state, GIVEN, o);
    return;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    PREFIX_compute_avx2(state, GIVEN, o);
    return;
  }
#endif
  PREFIX_compute(state, GIVEN, o);
}
"""
