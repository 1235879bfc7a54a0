"""The files of a command, and the line that says what is wrong with one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bptt.app.errors import UserError
from bptt.app.tables import package
from bptt.networks import model_file
from bptt.networks.elman import ElmanRNN
from bptt.networks.jordan import JordanRNN
from bptt.networks.load import load

if TYPE_CHECKING:
    from bptt.forecast import Forecaster

Network = ElmanRNN | JordanRNN


def load_any(path: str) -> Network | Forecaster:
    """A network, or forecasts of a table."""
    try:
        if not model_file.is_forecaster(path):
            return load_model(path)
        forecaster: Forecaster = package(path).Forecaster.load(path)
        return forecaster
    except (OSError, ValueError) as error:
        raise UserError(about_file(path, error)) from error


def load_model(path: str) -> Network:
    try:
        rnn: Network = load(path)
        return rnn
    except (OSError, ValueError) as error:
        raise UserError(about_file(path, error)) from error


def save_model(model: Network | Forecaster, out: str) -> None:
    try:
        model.save(out)
    except OSError as error:
        raise UserError(about_file(out, error)) from error


def about_file(path: str, error: Exception) -> str:
    """One line on a file's error, which names the file once."""
    what = (error.strerror if isinstance(error, OSError) else None) or str(error)
    line = " ".join(what.split())
    return line if line.startswith(f"{path}: ") else f"{path}: {line}"


def check_writable(option: str, path: str, *sources: str | None) -> None:
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
