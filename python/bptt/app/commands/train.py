"""`bptt train`: a model of a text or of a table."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from bptt.app import tables, text_model
from bptt.app.architecture import Architecture
from bptt.app.commands.train_table import COLUMNS, LEARNING, go_on_with_table, train_on_table
from bptt.app.errors import INTERRUPTED, UserError
from bptt.app.messages import count_updates, in_nats_and_bits, say
from bptt.app.model_files import Network, about_file, check_writable, load_any, save_model
from bptt.app.processes import Crew, communicator, follow
from bptt.app.text_data import Vocabulary, default_text, read_text, text_name
from bptt.networks.elman import ElmanRNN
from bptt.networks.jordan import JordanRNN
from bptt.training.batches import described
from bptt.training.checkpoint import Checkpoint, ResumeError
from bptt.training.history import History
from bptt.training.optimizer import Optimizer
from bptt.training.optimizers import SGD, Adagrad, Adam, AdamW, RMSProp
from bptt.training.processes import ProcessError
from bptt.training.schedules import Constant, Cosine, Step, Warmup

OPTIMIZERS: dict[str, tuple[Callable[[float], Optimizer], float]] = {  # and the default of --lr
    "adam": (Adam, 2e-3),
    "adamw": (AdamW, 2e-3),
    "rmsprop": (RMSProp, 2e-3),
    "adagrad": (Adagrad, 5e-2),
    "sgd": (lambda lr: SGD(lr, momentum=0.9), 0.2),
}
_OPTION_OF = {  # of what a checkpoint tells of its run
    "network.kind": "--network",
    "network.n_hidden": "--hidden",
    "network.activation": "--activation",
    "network.leak": "--leak",
    "settings.patience": "--patience",
    "settings.optimizer.optimizer": "--optimizer",
    "settings.optimizer.lr": "--lr",
    "seed": "--seed",
}
SCHEDULES = ("cosine", "constant", "step")
TEXTS: dict[str, Any] = {  # the options that only texts take, with their defaults
    "network": "elman",
    "activation": "tanh",
    "leak": (1.0,),
    "updates": None,
    "batch": 32,
    "truncate": 64,
    "optimizer": "adam",
    "lr": None,
    "schedule": "cosine",
    "patience": None,
    "checkpoint": None,
    "resume": False,
}
_TABLES = ("targets", *COLUMNS, *LEARNING, *tables.READING)  # those that only tables take
_HEAD = 1 << 18  # bytes of a text that are looked at before it is taken for one
# Updates in which the learning rate rises (a tenth of all if that is less and it falls then); where a cosine ends.
_RISING, _LAST_RATE = 100, 0.1
_NO_PATIENCE = 10**9  # validations: however long a run goes on, it does not stop by itself
_MAX_NORM = 1.0
_VALIDATIONS = 20
_PASSES, _LEAST, _MOST = 15, 300, 7500  # over a text by default, and the updates for that: more would learn it by heart
_VALIDATE_MOST = 32_768  # characters each time; the whole held-out text is scored at the end


def train(options: argparse.Namespace) -> int:
    """`bptt train`: exit code 0, or that of an interrupt."""
    comm = communicator()
    if comm is not None and comm.Get_rank() > 0:
        return follow(comm)
    with Crew(comm) as crew:
        return _train(options, crew)


def _train(options: argparse.Namespace, crew: Crew) -> int:
    source = options.data
    check_writable("--out", options.out, source)
    start = None if options.start is None else load_any(options.start)
    if start is None and options.unknown is not None:
        raise UserError("--unknown: expected with --from only, as a new model knows all characters of its text")
    head = b""
    if source is None:
        is_table = options.table
        if is_table:
            raise UserError("--table: expected the name of a file, or - for standard input")
    elif options.table or options.text:
        is_table = options.table
    elif not (is_table := tables.is_called_a_table(source)):
        head = _head(source)
        if tables.begins_like_a_table(head):
            raise UserError(f"{text_name(source)}: looks like a table: say --table, or --text to learn it as a text")
    if is_table:
        tables.refuse(options, (*TEXTS, "unknown"), "a text")
        if isinstance(start, Network):
            raise UserError(
                f"--from {options.start}: expected forecasts of a table with {text_name(source)}, got a network"
            )
        try:
            with crew.teaching():
                return train_on_table(options) if start is None else go_on_with_table(options, start)
        except ProcessError as error:
            raise UserError(str(error)) from error
    tables.refuse(options, _TABLES, f"a table ({', '.join(tables.SUFFIXES)}, or --table)")
    vocabulary = None
    if start is not None:
        if not isinstance(start, Network):
            raise UserError(
                f"--from {options.start}: expected a model of a text with {text_name(source)}, got forecasts of a table"
            )
        vocabulary = text_model.vocabulary_of(start)
        if vocabulary is None:
            raise UserError(f"--from {options.start}: expected a model of a text, got a network without a vocabulary")
        _check_architecture(start, options)
    for name, default in TEXTS.items():
        if getattr(options, name) is None:
            setattr(options, name, default)
    if options.checkpoint is not None:
        check_writable("--checkpoint", options.checkpoint, source)
        if os.path.realpath(options.checkpoint) == os.path.realpath(options.out):
            raise UserError(f"--checkpoint {options.checkpoint}: expected another file than --out")
        if os.path.exists(options.checkpoint) and not options.resume:
            raise UserError(
                f"--checkpoint {options.checkpoint}: is there already; go on from it with --resume, or remove it"
            )
    elif options.resume:
        raise UserError("--resume: expected a --checkpoint to go on from")
    options.seed = options.seed or 0
    return _train_on_text(options, head, None if start is None or vocabulary is None else (start, vocabulary), crew)


def _head(source: str) -> bytes:
    """The first bytes of a text; those of standard input are gone then."""
    try:
        if source == "-":
            return sys.stdin.buffer.read(_HEAD)
        with open(source, "rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise UserError(about_file(text_name(source), error)) from error


def _train_on_text(
    options: argparse.Namespace, head: bytes, start: tuple[Network, Vocabulary] | None, crew: Crew
) -> int:
    name = text_name(options.data)
    text = default_text() if options.data is None else read_text(options.data, head if options.data == "-" else b"")

    vocabulary = Vocabulary.of(text) if start is None else start[1]
    tokens, note = vocabulary.read(text, name, options.unknown)
    del text  # a large one takes memory that is needed below
    training, held_out = text_model.split(tokens, options.truncate, name)
    n, n_training, last = len(tokens), len(training), int(training[-1])
    batch = min(options.batch, text_model.most_streams(n_training, options.truncate))
    rnn = text_model.new_model(vocabulary, _architecture(options, 384)) if start is None else start[0]
    x, held_out = text_model.streams(training, batch), held_out.copy()
    del tokens, training  # the same
    y = text_model.following(x, n_training - 1, last)
    x_held_out, y_held_out = next(text_model.segments(held_out, _VALIDATE_MOST))
    kinds = f"{len(vocabulary)} different" if start is None else f"of the {len(vocabulary)} that the model knows"
    say(f"text: {name}, {n:,} characters, {kinds}; the last {len(held_out):,} are held out for validation")
    if note:
        say(note)
    if batch < options.batch:
        say(f"the text is short: {batch} parallel streams instead of {options.batch}")
    before = math.inf
    if start is not None:
        before = text_model.nats_per_character(rnn, held_out)
        say(f"goes on from {options.start}: {in_nats_and_bits(before)} per held-out character before training")
    updates = min(max(_PASSES * math.ceil(len(x) / options.truncate), _LEAST), _MOST)
    history = _fit(
        rnn,
        {"x": text_model.read_by(rnn, x), "y": y},
        {"x": text_model.read_by(rnn, x_held_out), "y": y_held_out},
        options.updates or updates,
        "characters",
        options,
        crew,
    )
    if history.stopped != "interrupted":
        loss = text_model.nats_per_character(rnn, held_out)
        say(f"validation: {in_nats_and_bits(loss)} per character, over all {len(held_out) - 1:,} held-out characters")
        if loss > before:
            say(f"{options.start} is better on them: a smaller --lr or more text may do better")
    say(f"\na sample (temperature {text_model.TEMPERATURE}):\n")
    say(text_model.sample(rnn, vocabulary, "", text_model.SAMPLE, text_model.TEMPERATURE, options.seed))
    return INTERRUPTED if history.stopped == "interrupted" else 0


def _architecture(options: argparse.Namespace, n_hidden: int) -> Architecture:
    n_of_each = options.hidden or (n_hidden,)
    return Architecture(options.network, n_of_each, options.activation, options.seed, options.leak)


def _check_architecture(rnn: Network, options: argparse.Namespace) -> None:
    """Raise UserError if an option asks for another architecture than that of the model to go on from."""
    network = "jordan" if isinstance(rnn, JordanRNN) else "elman"
    n_hidden = (rnn.n_hidden,) if isinstance(rnn.n_hidden, int) else tuple(rnn.n_hidden)
    has = {"network": network, "hidden": n_hidden, "activation": rnn.activation}
    for key, own in has.items():
        if (given := getattr(options, key)) not in (None, own):
            own, given = (",".join(map(str, each)) if isinstance(each, tuple) else each for each in (own, given))
            raise UserError(f"--{key}: expected that of {options.start}, {own}, got {given}")
    if options.leak is not None:
        alphas = rnn._options.leak if isinstance(rnn, ElmanRNN) else (1.0,)
        wanted = options.leak * (len(alphas) if len(options.leak) == 1 else 1)
        same = len(wanted) == len(alphas) and all(map(np.all, map(np.equal, alphas, wanted)))
        if not same:
            own = ",".join(f"{np.min(alpha):g}" if np.ptp(alpha) == 0 else "one a unit" for alpha in alphas)
            raise UserError(f"--leak: expected that of {options.start}, {own}, got {','.join(map(str, options.leak))}")


def _units(n_hidden: int | tuple[int, ...]) -> str:
    """How many hidden units, in words."""
    if isinstance(n_hidden, int):
        return f"{n_hidden} hidden units"
    *lower, top = map(str, n_hidden)
    return f"{len(n_hidden)} layers of {', '.join(lower)} and {top} hidden units" if lower else f"{top} hidden units"


def _fit(
    rnn: Network,
    data: dict[str, Any],
    validation: dict[str, Any],
    updates: int,
    unit: str,
    options: argparse.Namespace,
    crew: Crew,
) -> History:
    """Train the model, give it the best parameters, and save it."""
    steps, batch = data["y"].shape[:2]
    windows = math.ceil(steps / options.truncate)
    truncate = math.ceil(steps / windows)  # no longer than it takes: the last window is not much shorter
    begun = _checkpoint(options.checkpoint) if options.resume else None
    epochs, every = _validations(updates) if begun is None else _validations_of(begun, updates)
    updates = epochs * every
    say(
        f"model: {type(rnn).__name__}, {_units(rnn.n_hidden)}, {rnn.parameters.size:,} parameters; "
        f"{count_updates(updates)}, in {epochs} epochs of {every:,}, on {batch} {'streams' if batch > 1 else 'stream'} "
        f"x {truncate} {unit}"
    )
    optimizer, rate = OPTIMIZERS[options.optimizer]
    schedule = _schedule(options.schedule, updates)
    if begun is not None:
        _check_schedule(begun, schedule, options, updates)
        say(f"goes on after {count_updates(begun.position['updates'])}, as {options.checkpoint} has it")
    histories: list[History] = []
    how = {
        "optimizer": optimizer(options.lr or rate),
        "epochs": epochs,
        "updates_per_epoch": every,
        "truncate": truncate,
        "clip_norm": _MAX_NORM,
        "schedule": schedule,
        "patience": options.patience or _NO_PATIENCE,
        "seed": options.seed,
        "checkpoint": options.checkpoint,
        "resume": options.resume,
        "teacher_forcing": _forcing(rnn),
    }
    try:
        history = rnn.fit(**data, validation=validation, callbacks=[histories.append], **crew.train(rnn, how))
    except ProcessError as error:
        _save_best(rnn, histories[-1:], options.out)
        raise UserError(str(error)) from error
    except FloatingPointError as error:
        _save_best(rnn, histories[-1:], options.out)
        raise UserError(f"{error}: try a smaller --lr") from error
    except OSError as error:
        if options.checkpoint is None:
            raise
        _save_best(rnn, histories[-1:], options.out)
        raise UserError(f"--checkpoint {about_file(options.checkpoint, error)}") from error
    except ResumeError as error:
        raise UserError(f"--resume: {_in_options(str(error))}") from error
    except ValueError as error:
        if not str(error).startswith(f"{options.checkpoint}: "):
            raise
        raise UserError(f"--checkpoint {error}") from error
    if not _save_best(rnn, [history], options.out):
        save_model(rnn, options.out)
        say(f"saved: {options.out}, the newest parameters (after {count_updates(len(history.updates))})")
    if history.stopped == "epochs" and history.best_epoch is not None and history.best_epoch < epochs / 2 - 1:
        say("validation became worse after that: fewer --updates, a smaller --lr or fewer --hidden may do better")
    made = f"{len(history.updates):,} of {count_updates(updates)}"
    if history.stopped == "patience":
        say(f"stopped after {made}: no better validation in {options.patience}")
    if history.stopped == "interrupted":
        goes_on = "" if options.checkpoint is None else "; --resume goes on"
        say(f"interrupted after {made}{goes_on}")
    return history


def _save_best(rnn: Network, histories: list[History], out: str) -> bool:
    """Save the parameters with the best validation; False if there is none yet."""
    for history in histories:
        if history.best_parameters is not None and history.best_epoch is not None:
            rnn.parameters = history.best_parameters
            save_model(rnn, out)
            best = int(history.epochs.updates[history.best_epoch])
            say(f"saved: {out}, the parameters with the best validation (after {count_updates(best)})")
            return True
    return False


def _checkpoint(path: str) -> Checkpoint | None:
    try:
        return Checkpoint.read(path)
    except (OSError, ValueError) as error:
        raise UserError(f"--checkpoint {about_file(path, error)}") from error


def _settings_of(begun: Checkpoint) -> dict[str, Any]:
    settings = begun.identity.get("settings")
    return settings if isinstance(settings, dict) else {}


def _validations_of(begun: Checkpoint, updates: int) -> tuple[int, int]:
    """How many validations and updates before each, in a run of so many updates that goes on: as often as it began."""
    every = _settings_of(begun).get("updates_per_epoch")
    if type(every) is not int or every < 1:
        return _validations(updates)  # no run of this command: `fit` says what is wrong
    least = max(every, len(begun.arrays.get("updates.loss", ())))
    if updates < least:
        raise UserError(f"--updates: expected at least {least} for the run that is to go on, got {updates}")
    return math.ceil(updates / every), every


def _schedule(name: str, updates: int) -> Warmup:
    rising = min(_RISING, updates // 10)
    if name == "constant":  # whatever the number of updates, as more may follow
        return Warmup(_RISING, Constant())
    left = updates - rising
    return Warmup(rising, Cosine(left, final=_LAST_RATE) if name == "cosine" else Step(math.ceil(left / 3)))


def _check_schedule(begun: Checkpoint, schedule: Warmup, options: argparse.Namespace, updates: int) -> None:
    """Refuse to go on at another learning rate: that were another run."""
    theirs, mine = str(_settings_of(begun).get("schedule")), described(schedule)
    if theirs == mine:
        return
    kind = next((name for name in SCHEDULES if f"then={name.title()}(" in theirs), "another")
    if kind != options.schedule:
        raise UserError(f"--resume: expected --schedule as in the checkpoint, {kind}, got {options.schedule}")
    got = f"got {updates}" + ("" if options.updates else ", the default of this text")
    if kind == "constant":
        raise UserError("--resume: expected a checkpoint whose learning rate rises as here, got one of another version")
    total = re.fullmatch(r"Warmup\(updates=(\d+), then=Cosine\(updates=(\d+), .*", theirs)
    expected = (
        "as many as in the checkpoint" if total is None else f"{sum(map(int, total.groups()))}, as in the checkpoint"
    )
    raise UserError(
        f"--updates: expected {expected}, {got}: the learning rate of --schedule {kind} follows from the number of all "
        "updates, so that only --schedule constant can be extended; to train a finished model on, see --from"
    )


def _in_options(message: str) -> str:
    """What a `ResumeError` says, in the words of the command line."""
    found = re.fullmatch(r"resume: expected (\S+) as in the checkpoint, (.*)", message, re.DOTALL)
    if found is None:  # data or validation: other numbers
        return "expected the text, --batch and --truncate of the run that is to go on, got others"
    of_the_run = "data and options have to be those of the run that is to go on"
    name, values = found[1], found[2].replace(f"{_NO_PATIENCE}", "none")
    if name in _OPTION_OF:
        return f"expected {_OPTION_OF[name]} as in the checkpoint, {values}; {of_the_run}"
    if name in ("network.n_in", "network.n_out"):
        return f"expected a text of as many different characters as in the checkpoint, {values}; {of_the_run}"
    if name == "settings.reduction":
        return (
            "expected mpiexec where the run began with it, and none where it began without: sums are in another order"
        )
    if name == "settings.truncate":
        return f"expected the text, --batch and --truncate of the run that is to go on: windows of {values} characters"
    return f"expected a checkpoint of such a run of `bptt train`: {name.rpartition('.')[2]} is {values}"


def _forcing(rnn: Network) -> float | None:
    """The teacher forcing to train with: none for an Elman network."""
    return 1.0 if isinstance(rnn, JordanRNN) else None


def _validations(updates: int) -> tuple[int, int]:
    """How many validations, about 20, and updates before each: their product is `updates`, or a little more."""
    for n in sorted(range(_VALIDATIONS // 2, 2 * _VALIDATIONS), key=lambda n: abs(n - _VALIDATIONS)):
        if updates % n == 0:
            return n, updates // n
    every = math.ceil(updates / _VALIDATIONS)
    return math.ceil(updates / every), every
