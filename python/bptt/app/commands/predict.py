"""`bptt predict`: predict a table's targets, or continue the table."""

from __future__ import annotations

import argparse
import csv
import io
import math
import sys
from pathlib import Path

from bptt._whole_file import write_whole
from bptt.app import table_model
from bptt.app.errors import UserError
from bptt.app.messages import say
from bptt.app.model_files import about_file, check_writable, load_model
from bptt.app.table_data import read_table


def predict(options: argparse.Namespace) -> int:
    """`bptt predict`."""
    rnn = load_model(options.model)
    columns = table_model.columns_of(rnn)
    if columns is None:
        raise UserError(f"{options.model}: not a model of a table: it carries no columns that fit its sizes")
    out = None if options.out == "-" else options.out
    if out is not None and Path(out).suffix.lower() in (".npz", ".tsv"):
        raise UserError(f"--out {out}: expected the name of a CSV file")
    if out is not None:
        check_writable("--out", out, options.data, options.model)
    table = read_table(options.data)
    found = table_model.series_of(table, columns, need_targets=table_model.needs_targets(rnn, columns))
    if options.steps is None:
        first = [1 + columns.horizon] * len(found)
        rows = table_model.predictions(rnn, columns, found)
    else:
        first = [1 + len(one.inputs) for one in found]
        rows = table_model.forecast(rnn, columns, found, options.steps)
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
        raise UserError(about_file(out, error)) from error
    lines = sum(map(len, rows))
    say(f"saved: {out}, {lines:,} {'rows' if lines > 1 else 'row'} of {', '.join(columns.targets)}")
    return 0


def _decimals(scale: float) -> str:
    """A format with the digits that a single-precision network has of numbers of this standard deviation."""
    decimals = 7 - math.floor(math.log10(scale))
    return f"{{:.{max(0, decimals)}f}}" if decimals <= 15 else "{!r}"
