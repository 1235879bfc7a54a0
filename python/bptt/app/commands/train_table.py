"""`bptt train` on a table: a `Forecaster`, and what it is worth."""

from __future__ import annotations

import argparse
import time
from copy import copy
from typing import TYPE_CHECKING

from bptt.app.errors import UserError
from bptt.app.messages import count_of, say, score_table, shares_in_words
from bptt.app.model_files import save_model
from bptt.app.tables import in_options, package, read, refuse, told
from bptt.app.text_data import text_name

if TYPE_CHECKING:
    from bptt.forecast import Forecaster, Panel, Recipe

COLUMNS = ("inputs", "future", "static", "id", "time", "date_format", "frequency", "season", "calendar", "fill")
LEARNING = ("steps", "ensemble", "interval")
_SHARE = 0.2  # of the rows, on which it is told what the forecasts are worth


def train_on_table(options: argparse.Namespace) -> int:
    """Read a table, learn from it, save what was learnt, and tell what it is worth on rows that chose nothing."""
    if options.hidden is not None and len(options.hidden) > 1:
        raise UserError("--hidden: expected one number with a table, whose networks have one layer")
    name = text_name(options.data)
    forecast = package(name)
    frame, notes = read(options.data, options, options.id)
    say(f"table: {name}, {count_of(len(frame), 'row')}, {count_of(frame.shape[1], 'column')}")
    for note in notes:
        say(note)
    given = {key: value for key in (*COLUMNS, *LEARNING) if (value := getattr(options, key)) is not None}
    if options.hidden is not None:
        given["hidden"] = options.hidden[0]
    begin = time.monotonic()

    def tell(recipe: Recipe, panel: Panel, steps: int) -> None:
        for note in dict.fromkeys([*recipe.notes, *panel.notes]):
            if note not in notes:
                say(in_options(note))
        say(f"reads: {', '.join(_read_by(recipe))}")
        say(f"predicts: {', '.join(panel.targets)}, {count_of(steps, 'row')} ahead")

    with told(name):
        forecaster = forecast.Forecaster(options.targets, seed=options.seed or 0, **given).fit(frame, on_read=tell)
    for line in shares_in_words(forecaster.shares):
        say(line)
    save_model(forecaster, options.out)
    say(f"saved: {options.out}, after {time.monotonic() - begin:.1f} s")
    say(f"\non the last {_SHARE:.0%} of the rows, which chose nothing, by a model of the rows before them:")
    try:
        scores = forecaster.holdout(frame, _SHARE)
    except ValueError as error:
        say(f"nothing to tell: {in_options(str(error)).removeprefix('df: ')}")
    else:
        if (ahead := scores.attrs["steps"]) < forecaster.trained_steps:
            say(f"{count_of(ahead, 'row')} ahead, for there are no more")
        say(score_table(scores))
    return 0


def _read_by(recipe: Recipe) -> list[str]:
    """What forecasts read: columns, and features of the calendar."""
    names = [*recipe.targets, *(each.column for each in (*recipe.past, *recipe.future, *recipe.static))]
    return [*names, *(f"the {each} of the date" for each in recipe.calendar)]


def go_on_with_table(options: argparse.Namespace, forecaster: Forecaster) -> int:
    """Join a table's rows to those that forecasts have learnt from, learn from all, and tell what the forecasts so far
    are worth on the new ones.
    """
    refuse(options, ("targets", *COLUMNS, *LEARNING, "hidden"), "a new model (without --from)")
    name = text_name(options.data)
    frame, notes = read(options.data, options, forecaster.recipe.ids)
    say(f"table: {name}, {count_of(len(frame), 'row')}, {count_of(frame.shape[1], 'column')}")
    for note in notes:
        say(note)
    before, begin = forecaster, time.monotonic()
    forecaster = copy(before)
    if options.seed is not None:
        forecaster.seed = options.seed
    with told(name):
        forecaster.update(frame)
    for note in forecaster.panel.notes:
        say(in_options(note))
    rows, now = before.panel.rows, forecaster.panel.rows
    say(f"goes on from {options.start}: trained on {count_of(rows, 'row')}, now on {now:,}; what it chose stays")
    save_model(forecaster, options.out)
    say(f"saved: {options.out}, after {time.monotonic() - begin:.1f} s")
    had = {one.id: len(one.y) for one in before.panel.sequences}
    most = max(len(one.y) - had.get(one.id, 0) for one in forecaster.panel.sequences)
    steps = max(1, min(before.trained_steps, most))
    say(f"\non the new rows, by {options.start} as it was before them, {count_of(steps, 'row')} ahead:")
    try:
        scores = before.backtest(frame, steps, joins=True)
    except ValueError as error:
        say(f"nothing to tell: {in_options(str(error)).removeprefix('df: ')}")
    else:
        say(score_table(scores))
    return 0
