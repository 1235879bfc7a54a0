"""`bptt sample`: let a model of a text write."""

from __future__ import annotations

import argparse

from bptt.app import text_model
from bptt.app.errors import UserError
from bptt.app.messages import say
from bptt.app.model_files import load_model


def sample(options: argparse.Namespace) -> int:
    """`bptt sample`."""
    rnn = load_model(options.model)
    vocabulary = text_model.vocabulary_of(rnn)
    if vocabulary is None:
        raise UserError(f"{options.model}: not a character model: it carries no vocabulary that fits its sizes")
    text = text_model.sample(rnn, vocabulary, options.prompt, options.length, options.temperature, options.seed)
    say(options.prompt + text)
    return 0
