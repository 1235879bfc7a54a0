"""Coverage-guided fuzzing of all that reads files; no test of pytest's.

    pip install atheris
    python tests/fuzz/atheris_files.py model -runs=400000     # TARGET, and options of libFuzzer

`TARGETS` are the kinds of files. Each execution writes one file and reads it as users do. Whatever is in it, there is a
result or a clear error: of the library ValueError, which names the file (or begins with ``resume: ``), of the command
line UserError. Another exception, a warning, a crash, or more than 0.1 s of the processor's time ends the fuzzer, which
leaves the file as ``crash-...`` in the working folder. Give that file in place of the options to see it again.

What is mutated are the parts of a file, not its bytes alone: trees of JSON, texts inside of them, arrays of an archive,
cells of a table. Lengths and checksums are made right again, so that what lies behind them is read.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import shutil
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any, NamedTuple

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["bptt", "safetensors"]):
    import numpy as np
    from safetensors.numpy import load as load_arrays

    import bptt
    from bptt.app import tables as app_tables
    from bptt.app import text_model
    from bptt.app.architecture import Architecture
    from bptt.app.commands import evaluate, info, sample
    from bptt.app.errors import UserError
    from bptt.app.text_data import Vocabulary, read_text
    from bptt.forecast import Recipe, TableError
    from bptt.training import checkpoint

SLOW = 0.1  # seconds of the processor's time
TEXT = "In a hole in the ground there lived a fast network.\n" * 8
TABLE = "t,a,b\n" + "".join(f"{i},{i % 7},{(i * i) % 5}.5\n" for i in range(40))
NO_TABLE = dict.fromkeys(("steps", "origins", *app_tables.READING))  # options that are not given
DEEP = "deep, deep"  # stands for arrays in arrays in arrays, which the JSON of Python cannot write
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 2, 3, -1, 7, 255, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, -(2**63)),
    *(0.5, 1e308, -0.0, float("nan"), float("inf"), "", "a", "0x1p-3", "-1", "nan", "x" * 300, "\ud800", "\0", DEEP),
    *([], {}, [[]], [0], [1, 2], ["a"], {"a": 1}, [0, 2**62], "F32", "F64", "I64", "elman", "jordan", "float32"),
)
CELLS = [
    "",
    "?",
    "nan",
    "inf",
    "1e400",
    "-1e308",
    "1_000",
    '"',
    '"a\nb"',
    "a",
    "0",
    " 1 ",
    "\r",
    "t",
    ";",
    "\t",
    "٣",
    "1" * 999,
]


class Target(NamedTuple):
    """A kind of files."""

    name: str  # of the file
    seeds: Callable[[Path], list[bytes]]  # files to begin with; the folder is for their making
    read: Callable[[str], object]  # as users read the file
    mutate: Callable[[bytes, random.Random], bytes]  # another file, by its parts


# ---- Models and checkpoints: safetensors with JSON inside of it ----


def unpacked(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the numbers."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    if not isinstance(header, dict):
        raise ValueError("no header")
    return header, data[8 + length :]


def packed(header: dict[str, Any], body: bytes) -> bytes:
    text = dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body


def dumps(tree: Any) -> str:
    return json.dumps(tree).replace(f'"{DEEP}"', "[" * 3000 + "]" * 3000)


def places(tree: Any) -> list[tuple[Any, Any]]:
    """All nodes of a tree but its root, each by what holds it and the key in there."""
    found = []
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        found += [(tree, key), *places(tree[key])]
    return found


def mutate_tree(tree: Any, by: random.Random) -> None:
    nodes = places(tree)
    if not nodes:
        return
    holder, key = by.choice(nodes)
    node, how = holder[key], by.randrange(6)
    if how == 0:
        del holder[key]
    elif how == 1:
        other, other_key = by.choice(nodes)
        with suppress(KeyError, IndexError):
            holder[key] = json.loads(json.dumps(other[other_key]))
    elif how == 2 and isinstance(holder, dict):
        holder[by.choice(["a", "", "U", "W2", "format", "network", f"{key}x", "__metadata__"])] = node
    elif how == 3 and type(node) is int:
        holder[key] = node + by.choice([-1, 1, 8, -8, node])
    elif how == 4 and isinstance(node, str) and node:
        holder[key] = mutate_bytes(node.encode("utf-8", "replace")).decode("utf-8", "replace")
    else:
        holder[key] = by.choice(ODD)


def mutate_bytes(data: bytes) -> bytes:
    return bytes(atheris.Mutate(data, len(data) + 64))


def mutate_arrays(data: bytes, by: random.Random) -> bytes:
    """Of a safetensors file: its header, the JSON inside of it, or its numbers."""
    header, body = unpacked(data)
    texts = header.get("__metadata__", {})
    key = next((key for key in ("bptt", "bptt.checkpoint") if key in texts), None)
    how = by.randrange(8)
    if how == 0 and body:
        body = mutate_bytes(body)[: len(body)].ljust(len(body), b"\0")
    elif how < 3 or key is None:
        mutate_tree(header, by)
    elif how == 3:
        texts[key] = mutate_bytes(texts[key].encode("utf-8", "replace")).decode("utf-8", "replace")
    else:
        told = json.loads(texts[key])
        for _ in range(by.choice([1, 1, 1, 2, 4])):
            mutate_tree(told, by)
        texts[key] = dumps(told)
    return packed(header, body)


def mutate_checkpoint(data: bytes, by: random.Random) -> bytes:
    data = mutate_arrays(data, by)
    if by.random() < 0.1:
        return data
    header, body = unpacked(data)
    texts = header["__metadata__"]
    total = checkpoint._checksum(texts["bptt.checkpoint"], load_arrays(data))
    texts["bptt.checkpoint.crc32"] = f"{total:08x}"
    return packed(header, body)


def model_of_text() -> Any:
    rnn = text_model.new_model(Vocabulary.of(TEXT), Architecture("elman", (5,)))
    return rnn


def models(folder: Path) -> list[bytes]:
    networks = [
        bptt.ElmanRNN(2, 3, 2, seed=0),
        bptt.ElmanRNN(3, (4, 2), 2, bidirectional=True, activation="relu", dtype="float64", seed=0),
        bptt.ElmanRNN(3, 2, 4, input="token", output="sigmoid", readout="last", seed=0),
        bptt.JordanRNN(0, 3, 2, output="linear", feedback="o", seed=0),
        text_model.new_model(Vocabulary.of(TEXT), Architecture("jordan", (3,))),
        model_of_text(),
    ]
    files = []
    for rnn in networks:
        rnn.save(folder / "model")
        files.append((folder / "model").read_bytes())
    of_format_1 = Path(__file__).parent.parent / "data"
    return files + [path.read_bytes() for path in sorted(of_format_1.glob("*_format1.safetensors"))]


def read_model(path: str) -> None:
    refused = False
    try:
        bptt.load(path)
    except ValueError as error:
        expect(str(error).startswith(f"{path}: "), error)
        refused = True
    text = beside(path, "text.txt", TEXT)
    calls = [
        lambda: info.info(told(model=path)),
        lambda: sample.sample(
            told(model=path, prompt="a", length=3, temperature=1.0, top_k=None, top_p=None, greedy=False, seed=0)
        ),
        lambda: evaluate.evaluate(told(model=path, data=text, **NO_TABLE)),
    ]
    for call in calls[:1] if refused else calls:
        command(call)


def begun() -> tuple[Any, dict[str, Any]]:
    """A network, and arguments of `fit`."""
    rnn = bptt.ElmanRNN(2, (2, 2), 2, seed=0)
    x, y = np.ones((6, 2, 2), np.float32), np.zeros((6, 2), np.int64)
    return rnn, {
        **{"x": x, "y": y, "validation": (x, y), "patience": 2, "truncate": 3, "epochs": 2, "seed": 1},
        **{"optimizer": bptt.Adam(0.1), "progress": False},
    }


def checkpoints(folder: Path) -> list[bytes]:
    files = []

    def keep(history: Any) -> None:
        files.append((folder / "begun").read_bytes())

    rnn, arguments = begun()
    rnn.fit(**arguments | {"checkpoint": folder / "begun", "callbacks": [keep]})
    return [*files, (folder / "begun").read_bytes()]


def read_checkpoint(path: str) -> None:
    rnn, arguments = begun()
    before = rnn.parameters.copy()
    try:
        rnn.fit(**arguments, checkpoint=path, resume=True)
    except ValueError as error:
        expect(str(error).startswith((f"{path}: ", "resume: ")), error)
        expect((rnn.parameters == before).all(), error)  # nothing of a file that is refused is taken
    except FloatingPointError as error:  # numbers that are huge, or none: of a loss or a gradient
        expect("update " in str(error) or "epoch " in str(error), error)


# ---- Texts and tables ----


def texts(folder: Path) -> list[bytes]:
    return [TEXT.encode(), "\ufeffzwölf\r\nBoxkämpfer\r".encode(), TEXT.encode("utf-16"), b"\xf0\x9f\x8c\x8d", b"\xff"]


def mutate_text(data: bytes, by: random.Random) -> bytes:
    if by.randrange(2):
        return mutate_bytes(data)
    at = by.randrange(len(data) + 1)
    piece = by.choice(["\ufeff", "\r\n", "\r", "\0", "\U0010ffff", "é", "\u2028", TEXT[:60]]).encode()
    return data[:at] + piece + data[at:]


def read_a_text(path: str) -> None:
    try:
        text = read_text(path)
    except UserError as error:
        check_line(error, path)
        return
    assert text
    assert "\r" not in text
    vocabulary = Vocabulary.of(text)
    tokens = vocabulary.encode(text)
    assert vocabulary.decode(tokens) == text

    def cut() -> None:
        training, held_out = text_model.split(tokens, 5, path)
        x = text_model.streams(training, 2)
        y = text_model.following(x, len(training) - 1, int(training[-1]))
        assert ((x >= 0) & (x < len(vocabulary)) & (y >= -1) & (y < len(vocabulary))).all()
        x, y = next(text_model.segments(held_out, 100))
        assert (y >= -1).all()

    command(cut)
    model = beside(path, "text.model", model_of_text)
    command(lambda: evaluate.evaluate(told(model=model, data=path, **NO_TABLE)))


def tables(folder: Path) -> list[bytes]:
    return [
        *(TABLE.encode(), TABLE.replace(",", ";").encode(), TABLE.replace("\n", "\r\n").replace(",", "\t").encode()),
        *(
            b'"a","b"\n1,2\n3,"4"\n' * 2,
            b"1,2\n3,4\n5,6\n7,8\n9,10\n",
            b"day,t,a,b\n" + b"x,1,2,3\ny,2,,5\nx,3,4,5\ny,4,5,6\n" * 4,
        ),
    ]


def mutate_table(data: bytes, by: random.Random) -> bytes:
    if by.randrange(2):
        return mutate_bytes(data)
    rows = [row.split(b",") for row in data.split(b"\n")]
    row = by.choice(rows)
    how = by.randrange(5)
    if how < 3:
        row[by.randrange(len(row))] = by.choice(CELLS).encode()
    elif how == 3:
        rows.insert(by.randrange(len(rows)), list(row))
    else:
        column = by.randrange(len(rows[0]))
        for one in rows:
            one.insert(column, one[min(column, len(one) - 1)])
    return b"\n".join(map(b",".join, rows))


def archives(folder: Path) -> list[bytes]:
    files = []
    rows = np.arange(60.0)
    for arrays in ({"a": rows, "b": rows.astype(int)}, {"x": rows.reshape(10, 2, 3)}, {"x": rows.reshape(30, 2) > 7}):
        np.savez(folder / "a.npz", **arrays)
        files.append((folder / "a.npz").read_bytes())
    return files


def mutate_archive(data: bytes, by: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    if not members:
        raise ValueError("an empty archive")
    i, how = by.randrange(len(members)), by.randrange(6)
    name, content = members[i]
    if how < 3:
        members[i] = name, mutate_bytes(content)
    elif how == 3:
        shape = by.choice([(), (0,), (5,), (5, 2), (5, 0), (2, 3, 4), (1, 1, 1, 1), (60,), (30, 2)])
        array = np.full(
            shape, by.choice([0, 1, 7]), by.choice(["f8", ">f4", "i1", "?", "U3", "c8", "M8[s]", "f2", "V4"])
        )
        file = io.BytesIO()
        np.save(file, np.asfortranarray(array) if by.randrange(2) else array)
        members[i] = name, file.getvalue()
    elif how == 4:
        members[i] = by.choice(["a.npy", "b.npy", "x.0.npy", "a", "", "a\n.npy", "../a.npy"]), content
    else:
        members.append((by.choice(["a.npy", "c.npy", "readme"]), by.choice(members)[1]))
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", by.choice([0, 8])) as archive:
        warnings.simplefilter("ignore")  # two members of one name
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def read_a_table(path: str) -> None:
    """From the file to what a forecaster learns from."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            frame, _ = app_tables.read(path, told(**NO_TABLE))
        except UserError as error:
            check_line(error, path)
            return
        try:
            recipe = Recipe.learn(frame)
            panel = recipe.apply(frame)
        except TableError as error:
            expect(bool(str(error).strip()), error)
            return
    assert Recipe.from_json(json.loads(json.dumps(recipe.as_json()))) == recipe
    for one in panel.sequences:
        assert not np.isnan(one.past).any()
        assert len(one.y) == len(one.past) == len(one.future) == len(one.times)


# ---- The fuzzer ----

TARGETS = {
    "model": Target("model.safetensors", models, read_model, mutate_arrays),
    "checkpoint": Target("a.checkpoint", checkpoints, read_checkpoint, mutate_checkpoint),
    "text": Target("a.txt", texts, read_a_text, mutate_text),
    "table": Target("a.csv", tables, read_a_table, mutate_table),
    "archive": Target("a.npz", archives, read_a_table, mutate_archive),
}


def told(**options: Any) -> argparse.Namespace:
    return argparse.Namespace(**options)


def command(call: Callable[[], object]) -> None:
    """Do as a command does: to an end, or to one line."""
    try:
        with redirect_stdout(io.StringIO()):
            call()
    except UserError as error:
        check_line(error)


def check_line(error: UserError, path: str = "") -> None:
    expect(bool(str(error).strip()) and path in str(error), error)


def expect(holds: bool, error: Exception) -> None:
    """End the fuzzer unless an error says what it should."""
    if not holds:
        raise AssertionError(f"unclear: {error}") from error


def beside(path: str, name: str, content: str | Callable[[], Any]) -> str:
    """A file beside the one that is fuzzed: a text, or a model that is to be saved."""
    file = Path(path).parent / name
    if not file.exists():
        if isinstance(content, str):
            file.write_text(content)
        else:
            content().save(file)
    return str(file)


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        raise SystemExit(f"expected a target, one of {', '.join(TARGETS)}")
    target = TARGETS[sys.argv.pop(1)]
    warnings.simplefilter("error")
    folder = Path("/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()) / f"bptt-fuzz-{target.name}"
    shutil.rmtree(folder, ignore_errors=True)  # of the last time: the fuzzer ends the process where it stands
    corpus = folder / "corpus"
    corpus.mkdir(parents=True)
    path = str(folder / target.name)

    def execute(data: bytes) -> None:
        seconds = []
        for _ in range(4):  # what is slow is asked again: the first time may be that of an import
            with open(path, "wb") as file:
                file.write(data)
            begin = time.process_time()
            target.read(path)
            seconds.append(time.process_time() - begin)
            if seconds[-1] <= SLOW:
                return
        raise AssertionError(f"slow: {min(seconds):.3f} s")

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        by = random.Random(seed)
        if by.random() < 0.8:
            with suppress(Exception):  # what cannot be taken apart is mutated as bytes
                return target.mutate(data, by)[:most]
        return bytes(atheris.Mutate(data, most))

    for i, data in enumerate(target.seeds(folder)):
        execute(data)
        (corpus / str(i)).write_bytes(data)
    atheris.Setup([*sys.argv, str(corpus)], execute, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
