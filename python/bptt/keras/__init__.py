"""Beside Keras: networks to and fro. `import bptt` does not import it; Keras is imported when it is needed."""

from __future__ import annotations

from bptt.keras.exchange import from_keras, to_keras

__all__ = ["from_keras", "to_keras"]
