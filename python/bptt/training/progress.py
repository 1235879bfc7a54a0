"""Progress of training on standard error: a bar, or lines of a log."""

from __future__ import annotations

import importlib
import math
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bptt.training.updates import Training

_LINES, _SECONDS = 100, 60.0  # of a log: at the ends of epochs, at most; between lines within an epoch
_RECENT = 50  # updates whose mean loss is shown


def _is_notebook() -> bool:
    """Whether this is the process of a notebook, where standard error is no terminal and a bar can be shown."""
    return not {"ipykernel.zmqshell", "IPython.utils._process_emscripten"}.isdisjoint(sys.modules)


def _tqdm() -> Any:
    """The bar that fits where standard error goes; None in a log."""
    if not _is_notebook():
        return importlib.import_module("tqdm").tqdm if sys.stderr.isatty() else None
    if "tqdm.auto" not in sys.modules:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # without ipywidgets it takes the bar of a terminal
            importlib.import_module("tqdm.auto")
    return sys.modules["tqdm.auto"].tqdm


def _bar(training: Training) -> Any:
    """A bar in a terminal or notebook, else None. It has a thread of its own, so it is made where it is seen."""
    if (tqdm := _tqdm()) is None:
        return None
    s, batches = training.settings, training.batches
    passes = s.epochs if s.updates_per_epoch is None else s.epochs * s.updates_per_epoch / batches
    done = training.passes + training.batch / batches
    whole = batches if training.steps is None else training.steps
    options: dict[str, Any] = {
        "initial": round(whole * min(passes, done)),
        "total": round(whole * passes),
        "unit": "update" if training.steps is None else "step",
        "unit_scale": True,
        "dynamic_ncols": True,
    }
    try:
        return tqdm(**options)
    except ImportError:  # earlier versions of tqdm say only now that ipywidgets is missing
        return importlib.import_module("tqdm").tqdm(**options)


class Bar:
    """Progress on standard error: a bar in a terminal or notebook, lines in a log, or nothing."""

    def __init__(self, training: Training, wanted: bool) -> None:
        self._training, self._begin = training, time.monotonic()
        wanted = wanted and sys.stderr is not None
        self._bar: Any = _bar(training) if wanted else None
        self._logs, self._logged, self._steps = wanted and self._bar is None, self._begin, 0

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is None:
            return
        if self._training.history.stopped == "epochs":
            self._bar.total = self._bar.n  # windows differ in size: the total was near, this is it
        with self._whatever_happens():
            self._bar.close()

    @contextmanager
    def _whatever_happens(self) -> Iterator[None]:
        """Nobody may be reading any more, and training goes on."""
        try:
            yield
        except OSError:
            self._logs = False
            if self._bar is not None:
                self._bar.disable = True

    def advance(self, steps: int) -> None:
        """After an update."""
        self._steps += steps
        if self._logs and time.monotonic() - self._logged > _SECONDS:
            self._log(self._training.epoch + 1)
        if self._bar is not None and not self._bar.disable:
            with self._whatever_happens():
                self._bar.set_postfix_str(self._losses(), refresh=False)
                self._bar.update(1 if self._training.steps is None else steps)

    def end_epoch(self) -> None:
        epoch, epochs = self._training.epoch, self._training.settings.epochs
        if self._logs and (epoch % math.ceil(epochs / _LINES) == 0 or self._training.history.stopped):
            self._log(epoch, self._training.history.epochs.latest("loss", 1)[0])

    def _log(self, epoch: int, loss: float | None = None) -> None:
        """A line with the loss of an epoch, or of recent updates where it is under way."""
        self._logged = time.monotonic()
        t = self._training
        with self._whatever_happens():
            print(
                f"epoch {epoch}/{t.settings.epochs}, update {t.updates:,}: {self._losses(loss)}, "
                f"{self._steps / (self._logged - self._begin):,.0f} steps/s",
                file=sys.stderr,
                flush=True,
            )

    def _losses(self, loss: float | None = None) -> str:
        """A loss, or the mean of recent updates; the last validation, the best where it is another, and metrics."""
        history = self._training.history
        if loss is None:
            recent = history.updates.latest("loss", _RECENT)
            loss = sum(recent) / max(1, len(recent))
        text = f"loss {self._loss(loss)}"
        validation = next(iter(history.epochs.latest("validation", 1)), math.nan)
        if not math.isnan(validation):
            text += f", validation {self._loss(validation)}"
            if self._training.best < validation:
                text += f", best {self._training.best:.4f}"
        for name in self._training.settings.metrics or ():
            for value in history.epochs.latest(name, 1):
                text += f", {name} {value:.4f}"
        return text

    def _loss(self, nats: float) -> str:
        """Of a language model in bits too, as its field has them."""
        bits = f" nats ({nats / math.log(2):.4f} bits)" if self._training.network.is_language_model else ""
        return f"{nats:.4f}{bits}"
