"""`bptt info`: tell what a model is."""

from __future__ import annotations

import argparse

import numpy as np

from bptt._arrays import Array
from bptt.app import table_model, text_model
from bptt.app.messages import rows_ahead, say
from bptt.app.model_files import Network, load_model
from bptt.networks.jordan import JordanRNN


def info(options: argparse.Namespace) -> int:
    """`bptt info`."""
    rnn = load_model(options.model)
    shapes = ", ".join(f"{name} {' x '.join(map(str, view.shape))}" for name, view in rnn.by_name().items())
    say(repr(rnn))
    say(f"parameters: {rnn.parameters.size:,} ({shapes})")
    for name, recurrence in _recurrences(rnn).items():
        finite = bool(np.isfinite(recurrence).all())
        radius = f"{np.abs(np.linalg.eigvals(recurrence)).max():.4f}" if finite else "none, as it is not finite"
        say(f"spectral radius of {name}: {radius}")
    if (vocabulary := text_model.vocabulary_of(rnn)) is not None:
        say(f"a model of text: {len(vocabulary)} characters, {vocabulary.characters!a}")
    elif (columns := table_model.columns_of(rnn)) is not None:
        ids = "" if columns.id is None else f"; sequences are told apart by {columns.id}"
        say(f"a model of tables: predicts {rows_ahead(columns)}{ids}")
        for kind, names, means, scales in (
            ("reads", columns.inputs, columns.input_mean, columns.input_scale),
            ("predicts", columns.targets, columns.target_mean, columns.target_scale),
        ):
            for column, mean, scale in zip(names, means, scales, strict=True):
                say(f"  {kind} {column}: mean {mean:.6g}, standard deviation {scale:.6g}")
    elif rnn.metadata:
        say(f"metadata: {', '.join(rnn.metadata)}")
    return 0


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
