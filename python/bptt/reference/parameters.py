"""The parameters of a network: U, W and b of every layer and direction, and V and c of the readout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .vectors import Matrix, Vector, matrix_sum, vector_sum


@dataclass
class Layer:
    """A layer: ``U [n, n_below]``, ``W [n, n]``, ``b [n]``, and those of its second direction if it has one.

    ``n_below`` is how many numbers h(t) of the layer below has, n_in for the lowest layer. In figure 10.4 ``W`` is
    ``[n_hidden, n_out]``. ``h0 [n]`` is h(0), of leaky units v(0), where it is learned: every sequence begins with it.
    """

    U: Matrix
    W: Matrix
    b: Vector
    reverse: Layer | None = None
    h0: Vector | None = None


@dataclass
class Stack:
    """The layers from the bottom to the top, ``V [n_out, n]`` and ``c [n_out]``.

    ``n`` is how many numbers h(t) of the top layer has: those of both directions if it has two.
    """

    layers: list[Layer]
    V: Matrix
    c: Vector

    @property
    def only_layer(self) -> Layer:
        """The layer of a network that has one, in one direction; an `AttributeError` for others."""
        if len(self.layers) != 1 or self.layers[0].reverse is not None:
            raise AttributeError("U, W, b: the network has several layers or directions; use layers[k]")
        return self.layers[0]

    @property
    def U(self) -> Matrix:
        return self.only_layer.U

    @property
    def W(self) -> Matrix:
        return self.only_layer.W

    @property
    def b(self) -> Vector:
        return self.only_layer.b


class Parameters(Stack):
    """The book's network, a stack of one layer: ``U``, ``W``, ``b``, ``V``, ``c``."""

    def __init__(self, U: Matrix, W: Matrix, b: Vector, V: Matrix, c: Vector) -> None:
        super().__init__([Layer(U, W, b)], V, c)


def sum_of_layers(layers: Sequence[Layer]) -> Layer:
    reverses = [layer.reverse for layer in layers if layer.reverse is not None]
    learned = [layer.h0 for layer in layers if layer.h0 is not None]
    return Layer(
        U=matrix_sum(*(layer.U for layer in layers)),
        W=matrix_sum(*(layer.W for layer in layers)),
        b=vector_sum(*(layer.b for layer in layers)),
        reverse=sum_of_layers(reverses) if reverses else None,
        h0=vector_sum(*learned) if learned else None,
    )


def sum_of_stacks(stacks: Sequence[Stack]) -> Stack:
    """Entry by entry, as the gradients of sequences add up."""
    return Stack(
        layers=[sum_of_layers(layers) for layers in zip(*(stack.layers for stack in stacks), strict=True)],
        V=matrix_sum(*(stack.V for stack in stacks)),
        c=vector_sum(*(stack.c for stack in stacks)),
    )
