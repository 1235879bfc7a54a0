"""bptt.plot: what each picture shows, what it says, and that nothing in it lies over anything else."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from bptt import SGD, ElmanRNN, History, JordanRNN
from bptt.analysis import backward_steps, fixed_points, jacobian_norms, jacobian_spectrum, pca, spectrum
from refusals import refuses

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plot: Any = pytest.importorskip("bptt.plot")
pyplot: Any = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    pyplot.close("all")


RANDOM = np.random.default_rng(0)
X, Y = RANDOM.standard_normal((12, 5, 3)), RANDOM.integers(0, 2, (12, 5))


def bistable(n: int = 3) -> Any:
    rnn = ElmanRNN(3, n, 2, dtype="float64", seed=0)
    rnn.W = np.diag(np.linspace(2.0, 1.2, n))
    return rnn


def points(n: int = 3) -> Any:
    return fixed_points(bistable(n), RANDOM.uniform(-1, 1, (60, n)))


def trained(epochs: int, **options: Any) -> History:
    rnn = ElmanRNN(3, 4, 2, seed=0)
    return rnn.fit(X, Y, optimizer=SGD(0.1), epochs=epochs, batch_size=2, seed=0, progress=False, **options)


# Every function with few and many numbers
PICTURES: dict[str, Callable[[Any], Any]] = {
    "gradient, one sequence": lambda ax: plot.gradient_through_time(
        backward_steps(ElmanRNN(3, 4, 2, seed=0), X[:, 0], Y[:, 0]), ax
    ),
    "gradient, one step": lambda ax: plot.gradient_through_time(
        backward_steps(ElmanRNN(3, 4, 2, seed=0), X[:1], Y[:1]), ax
    ),
    "gradient, layers": lambda ax: plot.gradient_through_time(
        backward_steps(ElmanRNN(3, (4, 3), 2, bidirectional=True, seed=0), X, Y), ax
    ),
    "gradient, a list": lambda ax: plot.gradient_through_time(
        backward_steps(JordanRNN(3, 4, 2, seed=0), [X[:, 0], X[:5, 1]], [Y[:, 0], Y[:5, 1]]), ax
    ),
    "gradient, long": lambda ax: plot.gradient_through_time(
        backward_steps(ElmanRNN(3, 4, 2, seed=0), np.ones((3000, 3)), np.zeros(3000, int)), ax
    ),
    "gradient, none": lambda ax: plot.gradient_through_time(
        backward_steps(ElmanRNN(3, 4, 2, seed=0), X, np.full((12, 5), -1)), ax
    ),
    "norms": lambda ax: plot.jacobian_norms(jacobian_norms(bistable(), X), ax),
    "norms, one sequence": lambda ax: plot.jacobian_norms(jacobian_norms(bistable(), X[:2, 0]), ax),
    "spectrum": lambda ax: plot.spectrum(spectrum(bistable()), ax),
    "spectrum, layers": lambda ax: plot.spectrum(spectrum(ElmanRNN(3, (30, 20), 2, bidirectional=True, seed=0)), ax),
    "spectrum, trajectory": lambda ax: plot.spectrum(jacobian_spectrum(ElmanRNN(3, 40, 2, seed=0), X), ax),
    "spectrum, one, large": lambda ax: plot.spectrum([123.0 + 4j], ax),
    "weights": lambda ax: plot.weights(bistable().W, ax),
    "weights, one": lambda ax: plot.weights([[0.0]], ax, name="V"),
    "weights, many": lambda ax: plot.weights(RANDOM.standard_normal((64, 300)), ax, name="U"),
    "variance": lambda ax: plot.explained_variance(pca(RANDOM.standard_normal((200, 80))), ax),
    "variance, one": lambda ax: plot.explained_variance(pca(RANDOM.standard_normal((9, 2)), 1), ax),
    "trajectories": lambda ax: plot.trajectories(bistable().forward(X).h, ax, points=points()),
    "trajectories, one": lambda ax: plot.trajectories(bistable().forward(X[:, 0]).h, ax),
    "trajectories, names": lambda ax: plot.trajectories(bistable().forward(X).h, ax, groups=list("abbca")),
    "trajectories, many": lambda ax: plot.trajectories(
        bistable().forward(RANDOM.standard_normal((60, 400, 3))).h, ax, groups=np.arange(400)
    ),
    "fixed points": lambda ax: plot.fixed_points(points(), ax),
    "fixed points, one": lambda ax: plot.fixed_points(points()[:1], ax, components=pca(bistable().forward(X).h)),
    "history": lambda ax: plot.history(trained(3), ax),
    "history, validated": lambda ax: plot.history(trained(30, validation=(X, Y)), ax),
    "history, empty": lambda ax: plot.history(History(), ax),
}


def boxes(figure: Any) -> list[tuple[str, Any]]:
    """Each text with its box; of the marks of an axis those that lie beside its visible part."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    seen = []
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            margin = 1e-9 * (high - low)
            for is_minor in (False, True):
                for tick in axis.get_minor_ticks() if is_minor else axis.get_major_ticks():
                    if low - margin <= tick.get_loc() <= high + margin:
                        seen += [label for label in (tick.label1, tick.label2) if label.get_visible()]
            seen += [axis.label, axis.get_offset_text()]
        seen += [ax.title]
        if ax.get_legend() is not None:
            seen += ax.get_legend().get_texts()
    return [(one.get_text(), one.get_window_extent(renderer)) for one in seen if one.get_text().strip()]


def check_no_overlap(figure: Any) -> None:
    found = boxes(figure)
    assert len(found) > 5
    for (name, a), (other, b) in itertools.combinations(found, 2):
        width = min(a.x1, b.x1) - max(a.x0, b.x0)
        height = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert width <= 0.5 or height <= 0.5, f"{name!r} lies over {other!r}"
    for name, box in found:
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert inside, f"{name!r} is cut off"


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_lies_over_anything_else(name: str) -> None:
    ax = PICTURES[name](None)
    assert ax.get_title()
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    check_no_overlap(ax.figure)


def test_axes_that_are_given_are_drawn_on() -> None:
    names = [name for name in PICTURES if "," not in name]
    assert len(names) == len(plot.__all__) - 1
    for name in [*names, "gradient, layers"]:
        _, axes = pyplot.subplots(1, 2)
        assert PICTURES[name](axes[1]) is axes[1]
        assert axes[1].has_data()
        assert not axes[0].has_data()
        assert len(pyplot.get_fignums()) == 1, "no figure beside it"
        pyplot.close("all")


@pytest.mark.parametrize("name", ["trajectories", "fixed points"])
def test_in_space(name: str) -> None:
    ax = pyplot.figure(layout="constrained").add_subplot(projection="3d")
    assert PICTURES[name](ax) is ax
    assert ax.get_zlabel().startswith("PC 3 (")
    ax.figure.canvas.draw()
    renderer = ax.figure.canvas.get_renderer()
    legend = ax.get_legend().get_window_extent(renderer)
    axes = [getattr(ax, f"{letter}axis").label.get_window_extent(renderer) for letter in "xyz"]
    for box in (legend, *axes, ax.title.get_window_extent(renderer)):
        assert 0 <= box.x0 < box.x1 <= ax.figure.bbox.x1
        assert 0 <= box.y0 < box.y1 <= ax.figure.bbox.y1
    assert not any(legend.overlaps(box) for box in axes)


def labels(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_gradients_are_drawn_by_layer() -> None:
    steps = backward_steps(ElmanRNN(3, (4, 3), 2, seed=0), X, Y)
    ax = plot.gradient_through_time(steps)
    assert ax.get_yscale() == "log"
    assert ax.get_ylabel() == "norm of the gradient (nats per unit)"
    lines = ax.get_lines()
    for line, norms in zip(
        lines,
        (steps.layers[0].d_h_norm, steps.layers[0].d_a_norm, steps.layers[1].d_h_norm, steps.layers[1].d_a_norm),
        strict=True,
    ):
        assert line.get_xdata().tolist() == list(range(1, 13))
        assert np.allclose(line.get_ydata(), np.median(norms, axis=1), rtol=1e-12)
    assert len({line.get_color() for line in lines}) == 2
    assert [line.get_linestyle() for line in lines] == ["-", "--", "-", "--"]
    own = plot.gradient_through_time(backward_steps(bistable(), X, d_h=np.ones((12, 5, 3))))
    assert own.get_ylabel() == "norm of the gradient (loss per unit)"


def test_eigenvalues_are_drawn_beside_the_unit_circle() -> None:
    ax = plot.spectrum({"W1": [0.5, -0.25j], "W2": [2.0]})
    assert labels(ax) == ["unit circle", "W1: radius 0.5", "W2: radius 2"]
    circle, *_, first, second = ax.get_lines()
    assert np.allclose(np.hypot(*circle.get_data()), 1)
    assert np.array(first.get_data()).T.tolist() == [[0.5, 0.0], [0.0, -0.25]]
    assert np.array(second.get_data()).T.tolist() == [[2.0, 0.0]]
    assert ax.get_aspect() == 1
    assert first.get_color() != second.get_color()
    assert first.get_marker() != second.get_marker()


def test_points_are_drawn_by_their_kind() -> None:
    found = points(2)
    assert len(found) == 9
    ax = plot.fixed_points(found)
    assert labels(ax) == ["stable (4)", "unstable in 1 direction (4)", "unstable in 2 directions (1)"]
    marks = {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}
    modes = [line for line in ax.get_lines() if line.get_label().startswith("_")]
    assert len(modes) == found.n_unstable.sum() == 6
    components = pca(found.state)
    drawn = np.stack(marks["stable (4)"].get_data(), axis=1)
    assert np.allclose(drawn, components.transform(found[found.is_stable].state))
    assert len({line.get_marker() for line in marks.values()}) == 3
    over = plot.trajectories(bistable(2).forward(X).h, points=found)
    assert labels(over) == ["start", "stable", "unstable"]


def test_trajectories_begin_and_end_where_they_do() -> None:
    h = bistable().forward(X).h
    lengths = [12, 3, 7, 12, 1]
    ax = plot.trajectories(h, lengths=lengths, groups=["b", "a", "b", "a", "a"])
    components = pca(h, lengths=lengths)
    lines = ax.get_lines()
    for i, (line, n) in enumerate(zip(lines[:5], lengths, strict=True)):
        assert np.allclose(np.stack(line.get_data(), axis=1), components.transform(h[:n, i])[:, :2])
    assert np.allclose(np.stack(lines[5].get_data(), axis=1), components.transform(h[0])[:, :2])
    assert labels(ax) == ["b", "a", "start"]
    assert [line.get_color() for line in lines[:3]] == [
        lines[0].get_color(),
        lines[1].get_color(),
        lines[0].get_color(),
    ]
    percent = 100 * components.explained_variance_ratio[0]
    assert ax.get_xlabel() == f"PC 1 ({percent:.0f} % of the variance)"
    as_list = plot.trajectories([h[:n, i] for i, n in enumerate(lengths)])
    assert np.allclose(np.stack(as_list.get_lines()[2].get_data()), np.stack(lines[2].get_data()))


@pytest.mark.parametrize(("options", "expected"), [({}, "group"), ({"group_label": "coherence (%)"}, "coherence (%)")])
def test_the_scale_of_many_groups_says_what_they_are(options: dict[str, str], expected: str) -> None:
    ax = plot.trajectories(RANDOM.standard_normal((6, 9, 3)), groups=np.linspace(-4.0, 4.0, 9), **options)
    (scale,) = (other for other in ax.figure.axes if other is not ax)
    assert scale.get_ylabel() == expected
    assert scale.get_ylim() == (-4.0, 4.0)


def test_a_history_is_drawn() -> None:
    history = trained(4, validation=(X, Y))
    ax = plot.history(history)
    best = history.best_epoch
    assert best is not None
    assert labels(ax) == ["each update", "training", "validation", f"best, {history.validation[best]:.4g}"]
    star = ax.get_lines()[-1]
    assert np.allclose(star.get_data(), ([history.epochs.updates[best]], [history.validation[best]]))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("update", "loss (nats per target)")


def test_matrices_are_drawn_as_they_are() -> None:
    W = RANDOM.standard_normal((4, 6))
    ax = plot.weights(W, name="U")
    (image,) = ax.get_images()
    assert (image.get_array() == W).all()
    low, high = image.get_clim()
    assert low == -high == -np.abs(W).max(), "0 is white"
    assert ax.get_title() == "Weights U"
    norms = jacobian_norms(bistable(), X)
    (image,) = plot.jacobian_norms(norms).get_images()
    shown = image.get_array()
    assert (shown.mask == np.triu(np.ones((13, 13), bool), 1)).all(), "no effect comes before its cause"
    assert np.allclose(shown[5, 2], np.log10(norms[5, 2]).mean())


# How a reader without one kind of cones sees linear red, green and blue (Machado, Oliveira and Fernandes, 2009)
READERS = {
    "all cones": np.eye(3),
    "no red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


@pytest.mark.parametrize("reader", READERS)
def test_colours_are_told_apart_by_all(reader: str) -> None:
    """The distance of each two in CIE Lab, of which 2.3 can just be noticed, is 10 or more."""
    from bptt.plot.axes import COLOURS

    def lab(name: str) -> Any:
        srgb = np.array([int(name[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
        x, y, z = XYZ @ np.clip(READERS[reader] @ linear, 0, 1) / XYZ.sum(axis=1)
        fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
        return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])

    for one, other in itertools.combinations(COLOURS, 2):
        assert np.linalg.norm(lab(one) - lab(other)) > 10, (one, other)


def test_refusals() -> None:
    h = bistable().forward(X).h
    calls: list[tuple[Any, Any, str]] = [
        (lambda: plot.history([1, 2]), TypeError, "history: expected what fit gives back, got list"),
        (
            lambda: plot.gradient_through_time(h),
            TypeError,
            "steps: expected what backward_steps gives back, got ndarray",
        ),
        (lambda: plot.weights([1, 2]), ValueError, "matrix: expected [to, from], got (2,)"),
        (lambda: plot.weights([["a"]]), TypeError, "matrix: expected real numbers, got <U1"),
        (lambda: plot.weights([[np.nan]]), ValueError, "matrix: expected finite numbers, got some that are not"),
        (lambda: plot.spectrum([]), ValueError, "eigenvalues: expected at least one number, got none"),
        (lambda: plot.spectrum({}), ValueError, "eigenvalues: expected at least one array, got none"),
        (
            lambda: plot.spectrum({"W": [np.inf]}),
            ValueError,
            "eigenvalues['W']: expected finite numbers, got some that are not",
        ),
        (
            lambda: plot.jacobian_norms(np.ones((3, 2))),
            ValueError,
            "norms: expected [tau + 1, tau + 1] or [tau + 1, tau + 1, batch], got (3, 2)",
        ),
        (
            lambda: plot.jacobian_norms(-np.ones((3, 3))),
            ValueError,
            "norms: expected finite numbers of at least 0, got others",
        ),
        (lambda: plot.explained_variance(h), TypeError, "components: expected what pca gives back, got ndarray"),
        (lambda: plot.trajectories(h[0, 0]), ValueError, "states: expected [tau, batch, n] or [tau, n], got (3,)"),
        (lambda: plot.trajectories(h[..., :1]), ValueError, "components: expected at least 2 to draw, got 1"),
        (lambda: plot.trajectories(h, 3), TypeError, "ax: expected axes of matplotlib, or None, got int"),
        (
            lambda: plot.trajectories(h, groups=[1, 2]),
            ValueError,
            "groups: expected one for each of 5 sequences, got (2,)",
        ),
        (
            lambda: plot.trajectories(np.zeros((3, 9, 2)), groups=list("abcdefghi")),
            ValueError,
            "groups: expected at most 7 names, or numbers, got 9",
        ),
        (
            lambda: plot.trajectories(h, lengths=[12, 13, 1, 1, 1]),
            ValueError,
            "lengths: expected 5 values from 1 to 12, got [12, 13, 1, 1, 1]",
        ),
        (
            lambda: plot.trajectories(h, points=h),
            TypeError,
            "points: expected what fixed_points gives back, got ndarray",
        ),
        (lambda: plot.fixed_points(h), TypeError, "points: expected what fixed_points gives back, got ndarray"),
        (
            lambda: plot.fixed_points(points()[:1]),
            ValueError,
            "points: expected at least two, or components, got 1",
        ),
    ]
    for call, kind, message in calls:
        refuses(call, kind, message)
