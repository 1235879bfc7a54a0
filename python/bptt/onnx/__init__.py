"""Beside ONNX: networks as files that its runtimes run, and its RNNs as networks. `import bptt` does not import it."""

from __future__ import annotations

try:
    import onnx as _onnx  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "onnx":
        raise
    raise ImportError('bptt.onnx: expected ONNX to be installed: pip install "bptt[onnx]"') from None

from bptt.onnx.exporting import export, to_onnx
from bptt.onnx.loading import load

__all__ = ["export", "load", "to_onnx"]
