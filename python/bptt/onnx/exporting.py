"""Networks as ONNX models and files: the options, and their checks."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from bptt._arrays import need_memory
from bptt._checks import a_path, choice, shown, truth
from bptt._version import __version__
from bptt._whole_file import write_whole
from bptt.networks.elman import ElmanRNN
from bptt.networks.jordan import JordanRNN
from bptt.onnx.graph import model_of
from bptt.onnx.network_graph import ElmanWriter, JordanWriter, Plan

PROPERTY = "bptt"  # of a model's metadata: what its graph does not tell, as JSON

_OUTPUTS = ("y_hat", "o", "h")
# Of a configuration. What networks learn beside it is refused until it is written too.
_KNOWN = ("n_in", "n_hidden", "n_out", "input", "output", "readout", "feedback", "activation", "bidirectional", "dtype")
_MOST = 2**31 - 2**20  # bytes of parameters: a file is one message of Protocol Buffers, below 2 GiB


def export(
    rnn: ElmanRNN | JordanRNN,
    path: str | os.PathLike[str],
    *,
    outputs: Sequence[Literal["y_hat", "o", "h"]] = ("y_hat", "o"),
    sequence_lens: bool = False,
    state: Literal["optional", "required", "none"] = "optional",
    dtype: Literal["float32", "float64"] = "float32",
) -> None:
    """Write a network as an ONNX file, which ONNX Runtime and others run.

    Its inputs and outputs, with ``tau`` and ``batch`` as each call likes them (K is the layer, from 1; a network of one
    layer has ``initial_h`` and ``Y_h``):

    ================= ================================== ===================================================
    input ``x``       ``[tau, batch, n_in]``             tokens: int64 ``[tau, batch]``
    ``initial_hK``    ``[directions, batch, n_hidden]``  h(0), 0 where it is left out
    ``sequence_lens`` int32 ``[batch]``                  if asked for: the lengths of a padded batch
    output ``y_hat``  ``[tau, batch, n_out]``            ``[batch, n_out]`` for ``readout="last"``; so is ``o``
    ``h``             ``[tau, batch, n_hidden]``         if asked for: of the top layer, both directions side by side
    ``Y_hK``          ``[directions, batch, n_hidden]``  the last state of each layer: the next call's ``initial_hK``
    ================= ================================== ===================================================

    Each layer is one ``RNN`` node. A `JordanRNN` is a ``Scan`` that runs free: it has ``r0`` and ``r_last``,
    ``[batch, n_out]``, in place of ``initial_h`` and ``Y_h``. What lies beyond a length is 0.

    Parameters
    ----------
    rnn : ElmanRNN or JordanRNN
        The network.
    path : path-like
        By convention ``*.onnx``. What stands there is replaced; the file is whole at every moment.
    outputs : sequence of {"y_hat", "o", "h"}
        What the model gives beside the last states, in this order: the output after its unit, before it (logits), and
        the top layer's states.
    sequence_lens : bool
        Whether there is an input with the lengths of the sequences.
    state : {"optional", "required", "none"}
        The input with the state before the first step. ``"optional"``: it may be left out, and the state of one
        sequence, ``[directions, 1, n_hidden]``, serves a whole batch. ONNX Runtime has this for Python, C, C++ and C#;
        its JavaScript and Java take no input that may be left out. ``"required"`` serves them: the first call gives
        zeros. ``"none"``: every sequence begins with 0.
    dtype : {"float32", "float64"}
        Of the file's numbers, inputs and outputs. ONNX Runtime has ``RNN`` in float32 alone, so parameters of float64
        are rounded by default. ``"float64"`` keeps every bit, for `load` and for runtimes that have it; the ``Scan`` of
        a `JordanRNN` runs in both.

    Raises
    ------
    TypeError
        If an argument is of another type.
    ValueError
        If `outputs`, `state` or `dtype` is none of these; if a parameter is too large for `dtype`, or all are for one
        file, which has less than 2 GiB; if the network's `metadata` is nothing that JSON can hold.
    OSError
        What the system says (no such folder, no permission, no space left).

    Notes
    -----
    The file has opset 14 and IR version 7, which ONNX Runtime reads from 1.8 (2021) on.

    When ONNX Runtime reads a file with an optional state, it warns that an initializer is an input too. That is how
    ONNX writes an input with a default.

    Examples
    --------
    >>> import bptt.onnx
    >>> bptt.onnx.export(rnn, "network.onnx")  # doctest: +SKIP
    >>> session = onnxruntime.InferenceSession("network.onnx")  # doctest: +SKIP
    >>> y_hat, o, Y_h = session.run(None, {"x": x[:, None]})  # doctest: +SKIP
    """
    name = a_path("path", path)
    model = to_onnx(rnn, outputs=outputs, sequence_lens=sequence_lens, state=state, dtype=dtype)
    write_whole(name, model.SerializeToString(deterministic=True))


def to_onnx(
    rnn: ElmanRNN | JordanRNN,
    *,
    outputs: Sequence[Literal["y_hat", "o", "h"]] = ("y_hat", "o"),
    sequence_lens: bool = False,
    state: Literal["optional", "required", "none"] = "optional",
    dtype: Literal["float32", "float64"] = "float32",
) -> Any:
    """Return a network as the model that `export` writes.

    Parameters
    ----------
    rnn, outputs, sequence_lens, state, dtype
        As for `export`.

    Returns
    -------
    onnx.ModelProto
        To look at, to change, or to make part of another model.

    Examples
    --------
    >>> import bptt.onnx
    >>> from onnx.reference import ReferenceEvaluator
    >>> y_hat, o, Y_h = ReferenceEvaluator(bptt.onnx.to_onnx(rnn)).run(None, {"x": x[:, None]})
    >>> bool(abs(o[:, 0] - rnn.forward(x).o).max() < 5e-6)
    True
    """
    if not isinstance(rnn, ElmanRNN | JordanRNN):
        raise TypeError(f"rnn: expected an ElmanRNN or a JordanRNN, got {type(rnn).__name__}")
    for key, value in rnn.configuration().items():
        if key not in _KNOWN and value != rnn.LATER_KEYS.get(key):
            raise ValueError(f"rnn: expected {key}={rnn.LATER_KEYS.get(key)!r}, as ONNX has it, got {shown(value)}")
    plan = Plan(
        _each_once(outputs),
        truth("sequence_lens", sequence_lens),
        choice("state", state, ("optional", "required", "none")),
        np.dtype(choice("dtype", dtype, ("float32", "float64"))),
    )
    n_bytes = rnn.parameters.size * plan.dtype.itemsize
    if n_bytes > _MOST:
        raise ValueError(f"rnn: expected parameters of at most {_MOST} bytes, as a file can have, got {n_bytes}")
    need_memory(n_bytes)
    told = _as_json({"output": rnn.output, "metadata": rnn.metadata})
    writer = ElmanWriter(rnn, plan) if isinstance(rnn, ElmanRNN) else JordanWriter(rnn, plan)
    return model_of(writer.graph.proto(type(rnn).__name__), __version__, repr(rnn), {PROPERTY: told})


def _each_once(outputs: Any) -> list[str]:
    """Names of outputs, checked."""
    if isinstance(outputs, str) or not isinstance(outputs, Sequence):
        raise TypeError(f"outputs: expected a sequence of {', '.join(map(repr, _OUTPUTS))}, got {shown(outputs)}")
    names = [choice(f"outputs[{i}]", name, _OUTPUTS) for i, name in enumerate(outputs)]
    if len(set(names)) < len(names):
        raise ValueError(f"outputs: expected each one once, got {shown(outputs)}")
    return names


def _as_json(told: dict[str, Any]) -> str:
    expected = "metadata: expected what JSON can hold"
    try:
        text = json.dumps(told, sort_keys=True, allow_nan=False)
    except TypeError as error:
        raise TypeError(f"{expected}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{expected}: {error}") from None
    if json.loads(text) != told:
        raise ValueError(f"{expected} and give back as it is (string keys, lists, no tuples)")
    return text
