"""`bptt info`: tell what a model is."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np

from bptt._arrays import Array
from bptt.app import text_model
from bptt.app.messages import count_of, say, shares_in_words
from bptt.app.model_files import Network, load_any
from bptt.networks.jordan import JordanRNN

if TYPE_CHECKING:
    from bptt.forecast import Forecaster


def info(options: argparse.Namespace) -> int:
    """`bptt info`."""
    rnn = load_any(options.model)
    if not isinstance(rnn, Network):
        _tell_forecaster(rnn)
        return 0
    shapes = ", ".join(f"{name} {' x '.join(map(str, view.shape))}" for name, view in rnn.by_name().items())
    say(repr(rnn))
    say(f"parameters: {rnn.parameters.size:,} ({shapes})")
    for name, recurrence in _recurrences(rnn).items():
        finite = bool(np.isfinite(recurrence).all())
        radius = f"{np.abs(np.linalg.eigvals(recurrence)).max():.4f}" if finite else "none, as it is not finite"
        say(f"spectral radius of {name}: {radius}")
    if (vocabulary := text_model.vocabulary_of(rnn)) is not None:
        say(f"a model of text: {len(vocabulary)} characters, {vocabulary.characters!a}")
    elif rnn.metadata:
        say(f"metadata: {', '.join(rnn.metadata)}")
    return 0


def _tell_forecaster(forecaster: Forecaster) -> None:
    """What forecasts of a table read and put out, what they consist of, and the rows that they go on from."""
    recipe, panel = forecaster.recipe, forecaster.panel
    say(f"forecasts of a table: {', '.join(panel.targets)}, {count_of(forecaster.trained_steps, 'row')} ahead")
    for what, columns in (
        ("reads", [each.column for each in recipe.past]),
        ("known in advance", [each.column for each in recipe.future]),
        ("holds of a sequence", [each.column for each in recipe.static]),
        ("of the calendar", recipe.calendar),
        ("told apart by", recipe.ids),
    ):
        if columns:
            say(f"{what}: {', '.join(columns)}")
    if panel.time_name is not None:
        steps = "uneven steps" if panel.frequency is None else f"steps of {panel.frequency}"
        say(f"dates: {panel.time_name}, in {steps}")
    rows = panel.rows
    ends = [one.times[-1] for one in panel.sequences]
    until = f", until {max(ends)}" if panel.time_name is not None else ""
    say(f"trained on: {count_of(rows, 'row')} in {count_of(len(panel.sequences), 'sequence')}{until}")
    if forecaster.chosen_rows != rows:
        say(f"chosen by: {count_of(forecaster.chosen_rows, 'row')}, before it went on")
    say(f"intervals: {forecaster.interval:.0%}")
    for line in shares_in_words(forecaster.shares):
        say(line)


def _recurrences(rnn: Network) -> dict[str, Array]:
    """The matrix by which a step of each layer and direction follows the one before it, under its name."""
    with np.errstate(all="ignore"):  # numbers that are not finite, or huge
        return _products(rnn)


def _products(rnn: Network) -> dict[str, Array]:
    if isinstance(rnn, JordanRNN):  # with the output unit left out; W V has the eigenvalues of V W, and zeros
        W, V = rnn.W.astype(np.float64), rnn.V.astype(np.float64)
        return {"W V": V @ W if len(V) < len(W) else W @ V}
    found: dict[str, Array] = {}
    of_layer = {f"W{k + 1}" if len(rnn.layers) > 1 else "W": alpha for k, alpha in enumerate(rnn._options.leak)}
    for name, view in rnn.by_name().items():
        if not name.startswith("W"):
            continue
        W = view.astype(np.float64)
        if rnn.leak == 1.0:
            found[name] = W
        else:  # of v, where f'(v) = 1
            alpha = np.broadcast_to(of_layer[name.removesuffix("_reverse")], len(W))
            found[f"1 - leak + leak {name}"] = np.diag(1 - alpha) + alpha[:, None] * W
    return found
