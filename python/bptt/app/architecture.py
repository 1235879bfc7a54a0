"""The networks that `bptt train` builds."""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import numpy as np

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


def check_architecture(rnn: ElmanRNN | JordanRNN, options: argparse.Namespace) -> None:
    """Raise UserError if an option asks for another architecture than that of the model to go on from."""
    network = "jordan" if isinstance(rnn, JordanRNN) else "elman"
    n_hidden = (rnn.n_hidden,) if isinstance(rnn.n_hidden, int) else tuple(rnn.n_hidden)
    has = {"network": network, "hidden": n_hidden, "activation": rnn.activation}
    for key, own in has.items():
        if (given := getattr(options, key)) not in (None, own):
            own, given = (",".join(map(str, each)) if isinstance(each, tuple) else each for each in (own, given))
            raise UserError(f"--{key}: expected that of {options.start}, {own}, got {given}")
    if options.leak is not None:
        alphas = rnn._options.leak if isinstance(rnn, ElmanRNN) else (1.0,)
        wanted = options.leak * (len(alphas) if len(options.leak) == 1 else 1)
        same = len(wanted) == len(alphas) and all(map(np.all, map(np.equal, alphas, wanted)))
        if not same:
            own = ",".join(f"{np.min(alpha):g}" if np.ptp(alpha) == 0 else "one a unit" for alpha in alphas)
            raise UserError(f"--leak: expected that of {options.start}, {own}, got {','.join(map(str, options.leak))}")
