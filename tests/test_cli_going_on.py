"""The command line where a model goes on with another text, and a run with more updates; unknown characters."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
import bptt.app.options
from bptt.training.checkpoint import Checkpoint

SMALL = ("--truncate", "16", "--batch", "8", "--lr", "0.01")
NO_CHANGE = ("--truncate", "16", "--batch", "8", "--lr", "1e-30", "--updates", "3")  # float32 keeps no step of Adam's


def words(seed: int, n: int = 1500) -> str:
    draw = random.Random(seed)
    return "".join(draw.choice(["the", "cat", "sat", "on", "a", "mat", "dog?"]) + draw.choice("  \n") for _ in range(n))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two texts of the same characters, and a model of the first."""
    folder = tmp_path_factory.mktemp("going_on")
    (folder / "a.txt").write_text(words(0))
    (folder / "b.txt").write_text(words(1).upper().lower().replace("cat", "tac"))
    arguments = ("train", str(folder / "a.txt"), *SMALL, "--hidden", "12", "--updates", "60", "--leak", "0.9")
    assert bptt.app.options.main([*arguments, "--out", str(folder / "model")]) == 0
    return folder


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`bptt` in a folder of its own with these files: its standard output or, of one that is refused, its line."""
    monkeypatch.chdir(tmp_path)
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())

    def call(*arguments: str, code: int = 0, error: str | None = None) -> str:
        assert bptt.app.options.main(list(arguments)) == code
        output, errors = capsys.readouterr()
        if error is not None:
            assert errors == error
        if code == 0:
            return output
        *_, line = errors.splitlines()
        return line.removeprefix("bptt: ")

    return call


def parameters(path: str) -> Any:
    return bptt.load(path).parameters


# ---- A text after another ----


def test_a_text_goes_on_from_the_parameters(command: Any) -> None:
    output = command("train", "b.txt", *NO_CHANGE, "--from", "model", "--out", "out")
    assert np.array_equal(parameters("out"), parameters("model"))
    assert bptt.load("out").metadata == bptt.load("model").metadata
    before = re.search(r"^goes on from model: (.*) per held-out character before training$", output, re.MULTILINE)
    after = re.search(r"^validation: (.*) per character, over all", output, re.MULTILINE)
    assert before is not None
    assert after is not None
    assert before[1] == after[1]
    Path("held_out.txt").write_text(Path("b.txt").read_text()[-len(Path("b.txt").read_text()) // 10 :])
    assert "model is better" not in output


def test_a_text_is_learnt_sooner_from_a_model(command: Any) -> None:
    def loss(*arguments: str) -> float:
        output = command("train", "b.txt", *SMALL, "--updates", "40", *arguments, "--out", "out")
        found = re.search(r"^validation: (\S+) nats", output, re.MULTILINE)
        assert found is not None
        return float(found[1])

    new = loss("--hidden", "12")
    assert loss("--from", "model") < new - 0.1  # 60 updates more, on words of which all but one are the same


def test_the_model_itself_can_be_replaced(command: Any) -> None:
    before = parameters("model")
    command("train", "b.txt", *SMALL, "--updates", "5", "--from", "model", "--out", "model")
    assert parameters("model").shape == before.shape
    assert not np.array_equal(parameters("model"), before)


def test_a_text_that_is_learnt_worse_is_told(command: Any) -> None:
    command("train", "a.txt", *SMALL, "--updates", "300", "--from", "model", "--out", "good")
    output = command("train", "a.txt", *SMALL, "--updates", "20", "--from", "good", "--lr", "0.5", "--out", "out")
    assert "\ngood is better on them: a smaller --lr or more text may do better\n" in output


def test_a_run_from_a_model_is_resumed(command: Any) -> None:
    run = ("train", "b.txt", *SMALL, "--updates", "40", "--from", "model")
    command(*run, "--out", "whole", "--checkpoint", "c")
    checkpoint = Checkpoint.read("c")
    assert checkpoint is not None
    assert not np.array_equal(checkpoint.arrays["parameters"], parameters("model"))
    output = command(*run, "--out", "again", "--checkpoint", "c", "--resume")
    assert "\ngoes on after 40 updates, as c has it\n" in output
    assert Path("again").read_bytes() == Path("whole").read_bytes()


@pytest.mark.parametrize("same", [("--hidden", "12"), ("--network", "elman", "--activation", "tanh", "--leak", "0.9")])
def test_an_architecture_that_is_the_same(command: Any, same: tuple[str, ...]) -> None:
    command("train", "b.txt", *NO_CHANGE, *same, "--from", "model", "--out", "out")
    assert np.array_equal(parameters("out"), parameters("model"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--hidden", "13"), "--hidden: expected that of model, 12, got 13"),
        (("--hidden", "12,12"), "--hidden: expected that of model, 12, got 12,12"),
        (("--network", "jordan"), "--network: expected that of model, elman, got jordan"),
        (("--activation", "relu"), "--activation: expected that of model, tanh, got relu"),
        (("--leak", "0.5"), "--leak: expected that of model, 0.9, got 0.5"),
        (("--leak", "0.9,0.9"), "--leak: expected that of model, 0.9, got 0.9,0.9"),
    ],
)
def test_an_architecture_that_is_another(command: Any, arguments: tuple[str, ...], message: str) -> None:
    assert command("train", "b.txt", *arguments, "--from", "model", "--out", "out", code=2) == message
    assert not Path("out").exists()


def test_networks_that_are_no_start(command: Any) -> None:
    bptt.ElmanRNN(2, 3, 1).save("plain")
    line = command("train", "b.txt", "--from", "plain", code=2)
    assert line == "--from plain: expected a model of a text, got a network without a vocabulary"
    assert command("train", "b.txt", "--from", "none", code=2) == "none: No such file or directory"
    line = command("train", "t.csv", "--from", "model", code=2)
    assert line == "--from model: expected forecasts of a table with t.csv, got a network"
    line = command("train", "b.txt", "--unknown", "skip", code=2)
    assert line == "--unknown: expected with --from only, as a new model knows all characters of its text"


def test_leaks_of_each_unit_are_not_one_number(command: Any) -> None:
    rnn = bptt.load("model")
    own = bptt.ElmanRNN(rnn.n_in, 12, rnn.n_out, input="token", output="softmax", leak=np.linspace(0.5, 1, 12))
    own.metadata.update(rnn.metadata)
    own.save("units")
    line = command("train", "b.txt", "--leak", "0.5", "--from", "units", code=2)
    assert line == "--leak: expected that of units, one a unit, got 0.5"
    command("train", "b.txt", *NO_CHANGE, "--from", "units", "--out", "out")
    np.testing.assert_allclose(parameters("out"), parameters("units"), rtol=0, atol=3e-30)  # 3 steps, from a bias of 0


# ---- Characters that a model does not know ----

STRANGE = "the cät sat\non the mät ßo\n" * 40
SKIPPED, REPLACED = (re.sub("[äß]", new, STRANGE) for new in ("", "?"))


def test_unknown_characters_are_refused_without_a_choice(command: Any) -> None:
    Path("strange.txt").write_text(STRANGE, encoding="utf-8")
    rest = (
        r"like '\xdf', it is not among the 14 characters of the model's training text; --unknown skip leaves such "
        "characters out, --unknown replace puts another in their place"
    )
    for before in (("train", "strange.txt", "--from", "model"), ("evaluate", "model", "strange.txt")):
        line = command(*before, code=2)
        assert line == rf"strange.txt: unknown character '\xe4' (U+00E4) at line 1, column 6: {rest}"
    assert command("sample", "model", "--prompt", "cät ß", code=2).startswith(r"--prompt: unknown character '\xe4' ")
    Path("many.txt").write_text("xyzuvw" + STRANGE, encoding="utf-8")
    line = command("evaluate", "model", "many.txt", code=2)
    assert line.startswith("many.txt: unknown character 'x' (U+0078) at line 1, column 1: like ")
    assert " and 3 more, it is not among the 14 " in line


@pytest.mark.parametrize(
    ("choice", "plain", "note"),
    [("skip", SKIPPED, "left out"), ("replace", REPLACED, "replaced by '?'")],
)
def test_unknown_characters_are_left_out_or_replaced(command: Any, choice: str, plain: str, note: str) -> None:
    """The result is that of a text in which that was done."""
    Path("strange.txt").write_text(STRANGE, encoding="utf-8")
    Path("plain.txt").write_text(plain)
    told = rf"strange.txt: 120 unknown characters ('\xe4', '\xdf') {note}" + "\n"
    output = command("evaluate", "model", "strange.txt", "--unknown", choice)
    assert output == told + command("evaluate", "model", "plain.txt")
    train = ("train", *SMALL, "--updates", "3", "--from", "model")
    output = command(*train, "strange.txt", "--unknown", choice, "--out", "strange")
    same = command(*train, "plain.txt", "--out", "plain")
    assert output.replace(told, "").replace("strange", "plain") == same
    assert Path("strange").read_bytes() == Path("plain").read_bytes()
    sample = ("sample", "model", "--length", "20", "--seed", "1", "--prompt")
    output = command(
        *sample, "cät ", "--unknown", choice, error=f"bptt: --prompt: 1 unknown character ('\\xe4') {note}\n"
    )
    assert output == command(*sample, "ct " if choice == "skip" else "c?t ", error="")


def test_what_replaces_unknown_characters(command: Any) -> None:
    """U+FFFD before the question mark, before the space; without any of them, nothing does."""
    for characters, replacement in (("ab �?", r"'\ufffd'"), ("?a b", "'?'"), ("a b", "' '"), ("ab", None)):
        rnn = bptt.ElmanRNN(len(characters), 2, len(characters), input="token", output="softmax")
        rnn.metadata["vocabulary"] = characters
        rnn.save("own")
        Path("strange.txt").write_text("abxab")
        evaluate = ("evaluate", "own", "strange.txt", "--unknown", "replace")
        if replacement is None:
            assert command(*evaluate, code=2).startswith("--unknown replace: expected a model that knows U+FFFD, the ")
        else:
            told = f"strange.txt: 1 unknown character ('x') replaced by {replacement}\n"
            assert command(*evaluate).startswith(told)
            Path("strange.txt").write_text("ab" + replacement.strip("'").replace(r"\ufffd", "�") + "ab", "utf-8")
            assert told + command(*evaluate) == told + command(*evaluate[:3])


def test_a_text_of_unknown_characters_alone(command: Any) -> None:
    Path("strange.txt").write_text("ÄÖÜ" * 100, encoding="utf-8")
    line = command("evaluate", "model", "strange.txt", "--unknown", "skip", code=2)
    assert line == "strange.txt: too short, 0 characters; at least 2 are needed (the first is only read)"
    line = command("train", "strange.txt", "--from", "model", "--unknown", "skip", code=2)
    assert line.startswith("strange.txt: too short, 0 characters; windows of 64 need at least 130")
    sample = ("sample", "model", "--length", "9", "--seed", "1")
    assert command(*sample, "--prompt", "ÄÖ", "--unknown", "skip") == command(*sample)


# ---- More updates ----

RUN = ("train", "a.txt", *SMALL, "--hidden", "6")


def test_a_run_of_constant_rate_is_extended(command: Any) -> None:
    """It goes on as a run of the longer length would have, to the same bits, and is validated as often as it began."""
    constant = (*RUN, "--schedule", "constant")
    command(*constant, "--updates", "120", "--checkpoint", "c", "--out", "first")
    output = command(*constant, "--updates", "250", "--checkpoint", "c", "--resume", "--out", "longer")
    assert "; 252 updates, in 42 epochs of 6, on 8 streams" in output
    assert "\ngoes on after 120 updates, as c has it\n" in output
    command(*constant, "--updates", "252", "--checkpoint", "d", "--out", "whole")
    longer, whole = Checkpoint.read("c"), Checkpoint.read("d")
    assert longer is not None
    assert whole is not None
    assert longer.position["updates"] == whole.position["updates"] == 252
    assert longer.position["epoch"] != whole.position["epoch"]
    state = [name for name in whole.arrays if name.startswith("optimizer.")]
    assert len(state) > 1
    for name in ("parameters", "updates.loss", "updates.learning_rate", *state):
        assert np.array_equal(longer.arrays[name], whole.arrays[name]), name
    rates = longer.arrays["updates.learning_rate"]
    assert rates[99:].tolist() == [0.01] * 153
    line = command(*constant, "--updates", "100", "--checkpoint", "c", "--resume", code=2)
    assert line == "--updates: expected at least 252 for the run that is to go on, got 100"


@pytest.mark.parametrize(("schedule", "expected"), [("cosine", "60, as in"), ("step", "as many as in")])
def test_a_run_whose_rate_falls_is_not_extended(command: Any, schedule: str, expected: str) -> None:
    run = (*RUN, "--schedule", schedule, "--checkpoint", "c", "--out", "out")
    command(*run, "--updates", "60")
    before = Path("c").read_bytes()
    rest = (
        f"the learning rate of --schedule {schedule} follows from the number of all updates, so that only --schedule "
        "constant can be extended; to train a finished model on, see --from"
    )
    line = command(*run, "--updates", "90", "--resume", code=2)
    assert line == f"--updates: expected {expected} the checkpoint, got 90: {rest}"
    line = command(*run, "--resume", code=2)
    assert line == f"--updates: expected {expected} the checkpoint, got 600, the default of this text: {rest}"
    assert Path("c").read_bytes() == before
    assert "goes on after 60 updates" in command(*run, "--updates", "60", "--resume")


OTHERS = "; data and options have to be those of the run that is to go on"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--schedule", "constant"), "--resume: expected --schedule as in the checkpoint, cosine, got constant"),
        (("--patience", "3"), f"--resume: expected --patience as in the checkpoint, none, got 3{OTHERS}"),
        (("--optimizer", "sgd"), f"--resume: expected --optimizer as in the checkpoint, 'Adam', got 'SGD'{OTHERS}"),
        (("--lr", "0.5"), f"--resume: expected --lr as in the checkpoint, 0.01, got 0.5{OTHERS}"),
        (("--seed", "4"), f"--resume: expected --seed as in the checkpoint, 0, got 4{OTHERS}"),
        (("--leak", "0.4"), f"--resume: expected --leak as in the checkpoint, 1.0, got 0.4{OTHERS}"),
        (
            ("--batch", "2"),
            "--resume: expected the text, --batch and --truncate of the run that is to go on, got others",
        ),
        (
            ("--truncate", "9"),
            "--resume: expected the text, --batch and --truncate of the run that is to go on: windows of 16, got 9 "
            "characters",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_another_run_is_named_by_its_option(command: Any, arguments: tuple[str, ...], message: str) -> None:
    run = (*RUN, "--updates", "20", "--checkpoint", "c", "--out", "out")
    command(*run)
    assert command(*run, "--resume", *arguments, code=2) == message


def test_another_text_is_named(command: Any) -> None:
    run = ("--updates", "20", *SMALL, "--hidden", "6", "--checkpoint", "c", "--out", "out")
    command("train", "a.txt", *run)
    Path("other.txt").write_text(Path("a.txt").read_text().replace("cat", "tac"))
    line = command("train", "other.txt", *run, "--resume", code=2)
    assert line == "--resume: expected the text, --batch and --truncate of the run that is to go on, got others"
    Path("other.txt").write_text(Path("a.txt").read_text() + "!")
    line = command("train", "other.txt", *run, "--resume", code=2)
    assert line == f"--resume: expected a text of as many different characters as in the checkpoint, 14, got 15{OTHERS}"


def test_a_checkpoint_of_another_program(command: Any) -> None:
    x = np.zeros((16, 8), np.int64)
    bptt.ElmanRNN(14, 6, 14, input="token", output="softmax").fit(
        x, x, optimizer=bptt.Adam(0.01), epochs=1, checkpoint="c", progress=False
    )
    line = command(*RUN, "--updates", "20", "--checkpoint", "c", "--resume", code=2)
    assert line == "--resume: expected --schedule as in the checkpoint, another, got cosine"


# ---- Tables ----


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table, its first rows with a model of them, and the rows that came since."""
    pd = pytest.importorskip("pandas")
    folder = tmp_path_factory.mktemp("tables")
    t = np.arange(120)
    sales = (50 + 20 * np.sin(2 * np.pi * t / 12) + np.random.default_rng(0).normal(0, 2, 120)).round(2)
    frame = pd.DataFrame({"month": pd.date_range("2000-01-01", periods=120, freq="MS"), "sales": sales})
    frame.to_csv(folder / "all.csv", index=False)
    frame[:100].to_csv(folder / "old.csv", index=False)
    frame[100:].to_csv(folder / "new.csv", index=False)
    pytest.importorskip("bptt.forecast").Forecaster("sales", ensemble=0, steps=6).fit(frame[:100]).save(folder / "f")
    return folder


@pytest.fixture
def table_command(command: Any, tables: Path) -> Any:
    for path in tables.iterdir():
        Path(path.name).write_bytes(path.read_bytes())
    return command


def test_a_table_goes_on(table_command: Any) -> None:
    """With the new rows alone or all; it is `Forecaster.update`, and the scores are those of the model as it was."""
    from bptt.app.messages import score_table
    from bptt.forecast import Forecaster, read_table

    before = Forecaster.load("f")
    alone = table_command("train", "new.csv", "--from", "f", "--out", "alone")
    assert alone.startswith("table: new.csv, 20 rows, 2 columns\nnew rows: 20\n")
    assert "\ngoes on from f: trained on 100 rows, now on 120; what it chose stays\nsaved: alone, after " in alone
    scores = before.backtest(read_table("all.csv")[0])
    told = "\non the new rows, by f as it was before them, 6 rows ahead:\n"
    assert alone.partition(told)[2] == score_table(scores) + "\n"
    whole = table_command("train", "all.csv", "--from", "f", "--out", "whole")
    assert whole.partition(told)[2] == alone.partition(told)[2]
    assert Path("alone").read_bytes() == Path("whole").read_bytes()
    before.update(read_table("new.csv")[0]).save("own")
    assert Path("own").read_bytes() == Path("alone").read_bytes()

    assert "chosen by" not in table_command("info", "f")
    told_info = table_command("info", "alone")
    assert (
        "\ntrained on: 120 rows in 1 sequence, until 2009-12-01 00:00:00\nchosen by: 100 rows, before it went on\n"
        in told_info
    )
    forecasts = table_command("predict", "alone", "all.csv")
    assert table_command("predict", "alone") == table_command("predict", "alone", "new.csv") == forecasts
    assert forecasts.splitlines()[1].startswith("2010-01-01,")


def test_the_forecaster_itself_can_be_replaced(table_command: Any) -> None:
    from bptt.forecast import Forecaster

    before = Path("f").read_bytes()
    table_command("train", "new.csv", "--from", "f", "--out", "f", "--seed", "3")
    assert Path("f").read_bytes() != before
    assert "trained on: 120 rows" in table_command("info", "f")
    assert Forecaster.load("f").seed == 3


def test_few_new_rows_are_scored_as_far_as_they_go(table_command: Any) -> None:
    Path("two.csv").write_text("\n".join(Path("new.csv").read_text().splitlines()[:3]))
    output = table_command("train", "two.csv", "--from", "f", "--out", "out")
    assert "\non the new rows, by f as it was before them, 2 rows ahead:\ntarget " in output
    Path("one.csv").write_text("month,sales\n2003-05-01,77\n")
    output = table_command("train", "one.csv", "--from", "f", "--out", "out")
    assert "\nno new rows\n1 row trained on has other values now, which are taken\n" in output
    assert "\nnothing to tell: expected a sequence with at least 1 row to score, which were not trained on" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("old.csv",),
            "old.csv: expected rows that were not trained on, got none beside those until 2008-04-01 00:00:00",
        ),
        (("new.csv", "--targets", "sales"), "--targets: expected with a new model (without --from) only"),
        (("new.csv", "--steps", "6"), "--steps: expected with a new model (without --from) only"),
        (("new.csv", "--hidden", "8"), "--hidden: expected with a new model (without --from) only"),
        (("new.csv", "--unknown", "skip"), "--unknown: expected with a text only"),
        (("new.csv", "--updates", "9"), "--updates: expected with a text only"),
        (("b.txt",), "--from f: expected a model of a text with b.txt, got forecasts of a table"),
        (("other.csv",), "other.csv: expected the columns of training, got a table without 'sales'"),
        (
            ("days.csv",),
            "days.csv: column 'month': expected steps of MS (--frequency), got 2008-05-02 00:00:00 after 2008-05-01 "
            "00:00:00",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_tables_that_do_not_go_on(table_command: Any, arguments: tuple[str, ...], message: str) -> None:
    Path("other.csv").write_text(Path("new.csv").read_text().replace("sales", "price"))
    Path("days.csv").write_text("month,sales\n" + "".join(f"2008-05-{day:02d},{day}\n" for day in range(1, 9)))
    assert table_command("train", *arguments, "--from", "f", "--out", "out", code=2) == message
    assert not Path("out").exists()


def test_forecasts_are_no_model_of_a_text(table_command: Any) -> None:
    line = table_command("sample", "f", code=2)
    assert line == "f: expected a model of a text, got forecasts of a table: `bptt predict` continues it"
    assert table_command("evaluate", "f", "new.csv", "--unknown", "skip", code=2) == (
        "--unknown: expected with a model of a text only"
    )
    assert table_command("predict", "f", "--decimal", ",", code=2) == "--decimal: expected with a table to read only"
