"""The networks that `bptt train` builds."""

from __future__ import annotations

from typing import Any, NamedTuple

from bptt.app.errors import UserError
from bptt.networks.elman import ElmanRNN
from bptt.networks.jordan import JordanRNN


class Architecture(NamedTuple):
    """What the options of the command line say of a network."""

    network: str  # "elman" or "jordan"
    n_hidden: tuple[int, ...]  # from the bottom to the top
    activation: str = "tanh"
    seed: int = 0
    leak: tuple[float, ...] = (1.0,)  # of all layers, or of each

    def build(self, n_in: int, n_out: int, **options: Any) -> ElmanRNN | JordanRNN:
        """Return an untrained network with these inputs and outputs."""
        common: dict[str, Any] = {"activation": self.activation, "seed": self.seed, **options}
        if self.network == "elman":
            if len(self.leak) not in (1, len(self.n_hidden)):
                raise UserError(
                    f"--leak: expected one number, or one for each layer of --hidden, {len(self.n_hidden)}, "
                    f"got {len(self.leak)}"
                )
            leak = self.leak[0] if len(self.leak) == 1 else self.leak
            return ElmanRNN(n_in, self.n_hidden, n_out, leak=leak, **common)
        if self.leak != (1.0,):
            raise UserError("--leak: expected 1 with --network jordan, whose hidden units carry nothing on")
        if len(self.n_hidden) > 1:
            raise UserError("--hidden: expected one number with --network jordan, which has one layer")
        return JordanRNN(n_in, self.n_hidden[0], n_out, **common)
