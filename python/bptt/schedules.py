"""`bptt.schedules`: numbers that change over training, as `training.schedules` defines them."""

from bptt.training.schedules import Constant, Cosine, InverseSigmoid, Linear, ReduceOnPlateau, Step, Warmup

__all__ = ["Constant", "Cosine", "InverseSigmoid", "Linear", "ReduceOnPlateau", "Step", "Warmup"]
