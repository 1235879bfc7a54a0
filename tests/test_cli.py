"""The command line as a user runs it: a process, its files, its messages and its exit code."""

from __future__ import annotations

import math
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import bptt
import bptt.app.commands.train
import bptt.app.options
import bptt.app.text_model
from interpreter import ENVIRONMENT, error_after_output, error_line, run

SMALL = ("--hidden", "32", "--truncate", "16", "--batch", "8", "--lr", "0.01")


class Trained(NamedTuple):
    folder: Path
    text: str
    stdout: str
    stderr: str


def validation_of(stdout: str) -> float:
    found = re.search(r"^validation: (\d+\.\d+) nats \((\d+\.\d+) bits\) per character", stdout, re.MULTILINE)
    assert found is not None, stdout
    assert float(found[2]) == pytest.approx(float(found[1]) / math.log(2), abs=2e-4)
    return float(found[1])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    draw = random.Random(0)
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "one", "big", "dog", "é"]
    text = "".join(draw.choice(words) + draw.choice("   \n") for _ in range(5000))
    (folder / "text.txt").write_text(text, encoding="utf-8")
    result = run("train", "text.txt", *SMALL, "--updates", "200", cwd=folder)
    return Trained(folder, text, result.stdout, result.stderr)


def test_training_learns(trained: Trained) -> None:
    lines = trained.stderr.splitlines()
    valid = [float(loss) for loss in re.findall(r", validation (\d+\.\d+) nats \(", trained.stderr)]
    assert len(valid) == len(lines) == 20  # a log holds a line a validation, whatever the number of updates
    last = r"epoch 20/20, update 200: loss [\d.]+ nats \([\d.]+ bits\), validation [\d.]+ nats \([\d.]+ bits\)"
    assert re.fullmatch(last + r"(, best [\d.]+)?, [\d,]+ steps/s", lines[-1])
    # A model of single characters would stay near 2.5 nats; the text itself has about 1 (a word's log(12), its
    # separator's 0.56, over 3.7 characters).
    assert valid[0] > 2
    assert valid[-1] < 1.3
    assert validation_of(trained.stdout) == pytest.approx(min(valid), abs=1e-4)


def test_training_writes_a_model_and_a_sample(trained: Trained) -> None:
    assert sorted(path.name for path in trained.folder.iterdir()) == ["model.safetensors", "text.txt"]
    rnn = bptt.load(trained.folder / "model.safetensors")
    assert isinstance(rnn, bptt.ElmanRNN)
    assert rnn.n_hidden == 32
    assert rnn.metadata["vocabulary"] == "".join(sorted(set(trained.text)))
    sample = trained.stdout.partition("a sample (temperature 0.8):\n\n")[2]
    assert len(sample) == 501
    known = sum(word in trained.text.split() for word in sample.split())
    assert known > len(sample.split()) / 2


def test_evaluation_agrees_with_training(trained: Trained) -> None:
    found = re.search(r"the last ([\d,]+) are held out", trained.stdout)
    assert found is not None
    held_out = int(found[1].replace(",", ""))
    assert held_out == len(trained.text) // 10
    for file, stdin in [("held_out.txt", None), ("-", trained.text[-held_out:])]:
        (trained.folder / "held_out.txt").write_text(trained.text[-held_out:], encoding="utf-8")
        line = run("evaluate", "model.safetensors", file, cwd=trained.folder, stdin=stdin).stdout
        (trained.folder / "held_out.txt").unlink()
        assert line.endswith(f" per character, over {held_out - 1:,} characters\n")
        assert validation_of(f"validation: {line}") == validation_of(trained.stdout)


def test_sample_follows_its_seed(trained: Trained) -> None:
    def sample(*arguments: str) -> str:
        return run("sample", "model.safetensors", *arguments, cwd=trained.folder).stdout

    first = sample("--prompt", "the cat ", "--length", "80", "--seed", "5")
    assert first.startswith("the cat ")
    assert len(first) == 8 + 80 + 1
    assert first.endswith("\n")
    assert sample("--prompt", "the cat ", "--length", "80", "--seed", "5") == first
    assert sample("--prompt", "the cat ", "--length", "80", "--seed", "6") != first
    cold = sample("--length", "200", "--seed", "0", "--temperature", "0.01")
    # Almost without chance, the model goes round in one circle of its likeliest words.
    assert len(set(cold.split())) < len(set(sample("--length", "200", "--seed", "0", "--temperature", "1.5").split()))


def test_training_is_reproducible(trained: Trained) -> None:
    models = []
    for seed, threads in [("1", "1"), ("1", "2"), ("2", "2")]:
        more = ("--updates", "5", "--seed", seed, "--threads", threads, "--out", f"{seed}{threads}.model")
        run("train", "text.txt", *SMALL, *more, cwd=trained.folder)
        path = trained.folder / f"{seed}{threads}.model"
        models.append(path.read_bytes())
        path.unlink()
    assert models[0] == models[1] != models[2]


def test_standard_input_and_a_short_text(tmp_path: Path) -> None:
    result = run("train", "-", "--hidden", "8", "--updates", "3", cwd=tmp_path, stdin="short text\r\n" * 20)
    assert "text: standard input, 220 characters, 9 different" in result.stdout
    assert "the text is short: 2 parallel streams instead of " in result.stdout
    assert bptt.load(tmp_path / "model.safetensors").metadata["vocabulary"] == "\n ehorstx"


def test_default_text(tmp_path: Path) -> None:
    result = run("train", "--hidden", "16", "--updates", "2", "--out", "python.model", cwd=tmp_path)
    assert result.stdout.startswith("text: Python's language reference, ")
    assert validation_of(result.stdout) < 5
    assert [path.name for path in tmp_path.iterdir()] == ["python.model"]


def start(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    """A process that is to be interrupted or killed."""
    # A test run in the background may ignore Ctrl-C; a child inherits that, but not a handler.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "bptt", *map(str, arguments)],
            cwd=cwd,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send Ctrl-C to another one there")
def test_ctrl_c_saves(trained: Trained, tmp_path: Path) -> None:
    process = start("train", trained.folder / "text.txt", *SMALL, "--updates", "60000", cwd=tmp_path)
    assert process.stderr is not None
    try:
        first = process.stderr.readline()
        assert first.startswith("epoch 1/20, update 3,000: ")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "Traceback" not in stderr
    found = re.search(r"^interrupted after ([\d,]+) of 60,000 updates$", stdout, re.MULTILINE)
    assert found is not None
    assert 3000 <= int(found[1].replace(",", "")) < 60_000
    assert "the parameters with the best validation" in stdout
    assert "a sample" in stdout
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    run("sample", "model.safetensors", "--length", "5", cwd=tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_training_goes_on_from_a_checkpoint(trained: Trained, tmp_path: Path, how: signal.Signals) -> None:
    options = ("train", trained.folder / "text.txt", *SMALL, "--updates", "2000", "--network", "jordan")
    whole = run(*options, "--out", "whole", cwd=tmp_path)
    again = (*options, "--checkpoint", "run", "--resume", "--out", "resumed")
    process = start(*again, cwd=tmp_path)
    assert process.stderr is not None
    try:
        for _ in range(3):
            process.stderr.readline()
        process.send_signal(how)
        process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    assert (tmp_path / "resumed").exists() == (how == signal.SIGINT)
    resumed = run(*again, cwd=tmp_path)
    assert 0 < len(resumed.stderr.splitlines()) < 20, "or nothing was left to do"
    found = re.search(r"^goes on after ([\d,]+) updates, as run has it\n", resumed.stdout, re.MULTILINE)
    assert found is not None
    assert 0 < int(found[1].replace(",", "")) < 2000
    assert resumed.stdout.replace(found[0], "").replace("resumed", "whole") == whole.stdout
    assert (tmp_path / "resumed").read_bytes() == (tmp_path / "whole").read_bytes()
    over = run(*again, cwd=tmp_path)
    assert over.stderr == ""
    assert (tmp_path / "resumed").read_bytes() == (tmp_path / "whole").read_bytes()
    line = error_after_output(*again, "--lr", "0.5", cwd=tmp_path)
    same = "data and options have to be those of the run that is to go on"
    assert line == f"--resume: expected --lr as in the checkpoint, 0.01, got 0.5; {same}"
    line = error_after_output(*again, "--hidden", "16", cwd=tmp_path)
    assert line == f"--resume: expected --hidden as in the checkpoint, 32, got 16; {same}"
    line = error_after_output(*again, "--activation", "relu", cwd=tmp_path)
    assert line == f"--resume: expected --activation as in the checkpoint, 'tanh', got 'relu'; {same}"
    line = error_after_output(*again, "--network", "elman", cwd=tmp_path)
    assert line == f"--resume: expected --network as in the checkpoint, 'jordan', got 'elman'; {same}"
    line = error_after_output(*again, "--seed", "1", cwd=tmp_path)
    assert line == f"--resume: expected --seed as in the checkpoint, 0, got 1; {same}"
    before = (tmp_path / "run").read_bytes()
    line = error_line(*(option for option in again if option != "--resume"), cwd=tmp_path)
    assert line == "--checkpoint run: is there already; go on from it with --resume, or remove it"
    assert (tmp_path / "run").read_bytes() == before
    (tmp_path / "run").write_bytes(b"no checkpoint")
    assert error_after_output(*again, cwd=tmp_path).startswith("--checkpoint run: expected a checkpoint: ")


def test_patience(trained: Trained, tmp_path: Path) -> None:
    arguments = ("train", trained.folder / "text.txt", *SMALL, "--updates", "2000", "--lr", "0.1", "--patience", "2")
    result = run(*arguments, cwd=tmp_path)
    found = re.search(
        r"^stopped after ([\d,]+) of 2,000 updates: no better validation in 2$", result.stdout, re.MULTILINE
    )
    assert found is not None
    assert len(result.stderr.splitlines()) * 100 == int(found[1].replace(",", "")) < 2000
    assert f"best validation (after {int(found[1].replace(',', '')) - 200:,} updates)" in result.stdout


@pytest.mark.parametrize("network", ["elman", "jordan"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "adagrad", "sgd"])
@pytest.mark.parametrize("schedule", ["cosine", "constant", "step"])
def test_choices(tmp_path: Path, network: str, optimizer: str, schedule: str) -> None:
    choices = ("--network", network, "--optimizer", optimizer, "--schedule", schedule)
    # In this process: thirty times starting Python is slower than all the training.
    out = tmp_path / "model"
    (tmp_path / "text").write_text("abcdefghij" * 300)
    training = ("train", str(tmp_path / "text"), "--hidden", "16", "--updates", "500", "--out", str(out), *choices)
    assert bptt.app.options.main(training) == 0
    rnn = bptt.load(out)
    vocabulary = bptt.app.text_model.vocabulary_of(rnn)
    assert vocabulary is not None
    assert bptt.app.text_model.nats_per_character(rnn, vocabulary.encode("abcdefghij" * 20)) < 0.7


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_layers(tmp_path: Path, activation: str) -> None:
    out = tmp_path / "model"
    (tmp_path / "text").write_text("abcdefghij" * 300)
    training = ("train", str(tmp_path / "text"), "--updates", "300", "--out", str(out), "--activation", activation)
    assert bptt.app.options.main((*training, "--hidden", "16,12")) == 0
    rnn = bptt.load(out)
    assert (rnn.n_hidden, rnn.activation) == ((16, 12), activation)
    vocabulary = bptt.app.text_model.vocabulary_of(rnn)
    assert vocabulary is not None
    assert bptt.app.text_model.nats_per_character(rnn, vocabulary.encode("abcdefghij" * 20)) < 0.7
    assert bptt.app.options.main(("sample", str(out), "--length", "30")) == 0


def test_leaky_layers(tmp_path: Path) -> None:
    out = tmp_path / "model"
    (tmp_path / "text").write_text("abcdefghij" * 300)
    training = ("train", str(tmp_path / "text"), "--updates", "300", "--out", str(out), "--leak", "0.5,0.8")
    assert bptt.app.options.main((*training, "--hidden", "16,12")) == 0
    rnn = bptt.load(out)
    assert rnn.leak == [0.5, 0.8]
    vocabulary = bptt.app.text_model.vocabulary_of(rnn)
    assert vocabulary is not None
    assert bptt.app.text_model.nats_per_character(rnn, vocabulary.encode("abcdefghij" * 20)) < 0.7
    assert bptt.app.options.main(("sample", str(out), "--length", "30")) == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--leak", "0.5,0.5"], "--leak: expected one number, or one for each layer of --hidden, 1, got 2"),
        (
            ["--leak", "0.5", "--network", "jordan"],
            "--leak: expected 1 with --network jordan, whose hidden units carry nothing on",
        ),
    ],
)
def test_no_leak(given: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("abcdefghij" * 300)
    assert error_line("train", "text", *given, cwd=tmp_path).endswith(message)


def test_layers_in_words() -> None:
    units = bptt.app.commands.train._units
    assert units(8) == "8 hidden units"
    assert units((16, 12)) == "2 layers of 16 and 12 hidden units"
    assert units((8, 8, 8)) == "3 layers of 8, 8 and 8 hidden units"


def test_a_jordan_network_has_one_layer(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("abcdefghij" * 300)
    line = error_line("train", "text", "--network", "jordan", "--hidden", "8,8", cwd=tmp_path)
    assert line == "--hidden: expected one number with --network jordan, which has one layer"


def test_what_must_know_the_end_is_no_model_that_writes(tmp_path: Path) -> None:
    rnn = bptt.ElmanRNN(2, 3, 2, input="token", bidirectional=True, seed=0)
    rnn.metadata["vocabulary"] = "ab"
    rnn.save(tmp_path / "model")
    assert "not a character model" in error_line("sample", "model", cwd=tmp_path)


def test_updates_are_rounded_up_to_whole_validations() -> None:
    for updates in [*range(1, 200), 997, 7500]:
        validations, every = bptt.app.commands.train._validations(updates)
        assert updates <= validations * every < updates * 1.06 + 1
        assert min(updates, 10) <= validations < 40
    assert bptt.app.commands.train._validations(7500) == (20, 375)


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        ("text", b"", "text: the text is empty"),
        ("-", b"", "standard input: the text is empty"),
        ("text", b"a", "text: too short, "),
        ("text", b"\x89PNG\r\n\x1a\n\0\0", "text: not a UTF-8 text file (byte 0x"),
        ("-", b"\xff\xfe", "standard input: not a UTF-8 text file (byte 0xff at offset 0)"),
        ("missing", None, "missing: "),
        (".", None, ".: "),
    ],
)
def test_bad_text(trained: Trained, tmp_path: Path, command: str, file: str, data: bytes | None, message: str) -> None:
    if data is not None:
        (tmp_path / "text").write_bytes(data)
    model = [trained.folder / "model.safetensors"] if command == "evaluate" else []
    assert error_line(command, *model, file, cwd=tmp_path, stdin=data).startswith(message)
    assert not (tmp_path / "model.safetensors").exists()


def test_unknown_character(trained: Trained) -> None:
    line = error_line("evaluate", "model.safetensors", "-", cwd=trained.folder, stdin="the cat\non Mars")
    assert line.startswith("standard input: unknown character 'M' (U+004D) at line 2, column 4: ")
    line = error_line("sample", "model.safetensors", "--prompt", "ça", cwd=trained.folder)
    assert line.startswith(r"--prompt: unknown character '\xe7' (U+00E7) at line 1, column 1: ")


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("missing/model", "--out missing/model: cannot write into the folder missing ("),
        ("text.txt/model", "--out text.txt/model: "),
        (".", "--out .: exists and is not a regular file"),
        ("text.txt", "--out text.txt: is a file that is read, text.txt"),
        pytest.param(
            "/dev/null",
            "--out /dev/null: exists and is not a regular file",
            marks=pytest.mark.skipif(not Path("/dev/null").exists(), reason="there is none"),
        ),
    ],
)
def test_bad_output_is_refused_before_training(trained: Trained, out: str, message: str) -> None:
    before = {path.name: path.read_bytes() for path in trained.folder.iterdir()}
    assert error_line("train", "text.txt", "--out", out, cwd=trained.folder).startswith(message)
    assert {path.name: path.read_bytes() for path in trained.folder.iterdir()} == before


@pytest.mark.skipif(
    sys.platform == "win32" or (hasattr(os, "geteuid") and os.geteuid() == 0), reason="this user may write anywhere"
)
def test_protected_output_is_refused_before_training(trained: Trained, tmp_path: Path) -> None:
    protected = tmp_path / "protected"
    protected.write_bytes(b"kept")
    protected.chmod(0o444)
    assert "not writable" in error_line("train", "text.txt", "--out", protected, cwd=trained.folder)
    tmp_path.chmod(0o555)
    try:
        line = error_line("train", "text.txt", "--out", tmp_path / "new", cwd=trained.folder)
    finally:
        tmp_path.chmod(0o755)
    assert "cannot write into the folder" in line


@pytest.mark.parametrize("command", ["sample", "evaluate"])
def test_bad_model(trained: Trained, command: str, tmp_path: Path) -> None:
    more = [trained.folder / "text.txt"] if command == "evaluate" else []
    for name in ["missing", "."]:
        assert error_line(command, name, *more, cwd=tmp_path).startswith(f"{name}: ")
    (tmp_path / "text").write_text("This is no model. " * 10)
    (tmp_path / "empty").write_bytes(b"")
    whole = (trained.folder / "model.safetensors").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    bptt.ElmanRNN(3, 4, 3, input="token").save(tmp_path / "bare")
    bptt.ElmanRNN(3, 4, 2).save(tmp_path / "other")
    for name in ["text", "empty", "cut", "bare", "other"]:
        line = error_line(command, name, *more, cwd=tmp_path)
        assert name in line
        assert ("not a character model" in line) == (name in ("bare", "other"))


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--hidden", "0", "a whole number from 1 to 100000, or several with commas between them"),
        ("--hidden", "8,", "a whole number from 1 to 100000, or several with commas between them"),
        ("--hidden", "8,0", "a whole number from 1 to 100000, or several with commas between them"),
        ("--truncate", "-3", "a whole number from 1 to 1000000000"),
        ("--patience", "0", "a whole number from 1 to 1000000000"),
        ("--season", "0", "a whole number from 1 to 1000000"),
        ("--inputs", "a,,b", "different names with commas between them"),
        ("--targets", "a,a", "different names with commas between them"),
        ("--targets", '"a', "different names with commas between them"),
        ("--updates", "3000000000", "a whole number from 1 to 1000000000"),
        ("--batch", "1.5", "a whole number from 1 to 1000000000"),
        ("--updates", "many", "a whole number from 1 to 1000000000"),
        ("--threads", "0", "a whole number from 1 to 1024"),
        ("--threads", "2000", "a whole number from 1 to 1024"),
        ("--seed", "-1", "a whole number from 0 to 2**64 - 1"),
        ("--lr", "0", "a positive number"),
        ("--lr", "nan", "a positive number"),
    ],
)
def test_bad_options(tmp_path: Path, option: str, value: str, expected: str) -> None:
    also = "/--tau" if option == "--truncate" else ""
    line = f"bptt train: argument {option}{also}: expected {expected}, got {value!r} (`bptt train --help` tells more)\n"
    assert run("train", option, value, cwd=tmp_path, code=2).stderr == line


def test_help(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout == f"bptt {bptt.__version__}\n"
    assert "bptt train" in run("--help", cwd=tmp_path).stdout
    for command in ["train", "sample", "evaluate", "predict", "info", "export-c"]:
        assert f"usage: bptt {command} " in run(command, "--help", cwd=tmp_path).stdout
    assert "required: COMMAND (`bptt --help` tells more)" in run(cwd=tmp_path, code=2).stderr


@pytest.mark.parametrize("given", ["train d", "sample m", "evaluate m d", "predict m d", "info m", ""])
def test_unknown_arguments_name_the_help_of_their_command(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = given.split()
    name = " ".join(["bptt", *arguments[:1]])
    with pytest.raises(SystemExit) as raised:
        bptt.app.options.main([*arguments, "--bogus", *([] if given else ["info", "m"])])
    assert raised.value.code == 2
    assert capsys.readouterr().err == f"{name}: unrecognized arguments: --bogus (`{name} --help` tells more)\n"


def test_sample_draws_among_fewer_characters(trained: Trained) -> None:
    def sample(*arguments: str) -> str:
        return run("sample", "model.safetensors", "--length", "60", *arguments, cwd=trained.folder).stdout

    greedy = sample("--greedy")
    assert sample("--temperature", "0") == sample("--top-k", "1") == sample("--top-p", "0.0001") == greedy
    assert sample("--seed", "3", "--top-p", "1") == sample("--seed", "3")
    assert sample("--seed", "3", "--temperature", "2", "--top-p", "0.5") != sample("--seed", "3", "--temperature", "2")
    for options, expected in [
        (("--top-p", "0"), "argument --top-p: expected a number above 0, at most 1, got '0'"),
        (("--top-k", "0"), "argument --top-k: expected a whole number from 1 to 1000000000, got '0'"),
        (("--greedy", "--temperature", "1"), "argument --temperature: not allowed with argument --greedy"),
    ]:
        line = run("sample", "model.safetensors", *options, cwd=trained.folder, code=2).stderr
        assert line == f"bptt sample: {expected} (`bptt sample --help` tells more)\n"


def test_sample_writes_what_generate_draws(trained: Trained) -> None:
    rnn: Any = bptt.load(trained.folder / "model.safetensors")
    characters = rnn.metadata["vocabulary"]
    prompt = np.array([characters.index(c) for c in "the "])
    drawn = rnn.generate(3000, prompt=prompt, temperature=0.9, seed=4)
    options = ("--prompt", "the ", "--length", "3000", "--temperature", "0.9", "--seed", "4")
    expected = "the " + "".join(characters[k] for k in drawn) + "\n"
    assert run("sample", "model.safetensors", *options, cwd=trained.folder).stdout == expected


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_sample_writes_while_it_draws_until_ctrl_c(trained: Trained) -> None:
    """A text that would take hours: its beginning is there at once, and stays; the line ends."""
    command = [
        sys.executable,
        "-m",
        "bptt",
        "sample",
        "model.safetensors",
        "--length",
        "1000000000",
        "--prompt",
        "the ",
    ]
    with subprocess.Popen(
        command, cwd=trained.folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        begun = process.stdout.read(500)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
        assert begun.startswith(b"the ")
        assert rest.endswith(b"\n")
        assert errors == b"bptt: interrupted\n"
        assert process.returncode == 130


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is another error there")
def test_closed_pipe(trained: Trained) -> None:
    command = [sys.executable, "-m", "bptt", "sample", "model.safetensors", "--length", "100000"]
    with subprocess.Popen(
        command, cwd=trained.folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is none")
def test_streams_that_take_nothing(trained: Trained, tmp_path: Path) -> None:
    def shell(arguments: str) -> subprocess.CompletedProcess[str]:
        command = f'exec "$0" -m bptt {arguments}'
        return subprocess.run(
            ["sh", "-c", command, sys.executable],
            cwd=tmp_path,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=60,
        )

    model, text = trained.folder / "model.safetensors", trained.folder / "text.txt"
    training = f"train {text} --hidden 8 --truncate 16 --updates 20 --out"
    for end in ("2>/dev/full", "2>&-"):  # nobody is told of progress, and training goes on
        assert shell(f"{training} m {end}").returncode == 0
        assert (tmp_path / "m").exists()
        (tmp_path / "m").unlink()
    full = shell(f"sample {model} >/dev/full")
    assert (full.returncode, full.stderr) == (2, "bptt: standard output: No space left on device\n")
    assert shell(f"sample {model} >&-").returncode == 0
    assert shell("evaluate " + f"{model} - <&-").stderr == "bptt: standard input: the text is empty\n"
