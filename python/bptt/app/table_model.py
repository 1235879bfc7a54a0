"""A model of numeric sequences: columns, standardisation, streams, forecasts. Knows no options or terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from bptt._arrays import Array
from bptt.app.architecture import Architecture
from bptt.app.errors import UserError
from bptt.app.table_data import Table
from bptt.networks.elman import ElmanRNN
from bptt.networks.jordan import JordanRNN
from bptt.networks.results import ElmanRun, JordanRun

_KEY = "series"  # of what the model carries in its metadata
_HELD_OUT_SHARE, _HELD_OUT_MOST = 0.1, 100_000  # rows of a sequence: validation stays a matter of a second
_MANY = 10  # sequences: from so many on, whole ones are held out; of fewer, their last rows
_WARM_UP = 1000  # rows, at most, that are read before those held out
_WINDOWS_A_STREAM = 8  # of each, at least, where there are several streams: few windows begin without a past
_AT_ONCE = 4096  # steps of a prediction computed at once

_quiet = np.errstate(over="ignore", invalid="ignore")  # huge numbers: what becomes of them is checked, or shown


@dataclass(frozen=True)
class Columns:
    """What a model reads and predicts, and the units of both. A model carries this in its metadata.

    Attributes
    ----------
    inputs, targets : list of str
        Columns of a table.
    horizon : int
        The targets of a step are those of the row so many further on; 0: of the same row.
    id : str or None
        The column that tells sequences apart.
    differences : bool
        Whether x is how the inputs differ from the row before, and y how the targets differ from the present row, as
        suits numbers that wander or grow; otherwise both are the numbers themselves.
    input_mean, input_scale, target_mean, target_scale : list of float
        The network reads ``(x - mean) / scale`` and puts out ``(y - mean) / scale``: mean and standard deviation over
        the rows that it was trained on.
    """

    inputs: list[str]
    targets: list[str]
    horizon: int
    id: str | None
    differences: bool
    input_mean: list[float]
    input_scale: list[float]
    target_mean: list[float]
    target_scale: list[float]

    @property
    def feeds_back(self) -> bool:
        """Whether a prediction can be the next row's input."""
        return self.horizon == 1 and set(self.inputs) <= set(self.targets)

    def x(self, rows: Array) -> Array:
        """Inputs, or how they differ from the row before, of which the first has none: NaN."""
        return np.diff(rows, axis=0, prepend=np.nan) if self.differences else rows

    def y(self, rows: Array) -> Array:
        """The targets of every row but the first `horizon`, or how they differ from `horizon` rows before."""
        ahead = rows[self.horizon :]
        return ahead - rows[: len(ahead)] if self.differences else ahead

    def standard_x(self, x: Array) -> Array:
        """What the network reads: 0, which is the mean, for what is not known."""
        return np.nan_to_num(_standard(self.inputs, x, self.input_mean, self.input_scale), nan=0.0)

    def standard_y(self, y: Array) -> Array:
        """What the network is to put out."""
        return _standard(self.targets, y, self.target_mean, self.target_scale)

    def in_units(self, outputs: Array, present: Array) -> Array:
        """Targets from outputs of the network and the targets of the rows after which it put them out."""
        y = outputs.astype(np.float64) * self.target_scale + self.target_mean
        return present + y if self.differences else y


def _standard(names: list[str], rows: Array, mean: list[float], scale: list[float]) -> Array:
    with np.errstate(over="ignore"):
        standard: Array = ((rows - mean) / scale).astype(np.float32)
    if (large := np.isinf(standard)).any():
        row, column = np.argwhere(large)[0].tolist()
        raise UserError(
            f"column {names[column]!r}: expected numbers of a size as in training, got {rows[row, column]:g}"
        )
    return standard


class Series(NamedTuple):
    """The rows of one sequence, in the units of the table; NaN where a target is missing."""

    id: str
    inputs: Array
    targets: Array

    def pairs(self, columns: Columns) -> tuple[Array, Array]:
        """What the network reads, and what it is to put out after each step: as many rows of each."""
        y = columns.standard_y(columns.y(self.targets))
        return columns.standard_x(columns.x(self.inputs))[: len(y)], y


class Part(NamedTuple):
    """Training or validation data: sequences as `fit` takes them, with weight 0 where there is no target."""

    x: list[Array]
    y: list[Array]
    weight: list[Array]

    @property
    def rows(self) -> int:
        return int(sum(np.count_nonzero(weight) for weight in self.weight))


class Scores(NamedTuple):
    """How well targets are predicted."""

    nats: float  # half the squared error, summed over the standardised targets of a row: the mean over rows
    rows: int
    rmse: Array  # of each target, in its units: root of the mean squared error
    rmse_of_mean: Array  # of who knows only the mean, or the present and the mean difference
    rmse_of_present: Array | None  # of who takes what is to come for what is


# ---- From tables ----


def choose(
    table: Table,
    inputs: Sequence[str] | None,
    targets: Sequence[str] | None,
    horizon: int,
    id: str | None,
    differences: bool,
) -> Columns:
    """Return the columns that a model is to read and predict, without their units yet.

    Inputs are by default all columns of numbers, and targets what the inputs are.
    """
    if id is not None:
        found = table.expand("--id", [id])
        if len(found) > 1:
            raise UserError(f"--id: expected one column, got {', '.join(found)}")
        if table.steps is not None:
            raise UserError(f"--id: expected none, as the arrays of {table.name} have an axis of sequences")
        (id,) = found
    chosen = None if targets is None else table.expand("--targets", targets)
    if inputs is not None:
        read = table.expand("--inputs", inputs)
    else:
        others = {id, *(chosen if horizon == 0 and chosen is not None else [])}
        candidates = [name for name in table.names if name not in others]
        for name in candidates:
            table.check_cells(name)
        read = [name for name in candidates if table.is_numeric(name)]
    if not read:
        reasons = [f"{name} ({table.why_not_numeric(name)})" for name in table.names[:3] if name != id]
        got = f"got {', '.join(reasons)}" if reasons else "got none"
        raise UserError(f"{table.name}: expected at least one column of numbers to read, {got}")
    if horizon == 0 and (chosen is None or set(chosen) & set(read)):
        raise UserError("--targets: with --horizon 0, expected columns that are no inputs")
    if horizon == 0 and differences:
        raise UserError("--differences: expected a --horizon of at least 1")
    return Columns(read, read if chosen is None else chosen, horizon, id, differences, [], [], [], [])


def series_of(table: Table, columns: Columns, need_targets: bool) -> list[Series]:
    """Return the sequences of a table, in the order in which their ids first appear.

    Raises
    ------
    UserError
        A column that the model has is not there, or an input is missing or no number.
    """
    has_targets = need_targets or set(columns.targets) <= set(table.names)
    wanted = [*columns.inputs, *(columns.targets if has_targets else []), *([] if columns.id is None else [columns.id])]
    for name in wanted:
        if name not in table:
            raise UserError(f"{table.name}: expected a column {name!r}, as the model has, got {table.names_in_words()}")
    table.rows_of(wanted)
    inputs = table.numbers(columns.inputs, missing=False)
    if has_targets:
        targets = table.numbers(columns.targets, missing=True)
    else:
        targets = np.full((len(inputs), len(columns.targets)), np.nan)
    if columns.id is not None:
        rows_of: dict[str, list[int]] = {}
        for row, label in enumerate(table.labels(columns.id)):
            rows_of.setdefault(label, []).append(row)
        return [Series(label, inputs[rows], targets[rows]) for label, rows in rows_of.items()]
    steps = table.steps or len(inputs)
    starts = range(0, len(inputs), steps)
    return [Series(str(i + 1), inputs[t : t + steps], targets[t : t + steps]) for i, t in enumerate(starts)]


class Split(NamedTuple):
    """The rows to train on and those held out."""

    columns: Columns  # with their units
    training: Part
    validation: Part
    series: list[Series]  # those long enough
    cuts: list[int]  # of each, how many rows come before those held out
    held_out: str  # in words


@_quiet
def split(all_series: list[Series], columns: Columns, name: str) -> Split:
    """Hold out the last tenth: of sequences where there are many, else of the rows of each; standardise by the others.

    Raises
    ------
    UserError
        There are too few rows.
    """
    series = [s for s in all_series if len(s.inputs) > columns.horizon]
    many = len(series) >= _MANY
    if not many:
        series = [s for s in series if len(s.inputs) > columns.horizon + 1]
    if not series:
        longest = max(len(s.inputs) for s in all_series)
        raise UserError(
            f"{name}: too short; expected a sequence of at least {columns.horizon + 2} rows, got {longest} at most"
        )
    if many:
        n = math.ceil(_HELD_OUT_SHARE * len(series))
        cuts = [len(s.inputs) for s in series[:-n]] + [0] * n
        held_out = f"the last {n:,} of {len(series):,} sequences"
    else:
        cuts = [_first_held_out(len(s.inputs), columns.horizon) for s in series]
        rows = [len(s.inputs) - cut for s, cut in zip(series, cuts, strict=True)]
        last = "the last row" if rows[0] == 1 else f"the last {rows[0]:,} rows"
        held_out = last if len(rows) == 1 else f"the last rows of each, {sum(rows):,} in all"
    before = [Series(s.id, s.inputs[:cut], s.targets[:cut]) for s, cut in zip(series, cuts, strict=True) if cut > 0]
    columns = _with_units(columns, before, name)
    training = _part(columns, before, [0] * len(before))
    validation = _part(columns, series, [max(0, cut - columns.horizon) for cut in cuts])
    for part, what in ((training, "to train on"), (validation, "to validate with")):
        if part.rows == 0:
            raise UserError(f"{name}: expected rows {what} in which no target is missing, got none")
    return Split(columns, training, validation, series, cuts, held_out)


def _with_units(columns: Columns, series: list[Series], name: str) -> Columns:
    """The columns with the units of these rows."""
    x = np.concatenate([columns.x(s.inputs) for s in series])
    y = np.concatenate([columns.y(s.targets) if columns.differences else s.targets for s in series])
    input_mean, input_scale = _units(name, columns.inputs, x, np.concatenate([s.inputs for s in series]))
    target_mean, target_scale = _units(name, columns.targets, y, np.concatenate([s.targets for s in series]))
    return replace(
        columns, input_mean=input_mean, input_scale=input_scale, target_mean=target_mean, target_scale=target_scale
    )


def _units(name: str, columns: list[str], rows: Array, levels: Array) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each column, whatever is missing left out; 1 where only rounding varies."""
    means, scales = [], []
    for column, values, level in zip(columns, rows.T, levels.T, strict=True):
        known = values[~np.isnan(values)]
        if known.size == 0:
            raise UserError(f"{name}, column {column!r}: expected numbers in the rows to train on, got none")
        with np.errstate(over="ignore", invalid="ignore"):
            mean, scale = float(known.mean()), float(known.std())
        if not math.isfinite(scale):
            raise UserError(f"{name}, column {column!r}: expected numbers that can be standardised, got too large ones")
        rounding = 64 * np.finfo(np.float64).eps * float(np.nanmax(np.abs(level)))
        means.append(mean)
        scales.append(scale if scale > rounding else 1.0)
    return means, scales


def _first_held_out(rows: int, horizon: int) -> int:
    """How many rows of a sequence come before those held out: at least one target on either side."""
    held_out = max(1, min(round(_HELD_OUT_SHARE * rows), _HELD_OUT_MOST))
    return min(max(rows - held_out, horizon + 1), rows - 1)


def _part(columns: Columns, some: list[Series], starts: list[int]) -> Part:
    """Pairs of each sequence from its start on, and some before them of weight 0."""
    part = Part([], [], [])
    for series, start in zip(some, starts, strict=True):
        x, y = series.pairs(columns)
        first = max(0, start - _WARM_UP)
        weight = np.array(~np.isnan(y).any(axis=1), np.float32)
        weight[:start] = 0
        if len(x) > start:
            part.x.append(x[first:])
            part.y.append(np.nan_to_num(y[first:], nan=0.0))
            part.weight.append(weight[first:])
    return part


def streams(part: Part, batch: int, tau: int, seed: int) -> dict[str, Array]:
    """Join sequences, in a random order, and cut them into parallel streams as `fit` takes them.

    Parameters
    ----------
    part : Part
        The sequences.
    batch, tau : int
        Streams, at most; steps a window.
    seed : int
        Of the order.

    Returns
    -------
    dict
        ``x [steps, batch, n_in]``, ``y [steps, batch, n_out]``, ``weight [steps, batch]`` (0 for what fills the last
        stream up) and ``reset [steps, batch]``, which marks where sequences begin.
    """
    order = np.random.default_rng(seed).permutation(len(part.x)).tolist()
    total = sum(map(len, part.x))
    batch = max(1, min(batch, total // (_WINDOWS_A_STREAM * tau)))
    steps = math.ceil(total / batch)
    begins = np.zeros(total, np.bool_)
    begins[np.cumsum([0, *(len(part.x[i]) for i in order[:-1])])] = True

    def as_streams(rows: Array) -> Array:
        filled = np.concatenate([rows, np.zeros((batch * steps - total, *rows.shape[1:]), rows.dtype)])
        return np.ascontiguousarray(filled.reshape(batch, steps, *rows.shape[1:]).swapaxes(0, 1))

    x, y, weight = (np.concatenate([rows[i] for i in order]) for rows in part)
    return {"x": as_streams(x), "y": as_streams(y), "weight": as_streams(weight), "reset": as_streams(begins)}


# ---- Models ----


def new_model(columns: Columns, architecture: Architecture) -> ElmanRNN | JordanRNN:
    """Return an untrained model, which carries its columns in its metadata."""
    rnn = architecture.build(len(columns.inputs), len(columns.targets), output="linear")
    rnn.metadata[_KEY] = asdict(columns)
    return rnn


def columns_of(rnn: ElmanRNN | JordanRNN) -> Columns | None:
    """Return the columns that a model carries; None if it carries none, or what does not fit."""
    try:
        columns = Columns(**rnn.metadata[_KEY])
        inputs: list[list[Any]] = [columns.inputs, columns.input_mean, columns.input_scale]
        targets: list[list[Any]] = [columns.targets, columns.target_mean, columns.target_scale]
        numbers = [number for part in (*inputs[1:], *targets[1:]) for number in part]
        fits = (
            all(type(part) is list for part in (*inputs, *targets))
            and [len(part) for part in (*inputs, *targets)] == [rnn.n_in] * 3 + [rnn.n_out] * 3
            and all(type(name) is str for name in [*columns.inputs, *columns.targets])
            and all(type(number) is float and math.isfinite(number) for number in numbers)
            and all(scale > 0 for scale in [*columns.input_scale, *columns.target_scale])
            and type(columns.horizon) is int
            and columns.horizon >= 0
            and type(columns.differences) is bool
            and (columns.id is None or type(columns.id) is str)
            and (rnn.input, rnn.output) == ("real", "linear")
            and (isinstance(rnn, JordanRNN) or (rnn.readout == "all" and not rnn.bidirectional))
        )
        return columns if fits else None
    except (KeyError, TypeError):
        return None


def forcing_of(rnn: ElmanRNN | JordanRNN, columns: Columns) -> float | None:
    """Return the teacher forcing of a `JordanRNN`: only what lies one row ahead is known by the next step."""
    return None if isinstance(rnn, ElmanRNN) else float(columns.horizon == 1)


def needs_targets(rnn: ElmanRNN | JordanRNN, columns: Columns) -> bool:
    """Whether predictions need the targets of the rows up to the present."""
    return columns.differences or forcing_of(rnn, columns) == 1.0


@_quiet
def predictions(rnn: ElmanRNN | JordanRNN, columns: Columns, some: list[Series]) -> list[Array]:
    """Return what a model puts out after each row of each sequence, in the units of the targets.

    Returns
    -------
    list of float64 array [rows, n_out]
        Row t holds the targets of row ``t + horizon``, given the rows up to t.
    """
    outputs = _outputs(rnn, columns, some)[0]
    return [columns.in_units(o, series.targets) for o, series in zip(outputs, some, strict=True)]


@_quiet
def forecast(rnn: ElmanRNN | JordanRNN, columns: Columns, some: list[Series], steps: int) -> list[Array]:
    """Return the rows that follow each sequence, every one read like a row of the table before the next is predicted.

    Returns
    -------
    list of float64 array [steps, n_out]

    Raises
    ------
    UserError
        The model reads what it does not predict.
    """
    if not columns.feeds_back:
        unknown = ", ".join(name for name in columns.inputs if name not in columns.targets)
        what = f"reads {unknown}, which it does not predict" if unknown else f"predicts {columns.horizon} rows ahead"
        raise UserError(
            f"--steps: expected a model that predicts its next inputs, got one that {what}; "
            "train without --targets and --horizon for that, or leave --steps out"
        )
    if columns.differences:
        for series in some:
            for name, value in zip(columns.targets, series.targets[-1].tolist(), strict=True):
                if math.isnan(value):
                    raise UserError(f"sequence {series.id}, last row, column {name!r}: expected a number, got none")
    source = [columns.targets.index(name) for name in columns.inputs]
    outputs, state = _outputs(rnn, columns, some)
    o = np.stack([rows[-1] for rows in outputs])
    rows = [np.stack([series.targets[-1] for series in some])]
    while True:
        _check_finite(o)
        rows.append(columns.in_units(o, rows[-1]))
        if len(rows) > steps:
            return list(np.stack(rows[1:], axis=1))
        x = (rows[-1] - rows[-2] if columns.differences else rows[-1])[:, source]
        run, state = _forward(rnn, columns.standard_x(x)[None], state if isinstance(rnn, ElmanRNN) else o)
        o = run.o[0]


@_quiet
def scores(
    rnn: ElmanRNN | JordanRNN, columns: Columns, some: list[Series], name: str, starts: Sequence[int] | None = None
) -> Scores:
    """Score the predictions of all rows whose targets are known, or of those from `starts` (one a sequence) on.

    Raises
    ------
    UserError
        There is no such row; `name` is what the message calls the data.
    """
    predicted, targets, present = [], [], []
    starts = [0] * len(some) if starts is None else starts
    for series, rows, start in zip(some, predictions(rnn, columns, some), starts, strict=True):
        first, steps = max(0, start - columns.horizon), max(0, len(series.inputs) - columns.horizon)
        predicted.append(rows[first:steps])
        targets.append(series.targets[first + columns.horizon :])
        present.append(series.targets[first:steps])
    y_hat, y, now = map(np.concatenate, (predicted, targets, present))
    known = ~np.isnan(y + y_hat).any(axis=1)
    y_hat, y, now = y_hat[known], y[known], now[known]
    if len(y) == 0:
        total = sum(len(series.inputs) for series in some)
        after = f" and follow {columns.horizon} others" if columns.horizon > 0 else ""
        raise UserError(f"{name}: expected rows whose targets are known{after}, got none among {total:,}")

    def rmse(values: Array) -> Array:
        """NaN where nothing is known."""
        errors = values - y
        n = (~np.isnan(errors)).sum(axis=0)
        return np.array(np.sqrt(np.nansum(errors**2, axis=0) / np.where(n > 0, n, np.nan)))

    nats = 0.5 * (((y_hat - y) / columns.target_scale) ** 2).sum(axis=1)
    mean = columns.in_units(np.zeros_like(y), now)
    return Scores(float(nats.mean()), len(y), rmse(y_hat), rmse(mean), None if columns.horizon == 0 else rmse(now))


def _outputs(rnn: ElmanRNN | JordanRNN, columns: Columns, some: list[Series]) -> tuple[list[Array], Any]:
    """The standardised outputs of every row, and the states after the last ones."""
    xs = [columns.standard_x(columns.x(series.inputs)) for series in some]
    if forcing_of(rnn, columns) == 1.0:  # what the step before should have put out is in this row
        outputs = []
        for x, series in zip(xs, some, strict=True):
            r = np.zeros((len(x), rnn.n_out), np.float32)  # the first one as when it was trained
            r[1:] = columns.standard_y(columns.y(series.targets))
            r[np.isnan(r).any(axis=1)] = 0  # as well: a row with a missing target is none
            outputs.append(np.concatenate([_forward(rnn, x[None, t], r[t])[0].o[0] for t in _windows(len(x))]))
            _check_finite(outputs[-1])
        return outputs, np.empty(0)
    outputs = [np.empty((len(x), rnn.n_out), np.float32) for x in xs]
    states: list[Any] = [None] * len(xs)
    for t in _windows(max(map(len, xs))):
        alive = [i for i, x in enumerate(xs) if len(x) > t.start]
        before = None if t.start == 0 else _stacked([states[i] for i in alive])
        run, after = _forward(rnn, [xs[i][t] for i in alive], before)
        for i, o in zip(alive, run.o, strict=True):
            outputs[i][t] = o
            _check_finite(o)
        for row, i in enumerate(alive):
            states[i] = [layer[row] for layer in after] if isinstance(after, list) else after[row]
    return outputs, _stacked(states)


def _stacked(states: list[Any]) -> Any:
    """The states of single sequences, side by side."""
    if isinstance(states[0], list):
        return [np.stack(layer) for layer in zip(*states, strict=True)]
    return np.stack(states)


def _forward(rnn: ElmanRNN | JordanRNN, x: Any, state: Any) -> tuple[ElmanRun | JordanRun, Any]:
    """Run from a state on; with what the next step would see."""
    if isinstance(rnn, ElmanRNN):
        if rnn.leak != 1.0:
            run = rnn.forward(x, v0=state)
            return run, run.v_last
        run = rnn.forward(x, h0=state)
        return run, run.h_last
    free = rnn.forward(x, r0=state)
    return free, free.r_last


def _check_finite(outputs: Array) -> None:
    if not np.isfinite(outputs).all():
        raise UserError("expected finite outputs of the model, got NaN or infinity; are its parameters finite?")


def _windows(rows: int) -> Iterator[slice]:
    return (slice(t, min(t + _AT_ONCE, rows)) for t in range(0, rows, _AT_ONCE))
