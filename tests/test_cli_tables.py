"""The command line on tables, as a user runs it: from a CSV file to a forecast, and what is refused."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
import bptt.app.commands.train
import bptt.app.options
from bptt.app.architecture import Architecture
from bptt.app.table_model import columns_of
from problems import Array
from test_cli import error_line, run

QUICK = ("--hidden", "16", "--updates", "400")


def wave(rows: int, phase: float = 0.0) -> Array:
    """A sine around 50 whose period is 12 rows: known from any two rows, and from no single one."""
    return 50 + 20 * np.sin(2 * math.pi * np.arange(rows) / 12 + phase)


def write(path: Path, **columns: Any) -> None:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")


def read(text: str) -> tuple[list[str], list[list[str]]]:
    head, *rows = (line.split(",") for line in text.splitlines())
    return head, rows


def errors_of(stdout: str) -> dict[str, float]:
    """The first number of each line of the table of scores."""
    after = stdout[stdout.index("target ") :].splitlines()[1:]
    return {line.split()[0]: float(line.split()[1]) for line in after if not line.startswith(("(", "The "))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    write(folder / "wave.csv", day=["Mon"] * 600, wave=wave(600), double=2 * wave(600, 1.0))
    result = run("train", "wave.csv", *QUICK, cwd=folder)
    (folder / "output").write_text(result.stdout)
    return folder


def test_from_a_csv_file_to_a_forecast(folder: Path) -> None:
    output = (folder / "output").read_text()
    assert "table: wave.csv, 600 rows\nreads: wave, double\npredicts: wave, double, one row ahead\n" in output
    assert "not used: day (line 2: 'Mon')\nheld out for validation: the last 60 rows\n" in output
    assert "saved: model.safetensors, the parameters with the best validation (after " in output
    validation = errors_of(output)
    assert validation["wave"] < 1.0
    assert validation["double"] < 2.0
    evaluation = run("evaluate", "model.safetensors", "wave.csv", cwd=folder).stdout
    assert errors_of(evaluation)["wave"] < 2.0  # the first rows have no past
    assert "over 599 rows" in evaluation

    line = run("predict", "model.safetensors", "wave.csv", "--steps", "24", "-o", "forecast.csv", cwd=folder).stdout
    assert line == "saved: forecast.csv, 24 rows of wave, double\n"
    head, rows = read((folder / "forecast.csv").read_text())
    (folder / "forecast.csv").unlink()
    assert head == ["row", "wave", "double"]
    assert [int(row[0]) for row in rows] == list(range(601, 625))
    forecast = np.array(rows, np.float64)[:, 1:]
    assert np.abs(forecast[:, 0] - wave(624)[600:]).max() < 6
    assert np.abs(forecast[:, 1] - 2 * wave(624, 1.0)[600:]).max() < 12


def test_predictions_are_the_models(folder: Path) -> None:
    output = run("predict", "model.safetensors", "wave.csv", cwd=folder).stdout
    head, rows = read(output)
    assert head == ["row", "wave", "double"]
    assert [int(row[0]) for row in rows] == list(range(2, 602))
    rnn = bptt.load(folder / "model.safetensors")
    columns = columns_of(rnn)
    assert columns is not None
    x = (np.stack([wave(600), 2 * wave(600, 1.0)], axis=1) - columns.input_mean) / columns.input_scale
    o = rnn.forward(x.astype(np.float32)).o * columns.target_scale + columns.target_mean
    assert np.array(rows, np.float64)[:, 1:] == pytest.approx(o, rel=1e-5)
    assert all(len(cell.partition(".")[2]) == 6 for row in rows for cell in row[1:]), "seven digits of 14 and of 28"
    assert run("predict", "model.safetensors", "wave.csv", "-o", "-", cwd=folder).stdout == output
    text = (folder / "wave.csv").read_text()
    assert run("predict", "model.safetensors", "-", cwd=folder, stdin=text).stdout == output


def test_info(folder: Path) -> None:
    rnn = bptt.load(folder / "model.safetensors")
    output = run("info", "model.safetensors", cwd=folder).stdout
    assert output.startswith(
        f"{rnn!r}\nparameters: {rnn.parameters.size:,} (U 16 x 2, W 16 x 16, b 16, V 2 x 16, c 2)\n"
    )
    radius = np.abs(np.linalg.eigvals(rnn.W.astype(np.float64))).max()
    assert f"\nspectral radius of W: {radius:.4f}\n" in output
    assert "a model of tables: predicts one row ahead\n  reads wave: mean 5" in output


def test_info_of_other_models(tmp_path: Path) -> None:
    jordan = bptt.JordanRNN(2, 3, 4, seed=0)
    jordan.metadata = {"author": "me"}
    jordan.save(tmp_path / "jordan")
    output = run("info", "jordan", cwd=tmp_path).stdout
    radius = np.abs(np.linalg.eigvals((jordan.W @ jordan.V).astype(np.float64))).max()
    assert f"spectral radius of W V: {radius:.4f}\nmetadata: author\n" in output
    jordan.W[0, 0] = np.nan
    jordan.save(tmp_path / "jordan")
    assert "spectral radius of W V: none, as it is not finite" in run("info", "jordan", cwd=tmp_path).stdout
    stack = bptt.ElmanRNN(2, (3, 4), 2, bidirectional=True, seed=0)
    stack.save(tmp_path / "stack")
    lines = run("info", "stack", cwd=tmp_path).stdout.splitlines()
    assert lines[0] == repr(stack)
    assert lines[1].startswith(f"parameters: {stack.parameters.size} (U1 3 x 2, W1 3 x 3, b1 3, U1_reverse 3 x 2, ")
    assert stack.layers[1].reverse is not None
    radius = np.abs(np.linalg.eigvals(stack.layers[1].reverse.W.astype(np.float64))).max()
    assert [line.partition(":")[0] for line in lines[2:]] == [
        f"spectral radius of {name}" for name in ("W1", "W1_reverse", "W2", "W2_reverse")
    ]
    assert lines[-1] == f"spectral radius of W2_reverse: {radius:.4f}"
    leaky = bptt.ElmanRNN(2, (3, 4), 2, leak=[0.25, [0.5, 1, 1, 1]], seed=0)
    leaky.save(tmp_path / "leaky")
    radius = np.abs(np.linalg.eigvals(0.75 * np.eye(3) + 0.25 * leaky.layers[0].W)).max()
    lines = run("info", "leaky", cwd=tmp_path).stdout.splitlines()
    assert lines[2] == f"spectral radius of 1 - leak + leak W1: {radius:.4f}"
    assert len(lines) == 4
    text = bptt.app.text_model.new_model(bptt.app.text_data.Vocabulary("abé"), Architecture("elman", (4,)))
    text.save(tmp_path / "text")
    assert "a model of text: 3 characters, 'ab\\xe9'" in run("info", "text", cwd=tmp_path).stdout
    assert error_line("info", "missing", cwd=tmp_path).startswith("missing: ")


@pytest.mark.parametrize("network", ["elman", "jordan"])
def test_sequences_with_ids(network: str, tmp_path: Path) -> None:
    # Interleaved, each of its own length; the fourth column is the same target in other units.
    phases, lengths = [0.0, 2.0, 4.0], [300, 200, 250]
    rows = [(f"s{i}", t, wave(300, phases[i])[t]) for t in range(300) for i in range(3) if t < lengths[i]]
    ids, _, values = zip(*rows, strict=True)
    write(tmp_path / "t.csv", id=ids, value=values)
    more = ("--id", "id", "--network", network, "--out", "m")
    output = run("train", "t.csv", *QUICK, *more, cwd=tmp_path).stdout
    assert "table: t.csv, 750 rows in 3 sequences\nreads: value\n" in output
    assert "held out for validation: the last rows of each, 75 in all" in output
    head, predicted = read(run("predict", "m", "t.csv", "--steps", "3", cwd=tmp_path).stdout)
    assert head == ["id", "row", "value"]
    assert [(row[0], int(row[1])) for row in predicted] == [
        (f"s{i}", lengths[i] + step) for i in range(3) for step in (1, 2, 3)
    ]
    # Alone in a file, a sequence is continued as it is beside others.
    write(tmp_path / "one.csv", id=["s1"] * 200, value=wave(200, phases[1]))
    _, alone = read(run("predict", "m", "one.csv", "--steps", "3", cwd=tmp_path).stdout)
    assert alone == predicted[3:6]
    if network == "elman":
        assert float(alone[0][2]) == pytest.approx(wave(201, phases[1])[-1], abs=3)
    output = run("info", "m", cwd=tmp_path).stdout
    assert "sequences are told apart by id" in output


@pytest.mark.parametrize("network", ["elman", "jordan"])
def test_targets_in_the_same_row(network: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    u = random.standard_normal(800)
    write(tmp_path / "t.csv", u=u, y=3 * u + 100)
    more = ("--targets", "y", "--horizon", "0", "--network", network)
    output = run("train", "t.csv", *QUICK, *more, cwd=tmp_path).stdout
    assert "reads: u\npredicts: y, in the same row\n" in output
    assert errors_of(output)["y"] < 1.5  # of a standard deviation of 3
    # What is to be predicted need not be there.
    write(tmp_path / "new.csv", u=[0.5, -0.5])
    _, rows = read(run("predict", "model.safetensors", "new.csv", cwd=tmp_path).stdout)
    assert [row[0] for row in rows] == ["1", "2"]
    assert float(rows[0][1]) == pytest.approx(101.5, abs=2)
    line = error_line("evaluate", "model.safetensors", "new.csv", cwd=tmp_path)
    assert line == "new.csv: expected a column 'y', as the model has, got u"
    line = error_line("predict", "model.safetensors", "new.csv", "--steps", "2", cwd=tmp_path)
    assert line.startswith("--steps: expected a model that predicts its next inputs, got one that reads u, which")


def test_numbers_that_wander(tmp_path: Path) -> None:
    walk = 100 + np.cumsum(np.random.default_rng(1).standard_normal(1500) + 1)  # far from where it was in training
    write(tmp_path / "t.csv", walk=walk)
    output = run("train", "t.csv", *QUICK, "--out", "levels", cwd=tmp_path).stdout
    assert output.endswith(" nats a row)\nThe present value predicts walk better: try --differences.\n")
    assert errors_of(output)["walk"] > 3
    output = run("train", "t.csv", *QUICK, "--differences", cwd=tmp_path).stdout
    assert "predicts: walk, one row ahead, by differences\n" in output
    assert errors_of(output)["walk"] < 1.2
    assert "try --differences" not in output
    assert ", by differences\n" in run("info", "model.safetensors", cwd=tmp_path).stdout
    _, rows = read(run("predict", "model.safetensors", "t.csv", "--steps", "50", cwd=tmp_path).stdout)
    assert float(rows[-1][1]) == pytest.approx(walk[-1] + 50, abs=25)


def test_small_changes_of_large_numbers_are_written(tmp_path: Path) -> None:
    write(tmp_path / "t.csv", wave=[f"{value:.6f}" for value in 1e9 + wave(400) / 1000])
    run("train", "t.csv", *QUICK, cwd=tmp_path)
    _, rows = read(run("predict", "model.safetensors", "t.csv", cwd=tmp_path).stdout)
    assert np.array(rows[-101:-1], np.float64)[:, 1] == pytest.approx(1e9 + wave(400)[300:] / 1000, abs=1e-2, rel=0)


def test_a_cell_that_is_no_number_is_not_passed_over(tmp_path: Path) -> None:
    values: list[Any] = wave(100).tolist()
    values[50] = "abc"
    write(tmp_path / "t.csv", day=["Mon"] * 100, wave=values, other=wave(100))
    line = error_line("train", "t.csv", *QUICK, cwd=tmp_path)
    expected = (
        "t.csv, line 52, column 'wave': expected a number, as most cells are, got 'abc'; mend it, or choose other"
    )
    assert line.startswith(expected)
    output = run("train", "t.csv", *QUICK, "--inputs", "other", cwd=tmp_path).stdout
    assert "not used: day (line 2: 'Mon'), wave (line 52: 'abc')" in output
    write(tmp_path / "t.csv", a=["381.1 kW"] * 9)
    line = error_line("train", "t.csv", cwd=tmp_path)
    assert line == "t.csv: expected at least one column of numbers to read, got a (line 2: '381.1 kW')"


def test_what_single_precision_cannot_hold_is_found_before_training(tmp_path: Path) -> None:
    values = wave(600)
    values[-1] = 1e300
    write(tmp_path / "t.csv", wave=values)
    line = error_line("train", "t.csv", *QUICK, cwd=tmp_path)
    assert line == "column 'wave': expected numbers of a size as in training, got 1e+300"


def test_a_run_that_fails_late_leaves_its_best(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def explodes(rising: int, then: Any) -> Any:
        return lambda update: 1.0 if update < 150 else 1e40

    monkeypatch.setattr(bptt.app.commands.train, "Warmup", explodes)
    out = tmp_path / "model"
    assert bptt.app.options.main(("train", str(folder / "wave.csv"), *QUICK, "--out", str(out))) == 2
    output, errors = capsys.readouterr()
    found = re.search(
        r"^saved: .*, the parameters with the best validation \(after (\d+) updates\)$", output, re.MULTILINE
    )
    assert found is not None
    assert 20 <= int(found[1]) <= 140
    assert re.search(r"^bptt: update 15\d \(epoch 7\): ", errors, re.MULTILINE)
    assert np.isfinite(bptt.load(out).parameters).all()


def test_npz(tmp_path: Path) -> None:
    x = np.stack([wave(100, phase) for phase in np.linspace(0, 6, 12)], axis=1)[..., None]  # [tau, batch, 1]
    np.savez(tmp_path / "t.npz", x=x.astype(np.float32))
    output = run("train", "t.npz", *QUICK, cwd=tmp_path).stdout
    assert "table: t.npz, 1,200 rows in 12 sequences\nreads: x.0\n" in output
    assert "held out for validation: the last 2 of 12 sequences" in output
    head, rows = read(run("predict", "model.safetensors", "t.npz", cwd=tmp_path).stdout)
    assert head == ["sequence", "row", "x.0"]
    assert len(rows) == 1200
    assert [row[:2] for row in rows[99:101]] == [["1", "101"], ["2", "2"]]
    assert np.array(rows[50:99], np.float64)[:, 2] == pytest.approx(x[51:, 0, 0], abs=3)
    output = run("evaluate", "model.safetensors", "t.npz", cwd=tmp_path).stdout
    assert f"over {12 * 99:,} rows" in output


def test_training_on_a_table_goes_on_from_a_checkpoint(folder: Path, tmp_path: Path) -> None:
    more = ("--checkpoint", "run", "--resume", "--threads", "1")
    run("train", folder / "wave.csv", *QUICK, *more, cwd=tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert run("train", folder / "wave.csv", *QUICK, *more, cwd=tmp_path).stderr == ""
    assert (tmp_path / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "wave.csv", "--inputs", "wave,speed"), "--inputs: wave.csv has no column 'speed'; it has day, wave"),
        (("train", "wave.csv", "--inputs", "day"), "wave.csv, line 2, column 'day': expected a number, got 'Mon'"),
        (("train", "wave.csv", "--targets", "day"), "wave.csv, line 2, column 'day': expected a number, got 'Mon'"),
        (("train", "wave.csv", "--id", "store"), "--id: wave.csv has no column 'store'"),
        (("train", "wave.csv", "--horizon", "0", "--differences", "--targets", "double"), "--differences: expected a"),
        (("train", "output", "--differences"), "--differences: expected with a table only"),
        (("train", "wave.csv", "--horizon", "0"), "--targets: with --horizon 0, expected columns that are no inputs"),
        (("train", "wave.csv", "--horizon", "599"), "wave.csv: too short; expected a sequence of at least 601 rows"),
        (("train", "wave.csv", "--out", "wave.csv"), "--out wave.csv: is a file that is read, wave.csv"),
        (("train", "wave.csv", "--resume"), "--resume: expected a --checkpoint to go on from"),
        (
            ("train", "wave.csv", "--checkpoint", "model.safetensors"),
            "--checkpoint model.safetensors: expected",
        ),
        (("train", "wave.csv", "--checkpoint", "none/run"), "--checkpoint none/run: cannot write into the folder none"),
        (("train", "missing.csv"), "missing.csv: No such file"),
        (("train", "output", "--targets", "wave"), "--targets: expected with a table only (.csv, .tsv, .npz)"),
        (("train", "--horizon", "2"), "--horizon: expected with a table only"),
        (("predict", "model.safetensors", "output"), "output, line "),
        (("predict", "model.safetensors", "wave.csv", "-o", "wave.csv"), "--out wave.csv: is a file that is read"),
        (("predict", "model.safetensors", "wave.csv", "-o", "model.safetensors"), "--out model.safetensors: is a file"),
        (
            ("predict", "model.safetensors", "wave.csv", "-o", "none/out"),
            "--out none/out: cannot write into",
        ),
        (("predict", "model.safetensors", "wave.csv", "-o", "f.npz"), "--out f.npz: expected the name of a CSV file"),
        (("predict", "wave.csv", "wave.csv"), "wave.csv: expected a safetensors file"),
        (("sample", "model.safetensors"), "model.safetensors: not a character model"),
    ],
)
def test_refusals(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert error_line(*arguments, cwd=folder).startswith(message)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_other_models_are_no_models_of_tables(folder: Path, tmp_path: Path) -> None:
    bptt.ElmanRNN(2, 4, 2, output="linear").save(tmp_path / "bare")
    assert "not a model of a table" in error_line("predict", "bare", folder / "wave.csv", cwd=tmp_path)
    assert "not a character model, nor one of a table" in error_line(
        "evaluate", "bare", folder / "wave.csv", cwd=tmp_path
    )


def test_a_rate_that_is_too_large(folder: Path, tmp_path: Path) -> None:
    result = run("train", folder / "wave.csv", *QUICK, "--lr", "1e30", "--optimizer", "sgd", cwd=tmp_path, code=2)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("bptt: ")]
    assert re.match(r"bptt: update \d+ \(epoch \d+\): .* the norm of the gradient is .*: try a smaller --lr$", line)
    assert not (tmp_path / "model.safetensors").exists()
