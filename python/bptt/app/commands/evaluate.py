"""`bptt evaluate`: score a text or a table under a model."""

from __future__ import annotations

import argparse

from bptt.app import tables, text_model
from bptt.app.errors import UserError
from bptt.app.messages import count_of, in_nats_and_bits, say, score_table
from bptt.app.model_files import Network, load_any
from bptt.app.text_data import read_text, text_name

_ORIGINS = 20


def evaluate(options: argparse.Namespace) -> int:
    """`bptt evaluate`."""
    model = load_any(options.model)
    name = text_name(options.data)
    if not isinstance(model, Network):
        tables.refuse(options, ("unknown",), "a model of a text")
        frame, notes = tables.read(options.data, options, model.recipe.ids)
        with tables.told(name):
            scores = model.backtest(frame, options.steps, options.origins or _ORIGINS)
        for note in notes:
            say(note)
        say(score_table(scores))
        return 0
    vocabulary = text_model.vocabulary_of(model)
    if vocabulary is None:
        raise UserError(
            f"{options.model}: not a character model, nor forecasts of a table: it carries no vocabulary that fits its "
            "sizes"
        )
    tables.refuse(options, ("steps", "origins", *tables.READING), "forecasts of a table")
    tokens, note = vocabulary.read(read_text(options.data), name, options.unknown)
    if len(tokens) < 2:
        raise UserError(
            f"{name}: too short, {count_of(len(tokens), 'character')}; at least 2 are needed (the first is only read)"
        )
    if note:
        say(note)
    loss = text_model.nats_per_character(model, tokens)
    say(f"{in_nats_and_bits(loss)} per character, over {len(tokens) - 1:,} characters")
    return 0
