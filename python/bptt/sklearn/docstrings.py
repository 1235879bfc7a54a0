"""What the docstrings of both estimators share, written once."""

from __future__ import annotations

from functools import partial

from bptt.networks.docstrings import shared_paragraphs

_PARAGRAPHS = {
    "parameters": """
        hidden_layer_sizes : int or tuple of int
            Number of hidden units of each layer, from the bottom to the top; with two directions, of each direction.
        activation : {"relu", "tanh"}
            What makes h(t) of a(t).
        bidirectional : bool
            Whether each layer reads the sequence from its end as well (figure 10.11).
        standardize : bool
            Whether numbers are shifted and scaled by what `fit` sees: see `mean_` and `scale_`. A regressor does so
            with y too. Without, the numbers of X should be of the order of 1.
        input_noise : float
            In training, normal noise of this standard deviation is added to each number that the network reads, drawn
            anew for each pass. It keeps the network from relying on small differences. 0 for none.
        alpha : float
            Strength of the L2 penalty: ``alpha / 2`` times the sum of all squared parameters, divided by the samples of
            a batch, is added to the mean loss of the batch.
        batch_size : int or "auto"
            Sequences in an update. ``"auto"``: a fiftieth of all, at least 32 and at most 200.
        learning_rate : {"adaptive", "constant"}
            ``"adaptive"``: the rate stays until training has converged, then falls linearly to 0 in `n_iter_no_change`
            iterations more, and training ends. These begin in any case so early that they end with `max_iter`; they are
            at most half of it. ``"constant"``: the rate stays, and training ends when it has converged.
        learning_rate_init : float
            The learning rate of Adam.
        clip_norm : float, optional
            A gradient of a larger norm is scaled down to this one. None: it is not.
        max_iter : int
            How many iterations there are at most. An iteration is one pass over the data. If training has not converged
            by then, this is a `ConvergenceWarning`.
        shuffle : bool
            Whether each pass has its own order of samples.
        random_state : int, RandomState or None
            Of the initial weights, of the order of samples, of the noise, and of the validation set. An int gives the
            same bits again.
        tol, n_iter_no_change : float, int
            Training has converged when for more than `n_iter_no_change` iterations in a row the loss did not fall by
            `tol` below the lowest one. With `early_stopping` it is the validation score, which has to rise.
        verbose : bool
            Whether to print the loss, and the validation score, of each iteration.
        warm_start : bool
            Whether `fit` goes on with the weights of the fit before, and with its `mean_` and `scale_`.
        early_stopping : bool
            Whether to hold out samples for validation. `score` is then computed on them in each iteration, and the
            weights with the best one are kept.
        validation_fraction : float
            The share of samples that `early_stopping` holds out; of labels, the same share of each.
        dtype : {"float32", "float64"}
            Of the network.
    """,
    "attributes": """
        network_ : ElmanRNN
            The network. It reads ``(X - mean_) / scale_``, time first: ``[steps, n, channels]``.
        mean_, scale_ : ndarray
            ``[channels]``: what `standardize` takes from X, and divides it by. `mean_` is the weighted mean over all
            steps of all sequences. `scale_` is the standard deviation or, if that is larger, a third of the largest
            distance from the mean; 1 where a channel is constant. So no number is more than 3 from 0.
        loss_ : float
            The mean loss of the last iteration, in nats per sample; of a regressor half the squared error of the
            standardized outputs, summed. It is that of the training batches, noise included, the penalty left out.
        best_loss_ : float or None
            The lowest one; None with `early_stopping`.
        loss_curve_ : list of float
            Those of all iterations. `partial_fit`, and `fit` with `warm_start`, append to it.
        validation_scores_ : list of float or None
            With `early_stopping`, the score after each iteration: accuracy or R^2.
        best_validation_score_ : float or None
            With `early_stopping`, the best one of the latest fit.
        n_iter_ : int
            Iterations of the latest fit.
        t_ : int
            Samples seen in training, each as often as it was.
        n_features_in_ : int
            What X has to have again: the steps of ``[n, steps]``, and the channels of all other forms.
        n_channels_ : int
            Numbers in a step.
        feature_names_in_ : ndarray
            The names of the columns, if X was a table that has them. They have to be the same again.
        n_outputs_ : int
            Outputs of the network.
    """,
    "X": """
        X : array_like, DataFrame, or list of array_like
            Sequences of one channel ``[n, steps]`` (of a table, columns are steps) or of several
            ``[n, steps, channels]``; or a list, an array of objects or a Series of sequences of any lengths,
            ``[steps_i]`` or ``[steps_i, channels]``.
    """,
    "X to predict": """
        X : array_like, DataFrame, or list of array_like
            As for `fit`. Sequences may have any lengths; ``[n, steps]`` after ``[n, steps]`` has the same steps.
    """,
    "sample_weight": """
        sample_weight : array_like, optional
            Of each sample, ``[n]``, at least 0; 1 by default.
    """,
    "raises": """
        ValueError, TypeError
            If a parameter, X, y or a weight is not as described.
        FloatingPointError
            If a loss, a gradient or a weight overflows; the learning rate is then too large.
    """,
}

shared = partial(shared_paragraphs, paragraphs=_PARAGRAPHS)
