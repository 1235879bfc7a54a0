"""`bptt predict`: forecast the rows that follow a table."""

from __future__ import annotations

import argparse
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bptt._whole_file import write_whole
from bptt.app import tables
from bptt.app.errors import UserError
from bptt.app.messages import count_of, say
from bptt.app.model_files import Network, about_file, check_writable, load_any
from bptt.app.text_data import text_name

if TYPE_CHECKING:
    from bptt.forecast import Forecaster

_PANELS = 6  # of a picture, at most


def predict(options: argparse.Namespace) -> int:
    """`bptt predict`."""
    forecaster = load_any(options.model)
    if isinstance(forecaster, Network):
        raise UserError(
            f"{options.model}: expected forecasts of a table, as `bptt train TABLE` writes them, got a network"
        )
    out = None if options.out in (None, "-") else options.out
    _check_out(options, out)
    frame, future, name = None, None, options.model
    if options.data is not None:
        name = text_name(options.data)
        frame, _ = tables.read(options.data, options, forecaster.recipe.ids)
    elif options.future_rows is None:
        tables.refuse(options, tables.READING, "a table to read")
    if options.future_rows is not None:
        future, _ = tables.read(options.future_rows, options, forecaster.recipe.ids)
    if options.interval is not None:
        forecaster.interval = options.interval
    with tables.told(name):
        forecast = forecaster.predict(options.steps, frame, future)
        picture = None if options.plot is None else _picture(forecaster, frame, future, options)
        as_read = forecaster.recipe.as_read(forecast)
    out_name = "forecast.csv" if out is None else Path(out).name
    if not out_name.lower().endswith((".parquet", ".xlsx")):  # which have dates of their own
        forecast = as_read
    data = tables.package(name).table_bytes(forecast, out_name)
    if picture is not None:
        _write(options.plot, picture)
    if out is None:
        sys.stdout.write(data.decode(errors="surrogatepass"))
        return 0
    _write(out, data)
    say(f"saved: {out}, {count_of(len(forecast), 'row')} of {', '.join(forecaster.panel.targets)}")
    if options.plot is not None:
        say(f"saved: {options.plot}")
    return 0


def _write(path: str, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        raise UserError(about_file(path, error)) from error


def _check_out(options: argparse.Namespace, out: str | None) -> None:
    """Refuse what could not be written, before anything is read."""
    sources = (options.data, options.model, options.future_rows)
    if out is not None:
        check_writable("--out", out, *sources)
        import pandas as pd

        try:
            tables.package(out).table_bytes(pd.DataFrame({"y": [0.0]}), out)
        except ValueError as error:
            raise UserError(f"--out {error}") from error
    if options.plot is not None:
        check_writable("--plot", options.plot, *sources)
        if out is not None and os.path.realpath(options.plot) == os.path.realpath(out):
            raise UserError(f"--plot {options.plot}: expected another file than --out")
        formats = _figure().canvas.get_supported_filetypes()
        if Path(options.plot).suffix.lower()[1:] not in formats:
            raise UserError(f"--plot {options.plot}: expected a name with one of .{', .'.join(sorted(formats))}")


def _figure() -> Any:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise UserError('--plot: pictures need matplotlib: pip install "bptt[plot]"') from error
    return Figure(layout="constrained")


def _picture(forecaster: Forecaster, frame: Any, future: Any, options: argparse.Namespace) -> bytes:
    """The forecasts of all targets, sequence after sequence, as many as a picture holds."""
    panel = forecaster.panel if frame is None else forecaster.recipe.apply(frame)
    drawn = [(one.id, target) for one in panel.sequences for target in panel.targets][:_PANELS]
    figure = _figure()
    figure.set_size_inches(8.0, 3.5 * len(drawn))
    for (id, target), ax in zip(drawn, figure.subplots(len(drawn), squeeze=False)[:, 0], strict=True):
        forecaster.plot(options.steps, df=frame, future=future, target=target, id=id, ax=ax)
    file = io.BytesIO()
    figure.savefig(file, format=Path(options.plot).suffix.lower()[1:], dpi=120)
    return file.getvalue()
