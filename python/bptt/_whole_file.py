"""Files that are whole at every moment: either the old one or the new one stands at a path; and the JSON in them."""

from __future__ import annotations

import errno
import glob
import os
import stat
import sys
import zlib
from contextlib import suppress
from typing import Any, BinaryIO

if sys.platform != "win32":
    import fcntl

_ATTEMPTS = 10  # to write a file whose temporary file another process takes for a dead one's
_DIGITS = 400  # of an integer in JSON: one with more is read as infinite, and not in quadratic time


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file such that at every moment either the old one or the new one stands at `path`, complete.

    The data are written beside it, under a name of their own, and then renamed. What a process that was killed
    meanwhile has left there goes at the next write. A file that is replaced keeps its permissions.
    """
    path = os.path.realpath(path)  # a link stays a link
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.EINVAL, "expected a regular file, or none yet", path)
    _remove_stale(path)
    for attempt in range(_ATTEMPTS):
        temporary = f"{_beside(path)}{os.urandom(6).hex()}.tmp"
        try:
            with open(temporary, "xb") as file:
                _lock(file)
                with suppress(OSError):  # no file yet, or a file system without permissions
                    os.chmod(temporary, stat.S_IMODE(os.stat(path).st_mode))
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            return
        except BaseException as error:
            with suppress(OSError):
                os.unlink(temporary)
            may_try = attempt + 1 < _ATTEMPTS and os.path.isdir(os.path.dirname(path))
            if isinstance(error, FileNotFoundError) and may_try:
                continue  # another process has removed it, in a moment in which it was not locked
            if isinstance(error, OSError):  # of the temporary file the caller knows nothing
                raise OSError(error.errno, error.strerror, path) from None
            raise


def _beside(path: str) -> str:
    """How the temporary files begin that become the file at `path`: a name as short as that of any other."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{zlib.crc32(os.fsencode(name)):08x}.")


def _lock(file: BinaryIO) -> bool:
    """Whether no other process is writing this file; as long as it is open here, others are told that one is."""
    if sys.platform == "win32":
        return True  # a file that is open cannot be removed there
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_stale(path: str) -> None:
    """Remove what a process that was killed while it wrote to `path` has left beside it."""
    for stale in glob.glob(f"{glob.escape(_beside(path))}{'[0-9a-f]' * 12}.tmp"):
        with suppress(OSError), open(stale, "r+b") as file:
            if _lock(file):
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
