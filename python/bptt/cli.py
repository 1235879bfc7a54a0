"""The command line: options, files, messages, Ctrl-C. Knows no mathematics."""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bptt.text import UserError, Vocabulary, default_text, read_text, text_name

if TYPE_CHECKING:
    from bptt import ElmanRNN
    from bptt.language_model import Trainer

_INTERRUPTED = 130  # 128 + SIGINT, what a shell makes of it
_VALIDATIONS = 20  # while training
_VALIDATE_MOST = 32_768  # characters each time; the whole held-out text is scored at the end
_SAMPLE_LENGTH, _TEMPERATURE = 500, 0.8


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
        130 after Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its escape instead of a traceback.
        if callable(reconfigure := getattr(stream, "reconfigure", None)):
            reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        run: Callable[[argparse.Namespace], int] = options.run
        code = run(options)
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"bptt: {error}", file=sys.stderr)
        return 2
    except MemoryError:
        print("bptt: not enough memory for a model or text of this size", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bptt: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough (`| head`). What Python would still flush at exit has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _train(options: argparse.Namespace) -> int:
    out = Path(options.out)
    name = text_name(options.file)
    text = default_text() if options.file is None else read_text(options.file)
    _check_writable(out, options.file)

    from bptt import language_model
    from bptt.training import interruptible

    _use_threads(options.threads)
    vocabulary = Vocabulary.of(text)
    training, held_out = language_model.split(vocabulary.encode(text), options.tau, name)
    batch = min(options.batch, language_model.most_streams(len(training), options.tau))
    rnn = language_model.new_model(vocabulary, options.hidden, options.seed)
    trainer = language_model.Trainer(
        rnn,
        training,
        held_out,
        tau=options.tau,
        batch=batch,
        updates=options.updates,
        rate=options.lr,
        seed=options.seed,
    )
    _say(
        f"text: {name}, {len(text):,} characters, {len(vocabulary)} different; "
        f"the last {len(held_out):,} are held out for validation"
    )
    if batch < options.batch:
        _say(f"the text is short: {batch} parallel streams instead of {options.batch}")
    _say(
        f"model: {options.hidden} hidden units, {rnn.parameters.size:,} parameters; "
        f"{options.updates:,} updates on {batch} streams x {options.tau} characters"
    )
    with interruptible() as interrupted:
        _run(trainer, batch * options.tau, interrupted)
        trainer.keep_best()
        _save(rnn, out)
        stopped = interrupted()
    _say(f"saved: {out}, the parameters with the best validation (after {trainer.best_update:,} updates)")
    if stopped:
        _say(f"interrupted after {trainer.done:,} of {options.updates:,} updates")
    else:
        loss = language_model.nats_per_character(rnn, held_out)
        _say(f"validation: {_both(loss)} per character, over all {len(held_out) - 1:,} held-out characters")
    _say(f"\na sample (temperature {_TEMPERATURE}):\n")
    _say(language_model.sample(rnn, vocabulary, "", _SAMPLE_LENGTH, _TEMPERATURE, options.seed))
    return _INTERRUPTED if stopped else 0


def _run(trainer: Trainer, characters: int, interrupted: Callable[[], bool]) -> None:
    """Train to the end, or to the first update after an interrupt; `characters` is what an update reads."""
    from tqdm import tqdm

    every = max(1, trainer.updates // _VALIDATIONS)
    terminal = sys.stderr.isatty()
    begin = time.monotonic()
    with tqdm(
        total=trainer.updates * characters, unit="char", unit_scale=True, dynamic_ncols=True, disable=not terminal
    ) as bar:
        stops, valid = False, ""
        while not stops:
            trainer.update()
            stops = trainer.done == trainer.updates or interrupted()
            # After an interrupt the newest parameters are scored too: they may be the best, or the only ones.
            if validates := stops or trainer.done % every == 0:
                valid = f", valid {_both(trainer.validate(_VALIDATE_MOST))}"
            if terminal:
                bar.set_postfix_str(f"train {_both(trainer.training_loss)}{valid}", refresh=False)
                bar.update(characters)
            elif validates:
                rate = trainer.done * characters / (time.monotonic() - begin)
                print(
                    f"update {trainer.done:,}/{trainer.updates:,}: train {_both(trainer.training_loss)}{valid}, "
                    f"{rate:,.0f} characters/s",
                    file=sys.stderr,
                    flush=True,
                )


def _sample(options: argparse.Namespace) -> int:
    rnn, vocabulary = _load(options.model)

    from bptt import language_model

    text = language_model.sample(rnn, vocabulary, options.prompt, options.length, options.temperature, options.seed)
    _say(options.prompt + text)
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    rnn, vocabulary = _load(options.model)
    name = text_name(options.file)
    tokens = vocabulary.encode(read_text(options.file), name)
    if len(tokens) < 2:
        raise UserError(f"{name}: too short, one character; at least 2 are needed (the first is only read)")

    from bptt import language_model

    _use_threads(options.threads)
    loss = language_model.nats_per_character(rnn, tokens)
    _say(f"{_both(loss)} per character, over {len(tokens) - 1:,} characters")
    return 0


def _use_threads(n: int | None) -> None:
    from bptt import set_num_threads

    if n is not None:
        set_num_threads(n)


def _load(path: str) -> tuple[ElmanRNN, Vocabulary]:
    from bptt import language_model, load

    try:
        rnn = load(path)
        return rnn, language_model.vocabulary_of(rnn)
    except (OSError, ValueError) as error:
        raise UserError(_about(path, error)) from error


def _save(rnn: ElmanRNN, out: Path) -> None:
    try:
        rnn.save(out)
    except OSError as error:
        raise UserError(_about(str(out), error)) from error


def _about(path: str, error: Exception) -> str:
    """One line on a file's error, which names the file once."""
    what = (error.strerror if isinstance(error, OSError) else None) or str(error)
    line = " ".join(what.split())
    return line if path in line else f"{path}: {line}"


def _check_writable(out: Path, source: str | None) -> None:
    """Raise UserError now if the model could not be written later, or would replace its text; leave no trace."""
    try:
        if source not in (None, "-") and out.exists() and out.samefile(source):
            raise UserError(f"--out {out}: is the text itself")
        if out.exists() and not out.is_file():
            raise UserError(f"--out {out}: exists and is not a regular file")
        if out.exists() and not os.access(out, os.W_OK):
            raise UserError(f"--out {out}: not writable")
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise UserError(f"--out {out}: cannot write into the folder {out.parent} ({error.strerror})") from error


def _both(nats: float) -> str:
    return f"{nats:.4f} nats ({nats / math.log(2):.4f} bits)"


def _say(line: str) -> None:
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bptt",
        description="Recurrent networks on the CPU. The command line trains a character-level language model.",
        epilog="""\
examples:
  bptt train                            train on Python's own language reference
  bptt train book.txt --out book.safetensors
  curl -s https://example.org/book.txt | bptt train -
  bptt sample model.safetensors --prompt "The " --length 1000 --seed 1
  bptt evaluate model.safetensors other.txt

`bptt COMMAND --help` tells a command's options.""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_sample(commands)
    _add_evaluate(commands)
    return parser


if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def _add_train(commands: _Commands) -> None:
    parser = commands.add_parser(
        "train",
        help="train a character-level language model on a text",
        description="Train an Elman network to predict a text's next character, by truncated back-propagation "
        "through time: the text is cut into parallel streams, which are read in windows, and the hidden state is "
        "carried from window to window. The last part of the text is held out for validation; the parameters with "
        "the best validation are saved. Ctrl-C stops early and saves the best so far.",
        epilog="""\
examples:
  bptt train
  bptt train book.txt --hidden 512 --updates 10000 --out book.safetensors""",
        formatter_class=_Defaults,
    )
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="a UTF-8 text file, or - for standard input (without it: Python's own language reference)",
    )
    add = parser.add_argument
    add("--hidden", type=_hidden_count, default=384, metavar="N", help="hidden units (default: %(default)s)")
    add("--tau", type=_count, default=64, metavar="N", help="characters a window (default: %(default)s)")
    add("--batch", type=_count, default=32, metavar="N", help="parallel streams (default: %(default)s)")
    add("--updates", type=_count, default=7500, metavar="N", help="updates of the parameters (default: %(default)s)")
    add("--lr", type=_positive, default=4e-3, metavar="X", help="largest learning rate (default: %(default)s)")
    add("--seed", type=_seed, default=0, metavar="N", help="seed of all that is random (default: %(default)s)")
    _add_threads(parser)
    add("--out", default="model.safetensors", metavar="MODEL", help="where the model goes (default: %(default)s)")
    parser.set_defaults(run=_train)


def _add_sample(commands: _Commands) -> None:
    parser = commands.add_parser(
        "sample",
        help="let a model write",
        description="Write the prompt and what the model makes of it.",
        epilog='example:\n  bptt sample model.safetensors --prompt "The " --length 1000 --temperature 0.6 --seed 1',
        formatter_class=_Defaults,
    )
    _add_model(parser)
    add = parser.add_argument
    add("--prompt", default="", metavar="TEXT", help="what the model reads first (default: the beginning of a line)")
    add("--length", type=_count, default=_SAMPLE_LENGTH, metavar="N", help="characters (default: %(default)s)")
    add(
        "--temperature",
        type=_temperature,
        default=_TEMPERATURE,
        metavar="X",
        help="1 draws from what the model learned, less from its likelier part, 0 takes the likeliest "
        "(default: %(default)s)",
    )
    add("--seed", type=_seed, metavar="N", help="the same seed writes the same text (default: another one each time)")
    parser.set_defaults(run=_sample)


def _add_evaluate(commands: _Commands) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="score a text under a model",
        description="Write how well a model predicts a text: the mean negative log-likelihood of a character given "
        "those before it, in nats and in bits. Less is better.",
        epilog="example:\n  bptt evaluate model.safetensors other.txt",
        formatter_class=_Defaults,
    )
    _add_model(parser)
    parser.add_argument("file", metavar="FILE", help="a UTF-8 text file, or - for standard input")
    _add_threads(parser)
    parser.set_defaults(run=_evaluate)


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
        from bptt import __version__

        _say(f"bptt {__version__}")
        parser.exit()


def _count(text: str) -> int:
    return _whole(text, 1, "a whole number, at least 1")


def _hidden_count(text: str) -> int:
    return _whole(text, 1, "a whole number from 1 to 100000", 100_000)


def _thread_count(text: str) -> int:
    return _whole(text, 1, "a whole number from 1 to 1024", 1024)


def _seed(text: str) -> int:
    return _whole(text, 0, "a whole number, at least 0")


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


def _finite(text: str, allowed: Callable[[float], bool], expected: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and allowed(number)):
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return number
