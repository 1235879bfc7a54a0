"""`bptt evaluate`: score a text or a table under a model."""

from __future__ import annotations

import argparse

from bptt.app import table_model, text_model
from bptt.app.errors import UserError
from bptt.app.messages import in_nats_and_bits, say, score_table
from bptt.app.model_files import load_model
from bptt.app.table_data import read_table
from bptt.app.text_data import read_text, text_name


def evaluate(options: argparse.Namespace) -> int:
    """`bptt evaluate`."""
    rnn = load_model(options.model)
    vocabulary, columns = text_model.vocabulary_of(rnn), table_model.columns_of(rnn)
    if vocabulary is not None:
        name = text_name(options.data)
        tokens = vocabulary.encode(read_text(options.data), name)
        if len(tokens) < 2:
            raise UserError(f"{name}: too short, one character; at least 2 are needed (the first is only read)")
        loss = text_model.nats_per_character(rnn, tokens)
        say(f"{in_nats_and_bits(loss)} per character, over {len(tokens) - 1:,} characters")
        return 0
    if columns is None:
        raise UserError(
            f"{options.model}: not a character model, nor one of a table: it carries no vocabulary and no columns that "
            "fit its sizes"
        )
    table = read_table(options.data)
    found = table_model.series_of(table, columns, need_targets=True)
    say(score_table(table_model.scores(rnn, columns, found, table.name), columns))
    return 0
