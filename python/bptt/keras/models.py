"""Models of Keras, read from the input to the output: their layers, and what is in them. Knows no networks."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

from bptt._arrays import Array
from bptt._checks import shown
from bptt.keras.weights import DTYPES, Direction, Weights

_INACTIVE = (  # outside of training these hand on what they get
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "SpatialDropout1D",
)
_STEP_BY_STEP = ("Activation", "Dense", "Softmax", *_INACTIVE)  # do the same in a TimeDistributed as without

_TAKEN = {  # kinds of layers, and how they are read
    "Activation": "_take_activation",
    "Bidirectional": "_take_recurrent",
    "CategoryEncoding": "_take_tokens",
    "Dense": "_take_dense",
    "Embedding": "_take_tokens",
    "Masking": "_take_mask",
    "RNN": "_take_recurrent",
    "SimpleRNN": "_take_recurrent",
    "Softmax": "_take_activation",
}


def imported_keras() -> ModuleType:
    """Import Keras, or tell what is missing."""
    try:
        import keras
    except ModuleNotFoundError as error:
        if error.name == "keras":
            raise ImportError('bptt.keras: expected Keras to be installed: pip install "bptt[keras]"') from None
        backend = (error.name or "").partition(".")[0]
        what = f"expected a backend of Keras that is installed, got none named {backend!r}"
        raise ImportError(f"bptt.keras: {what}: set KERAS_BACKEND to 'torch' or 'jax'") from error
    module: ModuleType = keras
    return module


class Found(NamedTuple):
    """What a model is."""

    weights: Weights
    activation: str
    output: str
    steps: str
    tokens: bool
    mask: str | None  # the layer that makes or gets one


def read(model: Any) -> Found:
    """Read a Sequential or functional model, which is a chain of layers that an `ElmanRNN` has."""
    keras = imported_keras()
    if not isinstance(model, keras.Model):
        got = f"{type(model).__module__}.{type(model).__qualname__}"
        raise TypeError(f"model: expected a keras.Model, or a list of arrays as get_weights gives, got {got}")
    return _Reader(keras, model).found()


def _told(layer: Any) -> str:
    return f"{type(layer).__name__} {layer.name!r}"


def _refuse(expected: str, layer: Any, got: str = "") -> NoReturn:
    raise ValueError(f"model: expected {expected}, got {f'{got} of ' if got else ''}{_told(layer)}")


class _Reader:
    """Takes the layers of a model one after the other, from the input to the output."""

    def __init__(self, keras: ModuleType, model: Any) -> None:
        self._keras = keras
        self._first: Any = None  # the first layer that has a dtype
        self._mask: str | None = None
        self._tokens = False
        self._embedding: Array | None = None
        self._layers: list[list[Direction]] = []
        self._activation = ""
        self._returns_sequences = True
        self._dense: tuple[Array, Array | None] | None = None
        self._output = "linear"
        seen = set()
        for layer in self._chain(model):
            if id(layer) in seen:
                _refuse("each layer once", layer, "a second call")
            seen.add(id(layer))
            self._take(layer)

    def found(self) -> Found:
        """What was read, if it is a whole network."""
        if not self._layers or self._dense is None:
            missing = "a Dense after the last SimpleRNN" if self._layers else "a SimpleRNN"
            raise ValueError(f"model: expected {missing}, got none")
        weights = Weights(self._embedding, self._layers, *self._dense)
        steps = "all" if self._returns_sequences else "last"
        return Found(weights, self._activation, self._output, steps, self._tokens, self._mask)

    # ---- The chain ----

    def _chain(self, model: Any) -> list[Any]:
        """The layers of a model, and of models in it, in their order."""
        call = type(model).call
        if call.__module__ not in ("keras.src.models.sequential", "keras.src.models.functional"):
            got = f"{type(model).__name__}, which has a call of its own"
            raise TypeError(
                f"model: expected a Sequential or a functional model, or get_weights() of another, got {got}"
            )
        layers = model.layers if isinstance(model, self._keras.Sequential) else self._functional(model)
        chain: list[Any] = []
        for layer in layers:
            chain += self._chain(layer) if isinstance(layer, self._keras.Model) else [layer]
        return chain

    def _functional(self, model: Any) -> list[Any]:
        """The layers between the input and the output, each of which has one input."""
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            got = f"{len(model.inputs)} and {len(model.outputs)}"
            raise ValueError(f"model: expected one input and one output, got {got}")
        layers: list[Any] = []
        tensor = model.outputs[0]
        while True:
            layer, call, place = tensor._keras_history
            if type(layer) is self._keras.layers.InputLayer:
                return layers[::-1]
            if not isinstance(layer, self._keras.Model):
                self._check_kind(layer)
            if place:
                _refuse("a layer's output alone (return_state=False)", layer, "the state")
            node = layer._inbound_nodes[call]
            mask = node.arguments.kwargs.get("mask")
            if mask is not None:
                self._mask = _told(layer)
            tensors = [one for one in node.input_tensors if one is not mask]
            if len(tensors) != 1 or len(node.arguments.args) != 1:
                _refuse("layers that are called with the output of the layer below alone", layer, "another call")
            if node.arguments.kwargs.get("training"):
                _refuse("layers that are called as at inference", layer, "training=True")
            layers.append(layer)
            tensor = tensors[0]

    # ---- One layer ----

    def _kind(self, layer: Any) -> str | None:
        """The name of a class of Keras itself; None of any other, a subclass included."""
        name = type(layer).__name__
        return name if getattr(self._keras.layers, name, None) is type(layer) else None

    def _check_kind(self, layer: Any) -> None:
        kind = self._kind(layer)
        in_time = kind == "TimeDistributed" and self._kind(layer.layer) in _STEP_BY_STEP
        if not in_time and kind not in _TAKEN and kind not in _INACTIVE:
            _refuse("SimpleRNN, Bidirectional, Dense and what an ElmanRNN has beside them", layer)

    def _take(self, layer: Any) -> None:
        self._check_kind(layer)
        if not layer.built:
            _refuse("layers with weights (call the model once, or build it)", layer, "none")
        kind = self._kind(layer)
        if kind != "CategoryEncoding":  # zeros and ones are the same in any dtype
            self._check_dtype(layer)
        if kind == "TimeDistributed":
            self._take(layer.layer)
        elif kind in _TAKEN:
            getattr(self, _TAKEN[kind])(layer)

    def _check_dtype(self, layer: Any) -> None:
        name = layer.dtype_policy.name
        if name not in DTYPES:
            _refuse("the dtype policy float32 or float64", layer, name)
        if self._first is None:
            self._first = layer
        if name != self._first.dtype_policy.name:
            _refuse(f"{self._first.dtype_policy.name}, as of {_told(self._first)}", layer, name)

    def _array(self, layer: Any, name: str) -> Array:
        """A weight of a layer."""
        with warnings.catch_warnings():  # PyTorch's, of how NumPy reads its tensors
            warnings.simplefilter("ignore", DeprecationWarning)
            array: Array = self._keras.ops.convert_to_numpy(getattr(layer, name))
        return array

    def _bias(self, layer: Any) -> Array | None:
        return self._array(layer, "bias") if layer.use_bias else None

    def _name(self, activation: Any) -> str:
        """Keras's name of an activation."""
        places = self._keras.activations, self._keras.ops
        for name in dir(self._keras.activations):
            if any(getattr(place, name, None) is activation for place in places):
                return name
        return shown(activation)

    def _take_tokens(self, layer: Any) -> None:
        if self._tokens or self._layers:
            _refuse(f"{type(layer).__name__} before all other layers alone", layer, "another place")
        self._tokens = True
        if self._kind(layer) == "Embedding":
            self._embedding = self._array(layer, "embeddings")
            if layer.mask_zero:
                self._mask = _told(layer)
        elif layer.output_mode != "one_hot":
            _refuse("output_mode='one_hot'", layer, repr(layer.output_mode))

    def _take_mask(self, layer: Any) -> None:
        if self._layers:
            _refuse("a mask before the first SimpleRNN", layer)
        self._mask = _told(layer)

    def _take_dense(self, layer: Any) -> None:
        if self._dense is not None or not self._layers:
            _refuse("one Dense, after the last SimpleRNN", layer, "another place")
        self._dense = self._array(layer, "kernel"), self._bias(layer)
        self._output = self._unit(layer)

    def _take_activation(self, layer: Any) -> None:
        name = self._unit(layer)
        if name == "linear":
            return
        if self._dense is None or self._output != "linear":
            _refuse("one activation, after the Dense", layer, "another place")
        self._output = name

    def _unit(self, layer: Any) -> str:
        """The output unit that a layer is or has."""
        if self._kind(layer) == "Softmax":
            if layer.axis not in (-1, 2 if self._returns_sequences else 1):
                _refuse("the last axis", layer, f"axis={layer.axis}")
            return "softmax"
        name = self._name(layer.activation)
        if name not in ("softmax", "sigmoid", "linear"):
            _refuse("the activation 'softmax', 'sigmoid' or 'linear'", layer, shown(name))
        return name

    # ---- Recurrent layers ----

    def _take_recurrent(self, layer: Any) -> None:
        if self._dense is not None:
            _refuse("no recurrent layer after the Dense", layer)
        if self._kind(layer) == "Bidirectional":
            stack = [self._two_directions(layer)]
        else:
            if layer.go_backwards:
                _refuse("go_backwards=False (instead, reverse x)", layer, "True")
            stack = [[self._direction(layer, cell)] for cell in self._cells(layer)]
        if self._layers and len(self._layers[0]) != len(stack[0]):
            _refuse(f"as many directions in each layer, {len(self._layers[0])}", layer, str(len(stack[0])))
        self._layers += stack
        self._returns_sequences = layer.return_sequences

    def _two_directions(self, layer: Any) -> list[Direction]:
        if layer.merge_mode != "concat":
            _refuse("merge_mode='concat', as h(t) has both directions side by side", layer, repr(layer.merge_mode))
        directions = []
        for one, backwards in ((layer.forward_layer, False), (layer.backward_layer, True)):
            if self._kind(one) not in ("SimpleRNN", "RNN") or len(self._cells(one)) != 1:
                _refuse("a SimpleRNN in each direction", one)
            if one.go_backwards is not backwards:
                _refuse(f"go_backwards={backwards}", one, str(one.go_backwards))
            self._check_dtype(one)
            directions += [self._direction(one, cell) for cell in self._cells(one)]
        sizes = [len(direction.recurrent_kernel) for direction in directions]
        if sizes[0] != sizes[1]:
            _refuse(f"as many units in both directions, {sizes[0]}", layer.backward_layer, str(sizes[1]))
        return directions

    def _cells(self, layer: Any) -> list[Any]:
        """The cells of a SimpleRNN or an RNN, from the bottom to the top."""
        cells = layer.cell.cells if self._kind(layer.cell) == "StackedRNNCells" else [layer.cell]
        for cell in cells:
            if self._kind(cell) != "SimpleRNNCell":
                _refuse(f"a SimpleRNNCell in {_told(layer)}", cell)
        return list(cells)

    def _direction(self, layer: Any, cell: Any) -> Direction:
        """The weights in a cell of a layer."""
        name = self._name(cell.activation)
        if name not in ("tanh", "relu"):
            _refuse("the activation 'tanh' or 'relu'", layer, shown(name))
        if self._activation not in ("", name):
            _refuse(f"one activation for all layers, {self._activation!r}", layer, shown(name))
        self._activation = name
        self._check_dtype(cell)
        return Direction(self._array(cell, "kernel"), self._array(cell, "recurrent_kernel"), self._bias(cell))
