"""`bptt info`: tell what a model is."""

from __future__ import annotations

import argparse

import numpy as np

from bptt.app import table_model, text_model
from bptt.app.messages import ahead, say
from bptt.app.model_files import load_model
from bptt.networks.jordan import JordanRNN


def info(options: argparse.Namespace) -> int:
    """`bptt info`."""
    rnn = load_model(options.model)
    shapes = ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in rnn._layout.shapes.items())
    say(repr(rnn))
    say(f"parameters: {rnn.parameters.size:,} ({shapes})")
    recurrence, name = rnn.W.astype(np.float64), "W"
    if isinstance(rnn, JordanRNN):  # one step of the hidden units, with the output unit left out
        name = "W V"  # which has the eigenvalues of V W, and zeros
        V = rnn.V.astype(np.float64)
        recurrence = V @ recurrence if rnn.n_out < rnn.n_hidden else recurrence @ V
    if np.isfinite(recurrence).all():
        say(f"spectral radius of {name}: {np.abs(np.linalg.eigvals(recurrence)).max():.4f}")
    else:
        say(f"spectral radius of {name}: none, as it is not finite")
    if (vocabulary := text_model.vocabulary_of(rnn)) is not None:
        say(f"a model of text: {len(vocabulary)} characters, {vocabulary.characters!a}")
    elif (columns := table_model.columns_of(rnn)) is not None:
        ids = "" if columns.id is None else f"; sequences are told apart by {columns.id}"
        say(f"a model of tables: predicts {ahead(columns)}{ids}")
        for kind, names, means, scales in (
            ("reads", columns.inputs, columns.input_mean, columns.input_scale),
            ("predicts", columns.targets, columns.target_mean, columns.target_scale),
        ):
            for column, mean, scale in zip(names, means, scales, strict=True):
                say(f"  {kind} {column}: mean {mean:.6g}, standard deviation {scale:.6g}")
    elif rnn.metadata:
        say(f"metadata: {', '.join(rnn.metadata)}")
    return 0
