"""Beside PyTorch: a drop-in for `torch.nn.RNN`, and networks to and fro. `import bptt` does not import it."""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError('bptt.torch: expected PyTorch to be installed: pip install "bptt[torch]"') from None

from bptt.torch.exchange import from_torch, to_torch
from bptt.torch.module import RNN

__all__ = ["RNN", "from_torch", "to_torch"]
