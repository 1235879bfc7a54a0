"""Many networks by joblib, Dask, Optuna and scikit-learn: the bits, the threads, and the lines of the documentation."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import bptt
from busy_threads import MOST_ABOVE, needs_proc, seconds_of_threads, share_above, watched
from many_jobs import X, Y, large, losses, several, where
from results import same_bits

SEEDS = range(4)
others_warn = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def two_threads(threads: None) -> None:
    bptt.set_num_threads(2)


@pytest.fixture(scope="module")
def alone() -> list[Any]:
    return [losses(seed) for seed in SEEDS]


# ---- joblib ----


@others_warn
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblib_gives_the_same_bits(backend: str, alone: list[Any]) -> None:
    joblib = pytest.importorskip("joblib")
    found = joblib.Parallel(2, backend=backend)(joblib.delayed(losses)(seed) for seed in SEEDS)
    assert same_bits(found, alone)


@others_warn
def test_joblib_says_how_many_threads_a_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    joblib = pytest.importorskip("joblib")
    for name in ("BPTT_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=3):
        found = joblib.Parallel()(joblib.delayed(where)() for _ in range(4))
    assert {threads for _, threads in found} == {3}
    assert os.getpid() not in {process for process, _ in found}


@needs_proc
@others_warn
@pytest.mark.parametrize(
    ("backend", "job", "allowed"),
    # Of two callers of `fit_many`, one may have begun two jobs before the other comes, and each runs at least one.
    [("threading", large, 2), ("threading", several, 3), ("loky", large, 2), ("loky", several, 2)],
    ids=["threads", "fit_many in threads", "processes", "fit_many in processes"],
)
def test_no_more_threads_are_busy_than_joblib_has_workers(
    backend: str, job: Any, allowed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    joblib = pytest.importorskip("joblib")
    monkeypatch.delenv("BPTT_NUM_THREADS", raising=False)
    with joblib.parallel_config(backend, n_jobs=2, **({"inner_max_num_threads": 1} if backend == "loky" else {})):
        joblib.Parallel()(joblib.delayed(job)(0.05) for _ in range(4))  # so that all processes and threads exist
        with watched() as counts:
            joblib.Parallel()(joblib.delayed(job)(0.3) for _ in range(4))
    assert share_above(counts, allowed) < MOST_ABOVE, counts


# ---- Dask ----


@pytest.fixture
def cluster(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    for name in ("BPTT_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    workers, threads, processes = request.param
    local = {"dashboard_address": ":0", "silence_logs": 50} | ({"host": "127.0.0.1"} if processes else {})
    with (
        distributed.LocalCluster(workers, threads_per_worker=threads, processes=processes, **local) as made,
        distributed.Client(made) as client,
    ):
        yield client


KINDS = {"2 processes": (2, 1, True), "a process of 2 threads": (1, 2, True), "threads here": (1, 2, False)}


@needs_proc
@others_warn
@pytest.mark.parametrize("cluster", KINDS.values(), ids=KINDS, indirect=True)
def test_dask(cluster: Any, alone: list[Any]) -> None:
    found = cluster.gather(cluster.map(losses, SEEDS, pure=False))
    assert same_bits(found, alone)
    process, threads = cluster.submit(where, pure=False).result()
    assert threads == (2 if process == os.getpid() else 1), "Dask sets OMP_NUM_THREADS in the processes that it starts"
    before = seconds_of_threads()
    cluster.gather(cluster.map(large, [0.6] * 4, pure=False))
    spent = sorted((after - before.get(thread, 0.0) for thread, after in seconds_of_threads().items()), reverse=True)
    # Two threads compute. Dask's own tell each other now and then what those do.
    assert spent[2] < spent[1] / 2, spent


# ---- Optuna ----


@others_warn
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_optuna_prunes_by_a_callback_after_each_epoch(n_jobs: int) -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ended: dict[int, int] = {}

    def objective(trial: Any) -> float:
        def report(history: bptt.History) -> None:
            ended[trial.number] = len(history.validation)
            trial.report(history.validation[-1], len(history.validation))
            if trial.should_prune():
                raise optuna.TrialPruned

        rate = [0.03, 0.03, 1e-9, 1e-9][trial.number]
        rnn = bptt.ElmanRNN(3, 8, 4, seed=0)
        history = rnn.fit(
            X,
            Y,
            optimizer=bptt.Adam(rate),
            epochs=6,
            validation=(X, Y),
            callbacks=[report],
            seed=0,
            progress=False,
        )
        return float(min(history.validation))

    study = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(upper=1.43, n_warmup_steps=2))
    study.optimize(objective, n_trials=4, n_jobs=n_jobs)
    states = [trial.state.name for trial in sorted(study.trials, key=lambda trial: trial.number)]
    assert states == ["COMPLETE", "COMPLETE", "PRUNED", "PRUNED"]
    assert [ended[i] for i in range(4)] == [6, 6, 2, 2]
    assert bptt._core.sharing_threads() == 0, "what is pruned counts no more"


# ---- scikit-learn ----


@others_warn
def test_grid_search_in_all_processes_is_the_one_in_this_process() -> None:
    pytest.importorskip("sklearn")
    from sklearn.model_selection import GridSearchCV

    from bptt.sklearn import ElmanClassifier

    random = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = random.standard_normal((60, 8, 2)) + 2 * y[:, None, None]
    found = []
    for n_jobs in (None, -1):
        estimator = ElmanClassifier(max_iter=500, tol=0.05, random_state=0)
        search = GridSearchCV(estimator, {"hidden_layer_sizes": [4, 8]}, cv=2, n_jobs=n_jobs)
        found.append(search.fit(x, y).cv_results_["mean_test_score"])
    assert same_bits(found[0], found[1])
    assert found[0].max() > 0.7
