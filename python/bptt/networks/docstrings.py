"""What the docstrings of both networks share, written once."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TypeVar

Documented = TypeVar("Documented")

_PARAGRAPHS = {
    # ---- Of a network ----
    "n_in, n_out": """
        n_in, n_out : int
            Numbers of inputs and outputs; `n_in` may be 0 for real input: x is then ``[tau, batch, 0]``, or
            ``[tau, 0]``.
    """,
    "input": """
        input : {"real", "token"}
            Whether x(t) holds numbers, or a token: an index in ``[0, n_in)`` that stands for a one-hot vector.
    """,
    "output": """
        output : {"softmax", "sigmoid", "linear"}
            The output unit, and with it the loss of a step: the negative log-likelihood of a categorical distribution,
            of a Bernoulli distribution per output, or of a Gaussian of unit variance (half the squared error, constant
            dropped).
    """,
    "activation": """
        activation : {"tanh", "relu"}
            What makes h(t) of a(t), in all layers: relu is max(0, a), with the derivative 1 where h > 0, else 0.
    """,
    "activation of one layer": """
        activation : {"tanh", "relu"}
            What makes h(t) of a(t): relu is max(0, a), with the derivative 1 where h > 0, else 0.
    """,
    "dtype, seed": """
        dtype : {"float32", "float64"}
            Of parameters, states and gradients.
        seed : int or numpy.random.Generator, optional
            Of the initial weights. Both dtypes get the same numbers, rounded.
    """,
    "parameters, metadata, forms": """
        parameters : ndarray
            All of them in one flat vector, in this order.
        constraints : Constraints
            What they are held to, by default nothing: see `bptt.constraints`.
        metadata : dict
            Yours: anything that JSON can hold; saved and loaded with the model.

        Notes
        -----
        In all methods, `x` is one sequence ``[tau, n_in]``, a batch ``[tau, batch, n_in]`` of sequences of equal length
        or, with `lengths`, padded ones, or a list of sequences ``[tau_i, n_in]``; tokens lack the last axis. Results
        come back in the same form. Nothing beyond a length is read. Outer axes may have any strides. Arrays of another
        dtype are converted where NumPy's same-kind rule allows, else `TypeError`; what is too large for float32 becomes
        infinite. Tokens and classes are integers of any width. A wrong shape, a token or a class out of range is a
        `ValueError`. Tensors of PyTorch, arrays of JAX, what speaks DLPack, and tables and columns of pandas or polars
        are taken too; a column, or an array of objects, with a sequence in each place is a list of sequences.
    """,
    # ---- Of its methods ----
    "x": """
        x : array_like or list of array_like
            The inputs, ``[tau, n_in]`` or ``[tau, batch, n_in]``, or a list; tokens without the last axis.
    """,
    "lengths": """
        lengths : array_like of int, optional
            ``[batch]``: how many steps of each sequence of a padded batch count, 1 to tau.
    """,
    "reset": """
        reset : array_like of bool, or list of array_like where x is a list, optional
            ``[tau, batch]``: True where a new sequence begins, so that a stream of many sequences is one.
    """,
    "y": """
        y : array_like, or list of array_like where x is a list
            The targets. Softmax: classes in ``[0, n_out)``, ``[tau, batch]``, -1 where a step has none. Sigmoid
            (numbers in ``[0, 1]``) and linear: ``[tau, batch, n_out]``, NaN where an output has none.
    """,
    "weight": """
        weight : array_like, or list of array_like where x is a list, optional
            ``[tau, batch]``, a factor of each step's loss, at least 0. For sigmoid and linear it may be
            ``[tau, batch, n_out]``, one for each output. Where it is 0, the target is not read.
    """,
    "loss": """
        Return the total loss: the sum over steps and sequences of the negative log-likelihood (10.12-10.14), in nats.
    """,
    "returned loss": """
        float
            Summed in double precision; never a mean.
    """,
    "wrt_x": """
        wrt_x : bool
            Whether to compute dL/dx(t) too; real input only.
    """,
    "gradient": """
        gradient : bool
            Whether to keep what `backward` needs: the h(t) of all layers, a copy of the parameters, and x itself, which
            must not change until then.
    """,
    "noise, dropout, seed": """
        noise : float
            sigma, at least 0: v(t) of each step and unit has ``sqrt(2 alpha) sigma N(0, 1)`` more (N.5), as in Song,
            Yang and Wang (2016) and in PsychRNN; a(t) of units without a leak, whose alpha is 1. 0 by default: none.
        dropout : float
            In ``[0, 1)``: the probability with which each number that goes up from a layer, to the layer above or to
            the readout, is 0 (N.6); the others are divided by ``1 - dropout``. What goes from step to step is whole
            (Zaremba 2014), and so are x, ``h`` and ``v`` of a run. 0 by default: none.
        seed : int or numpy.random.Generator, optional
            Of the draws of noise and dropout; by default a new one. A draw depends on it, on the layer and direction,
            the step, the sequence's place in the batch and the unit alone.
    """,
    "activity": """
        activity : float
            lambda, at least 0, of a cost of activity: the loss per target has lambda times the mean of h(t)^2 more
            (N.7), as PsychRNN's ``L2_firing_rate`` and the metabolic cost of Song, Yang and Wang (2016) have it. The
            mean is over the hidden units of all layers and directions, the sequences, and all their steps within the
            lengths, those without a target too. h(0) is no part of it, and dropout is done to what goes up alone. The
            loss, which is a sum, has lambda times this mean times the number of targets more, each counted by its
            weight. 0 by default: none.
    """,
    "comm": """
        comm : mpi4py.MPI.Comm, optional
            Compute it in all processes of a communicator, such as ``MPI.COMM_WORLD``: each gives the same arguments and
            has the same result. The batch is cut into blocks that follow from its size alone, of which each process
            computes some. The result has the same bits for every number of processes. They are not those without
            `comm`: sums are in another order, and noise, dropout, what steps draw under teacher forcing and the cost of
            activity are those of each block by itself.
    """,
    "reduction": """
        reduction : {"exact", "fast"}
            With `comm`: ``"fast"`` leaves the order in which gradients are added to the MPI library, without the
            promise of the same bits.
    """,
    "backward": """
        Return the gradients of a loss of one's own, whose dL/do and dL/dh are given, by back-propagation through time.

        It is the way back of `loss_and_gradients` from (10.19) on. The run has to be one of ``forward(...,
        gradient=True)``. It can be called several times. Where `d_o` is what the network's own loss has, rounded as the
        core rounds it, the gradients have the bits of `loss_and_gradients`.
    """,
    "d_o, d_h": """
        d_o : array_like, or list of array_like where x is a list, optional
            dL/do(t), in the form of ``o``. Nothing beyond a length is read.
        d_h : array_like, or list of array_like where x is a list, optional
            dL/dh(t) of the top layer, in the form of ``h``: of a loss that looks at the states themselves.
    """,
    "memory_limit": """
        memory_limit : int, optional
            Bytes that the hidden states may take, kept and recomputed ones together. The least that is possible grows
            with the square root of tau; with two directions all states are kept, and it grows with tau. A `ValueError`
            tells it where it is more. The results have the same bits.
    """,
    "n_steps": """
        n_steps : int
            How many to draw, at least 1.
    """,
    "temperature, top_k, top_p, greedy, seed": """
        temperature : float
            Softmax and sigmoid outputs are drawn from o / temperature, linear ones with this standard deviation; 0
            takes what is most likely.
        top_k : int, optional
            Draw among the k most likely classes only (softmax).
        top_p : float, optional
            In (0, 1]: draw among the fewest of the most likely classes whose probabilities add up to `top_p` or more
            (softmax). They are those at this temperature and, with `top_k`, given that it is one of the k. Of equally
            likely classes the first ones are kept.
        greedy : bool
            Take what is most likely, as ``temperature=0`` does; a `temperature` other than 1 is then a `ValueError`.
            With it `top_k`, `top_p` and `seed` change nothing.
        seed : int or numpy.random.Generator, optional
            Equal seeds draw equal outputs. A draw depends on it, on the step and on the sequence's place in the batch,
            and on nothing else.
    """,
    "beam": """
        beam : int, optional
            In place of a draw, search for likely sequences of classes (softmax): at every step the `beam` likeliest of
            all that are one class longer are kept. With ``n_out ** (n_steps - 1)`` or more it finds the likeliest of
            all. `temperature`, `top_k`, `top_p`, `greedy` and `seed` keep their defaults.
    """,
    "steps_per_part": """
        steps_per_part : int
            How many steps to draw at a time, at least 1. Every part prepares the weights anew, which takes as long as
            some tens of steps of one sequence: small parts take longer.
    """,
    "parts": """
        iterator of ndarray
            Parts ``[steps_per_part, ...]``, the last one may be shorter; one after the other they are what `generate`
            returns. Arguments are checked at once, each part is drawn when it is asked for. `bptt.interrupt` ends it,
            between two parts as well.
    """,
    "log_prob": """
        Return the log-probability of the targets at every step, in nats: minus the loss of the step (10.14).

        The weighted sum over steps and sequences is minus `loss`. Softmax: log y_hat(t)[y(t)]. Sigmoid: the sum over
        the outputs of y log y_hat + (1 - y) log(1 - y_hat). Linear: minus half the squared error, which lacks the
        constant of the Gaussian, ``-n_out log(2 pi) / 2``.
    """,
    "returned log_prob": """
        ndarray, or list of ndarray
            float64, in the form of x: ``[tau]``, ``[tau, batch]`` or a list of ``[tau_i]``; for ``readout="last"`` one
            number a sequence. 0 where a step has no target (-1), and beyond a length.
    """,
    "batch of a stream": """
        batch : int, optional
            How many sequences go side by side, each with its own state; by default a single one, without a batch axis,
            or as many as the state has rows.
    """,
    "drawn": """
        ndarray
            ``[n_steps]`` or ``[n_steps, batch]``, int64, for softmax; else ``[n_steps, n_out]`` or
            ``[n_steps, batch, n_out]``. The prompt is not repeated. With `beam` it is a `Beams` of ``y``,
            ``[n_steps, beam]`` or ``[n_steps, batch, beam]``, and ``log_prob``, ``[beam]`` or ``[batch, beam]``, the
            likeliest first; there are fewer where ``n_out ** n_steps`` is less.
    """,
}


def shared_paragraphs(documented: Documented, paragraphs: Mapping[str, str] = _PARAGRAPHS) -> Documented:
    """Fill a docstring: where a line is ``{name}``, the paragraph of that name stands in its place."""
    if documented.__doc__ is not None:  # `python -OO` has none
        lines = documented.__doc__.split("\n")
        documented.__doc__ = "\n".join(filled for line in lines for filled in _filled(line, paragraphs))
    return documented


def _filled(line: str, paragraphs: Mapping[str, str]) -> list[str]:
    name, indent = line.strip(), line[: len(line) - len(line.lstrip())]
    if not (name.startswith("{") and name.endswith("}")):
        return [line]
    parts = textwrap.dedent(paragraphs[name[1:-1]]).strip("\n").rstrip().split("\n")
    return [indent + part if part else "" for part in parts]
