"""Faults of the system, each a real one: full and read-only disks, kills, closed streams, odd locales, changing files.

The file that was there stays whole, one line says what is wrong, and the exit code is the usual one.
"""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.app.errors import UserError
from bptt.app.text_data import read_text
from bptt.training.checkpoint import Checkpoint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="faults as POSIX systems have them")

TEXT = "the cat sat on a mat, and é. " * 60
TRAIN = "--hidden 8 --truncate 16 --updates 20"
TABLES = importlib.util.find_spec("pandas") is not None  # which reads them
TRAIN_ON_TABLE = "--ensemble 0 --steps 3"


def shell(command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command line in which `bptt` is this one, with nothing else in its environment. Its files are text.txt ..."""
    return subprocess.run(
        ["bash", "-c", f'bptt() {{ "$0" -m bptt "$@"; }}; {command}', sys.executable],
        cwd=cwd,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",  # `head -c 1` may cut a character
        timeout=60,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text and a table, a model of each, and a model that is another."""
    path = tmp_path_factory.mktemp("files")
    (path / "text.txt").write_text(TEXT, encoding="utf-8")
    rows = "".join(f"{math.sin(i / 5):.4f}\n" for i in range(300))
    (path / "table.csv").write_text(f"é\n{rows}", encoding="utf-8")
    assert shell(f"bptt train text.txt {TRAIN} --out text", path).returncode == 0
    if TABLES:
        assert shell(f"bptt train table.csv {TRAIN_ON_TABLE} --out table", path).returncode == 0
    return path


@contextmanager
def disk(size: str, where: Path) -> Iterator[None]:
    """A small disk at a folder."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(where)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"only who may mount a file system can have one that is full or read-only: {done.stderr}")
    try:
        yield
    finally:
        subprocess.run(["umount", where], check=True)


@pytest.fixture
def full(folder: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder on a full disk, which holds a model."""
    with disk("128k", tmp_path):
        shutil.copy(folder / "text", tmp_path / "model")
        with open(tmp_path / "fill", "wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        assert shutil.disk_usage(tmp_path).free == 0
        yield tmp_path


@pytest.fixture
def read_only(folder: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk that cannot be written, which holds a model. Permissions alone would not stop root."""
    with disk("1m", tmp_path):
        shutil.copy(folder / "text", tmp_path / "model")
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        yield tmp_path


def everything(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def network(n_hidden: int = 200) -> Any:
    return bptt.ElmanRNN(2, n_hidden, 2, seed=0)


def fit(checkpoint: Path) -> None:
    x, y = np.ones((10, 1, 2)), np.ones((10, 1), int)
    network().fit(x, y, optimizer=bptt.Adam(0.01), epochs=2, checkpoint=checkpoint, progress=False)


# ---- Disks ----


def test_a_full_disk(full: Path, folder: Path) -> None:
    before = everything(full)
    for call in (lambda: network().save(full / "model"), lambda: fit(full / "model"), lambda: fit(full / "new")):
        with pytest.raises(OSError, match="No space left"):
            call()
        assert everything(full) == before
    for command, name in (
        (f"train text.txt {TRAIN} --out {full}/model", f"{full}/model"),
        (f"train text.txt {TRAIN} --out unused --checkpoint {full}/new", f"--checkpoint {full}/new"),
        *[(f"predict table table.csv --out {full}/new.csv", f"{full}/new.csv")] * TABLES,
        (f"sample text --length 9000 >>{full}/fill", "standard output"),
    ):
        done = shell(f"bptt {command}", folder)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1] == f"bptt: {name}: No space left on device"
        assert "Traceback" not in done.stderr
        assert everything(full) == before


def test_a_disk_that_is_full_during_training(folder: Path, tmp_path: Path) -> None:
    """A checkpoint grows with the history. The last one that fitted stays, and the best parameters so far are saved."""
    with disk("100k", tmp_path):
        training = "train text.txt --hidden 8 --truncate 16 --updates 8000"
        done = shell(f"bptt {training} --out late --checkpoint {tmp_path}/c", folder)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1] == f"bptt: --checkpoint {tmp_path}/c: No space left on device"
        assert "saved: late, the parameters with the best validation" in done.stdout
        found = Checkpoint.read(tmp_path / "c")
        assert found is not None
        assert 0 < found.position["updates"] < 8000
    assert bptt.load(folder / "late").n_hidden == 8


def test_a_limit_of_file_sizes(tmp_path: Path) -> None:
    """What a quota does, for those who cannot mount a disk."""
    network(8).save(tmp_path / "model")
    fit(tmp_path / "checkpoint")
    before = everything(tmp_path)
    code = """if True:
        import pathlib, resource, sys
        sys.path.insert(0, sys.argv[1])
        import test_system_faults as t
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        for name, call in (("model", t.network().save), ("checkpoint", t.fit)):
            try:
                call(pathlib.Path(name))
            except OSError as error:
                print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", code, Path(__file__).parent], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    lines = [f"[Errno 27] File too large: '{tmp_path / name}'" for name in ("model", "checkpoint")]
    assert done.stdout.splitlines() == lines, done.stderr
    assert everything(tmp_path) == before


def test_a_read_only_folder(read_only: Path, folder: Path) -> None:
    before = everything(read_only)
    for call in (lambda: network().save(read_only / "model"), lambda: fit(read_only / "new")):
        with pytest.raises(OSError, match="Read-only file system"):
            call()
    for command in (
        f"train text.txt {TRAIN} --out {read_only}/new",
        f"train text.txt {TRAIN} --out unused --checkpoint {read_only}/new",
        *[f"predict table table.csv --out {read_only}/new.csv"] * TABLES,
    ):
        option, path = command.split()[-2:]
        done = shell(f"bptt {command}", folder)
        line = f"bptt: {option} {path}: cannot write into the folder {read_only} (Read-only file system)\n"
        assert (done.returncode, done.stdout, done.stderr) == (2, "", line), "and before any training"
    assert everything(read_only) == before
    assert not (folder / "unused").exists()


def test_a_file_that_only_its_owner_may_read_stays_so(tmp_path: Path) -> None:
    network().save(tmp_path / "model")
    (tmp_path / "model").chmod(0o600)
    network().save(tmp_path / "model")
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o600


# ---- Kills, and processes that meet ----


@pytest.mark.parametrize("how", ["save", "checkpoint", "together"])
def test_writers_that_are_killed_or_meet(how: str) -> None:
    program = Path(__file__).with_name("killed_writers.py")
    done = subprocess.run([sys.executable, program, how, "20"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_what_is_being_written_is_not_taken_for_what_a_killed_process_has_left(tmp_path: Path) -> None:
    """Even where it is: it was not locked yet."""
    from bptt import _whole_file

    path, removed = tmp_path / "model", list[str]()

    def remove(file: Any) -> bool:
        if not removed:
            removed.append(file.name)
            os.unlink(file.name)  # as another process would in this moment
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_whole_file, "_lock", remove)
        network(8).save(path)
    assert removed
    assert everything(tmp_path).keys() == {"model"}
    assert bptt.load(path).n_hidden == 8
    with open(_whole_file._beside(str(path)) + "0123456789ab.tmp", "xb") as another:
        assert _whole_file._lock(another)
        network(9).save(path)
        assert Path(another.name).exists()
    network(8).save(path)
    assert everything(tmp_path).keys() == {"model"}


def test_sigterm_ends_training_and_its_checkpoint_is_whole(folder: Path, tmp_path: Path) -> None:
    command = ["train", str(folder / "text.txt"), *TRAIN.split()[:-1], "20000", "--checkpoint", "c", "--out", "m"]
    with subprocess.Popen(
        [sys.executable, "-m", "bptt", *command],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for _ in range(2):
            process.stderr.readline()  # of an epoch, after which it is saved
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM  # 143 in a shell
    assert "Traceback" not in errors
    found = Checkpoint.read(tmp_path / "c")
    assert found is not None
    assert found.position["updates"] >= 1000
    assert not (tmp_path / "m").exists()


# ---- Streams and locales ----


@pytest.mark.parametrize(
    ("command", "code", "errors"),
    [
        ("bptt sample text --length 99999 | head -c 1", 141, ""),
        *[("bptt predict table table.csv | true", 141, "")] * TABLES,  # which ends before anything is written
        ("bptt train --help | true", 141, ""),
        ("bptt sample text >&-", 0, ""),
        ("bptt sample text >&- 2>&- <&-", 0, ""),
        ("bptt sample none >&- 2>&-", 2, ""),
        ("bptt sample none 2>/dev/full", 2, ""),
        ("bptt sample none 2>&1 | true", 2, ""),
        ("bptt train --none 2>/dev/full", 2, ""),
        ("bptt train --help >/dev/full", 2, "bptt: standard output: No space left on device\n"),
        ("bptt --version >/dev/full", 2, "bptt: standard output: No space left on device\n"),
        ("bptt --version >&-", 0, ""),
        (f"bptt train text.txt {TRAIN} --out m >&- 2>&- <&-; cat m | bptt info m >/dev/null", 0, ""),
    ],
)
def test_streams_that_are_closed_or_full(command: str, code: int, errors: str, folder: Path) -> None:
    done = shell(f"set -o pipefail; {command}", folder, PYTHONWARNINGS="error")
    assert (done.returncode, done.stderr) == (code, errors)


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LANG": "C", "PYTHONIOENCODING": "ascii"},
    ],
    ids=str,
)
def test_texts_are_utf_8_in_every_locale(locale: dict[str, str], folder: Path, tmp_path: Path) -> None:
    """And there is no HOME. What the terminal cannot show is escaped; files are what they are elsewhere."""
    here = tmp_path / "été"
    shutil.copytree(folder, here)
    (here / "text.txt").rename(here / "thé.txt")
    assert shell(f"bptt train thé.txt {TRAIN} --out modèle", here, **locale).returncode == 0
    assert (here / "modèle").read_bytes() == (folder / "text").read_bytes()
    done = shell("bptt sample modèle --prompt 'and é' --length 9 --seed 1", here, **locale)
    expected = shell("bptt sample text --prompt 'and é' --length 9 --seed 1", folder, LC_ALL="C.UTF-8")
    assert done.returncode == expected.returncode == 0
    assert done.stdout == expected.stdout.encode("ascii", "backslashreplace").decode()
    if TABLES:
        assert shell(f"bptt train table.csv --targets é {TRAIN_ON_TABLE} --out t", here, **locale).returncode == 0
        assert shell("bptt predict t table.csv --out p.csv", here, **locale).returncode == 0
        assert (here / "p.csv").read_text(encoding="utf-8").startswith("step,é,é_lower,é_upper\n")


# ---- Files that change ----


def test_a_file_that_vanishes_or_grows_while_it_is_read(tmp_path: Path) -> None:
    """Every load ends with one of the two networks, or with an error that names the file."""
    path, stop = tmp_path / "model", threading.Event()
    small, large = network(5), network(400)

    def change() -> None:
        while not stop.is_set():
            for rnn in (small, large):
                rnn.save(path)
            whole = path.read_bytes()
            with open(path, "wb", buffering=0) as file:  # grows, and is not whole
                for part in (whole[:5], whole[5:100_000], whole[100_000:], b"more"):
                    file.write(part)
            os.truncate(path, 1000)
            path.unlink()

    thread = threading.Thread(target=change)
    thread.start()
    found = set[object]()
    messages = list[str]()
    end = time.monotonic() + 0.7
    try:
        while time.monotonic() < end or (len(found) < 3 and time.monotonic() < end + 30):
            try:
                found.add(bptt.load(path).n_hidden)
            except (ValueError, FileNotFoundError) as error:
                found.add(type(error))
                messages.append(str(error))
            try:
                read_text(str(path))
            except UserError as error:
                messages.append(str(error))
    finally:
        stop.set()
        thread.join()
    assert found <= {5, 400, ValueError, FileNotFoundError}
    assert len(found) > 2
    assert all(str(path) in message for message in messages)
