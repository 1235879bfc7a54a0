"""`bptt sample`: let a model of a text write."""

from __future__ import annotations

import argparse
import sys

from bptt.app import text_model
from bptt.app.errors import UserError
from bptt.app.messages import say
from bptt.app.model_files import Network, load_any


def sample(options: argparse.Namespace) -> int:
    """`bptt sample`."""
    rnn = load_any(options.model)
    if not isinstance(rnn, Network):
        raise UserError(
            f"{options.model}: expected a model of a text, got forecasts of a table: `bptt predict` continues it"
        )
    vocabulary = text_model.vocabulary_of(rnn)
    if vocabulary is None:
        raise UserError(f"{options.model}: not a character model: it carries no vocabulary that fits its sizes")
    tokens, note = vocabulary.read(options.prompt, "--prompt", options.unknown)
    prompt = vocabulary.decode(tokens)
    if note:  # standard output has the text alone
        print(f"bptt: {note}", file=sys.stderr, flush=True)
    parts = text_model.sample_in_parts(
        rnn,
        vocabulary,
        prompt,
        options.length,
        seed=options.seed,
        top_k=options.top_k,
        top_p=options.top_p,
        **({"greedy": True} if options.greedy else {"temperature": options.temperature}),
    )
    written = prompt + next(parts)  # nothing, if nothing can be drawn
    try:
        while written:
            say(written, end="")
            written = next(parts, "")
    finally:  # whatever ends the text, the line ends too
        say("")
    return 0
