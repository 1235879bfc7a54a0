"""The command line: its options, and what ends a command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from bptt._threads import set_num_threads
from bptt._version import __version__
from bptt.app import text_data, text_model, values
from bptt.app.commands.evaluate import evaluate
from bptt.app.commands.export_c import export_c_command
from bptt.app.commands.info import info
from bptt.app.commands.predict import predict
from bptt.app.commands.sample import sample
from bptt.app.commands.train import OPTIMIZERS, SCHEDULES, TEXTS, train
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
        description="Recurrent networks on the CPU: models that write like a text, and forecasts of tables.",
        epilog="""\
examples:
  bptt train                            train on Python's own language reference
  bptt train book.txt --out book.safetensors
  curl -s https://example.org/book.txt | bptt train -
  bptt sample model.safetensors --prompt "The " --length 1000 --seed 1
  bptt evaluate model.safetensors other.txt

  bptt train load.csv --targets load    a table: forecasts of its columns, with intervals
  bptt evaluate model.safetensors new.csv
  bptt predict model.safetensors load.csv --steps 24 -o forecast.csv --plot forecast.png

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
        description="Train on a text to predict its next character, or on a table to forecast its columns. A text is "
        "cut into parallel streams, which are read in windows by truncated back-propagation through time; its last "
        "part is held out for validation, and the parameters with the best validation are saved; Ctrl-C stops early "
        "and saves the best so far. Of a table, networks and simple forecasts are combined as its last rows choose, "
        "and all of them learn from all rows; what they are worth is told on rows that chose nothing.",
        epilog="""\
examples:
  bptt train
  bptt train book.txt --hidden 512 --updates 10000 --out book.safetensors
  bptt train load.csv --targets load --future holiday,temperature --steps 48
  bptt train stores.csv --targets sales --id store,item
  bptt train next_month.csv --from model.safetensors            a model of a table, and the rows that came since
  bptt train letters.txt --from model.safetensors --out letters.safetensors
  bptt train book.txt --checkpoint run.safetensors --resume     killed or not, the same command goes on""",
        formatter_class=_Defaults,
    )
    parser.add_argument(
        "data",
        nargs="?",
        metavar="DATA",
        help="a UTF-8 text file, or - for standard input (without it: Python's own language reference); or a table: "
        ".csv, .tsv, .npz, .parquet, .xlsx, also compressed (.gz, .xz, .zip)",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--text", action="store_true", help="DATA is a text, whatever it is called")
    kind.add_argument("--table", action="store_true", help="DATA is a table, whatever it is called")
    add = parser.add_argument
    add("--out", default="model.safetensors", metavar="MODEL", help="where the model goes (default: %(default)s)")
    add(
        "--from",
        dest="start",
        metavar="MODEL",
        help="go on from this model: of a text with its parameters, architecture and characters; of a table with all "
        "that was learnt and the rows trained on, after which those of DATA come",
    )
    add(
        "--hidden",
        type=values.hidden_counts,
        metavar="N[,N...]",
        help="hidden units, of a text with commas between layers, from the bottom to the top (default: 384; of a table "
        "48)",
    )
    add("--seed", type=values.seed, metavar="N", help="seed of all that is random (default: 0)")
    _add_threads(parser)
    _add_columns(parser)
    _add_reading(parser)
    _add_text_training(parser)
    parser.set_defaults(command=train)


def _add_columns(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("tables: columns, dates, forecasts").add_argument

    def names(option: str, text: str) -> None:
        add(option, type=values.names, action="extend", metavar="A,B", help=text)

    names("--targets", "columns to forecast (default: those of numbers that can be forecast)")
    names("--inputs", "columns that are read beside them (default: the others that say something)")
    names("--future", "columns that are known in advance, such as holidays: read at the row they belong to")
    names("--static", "columns that hold of a whole sequence")
    names("--id", "columns that tell sequences apart (default: the table is one sequence)")
    add("--time", type=values.utf8, metavar="COLUMN", help="the column of dates (default: it is found)")
    add("--date-format", type=values.utf8, metavar="FORMAT", help="how dates are written, such as %%d.%%m.%%Y")
    add("--frequency", metavar="STEP", help="from row to row: h, 15min, D, B, W, MS, ... (default: as the dates say)")
    add("--season", type=values.between(1, 1_000_000), metavar="N", help="rows after which things come again; 1: none")
    add(
        "--calendar",
        metavar="A,B",
        help="what is read of the calendar: hour, weekday, month, day of year; or none (default: as suits the step)",
    )
    add("--fill", choices=("interpolate", "forward", "none"), help="of missing targets (default: interpolate)")
    add(
        "--steps", type=values.between(1, 10_000), metavar="N", help="rows ahead (default: a season, at most 48; or 10)"
    )
    add(
        "--ensemble", type=values.between(0, 1000), metavar="N", help="networks that are averaged (default: 5; 0: none)"
    )
    add("--interval", type=values.inner_share, metavar="P", help="share that intervals shall cover (default: 0.9)")


def _add_reading(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("tables: how the file is read, where it does not say so itself").add_argument
    add("--separator", metavar="C", help="between cells: one character, tab or space")
    add("--decimal", metavar="C", help="the mark before decimals: . or ,")
    add("--thousands", metavar="C", help="the mark between thousands")
    add("--encoding", metavar="NAME", help="of a text, such as latin-1")
    add(
        "--na", type=values.utf8, metavar="A,B", help="cells that are missing, beside empty ones, NA, ?, - and the like"
    )
    add("--comment", metavar="C", help="a character: what follows it in a line is not read")
    add("--skip-rows", type=values.between(0, 10**9), metavar="N", help="lines to leave out at the top")
    add("--skip-footer", type=values.between(0, 10**9), metavar="N", help="lines to leave out at the end")
    add("--header", action=argparse.BooleanOptionalAction, help="whether the first line names the columns")
    add("--sheet", type=values.utf8, metavar="NAME", help="of a workbook: its name, or its number from 1")


def _add_text_training(parser: argparse.ArgumentParser) -> None:
    """What only texts take: without a default here, so that it is told from what is not given."""
    add = parser.add_argument_group("texts").add_argument
    add(
        "--network",
        choices=("elman", "jordan"),
        help="what a step knows of the past: the hidden units before it (elman), or no more than the output before it "
        f"(jordan); elman, if in doubt (default: {TEXTS['network']})",
    )
    add(
        "--activation",
        choices=("tanh", "relu"),
        help=f"what hidden units make of what they sum (default: {TEXTS['activation']})",
    )
    add(
        "--leak",
        type=values.shares,
        metavar="X[,X...]",
        help="how much of what it was a unit forgets with each step, above 0 and at most 1, with commas between layers "
        "(default: 1, all)",
    )
    add(
        "--updates",
        type=values.count,
        metavar="N",
        help="updates of the parameters (default: 15 passes over a text, but 300 to 7500)",
    )
    add("--batch", type=values.count, metavar="N", help=f"parallel streams, at most (default: {TEXTS['batch']})")
    add(
        "--truncate",
        "--tau",
        type=values.count,
        metavar="N",
        help=f"steps a window, at most: no gradient goes further back (default: {TEXTS['truncate']})",
    )
    add("--optimizer", choices=tuple(OPTIMIZERS), help=f"(default: {TEXTS['optimizer']})")
    rates = ", ".join(f"{rate:g} for {name}" for name, (_, rate) in OPTIMIZERS.items())
    add("--lr", type=values.positive, metavar="X", help=f"largest learning rate (default: {rates})")
    add(
        "--schedule",
        choices=SCHEDULES,
        help="the learning rate, after it has risen over the first updates: falling to a tenth along a cosine, "
        f"constant, or a tenth after each third (default: {TEXTS['schedule']})",
    )
    add(
        "--patience", type=values.count, metavar="N", help="stop after N validations, of about 20, without a better one"
    )
    _add_unknown(parser, "with --from: ")
    add("--checkpoint", metavar="FILE", help="keep in this file what training can go on from")
    add(
        "--resume",
        action="store_const",
        const=True,
        help="go on from the checkpoint, if it is there, as if never interrupted",
    )


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
        type=values.utf8,
        default="",
        metavar="TEXT",
        help="what the model reads first (default: the beginning of a line)",
    )
    _add_unknown(parser)
    add("--length", type=values.count, default=text_model.SAMPLE, metavar="N", help="characters (default: %(default)s)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--temperature",
        type=values.temperature,
        default=text_model.TEMPERATURE,
        metavar="X",
        help="1 draws from what the model learned, less from its likelier part, 0 takes the likeliest "
        "(default: %(default)s)",
    )
    how.add_argument("--greedy", action="store_true", help="take the likeliest character at every step")
    add("--top-k", type=values.count, metavar="K", help="draw among the K likeliest characters only")
    add(
        "--top-p",
        type=values.share,
        metavar="P",
        help="draw among the fewest of the likeliest characters whose probabilities add up to P",
    )
    add(
        "--seed",
        type=values.seed,
        metavar="N",
        help="the same seed writes the same text (default: another one each time)",
    )
    parser.set_defaults(command=sample)


def _add_evaluate(subparsers: _Subparsers) -> None:
    parser = subparsers.add_parser(
        "evaluate",
        help="score a text or a table under a model",
        description="Write how well a model predicts. A text: the mean negative log-likelihood of a character given "
        "those before it, in nats and in bits. A table: the errors of forecasts from several of its rows, of each "
        "target in its units, beside those of simple forecasts, and how much of what came lies in the intervals. Rows "
        "that were trained on are not scored; of a sequence that was not, the first rows are read only.",
        epilog="examples:\n  bptt evaluate model.safetensors other.txt\n  bptt evaluate model.safetensors new.csv",
        formatter_class=_Defaults,
    )
    _add_model(parser)
    add = parser.add_argument
    add("data", metavar="DATA", help="a text or a table, as the model has; - for standard input")
    add("--steps", type=values.between(1, 100_000), metavar="N", help="rows ahead (default: as many as trained for)")
    add("--origins", type=values.between(1, 10**6), metavar="N", help="forecasts a sequence, at most (default: 20)")
    _add_unknown(parser)
    _add_threads(parser)
    _add_reading(parser)
    parser.set_defaults(command=evaluate)


def _add_predict(subparsers: _Subparsers) -> None:
    parser = subparsers.add_parser(
        "predict",
        help="forecast the rows that follow a table",
        description="Write the rows that follow each sequence of a table: its ids, its dates (without dates, the "
        "number of the step), and each target with its interval, TARGET_lower and TARGET_upper. What is known in "
        "advance stands in rows at the end of the table whose targets are empty, or in --future-rows.",
        epilog="""\
examples:
  bptt predict model.safetensors load.csv --steps 24 -o forecast.csv
  bptt predict model.safetensors load.csv --plot forecast.png -o forecast.parquet""",
        formatter_class=_Defaults,
    )
    _add_model(parser)
    add = parser.add_argument
    add(
        "data",
        nargs="?",
        metavar="DATA",
        help="a table with the model's columns; - for standard input (without it: the rows trained on are continued)",
    )
    add("--steps", type=values.between(1, 10**6), metavar="N", help="rows ahead (default: as many as trained for)")
    add(
        "--interval",
        type=values.inner_share,
        metavar="P",
        help="share that intervals shall cover (default: as trained)",
    )
    add("--future-rows", metavar="FILE", help="a table of rows to come, with what is known in advance, and the ids")
    add("--plot", metavar="FILE.png", help="a picture of the forecasts, in the format of its name (.png, .svg, .pdf)")
    add(
        "-o",
        "--out",
        metavar="OUT",
        help="where forecasts go: .csv, .tsv, .parquet, .xlsx (default: -, CSV on standard output)",
    )
    _add_threads(parser)
    _add_reading(parser)
    parser.set_defaults(command=predict)


def _add_info(subparsers: _Subparsers) -> None:
    parser = subparsers.add_parser(
        "info",
        help="tell what a model is",
        description="Write a model's kind, sizes, and what it carries, and the spectral radius of its recurrence: how "
        "much a step can stretch what it remembers; of forecasts of a table, what they read and what they consist of. "
        "Works for every model that `save` has written.",
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
        "functions that run it step by step. It carries a text's characters. Its first lines tell its sizes and how "
        "it is used. Works for every network in one direction.",
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


def _add_unknown(parser: argparse.ArgumentParser | argparse._ArgumentGroup, when: str = "") -> None:
    parser.add_argument(
        "--unknown",
        choices=text_data.UNKNOWN,
        help=f"{when}characters that the model of a text does not know are left out (skip), or replaced by U+FFFD, "
        "the question mark or the space, the first of which it knows (default: they are refused)",
    )


def _add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threads", type=values.thread_count, metavar="N", help="threads (default: what the process may use)"
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
