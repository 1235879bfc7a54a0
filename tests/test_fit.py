"""Training: what an update follows, what an epoch sees, how a run ends, and that a resumed one ends in equal bits."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import SGD, Adam, ElmanRNN, History, JordanRNN
from bptt.networks.trainee import Trainee
from bptt.training.batches import Batch
from bptt.training.checkpoint import Checkpoint, ResumeError
from problems import Array
from results import same_bits

QUIET: dict[str, Any] = {"progress": False}


def stream(tau: int = 60, batch: int = 4, seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    return random.standard_normal((tau, batch, 3)).astype(np.float32), random.integers(0, 2, (tau, batch))


def sequences(n: int = 30, seed: int = 0) -> tuple[list[Array], list[Array]]:
    random = np.random.default_rng(seed)
    lengths = random.integers(2, 20, n)
    return [random.standard_normal((t, 3)).astype(np.float32) for t in lengths], [
        random.integers(0, 2, t) for t in lengths
    ]


def network(kind: Any = ElmanRNN, **options: Any) -> Any:
    return kind(3, 8, 2, seed=1, **options)


# ---- What an update follows ----


@pytest.mark.parametrize("kind", [ElmanRNN, JordanRNN])
def test_a_window_follows_the_mean_of_its_targets_and_carries_the_state(kind: Any) -> None:
    x, y = stream()
    y[10:14] = -1
    weight = np.random.default_rng(3).choice([0.0, 1.0, 2.5], y.shape).astype(np.float32)
    rnn, by_hand = network(kind), network(kind)
    history = rnn.fit(x, y, weight=weight, optimizer=SGD(0.5), epochs=2, truncate=25, **QUIET)
    name = "h" if kind is ElmanRNN else "r"
    losses = []
    for _ in range(2):
        state = None
        for begin in (0, 25, 50):
            part = slice(begin, min(begin + 25, 60))
            loss, gradients = by_hand.loss_and_gradients(x[part], y[part], weight=weight[part], **{f"{name}0": state})
            targets = float(weight[part][y[part] >= 0].sum())
            by_hand.parameters -= (np.float32(0.5) * (gradients.flat / np.float32(targets))).astype(np.float32)
            state = getattr(gradients, f"{name}_last")
            losses.append(loss / targets)
    assert np.abs(rnn.parameters - by_hand.parameters).max() < 1e-6
    assert history.updates.loss == pytest.approx(losses, rel=1e-5)
    assert history.loss[1] == pytest.approx(np.average(losses[3:], weights=history.updates.targets[3:]), rel=1e-6)
    assert len(history.updates) == 6
    assert history.stopped == "epochs"


def test_a_batch_follows_the_mean_of_its_targets() -> None:
    x, y = stream(20, 6)
    lengths = np.array([20, 3, 11, 7, 20, 1])
    rnn, by_hand = network(), network()
    history = rnn.fit(x, y, lengths=lengths, optimizer=SGD(0.1), epochs=1, batch_size=6, shuffle=False, **QUIET)
    loss, gradients = by_hand.loss_and_gradients(x, y, lengths=lengths)
    assert history.updates.targets.tolist() == [lengths.sum()]
    assert history.updates.loss[0] == pytest.approx(loss / lengths.sum())
    norm = float(np.linalg.norm(gradients.flat.astype(np.float64))) / lengths.sum()
    assert history.updates.gradient_norm[0] == pytest.approx(norm, rel=1e-5)
    # Sigmoid and linear outputs: a step counts once, however many outputs it has.
    linear = ElmanRNN(3, 8, 4, output="linear", seed=0)
    history = linear.fit(x, np.zeros((20, 6, 4)), optimizer=SGD(0.1), epochs=1, **QUIET)
    assert history.updates.targets.tolist() == [120]


def test_windows_without_targets_carry_the_state_and_update_nothing() -> None:
    x, y = stream(30)
    y[10:20] = -1
    rnn = network()
    assert len(rnn.fit(x, y, optimizer=SGD(0.1), epochs=1, truncate=10, **QUIET).updates) == 2


def test_clipping_and_schedule() -> None:
    x, y = stream()
    rnn = network()
    before = rnn.parameters.copy()
    history = rnn.fit(
        x, y, optimizer=SGD(1.0), epochs=1, truncate=60, clip_norm=1e-3, schedule=lambda update: 0.5, **QUIET
    )
    assert history.updates.learning_rate.tolist() == [0.5]
    assert history.updates.gradient_norm[0] > 1e-2
    assert float(np.linalg.norm(rnn.parameters - before)) == pytest.approx(0.5e-3, rel=1e-2)


@pytest.mark.torch
def test_the_same_training_as_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # its waiting threads would take the time of ours
    tau, batch, updates = 20, 5, 200
    random = np.random.default_rng(0)
    x = random.standard_normal((tau * updates, batch, 3))
    y = (np.cumsum(x[..., 0], axis=0) > 0).astype(int) + (x[..., 1] > 1)
    rnn = ElmanRNN(3, 24, 3, dtype="float64", seed=0)
    theirs, readout = torch.nn.RNN(3, 24, dtype=torch.float64), torch.nn.Linear(24, 3, dtype=torch.float64)
    with torch.no_grad():
        for to, value in (
            (theirs.weight_ih_l0, rnn.U),
            (theirs.weight_hh_l0, rnn.W),
            (theirs.bias_ih_l0, rnn.b),
            (readout.weight, rnn.V),
            (readout.bias, rnn.c),
        ):
            to.copy_(torch.from_numpy(value.copy()))
        theirs.bias_hh_l0.zero_()
    theirs.bias_hh_l0.requires_grad_(False)  # one bias, as here
    parameters = [p for p in (*theirs.parameters(), *readout.parameters()) if p.requires_grad]
    optimizer, state, losses, norms = torch.optim.Adam(parameters, lr=3e-3), None, [], []
    for begin in range(0, tau * updates, tau):
        part = slice(begin, begin + tau)
        h, state = theirs(torch.from_numpy(x[part]), state)
        state = state.detach()
        loss = torch.nn.functional.cross_entropy(readout(h).flatten(0, 1), torch.from_numpy(y[part]).flatten())
        optimizer.zero_grad()
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(parameters, 0.2)))
        optimizer.step()
        losses.append(float(loss.detach()))
    history = rnn.fit(x, y, optimizer=Adam(3e-3), epochs=1, truncate=tau, clip_norm=0.2, **QUIET)
    assert np.abs(history.updates.loss - losses).max() < 1e-9
    assert np.abs(history.updates.gradient_norm - norms).max() < 1e-8
    assert sum(norm > 0.2 for norm in norms) > 20, "or nothing was clipped"
    assert losses[-1] < 0.8 * losses[0]


# ---- What an epoch sees ----


@pytest.mark.parametrize("form", ["list", "padded", "last"])
def test_every_epoch_sees_every_sequence_once(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = sequences()
    rnn = ElmanRNN(3, 4, 2, seed=0, readout="last" if form == "last" else "all")
    seen: list[list[Any]] = []
    original = Trainee.loss_and_gradients

    def spy(self: Trainee, batch: Batch, *others: Any) -> Any:
        arguments = batch.arguments
        if isinstance(arguments["x"], list):
            assert len(arguments["x"]) <= 7
            lengths = [len(part) for part in arguments["x"]]
            seen.append([part[0, 0] for part in arguments["x"]])
        else:
            lengths = arguments["lengths"].tolist()
            seen.append(arguments["x"][0, :, 0].tolist())
        assert max(lengths) - min(lengths) < 12, "similar lengths together"
        return original(self, batch, *others)

    monkeypatch.setattr(Trainee, "loss_and_gradients", spy)
    arguments: dict[str, Any] = {"x": x, "y": y}
    if form == "last":
        arguments["y"] = np.array([part[0] for part in y])
    if form == "padded":
        tau = max(map(len, x))
        arguments["x"] = np.stack([np.pad(part, ((0, tau - len(part)), (0, 0))) for part in x], 1)
        arguments["y"] = np.stack([np.pad(part, (0, tau - len(part))) for part in y], 1)
        arguments["lengths"] = [len(part) for part in x]
    rnn.fit(**arguments, optimizer=SGD(0.01), epochs=3, batch_size=7, seed=5, **QUIET)
    epochs = [seen[i : i + 5] for i in (0, 5, 10)]
    first = sorted(float(part[0, 0]) for part in x)
    for epoch in epochs:
        assert sorted(float(v) for batch in epoch for v in batch) == first
    assert epochs[0] != epochs[1]


def test_without_shuffling_the_order_is_that_of_the_data() -> None:
    x, y = stream(10, 8)
    histories = [network().fit(x, y, optimizer=SGD(0.1), epochs=1, batch_size=2, shuffle=False, **QUIET) for _ in "ab"]
    assert same_bits(histories[0].updates.loss, histories[1].updates.loss)
    rnn = network()
    first = rnn.loss(x[:, :2], y[:, :2]) / 20
    assert histories[0].updates.loss[0] == pytest.approx(first)


@pytest.mark.parametrize("p", [0.0, 0.5, lambda update: 1 / (1 + update)], ids=str)
def test_teacher_forcing_is_passed_on(p: Any) -> None:
    x, y = stream()
    rnn, again, forced = network(JordanRNN), network(JordanRNN), network(JordanRNN)
    options: dict[str, Any] = {"optimizer": Adam(1e-2), "epochs": 2, "truncate": 20, "seed": 3, **QUIET}
    rnn.fit(x, y, teacher_forcing=p, **options)
    options["optimizer"] = Adam(1e-2)
    again.fit(x, y, teacher_forcing=p, **options)
    options["optimizer"] = Adam(1e-2)
    forced.fit(x, y, **options)
    assert same_bits(rnn.parameters, again.parameters)
    assert not same_bits(rnn.parameters, forced.parameters)


@pytest.mark.parametrize("kind", ["streams", "examples"])
def test_an_epoch_of_so_many_updates_goes_on_where_the_last_one_ended(kind: str) -> None:
    x, y = stream(60, 12)
    options: dict[str, Any] = {"truncate": 20} if kind == "streams" else {"batch_size": 5}  # 3 updates a pass
    options |= {"seed": 3, "validation": stream(10), **QUIET}
    by_passes, by_updates = network(), network()
    expected = by_passes.fit(x, y, optimizer=Adam(0.01), epochs=4, **options)
    history = by_updates.fit(x, y, optimizer=Adam(0.01), epochs=6, updates_per_epoch=2, **options)
    assert same_bits(by_passes.parameters, by_updates.parameters)
    assert same_bits(history.updates.loss, expected.updates.loss)
    assert history.epochs.updates.tolist() == [2, 4, 6, 8, 10, 12]
    assert history.validation[2] == expected.validation[1]
    assert history.loss[1] == pytest.approx(
        np.average(history.updates.loss[2:4], weights=history.updates.targets[2:4]), rel=1e-6
    )


def test_validation_of_a_network_that_is_never_forced_runs_free() -> None:
    x, y = stream()
    for forcing, p in ((None, 1.0), (1.0, 1.0), (0.5, 1.0), (0.0, 0.0), (lambda update: 0.0, 1.0)):
        rnn = network(JordanRNN)
        history = rnn.fit(
            x, y, optimizer=SGD(0.1), epochs=1, validation=(x, y), teacher_forcing=forcing, seed=0, **QUIET
        )
        assert history.validation[0] == pytest.approx(rnn.loss(x, y, teacher_forcing=p) / y.size)


# ---- How a run ends ----


def test_patience_gives_back_the_best_parameters() -> None:
    x, y = stream(10, 6)
    held_out = stream(10, 6, seed=9)
    rnn, best = network(), []

    def remember(history: History) -> None:
        best.append(rnn.parameters.copy())

    history = rnn.fit(
        x, y, optimizer=Adam(0.05), epochs=200, validation=held_out, patience=4, callbacks=[remember], seed=0, **QUIET
    )
    assert history.stopped == "patience"
    assert history.best_epoch is not None
    assert len(history.epochs) == history.best_epoch + 1 + 4
    assert same_bits(rnn.parameters, best[history.best_epoch])
    assert history.best_parameters is not None
    assert same_bits(rnn.parameters, history.best_parameters)
    mean = rnn.loss(*held_out) / held_out[1].size
    assert history.validation.min() == pytest.approx(mean)


def test_a_callback_ends_training() -> None:
    x, y = stream()
    history = network().fit(
        x, y, optimizer=Adam(0.01), epochs=9, callbacks=[lambda history: len(history.epochs) == 3], **QUIET
    )
    assert (history.stopped, len(history.epochs)) == ("callback", 3)


@pytest.mark.parametrize("where", ["input", "parameters"])
def test_what_is_not_finite_ends_training_before_the_update(where: str) -> None:
    x, y = stream(60)
    rnn = network()
    if where == "input":
        x[45, 2, 1] = np.nan
    else:
        rnn.V[0, 0] = np.inf
    before = network()
    if where == "input":
        before.fit(x[:40], y[:40], optimizer=SGD(0.1), epochs=1, truncate=20, **QUIET)
    else:
        before.parameters = rnn.parameters
    with pytest.raises(FloatingPointError, match=r"^update \d \(epoch 0\): .*; the norm of the gradient is .*"):
        rnn.fit(x, y, optimizer=SGD(0.1), epochs=3, truncate=20, **QUIET)
    assert same_bits(rnn.parameters, before.parameters)


def test_parameters_that_overflow_are_put_back() -> None:
    x = np.ones((5, 2, 3))
    rnn = ElmanRNN(3, 4, 2, output="linear", seed=0)
    before = rnn.parameters.copy()
    with pytest.raises(FloatingPointError, match=r"^update 0 \(epoch 0\): the parameters overflow at a learning rate"):
        rnn.fit(x, np.full((5, 2, 2), 1e3), optimizer=SGD(1e37), epochs=1, **QUIET)
    assert same_bits(rnn.parameters, before)


PROGRAM = """
import sys, time
import numpy as np, bptt, bptt.training.fit
from bptt import Adam, ElmanRNN, JordanRNN
from bptt.training.checkpoint import Checkpoint, ResumeError

random = np.random.default_rng(0)
kind, path, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
bptt.set_num_threads(threads)
if kind == "streams":
    rnn = JordanRNN(3, 40, 4, seed=1)
    x, y = random.standard_normal((3000, 8, 3)).astype(np.float32), random.integers(0, 4, (3000, 8))
    data, options = (x, y), {"truncate": 50, "teacher_forcing": 0.5}
elif kind == "fresh":
    def make(rng):
        x = np.zeros((40, 10, 3), np.float32)
        while True:
            x = (0.5 * x + rng.standard_normal(x.shape)).astype(np.float32)
            yield x, rng.integers(0, 4, (40, 10))
    rnn = ElmanRNN(3, 40, 4, seed=1)
    x, y = random.standard_normal((40, 30, 3)), random.integers(0, 4, (40, 30))
    data = (bptt.Batches(make, steps=60),)
    options = {"validation": (x, y), "schedule": bptt.schedules.ReduceOnPlateau(0.5, patience=0),
               "metrics": {"accuracy": lambda y, y_hat: (y_hat.argmax(-1) == y).mean()}}
else:
    rnn = ElmanRNN(3, 40, 4, seed=1)
    lengths = random.integers(20, 60, 400)
    x = [random.standard_normal((n, 3)).astype(np.float32) for n in lengths]
    y = [random.integers(0, 4, n) for n in lengths]
    data, options = (x, y), {"batch_size": 10, "validation": (x[:30], y[:30]), "patience": 50, "updates_per_epoch": 37}
bptt.training.fit._CHECKPOINT_SECONDS = 0.0
print("ready", flush=True)
history = rnn.fit(*data, optimizer=Adam(1e-2), epochs=6, clip_norm=0.1, seed=7, checkpoint=path, resume=True,
                  progress=False, **options)
print(history.stopped, flush=True)
np.savez(path + ".npz", parameters=rnn.parameters, loss=history.updates.loss, norm=history.updates.gradient_norm,
         **{f"epochs.{name}": history.epochs[name] for name in history.epochs if name != "seconds"},
         rate=history.updates.learning_rate,
         **{f"state.{name}": value for name, value in Checkpoint.read(path).part("optimizer").items()})
"""


def start(kind: str, path: Path, threads: int) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        kind,
        str(path),
        str(threads),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
@pytest.mark.parametrize("kind", ["streams", "examples", "fresh"])
def test_a_run_that_is_killed_again_and_again_ends_in_the_same_bits(kind: str, tmp_path: Path) -> None:
    whole = start(kind, tmp_path / "whole", 2)
    assert whole.stdout is not None
    assert whole.stdout.readline() == "ready\n"
    begin = time.monotonic()
    assert whole.communicate(timeout=120)[0].split() == ["epochs"]
    seconds = time.monotonic() - begin
    random, kills = np.random.default_rng(0), 0
    path = tmp_path / "killed"
    for attempt in range(400):
        process = start(kind, path, 1 + attempt % 3)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.stderr and process.stderr.read()
        time.sleep(float(random.uniform(0, seconds / 12)))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        output, errors = process.communicate()
        if process.returncode == 0:  # it was quicker than the whole run: all of it again, with less time between kills
            path.unlink()
            kills, seconds = 0, seconds / 2
            continue
        assert process.returncode == -signal.SIGKILL, errors
        if path.exists():
            Checkpoint.read(path)  # whole at every moment
        if kills == 20:
            process = start(kind, path, 2)
            output, errors = process.communicate(timeout=120)
            assert output.split() == ["ready", "epochs"], errors
            break
    assert kills == 20
    with np.load(f"{path}.npz") as killed, np.load(f"{tmp_path / 'whole'}.npz") as expected:
        assert sorted(killed) == sorted(expected)
        for name in expected:
            assert same_bits(killed[name], expected[name]), name
    assert {file.name for file in tmp_path.iterdir()} >= {"whole", "killed", "whole.npz", "killed.npz"}


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_ctrl_c_ends_training_after_the_update_under_way(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole", tmp_path / "interrupted"
    start("streams", whole, 2).communicate(timeout=120)
    process = start("streams", path, 2)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, "interrupted\n"), errors
    with np.load(f"{path}.npz") as part, np.load(f"{whole}.npz") as expected:
        n = len(part["loss"])
        assert 0 < n < len(expected["loss"])
        assert same_bits(part["loss"], expected["loss"][:n])
    output, errors = start("streams", path, 1).communicate(timeout=120)
    assert output.split() == ["ready", "epochs"], errors
    with np.load(f"{path}.npz") as resumed, np.load(f"{whole}.npz") as expected:
        assert all(same_bits(resumed[name], expected[name]) for name in expected)


def test_only_the_same_run_is_resumed(tmp_path: Path) -> None:
    x, y = stream()
    path = tmp_path / "run.safetensors"
    options: dict[str, Any] = {"epochs": 2, "truncate": 20, "seed": 0, "checkpoint": path, **QUIET}
    network().fit(x, y, optimizer=Adam(0.01), **options)
    options["resume"] = True
    rnn = network()
    longer = rnn.fit(x, y, optimizer=Adam(0.01), **{**options, "epochs": 4})
    whole = network()
    assert len(longer.epochs) == 4
    whole.fit(x, y, optimizer=Adam(0.01), **{**options, "epochs": 4, "checkpoint": None, "resume": False})
    assert same_bits(rnn.parameters, whole.parameters)
    with pytest.raises(
        ValueError, match=r"^resume: expected settings.optimizer.lr as in the checkpoint, 0.01, got 0.02$"
    ):
        network().fit(x, y, optimizer=Adam(0.02), **options)
    with pytest.raises(ValueError, match=r"^resume: expected seed as in the checkpoint, 0, got 1$"):
        network().fit(x, y, optimizer=Adam(0.01), **{**options, "seed": 1})
    with pytest.raises(ValueError, match=r"^resume: expected settings.truncate as in the checkpoint, 20, got 10$"):
        network().fit(x, y, optimizer=Adam(0.01), **{**options, "truncate": 10})
    with pytest.raises(ValueError, match=r"^resume: expected network.n_hidden as in the checkpoint, 8, got 9$"):
        ElmanRNN(3, 9, 2).fit(x, y, optimizer=Adam(0.01), **options)
    x[0, 0, 0] += 1
    with pytest.raises(ValueError, match=r"^resume: expected the data that the checkpoint was begun with, got other"):
        network().fit(x, y, optimizer=Adam(0.01), **options)
    whole_file = path.read_bytes()
    rnn.save(path)
    with pytest.raises(
        ValueError, match=r"expected a checkpoint: got a file without the metadata key 'bptt.checkpoint'$"
    ):
        network().fit(x, y, optimizer=Adam(0.01), **options)
    for damaged in (b"", whole_file[:100], whole_file[:-1], b"x" * 50):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=re.escape(f"{path}: expected a checkpoint: ")):
            network().fit(x, y, optimizer=Adam(0.01), **options)


@pytest.mark.parametrize(
    ("version", "message"), [(2, "got 2: a newer version may have written it"), (0, "got 0"), ("1", "got '1'")]
)
def test_a_checkpoint_of_another_format_is_refused_by_its_number(
    version: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = stream()
    path = tmp_path / "run"
    options: dict[str, Any] = {"optimizer": Adam(0.01), "epochs": 1, "checkpoint": path, **QUIET}
    with monkeypatch.context() as patch:  # written as that version would: its checksum is right
        patch.setattr("bptt.training.checkpoint._FORMAT", version)
        network().fit(x, y, **options)
    before = path.read_bytes()
    with pytest.raises(
        ValueError, match=f"{re.escape(f'{path}: expected a checkpoint: expected format 1, {message}')}$"
    ):
        network().fit(x, y, **options, resume=True)
    assert path.read_bytes() == before


def test_a_run_that_a_callback_has_ended_is_over(tmp_path: Path) -> None:
    x, y = stream()
    options: dict[str, Any] = {"epochs": 5, "seed": 0, "checkpoint": tmp_path / "c", "resume": True, **QUIET}
    options["callbacks"] = [lambda history: len(history.epochs) == 2]
    first, second = network(), network()
    assert first.fit(x, y, optimizer=Adam(0.01), **options).stopped == "callback"
    assert second.fit(x, y, optimizer=Adam(0.01), **options).stopped == "callback"
    assert same_bits(first.parameters, second.parameters)


def test_a_checkpoint_of_a_network_without_inputs(tmp_path: Path) -> None:
    rnn = JordanRNN(0, 4, 2, seed=0)
    y = np.random.default_rng(0).integers(0, 2, (10, 5))
    options: dict[str, Any] = {
        "optimizer": Adam(0.01),
        "epochs": 2,
        "checkpoint": tmp_path / "c",
        "resume": True,
        **QUIET,
    }
    assert rnn.fit(np.empty((10, 5, 0)), y, **options).stopped == "epochs"
    assert rnn.fit(np.empty((10, 5, 0)), y, **options).stopped == "epochs"


def test_what_a_killed_process_has_left_is_removed(tmp_path: Path) -> None:
    x, y = stream()
    stale, other = (tmp_path / f".{zlib.crc32(name):08x}.0123456789ab.tmp" for name in (b"c", b"d"))
    stale.touch()
    other.touch()
    network().fit(x, y, optimizer=Adam(0.01), epochs=1, checkpoint=tmp_path / "c", **QUIET)
    assert sorted(tmp_path.iterdir()) == sorted([other, tmp_path / "c"])


def test_a_checkpoint_that_cannot_be_written_is_found_out_before_training(tmp_path: Path) -> None:
    x, y = stream()
    rnn = network()
    before = rnn.parameters.copy()
    with pytest.raises(OSError):  # noqa: PT011 - which one is the system's to say
        rnn.fit(x, y, optimizer=Adam(0.01), epochs=1, checkpoint=tmp_path / "none" / "c", **QUIET)
    assert same_bits(rnn.parameters, before)


# ---- Progress, history, errors ----


def test_progress_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    x, y = stream()
    network().fit(x, y, optimizer=SGD(0.1), epochs=2)
    output, shown = capfd.readouterr()
    assert not output
    lines = shown.splitlines()  # no terminal: a line an epoch
    assert len(lines) == 2
    assert re.fullmatch(r"epoch 2/2, update 2: loss \d\.\d{4}, [\d,]+ steps/s", lines[1])
    history = network().fit(x, y, optimizer=SGD(0.1), epochs=3, truncate=20)
    losses = re.findall(r"loss (\d\.\d{4})", capfd.readouterr().err)
    assert losses == [f"{loss:.4f}" for loss in history.loss], "what is shown of an epoch is what the history has"
    network().fit(x, y, optimizer=SGD(0.1), epochs=950, validation=(x, y))
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 95, "a log of many epochs is not long"
    assert re.fullmatch(
        r"epoch 950/950, update 950: loss [\d.]+, validation [\d.]+(, best [\d.]+)?, [\d,]+ steps/s", lines[-1]
    )
    network().fit(x, y, optimizer=SGD(0.1), epochs=2, progress=False)
    assert capfd.readouterr() == ("", "")


def test_nothing_is_made_for_progress_that_nobody_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar has a thread of its own, which outlives it."""
    made: list[object] = []
    for name in ("tqdm.tqdm", "tqdm.auto.tqdm"):
        monkeypatch.setattr(name, lambda **options: made.append(options))
    x, y = stream()
    for progress in (False, True):  # here standard error is no terminal
        network().fit(x, y, optimizer=SGD(0.1), epochs=1, progress=progress)
    assert made == []


@pytest.mark.parametrize("options", [{"truncate": 25}, {"truncate": 25, "updates_per_epoch": 4}, {"batch_size": 3}])
def test_progress_in_a_terminal(
    options: dict[str, Any], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = stream()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    network().fit(x, y, optimizer=SGD(0.1), epochs=2, validation=(x, y), **options)
    last = capfd.readouterr().err.split("\r")[-1]
    assert "100%" in last
    assert re.search(r"step/s, loss \d\.\d{4}, validation \d\.\d{4}(, best \d\.\d{4})?\]\n$", last)


def test_history() -> None:
    x, y = stream()
    history = network().fit(x, y, optimizer=SGD(0.1), epochs=3, validation=(x, y), batch_size=2, **QUIET)
    assert re.fullmatch(
        r"History\(3 epochs, 6 updates, epochs: loss 0\.\d{4}, validation 0\.\d{4} at best, after 3\)", repr(history)
    )
    assert repr(history.epochs) == "Record(3 rows of loss, validation, updates, seconds)"
    assert repr(History()) == "History(0 updates)"
    assert len(history.updates) == 6
    assert history.epochs.updates.tolist() == [2, 4, 6]
    assert (history.updates.seconds > 0).all()
    with pytest.raises(AttributeError, match="expected one of loss, "):
        _ = history.updates.nonsense


def test_history_is_drawn() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    x, y = stream()
    axes = network().fit(x, y, optimizer=SGD(0.1), epochs=3, validation=(x, y), **QUIET).plot()
    assert [line.get_label() for line in axes.get_lines()][1:] == ["training", "validation"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs: expected at least 1, got 0"),
        ({"epochs": 1.5}, TypeError, "epochs: expected an int, got float"),
        ({"optimizer": 0.1}, TypeError, "optimizer: expected one of bptt's optimizers, got float"),
        ({"batch_size": 0}, ValueError, "batch_size: expected at least 1, got 0"),
        ({"truncate": 0}, ValueError, "truncate: expected at least 1, got 0"),
        ({"truncate": 5, "batch_size": 2}, ValueError, "batch_size: expected None with truncate"),
        ({"truncate": 5, "lengths": [60, 59, 1, 2]}, ValueError, "truncate: expected x in one array of streams"),
        ({"updates_per_epoch": 0}, ValueError, "updates_per_epoch: expected at least 1, got 0"),
        ({"patience": 2}, ValueError, "patience: expected None without validation data"),
        ({"resume": True}, ValueError, "resume: expected False without a checkpoint"),
        ({"clip_norm": 0}, ValueError, "clip_norm: expected a number in (0, inf), got 0"),
        ({"clip_value": np.nan}, ValueError, "clip_value: expected a number in (0, inf), got nan"),
        ({"seed": -1}, ValueError, "seed: expected at least 0, got -1"),
        ({"schedule": 3}, TypeError, "schedule: expected a function of the update, got int"),
        ({"validation": 3}, TypeError, "validation: expected (x, y), (x, y, weight) or a dict"),
        ({"teacher_forcing": 0.5}, ValueError, "teacher_forcing: expected None, as no outputs are fed back"),
        ({"validation": (np.zeros((5, 2, 4)), np.zeros((5, 2), int))}, ValueError, "validation: x: expected ["),
        (
            {"validation": (np.zeros((5, 2, 3)), np.full((5, 2), 2))},
            ValueError,
            "validation: y: expected classes (or -1",
        ),
        ({"validation": {"x": 1}}, TypeError, "validation: expected (x, y), (x, y, weight) or a dict with x, y, "),
        ({"weight": np.full((60, 4), np.nan)}, ValueError, "weight: expected finite numbers of at least 0"),
        ({"weight": np.full((60, 4), -1.0)}, ValueError, "weight: expected finite numbers of at least 0"),
        ({"weight": np.zeros((60, 4))}, ValueError, "y: expected at least one target, got none"),
        ({"schedule": lambda update: None}, TypeError, "schedule: expected a number, got NoneType"),
        ({"callbacks": len}, TypeError, "callbacks: expected a list of functions, got a function"),
        ({"checkpoint": 3}, TypeError, "checkpoint: expected a path, got int"),
        ({"shuffle": "no"}, TypeError, "shuffle: expected True or False, got 'no'"),
        ({"callbacks": None}, TypeError, "callbacks: expected a list of functions, got NoneType"),
        ({"callbacks": [3]}, TypeError, "callbacks: expected functions of the history, got int"),
        ({"nonsense": 3}, TypeError, "unexpected keyword argument 'nonsense'"),
    ],
)
def test_errors(options: dict[str, Any], error: type[Exception], message: str) -> None:
    x, y = stream()
    rnn = network()
    before = rnn.parameters.copy()
    with pytest.raises(error, match=re.escape(message)):
        rnn.fit(x, y, **{"optimizer": SGD(0.1), "epochs": 1, **QUIET, **options})
    assert same_bits(rnn.parameters, before)


# ---- Layers and directions ----


def test_windows_carry_the_states_of_all_layers(tmp_path: Path) -> None:
    """A stack in windows is trained as by hand, and goes on from a checkpoint in the middle of a pass."""
    x, y = stream()
    rnn, by_hand, resumed = (ElmanRNN(3, (6, 5), 2, activation="relu", seed=0) for _ in range(3))
    options: dict[str, Any] = {"truncate": 20, "updates_per_epoch": 2, "seed": 0, **QUIET}
    rnn.fit(x, y, optimizer=SGD(0.1), epochs=3, **options)
    state = None
    for i in range(6):
        window = slice(20 * (i % 3), 20 * (i % 3) + 20)
        _, gradients = by_hand.loss_and_gradients(x[window], y[window], h0=state if i % 3 else None)
        SGD(0.1).step(by_hand, gradients, scale=float((y[window] >= 0).sum()))
        state = gradients.h_last
    assert same_bits(rnn.parameters, by_hand.parameters)

    options["checkpoint"] = tmp_path / "c"
    resumed.fit(x, y, optimizer=SGD(0.1), epochs=2, **options)
    checkpoint = Checkpoint.read(tmp_path / "c")
    assert checkpoint is not None
    assert {name: checkpoint.arrays[name].shape for name in ("state.0", "state.1")} == {
        "state.0": (4, 6),
        "state.1": (4, 5),
    }
    again = ElmanRNN(3, (6, 5), 2, activation="relu", seed=1)
    again.fit(x, y, optimizer=SGD(0.1), epochs=3, **options, resume=True)
    assert same_bits(again.parameters, rnn.parameters)
    for other, message in (
        (ElmanRNN(3, (6, 5), 2), "network.activation as in the checkpoint, 'relu', got 'tanh'"),
        (ElmanRNN(3, (6, 4), 2, activation="relu"), r"network.n_hidden as in the checkpoint, \[6, 5\], got \[6, 4\]"),
    ):
        with pytest.raises(ResumeError, match=f"^resume: expected {message}$"):
            other.fit(x, y, optimizer=SGD(0.1), epochs=3, **options, resume=True)


@pytest.mark.parametrize("n_hidden", [5, (5, 4)])
def test_two_directions_are_trained_on_whole_sequences(n_hidden: Any) -> None:
    x, y = sequences()
    rnn, by_hand = (ElmanRNN(3, n_hidden, 2, bidirectional=True, seed=0) for _ in range(2))
    rnn.fit(x, y, optimizer=SGD(0.1), epochs=2, batch_size=len(x), shuffle=False, **QUIET)
    for _ in range(2):
        _, gradients = by_hand.loss_and_gradients(x, y)
        SGD(0.1).step(by_hand, gradients, scale=float(sum((part >= 0).sum() for part in y)))
    assert same_bits(rnn.parameters, by_hand.parameters)
    with pytest.raises(ValueError, match=r"^truncate: expected None with two directions, as one begins at the end of"):
        rnn.fit(*stream(), optimizer=SGD(0.1), epochs=1, truncate=20, **QUIET)
    assert same_bits(rnn.parameters, by_hand.parameters)


def test_relu_that_overflows_is_an_error() -> None:
    x, y = stream()
    rnn = ElmanRNN(3, 8, 2, activation="relu", output="linear", seed=0)
    rnn.W *= 100  # 60 steps: beyond 1e38
    before = rnn.parameters.copy()
    with pytest.raises(FloatingPointError, match=r"^update 0 \(epoch 0\): .*; the parameters are those before this"):
        rnn.fit(x, np.zeros((*y.shape, 2)), optimizer=SGD(0.1), epochs=1, **QUIET)
    assert same_bits(rnn.parameters, before)
