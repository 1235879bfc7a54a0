from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]
_Steps = _Array | list[_Array]

__version__: str

class Network:
    def __init__(
        self,
        *,
        n_in: int,
        n_hidden: Sequence[int],
        n_out: int,
        input: str,
        output: str,
        readout: str,
        recurrence: str,
        activation: str,
        bidirectional: bool,
        leak: Sequence[Sequence[float]] = ...,
        learn_h0: bool = ...,
    ) -> None: ...
    @property
    def size(self) -> int: ...
    @property
    def layout(self) -> list[tuple[str, str, int, bool, tuple[int, ...]]]: ...

class Stream:
    def __init__(self, *, network: Network, parameters: _Array, rows: int, has_batch_axis: bool) -> None: ...
    def step(self, x_t: Any, *, y: Any = None, out: _Array | None = None) -> _Array: ...
    def run(self, x: Any, *, y: Any = None, out: _Array | None = None) -> _Array: ...
    def _step_plain(self, x_t: _Array, *, y: _Array | None = None, out: _Array | None = None) -> _Array: ...
    def _run_plain(self, x: _Array, *, y: _Array | None = None, out: _Array | None = None) -> _Array: ...
    def _read_state(self) -> list[_Array]: ...
    def _write_state(self, arrays: Sequence[_Array]) -> None: ...
    def _refresh(self, parameters: _Array) -> None: ...

def forward(
    *,
    network: Network,
    parameters: _Array,
    lengths: list[int],
    x: _Steps,
    y: _Steps | None,
    r0: list[_Array] | None,
    reset: _Steps | None,
    chance: tuple[float, float, float, int],  # teacher forcing, noise, dropout, seed
    h: list[_Steps | None],
    v: list[_Steps | None] | None,
    o: _Steps,
    r_last: list[_Array],
) -> None: ...
def backward(
    *,
    network: Network,
    parameters: _Array,
    lengths: list[int],
    x: _Steps,
    y: _Steps | None,
    r0: list[_Array] | None,
    reset: _Steps | None,
    chance: tuple[float, float, float, int],  # teacher forcing, noise, dropout, seed
    h: list[_Steps],
    d_o: _Steps | None,
    d_h: _Steps | None,
    flat: _Array,
    dr0: list[_Array],
    dx: _Steps | None,
) -> None: ...
def loss(
    *,
    network: Network,
    parameters: _Array,
    lengths: list[int],
    x: _Steps,
    y: _Steps,
    r0: list[_Array] | None,
    weight: _Steps | None,
    reset: _Steps | None,
    chance: tuple[float, float, float, int],  # teacher forcing, noise, dropout, seed
    activity: float,
    each: _Steps | None,
) -> float: ...
def loss_and_gradients(
    *,
    network: Network,
    parameters: _Array,
    lengths: list[int],
    x: _Steps,
    y: _Steps,
    r0: list[_Array] | None,
    weight: _Steps | None,
    reset: _Steps | None,
    chance: tuple[float, float, float, int],  # teacher forcing, noise, dropout, seed
    activity: float,
    flat: _Array,
    dr0: list[_Array],
    dx: _Steps | None,
    r_last: list[_Array],
    memory_limit: int,
) -> float: ...
def generate(
    *,
    network: Network,
    parameters: _Array,
    x: _Steps | None,
    r: list[_Array],
    o: _Array,
    temperature: float,
    top_k: int,
    top_p: float,
    seed: int,
    first_step: int,
    from_state: bool,
    goes_on: bool,
    y: _Array,
) -> bool: ...
def output_unit(output: str, o: _Array, y_hat: _Array) -> None: ...
def update(
    rule: str,
    parameters: _Array,
    gradient: _Array,
    first: _Array | None,
    second: _Array | None,
    scale: float,
    clip_norm: float,
    clip_value: float,
    rate: float,
    decay: float,
    keep: float,
    beta1: float,
    beta2: float,
    root: float,
    eps: float,
) -> float: ...
def tanh(x: _Array, y: _Array) -> None: ...
def supported_isas() -> list[str]: ...
def isa() -> str: ...
def set_isa(name: str) -> None: ...
def interrupt() -> None: ...
def interruptions() -> int: ...
def num_threads() -> int: ...
def set_num_threads(n: int) -> None: ...
def set_sharing(shares: bool) -> bool: ...
def sharing_threads() -> int: ...
