"""bptt: recurrent networks of *Deep Learning*, section 10.2, trained and run on a CPU, exactly and fast."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bptt import _core, _threads, schedules
from bptt._threads import get_num_threads, interrupt, set_num_threads
from bptt._version import __version__
from bptt.networks.beams import Beams
from bptt.networks.elman import ElmanRNN
from bptt.networks.jordan import JordanRNN
from bptt.networks.load import load
from bptt.networks.results import ElmanGradients, ElmanRun, Gradients, JordanGradients, JordanRun, Run
from bptt.networks.stream import Stream
from bptt.training.batches import Batches
from bptt.training.history import History
from bptt.training.optimizer import Optimizer
from bptt.training.optimizers import SGD, Adagrad, Adam, AdamW, RMSProp

if TYPE_CHECKING:
    from bptt import constraints, reference
    from bptt.export.c_header import export_c
    from bptt.networks.gradcheck import gradcheck
    from bptt.training.many import FitManyError, fit_many

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Batches",
    "Beams",
    "ElmanGradients",
    "ElmanRNN",
    "ElmanRun",
    "FitManyError",
    "Gradients",
    "History",
    "JordanGradients",
    "JordanRNN",
    "JordanRun",
    "Optimizer",
    "RMSProp",
    "Run",
    "Stream",
    "__version__",
    "config",
    "constraints",
    "export_c",
    "fit_many",
    "get_num_threads",
    "gradcheck",
    "interrupt",
    "load",
    "reference",
    "schedules",
    "set_num_threads",
]


def config() -> dict[str, Any]:
    """Return what this installation does here.

    Returns
    -------
    dict
        ``version``; ``isa``, the instruction set in use; ``isas``, those that this machine runs (choose one with the
        environment variable ``BPTT_ISA``); ``threads``, how many a call may use.
    """
    return {
        "version": __version__,
        "isa": _core.isa(),
        "isas": _core.supported_isas(),
        "threads": get_num_threads(),
    }


def __getattr__(name: str) -> Any:  # what few need is imported when it is first asked for
    if name in ("constraints", "reference"):
        return import_module(f"bptt.{name}")
    if name == "gradcheck":
        return import_module("bptt.networks.gradcheck").gradcheck
    if name in ("fit_many", "FitManyError"):
        return getattr(import_module("bptt.training.many"), name)
    if name == "export_c":
        return import_module("bptt.export.c_header").export_c
    raise AttributeError(f"module 'bptt' has no attribute {name!r}")


def _is_command() -> bool:
    """Whether this process is the command `bptt` or ``python -m bptt``, whose name is "-m" while it is looked for."""
    program = sys.argv[0] if getattr(sys, "argv", None) else ""
    return os.path.basename(program).partition(".")[0] == "bptt" or (program == "-m" and "bptt" in sys.orig_argv)


try:
    if isa := os.environ.get("BPTT_ISA"):
        _core.set_isa(isa.encode(errors="backslashreplace").decode())
    _threads.set_from_environment()
except ValueError as error:
    if not _is_command():
        raise
    if sys.stderr is not None:  # in a command it is one line, as every error of its user
        print(f"bptt: {' '.join(str(error).split())}", file=sys.stderr)
    raise SystemExit(2) from None
