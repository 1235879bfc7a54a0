"""The tasks of the field, as generators of trials that `fit` takes. `import bptt` does not import it."""

from bptt.tasks.decisions import ContextDecisionMaking, DelayMatchSample, GoNogo, PerceptualDecisionMaking
from bptt.tasks.grammar import ReberGrammar
from bptt.tasks.intervals import ReadySetGo
from bptt.tasks.memory import AddingProblem, CopyMemory, FlipFlop
from bptt.tasks.task import Task, Trials

__all__ = [
    "AddingProblem",
    "ContextDecisionMaking",
    "CopyMemory",
    "DelayMatchSample",
    "FlipFlop",
    "GoNogo",
    "PerceptualDecisionMaking",
    "ReadySetGo",
    "ReberGrammar",
    "Task",
    "Trials",
]
