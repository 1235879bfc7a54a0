"""What every network has: sizes, parameters, initial values, files, results. Knows no equations."""

from __future__ import annotations

import copy
import errno
import math
import os
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from bptt import _core
from bptt._inputs import Array, as_array, check_shape

_ALIGNMENT = 64  # bytes, a cache line and the widest vector
_KEY = "bptt"  # of the configuration in a model file's metadata

LETTERS = ("U", "W", "b", "V", "c")

Self = TypeVar("Self", bound="RecurrentNetwork")


def choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is one of the allowed, else raise."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def size(name: str, value: int, least: int, most: int = 2**31 - 1) -> int:
    """Return `value` as an int from `least` to `most`, else raise."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
    if value < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}")
    if value > most:
        raise ValueError(f"{name}: expected at most {most}, got {value}")
    return int(value)


def generator(seed: int | np.random.Generator | None) -> np.random.Generator:
    """Return the random generator that `seed` stands for."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"seed: expected an int of at least 0, a numpy.random.Generator or None, got {seed!r}"
        ) from None


def aligned(count: int, dtype: DTypeLike) -> Array:
    """`count` zeros that begin at a cache line."""
    itemsize = np.dtype(dtype).itemsize
    memory = np.zeros(count * itemsize + _ALIGNMENT, np.uint8)
    offset = -memory.ctypes.data % _ALIGNMENT
    return memory[offset : offset + count * itemsize].view(dtype)


class Letters:
    """Views of one flat vector under the book's letters: U, W, b, V, c in this order, each in C order, without gaps."""

    __slots__ = ("_shapes", "_views", "flat")

    def __init__(self, flat: Array, shapes: dict[str, tuple[int, ...]]) -> None:
        self.flat = flat
        self._shapes = shapes
        self._views: dict[str, Array] = {}  # made when first asked for: a training loop needs `flat` alone

    def _view(self, letter: str) -> Array:
        if not self._views:
            views, end = {}, 0
            for name, shape in self._shapes.items():
                begin, end = end, end + math.prod(shape)
                views[name] = self.flat[begin:end].reshape(shape)
            self._views = views  # in one step: another thread may be reading
        return self._views[letter]

    @property
    def U(self) -> Array:
        """Input to hidden, ``[n_hidden, n_in]``."""
        return self._view("U")

    @property
    def W(self) -> Array:
        """The recurrence, ``[n_hidden, n_hidden]``."""
        return self._view("W")

    @property
    def b(self) -> Array:
        """Bias of the hidden units, ``[n_hidden]``."""
        return self._view("b")

    @property
    def V(self) -> Array:
        """Hidden to output, ``[n_out, n_hidden]``."""
        return self._view("V")

    @property
    def c(self) -> Array:
        """Bias of the outputs, ``[n_out]``."""
        return self._view("c")


class Gradients(Letters):
    """Gradients of the loss, each under the letter of what it belongs to (equations 10.22-10.28).

    Attributes
    ----------
    U, W, b, V, c : ndarray
        dL/dU and so on, with the shape and dtype of the parameter.
    flat : ndarray
        All of them in one vector, laid out like ``rnn.parameters``.
    h0 : ndarray
        dL/dh(0), ``[batch, n_hidden]`` (``[n_hidden]`` for a single sequence).
    x : ndarray, list of ndarray, or None
        dL/dx(t) in the form of x, 0 beyond a length; None unless ``wrt_x=True``.
    h_last : ndarray
        No gradient: the last state of each sequence, ``[batch, n_hidden]``, from which the next window of a stream
        goes on.
    """

    __slots__ = ("h0", "h_last", "x")

    def __init__(self, flat: Array, shapes: dict[str, tuple[int, ...]], h0: Array, x: Any, h_last: Array) -> None:
        super().__init__(flat, shapes)
        self.h0 = h0
        self.x = x
        self.h_last = h_last

    def __repr__(self) -> str:
        letters = ", ".join((*LETTERS, "h0", *(() if self.x is None else ("x",))))
        return f"Gradients({letters}: norm {np.linalg.norm(self.flat):.6g})"


class Run:
    """What a forward pass computed. All arrays have the form of x: no batch axis for a single sequence, a list for a
    list.

    Attributes
    ----------
    h : ndarray or list of ndarray
        h(1), ..., h(tau), ``[tau, batch, n_hidden]``; 0 beyond a length.
    o : ndarray or list of ndarray
        o(t), ``[tau, batch, n_out]``, 0 beyond a length; ``[batch, n_out]`` for ``readout="last"``.
    h_last : ndarray
        The last state of each sequence, ``[batch, n_hidden]``.
    """

    __slots__ = ("_lengths", "_output", "_y_hat", "h", "h_last", "o")

    def __init__(self, output: str, h: Any, o: Any, h_last: Array, lengths: list[int] | None) -> None:
        self.h = h
        self.o = o
        self.h_last = h_last
        self._output = output
        self._lengths = lengths  # of a padded batch with an output at every step
        self._y_hat: Any = None

    @property
    def y_hat(self) -> Any:
        """The output units' values of o (equation 10.11), computed when first asked for; 0 beyond a length."""
        if self._y_hat is None:
            if isinstance(self.o, list):
                self._y_hat = [self._unit(o) for o in self.o]
            else:
                y_hat = self._unit(self.o)
                for i, length in enumerate(self._lengths or ()):
                    y_hat[length:, i] = 0
                self._y_hat = y_hat
        return self._y_hat

    def _unit(self, o: Array) -> Array:
        o = np.ascontiguousarray(o)
        y_hat = np.empty_like(o)
        _core.output_unit(self._output, o, y_hat)
        return y_hat

    def __repr__(self) -> str:
        if isinstance(self.h, list):
            return f"Run({len(self.h)} sequences of {min(map(len, self.h))} to {max(map(len, self.h))} steps)"
        return f"Run(h {list(self.h.shape)}, o {list(self.o.shape)}, {self.h.dtype})"


class RecurrentNetwork:
    """Sizes, parameters and files: the base of the networks, not a network itself."""

    _KIND: ClassVar[str]
    _OPTIONS: ClassVar[tuple[str, ...]]  # the keyword arguments that, beside sizes and dtype, tell what network it is
    _core: _core.Network
    metadata: dict[str, Any]

    # What the core was built for: read-only, since it would not notice a change.
    _n_in: int
    _n_hidden: int
    _n_out: int

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self._n_in

    @property
    def n_hidden(self) -> int:
        """Number of hidden units."""
        return self._n_hidden

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self._n_out

    def _allocate(self, shapes: dict[str, tuple[int, ...]], dtype: DTypeLike) -> None:
        self._shapes = shapes
        self._letters = Letters(aligned(sum(map(math.prod, shapes.values())), dtype), shapes)
        self._dtype = self._letters.flat.dtype
        self.metadata = {}

    # ---- Parameters ----

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self._dtype

    @property
    def parameters(self) -> Array:
        """All parameters in one writable vector: U, W, b, V, c in this order, each in C order, without gaps."""
        return self._letters.flat

    @parameters.setter
    def parameters(self, value: ArrayLike) -> None:
        self._copy_in("parameters", self.parameters, value)

    def _copy_in(self, name: str, to: Array, value: ArrayLike) -> None:
        array = as_array(name, value, to.dtype)
        check_shape(name, array, to.shape)
        to[...] = array

    @property
    def U(self) -> Array:
        """Input to hidden, ``[n_hidden, n_in]``: a writable view of `parameters`."""
        return self._letters.U

    @U.setter
    def U(self, value: ArrayLike) -> None:
        self._copy_in("U", self.U, value)

    @property
    def W(self) -> Array:
        """The recurrence, ``[n_hidden, n_hidden]``: a writable view of `parameters`."""
        return self._letters.W

    @W.setter
    def W(self, value: ArrayLike) -> None:
        self._copy_in("W", self.W, value)

    @property
    def b(self) -> Array:
        """Bias of the hidden units, ``[n_hidden]``: a writable view of `parameters`."""
        return self._letters.b

    @b.setter
    def b(self, value: ArrayLike) -> None:
        self._copy_in("b", self.b, value)

    @property
    def V(self) -> Array:
        """Hidden to output, ``[n_out, n_hidden]``: a writable view of `parameters`."""
        return self._letters.V

    @V.setter
    def V(self, value: ArrayLike) -> None:
        self._copy_in("V", self.V, value)

    @property
    def c(self) -> Array:
        """Bias of the outputs, ``[n_out]``: a writable view of `parameters`."""
        return self._letters.c

    @c.setter
    def c(self, value: ArrayLike) -> None:
        self._copy_in("c", self.c, value)

    # ---- Copies and files ----

    def _configuration(self) -> dict[str, Any]:
        sizes = {"n_in": self.n_in, "n_hidden": self.n_hidden, "n_out": self.n_out}
        return sizes | {name: getattr(self, name) for name in self._OPTIONS} | {"dtype": self.dtype.name}

    def __repr__(self) -> str:
        sizes = ("n_in", "n_hidden", "n_out")
        options = ", ".join(f"{name}={value!r}" for name, value in self._configuration().items() if name not in sizes)
        return f"{type(self).__name__}({self.n_in}, {self.n_hidden}, {self.n_out}, {options})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._configuration(), self.parameters, self.metadata)

    def __copy__(self: Self) -> Self:
        return _rebuild(type(self), self._configuration(), self.parameters, copy.copy(self.metadata))

    def __deepcopy__(self: Self, memo: dict[int, Any]) -> Self:
        return _rebuild(type(self), self._configuration(), self.parameters, copy.deepcopy(self.metadata, memo))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a safetensors file, which `bptt.load` and any safetensors reader can read.

        The file is whole at every moment: it is written beside `path` and then renamed. Equal models give equal bytes.

        Parameters
        ----------
        path : path-like
            By convention ``*.safetensors``. What stands there is replaced.

        Raises
        ------
        OSError
            What the system says (no such folder, no permission, no space left).
        TypeError, ValueError
            If `metadata` is nothing that JSON can hold.
        """
        import json

        from safetensors.numpy import save

        configuration = {"network": self._KIND, **self._configuration(), "metadata": self.metadata}
        try:
            text = json.dumps(configuration, sort_keys=True, allow_nan=False)
        except TypeError as error:
            raise TypeError(f"metadata: expected what JSON can hold: {error}") from None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"metadata: expected what JSON can hold: {error}") from None
        if not isinstance(self.metadata, dict) or json.loads(text)["metadata"] != self.metadata:
            raise ValueError("metadata: expected a dict that JSON gives back as it is (string keys, lists, no tuples)")
        tensors = {letter: np.ascontiguousarray(getattr(self, letter)) for letter in LETTERS}
        write_whole(path, save(tensors, {_KEY: text}))


def _rebuild(
    kind: type[Self], configuration: dict[str, Any], parameters: NDArray[Any], metadata: dict[str, Any]
) -> Self:
    network = kind(**configuration, init=None)  # type: ignore[call-arg]
    network.parameters = parameters
    network.metadata = metadata
    return network


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file such that at every moment either the old one or the new one stands at `path`, complete."""
    path = os.path.realpath(path)  # a link stays a link
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.EINVAL, "expected a regular file, or none yet", path)
    temporary = os.path.join(os.path.dirname(path), f".{os.urandom(6).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model that `save` has written.

    Parameters
    ----------
    path : path-like
        A safetensors file.

    Returns
    -------
    ElmanRNN
        The network, with its `metadata`.

    Raises
    ------
    ValueError
        If the file is no model of this package, or is damaged: a truncated file, a missing tensor, a wrong shape or
        dtype, a configuration that makes no network. The message says what.
    OSError
        What the system says (no such file, no permission).
    """
    import json

    from safetensors import SafetensorError, deserialize

    with open(path, "rb") as file:
        data = file.read()
    try:
        tensors = dict(deserialize(data))  # type: ignore[no-untyped-call]
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, ValueError, RecursionError) as error:
        raise ValueError(f"{os.fspath(path)}: expected a safetensors file: {error}") from None
    try:
        return _network_from(tensors, header.get("__metadata__", {}))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None


def _network_from(tensors: dict[str, Any], metadata: dict[str, str]) -> RecurrentNetwork:
    import json

    from bptt.elman import ElmanRNN

    if _KEY not in metadata:
        raise ValueError(f"expected a model of bptt, got a file without the metadata key {_KEY!r}")
    try:
        configuration = json.loads(metadata[_KEY])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"bad configuration: {error}") from None
    if not isinstance(configuration, dict):
        raise ValueError(f"bad configuration: expected an object, got {type(configuration).__name__}")
    kind = configuration.pop("network", None)
    user_metadata = configuration.pop("metadata", {})
    if kind != ElmanRNN._KIND:
        raise ValueError(f"bad configuration: expected the network 'elman', got {kind!r}")
    expected = {"n_in", "n_hidden", "n_out", "dtype", *ElmanRNN._OPTIONS}
    if set(configuration) != expected:
        raise ValueError(f"bad configuration: expected the keys {sorted(expected)}, got {sorted(configuration)}")
    if not isinstance(user_metadata, dict):
        raise ValueError(f"bad configuration: expected an object as metadata, got {type(user_metadata).__name__}")
    shapes = ElmanRNN.shapes(*(size(name, configuration[name], 0) for name in ("n_in", "n_hidden", "n_out")))
    if set(tensors) != set(LETTERS):
        raise ValueError(f"expected the tensors {', '.join(LETTERS)}, got {', '.join(sorted(tensors)) or 'none'}")
    for letter, shape in shapes.items():  # before memory is taken for what the configuration claims
        if tuple(tensors[letter]["shape"]) != shape:
            raise ValueError(f"{letter}: expected the shape {list(shape)}, got {list(tensors[letter]['shape'])}")
    try:
        network = ElmanRNN(**configuration, init=None)
    except (TypeError, ValueError) as error:
        raise ValueError(f"bad configuration: {error}") from None
    code = {"float32": "F32", "float64": "F64"}[network.dtype.name]
    for letter in LETTERS:
        tensor = tensors[letter]
        if tensor["dtype"] != code:
            raise ValueError(f"{letter}: expected the dtype {code}, got {tensor['dtype']}")
        values = np.frombuffer(tensor["data"], network.dtype.newbyteorder("<"))
        setattr(network, letter, values.reshape(shapes[letter]))
    network.metadata = user_metadata
    return network
