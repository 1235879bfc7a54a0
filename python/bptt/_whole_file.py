"""Files that are whole at every moment: either the old one or the new one stands at a path; and the JSON in them."""

from __future__ import annotations

import errno
import glob
import os
import zlib
from contextlib import suppress
from typing import Any

_DIGITS = 400  # of an integer in JSON: one with more is read as infinite, and not in quadratic time


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file such that at every moment either the old one or the new one stands at `path`, complete."""
    path = os.path.realpath(path)  # a link stays a link
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.EINVAL, "expected a regular file, or none yet", path)
    temporary = f"{_beside(path)}{os.urandom(6).hex()}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        if isinstance(error, OSError):  # of the temporary file the caller knows nothing
            raise OSError(error.errno, error.strerror, path) from None
        raise


def _beside(path: str) -> str:
    """How the temporary files begin that become the file at `path`: a name as short as that of any other."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{zlib.crc32(os.fsencode(name)):08x}.")


def remove_stale(path: str | os.PathLike[str]) -> None:
    """Remove what a process that was killed while it wrote to `path` has left beside it."""
    for stale in glob.glob(f"{glob.escape(_beside(os.path.realpath(path)))}{'[0-9a-f]' * 12}.tmp"):
        with suppress(OSError):
            os.unlink(stale)


def texts_of(data: bytes) -> dict[str, str]:
    """The texts beside the tensors of a safetensors file, whose header its reader has found sound."""
    import json

    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return header.get("__metadata__") or {}


def read_json(text: str) -> Any:
    """Read JSON, or raise ValueError, whatever is in it."""
    import json

    try:
        return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) <= _DIGITS else float(digits))
    except RecursionError:
        raise ValueError("expected JSON, got nesting that is too deep") from None
