"""`bptt export-c`: write a model as a C header."""

from __future__ import annotations

import argparse

from bptt.app import text_model
from bptt.app.errors import UserError
from bptt.app.messages import say
from bptt.app.model_files import Network, about_file, check_writable, load_any
from bptt.export.c_header import Header, export_c


def export_c_command(options: argparse.Namespace) -> int:
    """`bptt export-c`: with what the model knows of its texts."""
    rnn = load_any(options.model)
    if not isinstance(rnn, Network):
        raise UserError(
            f"{options.model}: expected a network, got forecasts of a table, which average several networks and ridge "
            "regressions; train a network of your own and save it"
        )
    check_writable("--out", options.out, options.model)
    vocabulary = text_model.vocabulary_of(rnn)
    given = {
        "prefix": options.prefix,
        "math": options.math,
        "lanes": options.lanes,
        "vocabulary": None if vocabulary is None else vocabulary.characters,
        "columns": None,
    }
    try:
        sizes = Header(rnn, **given).sizes
        export_c(rnn, options.out, **given)
    except ValueError as error:
        message = str(error)
        raise UserError(f"--{message}" if message.startswith("prefix: ") else f"{options.model}: {message}") from error
    except OSError as error:
        raise UserError(about_file(options.out, error)) from error
    say(
        f"saved: {options.out}, {sizes.flash:,} bytes of weights, {sizes.ram:,} of state, "
        f"{sizes.multiply_adds:,} multiply-adds a step"
    )
    return 0
