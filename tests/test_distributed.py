"""Training by several processes, which are threads here: the same bits for any number; what they tell each other."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.training.blocks import PairwiseSum, aligned, blocks_of, evenly
from bptt.training.processes import ProcessError
from communicators import Communicator, together
from distributed_cases import NAMES, Case, called, digest, trained


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    """What one process makes of each case."""
    (found,) = together(1, lambda comm: {name: (trained(name, comm), called(name, comm)) for name in NAMES})
    assert isinstance(found, dict), found
    return found


@pytest.mark.filterwarnings("ignore:comm. of 6 processes")
@pytest.mark.parametrize(("n", "threads"), [(2, 1), (3, 2), (6, 1)])
@pytest.mark.parametrize("name", NAMES)
def test_number_of_processes_and_threads_changes_no_bit(alone: dict[str, Any], name: str, n: int, threads: int) -> None:
    def work(comm: Communicator) -> Any:
        return trained(name, comm, everywhere=n == 2), called(name, comm)

    assert together(n, work, threads) == [alone[name]] * n


def test_cases_differ(alone: dict[str, Any]) -> None:
    digests = [one for told in alone.values() for part in told for one in part]
    assert len({*digests}) > 0.9 * len(digests)


@pytest.mark.parametrize("n", [1, 3])
def test_gradients_are_those_of_one_call(n: int) -> None:
    random = np.random.default_rng(0)
    rnn = bptt.ElmanRNN(3, (6, 5), 2, dtype="float64", seed=0)
    jordan = bptt.JordanRNN(3, 6, 2, dtype="float64", seed=0)
    x, y = random.standard_normal((8, 37, 3)), random.integers(0, 2, (8, 37))
    lengths = random.integers(1, 9, 37)
    h0 = [random.standard_normal((37, k)) for k in (6, 5)]
    for network, given in ((rnn, {"h0": h0}), (jordan, {"r0": random.standard_normal((37, 2))})):
        loss, expected = network.loss_and_gradients(x, y, lengths=lengths, wrt_x=True, **given)
        for found, gradients in together(
            n, lambda comm, network=network, given=given: network.loss_and_gradients(  # type: ignore[misc]
                x, y, lengths=lengths, wrt_x=True, comm=comm, **given
            )
        ):  # fmt: skip
            assert found == pytest.approx(loss, rel=1e-13)  # rounding: a sum in another order
            np.testing.assert_allclose(gradients.flat, expected.flat, rtol=0, atol=1e-12 * np.abs(expected.flat).max())
            np.testing.assert_array_equal(gradients.x, expected.x)
            for a, b in zip(
                network._states.arrays_of(gradients._initial), network._states.arrays_of(expected._initial), strict=True
            ):
                np.testing.assert_array_equal(a[1], b[1])


def test_streams_are_trained_as_by_one_fit() -> None:
    """Without anything random, blocks change the order of sums alone."""
    random = np.random.default_rng(0)
    x, y = random.standard_normal((40, 20, 3)), random.integers(0, 2, (40, 20))
    networks = [bptt.ElmanRNN(3, 6, 2, dtype="float64", seed=0) for _ in range(3)]

    def fit(network: bptt.ElmanRNN, **more: Any) -> bptt.History:
        return network.fit(x, y, optimizer=bptt.SGD(0.1), epochs=2, truncate=13, progress=False, seed=0, **more)

    fit(networks[0])
    for history in together(2, lambda comm: fit(networks[1 + comm.Get_rank()], comm=comm)):
        assert history.stopped == "epochs"
    np.testing.assert_array_equal(networks[1].parameters, networks[2].parameters)
    np.testing.assert_allclose(networks[1].parameters, networks[0].parameters, rtol=0, atol=1e-13)


@pytest.mark.filterwarnings("ignore:comm. of 2 processes 1 have")
def test_every_sequence_is_seen_once_an_epoch() -> None:
    for n, size in itertools.product((1, 5, 20, 37, 70), (1, 7, 16, 20, 33, 64)):
        seen: list[float] = []
        x = np.arange(float(n))[None, :, None]

        class Spy(bptt.ElmanRNN):
            def _loss_and_gradients(self, x: Any, *given: Any, **more: Any) -> Any:
                seen.extend(np.asarray(x)[0, :, 0].tolist())  # noqa: B023
                return super()._loss_and_gradients(x, *given, **more)

        def work(comm: Communicator, x: Any = x, size: int = size, spy: Any = Spy) -> None:
            rnn = spy(1, 2, 1, output="linear", seed=0)
            rnn.fit(x, x, comm=comm, optimizer=bptt.SGD(0.0), epochs=1, batch_size=size, seed=0, progress=False)

        assert together(2, work) == [None, None]
        assert sorted(seen) == list(range(n)), (n, size)


def test_fast_reduction_is_near_and_the_same_everywhere() -> None:
    def work(comm: Communicator, reduction: str) -> Any:
        case = Case("jordan-streams-large")
        case.options["teacher_forcing"] = 1.0
        case.fit(comm, reduction=reduction)
        return case.rnn.parameters

    exact, *_ = together(2, lambda comm: work(comm, "exact"))
    fast = together(2, lambda comm: work(comm, "fast"))
    np.testing.assert_array_equal(fast[0], fast[1])
    assert not np.array_equal(fast[0], exact)
    np.testing.assert_allclose(fast[0], exact, rtol=0, atol=1e-3)  # float32, after 15 updates of Adam


# ---- Checkpoints ----


@pytest.mark.parametrize("name", ["elman-streams-small", "both-padded-small", "jordan-fresh-small"])
def test_resume_with_another_number_of_processes(name: str, alone: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "run"

    def begin(comm: Communicator) -> Any:
        case = Case(name)
        return case.fit(comm, checkpoint=path, epochs=1).stopped

    def finish(comm: Communicator) -> Any:
        case = Case(name)
        case.fit(comm, everywhere=False, checkpoint=path, resume=True)
        return case.rnn.parameters

    assert together(3, begin) == ["epochs"] * 3
    case = Case(name)
    together(1, lambda comm: case.fit(comm))
    for parameters in together(2, finish):
        np.testing.assert_array_equal(parameters, case.rnn.parameters)


def test_resume_in_the_middle_of_streams(tmp_path: Path) -> None:
    """The states of all streams go through process 0's file, and on to whoever has the streams then."""
    whole = Case("elman-streams-small")
    whole.options["updates_per_epoch"] = 3  # of 4 windows: an epoch ends within a pass
    together(1, lambda comm: whole.fit(comm))

    def work(comm: Communicator, **more: Any) -> Any:
        case = Case("elman-streams-small")
        case.options["updates_per_epoch"] = 3
        case.fit(comm, checkpoint=tmp_path / "run", **more)
        return case.rnn.parameters

    together(3, lambda comm: work(comm, epochs=1))
    for parameters in together(2, lambda comm: work(comm, resume=True)):
        np.testing.assert_array_equal(parameters, whole.rnn.parameters)


def test_another_reduction_or_none_is_another_run(tmp_path: Path) -> None:
    path, name = tmp_path / "run", "elman-streams-small"
    together(2, lambda comm: Case(name).fit(comm, checkpoint=path, epochs=1))
    for error in together(2, lambda comm: Case(name).fit(comm, checkpoint=path, resume=True, reduction="fast")):
        assert "settings.reduction" in str(error)
    case = Case(name)
    with pytest.raises(ValueError, match=r"settings\.reduction as in the checkpoint, 'exact'"):
        case.rnn.fit(case.x, case.y, **case.options, progress=False, checkpoint=path, resume=True)


def test_only_the_first_process_calls_back_and_writes(tmp_path: Path) -> None:
    called_by: list[int] = []

    def work(comm: Communicator) -> str:
        def callback(history: bptt.History) -> bool:
            called_by.append(comm.Get_rank())
            return len(history.epochs.loss) == 2

        path = tmp_path / f"{comm.Get_rank()}"
        return Case("both-padded-small").fit(comm, callbacks=[callback], checkpoint=path).stopped

    assert together(3, work) == ["callback"] * 3
    assert called_by == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


# ---- What goes wrong ----


def errors(n: int, work: Any) -> list[Exception]:
    """What each process raises."""
    found = together(n, work)
    assert all(isinstance(error, Exception) for error in found), found
    return found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip_norm": 2.0}, "comm: expected settings.clip_norm as in process 0, 1.0, got 2.0 in process 1"),
        ({"epochs": 4}, "comm: expected epochs as in process 0, 3, got 4 in process 1"),
        ({"seed": 6}, "comm: expected seed as in process 0, 5, got 6 in process 1"),
        ({"checkpoint": "run"}, "comm: expected checkpoint as in process 0, False, got True in process 1"),
        (
            {"optimizer": bptt.SGD(0.1)},
            "comm: expected settings.optimizer.optimizer as in process 0, 'Adam', got 'SGD' in process 1",
        ),
    ],
)
def test_processes_have_to_agree(change: dict[str, Any], message: str) -> None:
    def work(comm: Communicator) -> Any:
        return Case("elman-list-small").fit(comm, **(change if comm.Get_rank() == 1 else {}))

    for error in errors(3, work):
        assert isinstance(error, ValueError)
        assert str(error) == message


def test_data_and_networks_have_to_agree() -> None:
    def other_data(comm: Communicator) -> Any:
        case = Case("both-padded-small")
        if comm.Get_rank() == 1:
            case.x = case.x + 1e-9
        return case.fit(comm)

    def other_network(comm: Communicator) -> Any:
        case = Case("both-padded-small")
        if comm.Get_rank() == 2:
            case.rnn = bptt.ElmanRNN(3, 8, 4, bidirectional=True, activation="relu", dtype="float64")
        return case.fit(comm)

    def other_parameters(comm: Communicator) -> Any:
        case = Case("both-padded-small")
        case.rnn.parameters += comm.Get_rank()  # those of process 0 are where training begins
        case.fit(comm)
        return case.rnn.parameters

    for error in errors(2, other_data):
        assert str(error) == "comm: expected data as in process 0, got other numbers in process 1"
    for error in errors(3, other_network):
        assert str(error) == "comm: expected network.n_hidden as in process 0, 9, got 8 in process 2"
    first, second = together(2, other_parameters)
    np.testing.assert_array_equal(first, second)


def test_the_reduction_has_to_be_the_same() -> None:
    def work(comm: Communicator) -> Any:
        return Case("elman-list-small").fit(comm, reduction="fast" if comm.Get_rank() == 1 else "exact")

    def call(comm: Communicator) -> Any:
        case = Case("elman-list-small")
        return case.rnn.loss(case.x, case.y, comm=comm, noise=0.1 * comm.Get_rank())

    for error in errors(2, work):
        assert str(error) == "comm: expected reduction as in process 0, 'exact', got 'fast' in process 1"
    for error in errors(2, call):
        assert str(error) == "comm: expected noise as in process 0, 0.0, got 0.1 in process 1"
    first, second = errors(2, lambda comm: Case("elman-list-small").fit(comm, reduction=("fast", 7)[comm.Get_rank()]))
    assert str(second) == "reduction: expected one of 'exact', 'fast', got 7"
    assert str(first) == f"comm: process 1 of 2 has failed: ValueError: {second}"


def test_batches_have_to_be_in_every_process() -> None:
    def work(comm: Communicator) -> Any:
        case = Case("elman-fresh-small")
        case.x = case.x if comm.Get_rank() == 0 else None
        return case.fit(comm)

    first, second = errors(2, work)
    assert str(second) == "x: expected Batches in every process, as in process 0, got None"
    assert isinstance(first, ProcessError)


def test_what_a_callback_changes_holds_for_all() -> None:
    def work(comm: Communicator) -> Any:
        case = Case("both-padded-small")

        def callback(history: bptt.History) -> None:
            case.options["optimizer"].lr *= 0.5
            case.rnn.c[0] += 1.0

        case.fit(comm, callbacks=[callback])
        return digest(case.rnn.parameters), case.options["optimizer"].lr

    (alone,) = together(1, work)
    assert together(3, work) == [alone] * 3
    assert alone[1] == 1e-2 / 8


@pytest.mark.parametrize("seed", range(8))
def test_validation_with_weights_has_the_same_bits(seed: int) -> None:
    """Sums of weights that are no whole numbers, each part of the data in memory of its own."""

    def work(comm: Communicator) -> Any:
        random = np.random.default_rng(seed)
        x, y = random.standard_normal((9, 26, 3)), random.integers(0, 2, (9, 26))
        rnn = bptt.ElmanRNN(3, 4, 2, dtype="float64", seed=0)
        options: dict[str, Any] = {"optimizer": bptt.SGD(0.1), "epochs": 1, "batch_size": 13, "seed": 0}
        weight = random.random((9, 26))
        history = rnn.fit(x, y, weight=weight, validation=(x, y, weight), comm=comm, progress=False, **options)
        return float(history.validation[0]).hex(), digest(rnn.parameters)

    (alone,) = together(1, work)
    assert together(2, work) == [alone] * 2


def test_a_wrong_argument_in_one_process_is_heard_in_all() -> None:
    def work(comm: Communicator) -> Any:
        return Case("elman-list-small").fit(comm, epochs=0 if comm.Get_rank() == 1 else 3)

    first, second = errors(2, work)
    assert isinstance(first, ProcessError)
    assert str(first) == "comm: process 1 of 2 has failed: ValueError: epochs: expected at least 1, got 0"
    assert isinstance(second, ValueError)
    assert str(second) == "epochs: expected at least 1, got 0"


@pytest.mark.parametrize("where", ["make", "schedule", "callback", "metric"])
def test_what_a_users_function_raises_is_heard_in_all(where: str) -> None:
    def work(comm: Communicator) -> Any:
        mine = comm.Get_rank() == (0 if where in ("callback", "metric") else 1)

        def fails(*_: Any) -> Any:
            if mine:
                raise KeyError("it")
            return 1.0

        def make(rng: np.random.Generator) -> Any:
            fails()
            return rng.standard_normal((4, 9, 3)), rng.integers(0, 4, (4, 9))

        case = Case("elman-fresh-small" if where == "make" else "both-padded-small")
        if where == "make":
            case.x = bptt.Batches(make, steps=5)
            return case.fit(comm)
        more: dict[str, dict[str, Any]] = {
            "schedule": {"schedule": fails},
            "callback": {"callbacks": [fails]},
            "metric": {"metrics": {"m": fails}},
        }
        return case.fit(comm, **more[where])

    found = errors(3, work)
    own = [type(error) for error in found if not isinstance(error, ProcessError)]
    assert own == [RuntimeError if where == "metric" else KeyError]
    assert sum("comm: process" in str(error) for error in found) == 2


def test_a_number_that_is_not_finite_is_named_wherever_it_is() -> None:
    def work(comm: Communicator) -> Any:
        case = Case("both-padded-small")
        case.x[2, 69, 1], case.beside["lengths"][69] = np.nan, 12
        return case.fit(comm, everywhere=False)

    for error in errors(3, work):
        assert isinstance(error, FloatingPointError)
        assert "x: expected finite numbers, got nan at step 2 of sequence 69, column 1" in str(error)


def test_a_checkpoint_that_cannot_be_written(tmp_path: Path) -> None:
    def work(comm: Communicator) -> Any:
        return Case("elman-list-small").fit(comm, checkpoint=tmp_path / "no" / "run")

    first, second = errors(2, work)
    assert isinstance(first, OSError)
    assert "comm: process 0 of 2 has failed: FileNotFoundError" in str(second)


def test_interrupts_stop_all_before_an_update() -> None:
    """`bptt.interrupt` is heard by all processes here, as they are one."""

    def work(comm: Communicator) -> Any:
        calls = iter(range(100))

        def rate(update: int) -> float:
            if next(calls) == 3 and comm.Get_rank() == 1:
                bptt.interrupt()
            return 1.0

        case = Case("elman-streams-small")
        history = case.fit(comm, epochs=50, schedule=rate)
        return history.stopped, len(history.updates.loss)

    stopped = together(2, work)
    assert stopped[0] == stopped[1]
    assert stopped[0][0] == "interrupted"
    assert stopped[0][1] < 20


def test_no_communicator() -> None:
    case = Case("elman-list-small")
    with pytest.raises(TypeError, match=r"comm: expected a communicator of mpi4py, .*, got int without"):
        case.fit(3)
    with pytest.raises(ValueError, match="reduction: expected one of 'exact', 'fast', got 'slow'"):
        raise together(1, lambda comm: case.fit(comm, reduction="slow"))[0]


def test_data_have_to_be_in_the_first_process() -> None:
    def work(comm: Communicator) -> Any:
        return bptt.ElmanRNN(3, 4, 2).fit(None, comm=comm, optimizer=bptt.Adam(), epochs=1)

    first, second = errors(2, work)
    assert str(first) == "x: expected sequences in process 0, got None"
    assert str(second) == f"comm: process 0 of 2 has failed: TypeError: {first}"


def test_processes_without_work_are_told_of() -> None:
    def work(comm: Communicator) -> Any:
        return Case("elman-streams-small").fit(comm)

    message = r"comm: of 5 processes 2 have nothing to do, as a batch of 21 sequences is cut into 3 blocks"
    with pytest.warns(UserWarning, match=message) as warned:
        together(5, work)
    assert len(warned) == 1


def test_batches_made_alike() -> None:
    def work(comm: Communicator) -> Any:
        def make(rng: np.random.Generator) -> Any:
            n = 9 + comm.Get_rank()
            return np.zeros((4, n, 3)), np.zeros((4, n), int)

        options: dict[str, Any] = {"optimizer": bptt.Adam(), "epochs": 1, "progress": False}
        return bptt.ElmanRNN(3, 4, 2).fit(bptt.Batches(make, steps=2), comm=comm, **options)

    for error in errors(2, work):
        assert "make: expected 9 sequences in every process, got 10 in process 1" in str(error)


# ---- Blocks and sums ----


@pytest.mark.parametrize("n", [1, 7, 8, 9, 32, 100, 512, 1000, 4097])
def test_blocks_cover_a_batch(n: int) -> None:
    blocks = blocks_of(n)
    assert [i for begin, end in blocks for i in range(begin, end)] == list(range(n))
    sizes = [end - begin for begin, end in blocks]
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= 32
    assert n <= 8 or min(sizes) >= 4


@pytest.mark.parametrize("blocks", [*range(1, 20), 37, 64])
def test_sums_of_shares_are_the_sum(blocks: int) -> None:
    vectors = np.random.default_rng(blocks).standard_normal((blocks, 5)).astype(np.float32)

    def total(processes: int) -> np.ndarray[Any, Any]:
        whole = PairwiseSum()
        for begin, end in evenly(blocks, processes):
            own = PairwiseSum()
            for k in range(begin, end):
                own.add(k, 1, vectors[k].copy())
            assert [node[:2] for node in own.nodes] == list(aligned(begin, end))
            for node in own.nodes:
                whole.add(*node)
        return whole.total()

    expected = total(1)
    np.testing.assert_allclose(expected, vectors.sum(0, dtype=np.float64), rtol=0, atol=1e-5)
    for processes in range(2, blocks + 3):
        np.testing.assert_array_equal(total(processes), expected)
