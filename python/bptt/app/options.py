"""The command line: its options, and what ends a command."""

from __future__ import annotations

import argparse
import csv
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from bptt._threads import set_num_threads
from bptt._version import __version__
from bptt.app import text_model
from bptt.app.commands.evaluate import evaluate
from bptt.app.commands.export_c import export_c_command
from bptt.app.commands.info import info
from bptt.app.commands.predict import predict
from bptt.app.commands.sample import sample
from bptt.app.commands.train import OPTIMIZERS, SCHEDULES, train
from bptt.app.errors import CLOSED_PIPE, INTERRUPTED, UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the command's name; by default, that of the process.

    Returns
    -------
    int
        The exit code: 0; 2 if the user can put something right (one line on standard error says what);
        130 after Ctrl-C; 141 if standard output is a pipe that nobody reads any more (`bptt sample | head`).
    """
    _open_streams()
    try:
        try:
            options = _parser().parse_args(arguments)
        except SystemExit:  # help was shown
            sys.stdout.flush()
            raise
        command: Callable[[argparse.Namespace], int] = options.command
        if options.threads is not None:
            set_num_threads(options.threads)
        code = command(options)
        sys.stdout.flush()
        return code
    except UserError as error:
        _complain(f"bptt: {' '.join(str(error).split())}\n")
        return 2
    except MemoryError:
        _complain("bptt: not enough memory for a model or data of this size\n")
        return 2
    except KeyboardInterrupt:
        _complain("bptt: interrupted\n")
        return INTERRUPTED
    except OSError as error:
        _discard(sys.stdout)
        if isinstance(error, BrokenPipeError):  # the reader has seen enough
            return CLOSED_PIPE
        _complain(f"bptt: standard output: {error.strerror or error}\n")
        return 2


def _open_streams() -> None:
    """See to it that there are three streams, and that they take what is written."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed: it holds nothing, and no file that is opened later takes its number
            nothing = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(nothing, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its escape instead of a traceback.
        if callable(reconfigure := getattr(stream, "reconfigure", None)):
            reconfigure(errors="backslashreplace")


def _complain(text: str) -> None:
    """Write it to standard error, if that takes it."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    """Let go what a stream still holds: it would fail again when Python ends, with another exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="bptt",
        description="Recurrent networks on the CPU: models that write like a text, or continue a table of numbers.",
        epilog="""\
examples:
  bptt train                            train on Python's own language reference
  bptt train book.txt --out book.safetensors
  curl -s https://example.org/book.txt | bptt train -
  bptt sample model.safetensors --prompt "The " --length 1000 --seed 1
  bptt evaluate model.safetensors other.txt

  bptt train load.csv                   a table: each row is predicted from those before it
  bptt evaluate model.safetensors new.csv
  bptt predict model.safetensors load.csv --steps 24 -o forecast.csv

  bptt info model.safetensors
  bptt export-c model.safetensors -o model.h

`bptt COMMAND --help` tells a command's options.""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version)
    parser.set_defaults(threads=None)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_train, _add_sample, _add_evaluate, _add_predict, _add_info, _add_export_c):
        add(subparsers)
    return parser


if TYPE_CHECKING:
    _Subparsers = argparse._SubParsersAction["_Parser"]


class _Parser(argparse.ArgumentParser):
    """Errors are one line, which names the command whose help tells more."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:  # a command would leave them to the parser of the commands
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options, unknown

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (`{self.prog} --help` tells more)\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Like the one it replaces, which passes over what standard output does not take."""
        if file is sys.stdout:
            sys.stdout.write(message)
        else:
            _complain(message)


def _add_train(subparsers: _Subparsers) -> None:
    parser = subparsers.add_parser(
        "train",
        help="train a model on a text or a table",
        description="Train a network to predict what comes next, by truncated back-propagation through time: a text's "
        "next character, or a table's next row. The data are joined and cut into parallel streams, which are read in "
        "windows, and the state is carried from window to window. The last part is held out for validation; the "
        "parameters with the best validation are saved. Ctrl-C stops early and saves the best so far.",
        epilog="""\
examples:
  bptt train
  bptt train book.txt --hidden 512 --updates 10000 --out book.safetensors
  bptt train load.csv --inputs load,temperature --targets load
  bptt train stores.csv --id store --patience 5
  bptt train book.txt --checkpoint run.safetensors --resume     killed or not, the same command goes on""",
        formatter_class=_Defaults,
    )
    parser.add_argument(
        "data",
        nargs="?",
        metavar="DATA",
        help="a UTF-8 text file, or - for a text on standard input (without it: Python's own language reference); "
        "or a table: NAME.csv, NAME.tsv (the first row names the columns) or NAME.npz (arrays [rows], [rows, k] or "
        "[tau, batch, k])",
    )
    model = parser.add_argument_group("the model")
    add = model.add_argument
    add(
        "--network",
        choices=("elman", "jordan"),
        default="elman",
        help="what a step knows of the past: the hidden units before it (elman), or no more than the output before it "
        "(jordan); elman, if in doubt (default: %(default)s)",
    )
    add(
        "--hidden",
        type=_hidden_counts,
        metavar="N[,N...]",
        help="hidden units, with commas between layers, from the bottom to the top (default: 384; of a table 64)",
    )
    add(
        "--activation",
        choices=("tanh", "relu"),
        default="tanh",
        help="what hidden units make of what they sum (default: %(default)s)",
    )
    add(
        "--leak",
        type=_shares,
        default=(1.0,),
        metavar="X[,X...]",
        help="how much of what it was a unit forgets with each step, above 0 and at most 1, with commas between layers "
        "(default: 1, all)",
    )
    add("--out", default="model.safetensors", metavar="MODEL", help="where the model goes (default: %(default)s)")
    table = parser.add_argument_group("tables")
    add = table.add_argument
    add("--inputs", type=_names, metavar="A,B", help="columns that are read (default: all that are numbers)")
    add("--targets", type=_names, metavar="C,D", help="columns that are predicted (default: the inputs)")
    add(
        "--horizon",
        type=_horizon,
        metavar="N",
        help="how many rows ahead the targets are (default: 1, the next row; 0: the same row)",
    )
    add(
        "--id",
        type=_text,
        metavar="COLUMN",
        help="column that tells sequences apart (default: the table is one sequence)",
    )
    add(
        "--differences",
        action="store_true",
        help="read and predict how numbers differ from those before: for numbers that wander or grow",
    )
    training = parser.add_argument_group("training")
    add = training.add_argument
    add(
        "--updates",
        type=_count,
        metavar="N",
        help="updates of the parameters (default: 15 passes over a text, but 300 to 7500; of a table 3000)",
    )
    add("--batch", type=_count, default=32, metavar="N", help="parallel streams, at most (default: %(default)s)")
    add(
        "--truncate",
        "--tau",
        type=_count,
        default=64,
        metavar="N",
        help="steps a window, at most: no gradient goes further back (default: %(default)s)",
    )
    add("--optimizer", choices=tuple(OPTIMIZERS), default="adam", help="(default: %(default)s)")
    rates = ", ".join(f"{rate:g} for {name}" for name, (_, rate) in OPTIMIZERS.items())
    add("--lr", type=_positive, metavar="X", help=f"largest learning rate (default: {rates})")
    add(
        "--schedule",
        choices=SCHEDULES,
        default="cosine",
        help="the learning rate, after it has risen over the first updates: falling to a tenth along a cosine, "
        "constant, or a tenth after each third (default: %(default)s)",
    )
    add("--patience", type=_count, metavar="N", help="stop after N validations, of about 20, without a better one")
    add("--checkpoint", metavar="FILE", help="keep in this file what training can go on from")
    add("--resume", action="store_true", help="go on from the checkpoint, if it is there, as if never interrupted")
    add("--seed", type=_seed, default=0, metavar="N", help="seed of all that is random (default: %(default)s)")
    _add_threads(parser)
    parser.set_defaults(command=train)


def _add_sample(subparsers: _Subparsers) -> None:
    parser = subparsers.add_parser(
        "sample",
        help="let a model of a text write",
        description="Write the prompt and what the model makes of it, while it is drawn. Ctrl-C ends it.",
        epilog='example:\n  bptt sample model.safetensors --prompt "The " --length 1000 --temperature 0.6 --seed 1',
        formatter_class=_Defaults,
    )
    _add_model(parser)
    add = parser.add_argument
    add(
        "--prompt",
        type=_text,
        default="",
        metavar="TEXT",
        help="what the model reads first (default: the beginning of a line)",
    )
    add("--length", type=_count, default=text_model.SAMPLE, metavar="N", help="characters (default: %(default)s)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--temperature",
        type=_temperature,
        default=text_model.TEMPERATURE,
        metavar="X",
        help="1 draws from what the model learned, less from its likelier part, 0 takes the likeliest "
        "(default: %(default)s)",
    )
    how.add_argument("--greedy", action="store_true", help="take the likeliest character at every step")
    add("--top-k", type=_count, metavar="K", help="draw among the K likeliest characters only")
    add(
        "--top-p",
        type=_share,
        metavar="P",
        help="draw among the fewest of the likeliest characters whose probabilities add up to P",
    )
    add("--seed", type=_seed, metavar="N", help="the same seed writes the same text (default: another one each time)")
    parser.set_defaults(command=sample)


def _add_evaluate(subparsers: _Subparsers) -> None:
    parser = subparsers.add_parser(
        "evaluate",
        help="score a text or a table under a model",
        description="Write how well a model predicts. A text: the mean negative log-likelihood of a character given "
        "those before it, in nats and in bits. A table: the root of the mean squared error of each target, in its "
        "units, beside that of two baselines. Less is better. A sequence begins without a past: give it the rows "
        "before as well.",
        epilog="examples:\n  bptt evaluate model.safetensors other.txt\n  bptt evaluate model.safetensors new.csv",
        formatter_class=_Defaults,
    )
    _add_model(parser)
    parser.add_argument("data", metavar="DATA", help="a text or a table, as the model has; - for standard input")
    _add_threads(parser)
    parser.set_defaults(command=evaluate)


def _add_predict(subparsers: _Subparsers) -> None:
    parser = subparsers.add_parser(
        "predict",
        help="predict a table's targets, or continue the table",
        description="Write what a model predicts after each row of a table, or, with --steps, the rows that follow the "
        "table. A line has the sequence's id, if there are several, the number of the row in its sequence, from 1, and "
        "the targets in their units.",
        epilog="""\
examples:
  bptt predict model.safetensors load.csv -o predicted.csv
  bptt predict model.safetensors load.csv --steps 24 -o forecast.csv""",
        formatter_class=_Defaults,
    )
    _add_model(parser)
    parser.add_argument("data", metavar="DATA", help="a table with the model's columns; - for CSV on standard input")
    add = parser.add_argument
    add("--steps", type=_count, metavar="N", help="forecast N rows, each read before the next one is predicted")
    add("-o", "--out", metavar="OUT.csv", help="where predictions go (default: -, standard output)")
    _add_threads(parser)
    parser.set_defaults(command=predict)


def _add_info(subparsers: _Subparsers) -> None:
    parser = subparsers.add_parser(
        "info",
        help="tell what a model is",
        description="Write a model's kind, sizes, and what it carries, and the spectral radius of its recurrence: how "
        "much a step can stretch what it remembers. Works for every model that `save` has written.",
        epilog="example:\n  bptt info model.safetensors",
        formatter_class=_Defaults,
    )
    _add_model(parser)
    parser.set_defaults(command=info)


def _add_export_c(subparsers: _Subparsers) -> None:
    parser = subparsers.add_parser(
        "export-c",
        help="write a model as a C header",
        description="Write a model as one C99 header, for programs and processors without Python: its weights, and the "
        "functions that run it step by step. It carries a text's characters, or the units of a table's columns. Its "
        "first lines tell its sizes and how it is used. Works for every model in one direction.",
        epilog="example:\n  bptt export-c model.safetensors -o model.h --prefix motor",
        formatter_class=_Defaults,
    )
    _add_model(parser)
    add = parser.add_argument
    add("-o", "--out", default="model.h", metavar="OUT.h", help="where the header goes (default: %(default)s)")
    add("--prefix", default="rnn", metavar="NAME", help="what all names begin with (default: %(default)s)")
    add(
        "--math",
        choices=("own", "libm"),
        default="own",
        help="whose tanh and exp are used: the header's, or those of <math.h> (default: %(default)s)",
    )
    add(
        "--lanes",
        type=int,
        choices=(1, 4, 8, 16),
        default=4,
        help="rows are filled up to a multiple of this: 1 saves flash on processors without vectors "
        "(default: %(default)s)",
    )
    parser.set_defaults(command=export_c_command)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a model that `bptt train` wrote")


def _add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threads", type=_thread_count, metavar="N", help="threads (default: what the process may use)"
    )


class _Defaults(argparse.RawDescriptionHelpFormatter):
    """Descriptions are filled, the epilog stays as it is written."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show the version and exit")

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        print(f"bptt {__version__}", flush=True)
        parser.exit()


def _count(text: str) -> int:
    return _whole(text, 1, "a whole number from 1 to 1000000000", 10**9)


def _hidden_counts(text: str) -> tuple[int, ...]:
    """The sizes of layers, with commas between them."""
    try:
        return tuple(_whole(part, 1, "", 100_000) for part in text.split(","))
    except argparse.ArgumentTypeError:
        expected = "a whole number from 1 to 100000, or several with commas between them"
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}") from None


def _thread_count(text: str) -> int:
    return _whole(text, 1, "a whole number from 1 to 1024", 1024)


def _seed(text: str) -> int:
    return _whole(text, 0, "a whole number from 0 to 2**64 - 1", 2**64 - 1)


def _horizon(text: str) -> int:
    return _whole(text, 0, "a whole number from 0 to 1000000", 1_000_000)


def _text(argument: str) -> str:
    """What stands on the command line in UTF-8, as texts and tables do, whatever the locale says (`LC_ALL=C`)."""
    return os.fsencode(argument).decode("utf-8", "surrogateescape")


def _names(text: str) -> list[str]:
    """Names with commas between them; one with a comma in it stands in double quotes."""
    try:
        names = [name.strip() for name in next(csv.reader([_text(text)], skipinitialspace=True, strict=True), [])]
    except csv.Error:
        names = []
    if not names or not all(names) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"expected different names with commas between them, got {text!r}")
    return names


def _whole(text: str, least: int, expected: str, most: float = math.inf) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return number


def _positive(text: str) -> float:
    return _finite(text, lambda number: number > 0, "a positive number")


def _temperature(text: str) -> float:
    return _finite(text, lambda number: number >= 0, "a number, at least 0")


def _share(text: str) -> float:
    return _finite(text, lambda number: 0 < number <= 1, "a number above 0, at most 1")


def _shares(text: str) -> tuple[float, ...]:
    return tuple(map(_share, text.split(",")))


def _finite(text: str, allowed: Callable[[float], bool], expected: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and allowed(number)):
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return number
