"""What each command does with files, models and messages. Knows no options' syntax and no mathematics."""

from __future__ import annotations

import argparse
import csv
import io
import math
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bptt._inputs import UserError
from bptt.checkpoint import Checkpoint
from bptt.files import load, remove_stale, write_whole
from bptt.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSProp
from bptt.schedules import Constant, Cosine, Step, Warmup
from bptt.table import SUFFIXES, read_table
from bptt.text import Vocabulary, default_text, read_text, text_name

if TYPE_CHECKING:
    from bptt import ElmanRNN, History, JordanRNN
    from bptt.series import Columns, Scores

    Network = ElmanRNN | JordanRNN

INTERRUPTED = 130  # 128 + SIGINT, what a shell makes of it
SAMPLE, TEMPERATURE = 500, 0.8
OPTIMIZERS: dict[str, tuple[Callable[[float], Optimizer], float]] = {  # and the default of --lr
    "adam": (Adam, 2e-3),
    "adamw": (AdamW, 2e-3),
    "rmsprop": (RMSProp, 2e-3),
    "adagrad": (Adagrad, 5e-2),
    "sgd": (lambda lr: SGD(lr, momentum=0.9), 0.2),
}
SCHEDULES = ("cosine", "constant", "step")
_RISING, _LAST_RATE = 100, 0.1  # updates in which the learning rate rises, at most a tenth of all; where a cosine ends
_MAX_NORM = 1.0
_VALIDATIONS = 20
_PASSES, _LEAST, _MOST = 15, 300, 7500  # over a text by default, and the updates for that: more would learn it by heart
_VALIDATE_MOST = 32_768  # characters each time; the whole held-out text is scored at the end


# ---- Training ----


def train(options: argparse.Namespace) -> int:
    """`bptt train`: exit code 0, or that of an interrupt."""
    source = options.data
    _check_writable("--out", options.out, source)
    if options.checkpoint is not None:
        _check_writable("--checkpoint", options.checkpoint, source)
        if os.path.realpath(options.checkpoint) == os.path.realpath(options.out):
            raise UserError(f"--checkpoint {options.checkpoint}: expected another file than --out")
        if os.path.exists(options.checkpoint) and not options.resume:
            raise UserError(
                f"--checkpoint {options.checkpoint}: is there already; go on from it with --resume, or remove it"
            )
    elif options.resume:
        raise UserError("--resume: expected a --checkpoint to go on from")
    _use_threads(options.threads)
    if source is not None and Path(source).suffix.lower() in SUFFIXES:
        return _train_on_table(options)
    for name in ("inputs", "targets", "horizon", "id", "differences"):
        if getattr(options, name) not in (None, False):
            raise UserError(f"--{name}: expected with a table only ({', '.join(SUFFIXES)})")
    return _train_on_text(options)


def _train_on_text(options: argparse.Namespace) -> int:
    name = text_name(options.data)
    text = default_text() if options.data is None else read_text(options.data)

    from bptt import language_model

    vocabulary = Vocabulary.of(text)
    training, held_out = language_model.split(vocabulary.encode(text), options.truncate, name)
    batch = min(options.batch, language_model.most_streams(len(training), options.truncate))
    rnn = language_model.new_model(vocabulary, options.network, options.hidden or 384, options.seed)
    x, y = language_model.streams(training, batch)
    x_held_out, y_held_out = language_model.segments(held_out, _VALIDATE_MOST)
    _say(
        f"text: {name}, {len(text):,} characters, {len(vocabulary)} different; "
        f"the last {len(held_out):,} are held out for validation"
    )
    if batch < options.batch:
        _say(f"the text is short: {batch} parallel streams instead of {options.batch}")
    updates = min(max(_PASSES * math.ceil(len(x) / options.truncate), _LEAST), _MOST)
    history = _fit(
        rnn,
        {"x": language_model.read_by(rnn, x), "y": y},
        {"x": language_model.read_by(rnn, x_held_out), "y": y_held_out},
        options.updates or updates,
        "characters",
        options,
    )
    if history.stopped != "interrupted":
        loss = language_model.nats_per_character(rnn, held_out)
        _say(f"validation: {_both(loss)} per character, over all {len(held_out) - 1:,} held-out characters")
    _say(f"\na sample (temperature {TEMPERATURE}):\n")
    _say(language_model.sample(rnn, vocabulary, "", SAMPLE, TEMPERATURE, options.seed))
    return INTERRUPTED if history.stopped == "interrupted" else 0


def _train_on_table(options: argparse.Namespace) -> int:
    from bptt import series

    table = read_table(options.data)
    horizon = 1 if options.horizon is None else options.horizon
    columns = series.choose(table, options.inputs, options.targets, horizon, options.id, options.differences)
    found = series.series_of(table, columns, need_targets=True)
    columns, training, validation, kept, cuts, held_out = series.split(found, columns, table.name)
    rnn = series.new_model(columns, options.network, options.hidden or 64, options.seed)
    data = series.streams(training, options.batch, options.truncate, options.seed)

    rows = sum(len(one.inputs) for one in found)
    _say(f"table: {table.name}, {rows:,} rows" + (f" in {len(found):,} sequences" if len(found) > 1 else ""))
    if not table.named:
        _say(f"no names in the first row, which is numbers: the columns are called 1 to {len(table.names)}")
    _say(f"reads: {', '.join(columns.inputs)}")
    _say(f"predicts: {', '.join(columns.targets)}, {_ahead(columns)}")
    used = {*columns.inputs, *columns.targets, columns.id}
    if ignored := [name for name in table.names if name not in used]:
        reasons = {name: "" if table.is_numeric(name) else f" ({table.why_not_numeric(name)})" for name in ignored}
        _say(f"not used: {', '.join(name + reason for name, reason in reasons.items())}")
    if len(kept) < len(found):
        _say(f"too short to learn from: {len(found) - len(kept):,} sequences")
    _say(f"held out for validation: {held_out}")
    history = _fit(rnn, data, validation._asdict(), options.updates or 3000, "rows", options)
    if history.stopped != "interrupted":
        _say("\nvalidation:")
        _say(_score_table(series.scores(rnn, columns, kept, table.name, cuts), columns))
    return INTERRUPTED if history.stopped == "interrupted" else 0


def _fit(
    rnn: Network, data: dict[str, Any], validation: dict[str, Any], updates: int, unit: str, options: argparse.Namespace
) -> History:
    """Train the model, give it the best parameters, and save it."""
    steps, batch = data["y"].shape[:2]
    windows = math.ceil(steps / options.truncate)
    truncate = math.ceil(steps / windows)  # no longer than it takes: the last window is not much shorter
    epochs, every = _validations(updates)
    updates = epochs * every
    _say(
        f"model: {type(rnn).__name__}, {rnn.n_hidden} hidden units, {rnn.parameters.size:,} parameters; "
        f"{_updates(updates)}, in {epochs} epochs of {every:,}, on {batch} {'streams' if batch > 1 else 'stream'} "
        f"x {truncate} {unit}"
    )
    optimizer, rate = OPTIMIZERS[options.optimizer]
    rising = min(_RISING, updates // 10)
    falling: dict[str, Callable[[int], float]] = {
        "cosine": Cosine(updates - rising, final=_LAST_RATE),
        "constant": Constant(),
        "step": Step(math.ceil((updates - rising) / 3)),
    }
    if options.resume and (begun := _checkpoint(options.checkpoint)) is not None:
        _say(f"goes on after {_updates(begun.position['updates'])}, as {options.checkpoint} has it")
    histories: list[History] = []
    try:
        history = rnn.fit(
            **data,
            optimizer=optimizer(options.lr or rate),
            epochs=epochs,
            updates_per_epoch=every,
            truncate=truncate,
            clip_norm=_MAX_NORM,
            schedule=Warmup(rising, falling[options.schedule]),
            validation=validation,
            patience=options.patience or epochs,
            seed=options.seed,
            checkpoint=options.checkpoint,
            resume=options.resume,
            callbacks=[histories.append],
            teacher_forcing=_forcing(rnn),
        )
    except FloatingPointError as error:
        _save_best(rnn, histories[-1:], options.out)
        raise UserError(f"{error}: try a smaller --lr") from error
    except OSError as error:
        if options.checkpoint is None:
            raise
        _save_best(rnn, histories[-1:], options.out)
        raise UserError(f"--checkpoint {_about(options.checkpoint, error)}") from error
    except ValueError as error:
        if not (options.resume and str(error).startswith("resume: ")):
            raise
        raise UserError(f"--{error}; data and options have to be those of the run that is to go on") from error
    if not _save_best(rnn, [history], options.out):
        _save(rnn, options.out)
        _say(f"saved: {options.out}, the newest parameters (after {_updates(len(history.updates))})")
    if history.stopped == "epochs" and history.best_epoch is not None and history.best_epoch < epochs / 2 - 1:
        _say("validation became worse after that: fewer --updates, a smaller --lr or fewer --hidden may do better")
    made = f"{len(history.updates):,} of {_updates(updates)}"
    if history.stopped == "patience":
        _say(f"stopped after {made}: no better validation in {options.patience}")
    if history.stopped == "interrupted":
        goes_on = "" if options.checkpoint is None else "; --resume goes on"
        _say(f"interrupted after {made}{goes_on}")
    return history


def _save_best(rnn: Network, histories: list[History], out: str) -> bool:
    """Save the parameters with the best validation; False if there is none yet."""
    for history in histories:
        if history.best_parameters is not None and history.best_epoch is not None:
            rnn.parameters = history.best_parameters
            _save(rnn, out)
            best = int(history.epochs.updates[history.best_epoch])
            _say(f"saved: {out}, the parameters with the best validation (after {_updates(best)})")
            return True
    return False


def _checkpoint(path: str) -> Checkpoint | None:
    try:
        return Checkpoint.read(path)
    except (OSError, ValueError) as error:
        raise UserError(f"--checkpoint {_about(path, error)}") from error


def _updates(n: int) -> str:
    return f"{n:,} update{'s' * (n != 1)}"


def _forcing(rnn: Network) -> float | None:
    """The teacher forcing to train with: none for an Elman network, and for a table as its columns have it."""
    from bptt import JordanRNN, series

    if not isinstance(rnn, JordanRNN):
        return None
    columns = series.columns_of(rnn)
    return 1.0 if columns is None else series.forcing_of(rnn, columns)


def _validations(updates: int) -> tuple[int, int]:
    """How many validations, about 20, and updates before each: their product is `updates`, or a little more."""
    for n in sorted(range(_VALIDATIONS // 2, 2 * _VALIDATIONS), key=lambda n: abs(n - _VALIDATIONS)):
        if updates % n == 0:
            return n, updates // n
    every = math.ceil(updates / _VALIDATIONS)
    return math.ceil(updates / every), every


# ---- Use ----


def sample(options: argparse.Namespace) -> int:
    """`bptt sample`."""
    from bptt import language_model

    rnn = _load(options.model)
    vocabulary = language_model.vocabulary_of(rnn)
    if vocabulary is None:
        raise UserError(f"{options.model}: not a character model: it carries no vocabulary that fits its sizes")
    text = language_model.sample(rnn, vocabulary, options.prompt, options.length, options.temperature, options.seed)
    _say(options.prompt + text)
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """`bptt evaluate`."""
    from bptt import language_model, series

    rnn = _load(options.model)
    vocabulary, columns = language_model.vocabulary_of(rnn), series.columns_of(rnn)
    _use_threads(options.threads)
    if vocabulary is not None:
        name = text_name(options.data)
        tokens = vocabulary.encode(read_text(options.data), name)
        if len(tokens) < 2:
            raise UserError(f"{name}: too short, one character; at least 2 are needed (the first is only read)")
        loss = language_model.nats_per_character(rnn, tokens)
        _say(f"{_both(loss)} per character, over {len(tokens) - 1:,} characters")
        return 0
    if columns is None:
        raise UserError(
            f"{options.model}: not a character model, nor one of a table: it carries no vocabulary and no columns that "
            "fit its sizes"
        )
    table = read_table(options.data)
    found = series.series_of(table, columns, need_targets=True)
    _say(_score_table(series.scores(rnn, columns, found, table.name), columns))
    return 0


def predict(options: argparse.Namespace) -> int:
    """`bptt predict`."""
    from bptt import series

    rnn = _load(options.model)
    columns = series.columns_of(rnn)
    if columns is None:
        raise UserError(f"{options.model}: not a model of a table: it carries no columns that fit its sizes")
    out = None if options.out == "-" else options.out
    if out is not None and Path(out).suffix.lower() in (".npz", ".tsv"):
        raise UserError(f"--out {out}: expected the name of a CSV file")
    if out is not None:
        _check_writable("--out", out, options.data, options.model)
    _use_threads(options.threads)
    table = read_table(options.data)
    found = series.series_of(table, columns, need_targets=series.needs_targets(rnn, columns))
    if options.steps is None:
        first = [1 + columns.horizon] * len(found)
        rows = series.predictions(rnn, columns, found)
    else:
        first = [1 + len(one.inputs) for one in found]
        rows = series.forecast(rnn, columns, found, options.steps)
    several = columns.id is not None or len(found) > 1
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*([columns.id or "sequence"] if several else []), "row", *columns.targets])
    formats = [_decimals(scale) for scale in columns.target_scale]
    for one, begin, values in zip(found, first, rows, strict=True):
        label = [one.id] if several else []
        for i, row in enumerate(values.tolist()):
            cells = ("" if math.isnan(value) else f.format(value) for f, value in zip(formats, row, strict=True))
            writer.writerow([*label, begin + i, *cells])
    if out is None:
        sys.stdout.write(text.getvalue())
        return 0
    try:
        write_whole(out, text.getvalue().encode(errors="backslashreplace"))
    except OSError as error:
        raise UserError(_about(out, error)) from error
    lines = sum(map(len, rows))
    _say(f"saved: {out}, {lines:,} {'rows' if lines > 1 else 'row'} of {', '.join(columns.targets)}")
    return 0


def _decimals(scale: float) -> str:
    """A format with the digits that a single-precision network has of numbers of this standard deviation."""
    decimals = 7 - math.floor(math.log10(scale))
    return f"{{:.{max(0, decimals)}f}}" if decimals <= 15 else "{!r}"


def info(options: argparse.Namespace) -> int:
    """`bptt info`."""
    from bptt import JordanRNN, language_model, series

    rnn = _load(options.model)
    shapes = ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in rnn._shapes.items())
    _say(repr(rnn))
    _say(f"parameters: {rnn.parameters.size:,} ({shapes})")
    recurrence, name = rnn.W.astype(np.float64), "W"
    if isinstance(rnn, JordanRNN):  # one step of the hidden units, with the output unit left out
        name = "W V"  # which has the eigenvalues of V W, and zeros
        V = rnn.V.astype(np.float64)
        recurrence = V @ recurrence if rnn.n_out < rnn.n_hidden else recurrence @ V
    if np.isfinite(recurrence).all():
        _say(f"spectral radius of {name}: {np.abs(np.linalg.eigvals(recurrence)).max():.4f}")
    else:
        _say(f"spectral radius of {name}: none, as it is not finite")
    if (vocabulary := language_model.vocabulary_of(rnn)) is not None:
        _say(f"a model of text: {len(vocabulary)} characters, {vocabulary.characters!a}")
    elif (columns := series.columns_of(rnn)) is not None:
        ids = "" if columns.id is None else f"; sequences are told apart by {columns.id}"
        _say(f"a model of tables: predicts {_ahead(columns)}{ids}")
        for kind, names, means, scales in (
            ("reads", columns.inputs, columns.input_mean, columns.input_scale),
            ("predicts", columns.targets, columns.target_mean, columns.target_scale),
        ):
            for column, mean, scale in zip(names, means, scales, strict=True):
                _say(f"  {kind} {column}: mean {mean:.6g}, standard deviation {scale:.6g}")
    elif rnn.metadata:
        _say(f"metadata: {', '.join(rnn.metadata)}")
    return 0


# ---- Files and messages ----


def _use_threads(n: int | None) -> None:
    from bptt import set_num_threads

    if n is not None:
        set_num_threads(n)


def _load(path: str) -> Network:
    try:
        rnn: Network = load(path)
        return rnn
    except (OSError, ValueError) as error:
        raise UserError(_about(path, error)) from error


def _save(rnn: Network, out: str) -> None:
    remove_stale(out)
    try:
        rnn.save(out)
    except OSError as error:
        raise UserError(_about(out, error)) from error


def _about(path: str, error: Exception) -> str:
    """One line on a file's error, which names the file once."""
    what = (error.strerror if isinstance(error, OSError) else None) or str(error)
    line = " ".join(what.split())
    return line if line.startswith(f"{path}: ") else f"{path}: {line}"


def _check_writable(option: str, path: str, *sources: str | None) -> None:
    """Raise UserError now if a file could not be written later, or would replace one that is read; leave no trace."""
    out = Path(path)
    try:
        for source in sources:
            if source not in (None, "-") and out.exists() and Path(source).exists() and out.samefile(source):
                raise UserError(f"{option} {out}: is a file that is read, {source}")
        if out.exists() and not out.is_file():
            raise UserError(f"{option} {out}: exists and is not a regular file")
        if out.exists() and not os.access(out, os.W_OK):
            raise UserError(f"{option} {out}: not writable")
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise UserError(f"{option} {out}: cannot write into the folder {out.parent} ({error.strerror})") from error


def _score_table(scores: Scores, columns: Columns) -> str:
    """Errors in the units of the targets, beside those of who knows only the mean, or only the present."""
    heads = ["target", "error", "of the mean difference" if columns.differences else "of the mean"]
    numbers = [scores.rmse, scores.rmse_of_mean]
    if scores.rmse_of_present is not None:
        heads.append("of the present")
        numbers.append(scores.rmse_of_present)
    cells = (["-" if math.isnan(n[j]) else f"{n[j]:.5g}" for n in numbers] for j in range(len(columns.targets)))
    lines = [heads, *([name, *row] for name, row in zip(columns.targets, cells, strict=True))]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    text = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
    text.append(
        f"(roots of the mean squared error over {scores.rows:,} rows, the model's beside those of guesses; "
        f"loss {scores.nats:.4f} nats a row)"
    )
    if scores.rmse_of_present is not None and not columns.differences:
        worse = (scores.rmse > scores.rmse_of_present) & (scores.rmse_of_present > 0)
        if names := [name for name, is_worse in zip(columns.targets, worse, strict=True) if is_worse]:
            text.append(f"The present value is the better guess of {', '.join(names)}: try --differences.")
    return "\n".join(text)


def _ahead(columns: Columns) -> str:
    rows = {0: "in the same row", 1: "one row ahead"}.get(columns.horizon, f"{columns.horizon:,} rows ahead")
    return rows + (", by differences" if columns.differences else "")


def _both(nats: float) -> str:
    return f"{nats:.4f} nats ({nats / math.log(2):.4f} bits)"


def _say(line: str) -> None:
    print(line, flush=True)
